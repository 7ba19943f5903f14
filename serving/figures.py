"""Figures of risks beside what came of them, with intervals.

Lots of one week share suppliers, lines and weather. Intervals are those of independent lots (Wilson 1927 for shares),
of as many fewer as weeks differ more than chance lets them: Kish's design effect, measured over all weeks at once.
"""

import math
from statistics import NormalDist
from typing import Any

import numpy as np

from features.asof import DAY, Array

MIN_FAILURES = 20  # below it, predicted and realised, a share's interval spans most of what is possible
MIN_WEEKS = 6  # fewer could all err to one side by chance: 2 * 0.5**5 is above 5 % (sign test)
_TINY = float(np.finfo(np.float64).eps)


def wilson(failed: float, judged: float, *, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a share; `quantile` of the normal or of Student's t. (0, 1) where nothing is judged."""
    if judged <= 0:
        return 0.0, 1.0
    share, part = failed / judged, quantile**2 / judged
    half = quantile * math.sqrt(share * (1 - share) / judged + part / (4 * judged))
    return max((share + part / 2 - half) / (1 + part), 0.0), min((share + part / 2 + half) / (1 + part), 1.0)


class Figures:
    """Of scored judgements; `risk` in [0, 1], `failed` bool, `week` int64, all of shape (judgements,)."""

    def __init__(self, risk: Array, failed: Array, week: Array) -> None:
        clipped = np.clip(risk, _TINY, 1.0 - _TINY)
        self._risk, self._failed, self._week = risk, failed, week
        self.loss = -np.log(np.where(failed, clipped, 1.0 - clipped))
        self._promised = -clipped * np.log(clipped) - (1.0 - clipped) * np.log(1.0 - clipped)
        self.weeks = len(np.unique(week))
        self.quantile = self._of_student(self.weeks - 1) if self.weeks >= MIN_WEEKS else NormalDist().inv_cdf(0.975)
        share = float(failed.mean()) if len(failed) else 0.0
        self.effect = self._design_effect(failed - risk, share * (1.0 - share))
        self._loss_effect = self._design_effect(self.loss, float(self.loss.var()) if len(failed) else 0.0)

    def of(self, rows: Array) -> dict[str, Any]:
        """The figures of some of the judgements; None where none of them can tell."""
        count, failed = len(rows), int(self._failed[rows].sum())
        found: dict[str, Any] = {"scored": count, "failed": failed, "few": failed < MIN_FAILURES}
        found |= dict.fromkeys(("predicted", "realised", "realised_low", "realised_high", "log_loss"))
        found |= dict.fromkeys(("log_loss_low", "log_loss_high", "log_loss_promised"))
        if not count:
            return found
        low, high = wilson(failed / self.effect, count / self.effect, quantile=self.quantile)
        loss = float(self.loss[rows].mean())
        found |= {"predicted": float(self._risk[rows].mean()), "realised": failed / count}
        found |= {"realised_low": low, "realised_high": high}
        found |= {"log_loss": loss, "log_loss_promised": float(self._promised[rows].mean())}
        if failed >= MIN_FAILURES:
            half = self.quantile * math.sqrt(float(self.loss[rows].var()) * self._loss_effect / count)
            found |= {"log_loss_low": max(loss - half, 0.0), "log_loss_high": loss + half}
        return found

    def verdict(self, total: dict[str, Any]) -> tuple[str, str]:
        """Verdict and its sentence for the figures of all."""
        count, failed = total["scored"], total["failed"]
        expected = float(self._risk.sum())
        if max(failed, expected) < MIN_FAILURES or self.weeks < MIN_WEEKS:
            return "too_few", (
                f"too few to judge: {count:,} mature judgements were scored in time, in {self.weeks} weeks; {failed} "
                f"failed, {expected:.1f} were expected to; needs {MIN_FAILURES} failures and {MIN_WEEKS} weeks"
            )
        said = (
            f"{total['realised']:.2%} of {count:,} mature scored judgements failed ({total['realised_low']:.2%} to "
            f"{total['realised_high']:.2%}); {total['predicted']:.2%} were predicted to"
        )
        if total["realised_low"] > total["predicted"]:
            return "worse", f"{said}: more failed than predicted"
        excess = self.loss - self._promised
        surplus = float(excess.mean()) - self.quantile * self.error(excess)
        if surplus > 0:
            return "worse", (
                f"{said}, but the log loss is {total['log_loss']:.4f} where the risks promise "
                f"{total['log_loss_promised']:.4f}: they no longer tell failing lots from sound ones as they claim"
            )
        if total["realised_high"] < total["predicted"]:
            return "better", f"{said}: fewer failed than predicted"
        return "as_predicted", said

    def error(self, values: Array) -> float:
        """Standard error of the mean, weeks taken as independent of each other."""
        sums = np.bincount(np.unique(self._week, return_inverse=True)[1], weights=values - values.mean())
        return math.sqrt(self.weeks / (self.weeks - 1) * float(sums @ sums)) / len(values)

    def _design_effect(self, values: Array, variance: float) -> float:
        """How many times the variance of their mean is that of independent values of `variance`; at least 1."""
        if self.weeks < MIN_WEEKS or variance <= 0:
            return 1.0
        return max(self.error(values) ** 2 * len(values) / variance, 1.0)

    @staticmethod
    def _of_student(freedom: int) -> float:
        from scipy.stats import t

        return float(t.ppf(0.975, freedom))


def weeks_of(moment: Array) -> Array:
    """Numbers of the weeks, Monday to Sunday in UTC."""
    return np.asarray((moment + 3 * DAY) // (7 * DAY))  # 1970 began on a Thursday
