import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from features.card import FeatureSpec
from serving.drift import (
    BEYOND,
    COMMON,
    ERROR,
    NEEDED,
    Sample,
    classes,
    compare,
    kolmogorov_smirnov,
    margin,
    total_variation,
)

LEVELS = [f"V{place:02}" for place in range(30)]
SPECS = [*(FeatureSpec(f"number_{place}") for place in range(8)), FeatureSpec("supplier", "category", levels=LEVELS)]
GAIN = np.ones(len(SPECS))
VALUES = st.lists(st.one_of(st.integers(-3, 3).map(float), st.just(float("nan"))), min_size=1, max_size=40)


def sample(generator, lots, *, shift=0.0):
    """Eight numbers and a category, a tenth missing; `shift` moves the first number and the risk."""
    matrix = generator.normal(size=(lots, len(SPECS)))
    matrix[:, -1] = generator.integers(0, len(LEVELS), lots)
    matrix[:, 0] += shift
    matrix[generator.random(matrix.shape) < 0.1] = np.nan
    return Sample(matrix, 1 / (1 + np.exp(3 - generator.normal(size=lots) - shift)))


def found(then, now, gain=GAIN):
    return compare(then, now, specs=SPECS, gain=gain)


def feature(report, name):
    return next(one for one in report["features"] if one["feature"] == name)


def wrongly_sure(report):
    """Whether any interval leaves out the truth when nothing has changed."""
    return any(one["low"] > 0 for one in [report["risk"], *report["features"]])


@given(VALUES, VALUES)
@settings(deadline=None)
def test_the_distance_of_numbers_is_the_greatest_difference_of_shares_with_missing_values_last(then, now):
    first, second = (np.nan_to_num(np.array(values), nan=99.0) for values in (then, now))
    expected = max(abs((first <= cut).mean() - (second <= cut).mean()) for cut in [*first, *second])
    assert kolmogorov_smirnov(np.array(then), np.array(now)) == pytest.approx(expected, abs=1e-12)


def test_a_number_that_goes_missing_has_moved():
    there, gone = np.zeros(100), np.append(np.zeros(60), np.full(40, np.nan))
    assert kolmogorov_smirnov(there, gone) == pytest.approx(0.4)
    assert kolmogorov_smirnov(gone, there) == pytest.approx(0.4)


def test_the_distance_of_categories_counts_missing_and_unknown_levels_as_one_class():
    then, now, many = classes(np.array([0.0, 0.0, 1.0, np.nan]), np.array([0.0, 1.0, 7.0, np.nan]), levels=2)
    assert (total_variation(then, now), many) == (0.25, 3)


def test_rare_levels_are_pooled_so_that_their_number_does_not_widen_the_interval():
    then = np.repeat(np.arange(100.0), np.arange(100, 0, -1))
    first, second, many = classes(then, np.array([99.0, 50.0, 0.0, np.nan]), levels=100)
    assert many == len(np.unique(first)) + 1 == COMMON + 2
    assert second[0] == second[1] != second[2]
    assert second[3] == many - 1


@pytest.mark.parametrize(("lots", "rounds"), [(200, 300), (2_000, 100), (50_000, 60)])
def test_no_false_alarm_in_more_than_the_stated_share_of_reports(lots, rounds):
    generator = np.random.default_rng(9)
    reports = [found(sample(generator, 2_000), sample(generator, lots)) for _ in range(rounds)]
    assert sum(report["verdict"] == "drift" for report in reports) == 0
    assert np.mean([wrongly_sure(report) for report in reports]) <= ERROR


@pytest.mark.parametrize("lots", [200, 2_000])
def test_intervals_hold_all_true_distances_at_once(lots):
    """Of a uniform number moved by d the true distance is d."""
    generator = np.random.default_rng(1)
    moved = np.linspace(0.0, 0.3, 6)
    specs = [FeatureSpec(f"moved_{place}") for place in range(6)]
    missed = 0
    for _ in range(200):
        then, now = generator.random((1_000, 6)), generator.random((lots, 6)) + moved
        report = compare(
            Sample(then, then[:, 0]), Sample(now, generator.random(lots)), specs=specs, gain=np.ones(len(specs))
        )
        true = {spec.name: distance for spec, distance in zip(specs, moved, strict=True)} | {"risk": 0.0}
        rows = [report["risk"], *report["features"]]
        missed += any(not one["low"] <= true[one["feature"]] <= one["high"] for one in rows)
    assert missed / 200 <= ERROR


def test_point_estimates_alone_are_caught_alarming():
    """What the margin is for: of 200 lots that are like the reference, some distance is often above the limit."""
    generator = np.random.default_rng(0)
    reports = [found(sample(generator, 2_000), sample(generator, 200)) for _ in range(50)]
    assert np.mean([any(one["statistic"] > BEYOND for one in report["features"]) for report in reports]) > 0.3


@pytest.mark.parametrize("lots", [200, 2_000, 50_000])
def test_a_real_shift_is_found(lots):
    generator = np.random.default_rng(2)
    report = found(sample(generator, 2_000), sample(generator, lots, shift=1.5))
    assert report["verdict"] == "drift"
    assert report["risk"]["verdict"] == feature(report, "number_0")["verdict"] == "drift"
    assert report["features"][0]["feature"] == "number_0"
    assert "number_0" in report["detail"]


def test_a_trifling_shift_of_very_many_lots_is_none():
    generator = np.random.default_rng(3)
    then, now = sample(generator, 200_000), sample(generator, 200_000, shift=0.01)
    report = found(then, now)
    assert report["verdict"] == "none"
    assert {one["verdict"] for one in [report["risk"], *report["features"]]} == {"none"}
    assert ks_2samp(then.risk, now.risk).pvalue < 0.05, "a p-value alarms, so the trifle is there"


def test_a_category_that_half_the_lots_have_left_is_found():
    generator = np.random.default_rng(4)
    then, now = sample(generator, 2_000), sample(generator, 2_000)
    now.matrix[:1_000, -1] = 3.0
    assert feature(found(then, now), "supplier")["verdict"] == "drift"


def test_too_few_lots_are_not_judged_however_far_they_lie():
    generator = np.random.default_rng(5)
    report = found(sample(generator, 2_000), sample(generator, NEEDED - 1, shift=9.0))
    assert (report["verdict"], report["lots"], report["needed"]) == ("too_few", NEEDED - 1, NEEDED)
    assert report["detail"] == f"too few to judge: {NEEDED - 1} lots, needs {NEEDED}"
    assert (report["features"], report["risk"]) == ([], None)


def test_a_reference_of_too_few_lots_is_said_to_be_one():
    generator = np.random.default_rng(5)
    report = found(sample(generator, 50), sample(generator, 5_000))
    assert report["verdict"] == "too_few"
    assert "reference holds 50 lots" in report["detail"]


def test_a_feature_the_model_does_not_use_drifts_without_alarm():
    generator = np.random.default_rng(6)
    then, now = sample(generator, 20_000), sample(generator, 20_000)
    now.matrix[:, 0] += 5.0
    unused = np.ones(len(SPECS))
    unused[0] = 0.0
    report = found(then, now, unused)
    assert feature(report, "number_0")["verdict"] == "drift"
    assert report["verdict"] == "none"
    assert found(then, now, 1.0 - unused)["verdict"] == "drift"


def seasons(generator, lots, *, plant):
    """Lots in order of time: the first number is the plant's, of `plant` values one after the other."""
    made = sample(generator, lots)
    made.matrix[:, 0] = np.asarray(plant)[np.arange(lots) * len(plant) // lots] + 0.01 * generator.normal(size=lots)
    return made


def test_what_came_and_went_in_training_is_no_drift():
    """In its own 90 days a plant's rate has one value, far from all others; so had each 90 days of training."""
    generator = np.random.default_rng(11)
    then, now = seasons(generator, 2_000, plant=range(8)), seasons(generator, 2_000, plant=[3.5])
    plant = np.eye(1, len(SPECS))[0]
    steady = Sample(generator.permuted(then.matrix, axis=0), then.risk)
    assert feature(found(then, now, plant), "number_0")["statistic"] > 0.4
    assert found(then, now, plant)["verdict"] != "drift"
    assert found(steady, now, plant)["verdict"] == "drift", "training that held all at all times had not seen this"


def test_chance_alone_hardly_moves_the_limit():
    generator = np.random.default_rng(12)
    for rows, spans in ((2_000, 8), (2_000, 20), (10_000, 20)):
        report = compare(sample(generator, rows), sample(generator, 300), specs=SPECS, gain=GAIN, spans=spans)
        limits = [one["limit"] for one in [report["risk"], *report["features"]]]
        assert BEYOND == min(limits) <= max(limits) < BEYOND + 0.1


def test_a_short_reference_is_not_cut_into_spans_of_a_few_rows():
    generator = np.random.default_rng(13)
    report = compare(sample(generator, 250), sample(generator, 300), specs=SPECS, gain=GAIN, spans=500)
    assert report["risk"]["limit"] < BEYOND + 0.1


def test_a_model_without_trees_is_judged_by_its_risk_alone():
    generator = np.random.default_rng(7)
    assert found(sample(generator, 20_000), sample(generator, 20_000), np.zeros(len(SPECS)))["verdict"] == "none"


def test_few_lots_of_a_small_shift_are_unclear():
    generator = np.random.default_rng(8)
    assert found(sample(generator, 2_000), sample(generator, 300))["verdict"] == "unclear"


def test_the_margin_shrinks_with_either_sample_and_grows_with_certainty_and_classes():
    usual = margin(2_000, 500, error=0.001)
    assert margin(4_000, 500, error=0.001) < usual < margin(2_000, 250, error=0.001)
    assert margin(2_000, 500, error=0.01) < usual < margin(2_000, 500, error=0.001, many=12)


def test_the_margin_of_very_many_classes_is_a_number():
    assert 0 < margin(2_000, 2_000, error=0.001, many=5_000) < 2


def test_a_column_missing_throughout_is_like_itself_and_unlike_a_full_one():
    none, full = np.full(300, np.nan), np.ones(300)
    assert kolmogorov_smirnov(none, none) == 0.0
    assert kolmogorov_smirnov(none, full) == kolmogorov_smirnov(full, none) == 1.0
