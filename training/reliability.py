"""What came of the risks: the failed share over the mean risk, in bins of about equally many judgements."""

from typing import Any

import numpy as np
from scipy.stats import binomtest

from features.asof import Array
from training.bootstrap import Figure, figure_of, places_of, resamples

MOST_BINS = 10
FAILURES_A_BIN = 20


def reliability_bins(risk: Array, failed: Array, *, bins: int = 10) -> list[dict[str, Any]]:
    """{"predicted", "failed_share", "low", "high", "judgements"} of each bin, the least risk first.

    `risk`: float64 in [0, 1]; `failed`: bool or 0/1; both of shape (judgements,). The 95 % interval is that of a share
    (Wilson 1927), judgements taken as independent.
    """
    if not len(risk):
        return []
    bin_of = np.searchsorted(np.unique(np.quantile(risk, np.arange(1, bins) / bins)), risk)
    return [_bin(risk[bin_of == b], failed[bin_of == b]) for b in np.unique(bin_of)]


def _bin(risk: Array, failed: Array) -> dict[str, Any]:
    found = binomtest(int(np.sum(failed)), len(risk)).proportion_ci(method="wilson")
    return {
        "predicted": float(risk.mean()),
        "failed_share": float(np.mean(failed)),
        "low": float(found.low),
        "high": float(found.high),
        "judgements": len(risk),
    }


def calibration_difference(
    risk: Array, other: Array, failed: Array, block: Array, *, seed: int
) -> tuple[float, float, Figure]:
    """The calibration errors of two risks of the same judgements, and the first less the second (above zero: worse).

    The mean distance of mean risk and failed share over bins of about equally many judgements, each risk by its own,
    with FAILURES_A_BIN failures a bin or more. Both are drawn together, blocks of time whole: what noise adds to either
    is much the same.
    """
    failed = np.asarray(failed, dtype=np.float64)
    bins = int(np.clip(failed.sum() // FAILURES_A_BIN, 1, MOST_BINS))
    place, blocks = places_of(block)
    gaps = [_gaps(each, failed, place, blocks, bins) for each in (risk, other)]
    size = np.bincount(place, minlength=blocks)
    ours, theirs = (float(np.abs(gap.sum(axis=0)).sum() / len(failed)) for gap in gaps)
    drawn = [
        (np.abs(counts @ gaps[0]).sum(axis=1) - np.abs(counts @ gaps[1]).sum(axis=1)) / (counts @ size)
        for counts in resamples(blocks, judgements=blocks, seed=seed)
    ]
    return ours, theirs, figure_of(ours - theirs, np.concatenate(drawn), blocks=blocks)


def _gaps(risk: Array, failed: Array, place: Array, blocks: int, bins: int) -> Array:
    """Risks less failures summed by block and bin, shape (blocks, bins)."""
    edges = np.unique(np.quantile(risk, np.arange(1, bins) / bins))
    bin_of = np.searchsorted(edges, risk, side="left")
    return np.bincount(place * bins + bin_of, weights=risk - failed, minlength=blocks * bins).reshape(blocks, bins)
