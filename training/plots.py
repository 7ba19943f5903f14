"""Pictures of out-of-time risks for reports and runs: figures of their own, drawn without matplotlib's global state."""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from sklearn.metrics import average_precision_score, precision_recall_curve

from features.histories import Array
from training.reliability import reliability_bins

BLUE, GREY = "#1f5a94", "#6b6b6b"
OTHERS = (
    ("#c8701e", "--"),
    ("#3d8b5f", "-."),
    ("#8a5fa8", ":"),
    ("#a8435a", (0, (6, 2, 1, 2, 1, 2))),
    ("#2f8f9d", (0, (1, 1))),
)
TICKS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


def precision_recall(risks: Mapping[str, Array], failed: Array) -> Figure:
    """Precision over recall; behind each name its average precision.

    `risks`: name -> float64, shape (judgements,): the first is the model in question, the rest what it has to
    beat. `failed`: bool or 0/1, same shape; its share is drawn as a line, which stands for any constant risk.
    Raises ValueError where nothing failed.
    """
    if not np.any(failed):
        raise ValueError("precision and recall need at least one failure. Leave this picture out.")
    figure, axes = blank()
    share = float(np.mean(failed))
    axes.axhline(share, color=GREY, lw=1.0, zorder=1, label=f"all lots  {share:.3f}")
    top, model, styles = share, next(iter(risks)), cycle(OTHERS)
    for name, risk in risks.items():
        if np.ptp(risk) == 0.0:
            continue
        precision, recall, _ = precision_recall_curve(failed, risk)
        precision, recall = precision[:-1], recall[:-1]  # the last point is made up, not observed
        colour, dashes, width = (BLUE, "-", 2.2) if name == model else (*next(styles), 1.2)
        label = f"{name}  {average_precision_score(failed, risk):.3f}"
        axes.step(
            recall, precision, where="post", label=label, color=colour, ls=dashes, lw=width, zorder=2 + (name == model)
        )
        top = max(top, float(precision[recall >= min(0.05, recall.max())].max()))
    axes.set(
        xlim=(0, 1),
        ylim=(0, min(1.02, 1.2 * top)),
        xlabel="Recall: share of the failing lots that are found",
        ylabel="Precision: share of the picked lots that fail",
    )
    axes.xaxis.set_major_formatter(_percent())
    axes.yaxis.set_major_formatter(_percent())
    lines, labels = axes.get_legend_handles_labels()
    axes.legend(
        [*lines[1:], lines[0]],
        [*labels[1:], labels[0]],
        title="average precision",
        frameon=False,
        loc="upper right",
        fontsize=9,
        alignment="left",
    )
    return figure


def reliability(risk: Array, failed: Array, *, bins: int = 10) -> Figure:
    """`training.reliability.reliability_bins` as a picture. Raises ValueError without judgements."""
    if not len(risk):
        raise ValueError("reliability needs at least one judgement. Leave this picture out.")
    figure, axes = blank(5.2, 5.0)
    found = reliability_bins(risk, failed, bins=bins)
    predicted, observed, low, high = (
        np.array([each[name] for each in found]) for name in ("predicted", "failed_share", "low", "high")
    )
    limit = min(1.0, 1.1 * float(max(predicted.max(), high.max())))
    axes.plot((0, limit), (0, limit), color=GREY, lw=0.8, zorder=1)
    axes.errorbar(
        predicted,
        observed,
        np.maximum((observed - low, high - observed), 0.0),
        fmt="o",
        ms=5,
        color=BLUE,
        elinewidth=1.4,
        clip_on=False,
    )
    axes.annotate(
        "as predicted",
        (0.6 * limit, 0.6 * limit),
        (-8, 4),
        textcoords="offset points",
        ha="right",
        color=GREY,
        size=9,
    )
    for scaled, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
        scaled("function", functions=(lambda share: np.sqrt(np.maximum(share, 0.0)), np.square))
        axis.set_major_locator(FixedLocator(_ticks(limit)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(_percent())
    axes.set(xlim=(0, limit), ylim=(0, limit), box_aspect=1)
    axes.set_xlabel(
        f"Predicted risk, mean of {len(predicted)} bins of about {len(risk) / len(predicted):,.0f} judgements"
    )
    axes.set_ylabel("Share that failed, with 95 % interval")
    return figure


def gain_by_group(gains: Mapping[str, float]) -> Figure:
    """How much each feature group took part in the total gain (0 to 1)."""
    return shares_of(gains, "Share of the trees' total gain")


def shares_of(shares: Mapping[str, float], label: str) -> Figure:
    """Bars of named shares (0 to 1), the largest on top. Raises ValueError without any."""
    if not shares:
        raise ValueError("bars of shares need at least one name. Leave this picture out.")
    figure, axes = blank(6.4, 0.7 + 0.34 * len(shares))
    names = sorted(shares, key=lambda name: (shares[name], name))
    bars = axes.barh(names, [shares[name] for name in names], color=BLUE, height=0.7)
    axes.bar_label(bars, [f"{shares[name]:.1%}".replace("%", " %") for name in names], padding=3, size=9)
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    axes.set_xlabel(label, loc="left")
    axes.margins(x=0.1)
    axes.set_ylim(-0.6, len(names) - 0.4)
    return figure


def _percent() -> FuncFormatter:
    return FuncFormatter(lambda share, _: f"{100 * share:g} %")


def _ticks(limit: float) -> list[float]:
    """Of TICKS those up to `limit` whose labels do not touch on a square-root scale."""
    kept = [0.0]
    for tick in TICKS:
        if tick <= limit and tick**0.5 - kept[-1] ** 0.5 > 0.09 * limit**0.5:
            kept.append(tick)
    return kept


def blank(width: float = 6.4, height: float = 4.4) -> tuple[Figure, Axes]:
    """An empty picture, inches, without a frame above and to the right."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
