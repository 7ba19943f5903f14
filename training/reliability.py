"""What came of the risks: the failed share over the mean risk, in bins of about equally many judgements."""

from typing import Any

import numpy as np
from scipy.stats import binomtest

from features.asof import Array


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
