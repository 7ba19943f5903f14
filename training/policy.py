"""What a policy would have cost and saved on judgements that came after its model, and the data of its report.

Every lot here was released in truth or found bad before, so what each action would have cost is known of all of them.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from features.asof import Array
from features.attributes import OwnRows
from features.decision import CANNOT_ASSESS, HOLD, INSPECT, RELEASE, cost_table, decide, thresholds, tiers_of
from features.histories import Histories
from features.judgements import Judgements, lot_rows
from features.rules import DecisionRule
from training.bootstrap import MIN_BLOCKS, Figure, ratio
from training.certify import certify, kept, largest_threshold, walked

ACTIONS = (RELEASE, INSPECT, HOLD)
PER = 1000  # lots, of which savings are told
CURVE = 100  # points of the decision curve


def counted_tiers(judgements: Judgements, histories: Histories, rule: DecisionRule) -> Array:
    """Which places of `cost_table(rule)` count for each judgement: bool, shape (judgements, places)."""
    row = lot_rows(histories, judgements.lot, judgements.as_of)
    own = OwnRows(histories, row, {}).codes("customer_id")
    return tiers_of(histories, rule, judgements.lot, own, judgements.as_of)


def decided_for(risk: Array, judgements: Judgements, histories: Histories, rule: DecisionRule) -> list[str]:
    """What the site would have done with out-of-time risks, float64 of shape (judgements,); nothing is drawn."""
    return _decided(risk, judgements, counted_tiers(judgements, histories, rule), rule)


def report_on(
    risk: Array,
    failed: Array,
    block: Array,
    judgements: Judgements,
    histories: Histories,
    rule: DecisionRule,
    *,
    seed: int,
    ripe: Array | None = None,
) -> dict[str, Any]:
    """`policy_report` of what the site would have done with out-of-time risks."""
    tiers = counted_tiers(judgements, histories, rule)
    action = _decided(risk, judgements, tiers, rule)
    return policy_report(risk, failed, block, action, tiers, judgements.units, rule, seed=seed, ripe=ripe)


def _decided(risk: Array, judgements: Judgements, tiers: Array, rule: DecisionRule) -> list[str]:
    decided = decide(risk, judgements.units, tiers, rule)
    few = judgements.units < max(rule.min_units, 1)
    return [CANNOT_ASSESS if little else action for action, little in zip(decided.action, few.tolist(), strict=True)]


def costs_of_actions(failed: Array, tiers: Array, units: Array, rule: DecisionRule) -> Array:
    """What each of ACTIONS would have cost each lot: float64, shape (lots, 3), by the price list of its dearest escape.

    Of a failing lot: released, the escape; inspected, the inspection and what it does not find as an escape, what it
    does as a hold. Of a sound one: nothing, the inspection. Held, any lot costs the hold.
    """
    table = cost_table(rule)
    escape, per_unit, inspection, hold = (
        np.array([getattr(costs, name) for costs in table])
        for name in ("escape", "escape_per_unit", "inspection", "hold")
    )
    escapes = escape + per_unit * np.asarray(units, dtype=np.float64)[:, None]
    dearest = np.argmax(np.where(tiers, escapes, -np.inf), axis=1)
    bad, finds = np.asarray(failed, dtype=bool), rule.inspection_finds
    lost, inspected, held = escapes[np.arange(len(bad)), dearest], inspection[dearest], hold[dearest]
    found = inspected + np.where(bad, (1 - finds) * lost + finds * held, 0.0)
    return np.column_stack([np.where(bad, lost, 0.0), found, held])


def policy_report(
    risk: Array,
    failed: Array,
    block: Array,
    action: Sequence[str] | Array,
    tiers: Array,
    units: Array,
    rule: DecisionRule,
    *,
    seed: int,
    ripe: Array | None = None,
) -> dict[str, Any]:
    """Savings, cost table, certificate, decision curve and thresholds, in plain JSON types.

    `risk`: float64; `failed`: bool; `block` of time: int64, in order; `action`: texts; `units` at risk; all of shape
    (judgements,), out of time. `tiers`: see `counted_tiers`; `ripe`: see `walked`. ValueError for
    other shapes. Lots that cannot be assessed are nobody's decision: they are counted, and left out of savings and
    costs.
    """
    risk, failed, block, units = (np.asarray(of) for of in (risk, failed, block, units))
    failed, actions = failed.astype(bool), np.array(list(action), dtype=object)
    shapes = [len(of) for of in (risk, failed, block, actions, tiers, units)]
    if len(set(shapes)) > 1:
        raise ValueError(f"risk, failed, block, action, tiers and units have lengths {shapes}. Give one a judgement.")
    known = np.isin(actions, ACTIONS)
    costs = costs_of_actions(failed, np.asarray(tiers), units, rule)
    taken = np.array([ACTIONS.index(name) for name in actions[known]], dtype=np.int64)
    released = actions == RELEASE
    return {
        "savings": _savings(costs[known], taken, block[known], seed=seed) | {"not_assessed": int((~known).sum())},
        "cost_table": _cost_table(costs[known], taken, failed[known]),
        "certificate": _certificate(risk, failed, block, released, rule, ripe),
        "decision_curve": _curve(risk, failed, _usual_threshold(tiers, units, rule)),
        "thresholds": _thresholds(units, rule),
    }


def policy_sentences(report: dict[str, Any]) -> list[str]:
    """The report's main statements."""
    savings = report["savings"]
    said = [_saving_sentence(savings[name], words) for name, words in _AGAINST.items()]
    said.append(report["certificate"]["sentence"])
    if (largest := report["certificate"]["largest_threshold"]) is not None:
        said.append(f"The largest risk below which all lots could be released and certified: {largest:.3g}.")
    return said


_AGAINST = {
    "against_constant": "the cheapest of releasing, inspecting and holding all lots, chosen on earlier blocks",
    "against_release_all": "releasing all lots",
}


def _saving_sentence(saving: dict[str, Any] | None, against: str) -> str:
    if saving is None:
        return f"No proven saving against {against}: there is nothing to compare."
    figure = Figure(saving["value"], saving["low"], saving["high"])
    if figure.low is None or figure.high is None:
        return f"No proven saving against {against}: fewer than {MIN_BLOCKS} blocks of time give no interval."
    told = f"{figure.value:,.0f} [{figure.low:,.0f}, {figure.high:,.0f}] per {PER:,} lots"
    if figure.low > 0:
        return f"Saves {told} against {against}."
    return f"{'Loses money' if figure.high < 0 else 'No proven saving'} against {against}: {told}."


def _savings(costs: Array, taken: Array, block: Array, *, seed: int) -> dict[str, Any]:
    """Per PER lots, with intervals over whole blocks of time. What is chosen before a block knows only those before it;
    the first block has none and is left out there."""
    rows = np.arange(len(taken))
    policy = costs[rows, taken]
    constant = np.full(len(taken), -1)
    chosen: list[str] = []
    for number in np.unique(block).tolist()[1:]:
        best = int(np.argmin(costs[block < number].sum(axis=0)))
        constant[block == number] = best
        chosen.append(ACTIONS[best])
    later = np.flatnonzero(constant >= 0)
    return {
        "against_constant": _figure(costs[later, constant[later]] - policy[later], block[later], seed=seed),
        "against_release_all": _figure(costs[:, 0] - policy, block, seed=seed),
        "constant": chosen,
        "judgements": len(taken),
        "compared": len(later),
    }


def _figure(saved: Array, block: Array, *, seed: int) -> dict[str, Any] | None:
    found = ratio(PER * saved, np.ones(len(saved)), block, seed=seed) if len(saved) else None
    return None if found is None else asdict(found)


def _cost_table(costs: Array, taken: Array, failed: Array) -> list[dict[str, Any]]:
    """A row an action: lots, failures among them, their cost and what they and all lots had cost if released; then the
    policy as a whole beside each action for all lots."""
    rows = []
    for place, name in enumerate(ACTIONS):
        of = taken == place
        rows.append(_row(name, costs[of, place], failed[of]) | {"released_cost": float(costs[of, 0].sum())})
    everything = [("policy", costs[np.arange(len(taken)), taken])]
    everything += [(f"{name} all", costs[:, place]) for place, name in enumerate(ACTIONS)]
    return rows + [_row(name, of, failed) | {"released_cost": float(costs[:, 0].sum())} for name, of in everything]


def _row(name: str, cost: Array, failed: Array) -> dict[str, Any]:
    return {"policy": name, "lots": len(cost), "failures": int(failed.sum()), "cost": float(cost.sum())}


def _certificate(
    risk: Array, failed: Array, block: Array, released: Array, rule: DecisionRule, ripe: Array | None
) -> dict[str, Any]:
    alpha, confidence = rule.certify, rule.confidence
    rows = walked(released, failed, block, alpha, confidence, ripe=ripe)
    return asdict(certify(released, failed, block, alpha, confidence)) | {
        "alpha": alpha,
        "confidence": confidence,
        "largest_threshold": largest_threshold(risk, failed, block, alpha, confidence),
        "walked": rows,
        "kept": kept(rows, alpha),
    }


def _usual_threshold(tiers: Array, units: Array, rule: DecisionRule) -> float:
    """The median risk from which a lot is not released; infinite where that is most often never."""
    if not len(units):
        return float("inf")
    return float(np.median(np.where(tiers, thresholds(rule, units)[0], np.inf).min(axis=1)))


def _curve(risk: Array, failed: Array, usual: float) -> dict[str, Any]:
    """Net benefit of acting on a lot, by the risk from which one would act (Vickers & Elkin 2006).

    Failures acted on less sound lots acted on, these weighted by the odds of the threshold, per lot: by the model, for
    all lots, and for none, which is 0. `usual`: the site's own threshold, None: never, or beyond the curve.
    """
    top = min(0.95, max(3 * float(failed.mean()) if len(failed) else 0.0, 1.5 * usual if usual < 1 else 0.0, 0.02))
    points = []
    for threshold in (top * np.arange(1, CURVE + 1) / CURVE).tolist() if len(failed) else []:
        odds = threshold / (1 - threshold)
        acted = risk >= threshold
        points.append(
            {
                "threshold": threshold,
                "model": float(np.mean(np.where(failed, acted, -odds * acted))),
                "inspect_all": float(np.mean(np.where(failed, 1.0, -odds))),
                "release_all": 0.0,
            }
        )
    return {"points": points, "usual_threshold": usual if usual <= top else None}


def _thresholds(units: Array, rule: DecisionRule) -> list[dict[str, Any]]:
    """Of each price list, for a lot of the median number of units; None: at no risk."""
    middle = float(np.median(units)) if len(units) else 1.0
    inspect_from, hold_from = thresholds(rule, np.array([middle]))
    names = ["site", *(f"tier {name}" for name in sorted(rule.tiers))]
    return [
        {"costs": name, "units": middle, "inspect_from": _reachable(inspecting), "hold_from": _reachable(holding)}
        for name, inspecting, holding in zip(names, inspect_from[0].tolist(), hold_from[0].tolist(), strict=True)
    ]


def _reachable(threshold: float) -> float | None:
    return threshold if threshold <= 1 else None
