"""Rates of entities with little history, leaning on their kind: beta-binomial shares and gamma-Poisson rates."""

from typing import cast

import numpy as np

from features.asof import Array

STRENGTHS = (2.0, 1000.0)
"""Bounds of a prior's weight, in lots (or events): estimated from few entities it can be anything."""


def shrunk(events: Array, exposure: Array, *, towards: Array | float, strength: Array | float) -> Array:
    """(events + strength x towards) / (exposure + strength), the posterior mean; float64."""
    return cast(Array, (events + strength * towards) / (exposure + strength))


def share_strength(events: Array, trials: Array) -> float:
    """Weight of the prior in trials, by the moments of entities' shares (Kleinman 1973). int64, shape (entities,)."""
    events, trials = events[trials > 0].astype(np.float64), trials[trials > 0].astype(np.float64)
    if len(trials) < 2 or not 0 < events.sum() < trials.sum():
        return 20.0
    mean = events.sum() / trials.sum()
    spread = (trials * (events / trials - mean) ** 2).sum()
    binomial = mean * (1 - mean)
    between = (spread - (len(trials) - 1) * binomial) / (trials.sum() - (trials**2).sum() / trials.sum())
    return _bounded(binomial / between - 1 if between > 0 else STRENGTHS[1])


def rate_strength(events: Array, exposure: Array) -> float:
    """Weight of the prior in units of exposure, by the moments of entities' rates (the gamma-Poisson twin)."""
    events, exposure = events[exposure > 0].astype(np.float64), exposure[exposure > 0].astype(np.float64)
    if len(exposure) < 2 or events.sum() <= 0:
        return float(exposure.sum()) or 1.0
    mean = events.sum() / exposure.sum()
    spread = (exposure * (events / exposure - mean) ** 2).sum()
    between = (spread - (len(exposure) - 1) * mean) / (exposure.sum() - (exposure**2).sum() / exposure.sum())
    return float(_bounded(mean * mean / between if between > 0 else STRENGTHS[1]) / mean)


def _bounded(strength: float) -> float:
    return float(min(max(strength, STRENGTHS[0]), STRENGTHS[1]))
