"""Whether the leading reasons of lots stay when the model is learned again from other spans of the same time."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from features.asof import Array
from features.build import build_features
from training.fit import boost
from training.model import Model, time_blocks
from training.sample import MIN_FAILURES, Sample

LEADING = 5
LOTS = 100  # the latest judged ones
REFITS = 3  # one refit's share of kept reasons is within 0.04 of ten refits' mean on the demo
SEEN = 0.05  # of the lots a family has to lead in, for its own share to be told


@dataclass(frozen=True)
class Stability:
    """Over `lots` and `refits`: of the leading reasons, how many stay (`kept`, a share), and what two lists have in
    common of all that either names (`jaccard`). `families` is `kept` of kinds of reason: what one feature does not say
    a sister of it may. `by_family`: of the lots where one of a kind leads, the share where one still does.
    """

    lots: int
    refits: int
    kept: float
    jaccard: float
    families: float
    by_family: dict[str, float]

    @property
    def told(self) -> str:
        """One sentence."""
        return (
            f"Of the {LEADING} leading reasons of a lot {self.kept:.0%} stay when the model is learned again from "
            f"other spans of time, of its {LEADING} leading kinds of reason {self.families:.0%}."
        )

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "leading": LEADING, "told": self.told}


def stability_of(model: Model, *, refits: int = REFITS) -> Stability | None:
    """Learns the model again from spans of time drawn anew; None where too few failures are drawn every time."""
    sample, trees = model.trees.sample, model.trees
    judged = model.known.judgements
    latest = np.sort(np.argsort(judged.as_of, kind="stable")[-LOTS:])
    matrix = build_features(judged.take(latest), model.known.histories, trees.layout).columns(sample.names)
    kinds, kind = np.unique([spec.family or spec.name for spec in trees.features], return_inverse=True)
    by_kind = (kind[:, None] == np.arange(len(kinds))).astype(np.float64)
    random, block = np.random.default_rng(model.recipe.seed), time_blocks(judged.as_of[sample.rows])

    ours = np.abs(_contributions(model.trees.booster, matrix))
    leading, lead_kinds = _leading(ours), _leading(ours @ by_kind)
    kept, common, kept_kinds = [], [], []
    seen, still = Counter[str](), Counter[str]()
    for number in range(refits):
        drawn = _drawn(sample, block, random)
        if drawn is None:
            continue
        again = boost(drawn, rounds=model.rounds, recipe=replace(model.recipe, seed=model.recipe.seed + number + 1))
        other = np.abs(_contributions(again, matrix))
        theirs, their_kinds = _leading(other), _leading(other @ by_kind)
        both = (leading & theirs).sum(axis=1)
        kept.append(float((both / leading.sum(axis=1).clip(1)).mean()))
        common.append(float((both / (leading | theirs).sum(axis=1).clip(1)).mean()))
        kept_kinds.append(float(((lead_kinds & their_kinds).sum(axis=1) / lead_kinds.sum(axis=1).clip(1)).mean()))
        seen.update(dict(zip(kinds.tolist(), lead_kinds.sum(axis=0).tolist(), strict=True)))
        still.update(dict(zip(kinds.tolist(), (lead_kinds & their_kinds).sum(axis=0).tolist(), strict=True)))
    if not kept:
        return None
    often = {name: still[name] / times for name, times in seen.most_common() if times >= SEEN * len(matrix) * len(kept)}
    same, shared, same_kinds = (float(np.mean(each)) for each in (kept, common, kept_kinds))
    return Stability(len(matrix), len(kept), same, shared, same_kinds, often)


def _drawn(sample: Sample, block: Array, random: np.random.Generator) -> Sample | None:
    """As many spans of time as there are, drawn with replacement; None where they hold too few of either kind.

    What young lots tell stays as it is.
    """
    places = [np.flatnonzero(block == each) for each in np.unique(block)]
    rows = np.sort(np.concatenate([places[each] for each in random.integers(len(places), size=len(places))]))
    failures = int(sample.failed[rows].sum())
    if min(failures, len(rows) - failures) < MIN_FAILURES:
        return None
    return replace(sample, rows=sample.rows[rows], matrix=sample.matrix[rows], failed=sample.failed[rows])


def _contributions(booster: Any, matrix: Array) -> Array:
    """SHAP values in the margin, (rows, features)."""
    return np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1))[:, :-1]


def _leading(sizes: Array) -> Array:
    """Which columns are among the LEADING largest of their row and not zero; the first of equals. Bool, same shape."""
    order = np.argsort(-sizes, axis=1, kind="stable")[:, :LEADING]
    found = np.zeros(sizes.shape, dtype=bool)
    np.put_along_axis(found, order, True, axis=1)
    return found & (sizes > 0)
