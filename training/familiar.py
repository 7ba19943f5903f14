"""What a training sample spans, and how far ordinary lots stray from what was known a while before them."""

from itertools import pairwise

import numpy as np

from features.card import FeatureSpec
from features.familiar import FULL, MOST_STEPS, Familiar
from features.histories import Array

SHARE = 0.99  # of ordinary lots, each measured by older ones, lie within the limit
LEAST_STEPS = 2  # of one feature; a lot that is a little beyond the sample on one or two is nothing to tell
USUAL = 0.001  # of the sample; rarer nulls are no habit, and rarer values at the ends are as likely slips
TAIL = 0.005  # of the sample beyond each end of the range that mistakes are told by
FAR = 10.0  # of those ranges from the middle: grids end at 16 times the usual size, so a slip shows no larger

_NUMBERS = ("quantity", "lot_{attribute}", "measured_{characteristic}")
_OF_THE_LOT = (
    *_NUMBERS,
    "measurements",
    "measurements_out_of_limits",
    "smallest_margin",
    "spread_{characteristic}",
    "margin_{characteristic}",
    "{characteristic}_vs_{entity}",
    "{group}_lots_mixed",
    "{group}_lot_{attribute}",
    "{group}_inspected_{characteristic}",
    "{group}_defect_share",
)
"""Families that tell of the lot. Rates and counts of histories move with time for all lots alike: drift, not a lot."""

_MADE_OF = ("product_id", "line_id", "site_id")


def measure_familiar(features: list[FeatureSpec], matrix: Array, gains: Array, as_of: Array) -> Familiar:
    """Measures a training sample: `matrix` (rows, features), `as_of` of its rows, the trees' `gains` by feature.

    What tells of the lot counts alike wherever the trees have looked; a product, line, site or supplier that the sample
    does not have suffices by itself, whether or not the trees saw a use in it. The limit is taken forward in time:
    the third quarter of the sample measured by the first half, the last by all before it.
    """
    named = [_names_the_lot(feature) for feature in features]
    told = [
        feature.family in _OF_THE_LOT and gain > 0 and not name
        for feature, gain, name in zip(features, gains.tolist(), named, strict=True)
    ]
    step = (FULL - 1) // (MOST_STEPS * max(sum(told), 1))
    weights = tuple(FULL if name else step * counts for name, counts in zip(named, told, strict=True))
    order, size = np.argsort(as_of, kind="stable"), len(as_of)
    cuts = [size // 2, size * 3 // 4, size]
    strayed = [np.empty(0, dtype=np.int64)]
    for start, end in pairwise(cuts):
        older = _spanned(features, matrix[order[:start]], weights, limit=0)
        strayed.append(older.distance(matrix[order[start:end]]))
    return _spanned(features, matrix, weights, limit=_limit(np.concatenate(strayed), step))


def _names_the_lot(feature: FeatureSpec) -> bool:
    """Whether it names what a plant has to have approved anew: product, line and site, suppliers of materials."""
    of_lot = feature.family == "lot_{attribute}" and feature.about.get("attribute") in _MADE_OF
    return feature.type == "category" and (of_lot or feature.family == "{group}_supplier")


def _limit(strayed: Array, step: int) -> int:
    """Lots of products or suppliers that were new then are not ordinary; without them it stays below FULL."""
    ordinary = np.sort(strayed[strayed < FULL])
    high = int(ordinary[int(SHARE * (len(ordinary) - 1))]) if len(ordinary) else 0
    return max(high, LEAST_STEPS * step)


def _spanned(features: list[FeatureSpec], matrix: Array, weights: tuple[int, ...], *, limit: int) -> Familiar:
    low, high, lowest, highest = (list[float | None](None for _ in features) for _ in range(4))
    seen = list[tuple[int, ...] | None](None for _ in features)
    missing = [False for _ in features]
    for place, feature in enumerate(features):
        there = ~np.isnan(matrix[:, place])
        values = matrix[there, place]
        missing[place] = bool(len(there)) and len(there) - len(values) >= USUAL * len(there)
        if feature.type == "category":
            seen[place] = tuple(np.unique(values).astype(np.int64).tolist())
        elif len(values):
            if feature.family in _NUMBERS:
                lowest[place], highest[place] = ends = _possible(values)
                values = values[_within(values, *ends)]
            if weights[place]:
                low[place], high[place] = _ends(values, USUAL)
    return Familiar(
        limit=limit,
        weights=weights,
        low=tuple(low),
        high=tuple(high),
        seen=tuple(seen),
        missing=tuple(missing),
        lowest=tuple(lowest),
        highest=tuple(highest),
    )


def _ends(values: Array, tail: float) -> tuple[float, float]:
    """The values that leave a share of them beyond each end, or fewer."""
    low = np.quantile(values, tail, method="lower")
    return float(low), float(np.quantile(values, 1 - tail, method="higher"))


def _possible(values: Array) -> tuple[float | None, float | None]:
    """Between which a number may be no mistake; of a constant zero nothing is known."""
    low, high = _ends(values, TAIL)
    if low == high:
        low, high = float(values.min()), float(values.max())
    middle = low / 2 + high / 2
    reach = FAR * ((high - low) or abs(middle))
    ends = middle - reach, middle + reach
    return ends if reach and np.isfinite(ends).all() else (None, None)


def _within(values: Array, lowest: float | None, highest: float | None) -> Array:
    """Mistakes are not what the sample spans."""
    if lowest is None or highest is None:
        return np.ones(len(values), dtype=bool)
    return (values >= lowest) & (values <= highest)
