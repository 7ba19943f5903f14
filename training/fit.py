"""LightGBM's trees on a sample."""

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from features.asof import Array
from features.card import FeatureSpec
from features.dictionary import family_of
from features.layout import Layout
from training.known import Known
from training.recipe import Recipe
from training.sample import Sample, sample_of

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
class Trees:
    """A fitted booster and the sample it was fitted on."""

    sample: Sample
    booster: lightgbm.Booster

    @property
    def layout(self) -> Layout:
        return self.sample.layout

    @property
    def features(self) -> list[FeatureSpec]:
        return self.sample.features

    @property
    def matrix(self) -> Array:
        return self.sample.matrix

    @property
    def rows(self) -> Array:
        return self.sample.rows

    def margins(self, matrix: Array, rounds: tuple[int, ...]) -> Array:
        """Log odds by number of rounds, float64, shape (rows, len(rounds))."""
        threads = 1 if matrix.size < ONE_THREAD else 0
        scores = [
            self.booster.predict(matrix, raw_score=True, num_iteration=number, num_threads=threads) for number in rounds
        ]
        return np.stack([np.asarray(score) for score in scores], axis=1)


def fit_trees(known: Known, *, rounds: int, recipe: Recipe | None = None) -> Trees:
    """Fits on what is known. CannotTrain where that is too little."""
    recipe = recipe or Recipe()
    return trees_of(sample_of(known, recipe), rounds=rounds, recipe=recipe)


def trees_of(sample: Sample, *, rounds: int, recipe: Recipe) -> Trees:
    """Fits on a sample."""
    return Trees(sample, boost(sample, rounds=rounds, recipe=recipe))


def boost(sample: Sample, *, rounds: int, recipe: Recipe) -> lightgbm.Booster:
    """LightGBM on a matrix, the same trees for the same input byte for byte."""
    data = lightgbm.Dataset(
        sample.matrix,
        sample.failed,
        feature_name=[feature.name for feature in sample.features],
        categorical_feature=[place for place, feature in enumerate(sample.features) if feature.type == "category"],
        free_raw_data=True,
    )
    chosen = {
        **PARAMETERS,
        "num_threads": 1 if sample.matrix.size < ONE_THREAD else 0,
        "min_data_in_leaf": min(max(len(sample.failed) // LEAF_SHARE, 15), 60),
        "monotone_constraints": [_direction(feature) for feature in sample.features],
        **recipe.parameters,
        "seed": recipe.seed,
    }
    return lightgbm.train(chosen, data, num_boost_round=rounds)


def _direction(feature: FeatureSpec) -> int:
    """+1 where engineering says that a higher value is riskier, -1 lower; 0 where it does not know."""
    family = family_of(feature)
    return 0 if family is None or feature.type == "category" else family.direction
