"""LightGBM's trees on a sample."""

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from lightgbm.basic import LightGBMError

from features.asof import Array
from features.card import FeatureSpec
from features.dictionary import family_of
from features.errors import SettingsError
from features.layout import Layout
from training.known import Known
from training.merge import averaged, raised
from training.recipe import Recipe
from training.sample import Sample, sample_of

ONE_THREAD = 2_000_000  # values; below it a second thread waits longer than it works, and far longer on a busy machine

APART = 1_000  # between the seeds of fits that are averaged: those of a model of the next seed are others

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
    boosters: int = 1
    """Fits that were averaged: trees a round."""

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

    @property
    def gain_shares(self) -> Array:
        """Each feature's share of the total gain, float64, shape (features,)."""
        gain = self.booster.feature_importance("gain")
        return np.asarray(gain / max(float(gain.sum()), 1e-12))

    def margins(self, matrix: Array, rounds: tuple[int, ...]) -> Array:
        """By number of rounds, float64, shape (rows, len(rounds)): log odds, or what the sample's links take."""
        threads = 1 if matrix.size < ONE_THREAD else 0
        scores = [
            self.booster.predict(matrix, raw_score=True, num_iteration=number * self.boosters, num_threads=threads)
            for number in rounds
        ]
        return np.stack([np.asarray(score) for score in scores], axis=1)


def fit_trees(known: Known, *, rounds: int, recipe: Recipe | None = None) -> Trees:
    """Fits on what is known. CannotTrain where that is too little."""
    recipe = recipe or Recipe()
    return trees_of(sample_of(known, recipe), rounds=rounds, recipe=recipe)


def trees_of(sample: Sample, *, rounds: int, recipe: Recipe) -> Trees:
    """Fits on a sample."""
    return Trees(sample, boost(sample, rounds=rounds, recipe=recipe), recipe.boosters)


def boost(sample: Sample, *, rounds: int, recipe: Recipe) -> lightgbm.Booster:
    """LightGBM on a matrix, the same trees for the same input byte for byte.

    Where units are counted its raw score is the log of those to come back a unit at risk; else log odds.
    """
    fits = [
        _boost(sample, rounds=rounds, recipe=recipe, seed=recipe.seed + APART * number)
        for number in range(recipe.boosters)
    ]
    return fits[0] if len(fits) == 1 else averaged(fits)


def _boost(sample: Sample, *, rounds: int, recipe: Recipe, seed: int) -> lightgbm.Booster:
    matrix, target, weight, exposure = _lessons(sample)
    chosen = {
        **PARAMETERS,
        "num_threads": 1 if matrix.size < ONE_THREAD else 0,
        "min_data_in_leaf": min(max(len(sample.failed) // LEAF_SHARE, 15), 60),
        "monotone_constraints": [direction_of(feature) for feature in sample.features],
        **objective_of(sample),
        **recipe.parameters,
        "seed": seed,
    }
    level = 0.0 if exposure is None else float(np.log((target.sum() + 0.5) / (np.exp(exposure).sum() + 1.0)))
    data = lightgbm.Dataset(
        matrix,
        target,
        weight=weight,
        init_score=None if exposure is None else exposure + level,
        feature_name=[feature.name for feature in sample.features],
        categorical_feature=[place for place, feature in enumerate(sample.features) if feature.type == "category"],
        free_raw_data=True,
    )
    try:
        booster = lightgbm.train(chosen, data, num_boost_round=rounds)
    except LightGBMError as refused:
        if not recipe.parameters:
            raise
        stated = ", ".join(f"{name} = {value}" for name, value in recipe.parameters.items())
        why = str(refused).partition(" at /")[0].strip()  # behind it stands a line of LightGBM's own source
        raise SettingsError(f"LightGBM refuses {stated} ({why}); change [model] parameters or [search]") from refused
    # The level belongs to the trees, so that their text alone says the rate.
    return booster if exposure is None else raised(booster, level)


def objective_of(sample: Sample) -> dict[str, str]:
    """LightGBM's parameter for what is learned."""
    return {"objective": "binary" if sample.counted is None else "poisson"}


def _lessons(sample: Sample) -> tuple[Array, Array, Array | None, Array | None]:
    """Matrix, target, weight and exposure of all that is learned from, the mature judgements first."""
    matrix, target, exposure = sample.matrix, sample.failed, None
    if sample.counted is not None:
        target, exposure = sample.counted.returned[sample.rows], np.log(sample.counted.units[sample.rows])
    young = sample.young
    if young is None:
        return matrix, target, None, exposure
    weight = np.concatenate([np.ones(len(target)), young.weight])
    if exposure is not None:
        exposure = np.concatenate([exposure, young.exposure])
    return np.concatenate([matrix, young.matrix]), np.concatenate([target, young.target]), weight, exposure


def direction_of(feature: FeatureSpec) -> int:
    """+1 where engineering says that a higher value is riskier, -1 lower; 0 where it does not know."""
    family = family_of(feature)
    return 0 if family is None or feature.type == "category" else family.direction
