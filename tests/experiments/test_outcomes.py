"""What must come out on the public data: the clear signal is found, and where nothing is to be found nothing is."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from features.reading import read_histories
from features.site import Site, read_site
from training import train
from training.bootstrap import Figure, paired_difference
from training.champion import MIN_FAILURES, Verdict
from training.evaluate import log_losses
from training.evaluation import Evaluation, evaluate_model
from training.known import known_by
from training.leaks import Leak, find_leaks
from training.model import fit_model, score_out_of_time

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
    assert any(
        reason.startswith("not met: Log loss is not clearly below that of the base rate") for reason in verdict.reasons
    )


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


@pytest.mark.parametrize(
    ("site", "column", "leaks"),
    [("tablets", "fct_rsd_weight", True), ("tablets_yield", "tbl_yield", True), ("tablets", "tbl_rsd_weight", False)],
)
def test_what_is_measured_after_the_batch_was_coated_is_named_as_suspicious(
    tmp_path: Path, site: str, column: str, leaks: bool
) -> None:
    """The site with one more measurement, as if it were known an hour before the end of pressing."""
    (tmp_path / "lotrisk.toml").write_text(
        f'''
[site]
name = "planted"
extends = "{EXPERIMENTS / site}"

[tables.measurements]
query = """
select batch as lot_id, characteristic, produced_at - interval 1 hour as measured_at, value
from in_process join batches using (batch)
where characteristic not in ('tbl_yield', 'total_waste', 'startup_waste')
union all
select batch, 'planted', produced_at - interval 1 hour, {column}::double from batches
"""
''',
        encoding="utf-8",
    )
    found = suspicious(read_site(tmp_path, {}))
    assert [leak.name for leak in found] == (["planted"] if leaks else [])
    for leak in found:
        assert leak.gain_share > 0.4
        assert leak.difference.low is not None
        assert leak.difference.low > 0.0


@pytest.mark.parametrize("name", ["tablets", "tablets_shuffled", "drives"])
def test_nothing_is_suspicious_in_the_data_as_they_stand(name: str) -> None:
    assert suspicious(read_site(EXPERIMENTS / name, {})) == []


def suspicious(site: Site) -> list[Leak]:
    model = fit_model(known_by(read_histories(site, now=NOW).histories, site.rules, until=NOW))
    return find_leaks(model, evaluate_model(model, site), lambda recipe: score_out_of_time(model.known, recipe))
