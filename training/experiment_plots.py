"""Pictures of an experiment: how the search went, what mattered, and how the winner does where it did not look."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from features.asof import Array
from features.output import write_whole
from training import plots
from training.decision_plots import decision_curve


def draw(
    folder: Path,
    *,
    values: Sequence[float],
    metric: str,
    importances: Mapping[str, float],
    risks: Mapping[str, Array],
    failed: Array,
    curve: Mapping[str, Any],
) -> None:
    """Writes `<name>.png` of each picture. `risks`: the winner's first; float64, shape (judgements,), as `failed`.

    `curve`: the winner's decision curve, as `training.policy` gives it.
    """
    winner = next(iter(risks.values()))
    drawn = {
        "history": history(values, metric=metric),
        "precision_recall": plots.precision_recall(risks, failed),
        "reliability": plots.reliability(winner, failed),
        "decision_curve": decision_curve(curve),
    }
    if importances:
        drawn["importance"] = importance(importances)
    for name, figure in drawn.items():
        write_whole(folder / f"{name}.png", figure.savefig)


def history(values: Sequence[float], *, metric: str) -> Figure:
    """What each trial came to in the search and the best by then; less is better. Raises ValueError without any."""
    if not values:
        raise ValueError("a history needs at least one trial. Leave this picture out.")
    figure, axes = plots.blank()
    numbers = np.arange(len(values))
    axes.scatter(numbers, values, s=16, color=plots.GREY, label="trial")
    axes.step(numbers, np.minimum.accumulate(values), where="post", color=plots.BLUE, lw=2.0, label="best so far")
    # One trial far off would press all others onto a line; the site's own, which all are held beside, is always seen.
    low, middle, high = np.quantile(values, (0.0, 0.5, 0.95))
    high = max(high, middle + 2 * (middle - low), values[0])
    axes.set_ylim(low - 0.05 * (high - low) - 1e-6, high + 0.05 * (high - low) + 1e-6)
    axes.set(xlabel="Trial, the site's own recipe first", ylabel=f"{metric} in the search")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="upper right", fontsize=9)
    return figure


def importance(shares: Mapping[str, float]) -> Figure:
    """How much of the differences between trials each parameter explains: shares of 1."""
    return plots.shares_of(shares, "Share of the differences between trials that it explains (fANOVA)")
