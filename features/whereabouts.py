"""Where the units of a lot are: in the house, shipped to whom, returned."""

from dataclasses import dataclass

import numpy as np

from features.asked import rows_by_lot
from features.asof import FOREVER, NO_TIME, Array, before, stands
from features.histories import Histories
from features.shipments import by_lot, shipments_of

PLACES = ("in_house", "shipped", "returned")


@dataclass(frozen=True)
class Whereabouts:
    """One row a lot, place and customer with units there; in order of lot, then shipped, returned, in the house.

    `of`: the lot's place among those asked, `place` in PLACES, `customer` code (-1: not said, or none), `units`; `at`
    and `last`: when the first and the last of them shipped or came back, NO_TIME: in the house.
    """

    of: Array
    place: Array
    customer: Array
    units: Array
    at: Array
    last: Array


def whereabouts(histories: Histories, lot: Array, quantity: Array, as_of: int) -> Whereabouts:
    """Of each asked lot, a code, of so many units, as known strictly before `as_of`.

    What was taken back or returned is taken off the customer it came from; where that customer is not said, or never
    got so much, off the others in the order in which they were shipped to.
    """
    out, back = _shipped(histories, lot, as_of), _returned(histories, lot, as_of)
    shipped = np.bincount(out.of, out.units, len(lot)).astype(np.int64)
    kept = np.maximum(quantity - shipped, 0)
    there = _still_there(out, back, len(lot))
    returned = _grouped(back)
    stays = np.flatnonzero(kept > 0)
    nobody, never = np.full(len(stays), -1), np.full(len(stays), NO_TIME)
    parts = [
        (there, 1),
        (returned, 2),
        (_Moved(stays, nobody, kept[stays], never, never), 0),
    ]
    of = np.concatenate([moved.of for moved, _ in parts])
    place = np.concatenate([np.full(len(moved.of), number) for moved, number in parts])
    order = np.argsort(of, kind="stable")
    rest = [
        np.concatenate([getattr(moved, name) for moved, _ in parts]) for name in ("customer", "units", "at", "last")
    ]
    return Whereabouts(of[order], place[order], *(column[order] for column in rest))


@dataclass(frozen=True)
class _Moved:
    of: Array
    customer: Array
    units: Array
    at: Array
    last: Array


def _shipped(histories: Histories, lot: Array, as_of: int) -> _Moved:
    moved = shipments_of(histories)
    of, row = by_lot(histories).pairs(lot)
    known = stands(moved.spans.known[row], moved.spans.superseded[row], as_of) & before(moved.shipped_at[row], as_of)
    of, row = of[known], row[known]
    at = moved.shipped_at[row]
    return _Moved(of, moved.customer[row], moved.quantity[row], at, at)


def _returned(histories: Histories, lot: Array, as_of: int) -> _Moved:
    if "returns" not in histories:
        none = np.empty(0, dtype=np.int64)
        return _Moved(none, none, none, none, none)
    table = histories["returns"]
    of, row = rows_by_lot(histories, "returns").pairs(lot)
    known = stands(table.known[row], table.superseded[row], as_of)
    of, row = of[known], row[known]
    customer = table["customer_id"][row] if table.has("customer_id") else np.full(len(row), -1)
    at = table["reported_at"][row]
    return _Moved(of, customer, table["quantity"][row], at, at)


def _still_there(out: _Moved, back: _Moved, lots: int) -> _Moved:
    """By lot and customer what was shipped and has not come back."""
    sent = out.units > 0
    size = len(back.of)
    never = np.full(size, FOREVER)
    both = _Moved(
        np.concatenate([out.of, back.of]),
        np.concatenate([out.customer, back.customer]),
        np.concatenate([out.units, -back.units]),
        np.concatenate([np.where(sent, out.at, FOREVER), never]),
        np.concatenate([np.where(sent, out.last, NO_TIME), np.full(size, NO_TIME)]),
    )
    net = _grouped(both)
    over = np.bincount(net.of, np.minimum(net.units, 0), lots).astype(np.int64)  # taken back of what nobody has
    order = np.lexsort((net.customer, net.at, net.of))
    order = order[net.units[order] > 0]
    of, units = net.of[order], net.units[order]
    sums = np.cumsum(units) - units
    first = np.searchsorted(of, of)
    earlier = sums - sums[first] if len(sums) else sums
    units = units - np.clip(-over[of] - earlier, 0, units)
    left = units > 0
    order = order[left]
    return _Moved(of[left], net.customer[order], units[left], net.at[order], net.last[order])


def _grouped(moved: _Moved) -> _Moved:
    """One row a lot and customer."""
    many = int(moved.customer.max(initial=-1)) + 2
    key, group = np.unique(moved.of * many + moved.customer + 1, return_inverse=True)
    units = np.zeros(len(key), dtype=np.int64)
    np.add.at(units, group, moved.units)
    at, last = np.full(len(key), FOREVER), np.full(len(key), NO_TIME)
    np.minimum.at(at, group, moved.at)
    np.maximum.at(last, group, moved.last)
    return _Moved(key // many, key % many - 1, units, at, last)
