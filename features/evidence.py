"""What is known about products, lines, customers, suppliers: facts about lots, gathered by entity.

A fact about a lot counts for the lot's product only while both the fact and the lot's own row stand, for a supplier
only while the genealogy and the supplier lot's row stand too: a join of spans, so late news act when they come.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from features.asked import rows_by_lot, uses_by_lot
from features.asof import Array, Latest, Spans, Totals, hours
from features.facts import Facts, difference
from features.histories import Histories
from features.layout import Layout
from features.order import RowsBy
from features.shipments import shipments_of, spans_of
from features.verdicts import settled

PLANT, PRODUCT, LINE, CUSTOMER, LOT = "plant", "product", "line", "customer", "lot"
SUPPLIER_LOT, SUPPLIER, MATERIAL = "supplier_lot", "supplier", "material"
OF_LOTS = (PLANT, PRODUCT, LINE, CUSTOMER)
OF_SUPPLIES = (SUPPLIER_LOT, SUPPLIER, MATERIAL)
ITSELF = (LOT,)
FOLLOWED = 20_000
"""Facts from which on totals are changed when some of them do; fewer are added up anew in 30 ms."""


@dataclass(frozen=True)
class Followed:
    """`totals` of the facts as they are: those that were made of `facts` once, and what has changed since."""

    totals: Totals
    made: Totals
    facts: Facts


def outcomes_of(histories: Histories, layout: Layout) -> Facts:
    """Judged lots whose outcome is settled; values: (1, failed)."""
    if layout.rules.label.source == "outcomes":
        table = histories["outcomes"]
        values = np.stack([np.ones(len(table), dtype=np.int64), table["failed"]], axis=1)
        return Facts(table["lot_id"], values, spans_of(table))
    done = settled(histories, layout.rules, delay=layout.delay)
    values = np.stack([np.ones(len(done.lot), dtype=np.int64), done.failed], axis=1)
    return Facts(done.lot, values, Spans(done.known, done.known, np.full(len(done.lot), np.iinfo(np.int64).max)))


def shipped_of(histories: Histories) -> Facts:
    """Units that went into the field; values: (units, units x hour they went)."""
    shipped = shipments_of(histories)
    values = np.stack([shipped.quantity, shipped.quantity * hours(shipped.shipped_at)], axis=1)
    return Facts(shipped.lot, values, shipped.spans, shipped.customer)


def came_back_of(histories: Histories) -> Facts:
    """Units that came out of the field; values: (units, units x hour they came)."""
    table, returns = histories["returns"], returns_of(histories)
    units = returns.values[:, 0]
    return replace(returns, values=np.stack([units, units * hours(table["occurred_at"])], axis=1))


def returns_of(histories: Histories) -> Facts:
    """Returns one by one; values: (units)."""
    table = histories["returns"]
    customer = table["customer_id"] if table.has("customer_id") else None
    return Facts(table["lot_id"], table["quantity"][:, None], spans_of(table), customer)


@dataclass(frozen=True)
class Joined:
    """Facts joined with what ties their lots to entities: `fact` and `row` (of lots, or of supplier_lots) of each."""

    fact: Array
    row: Array
    spans: Spans


def join(histories: Histories, facts: Facts, entity: str) -> Joined:
    """Facts with what ties them to an entity, while all of it stood; one join serves all of its kind."""
    lots = histories["lots"]
    made = rows_by_lot(histories, "lots")
    fact, row = made.pairs(facts.lot)
    joined = _ever(fact, row, facts.spans.take(fact).both(spans_of(lots).take(row)))
    return _with_supplies(histories, facts, joined) if entity in OF_SUPPLIES else joined


def codes(histories: Histories, facts: Facts, joined: Joined, entity: str) -> Array:
    """The entity of each joined fact, int64 codes; -1: none."""
    if entity in OF_SUPPLIES:
        return histories["supplier_lots"][f"{entity}_id"][joined.row]
    if entity == PLANT:
        return np.zeros(len(joined.fact), dtype=np.int64)
    if entity == LOT:
        return facts.lot[joined.fact]
    lots, own = histories["lots"], f"{entity}_id"
    code = lots[own][joined.row] if lots.has(own) else np.full(len(joined.fact), -1)
    if entity == CUSTOMER and facts.customer is not None:
        told = facts.customer[joined.fact]
        code = np.where(told >= 0, told, code)
    return code


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

    def outcomes(self, entities: tuple[str, ...]) -> Totals:
        """(settled judgements, failed) of several kinds of entities, all of lots or all of supplies."""
        key = ("outcomes", entities, self._settled_by)
        return self._followed(key, lambda: self.outcome_facts, entities)

    def exposure(
        self,
        entities: tuple[str, ...],
        code: Array,
        as_of: Array,
        windows: tuple[int | None, ...] = (None,),
        *,
        without: Array | None = None,
    ) -> Array:
        """(units, units x hour they came or went, returned units), as `Totals.before` answers.

        Units at risk by t are the first sum, unit-hours by t are hours(t) x the first sum - the second. Shipments and
        returns have totals of their own: those of shipments are kept while only returns come in.
        """
        went = self._went(entities).before(code, as_of, windows, without=without)
        came = np.zeros_like(went)
        if "returns" in self._histories:
            came = self._came_back(entities).before(code, as_of, windows, without=without)
        return np.concatenate([went - came, came[..., :1]], axis=-1)

    def last_return(self, entities: tuple[str, ...]) -> tuple[Latest, Array]:
        """The latest return, and when each row it answers with was first known."""
        return self._histories.once(("last return", entities), lambda: self._last_return(entities))

    def _went(self, entities: tuple[str, ...]) -> Totals:
        key, of = ("shipped", entities), ("shipments", *_tied_by(entities))
        return self._histories.once(key, lambda: self._totals(shipped_of(self._histories), entities), of=of)

    def _came_back(self, entities: tuple[str, ...]) -> Totals:
        return self._followed(("came back", entities), lambda: came_back_of(self._histories), entities)

    def _followed(self, key: object, facts: Callable[[], Facts], entities: tuple[str, ...]) -> Totals:
        made: Followed = self._histories.once(key, lambda: self._follow(key, facts(), entities))
        return made.totals

    def _follow(self, key: object, facts: Facts, entities: tuple[str, ...]) -> Followed:
        """What was made earlier is changed, where what ties lots to the entities is the same and few facts are not."""
        earlier: Followed | None = self._histories.earlier(key, of=_tied_by(entities))
        if earlier is not None and len(facts) >= FOLLOWED:
            other = difference(earlier.facts, facts)
            if len(other) <= len(facts) // 10:
                joined, code = self._joined(other, entities)
                values, owner = other.values[joined.fact], other.lot[joined.fact]
                changed = earlier.made.changed(code, joined.spans, values, owner=owner)
                if changed is not None:
                    return Followed(changed, earlier.made, earlier.facts)
        totals = self._totals(facts, entities)
        return Followed(totals, totals, facts)

    def _totals(self, facts: Facts, entities: tuple[str, ...]) -> Totals:
        joined, code = self._joined(facts, entities)
        return Totals(code, joined.spans, facts.values[joined.fact], owner=facts.lot[joined.fact])

    def _last_return(self, entities: tuple[str, ...]) -> tuple[Latest, Array]:
        facts = returns_of(self._histories)
        joined, code = self._joined(facts, entities)
        return Latest(code, joined.spans, key=joined.fact, owner=facts.lot[joined.fact]), joined.spans.first

    def _joined(self, facts: Facts, entities: tuple[str, ...]) -> tuple[Joined, Array]:
        """One join serves all entities of a kind; codes of shape (entities, rows)."""
        joined = join(self._histories, facts, entities[0])
        return joined, np.stack([codes(self._histories, facts, joined, entity) for entity in entities])


def _tied_by(entities: tuple[str, ...]) -> tuple[str, ...]:
    """Tables that say which entities a lot's facts count for."""
    return ("lots", "genealogy", "supplier_lots") if entities[0] in OF_SUPPLIES else ("lots",)


def _with_supplies(histories: Histories, facts: Facts, joined: Joined) -> Joined:
    """Facts by what went into their lots: once for each supplier lot used, with its row of supplier_lots."""
    genealogy, supplies = histories["genealogy"], histories["supplier_lots"]
    by_code = histories.once(
        "supplier lots by code", lambda: RowsBy(supplies["supplier_lot_id"]), of=("supplier_lots",)
    )
    pair, use = uses_by_lot(histories).pairs(facts.lot[joined.fact])
    used = _ever(joined.fact[pair], use, joined.spans.take(pair).both(spans_of(genealogy).take(use)))
    pair, supply = by_code.pairs(genealogy["supplier_lot_id"][used.row])
    return _ever(used.fact[pair], supply, used.spans.take(pair).both(spans_of(supplies).take(supply)))


def _ever(fact: Array, row: Array, spans: Spans) -> Joined:
    """Without what never stood together."""
    ever = spans.ever
    return Joined(fact, row, spans) if len(ever) == len(fact) else Joined(fact[ever], row[ever], spans.take(ever))
