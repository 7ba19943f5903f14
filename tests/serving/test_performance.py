import json
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from features.asof import DAY
from features.histories import Vocabulary
from serving.figures import MIN_FAILURES, MIN_WEEKS, wilson
from serving.performance import Judged, Predicted, performance, predictions

DAY_0 = int(np.datetime64("2026-01-01", "us").astype(np.int64))
AGES = 10_000 * DAY


def judged(*rows):
    """Judgements from (lot, day), all mature and held up."""
    lots = Vocabulary([lot for lot, _ in rows])
    return Judged(
        lots,
        np.array([lots.code(lot) for lot, _ in rows], dtype=np.int64),
        np.array([DAY_0 + round(day * DAY) for _, day in rows], dtype=np.int64),
        np.zeros(len(rows), dtype=np.int8),
        np.ones(len(rows), dtype=bool),
        DAY_0 + 1_000 * DAY,
    )


def log(*rows):
    """A table of the score log from (lot, day asked about, risk[, day asked[, version]])."""
    rows = [(*row, *(row[1], "3")[len(row) - 3 :]) for row in rows]
    return pa.table(
        {
            "lot_id": [row[0] for row in rows],
            "as_of": pa.array([DAY_0 + round(row[1] * DAY) for row in rows], pa.int64()),
            "risk": pa.array([row[2] for row in rows], pa.float64()),
            "asked_at": pa.array([DAY_0 + round(row[3] * DAY) for row in rows], pa.int64()),
            "model_version": [row[4] for row in rows],
        }
    )


def risks(judgements, *tables, oldest=AGES, late=0):
    told = predictions(judgements, tables, oldest=oldest, late=late).risk.tolist()
    return [None if math.isnan(risk) else risk for risk in told]


def test_the_last_score_before_the_judgement_is_its_prediction():
    assert risks(judged(("A", 10)), log(("A", 1, 0.1), ("A", 9, 0.2), ("A", 5, 0.3))) == [0.2]


def test_a_score_at_the_moment_of_the_judgement_counts():
    assert risks(judged(("A", 10)), log(("A", 10, 0.4))) == [0.4]


def test_a_score_about_a_moment_after_the_judgement_never_counts():
    assert risks(judged(("A", 10)), log(("A", 10.001, 0.9))) == [None]


def test_a_score_asked_for_afterwards_about_an_earlier_moment_never_counts():
    assert risks(judged(("A", 10)), log(("A", 9, 0.9, 200))) == [None]
    assert risks(judged(("A", 10)), log(("A", 8, 0.1), ("A", 9, 0.9, 200))) == [0.1]


def test_a_score_too_long_before_the_judgement_does_not_count():
    assert risks(judged(("A", 50)), log(("A", 19.9, 0.1)), oldest=30 * DAY) == [None]
    assert risks(judged(("A", 50)), log(("A", 20, 0.1)), oldest=30 * DAY) == [0.1]


def test_each_judgement_of_a_lot_has_the_score_of_its_own_time():
    rows = judged(("A", 30), ("B", 5), ("A", 10), ("A", 20))
    assert risks(rows, log(("A", 9, 0.1), ("A", 19, 0.2), ("B", 4, 0.5), ("A", 31, 0.4))) == [None, 0.5, 0.1, 0.2]


def test_the_order_and_the_division_of_the_log_do_not_matter():
    rows = [("A", 1, 0.1), ("A", 9, 0.2), ("B", 4, 0.5), ("A", 5, 0.3), ("A", 12, 0.6)]
    expected = risks(judged(("A", 10), ("B", 5), ("A", 20)), log(*rows))
    assert expected == [0.2, 0.5, 0.6]
    assert risks(judged(("A", 10), ("B", 5), ("A", 20)), *(log(row) for row in reversed(rows))) == expected


def test_of_two_scores_about_one_moment_the_one_asked_for_last_counts():
    rows = [("A", 5, 0.1, 6), ("A", 5, 0.2, 7)]
    assert risks(judged(("A", 10)), log(*rows)) == risks(judged(("A", 10)), log(*rows[::-1])) == [0.2]


def test_a_lot_without_a_risk_and_a_lot_nobody_judged_predict_nothing():
    table = log(("A", 5, None), ("A", 6, float("nan")), ("C", 5, 0.5))
    assert risks(judged(("A", 10), ("B", 10)), table) == [None, None]
    assert risks(judged(("A", 10))) == [None]


def test_where_lots_are_judged_when_made_the_first_score_soon_after_counts():
    rows = judged(("A", 10), ("B", 10), ("C", 10))
    table = log(("A", 10.1, 0.1), ("A", 10.5, 0.2), ("B", 11.5, 0.3), ("C", 9, 0.4), ("C", 10.1, 0.5))
    assert risks(rows, table, late=DAY) == [0.1, None, 0.4]


def test_versions_are_those_of_the_scores_that_counted():
    table = log(("A", 5, 0.1, 5, "2"), ("A", 6, 0.2, 6, "3"), ("B", 6, 0.3, 6, "shrunk_product"))
    told = predictions(judged(("A", 10), ("B", 10)), [table], oldest=AGES)
    assert [told.versions[place] for place in told.version] == ["3", "shrunk_product"]


def brute(judgements, rows, oldest):
    found = []
    for lot, moment in zip(judgements.lots.decode(judgements.lot), judgements.as_of, strict=True):
        earlier = [
            (as_of, asked, risk)
            for name, as_of, risk, asked in rows
            if name == lot and as_of <= moment and asked <= moment and as_of >= moment - oldest
        ]
        found.append(max(earlier)[2] if earlier else None)
    return found


def test_predictions_equal_those_of_a_search_through_the_whole_log():
    """With turns further apart than the oldest score that counts, as the service asks."""
    generator = np.random.default_rng(0)
    for _ in range(50):
        rows = judged(*{(f"L{generator.integers(8)}", 30 * int(generator.integers(6))) for _ in range(20)})
        asked = [int(day) + place / 1_000 for place, day in enumerate(generator.integers(-40, 200, 60))]
        table = [
            (f"L{generator.integers(9)}", day - max(int(generator.integers(-3, 4)), 0), float(risk), day)
            for day, risk in zip(asked, generator.random(60), strict=True)
        ]
        plain = [(lot, DAY_0 + round(about * DAY), risk, DAY_0 + round(day * DAY)) for lot, about, risk, day in table]
        parts = [log(*table[:20]), log(*table[20:])]
        assert risks(rows, *parts, oldest=20 * DAY) == brute(rows, plain, 20 * DAY)


def year(generator, *, lots=4_000, lift=0.0, weekly=0.0, weeks=50, sharpness=1.0):
    """Lots over some weeks, their risks, and what came of them: log odds off by `lift` and by a week's own luck."""
    day = generator.integers(0, 7 * weeks, lots)
    margin = -3 + generator.normal(size=lots)
    true = -3 + lift + sharpness * (margin + 3) + weekly * generator.normal(size=weeks)[day // 7]
    failed = generator.random(lots) < 1 / (1 + np.exp(-true))
    rows = judged(*((f"L{place}", 4 + int(each)) for place, each in enumerate(day)))  # 5 January is a Monday
    rows = replace(rows, failed=np.empty(lots, dtype=np.int8))
    rows.failed[:] = failed
    return rows, of_one_version(1 / (1 + np.exp(-margin)), rows)


def of_one_version(risk, rows):
    """Predictions by version 3, each asked for at its judgement."""
    return Predicted(risk, np.zeros(len(rows), dtype=np.int64), ["3"], rows.as_of, rows.as_of)


def report(rows, predicted):
    return performance(rows, predicted, start=DAY_0, until=DAY_0 + 700 * DAY)


def test_wilsons_interval_is_that_of_the_textbook():
    assert wilson(10, 100, quantile=1.959964) == pytest.approx((0.05523, 0.17437), abs=1e-4)
    assert wilson(0, 100, quantile=1.959964) == pytest.approx((0.0, 0.03699), abs=1e-4)
    assert wilson(0, 0, quantile=1.96) == (0.0, 1.0)


def test_true_risks_are_called_otherwise_in_few_of_many_histories():
    generator = np.random.default_rng(1)
    verdicts = [report(*year(generator))["verdict"] for _ in range(200)]
    assert np.mean([verdict != "as_predicted" for verdict in verdicts]) <= 0.1


def test_weeks_that_are_alike_widen_the_interval():
    generator = np.random.default_rng(2)
    calm, stormy = (report(*year(generator, weekly=weekly)) for weekly in (0.0, 1.0))
    assert stormy["design_effect"] > 2 > calm["design_effect"]
    width, plain = (one["realised_high"] - one["realised_low"] for one in (stormy, calm))
    assert width > 1.3 * plain


def test_weeks_luck_alone_does_not_alarm_as_independent_lots_would():
    """Lots of a week share their luck: nothing is wrong with the mean, and independent lots would say so too often."""
    generator = np.random.default_rng(3)
    wrong = naive = 0
    for _ in range(100):
        rows, predicted = year(generator, weekly=1.0)
        shift = predicted.risk.mean() - 0.0913  # the true mean of what year() makes with such weeks
        moved = replace(predicted, risk=np.clip(predicted.risk - shift, 1e-6, 1.0))
        found = report(rows, moved)
        low, high = wilson(found["failed"], found["scored"], quantile=1.96)
        naive += not low <= found["predicted"] <= high
        wrong += not found["realised_low"] <= found["predicted"] <= found["realised_high"]
    assert wrong / 100 <= 0.1 < 0.2 <= naive / 100


@pytest.mark.parametrize(("lift", "verdict"), [(0.7, "worse"), (-0.7, "better")])
def test_more_or_fewer_failures_than_predicted_are_found(lift, verdict):
    found = report(*year(np.random.default_rng(4), lift=lift))
    assert found["verdict"] == verdict
    assert f"{found['realised']:.2%} of 4,000 mature scored judgements failed" in found["detail"]


def test_risks_that_no_longer_tell_lots_apart_are_worse_though_their_mean_is_right():
    generator = np.random.default_rng(5)
    rows, predicted = year(generator)
    shuffled = replace(predicted, risk=generator.permutation(predicted.risk))
    found = report(rows, shuffled)
    assert found["realised_low"] < found["predicted"] < found["realised_high"]
    assert found["verdict"] == "worse"
    assert found["log_loss"] > found["log_loss_promised"]
    assert "log loss" in found["detail"]


def test_few_failures_are_not_judged():
    rows, predicted = year(np.random.default_rng(6), lots=200)
    assert (rows.failed == 1).sum() < MIN_FAILURES
    found = report(rows, predicted)
    assert (found["verdict"], found["few"], found["log_loss_low"]) == ("too_few", True, None)
    assert f"needs {MIN_FAILURES} failures" in found["detail"]


def test_many_expected_failures_of_which_none_came_are_judged():
    rows, predicted = year(np.random.default_rng(6))
    assert report(replace(rows, failed=np.zeros_like(rows.failed)), predicted)["verdict"] == "better"


def test_few_weeks_are_not_judged():
    found = report(*year(np.random.default_rng(7), weeks=MIN_WEEKS - 1))
    assert (found["verdict"], found["design_effect"]) == ("too_few", 1.0)


def test_young_judgements_and_those_without_a_label_or_a_score_are_counted_and_not_measured():
    rows, predicted = year(np.random.default_rng(8), lots=1_000)
    rows.mature[:100] = False
    rows.failed[100:150] = -1
    predicted.risk[150:170] = np.nan
    found = report(rows, predicted)
    assert (found["judged"], found["mature"], found["labelled"], found["scored"]) == (1_000, 900, 850, 830)
    assert found["immature_share"] == pytest.approx(0.1)
    assert found["failed"] == int((rows.failed[170:] == 1).sum())
    rows.failed[:100] = 1  # what has failed young says nothing
    assert report(rows, predicted) == found


def test_a_month_holds_its_judgements_and_an_immature_one_no_figures():
    rows, predicted = year(np.random.default_rng(9))
    rows.mature[rows.as_of >= DAY_0 + 330 * DAY] = False
    months = {one["month"]: one for one in report(rows, predicted)["months"]}
    assert list(months) == [f"2026-{number:02}" for number in range(1, 13)]
    assert sum(one["judged"] for one in months.values()) == 4_000
    march = months["2026-03"]
    inside = (rows.as_of >= DAY_0 + 59 * DAY) & (rows.as_of < DAY_0 + 90 * DAY)
    assert march["predicted"] == pytest.approx(predicted.risk[inside].mean())
    assert march["realised"] == pytest.approx((rows.failed[inside] == 1).mean())
    assert march["realised_low"] < march["realised"] < march["realised_high"]
    assert months["2026-12"]["immature_share"] == 1.0
    assert (months["2026-12"]["scored"], months["2026-12"]["realised"]) == (0, None)


def test_every_version_that_predicted_is_named_with_its_figures():
    rows, predicted = year(np.random.default_rng(10))
    mixed = replace(predicted, version=np.repeat([1, 0], [1_000, 3_000]), versions=["3", "2", "unused"])
    versions = report(rows, mixed)["versions"]
    assert [(one["version"], one["scored"]) for one in versions] == [("3", 3_000), ("2", 1_000)]
    assert versions[1]["failed"] == int((rows.failed[:1_000] == 1).sum())


def test_judgements_outside_the_time_asked_about_do_not_count():
    rows, predicted = year(np.random.default_rng(11))
    found = performance(rows, predicted, start=DAY_0 + 100 * DAY, until=DAY_0 + 150 * DAY)
    assert found["judged"] == int(((rows.as_of >= DAY_0 + 100 * DAY) & (rows.as_of < DAY_0 + 150 * DAY)).sum())


def test_a_certain_risk_that_was_wrong_costs_much_and_stays_a_number():
    rows, predicted = year(np.random.default_rng(12))
    predicted.risk[:] = (np.arange(4_000) % 2).astype(np.float64)
    assert math.isfinite(json.loads(json.dumps(report(rows, predicted), allow_nan=False))["log_loss"])


def test_nothing_judged_is_too_few():
    found = performance(judged(("A", 1)), predictions(judged(("A", 1)), [], oldest=AGES), start=0, until=1)
    assert (found["verdict"], found["months"], found["immature_share"]) == ("too_few", [], 0.0)
    json.dumps(found, allow_nan=False)
