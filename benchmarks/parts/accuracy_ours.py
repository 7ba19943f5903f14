"""Who learns in this process: ours, ours tuned, and scikit-learn's."""

from dataclasses import replace

import lightgbm
import numpy as np
from scipy.special import logit
from sklearn.ensemble import HistGradientBoostingClassifier

from features.asof import Array
from training.beside import logistic
from training.forecast import Contender, Margins
from training.model import DEFAULT_ROUNDS, ROUNDS, trees_as
from training.recipe import Recipe
from training.sample import Sample

ONE_THREAD = {"num_threads": 1}
SETTINGS = (
    {},
    {"num_leaves": 7},
    {"num_leaves": 31, "learning_rate": 0.03},
    {"extra_trees": False, "learning_rate": 0.02},
    {"extra_trees": False, "num_leaves": 7, "feature_fraction": 0.3, "learning_rate": 0.02},
    {"lambda_l2": 50.0, "feature_fraction": 0.3},
)
"""That the tuned one chooses among, with the rounds, at each block by earlier blocks."""


def contenders() -> dict[str, Contender]:
    return {
        "ours": trees_as(Recipe(parameters=ONE_THREAD)),
        "ours, tuned": tuned(),
        "ours, from mature lots only": mature_only(trees_as(Recipe(parameters=ONE_THREAD))),
        "LightGBM as it comes": plain(),
        "HistGradientBoosting": histogram(),
        "logistic regression": mature_only(logistic()),
    }


def tuned() -> Contender:
    each = [trees_as(Recipe(parameters={**ONE_THREAD, **settings})) for settings in SETTINGS]

    def learn(sample: Sample) -> Margins:
        learned = [one.learn(sample) for one in each]
        return lambda matrix: np.concatenate([margins(matrix) for margins in learned], axis=1)

    choices = tuple(range(len(ROUNDS) * len(SETTINGS)))
    return Contender(learn, choices, ROUNDS.index(DEFAULT_ROUNDS))


def mature_only(contender: Contender) -> Contender:
    """As all others here learn: without what lots tell that are too young to know."""
    return replace(contender, learn=lambda sample: contender.learn(replace(sample, young=None)))


def plain() -> Contender:
    """LightGBM's own defaults, 100 rounds; no direction, no regularisation of ours."""

    def learn(sample: Sample) -> Margins:
        data = lightgbm.Dataset(
            sample.matrix,
            sample.failed,
            categorical_feature=[place for place, spec in enumerate(sample.features) if spec.type == "category"],
        )
        booster = lightgbm.train(
            {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 0}, data, num_boost_round=100
        )
        return lambda matrix: np.asarray(booster.predict(matrix, raw_score=True, num_threads=1))[:, None]

    return Contender(learn, (100,), 100)


def histogram() -> Contender:
    """scikit-learn's, at its own defaults but for the rounds to choose from. Columns that are null throughout go."""
    rounds = tuple(number for number in ROUNDS if number <= 200)

    def learn(sample: Sample) -> Margins:
        told = np.flatnonzero(~np.isnan(sample.matrix).all(axis=0))
        category = [sample.features[place].type == "category" for place in told.tolist()]
        model = HistGradientBoostingClassifier(
            max_iter=max(rounds), early_stopping=False, categorical_features=category, random_state=0
        )
        model.fit(sample.matrix[:, told], sample.failed)

        def margins(matrix: Array) -> Array:
            by_round = list(model.staged_predict_proba(matrix[:, told]))
            risk = np.stack([by_round[number - 1][:, 1] for number in rounds], axis=1)
            return np.asarray(logit(np.clip(risk, 1e-9, 1 - 1e-9)))

        return margins

    return Contender(learn, rounds, DEFAULT_ROUNDS)
