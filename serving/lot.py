"""Everything that is known about one lot."""

from typing import Any

import numpy as np

from features.card import iso
from features.contracts import TABLES
from features.held import Row, own_row, readable, rows_of_lot
from features.histories import Histories
from features.supplies import rows_of_supplies
from features.traced import rows_naming

TABLES_OF_A_LOT = ("measurements", "shipments", "returns", "dispositions", "outcomes")
_OF_SUPPLIES = ("supplier_id", "material_id", "material_group", "received_at")


def what_is_known(histories: Histories, lot_id: str, as_of: int) -> dict[str, Any] | None:
    """The lot's own row and its rows in every table as known strictly before `as_of`; None: no such lot then."""
    code = histories.ids["lot"].code(lot_id)
    own = own_row(histories, code, as_of)
    if own is None:
        return None
    known: dict[str, Any] = {
        "lot_id": lot_id,
        "lot": _wire("lots", own),
        "genealogy": _genealogy(histories, code, as_of),
    }
    for table in TABLES_OF_A_LOT:
        rows = rows_of_lot(histories, table, code, as_of=as_of)
        known[table] = [{k: v for k, v in _wire(table, row).items() if k != "lot_id"} for row in rows]
    for row in known["measurements"]:
        row["within"] = _within(row)
    return known


def lots_with(histories: Histories, supplier_lot: str) -> frozenset[str]:
    """Lots that a supplier lot went into, by any row that stands or stood."""
    if "genealogy" not in histories:
        return frozenset()
    rows = rows_naming(histories, histories.ids["supplier_lot"].code(supplier_lot))
    texts = histories.ids["lot"].texts
    return frozenset(texts[lot] for lot in np.unique(histories["genealogy"]["lot_id"][rows]).tolist())


def _genealogy(histories: Histories, lot: int, as_of: int) -> list[Row]:
    """Its entries, each with what is known of the supplier lot."""
    rows = [_wire("genealogy", row) for row in rows_of_lot(histories, "genealogy", lot, as_of=as_of)]
    for row in rows:
        supply = _supplier_lot(histories, row["supplier_lot_id"], as_of)
        row |= {name: supply.get(name) for name in _OF_SUPPLIES}
        row.setdefault("quantity", None)
        row.setdefault("consumed_at", None)
        del row["lot_id"]
    return rows


def _supplier_lot(histories: Histories, supplier_lot: str, as_of: int) -> Row:
    code = histories.ids["supplier_lot"].code(supplier_lot)
    row = int(rows_of_supplies(histories, np.array([code]), np.array([as_of]))[0])
    return {} if row < 0 else _wire("supplier_lots", readable(histories, "supplier_lots", row))


def _wire(table: str, row: Row) -> Row:
    """Times as ISO 8601, and every column of the contract there."""
    shown: Row = {}
    for column in TABLES[table].columns:
        value = row.get(column.name)
        shown[column.name] = iso(value) if column.kind == "time" and value is not None else value
    return shown | {name: value for name, value in row.items() if name not in shown}


def _within(row: Row) -> bool | None:
    """Whether the value is within its limits; None where there are none."""
    value, lower, upper = (row[name] for name in ("value", "lower_spec", "upper_spec"))
    if value is None or (lower is None and upper is None):
        return None
    return bool((lower is None or value >= lower) and (upper is None or value <= upper))
