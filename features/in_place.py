"""Which rows of a source were changed in place since they were stored: by key and content, as the contract reads."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from features.asof import NO_TIME, Array, before
from features.columns import read_flags, read_numbers, read_text, read_whole
from features.contracts import TABLES
from features.times import read_times
from features.unite import as_written

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Side:
    """Rows as the contract reads them: key, what each says (a deletion: None), when it was known (NO_TIME: always)."""

    key: list[Key]
    said: list[dict[str, Any] | None]
    known: list[int]

    @classmethod
    def of(cls, name: str, rows: "pa.Table", timezone: str, *, known: Array | None = None) -> "Side":
        """`known`: of those rows of which we know better than they say, when; else NO_TIME."""
        contract = TABLES[name]
        own = _known(name, rows, timezone)
        if known is not None:
            own = np.where(known == NO_TIME, own, known)
        nothing = [None] * rows.num_rows
        columns = {one.name: _read(name, one.name, rows, timezone) for one in contract.columns}
        key = [columns[column] for column in contract.key]
        columns.pop("known_at", None)
        if contract.open_ended:
            extras = sorted(set(rows.column_names) - set(columns) - {"known_at", "deleted"})
            columns |= {column: as_written(rows[column]).to_pylist() for column in extras}
        gone = read_flags(rows["deleted"]).values.tolist() if "deleted" in rows.column_names else nothing
        said = [
            None if dead == 1 else {c: value for c, value in zip(columns, values, strict=True) if value is not None}
            for dead, *values in zip(gone, *columns.values(), strict=True)
        ]
        return cls(list(zip(*key, strict=True)), said, own.tolist())


def changed_in_place(
    given: Side, stored: Side, arrived: Side | None, *, new: Array, gone: Array, ours: Array, now: int
) -> tuple[dict[int, int], int]:
    """Rows of `given` to store as known at a moment that they do not say, by place; how many of them are changes.

    `new`: of `given`, whether no stored row is the same. Of `stored`, `gone`: whether the source has it no more,
    `ours`: whether it was changed in place itself. All bool.
    """
    replaced: dict[Key, list[tuple[int, int]]] = {}
    lasting: dict[Key, int] = {}
    for number, (key, at) in enumerate(zip(stored.key, stored.known, strict=True)):
        if gone[number]:
            replaced.setdefault(key, []).append((at, number))
        else:
            lasting[key] = max(at, lasting.get(key, NO_TIME))
    came = (
        {}
        if arrived is None
        else {(k, at): n for n, (k, at) in enumerate(zip(arrived.key, arrived.known, strict=True))}
    )
    changes = _Changes(now)
    for place, (key, at) in enumerate(zip(given.key, given.known, strict=True)):
        rivals = [one for one in replaced.get(key, ()) if not before(one[0], at)]
        if new[place]:
            last = stored.said[max(rivals)[1]] if rivals else None
            known = max(rivals)[0] if rivals else at
            if not rivals and (key, at) in came:
                rivals, last = [(at, 0)], arrived.said[came[key, at]]  # type: ignore[union-attr]
            if rivals:
                changes.add(key, place, at, known, same=last == given.said[place], again=False)
        else:
            since = lasting.get(key, NO_TIME)
            rivals = [one for one in rivals if ours[one[1]] and before(since, one[0])]
            if rivals and stored.said[max(rivals)[1]] != given.said[place]:
                changes.add(key, place, at, max(rivals)[0], same=False, again=True)
    return changes.moments()


class _Changes:
    """Gathers changes by key, so that several of one key stay in the order in which they were known."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._told: dict[int, int] = {}
        self._by_key: dict[Key, list[tuple[int, int, int, bool]]] = {}

    def add(self, key: Key, place: int, at: int, known: int, *, same: bool, again: bool) -> None:
        """`known`: of the row whose place it takes; `same`: it says the same; `again`: it was held before."""
        if not same:
            self._by_key.setdefault(key, []).append((at, place, known, again))
        elif known != at:
            self._told[place] = known

    def moments(self) -> tuple[dict[int, int], int]:
        count = 0
        for changes in self._by_key.values():
            fresh = [one for one in changes if not one[3]]
            # Of rows that were held before, the last is what the source went back to, if nothing new says otherwise.
            some = fresh or [max(changes)]
            start = max(self._now, *(known + 1 for _, _, known, _ in some))
            order = sorted({at for at, *_ in some})
            self._told |= {place: start + order.index(at) for at, place, _, _ in some}
            count += len(some)
        return self._told, count


def _known(name: str, rows: "pa.Table", timezone: str) -> Array:
    known = np.full(rows.num_rows, NO_TIME)
    for column in (TABLES[name].known, "known_at"):
        if column in rows.column_names:
            told = read_times(rows[column], timezone).known
            known = np.where(told == NO_TIME, known, told)
    return known


def _read(name: str, column: str, rows: "pa.Table", timezone: str) -> list[Any]:
    """A canonical column as values; None for null and for what is none of its kind."""
    contract = TABLES[name].column(column)
    default = None if contract is None else contract.default
    if contract is None or column not in rows.column_names:
        return [default] * rows.num_rows
    values = rows[column]
    if contract.kind in ("id", "text"):
        return list(read_text(values).to_pylist())
    if contract.kind == "time":
        happened = read_times(values, timezone).happened.tolist()
        return [None if one == NO_TIME else one for one in happened]
    if contract.kind == "flag":
        return [None if one < 0 else one for one in read_flags(values).values.tolist()]
    read = read_numbers(values) if contract.kind == "number" else read_whole(values)
    return [
        default if null else one
        for one, null in zip(read.values.tolist(), (read.null | read.bad).tolist(), strict=True)
    ]
