"""What came of the lots that were scored, beside what had been predicted of them.

A judgement's prediction is the last score of its lot that the log holds from before it; what was asked later, even
about an earlier moment, never counts. Only mature judgements with a label are measured, as in training.

Lots of one week share suppliers, lines and weather. Intervals are those of independent lots (Wilson 1927 for shares),
of as many fewer as weeks differ more than chance lets them: Kish's design effect, measured over all weeks at once.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from features.asof import DAY, FOREVER, NO_TIME, Array, Spans, Totals, before, within
from features.card import iso
from features.histories import Vocabulary
from features.order import in_order

MIN_FAILURES = 20  # below it, predicted and realised, a share's interval spans most of what is possible
MIN_WEEKS = 6  # fewer could all err to one side by chance: 2 * 0.5**5 is above 5 % (sign test)
_TINY = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Judged:
    """Judgements with their labels, arrays of shape (judgements,) in any order.

    `lots`: every lot's id by its code; `lot`: int64 codes; `as_of`: int64; `failed`: int8, -1 no label; `mature`: bool.
    `cut`: how far the labels' data reach, microseconds UTC.
    """

    lots: Vocabulary
    lot: Array
    as_of: Array
    failed: Array
    mature: Array
    cut: int

    def __len__(self) -> int:
        return len(self.lot)


@dataclass(frozen=True)
class Predicted:
    """Of each judgement `risk`, float64, NaN where nothing was predicted, and `version`: place in `versions`, or -1."""

    risk: Array
    version: Array
    versions: list[str]


def predictions(judged: Judged, tables: Iterable["pa.Table"], *, oldest: int, late: int = 0) -> Predicted:
    """The last score of each judged lot made at or before the judgement and not more than `oldest` microseconds.

    `tables`: lot_id, as_of, asked_at, risk (null or NaN: none), model_version, in any order; read once, none is kept.
    A score is made at the later of as_of and asked_at. `late`: where no score was made in time, the first made so
    many microseconds after it counts (lots that are judged when made are known to the service only then).
    """
    order = in_order(judged.lot, judged.as_of)
    lot, as_of = judged.lot[order], judged.as_of[order]
    count = np.bincount(lot, minlength=len(judged.lots))
    start = np.cumsum(count) - count
    ones = np.ones((len(lot), 1), dtype=np.int64)
    earlier = Totals(lot, Spans(as_of, as_of, np.full(len(lot), FOREVER)), ones)
    rank, told = np.full(len(lot), NO_TIME), np.full(len(lot), NO_TIME)
    risk, version, names = np.full(len(lot), np.nan), np.full(len(lot), -1, dtype=np.int64), dict[str, int]()
    for table in tables:
        code, given = judged.lots.encode(table["lot_id"]), _numbers(table["risk"])
        rows = np.flatnonzero((code >= 0) & ~np.isnan(given))
        rows = rows[count[code[rows]] > 0]
        seen, asked = _whole(table["as_of"])[rows], _whole(table["asked_at"])[rows]
        made = np.maximum(seen, asked)
        turn = earlier.before(code[rows], made - late)[0, :, 0]  # of the lot's judgements, the first not before it
        there = turn < count[code[rows]]
        place = np.where(there, start[code[rows]] + turn, 0)
        there &= within(seen, as_of[place] - oldest, FOREVER)
        in_time = ~before(as_of[place], made)
        ranked = np.where(in_time, seen, -made)  # all that are late after all in time, the soonest best
        best = _last_of_each(place, ranked, asked, np.flatnonzero(there))
        at = place[best]
        better = (ranked[best] > rank[at]) | ((ranked[best] == rank[at]) & (asked[best] >= told[at]))
        best, at = best[better], at[better]
        rank[at], told[at], risk[at] = ranked[best], asked[best], given[rows[best]]
        version[at] = _places(table["model_version"], names)[rows[best]]
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return Predicted(risk[back], version[back], list(names))


def performance(judged: Judged, predicted: Predicted, *, start: int, until: int) -> dict[str, Any]:
    """What performance.json says of the judgements in [start, until): a verdict, all of them, months and versions.

    "worse": more lots failed than predicted, or the log loss is above what the risks themselves promise, beyond what
    chance would do in 95 of 100 cases each; "better": fewer failed; else "as_predicted". "too_few" where less than
    MIN_FAILURES both failed and were expected to, or all lie in less than MIN_WEEKS weeks. Months are those of UTC.
    """
    inside = np.flatnonzero(within(judged.as_of, start, until))
    usable = inside[judged.mature[inside] & (judged.failed[inside] >= 0)]
    scored = usable[~np.isnan(predicted.risk[usable])]
    figures = _Figures(predicted.risk[scored], judged.failed[scored] == 1, _weeks(judged.as_of[scored]))
    month = judged.as_of.astype("datetime64[us]").astype("datetime64[M]")
    months = []
    for each in np.unique(month[inside]):
        of_month = inside[month[inside] == each]
        months.append(
            {"month": str(each)} | _counts(judged, of_month) | figures.of(np.flatnonzero(month[scored] == each))
        )
    versions = [
        {"version": name} | figures.of(np.flatnonzero(predicted.version[scored] == place))
        for place, name in enumerate(predicted.versions)
    ]
    total = figures.of(np.arange(len(scored)))
    verdict, detail = figures.verdict(total)
    return {
        "verdict": verdict,
        "detail": detail,
        "from": iso(start),
        "until": iso(until),
        "cut": iso(judged.cut),
        **_counts(judged, inside),
        **total,
        "needed_failures": MIN_FAILURES,
        "design_effect": figures.effect,
        "versions": sorted((v for v in versions if v["scored"]), key=lambda one: (-one["scored"], one["version"])),
        "months": months,
    }


def wilson(failed: float, judged: float, *, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a share; `quantile` of the normal or of Student's t. (0, 1) where nothing is judged."""
    if judged <= 0:
        return 0.0, 1.0
    share, part = failed / judged, quantile**2 / judged
    half = quantile * math.sqrt(share * (1 - share) / judged + part / (4 * judged))
    return max((share + part / 2 - half) / (1 + part), 0.0), min((share + part / 2 + half) / (1 + part), 1.0)


class _Figures:
    """Of scored judgements; `risk` in [0, 1], `failed` bool, `week` int64, all of shape (judgements,)."""

    def __init__(self, risk: Array, failed: Array, week: Array) -> None:
        clipped = np.clip(risk, _TINY, 1.0 - _TINY)
        self._risk, self._failed, self._week = risk, failed, week
        self._loss = -np.log(np.where(failed, clipped, 1.0 - clipped))
        self._promised = -clipped * np.log(clipped) - (1.0 - clipped) * np.log(1.0 - clipped)
        self._weeks = len(np.unique(week))
        self._quantile = self._of_student(self._weeks - 1) if self._weeks >= MIN_WEEKS else NormalDist().inv_cdf(0.975)
        share = float(failed.mean()) if len(failed) else 0.0
        self.effect = self._design_effect(failed - risk, share * (1.0 - share))
        self._loss_effect = self._design_effect(self._loss, float(self._loss.var()) if len(failed) else 0.0)

    def of(self, rows: Array) -> dict[str, Any]:
        """The figures of some of the judgements; None where none of them can tell."""
        count, failed = len(rows), int(self._failed[rows].sum())
        found: dict[str, Any] = {"scored": count, "failed": failed, "few": failed < MIN_FAILURES}
        found |= dict.fromkeys(("predicted", "realised", "realised_low", "realised_high", "log_loss"))
        found |= dict.fromkeys(("log_loss_low", "log_loss_high", "log_loss_promised"))
        if not count:
            return found
        low, high = wilson(failed / self.effect, count / self.effect, quantile=self._quantile)
        loss = float(self._loss[rows].mean())
        found |= {"predicted": float(self._risk[rows].mean()), "realised": failed / count}
        found |= {"realised_low": low, "realised_high": high}
        found |= {"log_loss": loss, "log_loss_promised": float(self._promised[rows].mean())}
        if failed >= MIN_FAILURES:
            half = self._quantile * math.sqrt(float(self._loss[rows].var()) * self._loss_effect / count)
            found |= {"log_loss_low": max(loss - half, 0.0), "log_loss_high": loss + half}
        return found

    def verdict(self, total: dict[str, Any]) -> tuple[str, str]:
        """Verdict and its sentence for the figures of all."""
        count, failed = total["scored"], total["failed"]
        expected = float(self._risk.sum())
        if max(failed, expected) < MIN_FAILURES or self._weeks < MIN_WEEKS:
            return "too_few", (
                f"too few to judge: {count:,} mature judgements were scored in time, in {self._weeks} weeks; {failed} "
                f"failed, {expected:.1f} were expected to; needs {MIN_FAILURES} failures and {MIN_WEEKS} weeks"
            )
        said = (
            f"{total['realised']:.2%} of {count:,} mature scored judgements failed ({total['realised_low']:.2%} to "
            f"{total['realised_high']:.2%}); {total['predicted']:.2%} were predicted to"
        )
        if total["realised_low"] > total["predicted"]:
            return "worse", f"{said}: more failed than predicted"
        excess = self._loss - self._promised
        surplus = float(excess.mean()) - self._quantile * self._error(excess)
        if surplus > 0:
            return "worse", (
                f"{said}, but the log loss is {total['log_loss']:.4f} where the risks promise "
                f"{total['log_loss_promised']:.4f}: they no longer tell failing lots from sound ones as they claim"
            )
        if total["realised_high"] < total["predicted"]:
            return "better", f"{said}: fewer failed than predicted"
        return "as_predicted", said

    def _error(self, values: Array) -> float:
        """Standard error of the mean, weeks taken as independent of each other."""
        sums = np.bincount(np.unique(self._week, return_inverse=True)[1], weights=values - values.mean())
        return math.sqrt(self._weeks / (self._weeks - 1) * float(sums @ sums)) / len(values)

    def _design_effect(self, values: Array, variance: float) -> float:
        """How many times the variance of their mean is that of independent values of `variance`; at least 1."""
        if self._weeks < MIN_WEEKS or variance <= 0:
            return 1.0
        return max(self._error(values) ** 2 * len(values) / variance, 1.0)

    @staticmethod
    def _of_student(freedom: int) -> float:
        from scipy.stats import t

        return float(t.ppf(0.975, freedom))


def _counts(judged: Judged, rows: Array) -> dict[str, Any]:
    mature = judged.mature[rows]
    labelled = mature & (judged.failed[rows] >= 0)
    return {
        "judged": len(rows),
        "mature": int(mature.sum()),
        "immature_share": float(1.0 - mature.mean()) if len(rows) else 0.0,
        "labelled": int(labelled.sum()),
        "labelled_failed": int((labelled & (judged.failed[rows] == 1)).sum()),
    }


def _weeks(moment: Array) -> Array:
    """Numbers of the weeks, Monday to Sunday in UTC."""
    return np.asarray((moment + 3 * DAY) // (7 * DAY))  # 1970 began on a Thursday


def _last_of_each(place: Array, rank: Array, asked: Array, rows: Array) -> Array:
    """Of the rows the one of highest (rank, asked) for each place, the last of equals."""
    rows = rows[in_order(place[rows], rank[rows], asked[rows])]
    last = np.ones(len(rows), dtype=bool)
    last[:-1] = place[rows][1:] != place[rows][:-1]
    return np.asarray(rows[last])


def _places(column: Any, names: dict[str, int]) -> Array:
    """The places of texts in `names`, which learns those it lacks."""
    coded = column.combine_chunks().dictionary_encode()
    places = [names.setdefault(name, len(names)) for name in coded.dictionary.to_pylist()]
    return np.asarray(np.array([*places, -1])[coded.indices.fill_null(-1).to_numpy()])


def _whole(column: Any) -> Array:
    return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)


def _numbers(column: Any) -> Array:
    return np.asarray(column.cast(pa.float64()).fill_null(math.nan).to_numpy(), dtype=np.float64)
