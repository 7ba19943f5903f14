import numpy as np
import pytest

from training.champion import SharedJudgements, may_promote

LOTS = 400
BLOCK = np.arange(LOTS) // 20
FAILED = np.arange(LOTS) % 10 == 0
LOSS = 0.2 + 0.01 * np.tile((-1.0, 1.0, 0.5, -0.5), LOTS // 4)


def shared(*, better_by, failures=40, blocks=20):
    return SharedJudgements(LOSS, LOSS - better_by, np.arange(LOTS) < failures, np.arange(LOTS) % blocks)


def verdict(*, model_loss=LOSS - 0.05, base_rate_loss=LOSS, rate_loss=LOSS, failed=FAILED, block=BLOCK, champion=None):
    return may_promote(
        model_loss=model_loss,
        base_rate_loss=base_rate_loss,
        rate_loss=rate_loss,
        rate_name="shrunk_product",
        failed=failed,
        block=block,
        champion=champion,
        seed=0,
    )


def test_better_than_both_rates_without_a_champion_is_promoted():
    found = verdict()
    assert found.promote
    assert found.reasons == (
        "40 of 400 evaluation judgements failed (20 are needed).",
        "Log loss is below that of the base rate: 0.1500 against 0.2000, difference -0.0500 [-0.0500, -0.0500].",
        "Log loss is below that of shrunk_product: 0.1500 against 0.2000, difference -0.0500 [-0.0500, -0.0500].",
    )
    assert found.void == ("There is no champion to compare with.",)


@pytest.mark.parametrize("rate", ["base_rate_loss", "rate_loss"])
def test_one_rate_that_is_as_good_is_enough_to_refuse(rate):
    found = verdict(**{rate: LOSS - 0.05})
    assert not found.promote
    assert sum("not clearly below" in reason for reason in found.reasons) == 1


def test_lower_only_by_one_lucky_week_is_not_below():
    found = verdict(model_loss=LOSS - np.where(BLOCK == 0, 0.5, -0.001))
    assert not found.promote
    assert "not clearly below that of the base rate: 0.17" in found.reasons[1]


@pytest.mark.parametrize(("failures", "promote"), [(19, False), (20, True)])
def test_at_least_20_failures_are_needed(failures, promote):
    found = verdict(failed=np.arange(LOTS) < failures)
    assert found.promote is promote
    assert found.reasons[0].startswith(f"{failures} of 400")


def test_no_judgements_promote_nothing():
    nothing = np.empty(0)
    found = verdict(
        model_loss=nothing, base_rate_loss=nothing, rate_loss=nothing, failed=nothing.astype(bool), block=nothing
    )
    assert not found.promote
    assert found.reasons == ("0 of 0 evaluation judgements failed (20 are needed).",)


def test_too_few_blocks_of_time_beat_nothing():
    found = verdict(block=np.arange(LOTS) % 5)
    assert not found.promote
    assert "fewer than 6 blocks of time give no interval" in found.reasons[1]


def test_a_candidate_worse_than_the_champion_is_refused():
    found = verdict(champion=shared(better_by=-0.01))
    assert not found.promote
    assert found.void == ()
    assert found.reasons[3] == (
        "Log loss is above the champion's on 400 later judgements, 40 of which failed: "
        "0.2100 against 0.2000, difference +0.0100 [+0.0100, +0.0100]."
    )


@pytest.mark.parametrize("better_by", [0.01, 0.0])
def test_a_candidate_no_worse_than_the_champion_is_promoted(better_by):
    found = verdict(champion=shared(better_by=better_by))
    assert found.promote
    assert "not clearly above the champion's" in found.reasons[3]


def test_a_candidate_that_is_only_worse_by_one_week_is_promoted():
    one_week = np.where(np.arange(LOTS) % 20 == 3, 0.2, 0.0)
    assert verdict(champion=shared(better_by=-one_week)).promote


@pytest.mark.parametrize("failures", [0, 19])
def test_under_20_later_failures_the_champion_is_no_condition_and_the_verdict_says_so(failures):
    found = verdict(champion=shared(better_by=-0.5, failures=failures))
    assert found.promote
    assert len(found.reasons) == 3
    assert found.void == (
        f"The champion's cut is followed by 400 mature judgements with {failures} failures; "
        "under 20 the candidate is not compared with it.",
    )


def test_under_6_later_blocks_the_champion_is_no_condition_and_the_verdict_says_so():
    found = verdict(champion=shared(better_by=-0.5, blocks=5))
    assert found.promote
    assert "in 5 blocks of time" in found.void[0]


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="Give one value of each a judgement"):
        verdict(failed=FAILED[1:])
    with pytest.raises(ValueError, match="Give one value of each a judgement"):
        verdict(champion=SharedJudgements(LOSS, LOSS, FAILED[1:], BLOCK))
