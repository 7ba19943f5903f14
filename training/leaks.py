"""Features that know too much: named, with their share of the gain, and what happens without them.

Nothing in the numbers tells a very good measurement from one that was taken after the lot had failed. So nothing is
refused: what stands out is tried without, and a person is asked to look when it is known.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.asof import Array
from features.build import build_features
from features.card import FeatureSpec
from training.bootstrap import Figure, paired_difference
from training.evaluate import log_losses, signed
from training.evaluation import Evaluation, risk_at
from training.forecast import OutOfTime
from training.model import Model
from training.ranking import precision_and_auc, rank
from training.recipe import Recipe

GAIN_SHARE = 0.3  # honest sources hold 23 % at the most (the press's scatter in tablets), planted ones 50 to 65 %
AS_GOOD = 0.05  # alone it ranks as well as the model, less this much of ROC AUC
AUC = 0.95  # alone; honest columns reach 0.87, planted ones 0.98 to 1.00
LEAST_AUC = 0.8  # with a large share; where little is measured, one honest column that ranks at 0.73 holds 76 %
FEWEST = 10  # failures; of five, one of a hundred columns ranks that well by chance
MOST = 3  # walks without a suspicious source: each takes as long as the model's own


@dataclass(frozen=True)
class Leak:
    """A suspicious source: what its columns hold of the trees' gain, and how well the best of them ranks alone.

    `difference`: the log loss without it less the model's, on the same judgements; above zero it is missed.
    """

    name: str
    features: tuple[str, ...]
    gain_share: float
    roc_auc: float
    log_loss: float
    without: float
    difference: Figure

    def __str__(self) -> str:
        return (
            f"{self.name} holds {self.gain_share:.0%} of the gain and ranks with ROC AUC {self.roc_auc:.2f} by itself; "
            f"without it log loss is {self.without:.3f} instead of {self.log_loss:.3f} "
            f"(difference {signed(self.difference)}): check that it is known before as_of."
        )

    def as_dict(self) -> dict[str, Any]:
        """For the card."""
        numbers = {"gain_share": self.gain_share, "roc_auc": self.roc_auc, "log_loss": self.log_loss}
        numbers |= {"log_loss_without": self.without, "difference": self.difference.value}
        bounds = {"difference_low": self.difference.low, "difference_high": self.difference.high}
        return {"name": self.name, "features": list(self.features), **numbers, **bounds, "says": str(self)}


def find_leaks(model: Model, evaluation: Evaluation, walk: Callable[[Recipe], OutOfTime]) -> list[Leak]:
    """The most suspicious sources, the largest share of the gain first. `walk`: out-of-time scores by a recipe."""
    failed, recipe = evaluation.failed, model.recipe
    if failed.sum() < FEWEST or failed.all():
        return []
    ours = log_losses(evaluation.risks["model"], failed)
    found = []
    for name, places, share, auc in _suspicious(model, evaluation)[:MOST]:
        features = tuple(model.trees.features[place].name for place in places)
        risk = risk_at(evaluation.rows, walk(recipe.but(without=(*recipe.without, *features))))
        loss = np.where(np.isnan(risk), ours, log_losses(np.nan_to_num(risk, nan=0.5), failed))
        difference = paired_difference(loss, ours, evaluation.block, seed=0)
        found.append(Leak(name, features, share, auc, float(ours.mean()), float(loss.mean()), difference))
    return found


def source_of(spec: FeatureSpec) -> str:
    """The measured characteristic or attribute behind a column, which has several; else the column itself."""
    stated = spec.about.get("characteristic") or spec.about.get("attribute")
    return spec.name if stated is None else " ".join(filter(None, (spec.about.get("group"), stated)))


def own_auc(column: Array, failed: Array, *, category: bool) -> float:
    """ROC AUC of a column alone, turned the way that ranks better; of its being null, where that ranks better still.

    float64, bool, both of shape (judgements,) in order of time. A level of a category stands for the share that failed
    of those before it.
    """
    null = np.isnan(column)
    if category:
        values = _share_before(np.where(null, -1.0, column), failed)
        return _auc(values, failed)
    values = np.where(null, np.median(column[~null]) if not null.all() else 0.0, column)
    return max(_either(_auc(values, failed)), _either(_auc(null.astype(np.float64), failed)))


def _suspicious(model: Model, evaluation: Evaluation) -> list[tuple[str, list[int], float, float]]:
    """(source, its columns' places, share of the gain, ROC AUC alone), the largest share first."""
    trees = model.trees
    shares = trees.gain_shares
    judged = model.known.judgements.take(evaluation.rows)
    features = build_features(judged, model.known.histories, trees.layout)
    auc = _auc(evaluation.risks["model"], evaluation.failed)
    found = []
    for name, places in _by_source(trees.features).items():
        share = float(shares[places].sum())
        own = max(
            own_auc(features.column(spec.name), evaluation.failed, category=spec.type == "category")
            for spec in (trees.features[place] for place in places)
        )
        if own >= AUC or (share >= GAIN_SHARE and own >= max(auc - AS_GOOD, LEAST_AUC)):
            found.append((name, places, share, own))
    return sorted(found, key=lambda one: -one[2])


def _by_source(features: list[FeatureSpec]) -> Mapping[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, spec in enumerate(features):
        places.setdefault(source_of(spec), []).append(place)
    return places


def _share_before(levels: Array, failed: Array) -> Array:
    """Of the rows before each with the same level, the share that failed, leaning on that of all."""
    share = np.empty(len(levels))
    for level in np.unique(levels):
        rows = np.flatnonzero(levels == level)
        earlier = np.cumsum(failed[rows]) - failed[rows]
        share[rows] = (earlier + failed.mean()) / (np.arange(len(rows)) + 1)
    return share


def _auc(risk: Array, failed: Array) -> float:
    return float(precision_and_auc(rank(risk, failed), np.ones((1, len(risk)), dtype=np.int64))[1][0])


def _either(auc: float) -> float:
    return max(auc, 1.0 - auc)
