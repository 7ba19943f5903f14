"""What is known about products, lines, customers, suppliers: facts about lots, gathered by entity.

A fact about a lot counts for the lot's product only while both the fact and the lot's own row stand, for a supplier
only while the genealogy and the supplier lot's row stand too: a join of spans, so late news act when they come.
"""

from dataclasses import dataclass

import numpy as np

from features.asof import Array, Latest, RowsBy, Spans, Totals, hours
from features.histories import Histories
from features.layout import Layout
from features.shipments import shipments_of, spans_of
from features.verdicts import settled

PLANT, PRODUCT, LINE, CUSTOMER, LOT = "plant", "product", "line", "customer", "lot"
SUPPLIER_LOT, SUPPLIER, MATERIAL = "supplier_lot", "supplier", "material"
OF_LOTS = (PLANT, PRODUCT, LINE, CUSTOMER)
OF_SUPPLIES = (SUPPLIER_LOT, SUPPLIER, MATERIAL)


@dataclass(frozen=True)
class Facts:
    """Facts about lots: `lot` codes, integer `values` of shape (rows, k), `spans`; `customer` codes where told."""

    lot: Array
    values: Array
    spans: Spans
    customer: Array | None = None


def outcomes_of(histories: Histories, layout: Layout) -> Facts:
    """Judged lots whose outcome is settled; values: (1, failed)."""
    if layout.rules.label.source == "outcomes":
        table = histories["outcomes"]
        values = np.stack([np.ones(len(table), dtype=np.int64), table["failed"]], axis=1)
        return Facts(table["lot_id"], values, spans_of(table))
    done = settled(histories, layout.rules, delay=layout.delay)
    values = np.stack([np.ones(len(done.lot), dtype=np.int64), done.failed], axis=1)
    return Facts(done.lot, values, Spans(done.known, done.known, np.full(len(done.lot), np.iinfo(np.int64).max)))


def exposure_of(histories: Histories) -> Facts:
    """Units in the field; values: (units, units x hour they came or went, returned units).

    Units at risk by t are the first sum, unit-hours by t are hours(t) x the first sum - the second.
    """
    shipped = shipments_of(histories)
    none = np.zeros(len(shipped.lot), dtype=np.int64)
    lot, customer, spans = shipped.lot, shipped.customer, shipped.spans
    values = np.stack([shipped.quantity, shipped.quantity * hours(shipped.shipped_at), none], axis=1)
    if "returns" in histories:
        table = histories["returns"]
        units = table["quantity"]
        lot = np.concatenate([lot, table["lot_id"]])
        told = table["customer_id"] if table.has("customer_id") else np.full(len(table), -1)
        customer = np.concatenate([customer, told])
        back = spans_of(table)
        spans = Spans(
            np.concatenate([spans.first, back.first]),
            np.concatenate([spans.known, back.known]),
            np.concatenate([spans.superseded, back.superseded]),
        )
        went = np.stack([-units, -units * hours(table["occurred_at"]), units], axis=1)
        values = np.concatenate([values, went])
    return Facts(lot, values, spans, customer)


def returns_of(histories: Histories) -> Facts:
    """Returns one by one; values: (units)."""
    table = histories["returns"]
    customer = table["customer_id"] if table.has("customer_id") else None
    return Facts(table["lot_id"], table["quantity"][:, None], spans_of(table), customer)


def entity_rows(histories: Histories, facts: Facts, entity: str) -> tuple[Array, Array, Spans]:
    """(entity codes, rows of the facts, spans) of facts joined with what ties their lots to the entity."""
    lots = histories["lots"]
    index = histories.once("lots by lot", lambda: RowsBy(lots["lot_id"]))
    fact, row = index.pairs(facts.lot)
    spans = facts.spans.take(fact).both(spans_of(lots).take(row))
    if entity == PLANT:
        code = np.zeros(len(fact), dtype=np.int64)
    elif entity == LOT:
        code = facts.lot[fact]
    elif entity in OF_LOTS:
        own = f"{entity}_id"
        code = lots[own][row] if lots.has(own) else np.full(len(fact), -1)
        if entity == CUSTOMER and facts.customer is not None:
            code = np.where(facts.customer[fact] >= 0, facts.customer[fact], code)
    else:
        code, fact, spans = _supply_rows(histories, facts, entity)
    ever = spans.ever
    return code[ever], fact[ever], spans.take(ever)


class FieldHistory:
    """Totals and latest rows of facts by entity, sorted the first time they are asked for."""

    def __init__(self, histories: Histories, layout: Layout) -> None:
        self._histories, self._layout = histories, layout
        rules, decision = layout.rules, layout.rules.decision
        self._settled_by = (
            rules.label,
            (decision.at, decision.again_every, decision.until_age, decision.min_units),
            layout.delay,
        )

    @property
    def outcome_facts(self) -> Facts:
        """Settled judgements."""
        key = ("outcome facts", self._settled_by)
        return self._histories.once(key, lambda: outcomes_of(self._histories, self._layout))

    def outcomes(self, entity: str) -> Totals:
        """(settled judgements, failed) of an entity."""
        key = ("outcomes", entity, self._settled_by)
        return self._histories.once(key, lambda: self._totals(self.outcome_facts, entity))

    def exposure(self, entity: str) -> Totals:
        """(units, units x hour, returned units) of an entity."""
        facts = self._histories.once("exposure facts", lambda: exposure_of(self._histories))
        return self._histories.once(("exposure", entity), lambda: self._totals(facts, entity))

    def last_return(self, entity: str) -> tuple[Latest, Array]:
        """An entity's latest return, and when each row it answers with was first known."""
        return self._histories.once(("last return", entity), lambda: self._last_return(entity))

    def _totals(self, facts: Facts, entity: str) -> Totals:
        code, fact, spans = entity_rows(self._histories, facts, entity)
        return Totals(code, spans, facts.values[fact], owner=facts.lot[fact])

    def _last_return(self, entity: str) -> tuple[Latest, Array]:
        facts = returns_of(self._histories)
        code, fact, spans = entity_rows(self._histories, facts, entity)
        return Latest(code, spans, key=fact, owner=facts.lot[fact]), spans.first


def _supply_rows(histories: Histories, facts: Facts, entity: str) -> tuple[Array, Array, Spans]:
    """Facts by what went into their lots, once for each use."""
    genealogy, supplies, lots = histories["genealogy"], histories["supplier_lots"], histories["lots"]
    uses = histories.once("genealogy rows by lot", lambda: RowsBy(genealogy["lot_id"]))
    by_code = histories.once("supplier lots by code", lambda: RowsBy(supplies["supplier_lot_id"]))
    made = histories.once("lots by lot", lambda: RowsBy(lots["lot_id"]))
    fact, use = uses.pairs(facts.lot)
    spans = facts.spans.take(fact).both(spans_of(genealogy).take(use))
    pair, supply = by_code.pairs(genealogy["supplier_lot_id"][use])
    fact, spans = fact[pair], spans.take(pair).both(spans_of(supplies).take(supply))
    pair, row = made.pairs(facts.lot[fact])
    spans = spans.take(pair).both(spans_of(lots).take(row))
    return supplies[f"{entity}_id"][supply[pair]], fact[pair], spans
