"""Running totals of whole numbers, one after the other by entity and time."""

import numpy as np

from features.order import Array, RowsBy, in_order
from features.steps import Kinds, Steps


class Running:
    """Rows by (entity, time) with their running totals: what lies in a window is a difference of two.

    A row stands once for each of several kinds of entities: `entity` of shape (kinds, rows), -1: not there.
    """

    def __init__(self, kinds: Kinds, entity: Array, time: Array, values: Array, owner: Array | None) -> None:
        self._steps = Steps(time, kinds.many)
        step = self._steps.of(time)
        size = np.count_nonzero(entity >= 0)
        self._keys, self._sums = np.empty(size, dtype=np.int64), np.zeros((size + 1, values.shape[1]), dtype=np.int64)
        owners: list[Array] = []
        end, in_time = 0, in_order(time)  # once for all kinds
        for code, start in zip(entity, kinds.starts.ravel(), strict=True):
            rows = in_time[code[in_time] >= 0]
            rows = rows[in_order(code[rows])]
            begin, end = end, end + len(rows)
            self._keys[begin:end] = (code[rows] + start) * self._steps.many + step[rows]
            sums = self._sums[begin : end + 1]
            np.cumsum(values.take(rows, axis=0), axis=0, out=sums[1:])
            sums[1:] += sums[0]
            if owner is not None:
                owners.append(owner[rows] + len(owners) * kinds.owners)
        self._by_owner = None if owner is None else RowsBy(np.concatenate(owners))

    def before(self, entity: Array, as_of: Array, windows: tuple[int | None, ...], of: Array | None) -> Array:
        """Totals of the rows with time in [as_of - window, as_of); `of`: of those that belong to that owner."""
        base = entity * self._steps.many
        back = np.array([[0], *([window or 0] for window in windows)])
        keys = base + self._steps.of(as_of - back)  # a row of questions a window, and one search for all
        for place, window in enumerate(windows):
            if window is None:
                keys[place + 1] = base
        if of is not None:
            return self._owned(keys[1:], keys[0], of)
        sums = self._sums.take(self._keys.searchsorted(keys), axis=0)
        answer: Array = sums[0] - sums[1:]
        return answer

    def _owned(self, lows: Array, high: Array, of: Array) -> Array:
        answer = np.zeros((len(lows), len(of), self._sums.shape[1]), dtype=np.int64)
        if self._by_owner is not None:
            question, row = self._by_owner.pairs(of)
            key, value = self._keys[row], self._sums[row + 1] - self._sums[row]
            for place, low in enumerate(lows):
                inside = np.flatnonzero((key >= low[question]) & (key < high[question]))
                for column in range(value.shape[1]):  # a column at a time `at` is fast
                    np.add.at(answer[place, :, column], question[inside], value[inside, column])
        return answer
