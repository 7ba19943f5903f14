"""From risk to decision: the cheapest of releasing, inspecting and holding, in the site's own costs."""

from dataclasses import dataclass

import numpy as np

from features.asof import Array, Latest, stands
from features.histories import Histories
from features.rules import Costs, DecisionRule
from features.shipments import by_lot, shipments_of, spans_of

RELEASE, INSPECT, HOLD, CANNOT_ASSESS = "release", "inspect", "hold", "cannot_assess"


@dataclass(frozen=True)
class Decisions:
    """`action`: texts, `expected_cost` of releasing in the site's currency; shape (lots,)."""

    action: list[str]
    expected_cost: Array


def decide(risk: Array, units: Array, tier: Array, rule: DecisionRule) -> Decisions:
    """The cheapest action by expected cost, the more careful one of equals.

    Args: `risk` calibrated; `units` at risk; `tier`: place in `cost_table(rule)`; all of shape (lots,).
    Releasing costs risk x escape; inspecting costs the inspection, the escapes it does not find and holding those it
    does; holding costs the same whatever the lot is. All rise with the cost of an escape in that order, so a dearer
    escape never turns hold or inspect into release.
    """
    table = cost_table(rule)
    escape = np.array([c.escape for c in table])[tier] + np.array([c.escape_per_unit for c in table])[tier] * units
    inspection = np.array([c.inspection for c in table])[tier]
    hold = np.array([c.hold for c in table])[tier]
    found = rule.inspection_finds
    release = risk * escape
    inspect = inspection + risk * (1 - found) * escape + risk * found * hold
    costs = np.stack([hold, inspect, release])
    names = (HOLD, INSPECT, RELEASE)
    return Decisions([names[place] for place in np.argmin(costs, axis=0).tolist()], release)


def cost_table(rule: DecisionRule) -> list[Costs]:
    """The site's own costs, then those of each tier by name, then the dearest escape of all: of an unknown tier."""
    table = [rule.costs, *(rule.tiers[name] for name in sorted(rule.tiers))]
    return [*table, max(table, key=lambda costs: (costs.escape, costs.escape_per_unit))]


def tiers_of(histories: Histories, rule: DecisionRule, lot: Array, row: Array, as_of: Array) -> Array:
    """Place in `cost_table(rule)` of each lot, the dearest of its customers'; int64, shape (lots,).

    `row`: of the lots table. A customer whose tier has no costs of its own takes the site's; a lot without a customer,
    or with one whose tier is not known, takes the dearest.
    """
    if not rule.tiers:
        return np.zeros(len(lot), dtype=np.int64)
    table = cost_table(rule)
    rank = np.argsort(np.argsort([c.escape for c in table], kind="stable"), kind="stable")
    rank[-1] = len(table)
    place_of = _tier_places(histories, rule, len(table) - 1)
    lots, shipped = histories["lots"], shipments_of(histories)
    own = lots["customer_id"][row] if lots.has("customer_id") else np.full(len(lot), -1)
    question, shipment = by_lot(histories).pairs(lot)
    seen = stands(shipped.spans.known[shipment], shipped.spans.superseded[shipment], as_of[question])
    seen &= shipped.customer[shipment] >= 0
    who = np.concatenate([np.flatnonzero(own >= 0), question[seen]])
    customer = np.concatenate([own[own >= 0], shipped.customer[shipment[seen]]])
    worst = np.full(len(lot), -1, dtype=np.int64)
    np.maximum.at(worst, who, rank[place_of[customer]])
    by_rank = np.full(len(table) + 1, len(table) - 1, dtype=np.int64)
    by_rank[rank] = np.arange(len(table))
    return np.where(worst < 0, len(table) - 1, by_rank[worst])


def _tier_places(histories: Histories, rule: DecisionRule, unknown: int) -> Array:
    """Of every customer of the vocabulary."""
    places = np.full(len(histories.ids["customer"]) if "customer" in histories.ids else 0, unknown, dtype=np.int64)
    if "customers" in histories and histories["customers"].has("tier"):
        table = histories["customers"]
        latest = Latest(table["customer_id"], spans_of(table), key=table["customer_id"])
        row = latest.before(np.arange(len(places)), np.full(len(places), np.iinfo(np.int64).max))
        names = sorted(rule.tiers)
        of_text = [names.index(text) + 1 if text in names else 0 for text in table.texts["tier"].texts]
        tier = np.where(row >= 0, table["tier"][row], -1)
        places = np.where(tier >= 0, np.array([*of_text, unknown])[tier], unknown)
    return places
