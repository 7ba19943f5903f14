"""What a source says that the stored histories do not hold yet, and which of it was changed in place.

A row is held where a stored one is the same in every column as its source gave it. A row that takes the place of a
stored one, which is gone from the source, says something else and was not known later by its own word, became known
only now.
"""

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import NO_TIME, Array
from features.contracts import TABLES
from features.errors import ContractViolation
from features.in_place import Side, changed_in_place
from features.stored import INGESTED, KNOWN, OURS
from features.unite import as_written, unite


@dataclass(frozen=True)
class Additions:
    """Rows to store, with INGESTED and, where any was changed in place, KNOWN; how many of them are of which kind."""

    rows: "pa.Table"
    new: int
    changed: int


def additions(
    name: str,
    raw: "pa.Table",
    *,
    source: "pa.Table | None",
    arrived: "pa.Table | None",
    timezone: str,
    now: int,
) -> Additions:
    """`raw`: the table as its source gives it now; `source`, `arrived`: what is stored of it."""
    if taken := [column for column in OURS if column in raw.column_names]:
        raise ContractViolation(f"{name}.{taken[0]}: the name is one of ours; call the column something else")
    held = raw.slice(0, 0) if source is None else source
    both = unite(name, [_plain(held), raw])
    stored, given = both.slice(0, held.num_rows), both.slice(held.num_rows)
    known = np.asarray(held[KNOWN].fill_null(NO_TIME)) if KNOWN in held.column_names else np.full(len(held), NO_TIME)
    new = np.sort(rows_not_in(given, stored))
    told, changed = np.full(len(new), NO_TIME), 0
    if (len(new) and (held.num_rows or arrived is not None)) or (known != NO_TIME).any():
        moments, changed = _changes(name, given, stored, arrived, new=new, known=known, timezone=timezone, now=now)
        new = np.array(sorted({*new.tolist(), *moments}), dtype=np.int64)
        told = np.array([moments.get(place, NO_TIME) for place in new.tolist()], dtype=np.int64)
    made = raw.take(pa.array(new, pa.int64()))
    made = made.append_column(INGESTED, pa.array(np.full(len(new), now, dtype=np.int64)))
    if (told != NO_TIME).any():
        made = made.append_column(KNOWN, pa.array(told, pa.int64(), mask=told == NO_TIME))
    return Additions(made, len(new) - changed, changed)


def rows_not_in(rows: "pa.Table", held: "pa.Table", *, once: bool = True) -> Array:
    """Places of the rows that are not among `held`; null equals null. `once`: of several equal ones the first.

    Both have the same columns of the same types.
    """
    if not rows.num_rows:
        return np.empty(0, dtype=np.int64)
    names = [f"c{number}" for number in range(rows.num_columns)]
    ours, theirs = (_comparable(table).rename_columns(names) for table in (rows, held))
    same = " and ".join(f"held.{one} is not distinct from ours.{one}" for one in names)
    apart = f"where not exists (from held where {same})" if held.num_rows else ""
    asked = f"from ours select min(place) as place {apart} group by {', '.join(names) if once else 'place'}"
    with duckdb.connect() as connection:
        connection.register("ours", ours.append_column("place", pa.array(np.arange(rows.num_rows))))
        connection.register("held", theirs)
        found = connection.execute(asked).fetchnumpy()["place"]
    return np.asarray(found, dtype=np.int64)


def _changes(
    name: str,
    given: "pa.Table",
    stored: "pa.Table",
    arrived: "pa.Table | None",
    *,
    new: Array,
    known: Array,
    timezone: str,
    now: int,
) -> tuple[dict[int, int], int]:
    """Of rows of `given` that were changed in place, by place, when they became known; how many changes.

    Only rows that share an id of the key with one that is new, or with one that was changed before, are looked at.
    """
    of_key = [one.name for one in TABLES[name].columns if one.name in TABLES[name].key and one.kind == "id"]
    column = next((one for one in of_key if one in given.column_names), None)
    mine, theirs = np.arange(given.num_rows), np.arange(stored.num_rows)
    if column is not None:
        ids, of_stored = as_written(given[column]), as_written(stored[column])
        changed = of_stored.filter(pa.array(known != NO_TIME))
        asked = pa.concat_arrays([ids.take(pa.array(new)), changed]).unique()
        mine, theirs = (np.flatnonzero(pc.is_in(text, value_set=asked)) for text in (ids, of_stored))
        if arrived is not None and column in arrived.column_names:
            arrived = arrived.filter(pc.is_in(as_written(arrived[column]), value_set=asked))
    ours, held = given.take(pa.array(mine)), stored.take(pa.array(theirs))
    gone = np.zeros(len(theirs), dtype=bool)
    gone[rows_not_in(held, ours, once=False)] = True
    moments, changes = changed_in_place(
        Side.of(name, ours, timezone),
        Side.of(name, held, timezone, known=known[theirs]),
        None if arrived is None else Side.of(name, _plain(arrived), timezone),
        new=np.isin(mine, new),
        gone=gone,
        ours=known[theirs] != NO_TIME,
        now=now,
    )
    return {int(mine[place]): moment for place, moment in moments.items()}, changes


def _plain(rows: "pa.Table") -> "pa.Table":
    return rows.drop_columns([name for name in OURS if name in rows.column_names])


def _comparable(rows: "pa.Table") -> "pa.Table":
    """With columns of odd types as text, and no dictionaries."""
    columns = [column if _is_plain(column.type) else as_written(column) for column in rows.columns]
    return pa.table(columns, names=[str(number) for number in range(len(columns))])


def _is_plain(kind: "pa.DataType") -> bool:
    types = pa.types
    some = (types.is_integer, types.is_boolean, types.is_timestamp, types.is_date, types.is_string, types.is_null)
    return any(is_one(kind) for is_one in (*some, types.is_large_string)) or kind in (pa.float32(), pa.float64())
