"""Failures that are made to weigh more than they do: what trees then say is always brought back to probabilities."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from features.calibration import Calibration
from tests.command import few_trees
from tests.tiny_site import day, histories
from tests.training.learnable import learnable
from training.calibrate import AS_IT_IS, fit_calibration
from training.fit import trees_of
from training.known import Known, known_by
from training.model import Model, fit_model
from training.recipe import Recipe
from training.sample import sample_of
from training.weights import surplus_of, weighs_failures

__all__ = ["few_trees"]

DRAWN = {"pos_bagging_fraction": 1.0, "neg_bagging_fraction": 0.25, "bagging_fraction": 1.0}
WEIGHTS: list[Mapping[str, Any]] = [{"scale_pos_weight": 8.0}, {"is_unbalance": True}, DRAWN]


@pytest.fixture(scope="module")
def known(few_trees: None) -> Known:
    rows, rule = learnable(700, seed=2)
    return known_by(histories(rows, rule), rule, until=day(750))


def told(model: Model) -> tuple[float, float]:
    """Mean risk out of time and the share that failed."""
    mature = np.isin(model.out_of_time.rows, model.known.labels.usable)
    failed = model.known.labels.failed[model.out_of_time.rows[mature]] == 1
    return float(model.out_of_time.risk[mature].mean()), float(failed.mean())


@pytest.mark.parametrize("weights", WEIGHTS, ids=lambda weights: next(iter(weights)))
def test_risks_of_weighted_trees_are_right_on_average(known: Known, weights: Mapping[str, Any]) -> None:
    model = fit_model(known, Recipe(parameters=weights))
    risk, share = told(model)
    assert risk == pytest.approx(share, abs=0.04)
    learned = known.judgements.take(known.labels.usable)
    refit = model.risk(learned, known.histories)
    assert refit.mean() == pytest.approx(share, abs=0.08)
    as_they_are = model.trees.margins(model.trees.matrix, (model.rounds,))[:, 0]
    assert AS_IT_IS.apply(as_they_are).mean() > share + 0.05, "weights that change nothing prove nothing"


def test_before_there_are_failures_to_calibrate_on_the_known_weight_is_taken_off(known: Known) -> None:
    """The first blocks have no earlier scores."""
    weighted, plain = (
        fit_model(known, Recipe(parameters=each)).out_of_time for each in ({"scale_pos_weight": 8.0}, {})
    )
    first = weighted.block == weighted.block.min()
    assert weighted.risk[first].mean() == pytest.approx(plain.risk[first].mean(), abs=0.08)


def test_without_its_surplus_the_sample_itself_is_told_its_own_share(known: Known) -> None:
    sample = sample_of(known, Recipe())
    weighted, plain = Recipe(parameters={"scale_pos_weight": 8.0}), Recipe(parameters={"num_leaves": 7})
    margins = trees_of(sample, rounds=40, recipe=weighted).margins(sample.matrix, (1, 40))
    surplus = surplus_of(margins, sample, weighted)
    assert np.allclose(expit(margins - surplus).mean(axis=0), sample.base_rate)
    assert surplus[1] > surplus[0] + 0.5, "one tree has not gone the way to the weighted odds, forty have"
    assert surplus_of(margins, sample, plain).tolist() == [0.0, 0.0]
    assert weighs_failures(Recipe(parameters=DRAWN)) and not weighs_failures(plain)


def test_a_map_that_must_be_fitted_is_never_the_margins_as_they_are() -> None:
    random = np.random.default_rng(0)
    margin = random.normal(-2.0, 1.5, 500)
    failed = random.random(500) < 1 / (1 + np.exp(-margin))
    block = np.arange(500) // 20
    assert fit_calibration(margin, failed, block=block) == AS_IT_IS
    assert fit_calibration(margin, failed, block=block, must=True) != AS_IT_IS


@pytest.mark.parametrize(
    "calibration",
    [
        Calibration("identity"),
        Calibration("platt", 0.8, -0.3),
        Calibration("isotonic", knots=((-3.0, 0.02), (0.0, 0.3), (1.0, 0.6))),
    ],
    ids=lambda calibration: calibration.kind,
)
def test_a_moved_map_says_of_higher_margins_what_it_said(calibration: Calibration) -> None:
    margin = np.linspace(-4.0, 3.0, 15)
    assert np.allclose(calibration.moved(1.7).apply(margin + 1.7), calibration.apply(margin), atol=1e-12)
    assert calibration.moved(0.0) == calibration
