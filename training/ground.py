"""What all trials of an experiment are measured on: the same judgements, split in time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from features.asof import Array
from features.errors import CannotTrain
from training.evaluate import log_losses
from training.known import Known
from training.model import time_blocks
from training.ranking import precision_and_auc, rank
from training.recipe import Recipe
from training.tables import BlockTable, Progress, block_tables


@dataclass(frozen=True)
class Ground:
    """Mature judgements with a label that every treatment scores out of time; arrays of shape (judgements,).

    `tables` and `place` by treatment: the blocks, and where these judgements stand among what they score. `failed`
    bool. `searched`: bool, what the search sees; on the others, which are later, trials are compared: the best of
    many is flattered by what it was chosen on. `block`: the span of time each is drawn with, of either part its own.
    """

    known: Mapping[str, Known]
    tables: Mapping[str, list[BlockTable]]
    place: Mapping[str, Array]
    rows: Array
    failed: Array
    block: Array
    searched: Array

    def losses(self, treatment: str, risk: Array) -> Array:
        """Log loss of each judgement, the mean over seeds. `risk`: (seeds, scored) as a trial has it."""
        mine = risk[:, self.place[treatment]]
        return np.asarray(np.mean([log_losses(row, self.failed) for row in mine], axis=0))

    def risk(self, treatment: str, risk: Array) -> Array:
        """Of the first seed."""
        return np.asarray(risk[0, self.place[treatment]])

    def value(self, treatment: str, metric: str) -> Callable[[Array], float]:
        """What the search makes least: mean log loss, or less the average precision, of what it sees."""
        seen, failed = self.searched, self.failed[self.searched]

        def of(risk: Array) -> float:
            if metric == "log_loss":
                return float(self.losses(treatment, risk)[seen].mean())
            mine = risk[:, self.place[treatment]][:, seen]
            return -float(np.mean([_average_precision(row, failed) for row in mine]))

        return of


def lay_ground(
    known: Known, recipe: Recipe, *, treatments: Sequence[str], held_back: float, progress: Progress
) -> Ground:
    """Builds the tables of each treatment. CannotTrain where nothing is left to search or to compare on."""
    by_treatment = {
        name: replace(known, rules=replace(known.rules, label=replace(known.rules.label, treatment=name)))
        for name in treatments
    }
    tables = {name: list(block_tables(each, recipe, progress=progress)) for name, each in by_treatment.items()}
    scored = {name: _rows(blocks) for name, blocks in tables.items()}
    rows = reduce(np.intersect1d, [known.labels.usable, *scored.values()])
    place = {name: np.searchsorted(of, rows) for name, of in scored.items()}
    failed, as_of = known.labels.failed[rows] == 1, known.judgements.as_of[rows]
    spans = time_blocks(as_of)
    searched = spans < spans[int(len(rows) * (1.0 - held_back))] if len(rows) else spans < 0
    block = np.empty_like(spans)
    for part in (searched, ~searched):
        block[part] = time_blocks(as_of[part])
    for name, part in (("search", searched), ("comparison", ~searched)):
        if not failed[part].any() or failed[part].all():
            raise CannotTrain(
                f"of {len(rows)} judgements scored out of time {int(part.sum())} are left for the {name}, "
                f"{int(failed[part].sum())} of which failed: there is nothing to compare. Change held_back, or wait."
            )
    return Ground(by_treatment, tables, place, rows, failed, block, searched)


def _rows(tables: Sequence[BlockTable]) -> Array:
    return np.concatenate([np.empty(0, dtype=np.int64), *(table.rows for table in tables)])


def _average_precision(risk: Array, failed: Array) -> float:
    precision, _ = precision_and_auc(rank(risk, failed), np.ones((1, len(risk)), dtype=np.int64))
    return float(precision[0])
