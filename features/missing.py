"""Tables and columns that a layout speaks of and a site does not have (any more): empty, and null."""

from dataclasses import replace

import numpy as np

from features.asof import NO_TIME
from features.contracts import TABLES, Column, TableContract
from features.histories import Array, Histories, Table, Vocabulary
from features.layout import Layout

_NULL = {"id": -1, "text": -1, "count": -1, "flag": -1, "units": 0, "time": NO_TIME}
_MEANS_SOMETHING = ("shipments",)  # without the table each lot is one shipment of its own


def with_what_is_missing(histories: Histories, layout: Layout) -> Histories:
    """The same histories with every table and every canonical column that the layout may ask for."""
    return histories.once(("with what is missing", layout.tables), lambda: _completed(histories, layout))


def _completed(histories: Histories, layout: Layout) -> Histories:
    tables = dict(histories.tables)
    for name in set(layout.tables) - set(_MEANS_SOMETHING):
        contract = TABLES[name]
        tables[name] = _with_columns(contract, tables.get(name, _empty(contract)))
    kinds = {column.of for contract in TABLES.values() for column in contract.columns if column.kind == "id"}
    ids = {**{kind: Vocabulary([]) for kind in kinds}, **histories.ids}
    return replace(histories, tables=tables, ids=ids)  # what was made, now and earlier, holds for both


def _empty(contract: TableContract) -> Table:
    none = np.empty(0, dtype=np.int64)
    return Table(contract.name, {}, none, none, none)


def _with_columns(contract: TableContract, table: Table) -> Table:
    missing = [column for column in contract.columns if not table.has(column.name)]
    columns = {column.name: _nulls(column, len(table)) for column in missing}
    texts = {column.name: Vocabulary([]) for column in missing if column.kind == "text"}
    return replace(table, columns={**table.columns, **columns}, texts={**table.texts, **texts})


def _nulls(column: Column, rows: int) -> Array:
    """One value seen as many: a column that is not there takes no room."""
    null = np.array(np.nan) if column.kind == "number" else np.array(_NULL[column.kind], dtype=np.int64)
    return np.broadcast_to(null, rows)
