"""When a policy may be said to release at most a share of the failing lots, and when it may not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from tests.tiny_site import day, histories
from tests.training.learnable import learnable
from training.certify import (
    GRID,
    MIN_BLOCKS,
    certify,
    design_effect,
    kept,
    largest_threshold,
    needed,
    ripe_from,
    walked,
)
from training.known import known_by
from training.model import time_blocks


def lots(
    failing: int, missed: int, blocks: int = MIN_BLOCKS, sound: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(released, failed, block): failing lots dealt over the blocks, the first so many of them released; sound ones."""
    failed = np.arange(failing + sound) < failing
    released = (np.arange(failing + sound) < missed) | ~failed
    return released, failed, np.arange(failing + sound) % blocks


def test_fifty_nine_failing_lots_of_which_none_was_released_certify_five_percent() -> None:
    enough = certify(*lots(59, 0))
    assert enough.certified and (enough.needs, enough.has, enough.released_failures) == (59, 59, 0)
    assert enough.upper == pytest.approx(1 - 0.05 ** (1 / 59))
    assert enough.sentence == (
        "certified: at most 5 % of failing lots are released "
        "(95 % sure; 0 of 59 failing lots in 10 blocks of time were released)"
    )


def test_one_fewer_does_not_and_says_what_is_needed() -> None:
    found = certify(*lots(58, 0, sound=5000))
    assert not found.certified
    assert found.sentence.startswith("cannot certify: needs 59 failing lots, has 58 ")


def test_nine_blocks_are_too_few_whatever_they_hold() -> None:
    found = certify(*lots(500, 0, blocks=9))
    assert not found.certified and found.upper < 0.01
    assert found.sentence.startswith("cannot certify: needs 10 blocks of time with failing lots, has 9 ")


def test_blocks_without_failing_lots_do_not_count() -> None:
    released, failed, block = lots(90, 0, blocks=9)
    some = certify(np.append(released, True), np.append(failed, False), np.append(block, 9))
    assert not some.certified and some.blocks == 9


def test_too_many_released_are_named_and_more_lots_are_not_asked_for() -> None:
    found = certify(*lots(200, 40))
    assert found.sentence == "cannot certify: 40 of 200 failing lots in 10 blocks of time were released, more than 5 %"


def test_without_failing_lots_nothing_is_certified() -> None:
    for size in (0, 500):
        found = certify(*lots(0, 0, sound=size))
        assert not found.certified and (found.needs, found.has, found.upper) == (59, 0, 1.0)


@pytest.mark.parametrize(("misses", "lots_needed"), [(0, 59), (1, 93), (2, 124), (3, 153)])
def test_each_miss_asks_for_more_lots_as_the_binomial_says(misses: int, lots_needed: int) -> None:
    assert needed(misses, alpha=0.05, confidence=0.95) == lots_needed
    assert binom.cdf(misses, lots_needed, 0.05) <= 0.05 < binom.cdf(misses, lots_needed - 1, 0.05)


@given(st.integers(0, 20), st.floats(0.005, 0.4), st.floats(0.6, 0.99))
def test_what_is_needed_is_the_least_that_the_exact_test_takes(misses: int, alpha: float, confidence: float) -> None:
    found = needed(misses, alpha=alpha, confidence=confidence)
    assert binom.cdf(misses, found, alpha) <= (1 - confidence) * (1 + 1e-6)
    assert found == misses + 1 or binom.cdf(misses, found - 1, alpha) >= (1 - confidence) * (1 - 1e-6)


def test_misses_that_come_together_count_for_fewer_lots() -> None:
    spread = lots(300, 5)
    together = spread[0].copy(), spread[1], np.sort(spread[2])  # all five in the first block
    assert design_effect(spread[0], spread[2]) == 1.0
    assert design_effect(together[0], together[2]) > 2
    apart, heaped = certify(*spread), certify(*together)
    assert apart.certified and not heaped.certified
    assert heaped.upper > apart.upper and heaped.needs > apart.needs == needed(5, alpha=0.05, confidence=0.95)


def wrong(correlation: float, blocks: int, size: int, *, draws: int = 600) -> tuple[float, float]:
    """How often 5.01 % released, alike within a block, are certified: (here, by the binomial alone)."""
    random, block = np.random.default_rng(0), np.repeat(np.arange(blocks), size)
    found = alone = 0
    for _ in range(draws):
        chance = np.full(blocks, 0.0501)
        if correlation:
            spread = 1 / correlation - 1
            chance = random.beta(0.0501 * spread, 0.9499 * spread, blocks)
        missed = random.random(len(block)) < chance[block]
        found += certify(missed, np.ones(len(block), dtype=bool), block).certified
        alone += bool(binom.cdf(missed.sum(), len(missed), 0.05) <= 0.05)
    return found / draws, alone / draws


def test_of_independent_lots_at_most_one_certificate_in_twenty_is_wrong() -> None:
    assert wrong(0.0, 10, 6)[0] <= 0.07 and wrong(0.0, 24, 10)[0] <= 0.07  # two standard errors over 5 %


def test_where_lots_of_a_block_are_alike_the_binomial_alone_is_wrong_more_often() -> None:
    here, alone = wrong(0.2, 24, 10)
    assert alone > 0.14 and here < 0.7 * alone


def test_the_largest_threshold_releases_as_many_failing_lots_as_could_be_certified() -> None:
    risk = np.linspace(0.01, 0.5, 200)
    failed, block = np.ones(200, dtype=bool), np.arange(200) % 20
    found = largest_threshold(risk, failed, block)
    assert found is not None and found in GRID
    assert certify(risk < found, failed, block).certified
    assert not certify(risk < GRID[np.searchsorted(GRID, found) + 1], failed, block).certified


def test_the_search_stops_at_the_first_threshold_that_fails() -> None:
    """A block that is missed whole is worse than the same misses spread: beyond it nothing is looked at."""
    block = np.repeat(np.arange(20), 20)
    risk = np.where(block == 0, 0.1, np.where(np.arange(400) % 20 == 0, 0.2, 0.9))
    failed = np.ones(400, dtype=bool)
    found = largest_threshold(risk, failed, block)
    assert found is not None and found <= 0.1 < GRID[np.searchsorted(GRID, found) + 1]


def test_no_threshold_at_all_where_nothing_could_be_certified() -> None:
    assert largest_threshold(np.full(58, 0.5), np.ones(58, dtype=bool), np.arange(58) % 10) is None
    assert largest_threshold(np.zeros(500), np.ones(500, dtype=bool), np.arange(500) % 10) is None


def test_walking_forward_each_block_is_certified_by_those_before_it_alone() -> None:
    block = np.repeat(np.arange(14), 7)
    failed = np.ones(98, dtype=bool)
    released = (block == 12) | (np.arange(98) == 97)
    rows = walked(released, failed, block)
    assert [row["block"] for row in rows] == list(range(14))
    assert [row["certified"] for row in rows] == [
        number in (10, 11, 12) for number in range(14)
    ]  # 63 lots had gone before
    assert [row["share"] for row in rows[11:]] == [0.0, 1.0, 1 / 7]
    before = walked(released[block < 12], failed[block < 12], block[block < 12])
    assert rows[:12] == before
    assert kept(rows, 0.05) == {"blocks": 14, "certified": 3, "failures": 21, "released_failures": 7, "above": 1}


def test_walking_forward_only_lots_whose_label_was_known_by_then_certify() -> None:
    block = np.repeat(np.arange(14), 7)
    failed, released = np.ones(98, dtype=bool), np.zeros(98, dtype=bool)
    at_once, later = walked(released, failed, block), walked(released, failed, block, ripe=block + 3)
    assert [row["block"] for row in at_once if row["certified"]] == [10, 11, 12, 13]
    assert [row["block"] for row in later if row["certified"]] == [12, 13]
    assert walked(released, failed, block, ripe=block + 1) == at_once


def test_a_lot_is_ripe_at_the_first_block_that_begins_after_its_window_and_the_delay() -> None:
    rows, rule = learnable()
    known = known_by(histories(rows, rule), rule, until=day(330))
    usable = known.labels.usable
    as_of = known.judgements.as_of[usable]
    block = time_blocks(as_of)
    ripe = ripe_from(known, usable, block)
    assert (ripe > block).all()
    for number in np.unique(block).tolist():
        start = int(as_of[block == number].min())
        over = known.judgements.start[usable] + rule.label.within + known.labels.delay < start
        assert ((ripe <= number) == over).all()
    assert len(ripe_from(known, usable[:0], block[:0])) == 0


def test_a_block_without_failing_lots_has_no_share() -> None:
    (row,) = walked(np.array([True]), np.array([False]), np.array([7]))
    assert (row["failures"], row["released_failures"], row["share"]) == (0, 0, None)
    assert walked(*lots(0, 0)) == []


@pytest.mark.parametrize(("alpha", "confidence"), [(0.0, 0.95), (1.0, 0.95), (0.05, 1.0), (5, 0.95)])
def test_shares_that_are_none_are_refused(alpha: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        certify(*lots(60, 0), alpha, confidence)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="have shapes"):
        certify(np.ones(3, dtype=bool), np.ones(2, dtype=bool), np.zeros(3))
