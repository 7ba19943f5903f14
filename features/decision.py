"""From risk to decision: the cheapest of releasing, inspecting and holding, in the site's own costs."""

from dataclasses import dataclass

import numpy as np

from features.asof import Array, stands
from features.customers import customer_rows
from features.histories import Histories
from features.rules import Costs, DecisionRule
from features.shipments import by_lot, shipments_of

RELEASE, INSPECT, HOLD, CANNOT_ASSESS = "release", "inspect", "hold", "cannot_assess"


@dataclass(frozen=True)
class Decisions:
    """`action`: texts, `expected_cost` of releasing in the site's currency; shape (lots,)."""

    action: list[str]
    expected_cost: Array


def decide(risk: Array, units: Array, tiers: Array, rule: DecisionRule) -> Decisions:
    """The most careful of what each of a lot's tiers would have done: its cheapest action, the more careful of equals.

    Args: `risk` calibrated; `units` at risk, both of shape (lots,); `tiers`: which places of `cost_table(rule)` count,
    bool, shape (lots, places).
    Releasing costs risk x escape; inspecting costs the inspection, the escapes it does not find and holding those it
    does; holding costs the same whatever the lot is. The dearer an escape, the less of these a tier chooses, so a
    dearer escape never turns hold or inspect into release. The cost of releasing is that of the dearest tier.
    """
    table = cost_table(rule)
    escape, per_unit, inspection, hold = (
        np.array([getattr(costs, name) for costs in table])
        for name in ("escape", "escape_per_unit", "inspection", "hold")
    )
    found, likely = rule.inspection_finds, risk[:, None]
    release = likely * (escape + per_unit * units[:, None])
    inspect = inspection + (1 - found) * release + likely * found * hold
    names = (HOLD, INSPECT, RELEASE)
    cheapest = np.argmin(np.stack([np.broadcast_to(hold, release.shape), inspect, release]), axis=0)
    careful = np.where(tiers, cheapest, len(names)).min(axis=1, initial=len(names))
    return Decisions(
        [names[place] for place in careful.tolist()], np.where(tiers, release, -np.inf).max(axis=1, initial=-np.inf)
    )


def cost_table(rule: DecisionRule) -> list[Costs]:
    """The site's own costs, then those of each tier by name."""
    return [rule.costs, *(rule.tiers[name] for name in sorted(rule.tiers))]


def tiers_of(histories: Histories, rule: DecisionRule, lot: Array, own: Array, as_of: Array) -> Array:
    """Which places of `cost_table(rule)` count for each lot, those of its customers; bool, shape (lots, places).

    `own`: code of the customer that the lot's own row names, -1: none. A customer whose tier has no costs of its own
    takes the site's; for a lot without a customer, and for a customer whose tier is not known, all count.
    """
    places = len(cost_table(rule))
    if not rule.tiers:
        return np.ones((len(lot), places), dtype=bool)
    shipped = shipments_of(histories)
    question, shipment = by_lot(histories).pairs(lot)
    seen = stands(shipped.spans.known[shipment], shipped.spans.superseded[shipment], as_of[question])
    seen &= shipped.customer[shipment] >= 0
    who = np.concatenate([np.flatnonzero(own >= 0), question[seen]])
    customer = np.concatenate([own[own >= 0], shipped.customer[shipment[seen]]])
    place = _tier_places(histories, rule, customer, as_of[who])
    counts = np.zeros((len(lot), places), dtype=bool)
    counts[who[place >= 0], place[place >= 0]] = True
    counts[who[place < 0]] = True
    counts[~counts.any(axis=1)] = True
    return counts


def _tier_places(histories: Histories, rule: DecisionRule, customer: Array, as_of: Array) -> Array:
    """Place in `cost_table(rule)` of customers by their tier as known strictly before `as_of`; -1: not known."""
    if "customers" not in histories or not histories["customers"].has("tier"):
        return np.full(len(customer), -1, dtype=np.int64)
    table = histories["customers"]
    row = customer_rows(histories, customer, as_of)
    names = sorted(rule.tiers)
    of_text = [names.index(text) + 1 if text in names else 0 for text in table.texts["tier"].texts]
    return np.where(row >= 0, np.array([*of_text, -1])[table["tier"][row]], -1)
