"""Failures that are made to weigh more than they do, by LightGBM's own parameters, and what that does to margins.

Trees learn from weighted failures as if there were so many more of them, so their margins are too high: by the log of
the weight in the end (King & Zeng 2001), but LightGBM starts from the odds as they are, and few trees go a part of the
way. So it is measured: on what they learned from, risks have to be right on average.
"""

import numpy as np
from scipy.special import expit

from features.asof import Array
from training.recipe import Recipe
from training.sample import Sample

_WEIGHING = (
    *("scale_pos_weight", "is_unbalance", "unbalance", "unbalanced_sets"),
    *("pos_bagging_fraction", "pos_sub_row", "pos_subsample", "pos_bagging"),
    *("neg_bagging_fraction", "neg_sub_row", "neg_subsample", "neg_bagging"),
)


def weighs_failures(recipe: Recipe) -> bool:
    """Whether any parameter weighs one kind of lot more than the other."""
    return any(name in recipe.parameters for name in _WEIGHING)


def surplus_of(margins: Array, sample: Sample, recipe: Recipe) -> Array:
    """By how much `margins` of the sample's own rows, (rows, choices), are too high: log odds, (choices,).

    0 where nothing weighs failures, and where units are counted: then margins are no log odds.
    """
    low, high = np.full(margins.shape[1], -30.0), np.full(margins.shape[1], 30.0)
    if not weighs_failures(recipe) or sample.counted is not None:
        return np.zeros(margins.shape[1])
    for _ in range(60):
        middle = (low + high) / 2.0
        too_high = expit(margins - middle).mean(axis=0) > sample.base_rate
        low, high = np.where(too_high, middle, low), np.where(too_high, high, middle)
    return np.asarray((low + high) / 2.0)
