"""Two versions are told apart beyond noise, or it is said that they are not."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from features.asof import DAY
from features.errors import LotRiskError
from features.output import times
from tests.command import done, few_trees, lotrisk, registry, with_registry
from tests.toy_model import MLFLOW_WARNS
from training.compare import Comparison, compare_scores
from training.factory import make_factory

pytestmark = MLFLOW_WARNS
__all__ = ["few_trees", "registry"]

LOTS = 2_000
GENERATOR = np.random.default_rng(0)
FAILED = GENERATOR.random(LOTS) < 0.1
GOOD = np.where(FAILED, 0.3, 0.08) * np.exp(GENERATOR.normal(0, 0.3, LOTS))
POOR = np.full(LOTS, 0.1) * np.exp(GENERATOR.normal(0, 0.3, LOTS))


def scores(risk, *, failed=FAILED, lots=range(LOTS), order=1):
    lots = list(lots)[::order]
    table = {
        "lot_id": [f"L{lot:05}" for lot in lots],
        "as_of": times(np.array(lots, dtype=np.int64) * DAY // 2 + 1_700_000_000_000_000),
        "risk": np.asarray(risk)[lots],
        "failed": np.asarray(failed)[lots].astype(np.int8),
        "block": np.array(lots) // 100,
    }
    return pa.table(table)


def compared(first, second) -> Comparison:
    return compare_scores(first, second, names=("3", "2"))


def says(found: Comparison) -> dict[str, str]:
    return {one.figure: one.says for one in found.differences}


def test_the_better_one_is_named_whichever_comes_first() -> None:
    for first, second, better, worse in ((GOOD, POOR, "3", "2"), (POOR, GOOD, "2", "3")):
        told = says(compared(scores(first), scores(second)))
        assert told["log_loss"] == f"version {better} is better than {worse} on log loss beyond noise"
        assert told["brier"] == f"version {better} is better than {worse} on Brier score beyond noise"
        assert told["average_precision"] == f"version {better} is better than {worse} on average precision beyond noise"
        assert told["roc_auc"] == f"version {better} is better than {worse} on ROC AUC beyond noise"


def test_figures_are_scikit_learns_and_the_difference_is_theirs() -> None:
    found = {one.figure: one for one in compared(scores(GOOD), scores(POOR)).differences}
    for name, of in (("average_precision", average_precision_score), ("roc_auc", roc_auc_score)):
        one = found[name]
        assert (one.first, one.second) == pytest.approx((of(FAILED, GOOD), of(FAILED, POOR)))
        assert one.difference.value == pytest.approx(one.first - one.second)
        assert one.difference.low < one.difference.value < one.difference.high


def test_noise_is_not_told_apart() -> None:
    noisy = np.clip(GOOD * np.exp(GENERATOR.normal(0, 0.02, LOTS)), 0, 0.99)
    told = says(compared(scores(GOOD), scores(noisy)))
    assert told["log_loss"] == "versions 3 and 2 are not told apart on log loss"
    assert {said.split(" on ")[0] for said in told.values()} == {"versions 3 and 2 are not told apart"}


def test_a_version_equals_itself_whatever_the_order_of_rows() -> None:
    found = compared(scores(GOOD), scores(GOOD, order=-1))
    assert found.judgements == LOTS
    assert all(one.difference.low == one.difference.high == 0.0 for one in found.differences)


def test_only_judgements_that_both_scored_count() -> None:
    found = compared(scores(GOOD, lots=range(1_500)), scores(POOR, lots=range(500, LOTS)))
    assert (found.judgements, found.failures) == (1_000, int(FAILED[500:1_500].sum()))
    assert "1,000 shared judgements" in found.lines[0]


def test_under_20_failures_there_is_no_comparison() -> None:
    for failures, few in ((19, True), (20, False)):
        failed = np.zeros(LOTS, dtype=bool)
        failed[np.arange(failures) * 50] = True
        found = compared(scores(GOOD, failed=failed), scores(POOR, failed=failed))
        assert (found.says == f"too few failures ({failures}, needs 20): versions 3 and 2 not compared") is few
        assert (found.differences == []) is few
    nothing = compared(scores(GOOD, lots=range(10)), scores(POOR, lots=range(20, 30)))
    assert nothing.says.startswith("too few failures (0,")


def test_a_label_that_changed_is_left_out_and_counted() -> None:
    changed = FAILED.copy()
    changed[:30] = ~changed[:30]
    found = compared(scores(GOOD), scores(POOR, failed=changed))
    assert (found.judgements, found.other_label) == (LOTS - 30, 30)
    assert "30 with another label left out" in found.lines[0]


def test_versions_of_two_label_rules_are_not_compared() -> None:
    other = np.roll(FAILED, 1)
    with pytest.raises(LotRiskError, match=r"versions 3 and 2 share 2,000 judgements .* different questions"):
        compared(scores(GOOD), scores(POOR, failed=other))


@pytest.fixture(scope="module")
def trained(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A factory with two versions: other seeds, and the second with a supplier lot kept apart."""
    made = make_factory(tmp_path_factory.mktemp("site") / "valves", seed=0, today=date(2026, 9, 1), lots=400)
    site = with_registry(made, registry)
    done("train", site, "--until", "2026-05-01", "--json")
    return site


def test_two_versions_are_compared_by_what_their_runs_kept(trained: Path) -> None:
    told = json.loads(
        done("train", trained, "--until", "2026-05-01", "--seed", 1, "--keep-apart", "product", "--json").out
    )
    rows = {row["name"]: row for row in told["figures"]}
    apart, whole = rows["product kept apart"], rows["model"]
    assert apart["judgements"] <= whole["judgements"]
    assert apart["few"] is (apart["failures"] < 20)
    assert told["leaks"] == []
    said = done("compare", trained, "1", "2").out
    assert f"{whole['judgements']:,} shared judgements, {whole['failures']:,} failures" in said
    facts = json.loads(done("compare", trained, "1", "2", "--json").out)
    assert facts["judgements"] == whole["judgements"]
    by_figure = {one["figure"]: one for one in facts["differences"]}
    if whole["failures"] >= 20:
        assert by_figure["log_loss"]["second"] == pytest.approx(whole["log_loss"])


def test_a_version_that_is_not_there_is_named(trained: Path) -> None:
    ran = lotrisk("compare", trained, "1", "7")
    assert ran.status == 2
    assert "has no version '7'; there are: 1" in ran.err


def test_what_lots_do_not_share_cannot_be_kept_apart(trained: Path) -> None:
    ran = lotrisk("train", trained, "--keep-apart", "suplier_lot")
    assert (ran.status, "did you mean supplier_lot?" in ran.err) == (2, True)
