"""What the histories hold of one lot, as rows that a person can read."""

from typing import Any

import numpy as np

from features.asked import rows_by_lot, usable_uses
from features.asof import NO_TIME, Array, before, stands
from features.contracts import TABLES, Column
from features.histories import Histories, Table
from features.judgements import lot_rows, there

Row = dict[str, Any]


def own_row(histories: Histories, lot: int, as_of: int) -> Row | None:
    """The lot's own row that is the question at `as_of`, with its attributes; None: there is no such lot then.

    A shipment that is not before `as_of` is null.
    """
    at = np.array([lot]), np.array([as_of])
    if not there(histories, *at)[0]:
        return None
    own = _readable(histories, histories["lots"], int(lot_rows(histories, *at)[0]))
    if own.get("shipped_at") is not None and not before(own["shipped_at"], as_of):
        own["shipped_at"] = None
    return own


def rows_of_lot(histories: Histories, table: str, lot: int, *, as_of: int, replaced: bool = False) -> list[Row]:
    """Rows of a table about a lot that may be used at `as_of`, in order of time; `replaced`: by then, too.

    Ids and texts as text, times in microseconds, null as None. `lot`: its code; -1 has no rows.
    """
    if table not in histories or lot < 0:
        return []
    held = histories[table]
    every = rows_by_lot(histories, table).pairs(np.array([lot]))[1]
    told = before(held.known[every], as_of) if replaced else stands(held.known[every], held.superseded[every], as_of)
    rows = every[told]
    if table == "genealogy":
        rows = np.union1d(rows, usable_uses(histories, np.array([lot]), np.array([as_of]))[1])
    happened = TABLES[table].happened
    if held.has(happened):
        rows = rows[np.argsort(held[happened][rows], kind="stable")]
    return [_readable(histories, held, row) for row in rows.tolist()]


def readable(histories: Histories, table: str, row: int) -> Row:
    """One row of a table, in its place there."""
    return _readable(histories, histories[table], row)


def _readable(histories: Histories, table: Table, row: int) -> Row:
    shown = {
        column.name: _shown(histories, table, column, table[column.name][row])
        for column in TABLES[table.name].columns
        if table.has(column.name)
    }
    for name in table.attributes:
        value = table[name][row]
        if name in table.texts:
            shown[name] = None if value < 0 else table.texts[name].texts[int(value)]
        else:
            shown[name] = None if np.isnan(value) else float(value)
    return shown


def _shown(histories: Histories, table: Table, column: Column, value: Array) -> Any:
    if column.kind in ("id", "text"):
        vocabulary = histories.ids[column.of] if column.kind == "id" else table.texts[column.name]
        return None if value < 0 else vocabulary.texts[int(value)]
    if column.kind == "number":
        return None if np.isnan(value) else float(value)
    if column.kind == "time":
        return None if value == NO_TIME else int(value)
    return None if value < 0 and column.kind in ("count", "flag") else int(value)
