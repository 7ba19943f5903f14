"""How far lots' own probabilities lie from their risks, learned from what came of them."""

import numpy as np
import pytest
from scipy.special import gammainc

from features.doubt import Doubt
from features.histories import Array
from tests.tiny_site import day, histories
from tests.training.learnable import learnable
from training.doubt import (
    Counts,
    counts_of,
    ends_by_counts,
    ends_by_kin,
    log_mean,
    measure_doubt,
    shared_part,
    spread_of_rates,
)
from training.known import Known, known_by
from training.model import time_blocks


def drawn(spread: float, *, lots: int = 1_500, seed: int = 0) -> tuple[Array, Counts, Array]:
    """Risks that are right on average, counts of lots whose rates scatter, and the lots' own probabilities."""
    random = np.random.default_rng(seed)
    risk = random.beta(1.0, 7.0, lots).clip(0.005, 0.9)
    limit = random.integers(1, 12, lots).astype(np.float64)
    mean = np.exp(log_mean(risk, limit, spread) + spread * random.normal(size=lots))
    return risk, Counts(random.poisson(mean).astype(np.float64), limit), gammainc(limit, mean)


def inside(own: Array, risk: Array, ends: tuple[Array, Array], at: Array) -> float:
    low, high = (np.interp(risk, at, end) for end in ends)
    return float(((own >= low) & (own <= high)).mean())


@pytest.mark.parametrize("spread", [0.3, 0.8, 1.4])
def test_the_spread_of_rates_is_found_from_their_counts(spread: float) -> None:
    risk, counts, _ = drawn(spread)
    assert spread_of_rates(risk, counts) == pytest.approx(spread, abs=0.1)


def test_lots_that_differ_by_chance_alone_have_no_spread() -> None:
    risk, counts, _ = drawn(0.0)
    assert spread_of_rates(risk, counts) < 0.2


@pytest.mark.parametrize("spread", [0.8, 1.4])
def test_nine_in_ten_lots_have_their_own_probability_between_the_ends(spread: float) -> None:
    risk, counts, own = drawn(spread)
    at = np.linspace(0.005, 0.9, 60)
    assert inside(own, risk, ends_by_counts(at, counts.limit, spread), at) == pytest.approx(0.9, abs=0.04)
    too_sure = inside(own, risk, ends_by_counts(at, counts.limit, spread / 3), at)
    assert too_sure < 0.6, "a spread that is too small must show"


def test_a_usual_count_gives_the_risk_back() -> None:
    risk, limit = np.array([0.01, 0.2, 0.7]), np.array([1.0, 3.0, 8.0])
    nodes = np.random.default_rng(0).normal(size=200_000)
    reached = gammainc(limit[:, None], np.exp(log_mean(risk, limit, 0.9)[:, None] + 0.9 * nodes)).mean(axis=1)
    assert np.allclose(reached, risk, atol=0.003)


def pairs(lots: int) -> tuple[Array, Array]:
    """Each lot with the next of its group of ten."""
    one = np.flatnonzero(np.arange(lots) % 10 < 9)
    return one, one + 1


def test_lots_that_fail_together_share_something_and_others_do_not() -> None:
    random = np.random.default_rng(1)
    risk = np.full(4_000, 0.1)
    block = np.arange(4_000) // 200
    group = np.repeat(random.beta(0.1 * 4, 0.9 * 4, 400), 10)
    together, alone = random.random(4_000) < group, random.random(4_000) < 0.1
    assert shared_part(*pairs(4_000), risk, together, block) == pytest.approx(0.25, abs=0.08)
    assert shared_part(*pairs(4_000), risk, alone, block) < 0.04
    assert shared_part(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), risk, alone, block) == 0.0


def test_the_ends_of_lots_that_share_much_are_far_apart() -> None:
    risk = np.array([0.05, 0.5])
    narrow, wide = ends_by_kin(risk, 0.02), ends_by_kin(risk, 0.6)
    assert (wide[0] < narrow[0]).all() and (wide[1] > narrow[1]).all()
    assert (narrow[0] < risk).all() and (risk < narrow[1]).all()


@pytest.fixture(scope="module")
def known() -> Known:
    rows, rule = learnable(400, seed=3)
    return known_by(histories(rows, rule), rule, until=day(450))


def measured(known: Known, *, most: int = 10_000, risk: float | None = None) -> Doubt:
    rows = known.labels.usable[:most]
    failed = known.labels.failed[rows] == 1
    return measure_doubt(
        known,
        rows,
        np.full(len(rows), failed.mean() if risk is None else risk),
        failed,
        time_blocks(known.judgements.as_of[rows]),
    )


def test_returns_tell_by_their_counts(known: Known) -> None:
    """Of ten units two come back or none."""
    found = measured(known)
    assert found.how.startswith("counts of returns")
    low, high = (float(end[0]) for end in found.around(np.array([0.25])))
    assert low < 0.2 < 0.3 < high, (low, high, found.how)


def test_the_same_lots_give_the_same_ends(known: Known) -> None:
    assert measured(known) == measured(known)


def test_under_twenty_failures_nothing_is_told(known: Known) -> None:
    failed = known.labels.failed[known.labels.usable] == 1
    nineteen, twenty = (int(np.flatnonzero(failed)[number]) + 1 for number in (18, 19))
    assert measured(known, most=nineteen) == Doubt()
    assert measured(known, most=twenty).knots


def test_a_lot_whose_label_is_not_what_its_returns_say_is_left_out(known: Known) -> None:
    """It was found failing before it shipped."""
    rows = known.labels.usable
    failed = known.labels.failed[rows] == 1
    found = np.flatnonzero(~failed)[:5]
    failed[found] = True
    counts, plain = counts_of(known, rows, failed)
    assert len(counts.back) == len(rows)
    assert set(np.arange(len(rows))) - set(plain.tolist()) == set(found.tolist())


def test_units_that_come_back_two_at_a_time_are_counted_as_one(known: Known) -> None:
    rows = known.labels.usable
    counts, _ = counts_of(known, rows, known.labels.failed[rows] == 1)
    assert set(counts.back.tolist()) == {0.0, 1.0}
    assert set(counts.limit.tolist()) == {0.5}
