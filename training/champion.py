"""The rule of promotion: better than what costs nothing, and not worse than what is in use."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from features.histories import Array
from training.bootstrap import MIN_BLOCKS, Figure, paired_difference, places_of
from training.evaluate import log_losses
from training.reliability import calibration_difference
from training.segments import holm, p_value

MIN_FAILURES = 20  # below it the mean log loss rests on a handful of lots, whatever its interval says
LEVEL = 0.025  # of calling a protected segment worse where none is; the upper side of a 95 % interval
MET, NOT_MET = "met: ", "not met: "


@dataclass(frozen=True)
class SharedJudgements:
    """Mature judgements at or after the champion's cut, which both scored without having seen them.

    All of shape (judgements,): the risks by the champion and the candidate's out-of-time ones, whether the lot failed
    (bool), and the block of time (int64) it is drawn with. `protected`: places of the judgements by segment.
    """

    champion: Array
    candidate: Array
    failed: Array
    block: Array
    protected: Mapping[str, Array] = field(default_factory=dict)

    @property
    def losses(self) -> tuple[Array, Array]:
        """Log losses of the candidate and of the champion."""
        return log_losses(self.candidate, self.failed), log_losses(self.champion, self.failed)


@dataclass(frozen=True)
class Verdict:
    """Whether the candidate may be promoted. `reasons`: a sentence for each condition that was decided, with
    "met: " or "not met: " before it; `void`: one for each that could not be. No condition is left out of both."""

    promote: bool
    reasons: tuple[str, ...]
    void: tuple[str, ...]


def may_promote(
    *,
    model_loss: Array,
    base_rate_loss: Array,
    rate_loss: Array,
    rate_name: str,
    failed: Array,
    block: Array,
    champion: SharedJudgements | None,
    seed: int,
) -> Verdict:
    """Applies the rule to log losses on the evaluation judgements, all of shape (judgements,).

    `rate_loss` is that of the strongest shrunk trailing rate, chosen on earlier data, and `rate_name` its
    name; `failed` is bool, `block` int64. Met when there are MIN_FAILURES failures, the 95 % interval of the
    mean difference (paired, blocks drawn whole) lies below zero against both, and neither the one against the
    champion nor that of calibration errors lies wholly above zero, nor any protected segment's log loss by Holm's
    procedure. Where an interval cannot be given, nothing is beaten; against the champion that is void. Raises
    ValueError for arrays of different lengths.
    """
    _same_length(model_loss, base_rate_loss, rate_loss, failed, block)
    failures = int(np.asarray(failed, dtype=bool).sum())
    conditions = [
        (
            failures >= MIN_FAILURES,
            f"{failures:,} of {len(failed):,} evaluation judgements failed ({MIN_FAILURES} are needed).",
        )
    ]
    if len(failed):
        conditions.append(_beats("the base rate", model_loss, base_rate_loss, block, seed=seed))
        conditions.append(_beats(rate_name, model_loss, rate_loss, block, seed=seed))
    void: tuple[str, ...] = ()
    if champion is None:
        void = ("There is no champion to compare with.",)
    elif unable := _cannot_compare(champion):
        void = (unable,)
    else:
        conditions += [_not_worse(champion, seed=seed), _as_calibrated(champion, seed=seed)]
        decided, void = _protected(champion)
        conditions += decided
    reasons = tuple(f"{MET if met else NOT_MET}{sentence}" for met, sentence in conditions)
    return Verdict(all(met for met, _ in conditions), reasons, void)


def _beats(name: str, loss: Array, other: Array, block: Array, *, seed: int) -> tuple[bool, str]:
    difference = paired_difference(loss, other, block, seed=seed)
    met = difference.high is not None and difference.high < 0.0
    return (
        met,
        f"Log loss is {'below' if met else 'not clearly below'} that of {name}: {_numbers(loss, other, difference)}",
    )


def _not_worse(champion: SharedJudgements, *, seed: int) -> tuple[bool, str]:
    loss, other = champion.losses
    difference = paired_difference(loss, other, champion.block, seed=seed)
    worse = difference.low is not None and difference.low > 0.0
    failures = int(np.asarray(champion.failed, dtype=bool).sum())
    return not worse, (
        f"Log loss is {'above' if worse else 'not clearly above'} the champion's on {len(loss):,} later judgements, "
        f"{failures:,} of which failed: {_numbers(loss, other, difference)}"
    )


def _as_calibrated(champion: SharedJudgements, *, seed: int) -> tuple[bool, str]:
    ours, theirs, difference = calibration_difference(
        champion.candidate, champion.champion, champion.failed, champion.block, seed=seed
    )
    worse = difference.low is not None and difference.low > 0.0
    return not worse, (
        f"Calibration error is {'above' if worse else 'not clearly above'} the champion's there: "
        f"{_told(ours, theirs, difference)}"
    )


def _protected(champion: SharedJudgements) -> tuple[list[tuple[bool, str]], tuple[str, ...]]:
    """A condition for each protected segment with enough failures, and a sentence on those without."""
    loss, other = champion.losses
    chances, few = {}, []
    for name, rows in champion.protected.items():
        failures = int(np.asarray(champion.failed, dtype=bool)[rows].sum())
        chance = p_value((loss - other)[rows], champion.block[rows], above=True) if failures >= MIN_FAILURES else None
        if chance is None:
            few.append(f"{name} with {failures:,} failures in {places_of(champion.block[rows])[1]} blocks of time")
        else:
            chances[name] = chance
    decided = []
    for name, chance in holm(chances).items():
        rows, worse = champion.protected[name], chance < LEVEL
        said = f"Log loss of {name} is {'above' if worse else 'not clearly above'} the champion's there: "
        means = f"{loss[rows].mean():.4f} against {other[rows].mean():.4f} on {len(rows):,}"
        decided.append((not worse, f"{said}{means}, p = {chance:.2g} after Holm."))
    least = f"under {MIN_FAILURES} failures or {MIN_BLOCKS} blocks a segment is not compared."
    return decided, (f"Protected are {', '.join(few)} after the champion's cut; {least}",) if few else ()


def _cannot_compare(champion: SharedJudgements) -> str:
    """Why the condition on the champion is void, or ""."""
    _same_length(champion.champion, champion.candidate, champion.failed, champion.block)
    failures = int(np.asarray(champion.failed, dtype=bool).sum())
    later = f"The champion's cut is followed by {len(champion.failed):,} mature judgements"
    if failures < MIN_FAILURES:
        return f"{later} with {failures:,} failures; under {MIN_FAILURES} the candidate is not compared with it."
    blocks = places_of(champion.block)[1]
    if blocks < MIN_BLOCKS:
        return f"{later} in {blocks} blocks of time; under {MIN_BLOCKS} the candidate is not compared with it."
    return ""


def _numbers(loss: Array, other: Array, difference: Figure) -> str:
    return _told(float(loss.mean()), float(other.mean()), difference)


def _told(ours: float, theirs: float, difference: Figure) -> str:
    means = f"{ours:.4f} against {theirs:.4f}"
    if difference.low is None or difference.high is None:
        return f"{means}; fewer than {MIN_BLOCKS} blocks of time give no interval."
    return f"{means}, difference {difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]."


def _same_length(*arrays: Array) -> None:
    shapes = [np.shape(array) for array in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"losses, failed and block have shapes {shapes}. Give one value of each a judgement.")
