"""The only place that compares times.

Everything the service knows about an entity (product, line, supplier, lot, …) at a moment comes from here:
exact integer totals, and the latest row, of what was known strictly before that moment. Arrays are kept
sorted by (entity, time first known); a question is a binary search, so a million lots and one lot take the
same road.

A *span* is the time in which one version of a fact stood: known from `known` until `superseded`. A window
looks back over `first`, the time the fact was first known, so that a correction stays in the window of what
it corrects.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

NO_TIME = -(2**63)
"""A missing time, and the known time of what has always been known: before every moment."""
FOREVER = 2**63 - 1
"""Not superseded."""
HOUR = 3_600_000_000
DAY = 24 * HOUR
_EPOCH_2000 = 946_684_800_000_000


def before(earlier: Any, later: Any) -> Any:
    """Whether `earlier` lies strictly before `later`, elementwise."""
    return earlier < later


def within(moment: Any, start: Any, end: Any) -> Any:
    """Whether `moment` lies in [start, end), elementwise."""
    return (moment >= start) & (moment < end)


def stands(known: Any, superseded: Any, as_of: Any) -> Any:
    """Whether a version was the known one strictly before `as_of`, elementwise."""
    return (known < as_of) & (superseded >= as_of)


def hours(moment: Any) -> Any:
    """Whole hours since 2000-01-01T00:00Z, rounded down."""
    return (moment - _EPOCH_2000) // HOUR


@dataclass(frozen=True)
class Spans:
    """When facts stood: `first`, `known`, `superseded`, int64 microseconds, shape (rows,)."""

    first: Array
    known: Array
    superseded: Array

    def take(self, rows: Array) -> "Spans":
        return Spans(self.first[rows], self.known[rows], self.superseded[rows])

    def both(self, other: "Spans") -> "Spans":
        """When this fact and the other stood together. Spans with `known` not before `superseded` never did."""
        return Spans(
            np.maximum(self.first, other.first),
            np.maximum(self.known, other.known),
            np.minimum(self.superseded, other.superseded),
        )

    @property
    def ever(self) -> Array:
        """Rows that stood at all."""
        return np.flatnonzero(self.known < self.superseded)


class RowsBy:
    """The rows of each entity. `entity`: int64 codes, shape (rows,); rows with code -1 belong to none."""

    def __init__(self, entity: Array, *, order: tuple[Array, ...] = ()) -> None:
        """`order`: further sort keys of the rows of one entity, the first the strongest; else as they come."""
        self.rows = np.lexsort((*reversed(order), entity)) if order else np.argsort(entity, kind="stable")
        self.rows = self.rows[np.searchsorted(entity[self.rows], 0) :]
        size = int(entity.max(initial=-1)) + 1
        self._starts = np.searchsorted(entity[self.rows], np.arange(size + 1))

    def pairs(self, entity: Array) -> tuple[Array, Array]:
        """(question, row) for every row of each asked entity, questions ascending, rows in their order."""
        known = (entity >= 0) & (entity < len(self._starts) - 1)
        start = self._starts[np.where(known, entity, 0)] if len(self._starts) > 1 else np.zeros_like(entity)
        count = np.where(known, self._starts[np.where(known, entity + 1, 0)] - start, 0)
        question = np.repeat(np.arange(len(entity)), count)
        place = np.arange(len(question)) - np.repeat(np.cumsum(count) - count, count)
        return question, self.rows[start[question] + place]


class Totals:
    """Running totals of integer values by entity and time known.

    Args: `entity` int64 codes, shape (rows,), -1 counts for nothing; `spans` of the rows; `values` int64,
    shape (rows, k); `owner` int64 codes of what a row belongs to, for `without`.
    A version that is superseded is taken back by a second, negative row. Sums are modulo 2**64, so running
    totals may wrap without harm as long as an answer itself fits into int64.
    """

    def __init__(self, entity: Array, spans: Spans, values: Array, *, owner: Array | None = None) -> None:
        ended = np.flatnonzero(spans.superseded < FOREVER)
        entity = np.concatenate([entity, entity[ended]])
        first = np.concatenate([spans.first, spans.first[ended]])
        cut = np.concatenate([spans.known, spans.superseded[ended]])
        values = np.concatenate([values, -values[ended]])
        self._rows = (entity, first, cut, values)
        self._by_owner = None if owner is None else RowsBy(np.concatenate([owner, owner[ended]]))
        plain = np.flatnonzero((cut == first) & (entity >= 0))
        self._times, rank = np.unique(first[plain], return_inverse=True)
        self._stride = len(self._times) + 1
        key = entity[plain] * self._stride + rank
        order = np.argsort(key, kind="stable")
        self._keys = key[order]
        self._sums = _running(values[plain][order])
        later = np.flatnonzero((cut != first) & (entity >= 0))
        self._later = _Later(entity[later], first[later], cut[later], values[later]) if len(later) else None

    def before(
        self, entity: Array, as_of: Array, windows: tuple[int | None, ...] = (None,), *, without: Array | None = None
    ) -> Array:
        """Totals of what was known strictly before `as_of`, shape (windows, questions, k), int64.

        A window of w microseconds takes rows first known in [as_of - w, as_of); None takes all.
        `without`: owner codes, shape (questions,), whose rows do not count.
        """
        base = entity * self._stride
        upper = self._sums[np.searchsorted(self._keys, base + np.searchsorted(self._times, as_of))]
        answer = np.empty((len(windows), *upper.shape), dtype=np.int64)
        for place, window in enumerate(windows):
            start = 0 if window is None else np.searchsorted(self._times, as_of - window)
            answer[place] = upper - self._sums[np.searchsorted(self._keys, base + start)]
            if self._later is not None:
                answer[place] += self._later.before(entity, as_of, window)
        if without is not None:
            self._take_out(answer, entity, as_of, windows, without)
        return answer

    def _take_out(
        self, answer: Array, entity: Array, as_of: Array, windows: tuple[int | None, ...], without: Array
    ) -> None:
        if self._by_owner is None:
            raise ValueError("without: these totals were made without owners")
        of, first, cut, values = self._rows
        question, row = self._by_owner.pairs(without)
        mine = (of[row] == entity[question]) & (of[row] >= 0) & (cut[row] < as_of[question])
        question, row = question[mine], row[mine]
        for place, window in enumerate(windows):
            inside = slice(None) if window is None else first[row] >= as_of[question] - window
            np.subtract.at(answer[place], question[inside], values[row[inside]])


class _Later:
    """Rows whose own known time is later than their fact's first: corrections, deletions, late joins.

    A windowed total asks two things at once (known before `as_of`, first known from the window's start), which
    one sorted array cannot answer: rows lie by (entity, known) and each run of 2**level rows is sorted by first.
    """

    def __init__(self, entity: Array, first: Array, cut: Array, values: Array) -> None:
        self._times, rank = np.unique(cut, return_inverse=True)
        self._stride = len(self._times) + 1
        key = entity * self._stride + rank
        order = np.argsort(key, kind="stable")
        self._keys, first, values = key[order], first[order], values[order]
        self._sums = _running(values)
        self._firsts, rank = np.unique(first, return_inverse=True)
        self._width = len(self._firsts) + 1
        self._levels = []
        for level in range(len(order).bit_length()):
            run_key = (np.arange(len(order)) >> level) * self._width + rank
            by_first = np.argsort(run_key, kind="stable")
            self._levels.append((run_key[by_first], _running(values[by_first])))

    def before(self, entity: Array, as_of: Array, window: int | None) -> Array:
        base = entity * self._stride
        low = np.searchsorted(self._keys, base)
        high = np.searchsorted(self._keys, base + np.searchsorted(self._times, as_of))
        if window is None:
            return self._sums[high] - self._sums[low]
        start = np.searchsorted(self._firsts, as_of - window)
        answer = np.zeros((len(entity), self._sums.shape[1]), dtype=np.int64)
        for level, (keys, sums) in enumerate(self._levels):
            left, right = low < high, low < high
            left = left & (low & 1 == 1)
            self._add_run(answer, np.flatnonzero(left), low, start, keys, sums, level)
            low = low + left
            right = (low < high) & (high & 1 == 1)
            high = high - right
            self._add_run(answer, np.flatnonzero(right), high, start, keys, sums, level)
            low, high = low >> 1, high >> 1
        return answer

    def _add_run(
        self, answer: Array, asked: Array, run: Array, start: Array, keys: Array, sums: Array, level: int
    ) -> None:
        from_first = np.searchsorted(keys, run[asked] * self._width + start[asked])
        end = np.minimum((run[asked] + 1) << level, len(keys))
        answer[asked] += sums[end] - sums[from_first]


class Latest:
    """The latest row of each entity by the time its fact was first known, ties by `key`.

    Args: `entity` int64 codes, shape (rows,); `spans`; `key` int64 tie break, the greatest wins; `owner` for `without`.
    """

    def __init__(self, entity: Array, spans: Spans, *, key: Array, owner: Array | None = None) -> None:
        self._rows = np.lexsort((spans.known, key, spans.first, entity))
        self._rows = self._rows[np.searchsorted(entity[self._rows], 0) :]
        self._spans, self._owner = spans, owner
        self._times, rank = np.unique(spans.first[self._rows], return_inverse=True)
        self._stride = len(self._times) + 1
        self._keys = entity[self._rows] * self._stride + rank

    def before(self, entity: Array, as_of: Array, *, without: Array | None = None) -> Array:
        """Row of the latest fact that stood strictly before `as_of`, int64, shape (questions,); -1: none."""
        base = entity * self._stride
        low = np.searchsorted(self._keys, base)
        place = np.searchsorted(self._keys, base + np.searchsorted(self._times, as_of)) - 1
        answer = np.full(len(entity), -1, dtype=np.int64)
        open_ = np.flatnonzero(place >= low)
        while len(open_):  # as many rounds as the longest run of rows that no longer, or do not yet, stand
            row = self._rows[place[open_]]
            good = (self._spans.known[row] < as_of[open_]) & (self._spans.superseded[row] >= as_of[open_])
            if without is not None and self._owner is not None:
                good &= self._owner[row] != without[open_]
            answer[open_[good]] = row[good]
            open_ = open_[~good]
            place[open_] -= 1
            open_ = open_[place[open_] >= low[open_]]
        return answer


def _running(values: Array) -> Array:
    """Sums of the first 0, 1, … rows; shape (rows + 1, k)."""
    sums = np.zeros((len(values) + 1, values.shape[1]), dtype=np.int64)
    np.cumsum(values, axis=0, out=sums[1:])
    return sums
