import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from training.bootstrap import MIN_BLOCKS, Figure, figure_of, paired_difference, ratio, resamples
from training.ranking import precision_and_auc, rank, ranking_figures


def mean(values, block, seed=0):
    return ratio(values, np.ones(len(values)), block, seed=seed)


def width(figure):
    return figure.high - figure.low


def weekly(generator, *, weeks=40, lots=25, share=0.8):
    """Values of which `share` of the variance is common to a week, and their weeks."""
    week = np.repeat(np.arange(weeks), lots)
    common = np.sqrt(share) * generator.normal(size=weeks)[week]
    return common + np.sqrt(1 - share) * generator.normal(size=len(week)), week


def test_whole_weeks_give_wider_intervals_than_single_lots_where_lots_of_a_week_are_alike():
    values, week = weekly(np.random.default_rng(0))
    assert width(mean(values, week)) > 3 * width(mean(values, np.arange(len(values))))


def test_whole_weeks_give_about_the_same_interval_where_lots_have_nothing_in_common():
    values, week = weekly(np.random.default_rng(0), share=0.0)
    assert width(mean(values, week)) == pytest.approx(width(mean(values, np.arange(len(values)))), rel=0.3)


@pytest.mark.parametrize("weeks", [6, 10, 40])
def test_the_interval_holds_the_truth_in_about_95_of_100_histories(weeks):
    generator = np.random.default_rng(1)
    found = [mean(*weekly(generator, weeks=weeks, lots=5)) for _ in range(400)]
    assert 0.91 <= np.mean([figure.low <= 0 <= figure.high for figure in found]) <= 0.985


def test_single_lots_where_weeks_are_alike_are_caught_claiming_too_much():
    generator = np.random.default_rng(1)
    found = [mean(values, np.arange(len(values))) for values, _ in (weekly(generator) for _ in range(100))]
    assert np.mean([figure.low <= 0 <= figure.high for figure in found]) < 0.6


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values, week = weekly(np.random.default_rng(0))
    assert mean(values, week) == mean(values, week)
    assert mean(values, week) != mean(values, week, seed=1)


def test_the_blocks_numbers_and_the_rows_order_do_not_matter():
    values, week = weekly(np.random.default_rng(0))
    shuffled = np.random.default_rng(1).permutation(len(values))
    there = mean(values[shuffled], 1_000 * week[shuffled] - 7)
    here = mean(values, week)
    assert (there.value, there.low, there.high) == pytest.approx((here.value, here.low, here.high))


def test_fewer_than_6_blocks_give_a_figure_without_an_interval():
    block = np.arange(30) % (MIN_BLOCKS - 1)
    assert mean(np.arange(30.0), block) == Figure(14.5, None, None)


def test_a_share_of_nothing_is_no_figure():
    assert ratio(np.zeros(3), np.zeros(3), np.arange(3), seed=0) is None


def test_replicates_without_failures_are_skipped_and_counted():
    failed = np.arange(10) == 0
    found = ratio(failed * 0.5, failed.astype(float), np.arange(10), seed=0)
    assert found.value == found.low == found.high == 0.5
    assert 280 < found.skipped < 420  # (9/10)**10 = 35 % of 1,000 draws miss the one block


def test_a_figure_undefined_in_most_replicates_has_no_interval():
    assert figure_of(0.5, np.array([0.4, np.nan, np.nan]), blocks=10) == Figure(0.5, None, None, 2)


@pytest.mark.parametrize(("blocks", "judgements"), [(1, 1), (7, 100), (300, 2**20)])
def test_every_replicate_draws_as_many_blocks_as_there_are(blocks, judgements):
    drawn = np.concatenate(list(resamples(blocks, judgements=judgements, seed=0, replicates=25)))
    assert drawn.shape == (25, blocks)
    assert (drawn.sum(axis=1) == blocks).all()


def test_a_paired_difference_is_narrower_than_either_loss():
    generator = np.random.default_rng(0)
    values, week = weekly(generator)
    better = values - 0.05 + 0.01 * generator.normal(size=len(values))
    difference = paired_difference(better, values, week, seed=0)
    assert difference.high < 0
    assert width(difference) < 0.05 * width(mean(values, week))


def test_a_loss_compared_with_itself_differs_by_nothing():
    values, week = weekly(np.random.default_rng(0))
    assert paired_difference(values, values, week, seed=0) == Figure(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("loss", "other", "block"),
    [([], [], []), ([1.0], [1.0, 2.0], [0]), ([1.0], [1.0], [0, 1]), ([np.inf], [np.inf], [0]), ([1.0], [np.nan], [0])],
)
def test_losses_that_cannot_be_compared_are_refused(loss, other, block):
    with pytest.raises(ValueError, match=r"Give one|must be finite"):
        paired_difference(np.array(loss), np.array(other), np.array(block), seed=0)


@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=1, max_size=40),
)
@settings(max_examples=300, deadline=None)
def test_average_precision_and_auc_equal_scikit_learns_with_ties_and_weights(rows):
    risk, failed, weight = (np.array(column) for column in zip(*rows, strict=True))
    risk = risk / 5
    ranking = rank(risk, failed)
    precision, auc = precision_and_auc(ranking, np.stack((weight, np.ones_like(weight)))[:, ranking.order])
    for given_weight, found_precision, found_auc in zip((weight, np.ones_like(weight)), precision, auc, strict=True):
        failures, others = given_weight[failed].sum(), given_weight[~failed].sum()
        if failures:
            assert found_precision == pytest.approx(average_precision_score(failed, risk, sample_weight=given_weight))
        else:
            assert np.isnan(found_precision)
        if failures and others:
            assert found_auc == pytest.approx(roc_auc_score(failed, risk, sample_weight=given_weight))
        else:
            assert np.isnan(found_auc)


def test_the_interval_of_average_precision_is_that_of_histories_made_of_drawn_weeks():
    generator = np.random.default_rng(3)
    risk, week = generator.random(120).round(1), np.repeat(np.arange(12), 10)
    failed = generator.random(120) < risk
    ((counts),) = resamples(12, judgements=120, seed=5)
    copied = [np.repeat(np.arange(120), drawn[week]) for drawn in counts]
    by_hand = figure_of(
        average_precision_score(failed, risk),
        np.array([average_precision_score(failed[rows], risk[rows]) for rows in copied]),
        blocks=12,
    )
    found, _ = ranking_figures(risk, failed, week, seed=5)
    assert (found.value, found.low, found.high) == pytest.approx((by_hand.value, by_hand.low, by_hand.high))


def test_without_failures_there_is_neither_figure_and_with_only_failures_no_auc():
    risk, block = np.linspace(0, 1, 20), np.arange(20)
    assert ranking_figures(risk, np.zeros(20, dtype=bool), block, seed=0) == (None, None)
    precision, auc = ranking_figures(risk, np.ones(20, dtype=bool), block, seed=0)
    assert (precision, auc) == (Figure(1.0, 1.0, 1.0), None)


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(0.4123, 0.331, 0.4949), "0.41 [0.33, 0.49]"),
        (Figure(0.23456, 0.2301, 0.2385), "0.2346 [0.2301, 0.2385]"),
        (Figure(41.2, 12.0, 99.0), "41 [12, 99]"),
        (Figure(0.5, 0.5, 0.5), "0.500 [0.500, 0.500]"),
        (Figure(0.4123, None, None), "0.41"),
    ],
)
def test_a_figure_reads_with_the_decimals_its_interval_leaves(figure, text):
    assert str(figure) == text
