import numpy as np
import pytest

from training.champion import SharedJudgements, may_promote

LOTS = 400
BLOCK = np.arange(LOTS) // 20
FAILED = np.arange(LOTS) % 10 == 0
LOSS = 0.2 + 0.01 * np.tile((-1.0, 1.0, 0.5, -0.5), LOTS // 4)


def told(loss, failed):
    """The risks that have these log losses."""
    return np.where(failed, np.exp(-loss), 1.0 - np.exp(-loss))


def shared(*, better_by, failures=40, blocks=20, protected=()):
    failed = np.arange(LOTS) < failures
    places = {name: np.asarray(rows) for name, rows in dict(protected).items()}
    risks = told(LOSS, failed), told(LOSS - better_by, failed)
    return SharedJudgements(*risks, failed, np.arange(LOTS) % blocks, places)


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
        "met: 40 of 400 evaluation judgements failed (20 are needed).",
        "met: Log loss is below that of the base rate: 0.1500 against 0.2000, difference -0.0500 [-0.0500, -0.0500].",
        "met: Log loss is below that of shrunk_product: 0.1500 against 0.2000, difference -0.0500 [-0.0500, -0.0500].",
    )
    assert found.void == ("There is no champion to compare with.",)


@pytest.mark.parametrize("rate", ["base_rate_loss", "rate_loss"])
def test_one_rate_that_is_as_good_is_enough_to_refuse(rate):
    found = verdict(**{rate: LOSS - 0.05})
    assert not found.promote
    assert [reason.startswith("not met: Log loss is not clearly below") for reason in found.reasons].count(True) == 1


def test_lower_only_by_one_lucky_week_is_not_below():
    found = verdict(model_loss=LOSS - np.where(BLOCK == 0, 0.5, -0.001))
    assert not found.promote
    assert "not clearly below that of the base rate: 0.17" in found.reasons[1]


@pytest.mark.parametrize(("failures", "promote"), [(19, False), (20, True)])
def test_at_least_20_failures_are_needed(failures, promote):
    found = verdict(failed=np.arange(LOTS) < failures)
    assert found.promote is promote
    assert found.reasons[0].startswith(f"{'met' if promote else 'not met'}: {failures} of 400")


def test_no_judgements_promote_nothing():
    nothing = np.empty(0)
    found = verdict(
        model_loss=nothing, base_rate_loss=nothing, rate_loss=nothing, failed=nothing.astype(bool), block=nothing
    )
    assert not found.promote
    assert found.reasons == ("not met: 0 of 0 evaluation judgements failed (20 are needed).",)


def test_too_few_blocks_of_time_beat_nothing():
    found = verdict(block=np.arange(LOTS) % 5)
    assert not found.promote
    assert "fewer than 6 blocks of time give no interval" in found.reasons[1]


def test_a_candidate_worse_than_the_champion_is_refused():
    found = verdict(champion=shared(better_by=-0.01))
    assert not found.promote
    assert found.void == ()
    assert found.reasons[3] == (
        "not met: Log loss is above the champion's on 400 later judgements, 40 of which failed: "
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
        verdict(champion=SharedJudgements(LOSS, LOSS, FAILED[1:], BLOCK, {}))


# Calibration against the champion's


RANDOM = np.random.default_rng(0)
TRUE = RANDOM.beta(1.0, 6.0, 4_000).clip(0.01, 0.9)
CAME = RANDOM.random(4_000) < TRUE
WEEK = np.arange(4_000) // 100


def against(candidate, *, champion=TRUE, protected=()):
    nothing = np.zeros(4_000)
    return may_promote(
        model_loss=nothing,
        base_rate_loss=nothing + 1.0,
        rate_loss=nothing + 1.0,
        rate_name="shrunk_product",
        failed=CAME,
        block=WEEK,
        champion=SharedJudgements(champion, candidate, CAME, WEEK, dict(protected)),
        seed=0,
    )


def test_a_candidate_that_ranks_better_but_says_all_risks_too_high_is_refused():
    champion = np.full(4_000, CAME.mean())
    found = against((1.45 * TRUE).clip(max=0.95), champion=champion)
    assert not found.promote
    assert found.reasons[3].startswith("met: Log loss is not clearly above the champion's")
    assert found.reasons[4].startswith("not met: Calibration error is above the champion's there: 0.0709")


def test_a_candidate_as_calibrated_as_the_champion_is_promoted():
    found = against(TRUE)
    assert found.promote
    assert found.reasons[4].startswith("met: Calibration error is not clearly above the champion's there: 0.0")


def test_candidates_that_only_differ_by_noise_are_seldom_called_worse_calibrated():
    noise = np.random.default_rng(1)
    refused = 0
    for _ in range(40):
        one, other = (1 / (1 + (1 / TRUE - 1) * np.exp(noise.normal(0.0, 0.3, 4_000))) for _ in range(2))
        refused += any("not met: Calibration" in reason for reason in against(one, champion=other).reasons)
    assert refused <= 4  # 1 is expected at 2.5 %


# Protected segments


A, B, FEW = np.arange(0, 4_000, 2), np.arange(1, 4_000, 2), np.arange(0, 40)


def test_a_candidate_that_serves_a_protected_segment_worse_is_refused_however_good_it_is_elsewhere():
    muddled = TRUE.copy()
    muddled[A] = CAME[A].mean()
    clever = np.where(np.isin(np.arange(4_000), B), np.where(CAME, 0.9, TRUE / 2), muddled)
    found = against(clever, protected={"tier:A": A, "tier:B": B})
    assert not found.promote
    assert found.reasons[3].startswith("met: Log loss")
    of_segments = [reason for reason in found.reasons if "tier:" in reason]
    assert sorted(reason[:29] for reason in of_segments) == [
        "met: Log loss of tier:B is no",
        "not met: Log loss of tier:A i",
    ]
    assert any(" is above the champion's there: " in reason and "p = " in reason for reason in of_segments)
    assert against(clever, protected={"tier:B": B}).reasons[-1].startswith("met: Log loss of tier:B")


def test_a_protected_segment_with_few_failures_is_not_compared_and_the_verdict_says_so():
    found = against(TRUE, protected={"tier:A": A, "supplier:V01": FEW, "product:P9": np.empty(0, dtype=np.int64)})
    assert found.promote
    assert len(found.void) == 1
    assert found.void[0].startswith("Protected are supplier:V01 with ")
    assert "product:P9 with 0 failures in 0 blocks" in found.void[0]
    assert found.void[0].endswith("under 20 failures or 6 blocks a segment is not compared.")


def test_without_protected_segments_nothing_is_said_of_any():
    found = against(TRUE)
    assert found.void == () and len(found.reasons) == 5
