"""One fit: what was known by a cut, its labels, its layout, and LightGBM's trees on it."""

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from features.asof import Array
from features.build import PARTS, build_features, choose_layout, columns
from features.card import FeatureSpec
from features.delay import data_cut
from features.dictionary import family_of
from features.errors import CannotTrain
from features.histories import Histories
from features.judgements import Judgements, judge
from features.layout import Layout
from features.rules import Rules
from training.labels import Labels, label

MIN_FAILURES = 10  # of failed and of good lots alike; below it trees learn the few lots by heart

ONE_THREAD = 2_000_000  # values; below it a second thread waits longer than it works, and far longer on a busy machine

LEAF_SHARE = 25  # a leaf holds at least a 25th of the lots, 15 to 60: fixed sizes cost drives or the demo log loss

PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.04,
    "num_leaves": 15,
    "extra_trees": True,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "cat_smooth": 20.0,
    "min_data_per_group": 20,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Known:
    """What can be learned by `until`: judgements with their labels, and the histories known before it."""

    histories: Histories
    rules: Rules
    until: int
    judgements: Judgements
    labels: Labels


@dataclass(frozen=True)
class Trees:
    """A fitted booster and the layout its matrix follows."""

    layout: Layout
    booster: lightgbm.Booster
    matrix: Array
    failed: Array
    rows: Array

    @property
    def features(self) -> list[FeatureSpec]:
        return columns(self.layout)

    @property
    def base_rate(self) -> float:
        return float((self.failed.sum() + 0.5) / (len(self.failed) + 1))


def known_by(histories: Histories, rules: Rules, *, until: int) -> Known:
    """Forgets what was not known strictly before `until`, judges the lots and labels them."""
    past = histories.known_before(until)
    judged = judge(past, rules, until=data_cut(past, rules, until=until))
    return Known(past, rules, until, judged, label(judged, past, rules, until=until))


def fit_trees(
    known: Known, *, rounds: int, seed: int, parts: tuple[str, ...] = PARTS, parameters: dict[str, Any] | None = None
) -> Trees:
    """Fits on the mature judgements. CannotTrain where there are too few of either kind."""
    rows = known.labels.usable
    failed = known.labels.failed[rows].astype(np.float64)
    failures, good = int(failed.sum()), int(len(failed) - failed.sum())
    if min(failures, good) < MIN_FAILURES:
        raise CannotTrain(
            f"{len(rows)} mature judgements of {len(known.judgements)}, {failures} failed and {good} held up: "
            f"at least {MIN_FAILURES} of each are needed. Wait, or look at [label] and [decision]."
        )
    layout = choose_layout(known.histories, known.until, rules=known.rules, parts=parts)
    matrix = build_features(known.judgements.take(rows), known.histories, layout).matrix
    booster = boost(matrix, failed, columns(layout), rounds=rounds, seed=seed, parameters=parameters)
    return Trees(layout, booster, matrix, failed, rows)


def _direction(feature: FeatureSpec) -> int:
    """+1 where engineering says that a higher value is riskier, -1 lower; 0 where it does not know."""
    family = family_of(feature)
    return 0 if family is None or feature.type == "category" else family.direction


def boost(
    matrix: Array,
    failed: Array,
    features: list[FeatureSpec],
    *,
    rounds: int,
    seed: int,
    parameters: dict[str, Any] | None = None,
) -> lightgbm.Booster:
    """LightGBM on a matrix, the same trees for the same input byte for byte."""
    data = lightgbm.Dataset(
        matrix,
        failed,
        feature_name=[feature.name for feature in features],
        categorical_feature=[place for place, feature in enumerate(features) if feature.type == "category"],
        free_raw_data=True,
    )
    threads = 1 if matrix.size < ONE_THREAD else 0
    directions = [_direction(feature) for feature in features]
    leaf = min(max(len(failed) // LEAF_SHARE, 15), 60)
    chosen = {
        **PARAMETERS,
        "num_threads": threads,
        "min_data_in_leaf": leaf,
        "monotone_constraints": directions,
        **(parameters or {}),
        "seed": seed,
    }
    return lightgbm.train(chosen, data, num_boost_round=rounds)
