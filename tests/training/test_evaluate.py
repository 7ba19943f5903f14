import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from training.bootstrap import Figure
from training.evaluate import (
    LESS,
    SHOWN,
    TITLES,
    Capacity,
    Count,
    chosen_for_inspection,
    evaluate,
    figures_rows,
    figures_tables,
    log_losses,
    signed,
)


def judged(n, *, seed=0):
    """Risks that are right, what came of them, and 20 blocks."""
    generator = np.random.default_rng(seed)
    risk = generator.beta(0.6, 4.0, n)
    return risk, generator.random(n) < risk, np.arange(n) * 20 // n


def test_the_figures_are_scikit_learns():
    risk, failed, block = judged(800)
    found = evaluate(risk, failed, block)
    expected = {
        "average_precision": average_precision_score(failed, risk),
        "roc_auc": roc_auc_score(failed, risk),
        "log_loss": log_loss(failed, risk),
        "brier": brier_score_loss(failed, risk),
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    assert all(figure.low < figure.value < figure.high for figure in map(found.get, expected))


def test_every_figure_has_a_title_and_every_title_a_figure():
    risk, failed, block = judged(3_000)
    found = evaluate(risk, failed, block, capacity=Capacity(np.arange(3_000) // 30, 4))
    assert list(found) == list(TITLES)
    assert None not in found.values()


def test_the_error_of_a_calibrated_risk_is_small_and_of_a_doubled_one_is_not():
    risk, failed, block = judged(20_000)
    right = evaluate(risk, failed, block)["calibration_error"]
    wrong = evaluate(np.minimum(1.0, 2 * risk), failed, block)["calibration_error"]
    assert right.low <= right.value < 0.01
    assert wrong.low > 0.08


def test_under_200_failures_there_is_no_calibration_error():
    risk, failed, block = judged(600)
    assert failed.sum() < 200
    assert evaluate(risk, failed, block)["calibration_error"] is None


def test_a_constant_risk_has_the_failed_share_as_precision_everywhere_and_a_calibration_error_of_its_distance():
    failed, block = np.arange(1_000) % 4 == 0, np.arange(1_000) // 50
    found = evaluate(np.full(1_000, 0.35), failed, block, capacity=Capacity(block, 5))
    assert found["roc_auc"].value == 0.5
    values = [found[name].value for name in ("average_precision", "precision_at_capacity", "calibration_error")]
    assert values == pytest.approx([0.25, 0.25, 0.1])


def test_capacity_takes_the_highest_risks_of_each_day():
    risk = np.array([0.9, 0.8, 0.7, 0.1, 0.2])
    failed = np.array([1, 0, 1, 0, 1])
    found = evaluate(risk, failed, np.arange(5), capacity=Capacity(np.array([1, 1, 1, 2, 2]), 1))
    assert found["precision_at_capacity"].value == 1.0  # 0.9 on day 1 and 0.2 on day 2
    assert found["recall_at_capacity"].value == pytest.approx(2 / 3)


def test_lots_of_equal_risk_share_the_places_that_are_left():
    risk, day = np.array([0.5, 0.9, 0.5, 0.5, 0.1]), np.zeros(5)
    assert chosen_for_inspection(risk, Capacity(day, 2)).tolist() == pytest.approx([1 / 3, 1, 1 / 3, 1 / 3, 0])


def test_half_an_inspection_a_day_is_half_a_chance_for_the_first():
    assert chosen_for_inspection(np.array([0.2, 0.9]), Capacity(np.zeros(2), 0.5)).tolist() == [0.0, 0.5]


@given(
    lots=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=30),
    per_day=st.floats(0.1, 12),
)
def test_each_day_fills_its_places_or_inspects_all_and_never_prefers_a_lower_risk(lots, per_day):
    day, risk = (np.array(column) for column in zip(*lots, strict=True))
    chosen = chosen_for_inspection(risk / 4, Capacity(day, per_day))
    for one in np.unique(day):
        assert chosen[day == one].sum() == pytest.approx(min(per_day, (day == one).sum()))
        by_risk = np.argsort(risk[day == one])
        assert (np.diff(chosen[day == one][by_risk]) >= -1e-12).all()


def test_without_judgements_every_figure_is_undefined():
    assert set(evaluate(np.empty(0), np.empty(0), np.empty(0)).values()) == {None}


def test_without_failures_log_loss_and_brier_remain():
    found = evaluate(np.full(20, 0.1), np.zeros(20), np.arange(20), capacity=Capacity(np.arange(20), 1))
    assert [name for name, figure in found.items() if figure] == ["log_loss", "brier", "precision_at_capacity"]
    assert found["log_loss"].value == pytest.approx(-np.log(0.9))


def test_a_certainty_that_was_wrong_costs_much_but_not_infinitely():
    assert log_losses(np.array([0.0, 1.0]), np.array([1, 0])) == pytest.approx(36.04, abs=0.01)


@pytest.mark.parametrize(
    ("risk", "failed", "block", "per_day", "problem"),
    [
        ([0.1, 0.2], [0, 1], [0], 1, "shapes"),
        ([1.2, 0.2], [0, 1], [0, 1], 1, "1 of 2 lie outside"),
        ([np.nan, 0.2], [0, 1], [0, 1], 1, "1 of 2 lie outside"),
        ([0.1, 0.2], [0, np.nan], [0, 1], 1, "0 or 1"),
        ([0.1, 0.2], [0, 1], [0, 1], 0, "above 0"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(risk, failed, block, per_day, problem):
    with pytest.raises(ValueError, match=problem):
        evaluate(np.array(risk), np.array(failed), np.array(block), capacity=Capacity(np.zeros(len(risk)), per_day))


NAMED = {
    "model": {"average_precision": Figure(0.41, 0.33, 0.49), "roc_auc": None, "log_loss": Figure(0.2, None, None)},
    "base rate": {"average_precision": Figure(0.1, 0.08, 0.12), LESS: Figure(-0.061, -0.091, 0.002)},
    "product kept apart": {"average_precision": Figure(0.3, 0.1, 0.5)},
}
COUNTS = {"model": Count(12_000, 143), "base rate": Count(12_000, 143), "product kept apart": Count(900, 19)}


def printed(counts, *, width=120):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(figures_tables(NAMED, counts))
    return console.export_text()


def test_the_tables_have_a_row_a_name_and_leave_out_what_nobody_has():
    lines = printed(COUNTS).splitlines()
    assert "12,000 judgements, 143 failures" in lines[0]
    (base,) = [line.split("  ") for line in lines if "base rate" in line]
    assert [cell.strip() for cell in base if cell.strip()] == [
        "base rate", "–", "-0.061 [-0.091, +0.002]", "0.100 [0.080, 0.120]"
    ]  # fmt: skip
    assert not any("ROC AUC" in line or "Brier" in line for line in lines)
    assert max(len(line) for line in lines) <= 120


def test_every_figure_is_in_one_of_the_tables_and_in_the_rows():
    assert sorted(key for keys in SHOWN for key in keys) == sorted([*TITLES, LESS])
    assert {LESS, *TITLES} <= set(figures_rows(NAMED, COUNTS)[0])


def test_a_full_table_fits_120_columns():
    wide = Figure(0.3123, 0.2956, 0.3489)
    named = dict.fromkeys(("model", "supplier_lot kept apart"), dict.fromkeys((*TITLES, LESS), wide))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(figures_tables(named, dict.fromkeys(named, Count(100, 50))))
    assert console.export_text().count("0.312 [") == 4 * 2 * 2


def test_a_row_of_fewer_than_20_failures_says_so():
    text = printed(COUNTS, width=160)
    assert "product kept apart (of 900, 19 failures): says little" in text
    assert text.count("says little") == 1
    assert [row["few"] for row in figures_rows(NAMED, COUNTS)] == [False, False, True]
    assert "say little" not in printed(dict.fromkeys(NAMED, Count(300, 20)))


def test_the_whole_table_says_so_once():
    text = printed(dict.fromkeys(NAMED, Count(300, 19)))
    assert "Only 19 failures: under 20, such figures say little." in text
    assert "says little" not in text


def test_the_rows_are_plain_json():
    rows = json.loads(json.dumps(figures_rows(NAMED, COUNTS), allow_nan=False))
    assert rows[0]["name"] == "model"
    assert (rows[0]["average_precision"], rows[0]["average_precision_low"]) == (0.41, 0.33)
    assert (rows[0]["judgements"], rows[0]["failures"], rows[0]["few"]) == (12_000, 143, False)
    assert rows[1]["log_loss"] is None
    assert rows[1][f"{LESS}_high"] == 0.002


def test_a_difference_shows_its_sign():
    assert signed(Figure(0.01, -0.02, 0.04)) == "+0.010 [-0.020, +0.040]"
    assert signed(Figure(-0.5, None, None)) == "-0.5"
