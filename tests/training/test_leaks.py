"""A feature that knows too much is named and tried without; one that is merely good is left alone."""

from functools import cache
from random import Random

import numpy as np
import pytest

from features.asof import Array
from features.card import FeatureSpec
from tests.command import few_trees
from tests.tiny_site import Rows, day, histories, site
from tests.training.learnable import learnable
from training.evaluation import Evaluation, evaluate_model
from training.known import known_by
from training.leaks import Leak, find_leaks, own_auc, source_of
from training.model import Model, fit_model, score_out_of_time

__all__ = ["few_trees"]


def planted(agrees: float, *, lots: int = 300) -> tuple[Rows, object]:
    """The learnable site, hot lots less clear, with an attribute that agrees with what came back so often."""
    rows, rule = learnable(lots)
    random, back = Random(1), {row["lot_id"] for row in rows["returns"]}
    for row in rows["lots"]:
        row["temperature"] = row["temperature"] + random.randint(-25, 25)
        row["width"] = str(random.random())
        if agrees:
            row["bin"] = str(float((row["lot_id"] in back) == (random.random() < agrees)) + random.random() / 10)
    return rows, rule


@cache
def looked_at(agrees: float) -> tuple[Model, Evaluation, list[Leak]]:
    rows, rule = planted(agrees)
    model = fit_model(known_by(histories(rows, rule), rule, until=day(330)))
    evaluation = evaluate_model(model, site(rule))
    return model, evaluation, find_leaks(model, evaluation, lambda recipe: score_out_of_time(model.known, recipe))


@pytest.mark.parametrize("agrees", [1.0, 0.95])
def test_a_copy_of_the_label_even_a_noisy_one_is_named_and_tried_without(agrees: float) -> None:
    _, evaluation, leaks = looked_at(agrees)
    assert [leak.name for leak in leaks] == ["bin"]
    (leak,) = leaks
    assert leak.features == ("lot_bin",)
    assert leak.gain_share > 0.3
    assert leak.roc_auc > 0.85
    assert leak.without > leak.log_loss + 0.05
    assert leak.difference.value == pytest.approx(leak.without - leak.log_loss)
    said = str(leak)
    assert said.startswith("bin holds ")
    assert "without it log loss is" in said
    assert said.endswith("check that it is known before as_of.")
    assert leak.as_dict()["says"] == said
    assert evaluation.failed.sum() >= 10


def test_where_nothing_was_planted_nothing_is_named() -> None:
    model, evaluation, leaks = looked_at(0.0)
    auc = evaluation.figures["model"]["roc_auc"]
    assert auc is not None
    assert auc.value > 0.6
    assert leaks == []
    assert model.recipe.without == ()


def test_nothing_is_named_by_a_handful_of_failures() -> None:
    model, evaluation, _ = looked_at(1.0)
    few = np.flatnonzero(~evaluation.failed | (np.cumsum(evaluation.failed) <= 9))
    fewer = Evaluation(
        evaluation.rows[few],
        evaluation.failed[few],
        evaluation.block[few],
        {"model": evaluation.risks["model"][few]},
        evaluation.strongest[few],
        {},
        {},
    )
    assert find_leaks(model, fewer, lambda recipe: pytest.fail("walked again")) == []


FAILED = np.arange(60) % 3 == 0


@pytest.mark.parametrize(
    ("column", "category", "at_least", "at_most"),
    [
        (np.where(FAILED, 1.0, 2.0), False, 1.0, 1.0),
        (np.where(FAILED, 5.0, np.nan), False, 1.0, 1.0),
        (np.where(FAILED, np.nan, np.arange(60) % 7), False, 1.0, 1.0),
        (np.full(60, np.nan), False, 0.5, 0.5),
        (np.ones(60), False, 0.5, 0.5),
        (np.where(FAILED, 3.0, 4.0), True, 0.9, 1.0),
        (np.where(FAILED, np.nan, 4.0), True, 0.9, 1.0),
        (np.arange(60.0), True, 0.0, 0.6),
    ],
    ids=["lower", "only known", "null", "never known", "one value", "a level", "no level", "each its own level"],
)
def test_how_well_a_column_ranks_alone(column: Array, category: bool, at_least: float, at_most: float) -> None:
    assert at_least <= own_auc(column, FAILED, category=category) <= at_most


def test_a_level_does_not_know_its_own_lot() -> None:
    """Each level's share is of the lots before: a level of two lots, one of which failed, says nothing of it."""
    failed = np.tile([True, False], 40)
    assert own_auc(np.arange(80) // 2 * 1.0, failed, category=True) < 0.7


@pytest.mark.parametrize(
    ("about", "source"),
    [
        ({"characteristic": "weight", "entity": "line"}, "weight"),
        ({"attribute": "origin", "group": "resin"}, "resin origin"),
        ({"entity": "product"}, "product_fail_share_365d"),
    ],
)
def test_columns_of_one_measurement_have_one_source(about: dict[str, str], source: str) -> None:
    assert source_of(FeatureSpec("product_fail_share_365d", about=about)) == source
