"""From risk to decision: the cheapest of releasing, inspecting and holding, in the site's own costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.asof import Array
from features.customers import customer_rows, customers_of
from features.histories import Histories
from features.rules import Costs, DecisionRule

RELEASE, INSPECT, HOLD, CANNOT_ASSESS = "release", "inspect", "hold", "cannot_assess"


@dataclass(frozen=True)
class Decisions:
    """`action`: texts, shape (lots,); the rest in the site's currency, float64, shape (lots,).

    `expected_cost` of releasing; `expected_saving`: that less the cost of the action, at least 0.
    """

    action: list[str]
    expected_cost: Array
    expected_saving: Array


def decide(risk: Array, units: Array, tiers: Array, rule: DecisionRule) -> Decisions:
    """The most careful of what each of a lot's tiers would have done: its cheapest action, the more careful of equals.

    Args: `risk` calibrated; `units` at risk, both of shape (lots,); `tiers`: which places of `cost_table(rule)` count,
    bool, shape (lots, places).
    Releasing costs risk x escape; inspecting costs the inspection, the escapes it does not find and holding those it
    does; holding costs the same whatever the lot is. The dearer an escape, the less of these a tier chooses, so a
    dearer escape never turns hold or inspect into release. The cost of releasing is that of the dearest tier, the
    saving that of the tier that gains most by the action.
    """
    escape, inspection, hold = _prices(rule, units)
    found, likely = rule.inspection_finds, risk[:, None]
    release = likely * escape
    inspect = inspection + (1 - found) * release + likely * found * hold
    names = (HOLD, INSPECT, RELEASE)
    costs = np.stack([np.broadcast_to(hold, release.shape), inspect, release])
    careful = np.where(tiers, np.argmin(costs, axis=0), len(names)).min(axis=1, initial=len(names))
    taken = costs[careful, np.arange(len(risk))]
    return Decisions(
        [names[place] for place in careful.tolist()],
        np.where(tiers, release, -np.inf).max(axis=1, initial=-np.inf),
        np.where(tiers, release - taken, 0.0).max(axis=1, initial=0.0),
    )


def thresholds(rule: DecisionRule, units: Array) -> tuple[Array, Array]:
    """The risks (`inspect_from`, `hold_from`) from which a lot is not released, and is held, by each price list.

    `units`: shape (lots,); returns float64, shape (lots, places of `cost_table(rule)`), infinite: at no risk. Between
    the two a lot is inspected; where they are equal it never is. `decide` says the same but where two actions cost the
    same, which rounding may turn.
    """
    escape, inspection, hold = _prices(rule, units)
    found, always = rule.inspection_finds, np.broadcast_to(hold, escape.shape)
    # Inspecting beats releasing from inspection = risk x found x (escape - hold); where both sides are nothing, ever.
    inspect_from = _from(np.broadcast_to(inspection, escape.shape), found * (escape - hold))
    over_release = _from(always, escape)
    over_inspect = _from(always - inspection, (1 - found) * escape + found * hold)
    hold_from = np.maximum(over_release, over_inspect)
    return np.minimum(inspect_from, hold_from), hold_from


def _from(fixed: Array, slope: Array) -> Array:
    """The least risk with risk x `slope` >= `fixed`; 0 for what is nothing or less, infinite where there is none."""
    with np.errstate(over="ignore"):  # what is larger than any number is at no risk
        reached = np.divide(fixed, slope, out=np.full(slope.shape, np.inf), where=slope > 0)
    return np.where((fixed <= 0) & (slope >= 0), 0.0, reached)


def _prices(rule: DecisionRule, units: Array) -> tuple[Array, Array, Array]:
    """Of each place of `cost_table(rule)`: escape of each lot, shape (lots, places); inspection and hold, (places,)."""
    escape, per_unit, inspection, hold = (
        np.array([getattr(costs, name) for costs in cost_table(rule)])
        for name in ("escape", "escape_per_unit", "inspection", "hold")
    )
    return escape + per_unit * units[:, None], inspection, hold


def within_capacity(
    action: Sequence[str], expected_saving: Array, lots: Sequence[str], *, per_day: float | None, day: int
) -> list[bool | None]:
    """Which of the lots to be inspected fit what can be inspected on one day: those that save most, ties by lot.

    None for the other lots, and for all without a limit. `day`: its number; of half an inspection a day each second
    day has one. What does not fit is still to be inspected.
    """
    fits: list[bool | None] = [None] * len(lots)
    if per_day is None:
        return fits
    room = math.floor((day + 1) * per_day) - math.floor(day * per_day)
    asking = [place for place, named in enumerate(action) if named == INSPECT]
    for rank, place in enumerate(sorted(asking, key=lambda place: (-expected_saving[place], lots[place]))):
        fits[place] = rank < room
    return fits


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
    who, customer = customers_of(histories, lot, own, as_of)
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
