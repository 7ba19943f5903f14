"""The decision curve as a picture."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from training.plots import BLUE, GREY, OTHERS, blank


def decision_curve(curve: Mapping[str, Any]) -> Figure:
    """Net benefit over the risk from which a lot is acted on: by the model, for all lots, for none.

    `curve`: "points" and "usual_threshold", as `training.policy.policy_report` gives them. Raises ValueError without
    points.
    """
    points = curve["points"]
    if not points:
        raise ValueError("a decision curve needs at least one judgement. Leave this picture out.")
    figure, axes = blank()
    threshold, model, everyone = (
        np.array([point[name] for point in points]) for name in ("threshold", "model", "inspect_all")
    )
    axes.axhline(0.0, color=GREY, lw=1.0, zorder=1, label="release all")
    colour, dashes = OTHERS[0]
    axes.plot(threshold, everyone, color=colour, ls=dashes, lw=1.2, label="act on all")
    axes.plot(threshold, model, color=BLUE, lw=2.2, zorder=3, label="act by the model")
    top = max(float(model.max()), float(everyone.max()), 1e-6)
    if (usual := curve["usual_threshold"]) is not None:
        axes.axvline(usual, color=GREY, lw=0.8, ls=":", zorder=1)
        axes.annotate("usual threshold", (usual, 1.05 * top), (4, 0), textcoords="offset points", color=GREY, size=9)
    axes.set(
        xlim=(0, threshold[-1]),
        ylim=(-0.25 * top, 1.15 * top),  # acting on all falls without end; below this nobody would
        xlabel="Risk from which a lot is acted on",
        ylabel="Net benefit a lot, in failures found",
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    axes.legend(frameon=False, loc="upper right", fontsize=9)
    return figure
