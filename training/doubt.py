"""Learns how far lots' own probabilities lie from their risks, from out-of-time scores and what came of the lots.

Where units come back, their counts tell: lots of one risk whose counts scatter more than chance allows have rates of
their own. The log of a lot's rate is taken as normal about what its risk says, and its spread is the most likely one.
Where each lot only fails or not, a single lot tells nothing. Lots of one product and month, or of one supplier lot, do:
if they fail together, they share something that the risk does not know. What each lot has alone shows nowhere, so the
spread is taken at the upper end of what such pairs allow.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import betaincinv, expit, gammainc, logit
from scipy.stats import norm

from features.asof import DAY, Array, stands
from features.doubt import WITHIN, Doubt
from features.judgements import Judgements, lot_rows
from features.verdicts import returned_units
from training.bootstrap import ratio
from training.known import Known

MIN_FAILURES = 20  # among out-of-time scores; below it the spread rests on a handful of lots, and none is told
MOST = 1_500  # judgements the spread is fitted on, evenly over time: 0.3 s; more move it by less than its error
TAIL = (1.0 - WITHIN) / 2.0
RISKS = np.round(expit(np.linspace(logit(0.0005), logit(0.995), 41)), 6)
LEAST_SHARED, MOST_SHARED = 0.02, 0.9
NEXT = 50  # lots of one group that a lot is paired with

LEVELS = 16  # of limits, between which usual counts are interpolated: within 0.02 of the log

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)  # about the most likely place (Liu & Pierce 1994)
_STEPS = 12
_MOST_LOG = 30.0
_NORMAL = np.linspace(-4.5, 4.5, 91)
_DENSITY = np.exp(-(_NORMAL**2) / 2.0) / np.exp(-(_NORMAL**2) / 2.0).sum()
_BEYOND = np.linspace(-14.0, 14.0, 141)  # logs of a usual count over the limit
_LEAST = 1e-5


@dataclass(frozen=True)
class Counts:
    """Claims of judged lots: `back` came, and from `limit` on the lot fails; float64, shape (judgements,).

    Units come back several at a time. Both are divided by the units a claim of a unit brings with it, so that they
    scatter as single events do.
    """

    back: Array
    limit: Array

    def take(self, rows: Array) -> "Counts":
        return Counts(self.back[rows], self.limit[rows])


def measure_doubt(known: Known, rows: Array, risk: Array, failed: Array, block: Array) -> Doubt:
    """From out-of-time risks of mature judgements; nothing known under MIN_FAILURES failures.

    `rows` of the judgements, their `risk`, whether each `failed` (bool), the span of time it is drawn with (`block`):
    all of shape (scored,).
    """
    if int(min(failed.sum(), len(failed) - failed.sum())) < MIN_FAILURES:
        return Doubt()
    if known.rules.label.source == "returns":
        counts, plain = counts_of(known, rows, failed)
        some = plain[np.unique(np.linspace(0, len(plain) - 1, min(len(plain), MOST)).astype(np.int64))]
        spread = spread_of_rates(risk[some], counts.take(some))
        return _rounded(*ends_by_counts(RISKS, counts.limit, spread), f"counts of returns, log rates +- {spread:.2f}")
    shared = sum(shared_part(*pair, risk, failed, block) for pair in kin(known, known.judgements.take(rows)))
    shared = min(max(shared, LEAST_SHARED), MOST_SHARED)
    return _rounded(*ends_by_kin(RISKS, shared), f"lots that fail together, shared part {shared:.2f}")


def counts_of(known: Known, rows: Array, failed: Array) -> tuple[Counts, Array]:
    """The counts of judgements, and which of them have the label that the count gives (others were found before)."""
    judged, rule = known.judgements.take(rows), known.rules.label
    until = np.full(len(rows), known.until)
    units = returned_units(judged, known.histories, rule, until)
    limit = np.maximum(np.ceil(rule.returned_ppm * judged.units / 1e6 - 1e-9), 1.0)
    returns = known.histories["returns"]
    standing = stands(returns.known, returns.superseded, np.full(len(returns), known.until))
    size = returns["quantity"][standing].astype(np.float64)
    at_once = float((size**2).sum() / size.sum()) if size.sum() > 0 else 1.0
    return Counts(units / at_once, limit / at_once), np.flatnonzero((units >= limit) == failed)


def spread_of_rates(risk: Array, counts: Counts) -> float:
    """The most likely standard deviation of lots' log rates about what their risk says."""

    def unlikely(log_spread: float) -> float:
        spread = float(np.exp(log_spread))
        mean = log_mean(risk, counts.limit, spread)
        # Where each lot most likely lies, in standard deviations: from above it, Newton's steps do not overshoot.
        likely = np.maximum((np.log(np.maximum(counts.back, 0.5)) - mean) / spread, 0.0)
        for _ in range(_STEPS):
            rate = np.exp(np.minimum(mean + spread * likely, _MOST_LOG))
            likely += (spread * (counts.back - rate) - likely) / (1.0 + spread**2 * rate)
        scale = 1.0 / np.sqrt(1.0 + spread**2 * np.exp(np.minimum(mean + spread * likely, _MOST_LOG)))
        at = likely[:, None] + scale[:, None] * _NODES
        rate = np.minimum(mean[:, None] + spread * at, _MOST_LOG)
        each = counts.back[:, None] * rate - np.exp(rate) - at**2 / 2.0 + _NODES**2 / 2.0
        most = each.max(axis=1, keepdims=True)
        return -float((most[:, 0] + np.log(np.exp(each - most) @ _WEIGHTS) + np.log(scale)).sum())

    return float(np.exp(minimize_scalar(unlikely, bounds=(-3.0, 1.1), method="bounded", options={"xatol": 0.02}).x))


def log_mean(risk: Array, limit: Array, spread: float) -> Array:
    """The log of the usual count at which lots with rates so spread reach the limit as often as the risk says."""
    least, most = np.log(limit.min()), np.log(limit.max())
    levels = np.linspace(least, most, LEVELS if most > least else 1)
    beyond = np.exp(_BEYOND[:, None] + spread * _NORMAL)
    wanted = logit(np.clip(risk, _LEAST, 1.0 - _LEAST))
    found = np.empty((len(levels), len(risk)))
    for number, level in enumerate(levels):
        reached = gammainc(np.exp(level), np.exp(level) * beyond) @ _DENSITY
        found[number] = level + np.interp(wanted, logit(np.clip(reached, _LEAST / 10, 1.0 - _LEAST / 10)), _BEYOND)
    place = (np.log(limit) - least) / (most - least) * (LEVELS - 1) if most > least else np.zeros(len(limit))
    below = np.minimum(place.astype(np.int64), max(len(levels) - 2, 0))
    above, lots = np.minimum(below + 1, len(levels) - 1), np.arange(len(risk))
    return np.asarray(found[below, lots] + (place - below) * (found[above, lots] - found[below, lots]))


def ends_by_counts(risk: Array, limit: Array, spread: float) -> tuple[Array, Array]:
    """The two ends at each risk, over the limits that lots have."""
    limits = np.quantile(limit, np.linspace(0.02, 0.98, 25))
    normal = norm.ppf((np.arange(200) + 0.5) / 200)
    means = log_mean(np.repeat(risk, len(limits)), np.tile(limits, len(risk)), spread).reshape(len(risk), -1, 1)
    own = gammainc(limits[:, None], np.exp(means + spread * normal)).reshape(len(risk), -1)
    low, high = np.quantile(own, (TAIL, 1.0 - TAIL), axis=1)
    return low, high


def kin(known: Known, judged: Judgements) -> list[tuple[Array, Array]]:
    """Pairs of judgements that share something: product and month; product and a supplier lot."""
    histories = known.histories
    product = histories["lots"]["product_id"][lot_rows(histories, judged.lot, judged.as_of)]
    month = (judged.as_of - judged.as_of.min()) // (30 * DAY)
    place = np.arange(len(judged))
    found = [_pairs(place, product * (month.max() + 1) + month)]
    if "genealogy" in histories:
        table = histories["genealogy"]
        last = np.full(len(histories.ids["lot"]) + 1, -1)
        last[judged.lot] = place
        of = last[table["lot_id"]]
        uses = np.unique(np.stack([of, table["supplier_lot_id"]])[:, of >= 0], axis=1)
        found.append(_pairs(uses[0], uses[1] * (product.max() + 1) + product[uses[0]]))
    return found


def shared_part(one: Array, other: Array, risk: Array, failed: Array, block: Array) -> float:
    """How much of the scatter of lots about their risk they share with their kin: the upper end of its 95 % interval.

    0 nothing, 1 all: the part of risk * (1 - risk), the variance of a single lot, that pairs have in common.
    """
    off, scatter = failed - risk, np.sqrt(risk * (1.0 - risk))
    found = ratio(off[one] * off[other], scatter[one] * scatter[other], block[one], seed=0) if len(one) else None
    if found is None:
        return 0.0
    return max(found.value if found.high is None else found.high, 0.0)


def ends_by_kin(risk: Array, shared: float) -> tuple[Array, Array]:
    """The two ends of a beta distribution with the risk as its mean and so much of a single lot's variance."""
    weight = 1.0 / shared - 1.0
    return tuple(betaincinv(risk * weight, (1.0 - risk) * weight, tail) for tail in (TAIL, 1.0 - TAIL))


def _pairs(place: Array, group: Array) -> tuple[Array, Array]:
    """All pairs of one group, each with the next ones of it in time, NEXT at most: a long group has millions."""
    order = np.lexsort((place, group))
    place, group = place[order], group[order]
    ones, others = [], []
    for step in range(1, NEXT + 1):
        alike = np.flatnonzero(group[step:] == group[:-step])
        if not len(alike):
            break
        ones.append(place[alike])
        others.append(place[alike + step])
    none = np.empty(0, dtype=np.int64)
    return np.concatenate([none, *ones]), np.concatenate([none, *others])


def _rounded(low: Array, high: Array, how: str) -> Doubt:
    """Knots of six decimals, low at most the risk and high at least it."""
    low = np.round(np.maximum.accumulate(np.minimum(low, RISKS)), 6)
    high = np.round(np.maximum.accumulate(np.maximum(high, RISKS)), 6)
    knots = zip(RISKS.tolist(), low.tolist(), high.tolist(), strict=True)
    return Doubt(((0.0, 0.0, float(high[0])), *knots, (1.0, float(low[-1]), 1.0)), how)
