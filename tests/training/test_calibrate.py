import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from training.calibrate import ALWAYS_ISOTONIC, AS_IT_IS, fit_calibration, isotonic, kind_of_map, platt


def sigmoid(log_odds):
    return 1.0 / (1.0 + np.exp(-log_odds))


def drawn(n, *, mean=-2.0, spread=1.5, true=lambda margin: margin, seed=0):
    """Margins, what came of them when `true` maps margin to true log odds, and weekly blocks."""
    generator = np.random.default_rng(seed)
    margin = generator.normal(mean, spread, n)
    return margin, generator.random(n) < sigmoid(true(margin)), np.arange(n) * 40 // n


def test_platt_undoes_margins_that_are_twice_too_sure():
    margin, failed, block = drawn(1_000, mean=-4.0, spread=3.0, true=lambda m: 0.5 * m - 0.2)
    assert 50 < failed.sum() < 200
    found = fit_calibration(margin, failed, block=block)
    assert (found.kind, found.slope, found.intercept) == (
        "platt",
        pytest.approx(0.5, abs=0.1),
        pytest.approx(-0.2, abs=0.4),
    )


def test_platt_is_the_maximum_of_his_smoothed_likelihood():
    margin, failed, _ = drawn(300)
    found = platt(margin, failed)
    k, n = failed.sum(), len(failed)
    target = np.where(failed, (k + 1) / (k + 2), 1 / (n - k + 2))
    error = found.apply(margin) - target
    assert error.sum() == pytest.approx(0, abs=1e-6)
    assert (error * margin).sum() == pytest.approx(0, abs=1e-6)


def test_classes_that_part_cleanly_stay_finite():
    margin = np.linspace(-1, 1, 100)
    found = fit_calibration(margin, margin > 0, block=np.arange(100))
    risk = found.apply(margin)
    assert found.kind == "platt"
    assert 0.5 < risk[-1] < 0.9999


def test_margins_in_the_wrong_order_give_everyone_the_rate():
    margin, failed, block = drawn(400)
    found = fit_calibration(-margin, failed, block=block)
    assert found.slope == 0.0
    assert found.apply(margin)[0] == pytest.approx(failed.mean(), abs=0.02)


@pytest.mark.parametrize("level", [0.0, -3.7, 1e9])
def test_margins_that_are_all_alike_give_everyone_the_rate(level):
    failed = np.arange(200) < 40
    found = platt(np.full(200, level), failed)
    assert found.apply(np.array([level]))[0] == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("failures", [0, 1, 9])
def test_few_failures_leave_the_margins_as_they_are(failures):
    margin = np.linspace(-6, 0, 200)
    assert fit_calibration(margin, np.arange(200) >= 200 - failures, block=np.arange(200)) == AS_IT_IS


def test_nothing_to_learn_from_leaves_margins_as_they_are():
    assert fit_calibration(np.empty(0), np.empty(0), block=np.empty(0)) == AS_IT_IS


def test_margins_that_tell_the_truth_are_left_as_they_are():
    margin, failed, block = drawn(1_000, mean=-3.0)
    assert fit_calibration(margin, failed, block=block) == AS_IT_IS


def test_a_map_that_held_in_one_time_only_is_not_kept():
    margin, failed, block = drawn(1_000, mean=-3.0)
    tilted = np.where(block < 20, 2.0, 0.5) * margin
    assert fit_calibration(tilted, failed, block=block) == AS_IT_IS


def test_isotonic_from_1000_failures_on_follows_a_shape_that_no_sigmoid_has():
    margin, failed, block = drawn(12_000, mean=0.0, true=lambda m: np.where(m > 0, 0.0, -4.0))
    found = fit_calibration(margin, failed, block=block)
    assert failed.sum() >= ALWAYS_ISOTONIC
    assert found.kind == "isotonic"
    assert found.apply(np.array([-1.0, 1.0])).tolist() == pytest.approx([sigmoid(-4.0), 0.5], abs=0.03)


def test_isotonic_is_scikit_learns_with_less_loss_to_ties():
    margin, failed, _ = drawn(20_000)
    risk = isotonic(margin, failed).apply(margin)
    steps = IsotonicRegression(y_min=1e-6, y_max=1 - 1e-6).fit(margin, failed).predict(margin)
    assert np.abs(risk - steps).mean() < 0.01
    assert len(np.unique(risk)) > 0.9 * len(risk) > 10 * len(np.unique(steps))


def test_isotonic_never_says_never():
    margin = np.linspace(-5, 5, 4_000)
    risk = isotonic(margin, (margin > 0).astype(float)).apply(np.array([-9.0, 9.0]))
    assert risk.tolist() == pytest.approx([0.5 / 2_001, 1 - 0.5 / 2_001])


def test_one_lucky_lot_at_the_bottom_does_not_lift_the_others():
    generator = np.random.default_rng(0)
    failed = np.concatenate(([0, 1], np.zeros(999), generator.random(4_000) < 0.5))
    margin = np.arange(len(failed), dtype=float)
    assert fit_calibration(margin, failed, block=np.arange(len(failed))).apply(margin[:500]).max() < 0.003


@pytest.mark.parametrize(
    ("shape", "kind"),
    [(lambda m: m, "platt"), (lambda m: np.where(m > 0, -2.0, -7.0), "isotonic")],
)
def test_between_200_and_1000_failures_later_blocks_decide(shape, kind):
    margin, failed, block = drawn(6_000, mean=0.0 if kind == "isotonic" else -3.0, true=shape)
    assert 200 <= failed.sum() < ALWAYS_ISOTONIC
    assert kind_of_map(margin, failed, block=block)(margin, failed).kind == kind


def test_with_one_block_there_is_no_later_one_and_platt_stays():
    margin, failed, block = drawn(6_000, mean=0.0, true=lambda m: np.where(m > 0, -2.0, -7.0))
    assert fit_calibration(margin, failed, block=np.zeros_like(block)).kind == "platt"


@given(
    margin=arrays(np.float64, 60, elements=st.floats(-1e6, 1e6)),
    failed=arrays(np.bool_, 60),
)
@settings(max_examples=200, deadline=None)
def test_any_history_gives_a_rising_calibration_no_worse_than_the_rate(margin, failed):
    fit_calibration(margin, failed, block=np.arange(60)).apply(margin)
    if min(failed.sum(), 60 - failed.sum()) >= 10:
        rate = (failed.sum() + 1) / 62
        assert (
            log_loss(failed, platt(margin, failed.astype(float)).apply(margin))
            <= log_loss(failed, np.full(60, rate)) + 0.01
        )


@given(
    margin=arrays(np.float64, 2_200, elements=st.floats(-3, 3, width=16)),
    seed=st.integers(0, 9),
)
@settings(max_examples=20, deadline=None)
def test_margins_with_many_ties_give_a_rising_isotonic_calibration(margin, seed):
    failed = np.random.default_rng(seed).random(2_200) < 0.5
    failed[:1_000], failed[1_000:2_000] = True, False
    fit = kind_of_map(margin, failed, block=np.arange(2_200))
    assert fit(margin, failed.astype(float)).kind == "isotonic"


def test_the_same_history_gives_the_same_numbers():
    assert fit_calibration(*drawn(3_000)[:2], block=drawn(3_000)[2]) == fit_calibration(
        *drawn(3_000)[:2], block=drawn(3_000)[2]
    )


@pytest.mark.parametrize(
    ("margin", "failed", "block"),
    [([0.0, 1.0], [0], [0]), ([[0.0]], [[0]], [[0]]), ([np.nan], [0], [0]), ([0.0], [2], [0]), ([0.0], [np.nan], [0])],
)
def test_what_is_no_history_is_refused(margin, failed, block):
    with pytest.raises(ValueError, match=r"Give one|Leave judgements"):
        fit_calibration(np.array(margin), np.array(failed), block=np.array(block))
