"""How good out-of-time risks were, each figure with its 95 % interval, and the one table of them all."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from features.histories import Array
from training.bootstrap import Figure, figure_of, places_of, ratio, resamples
from training.ranking import ranking_figures

MIN_FAILURES = 20  # below it a figure's interval spans most of what is possible, and the table says so
MIN_FOR_CALIBRATION_ERROR = 200  # 20 failures a bin
BINS = 10

Figures = Mapping[str, Figure | None]

TITLES = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "precision_at_capacity": "precision at capacity",
    "recall_at_capacity": "recall at capacity",
}
LESS = "model_less_it"
"""The model's log loss less that of the row, on the same judgements: below zero, the model is better."""
SHOWN = (
    ("log_loss", LESS, "average_precision", "roc_auc"),
    ("brier", "calibration_error", "precision_at_capacity", "recall_at_capacity"),
)
"""The tables' columns; four figures with intervals and a name take 115 letters."""


@dataclass(frozen=True)
class Count:
    """How many judgements figures rest on, and how many of them failed."""

    judgements: int
    failures: int

    @property
    def few(self) -> bool:
        """Whether such figures say little."""
        return self.failures < MIN_FAILURES


@dataclass(frozen=True)
class Capacity:
    """What can be inspected: `per_day` lots (a fraction is a part of a lot's chance) of those judged on each `day`.

    `day`: int64, shape (judgements,), equal for judgements of one local day.
    """

    day: Array
    per_day: float


def evaluate(
    risk: Array, failed: Array, block: Array, *, capacity: Capacity | None = None, seed: int = 0
) -> dict[str, Figure | None]:
    """The figures named in TITLES; None where one is undefined.

    `risk`: float64 in [0, 1]; `failed`: bool or 0/1; `block`: int64, the span of time each judgement is drawn
    with; all of shape (judgements,). Undefined are: all without judgements; average precision and recall
    without failures; ROC AUC without both kinds; calibration error under MIN_FOR_CALIBRATION_ERROR failures;
    the two at capacity without `capacity`. Raises ValueError for other shapes and values.
    """
    risk, failed = _checked(risk, failed, block, capacity)
    if not len(risk):
        return dict.fromkeys(TITLES)
    ones = np.ones(len(risk))
    precision, auc = ranking_figures(risk, failed, block, seed=seed)
    chosen = None if capacity is None else chosen_for_inspection(risk, capacity)
    return {
        "average_precision": precision,
        "roc_auc": auc,
        "log_loss": ratio(log_losses(risk, failed), ones, block, seed=seed),
        "brier": ratio((risk - failed) ** 2, ones, block, seed=seed),
        "calibration_error": _calibration_error(risk, failed, block, seed=seed),
        "precision_at_capacity": None if chosen is None else ratio(chosen * failed, chosen, block, seed=seed),
        "recall_at_capacity": None
        if chosen is None
        else ratio(chosen * failed, failed.astype(np.float64), block, seed=seed),
    }


def log_losses(risk: Array, failed: Array) -> Array:
    """Minus the natural log of the probability given to what came: float64, shape (judgements,).

    A risk of 0 or 1 counts as 2**-52 away from it, as in scikit-learn's `log_loss`.
    """
    eps = float(np.finfo(np.float64).eps)
    clipped = np.clip(np.asarray(risk, dtype=np.float64), eps, 1.0 - eps)
    return np.asarray(-np.log(np.where(np.asarray(failed, dtype=bool), clipped, 1.0 - clipped)))


def chosen_for_inspection(risk: Array, capacity: Capacity) -> Array:
    """The chance of each judgement to be inspected (float64 in [0, 1], shape of `risk`).

    On each day the highest risks take the places; lots of one risk share what places are left for them.
    """
    order = np.lexsort((-risk, capacity.day))
    day, ordered = capacity.day[order], risk[order]
    new_day = np.append(True, day[1:] != day[:-1])
    new_group = new_day | np.append(True, ordered[1:] != ordered[:-1])
    start = np.flatnonzero(new_group)
    group = np.cumsum(new_group) - 1
    size = np.bincount(group)
    day_start = np.maximum.accumulate(np.where(new_day, np.arange(len(risk)), 0))[start]
    places = np.clip(capacity.per_day - (start - day_start), 0.0, size)
    chosen = np.empty(len(risk))
    chosen[order] = (places / size)[group]
    return chosen


def figures_rows(named: Mapping[str, Figures], counts: Mapping[str, Count]) -> list[dict[str, Any]]:
    """For logs and JSON: a row a name; `<figure>`, `<figure>_low` and `<figure>_high` as numbers or None.

    `few` is true where they rest on fewer than MIN_FAILURES failures.
    """
    rows: list[dict[str, Any]] = []
    for name, figures in named.items():
        row: dict[str, Any] = {"name": name}
        for key in (*TITLES, LESS):
            figure = figures.get(key)
            row[key] = None if figure is None else figure.value
            row[f"{key}_low"] = None if figure is None else figure.low
            row[f"{key}_high"] = None if figure is None else figure.high
        rows.append(row | asdict(counts[name]) | {"few": counts[name].few})
    return rows


def figures_tables(named: Mapping[str, Figures], counts: Mapping[str, Count]) -> Group:
    """For reading: a row a name, a column a figure that any has, in two tables; the model is the first row.

    A row of fewer judgements says of how many; of fewer than MIN_FAILURES failures, that it says little, in the caption
    where all have as few.
    """
    whole = next(iter(counts.values()))
    title = f"{whole.judgements:,} judgements, {whole.failures:,} failures; 95 % intervals over blocks of time"
    tables: list[Table] = []
    for keys in SHOWN:
        shown = [key for key in keys if any(figures.get(key) is not None for figures in named.values())]
        table = Table(box=SIMPLE_HEAD, title=title if not tables else None)
        table.add_column("")
        for key in shown:
            table.add_column(TITLES.get(key, "model less it"), justify="right")
        for name, figures in named.items():
            own = counts[name]
            of = "" if own == whole else f" (of {own.judgements:,}, {own.failures:,} failures)"
            few = ": says little" if own.few and not whole.few else ""
            table.add_row(name + of + few, *(_cell(figures.get(key), as_difference=key == LESS) for key in shown))
        if shown:
            tables.append(table)
    if tables and whole.few:
        tables[-1].caption = f"Only {whole.failures} failures: under {MIN_FAILURES}, such figures say little."
    return Group(*tables)


def signed(figure: Figure) -> str:
    """Like "-0.061 [-0.091, +0.032]": a difference shows its sign."""
    return re.sub(r"(?<![-.\d])(?=\d)", "+", str(figure))


def _cell(figure: Figure | None, *, as_difference: bool) -> str:
    return "–" if figure is None else signed(figure) if as_difference else str(figure)


def _checked(risk: Array, failed: Array, block: Array, capacity: Capacity | None) -> tuple[Array, Array]:
    risk, labels = np.asarray(risk, dtype=np.float64), np.asarray(failed, dtype=np.float64)
    shapes = [risk.shape, labels.shape, np.shape(block), *([np.shape(capacity.day)] if capacity else [])]
    if risk.ndim != 1 or len(set(shapes)) > 1:
        raise ValueError(f"risk, failed, block and day have shapes {shapes}. Give one value of each a judgement.")
    outside = ~((risk >= 0.0) & (risk <= 1.0))
    if outside.any():
        raise ValueError(f"risk: {int(outside.sum())} of {len(risk)} lie outside [0, 1]. Calibrate margins first.")
    if not np.isin(labels, (0.0, 1.0)).all():
        raise ValueError("failed must be 0 or 1. Leave judgements without a label out.")
    if capacity is not None and not capacity.per_day > 0:
        raise ValueError(f"inspections per day must be above 0, found {capacity.per_day}. Leave capacity out instead.")
    return risk, labels.astype(bool)


def _calibration_error(risk: Array, failed: Array, block: Array, *, seed: int) -> Figure | None:
    """Mean distance of mean risk and failed share over ten bins of about equally many judgements.

    Naeini et al. (2015), bins by rank as in Nixon et al. (2019). Noise only ever adds to it, in a replicate
    twice, so the interval's low end is at most the value and the high end errs upwards.
    """
    if failed.sum() < MIN_FOR_CALIBRATION_ERROR:
        return None
    edges = np.unique(np.quantile(risk, np.arange(1, BINS) / BINS))
    bins = np.searchsorted(edges, risk, side="left")
    place, blocks = places_of(block)
    gaps = np.bincount(place * BINS + bins, weights=risk - failed, minlength=blocks * BINS).reshape(blocks, BINS)
    size = np.bincount(place, minlength=blocks)
    drawn = [
        np.abs(counts @ gaps).sum(axis=1) / (counts @ size)
        for counts in resamples(blocks, judgements=blocks, seed=seed)
    ]
    found = figure_of(float(np.abs(gaps.sum(axis=0)).sum() / len(risk)), np.concatenate(drawn), blocks=blocks)
    low = None if found.low is None else min(found.low, found.value)
    return Figure(found.value, low, found.high, found.skipped)
