"""Rows that have arrived and that the histories do not show yet: no lot is decided about without those about it.

A line that sends a measurement and asks at once must not get an answer that has not seen it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from pydantic_core import from_json

from features.arrivals import read_arrivals
from features.catalogue import ARRIVALS
from features.customers import customers_of
from features.held import own_row
from features.histories import Histories
from serving.answers import Call
from serving.lot import lots_with

_ABOUT = {
    "lots": "lot_id",
    "measurements": "lot_id",
    "genealogy": "lot_id",
    "shipments": "lot_id",
    "dispositions": "lot_id",
    "outcomes": "lot_id",
    "supplier_lots": "supplier_lot_id",
    "inspections": "supplier_lot_id",
    "customers": "customer_id",
}
"""Tables that a rule or a lot's own features look at, and whom a row of each is about."""
MOST = 2000  # rows; more than come in the two seconds until they count are about everybody
_ASKED = (
    sa.select(ARRIVALS.c.id, ARRIVALS.c.version, ARRIVALS.c.table, ARRIVALS.c.row)
    .where(ARRIVALS.c.id > sa.bindparam("after"), ARRIVALS.c.table.in_(tuple(_ABOUT)))
    .order_by(ARRIVALS.c.id)
    .limit(MOST + 1)
)


@dataclass(frozen=True)
class Row:
    """An arrival that does not count yet, whom it is about ("": everybody), and what it says where that is there."""

    id: int
    version: bytes
    table: str
    about: str
    said: Mapping[str, Any]


Pending = Sequence[Row]


def pending(connection: sa.Connection, after: int) -> Pending:
    """The rows with a number above `after`, the highest that the histories stand on."""
    found: list[Row] = []
    for number, version, table, told in connection.execute(_ASKED, {"after": after}):
        # A row that is folded meanwhile, or a deletion by another key, does not say whom it is about: everybody.
        said = {} if told is None else from_json(told)
        about = "" if len(found) == MOST else str(said.get(_ABOUT[table], ""))
        found.append(Row(number, bytes(version), table, about, said))
    return found


def about(rows: Pending, call: Call, histories: Histories, *, timezone: str, now: int) -> dict[str, int]:
    """By lot of the call, the highest number of a row about it that the call itself does not tell."""
    found: dict[str, int] = {}
    for lot in call.lots if rows else ():
        record, lot_id = lot if isinstance(lot, Mapping) else None, named(lot)
        if lot_id is None:
            continue
        told = set() if record is None else set(_versions(record, lot_id, timezone=timezone, now=now))
        ask = any(row.table == "customers" for row in rows)
        customers = _customers(record, lot_id, histories, now) if ask else frozenset[str]()
        for row in rows:
            if row.version not in told and _is_about(row, lot_id, record, customers, histories):
                found[lot_id] = max(found.get(lot_id, 0), row.id)
    return found


def apart(calls: Iterable[Call]) -> list[int]:
    """How many calls, in order, are decided at a time: none with an earlier one that tells a row about a lot of it."""
    sizes: list[int] = []
    told: set[str | None] = set()
    for call in calls:
        if not sizes or not told.isdisjoint(map(named, call.lots)):
            sizes.append(0)
            told = set()
        sizes[-1] += 1
        told |= {named(lot) for lot in call.lots if isinstance(lot, Mapping)} - {None}
    return sizes


def named(lot: Any) -> str | None:
    """The id of a lot of a call; None: it says none."""
    if isinstance(lot, str):
        return lot
    own = lot.get("lot") if isinstance(lot, Mapping) else None
    return _id(own.get("lot_id")) if isinstance(own, Mapping) else None


def _is_about(
    row: Row, lot_id: str, record: Mapping[str, Any] | None, customers: Collection[str], histories: Histories
) -> bool:
    of = _ABOUT[row.table]
    if not row.about:
        return True
    if of == "lot_id":
        return row.about == lot_id
    if of == "customer_id":
        return row.about in customers
    uses = () if record is None else record.get("genealogy") or ()
    named = any(isinstance(use, Mapping) and _id(use.get("supplier_lot_id")) == row.about for use in uses)
    return named or lot_id in lots_with(histories, row.about)


def _id(said: Any) -> str | None:
    """An id as the contract reads it: a whole number is its digits; None: it is none."""
    return str(said) if isinstance(said, str | int) and not isinstance(said, bool) else None


def _customers(record: Mapping[str, Any] | None, lot_id: str, histories: Histories, now: int) -> set[str]:
    """Those that the rule `customer_hold` looks at: of its record, of its row, of its shipments."""
    lot = histories.ids["lot"].code(lot_id)
    own = {} if record is None else record["lot"]
    told = [_id(row.get("customer_id")) for row in (own, own_row(histories, lot, now) or {})]
    _, shipped = customers_of(histories, np.array([lot]), np.array([-1]), np.array([now]))
    return {name for name in (*told, *histories.ids["customer"].decode(shipped)) if name is not None}


def _versions(record: Mapping[str, Any], lot_id: str, *, timezone: str, now: int) -> Iterable[bytes]:
    """Of the rows that a record tells: they are in the question already."""
    for table in ("lots", "measurements", "genealogy"):
        rows = [record["lot"]] if table == "lots" else record.get(table)
        if isinstance(rows, list):
            sent = [{"lot_id": lot_id, **row} if isinstance(row, dict) else row for row in rows]
            read, _ = read_arrivals(table, sent, known_attributes=None, timezone=timezone, now=now)
            yield from (arrival.version for _, arrival in read)
