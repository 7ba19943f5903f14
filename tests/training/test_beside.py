"""What stands beside the model: a logistic regression and single histories, on the tables it learns from itself."""

import warnings
from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from features.asof import Array
from features.card import FeatureSpec
from features.site import Site
from tests.command import few_trees
from tests.tiny_site import day, histories, site
from tests.training.learnable import RULES, learnable
from training.beside import ALONE, FARTHEST, LOGISTIC, STRENGTHS, beside, logistic, only
from training.evaluate import LESS, MIN_FAILURES, log_losses
from training.evaluation import Evaluation, evaluate_model
from training.forecast import Contender
from training.known import known_by
from training.maturity import Young
from training.model import Model, fit_model
from training.recipe import Recipe
from training.sample import Sample
from training.train import verdict_on

__all__ = ["few_trees"]

SITE: Site = site(RULES)


@cache
def compared(*, shuffled: bool = False, parts: tuple[str, ...] = Recipe().parts) -> Model:
    """The model of a tiny site beside the others; `shuffled`: each lot has another's returns."""
    rows, rule = learnable(300)
    if shuffled:
        lots = [row["lot_id"] for row in rows["lots"]]
        shipped = {row["lot_id"]: row["shipped_at"] for row in rows["lots"]}
        other = dict(zip(lots, Random(5).sample(lots, len(lots)), strict=True))
        moved = [(row, other[row["lot_id"]]) for row in rows["returns"]]
        rows["returns"] = [
            row
            | {"lot_id": lot}
            | {name: row[name] - shipped[row["lot_id"]] + shipped[lot] for name in ("occurred_at", "reported_at")}
            for row, lot in moved
        ]
    known = known_by(histories(rows, rule), rule, until=day(330))
    recipe = Recipe(parts=parts)
    return fit_model(known, recipe, beside=beside(recipe))


def found(**asked: bool) -> Evaluation:
    return evaluate_model(compared(**asked), SITE)


def sample(matrix: Array, failed: Array, *, parts: tuple[str, ...] = (), levels: int = 0) -> Sample:
    """A sample of numbers, the last `levels` > 0: a category."""
    names = [FeatureSpec(f"x{place}") for place in range(matrix.shape[1])]
    if levels:
        names[-1] = FeatureSpec("kind", type="category", levels=[str(level) for level in range(levels)])
    told = compared().trees.sample
    return replace(
        told, features=names, parts=parts or ("production",) * len(names), matrix=matrix, failed=failed, rows=told.rows
    )


def test_the_others_score_the_same_judgements_as_the_model() -> None:
    model = compared()
    assert set(model.beside) == {LOGISTIC, *ALONE}
    for scored in model.beside.values():
        assert scored.rows.tolist() == model.out_of_time.rows.tolist()
        assert ((scored.risk > 0) & (scored.risk < 1)).all()


def test_the_table_shows_them_with_the_difference_to_the_model() -> None:
    evaluation = found()
    assert list(evaluation.figures)[:3] == ["model", "base rate", "strongest rate"]
    assert {LOGISTIC, "production only", "field only"} <= set(evaluation.figures)
    losses = {name: log_losses(risk, evaluation.failed).mean() for name, risk in evaluation.risks.items()}
    assert LESS not in evaluation.figures["model"]
    for name in set(evaluation.figures) - {"model"}:
        less = evaluation.figures[name][LESS]
        assert less is not None
        assert less.value == pytest.approx(losses["model"] - losses[name])


def test_a_history_that_the_site_lacks_has_no_row() -> None:
    assert "supplier only" not in found().figures
    assert "field only" not in evaluate_model(compared(parts=("production",)), SITE).figures


def test_a_history_alone_sees_its_own_columns_only() -> None:
    seen = []

    def learn(told: Sample):
        seen.append((told.parts, told.matrix.shape))
        return lambda matrix: matrix[:, :1]

    matrix = np.arange(12.0).reshape(3, 4)
    told = sample(matrix, np.array([0.0, 1.0, 0.0]), parts=("production", "field", "own", "supplier"))
    margins = only(("field", "own"), Contender(learn, (1,), 1)).learn(told)
    assert seen == [(("field", "own"), (3, 2))]
    assert margins(matrix)[:, 0].tolist() == [1.0, 5.0, 9.0]


def test_no_columns_say_the_base_rate() -> None:
    told = sample(np.ones((3, 1)), np.array([0.0, 1.0, 0.0]))
    bare = told.columns(np.array([], dtype=np.int64))
    for contender, without in ((only(("surveys",), logistic()), told), (logistic(), bare)):
        margins = contender.learn(without)(np.zeros((2, without.matrix.shape[1])))
        assert 1 / (1 + np.exp(-margins)) == pytest.approx(told.base_rate)


def test_the_logistic_regression_finds_a_straight_risk_among_gaps_and_kinds() -> None:
    generator = np.random.default_rng(3)
    hot, kind = generator.normal(size=600), generator.integers(0, 30, 600).astype(float)
    failed = generator.random(600) < 1 / (1 + np.exp(2.0 - 1.5 * hot - 2.0 * (kind == 4)))
    gaps = np.where(generator.random(600) < 0.2, np.nan, generator.normal(size=600))
    kind[:20] = np.nan
    matrix = np.column_stack([hot, gaps, np.full(600, np.nan), np.ones(600), kind])
    margins = logistic().learn(sample(matrix, failed.astype(float), levels=30))(matrix)
    assert margins.shape == (600, len(STRENGTHS))
    assert np.corrcoef(margins[:, -1], hot)[0, 1] > 0.8
    unseen = matrix.copy()
    unseen[:, -1], unseen[:, 1] = 99.0, np.nan
    assert np.isfinite(logistic().learn(sample(matrix, failed.astype(float), levels=30))(unseen)).all()


def test_the_logistic_regression_learns_what_young_lots_tell() -> None:
    """Mature lots fail alike everywhere; of the young only those on the right do."""
    values = np.random.default_rng(0).normal(size=(400, 1))
    mature = sample(values, (np.arange(400) % 8 == 0).astype(np.float64))
    right = (values[:, 0] > 0).astype(np.float64)
    young = Young(values, right, np.full(400, 0.5), np.zeros(400))
    asked = np.array([[-2.0], [2.0]])
    low, high = logistic().learn(replace(mature, young=young))(asked)[:, -1]
    flat = np.ptp(logistic().learn(mature)(asked)[:, -1])
    assert high - low > flat + 1.0


def test_one_odd_measurement_does_not_decide_alone() -> None:
    generator = np.random.default_rng(0)
    hot = generator.normal(size=400)
    failed = (generator.random(400) < 1 / (1 + np.exp(1.0 - hot))).astype(float)
    margins = logistic().learn(sample(hot[:, None], failed))
    spread = FARTHEST * hot.std() + hot.mean()
    assert margins(np.array([[1e12]])) == pytest.approx(margins(np.array([[spread]])))


def test_it_is_the_same_each_time() -> None:
    told = compared().trees.sample
    first, second = (logistic().learn(told)(told.matrix) for _ in range(2))
    assert (first == second).all()


def test_a_regression_that_does_not_converge_is_an_error() -> None:
    told = compared().trees.sample
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ConvergenceWarning):
        patch.setattr("training.beside.MOST_STEPS", 1)
        logistic().learn(told)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logistic().learn(told)


def test_shuffled_labels_come_out_at_the_base_rate_and_promote_nothing() -> None:
    """Bites: the same site with its own labels is told from the base rate and promoted."""
    for shuffled in (True, False):
        evaluation = found(shuffled=shuffled)
        assert evaluation.failed.sum() >= MIN_FAILURES
        verdict = verdict_on(compared(shuffled=shuffled), evaluation, None)
        for name in ("base rate", "strongest rate"):
            less = evaluation.figures[name][LESS]
            assert less is not None
            assert less.high is not None
            assert (less.high >= 0.0) is shuffled
        assert verdict.promote is not shuffled
