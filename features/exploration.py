"""Some lots just above where inspecting starts are released untreated, so that labels stay unbiased.

What is found at an inspection is mended, and what becomes of such lots in the field is never seen: a model that is
trained on the rest alone learns that they were harmless. A few released by chance, with the chance kept, mend that
(Bottou et al. 2013, Counterfactual reasoning and learning systems).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.asof import Array
from features.decision import INSPECT, RELEASE, Decisions, thresholds
from features.rules import DecisionRule


@dataclass(frozen=True)
class Explored:
    """Decisions after the draw; arrays of shape (lots,).

    `released`: by the draw, bool. `propensity`: the probability with which each lot's decision was taken, float64.
    """

    decisions: Decisions
    released: Array
    propensity: Array


def explore(
    decided: Decisions,
    risk: Array,
    units: Array,
    tiers: Array,
    rule: DecisionRule,
    *,
    lot_id: Callable[[int], str],
    version: str,
    site: str,
) -> Explored:
    """Releases `explore_share` of the lots to be inspected whose risk lies below (1 + `explore_band`) x the threshold.

    The threshold is the strictest of the lot's tiers; where one of them would hold the lot it is not to be inspected,
    and nothing is drawn. `lot_id`: the id at a place. The draw hangs on lot, model version and site alone.
    """
    share, likely = rule.explore_share, np.ones(len(risk))
    released = np.zeros(len(risk), dtype=bool)
    if not share:
        return Explored(decided, released, likely)
    inspect_from, _ = thresholds(rule, units)
    strictest = np.where(tiers, inspect_from, np.inf).min(axis=1, initial=np.inf)
    inspected = np.array([action == INSPECT for action in decided.action], dtype=bool)
    drawn = np.flatnonzero(inspected & (risk < (1 + rule.explore_band) * strictest))
    likely[drawn] = 1 - share
    for place in drawn.tolist():
        released[place] = chance(lot_id(place), version, site) < share
    likely[released] = share
    action = [RELEASE if out else named for named, out in zip(decided.action, released.tolist(), strict=True)]
    saving = np.where(released, 0.0, decided.expected_saving)
    return Explored(Decisions(action, decided.expected_cost, saving), released, likely)


def chance(lot_id: str, version: str, site: str) -> float:
    """A number in [0, 1) that is the same wherever and whenever it is asked for, and tells nothing of another lot's."""
    digest = hashlib.sha256("\0".join((site, version, lot_id)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
