"""Whether the lots scored lately still look like those the model learned from, and whether there are enough to say so.

A feature's drift is a distance between two distributions, from 0 (the same) to 1 (nothing in common), with an interval:
numbers by Kolmogorov and Smirnov's, categories by the total variation distance. A missing value is a value of its
own in both. All intervals of one report hold together in 95 of 100 samples of independent lots, whatever the
distributions: from Massart (1990) for numbers and Weissman et al. (2003) for categories, half of the error for the
risk and half spread over the features.

A verdict rests on the interval and a practical limit, never on a p-value: "drift" where the whole interval lies above,
"none" where it lies below, else "unclear". So neither a trifle in a million lots alarms, nor chance in a few.

Lots of one season are alike: a plant's rate of returns has one value a day, and any 90 days lie far from all training
together. So the limit is BEYOND more than the furthest that training's own spans of such a length lie from the rest
of training: what the model has seen come and go is no drift.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from features.asof import Array
from features.card import FeatureSpec

BEYOND = 0.1  # a tenth of the lots lie elsewhere: less hardly moves what a model of trees does with a feature
ERROR = 0.05  # of all intervals of one report together
NEEDED = 200  # lots, then and now: of 280 features only a change of 0.28 can be proven, with fewer hardly any
SHARE = 0.2  # of the model's gain: features that hold less change few risks, and the risk is judged by itself
COMMON = 20  # levels compared one by one; the rarer ones count as one, or their number would widen the interval
SPANS = 8  # of training, where the reference does not say when its lots were judged
SPAN_ROWS = 100  # at least: in fewer, chance alone makes large distances
_STEPS = 1_000
_CHANCE = 1.7  # over the root of the rows: the furthest of eight spans of lots that are alike, in 19 of 20 references


@dataclass(frozen=True)
class Sample:
    """Scored lots, one row each: `matrix` float64 of shape (lots, features), NaN missing; `risk` of shape (lots,)."""

    matrix: Array
    risk: Array

    def __len__(self) -> int:
        return len(self.risk)


def compare(
    then: Sample, now: Sample, *, specs: Sequence[FeatureSpec], gain: Array, spans: int = SPANS
) -> dict[str, Any]:
    """What drift.json says of two samples: "verdict", "detail", "lots", "needed", "features", "risk".

    `then`: in order of time; `spans`: how many times as long as the time of `now` it reaches. `specs`, `gain` (any
    unit): of the matrices' columns. The verdict is "drift" where the risk drifts or features that do hold at least
    SHARE of the gain; "none" where the risk does not and those that might hold less; else "unclear". "too_few", with
    no features and no risk, where either sample has fewer than NEEDED rows.
    """
    found: dict[str, Any] = {"lots": len(now), "needed": NEEDED, "features": [], "risk": None}
    if len(now) < NEEDED:
        return {"verdict": "too_few", "detail": f"too few to judge: {len(now)} lots, needs {NEEDED}"} | found
    if len(then) < NEEDED:
        few = f"too few to judge: the version's reference holds {len(then)} lots, needs {NEEDED}; train on more"
        return {"verdict": "too_few", "detail": few} | found
    share = gain / max(float(gain.sum()), 1e-300)
    error = ERROR / 2 / max(len(specs), 1)
    span = np.arange(len(then)) * min(max(spans, 2), len(then) // SPAN_ROWS) // len(then)
    features = [
        _feature(spec, then.matrix[:, place], now.matrix[:, place], span, error=error) | {"gain": float(share[place])}
        for place, spec in enumerate(specs)
    ]
    features.sort(key=lambda one: (one["verdict"] != "drift", one["limit"] - one["low"], one["feature"]))
    risk = _feature(FeatureSpec("risk"), then.risk, now.risk, span, error=ERROR / 2)
    return _verdict(features, risk, lots=len(now)) | found | {"features": features, "risk": risk}


def kolmogorov_smirnov(then: Array, now: Array) -> float:
    """The greatest difference of two cumulative shares; missing values (NaN) come after every number."""
    first, second = np.sort(then), np.sort(now)
    first_there, second_there = (len(values) - int(np.isnan(values).sum()) for values in (first, second))
    first, second = first[:first_there], second[:second_there]
    values, counts = np.unique(first, return_counts=True)
    there = np.append(0.0, np.cumsum(counts)) / len(then)
    up_to = np.append(second.searchsorted(values, side="right"), second_there) / len(now)
    below = np.append(second.searchsorted(values, side="left"), second_there) / len(now)
    # The reference's share is flat between its values; the other is furthest from it at the ends of such a stretch.
    return float(max(np.abs(up_to[:-1] - there[1:]).max(initial=0.0), np.abs(below - there).max()))


def total_variation(then: Array, now: Array) -> float:
    """Half the summed differences of shares of classes: `then`, `now` are whole numbers of classes."""
    many = int(max(then.max(initial=0), now.max(initial=0))) + 1
    first, second = (np.bincount(one, minlength=many) / len(one) for one in (then, now))
    return float(np.abs(first - second).sum() / 2)


def classes(then: Array, now: Array, *, levels: int) -> tuple[Array, Array, int]:
    """Codes of levels as classes: the COMMON levels commonest in `then`, the others, the missing; and how many.

    Missing are NaN and what is no level.
    """
    first, second = (np.where((codes >= 0) & (codes < levels), codes, levels).astype(np.int64) for codes in (then, now))
    if levels <= COMMON + 1:
        return first, second, levels + 1
    common = np.argsort(-np.bincount(first, minlength=levels + 1)[:levels], kind="stable")[:COMMON]
    place = np.full(levels + 1, COMMON)
    place[common], place[levels] = np.arange(COMMON), COMMON + 1
    return place[first], place[second], COMMON + 2


@lru_cache(maxsize=256)  # the same for all numbers of a report
def margin(then: int, now: int, *, error: float, many: int = 2) -> float:
    """How far a distance between samples of so many rows, of `many` classes, can lie from the true one but for `error`.

    One sample's distance from its distribution exceeds t with a probability of at most (2**many - 2) *
    exp(-2 * rows * t**2), the maximum over a number's cuts as that of 2 classes. Both samples' are added up as
    independent: a half narrower than half the error for each.
    """
    # The logarithm of 2**many - 2, which itself overflows at a thousand classes.
    weight = many * math.log(2.0) + math.log1p(-(2.0 ** (1 - many)))
    tail = np.geomspace(1.0, error / _STEPS, _STEPS)
    reach = np.sqrt((weight - np.log(tail)) / (2 * now))  # exceeded by the second sample in at most `tail` cases
    step = -np.diff(tail)

    def exceeded(both: float) -> float:
        left = np.maximum(both - reach[1:], 0.0)
        return float(step @ np.exp(np.minimum(weight - 2 * then * left**2, 0.0)) + tail[-1])

    low, high = 0.0, float(reach[-1] + math.sqrt((weight - math.log(error / _STEPS)) / (2 * then)))
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if exceeded(middle) > error else (low, middle)
    return high


def _feature(spec: FeatureSpec, then: Array, now: Array, span: Array, *, error: float) -> dict[str, Any]:
    """One row of drift.json; `span`: the number of the span of time each row of `then` lies in, ascending."""
    if spec.type == "category":
        first, second, many = classes(then, now, levels=len(spec.levels))
        statistic, many = total_variation(first, second), max(many, 2)
        apart = np.array([total_variation(first[span == one], first[span != one]) for one in range(span[-1] + 1)])
    else:
        statistic, many = kolmogorov_smirnov(then, now), 2
        apart = _apart(then, span)
    size = np.bincount(span)
    chance = max(_CHANCE, 0.4 * math.sqrt(many - 1) + 0.5) ** 2 * (1 / size + 1 / (len(then) - size))
    limit = min(BEYOND + math.sqrt(max(float((apart**2 - chance).max()), 0.0)), 1.0)
    reach = margin(len(then), len(now), error=error, many=many)
    low, high = max(statistic - reach, 0.0), min(statistic + reach, 1.0)
    return {
        "feature": spec.name,
        "kind": spec.type,
        "statistic": statistic,
        "low": low,
        "high": high,
        "limit": limit,
        "verdict": "drift" if low > limit else "none" if high <= limit else "unclear",
        "missing_now": float(np.isnan(now).mean()),
        "missing_then": float(np.isnan(then).mean()),
    }


def _apart(values: Array, span: Array) -> Array:
    """Kolmogorov and Smirnov's distance of each span's numbers from all others', float64 of shape (spans,)."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    ends = np.flatnonzero(~np.isnan(ascending) & np.append(ascending[1:] != ascending[:-1], False))
    inside = span[order][:, None] == np.arange(span[-1] + 1)
    up_to, size = np.cumsum(inside, axis=0)[ends], np.bincount(span)
    others = (ends + 1)[:, None] - up_to
    return np.asarray(np.abs(up_to / size - others / (len(values) - size)).max(axis=0, initial=0.0))


def _verdict(features: list[dict[str, Any]], risk: dict[str, Any], *, lots: int) -> dict[str, str]:
    drifted = [one for one in features if one["verdict"] == "drift"]
    held = sum(one["gain"] for one in drifted)
    may_hold = held + sum(one["gain"] for one in features if one["verdict"] == "unclear")
    said = f"{lots:,} lots: the risk's distance from training is {_interval(risk)}"
    if risk["verdict"] == "drift" or (drifted and held >= SHARE):
        most = ", ".join(f"{one['feature']} {_interval(one)}" for one in drifted[:3])
        with_gain = f"features with {held:.0%} of the model's gain have drifted" + (
            f", most of all {most}" * bool(most)
        )
        return {"verdict": "drift", "detail": f"{said}, limit {risk['limit']:.2f}; {with_gain}"}
    if risk["verdict"] == "none" and may_hold < SHARE:
        calm = f"features that have or may have drifted hold {may_hold:.0%} of the model's gain, under {SHARE:.0%}"
        return {"verdict": "none", "detail": f"{said}, limit {risk['limit']:.2f}; {calm}"}
    open_ = f"features that surely drifted hold {held:.0%} of the model's gain, those that may have {may_hold:.0%}"
    return {"verdict": "unclear", "detail": f"{said}, limit {risk['limit']:.2f}; {open_}: more lots will tell"}


def _interval(one: dict[str, Any]) -> str:
    return f"{one['statistic']:.2f} ({one['low']:.2f} to {one['high']:.2f})"
