"""The limits last known of a product's characteristic, from the measurements of other lots.

What a source says counts. Where no source has told limits of a product's characteristic, what arrived does: else two
records of one line would make its own limits the known ones.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from features.asof import FOREVER, Array, Latest, Spans
from features.histories import Histories, Table
from features.order import RowsBy, in_order
from features.shipments import spans_of

ARRIVED = "arrived"
"""A column of measurements that arrived: whether no source says the row."""


@dataclass(frozen=True)
class _Facts:
    """Measurements with limits under a product: `entity` code of both, limits (NaN: none), `owner` the lot."""

    entity: Array
    spans: Spans
    lower: Array
    upper: Array
    owner: Array

    def take(self, rows: Array) -> "_Facts":
        return _Facts(self.entity[rows], self.spans.take(rows), self.lower[rows], self.upper[rows], self.owner[rows])


def prepare(histories: Histories) -> None:
    """Makes what `known_limits` looks at, so that no question waits for it."""
    none = np.empty(0, dtype=np.int64)
    known_limits(histories, none, none, none, without=none)


Lookup = tuple[Latest, Array, Array]
"""Whose row is the last one, and the limits of the rows."""


def known_limits(
    histories: Histories, product: Array, characteristic: Array, as_of: Array, *, without: Array
) -> tuple[Array, Array]:
    """(lower, upper) of the last measurement with limits known strictly before `as_of`, NaN: none; shape (questions,).

    Last is what was first known last, of several at one moment the narrowest. `without`: lots whose own do not count.
    """
    lower, upper = np.full(len(as_of), np.nan), np.full(len(as_of), np.nan)
    if not {"measurements", "lots"} <= set(histories.tables):
        return lower, upper
    many = len(histories.ids["characteristic"])
    entity = np.where((product >= 0) & (characteristic >= 0), product * many + characteristic, -1)
    lookups: tuple[Lookup, ...] = histories.once(
        "limits", lambda: _lookups(histories, many), of=("lots", "measurements")
    )
    for latest, lows, highs in lookups:
        row = latest.before(entity, as_of, without=without)
        found = row >= 0
        lower[found], upper[found] = lows[row[found]], highs[row[found]]
        entity = np.where(found, -1, entity)
    return lower, upper


def _lookups(histories: Histories, many: int) -> tuple[Lookup, ...]:
    """Of what sources say, then of what arrived."""
    table = histories["measurements"]
    lower, upper = _numbers(table, "lower_spec"), _numbers(table, "upper_spec")
    limited = ~(np.isnan(lower) & np.isnan(upper)) & (table["characteristic"] >= 0)
    arrived = table[ARRIVED] if table.has(ARRIVED) else np.zeros(len(table), dtype=bool)
    return tuple(
        _lookup(_facts(histories, np.flatnonzero(limited & of), many, lower, upper)) for of in (~arrived, arrived)
    )


def _facts(histories: Histories, rows: Array, many: int, lower: Array, upper: Array) -> _Facts:
    """Each row under the product that its lot had while both stood."""
    table = histories["measurements"]
    lots, product, stood = _products(histories["lots"])
    question, lot = RowsBy(lots).pairs(table["lot_id"][rows])
    row = rows[question]
    entity = product[lot] * many + table["characteristic"][row]
    spans = spans_of(table).take(row).both(stood.take(lot))
    facts = _Facts(entity, spans, lower[row], upper[row], table["lot_id"][row])
    return facts.take(spans.ever)


def _products(lots: Table) -> tuple[Array, Array, Spans]:
    """(lot, its product, while it had it): versions that follow one another with the same product are one."""
    order = in_order(lots["lot_id"], lots.known)
    lot, product, spans = lots["lot_id"][order], lots["product_id"][order], spans_of(lots).take(order)
    starts = np.ones(len(lot), dtype=bool)
    same = (lot[1:] == lot[:-1]) & (product[1:] == product[:-1])
    starts[1:] = ~(same & (spans.known[1:] == spans.superseded[:-1]))
    begin = np.flatnonzero(starts)
    end = np.append(begin[1:], len(lot))[: len(begin)] - 1
    return lot[begin], product[begin], Spans(spans.first[begin], spans.known[begin], spans.superseded[end])


def _lookup(facts: _Facts) -> Lookup:
    narrow = _narrowness(facts.lower, facts.upper)
    order = in_order(facts.entity, facts.spans.first, narrow)
    facts, narrow = facts.take(order), narrow[order]
    kept = np.flatnonzero(_kept(facts))
    facts, narrow = facts.take(kept), narrow[kept]
    return Latest(facts.entity, facts.spans, key=narrow, owner=facts.owner), facts.lower, facts.upper


def _narrowness(lower: Array, upper: Array) -> Array:
    """A rank of each pair of limits, the narrowest has the highest; ranked are the few pairs that there are."""
    (low, lows), (high, highs) = _coded(lower), _coded(upper)
    (pair, pairs) = _coded(low * len(highs) + high)
    low, high = pairs // max(len(highs), 1), pairs % max(len(highs), 1)
    with np.errstate(invalid="ignore", over="ignore"):
        width = highs[high] - lows[low]
    order = np.lexsort((-highs[high], lows[low], -np.where(np.isnan(width), np.inf, width)))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[pair]


def _coded(values: Array) -> tuple[Array, Array]:
    """(place of each among the distinct values, those)"""
    coded: Any = pa.array(values).dictionary_encode()
    codes: Array = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, coded.dictionary.to_numpy()


def _kept(facts: _Facts) -> Array:
    """Rows that may be the answer, of rows in order: one that repeats the limits of two other lots before it is none.

    Whatever lot asks, one of those two gives the same limits; so a million rows become a few.
    """
    simple = (facts.spans.known == facts.spans.first) & (facts.spans.superseded == FOREVER)
    starts = np.ones(len(facts.entity), dtype=bool)
    starts[1:] = facts.entity[1:] != facts.entity[:-1]
    for limit in (facts.lower, facts.upper):
        starts[1:] |= (limit[1:] != limit[:-1]) & ~(np.isnan(limit[1:]) & np.isnan(limit[:-1]))
    run = np.cumsum(starts) - 1
    plain = np.flatnonzero(simple)
    kept: Array = ~simple
    for _ in range(2):  # of each run the first, then the first of another lot
        runs, place = np.unique(run[plain], return_index=True)
        first = plain[place]
        kept[first] = True
        owner = np.full(int(run.max(initial=-1)) + 1, -1)
        owner[runs] = facts.owner[first]
        plain = plain[facts.owner[plain] != owner[run[plain]]]
    return kept


def _numbers(table: Table, column: str) -> Array:
    return table[column] if table.has(column) else np.full(len(table), np.nan)
