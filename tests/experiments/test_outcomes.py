"""What must come out on the public data: the clear signal is found, and where nothing is to be found nothing is."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from features.reading import read_histories
from features.site import read_site
from training import train
from training.bootstrap import Figure, paired_difference
from training.champion import MIN_FAILURES, Verdict
from training.evaluate import log_losses
from training.evaluation import Evaluation, evaluate_model
from training.known import known_by
from training.model import fit_model

LOTRISK = Path(__file__).parents[3] / "shared" / "data"
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
NOW = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp()) * 1_000_000

pytestmark = pytest.mark.skipif(
    not LOTRISK.is_dir(), reason="the public raw files are not there: no folder shared/data beside the repository"
)


@cache
def outcome(name: str) -> tuple[Evaluation, Verdict]:
    """What `lotrisk train` would find and decide, without registering it."""
    site = read_site(EXPERIMENTS / name, {})
    model = fit_model(known_by(read_histories(site, now=NOW).histories, site.rules, until=NOW))
    evaluation = evaluate_model(model, site)
    return evaluation, train.verdict_on(model, evaluation, None)


def against(evaluation: Evaluation, name: str) -> Figure:
    """Mean log loss of the model less that of another, on the same judgements."""
    losses = {who: log_losses(evaluation.risks[who], evaluation.failed) for who in ("model", name)}
    return paired_difference(losses["model"], losses[name], evaluation.block, seed=0)


@pytest.mark.parametrize("name", ["tablets_dissolution", "tablets_shuffled"])
def test_a_question_with_nothing_to_find_makes_no_champion(name: str) -> None:
    evaluation, verdict = outcome(name)
    assert not verdict.promote
    high = against(evaluation, "base rate").high
    assert high is not None
    assert high > 0.0
    assert any(reason.startswith("not met: Log loss is not clearly below that of the base rate") for reason in verdict.reasons)


def test_the_scatter_of_tablets_is_foreseen_and_makes_a_champion() -> None:
    evaluation, verdict = outcome("tablets")
    assert evaluation.failed.sum() >= MIN_FAILURES
    difference = against(evaluation, "base rate")
    assert difference.value < 0.0
    assert difference.high is not None
    assert difference.high < 0.0
    assert verdict.promote


def test_batches_that_scatter_are_ranked_as_well_as_is_known_of_these_data() -> None:
    evaluation, _ = outcome("tablets")
    auc, trailing = (evaluation.figures[name]["roc_auc"] for name in ("model", "shrunk_product"))
    assert auc is not None
    assert auc.low is not None
    assert auc.high is not None
    assert trailing is not None
    assert auc.low < 0.88 < auc.high  # of an untuned LightGBM walking forward; a leak would lie above
    assert trailing.value < auc.low


def test_a_leak_is_caught_where_nothing_is_to_be_found() -> None:
    """The same rule on risks that have seen the shuffled label: it would promote them, and the assertion would fail."""
    evaluation, _ = outcome("tablets_shuffled")
    base = log_losses(evaluation.risks["base rate"], evaluation.failed)
    leaked = log_losses(np.where(evaluation.failed, 0.3, 0.08), evaluation.failed)
    high = paired_difference(leaked, base, evaluation.block, seed=0).high
    assert high is not None
    assert high < 0.0
