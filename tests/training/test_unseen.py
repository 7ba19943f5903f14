"""A category that training hardly or never saw is scored as one that is missing, by what was learned of such lots."""

from typing import cast

import lightgbm
import numpy as np
import pytest

from features.card import FeatureSpec
from features.layout import Layout
from training.fit import PARAMETERS, boost
from training.recipe import Recipe
from training.sample import Sample

COMMON, RARE = 6, 10
LEVELS = [f"P{number}" for number in range(COMMON + RARE)]


def sample(*, rare_rate: float, rows_of_rare: int = 8) -> Sample:
    """300 lots of each common product, of which 10 to 30 % fail, and few of each rare one."""
    random = np.random.default_rng(0)
    product = np.concatenate([np.repeat(np.arange(COMMON), 300), np.repeat(COMMON + np.arange(RARE), rows_of_rare)])
    rate = np.where(product < COMMON, 0.1 + 0.04 * product, rare_rate)
    matrix = np.column_stack([product.astype(np.float64), random.normal(size=len(product))])
    specs = [FeatureSpec("product", "category", levels=LEVELS), FeatureSpec("noise")]
    failed = (random.random(len(product)) < rate).astype(np.float64)
    return Sample(cast(Layout, None), specs, ("production",) * 2, np.arange(len(product)), matrix, failed)


def risk(booster: lightgbm.Booster, products: list[float]) -> list[float]:
    matrix = np.column_stack([products, np.zeros(len(products))])
    return np.asarray(booster.predict(matrix)).tolist()


@pytest.mark.parametrize("rare_rate", [0.05, 0.6])
def test_rare_unseen_and_missing_products_have_one_risk_that_was_learned(rare_rate: float) -> None:
    """With fewer lots than `cat_smooth` a level never stands on the named side of a split: it goes with the unseen."""
    booster = boost(sample(rare_rate=rare_rate), rounds=100, recipe=Recipe())
    rare = risk(booster, [float(COMMON + number) for number in range(RARE)])
    assert set(risk(booster, [99.0, 1_000.0, np.nan])) == set(rare)
    assert len(set(rare)) == 1
    common = risk(booster, [float(number) for number in range(COMMON)])
    assert len(set(common)) > 3
    assert (rare[0] > max(common)) == (rare_rate > 0.5)


def test_a_smaller_limit_would_let_rare_products_be_learned_by_heart() -> None:
    """What `cat_smooth` and `min_data_per_group` keep from happening: levels told apart by eight lots each."""
    loose = Recipe(parameters={"cat_smooth": 1.0, "min_data_per_group": 1, "min_data_in_leaf": 5})
    booster = boost(sample(rare_rate=0.5), rounds=100, recipe=loose)
    assert len(set(risk(booster, [float(COMMON + number) for number in range(RARE)]))) > 1
    assert PARAMETERS["cat_smooth"] == PARAMETERS["min_data_per_group"] == 20
