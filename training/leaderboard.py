"""Trials beside each other on judgements that the search did not see, each with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from training.bootstrap import Figure, paired_difference, ratio
from training.evaluate import MIN_FAILURES, evaluate
from training.ground import Ground
from training.trials import Asked, Trial

BETTER, WORSE = "better beyond noise", "worse beyond noise"
SHOWN = 10  # trials on the board, beside the site's own recipe


@dataclass(frozen=True)
class Line:
    """One trial on the held-back judgements. `less`: its log loss less that of what it is held `beside`, paired."""

    trial: Trial
    beside: Asked
    log_loss: Figure
    average_precision: Figure | None
    less: Figure | None

    @property
    def said(self) -> str:
        """Whether it differs beyond noise."""
        if self.less is None:
            return ""
        if self.less.high is not None and self.less.high < 0.0:
            return BETTER
        if self.less.low is not None and self.less.low > 0.0:
            return WORSE
        return "not told apart"

    def facts(self) -> dict[str, Any]:
        """For machines."""
        figures = {"log_loss": self.log_loss, "average_precision": self.average_precision, "less": self.less}
        row: dict[str, Any] = {
            "trial": self.trial.number,
            "what": self.trial.asked.name(self.beside),
            "value": self.trial.value,
        }
        for name, figure in figures.items():
            row[name] = None if figure is None else figure.value
            row[f"{name}_low"] = None if figure is None else figure.low
            row[f"{name}_high"] = None if figure is None else figure.high
        return row | {"said": self.said, "seconds": self.trial.seconds}


def winner_of(ground: Ground, trials: Sequence[Trial], *, own: Trial) -> Line:
    """The best by the search that is not worse beyond noise than the site's own where the search did not look."""
    ranked = (line(ground, trial, beside=own) for trial in by_value(trials))
    return next(each for each in ranked if each.trial is own or each.said != WORSE)


def by_value(trials: Sequence[Trial]) -> list[Trial]:
    """The least value in the search first; of equals the earlier."""
    return sorted(trials, key=lambda trial: (trial.value, trial.number))


def board(ground: Ground, trials: Sequence[Trial], *, own: Trial) -> list[Line]:
    """The best by the search first; the site's own recipe is always among them."""
    ranked = by_value(trials)[:SHOWN]
    if own.number not in {trial.number for trial in ranked}:
        ranked.append(own)
    return [line(ground, trial, beside=own) for trial in ranked]


def line(ground: Ground, trial: Trial, *, beside: Trial) -> Line:
    """A trial's figures where the search has not looked."""
    held = ~ground.searched
    block, failed = ground.block[held], ground.failed[held]
    losses = ground.losses(trial.asked.treatment, trial.risk)[held]
    loss = ratio(losses, np.ones(len(losses)), block, seed=0)
    assert loss is not None  # noqa: S101  # lay_ground leaves none empty
    less = None
    if trial is not beside:
        less = paired_difference(losses, ground.losses(beside.asked.treatment, beside.risk)[held], block, seed=0)
    risk = ground.risk(trial.asked.treatment, trial.risk)[held]
    return Line(trial, beside.asked, loss, evaluate(risk, failed, block)["average_precision"], less)


def board_table(ground: Ground, lines: Sequence[Line], *, title: str, beside: str) -> Table:
    """For reading."""
    held = ~ground.searched
    failures = int(ground.failed[held].sum())
    table = Table(
        "trial",
        "what",
        "log loss",
        "average precision",
        f"log loss less {beside}",
        "",
        title=f"{title}: {int(held.sum()):,} later judgements that the search did not see, {failures:,} failures",
        box=SIMPLE_HEAD,
    )
    for each in lines:
        figures = (each.log_loss, each.average_precision, each.less)
        shown = ["–" if figure is None else str(figure).replace(" [", "\n[", 1) for figure in figures]
        what = beside if each.less is None else each.trial.asked.name(each.beside)
        table.add_row(str(each.trial.number), what, *shown, each.said)
    if failures < MIN_FAILURES:
        table.caption = f"Only {failures} failures: under {MIN_FAILURES}, such figures say little."
    return table
