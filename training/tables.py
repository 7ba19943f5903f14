"""The walk forward as tables: what may be learned from by a block's start, and what is to be foretold then.

Everything that is compared learns from the same tables: the model, what it has to beat, every trial of an experiment.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from features.asof import Array
from features.build import build_features
from features.champion import shrunk_rates
from training.known import Known
from training.labels import label
from training.recipe import Recipe
from training.sample import Sample, sample_of
from training.walk import Apart, block_starts, walk_forward

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class BlockTable:
    """One block: the `sample` known by its start, and `rows` of the judgements it holds with their `matrix`.

    `units` at risk of these, int64; `rates`: their shrunk trailing rates by name, float64; all of shape (rows,).
    `seen`, `seen_failed`: rows of judgements of earlier blocks that were mature with a label by the start, ascending,
    and whether they had failed.
    """

    number: int
    start: int
    sample: Sample
    rows: Array
    matrix: Array
    units: Array
    rates: dict[str, Array]
    seen: Array
    seen_failed: Array


def block_tables(
    known: Known, recipe: Recipe, *, apart: Apart | None = None, progress: Progress = lambda *_: None
) -> Iterator[BlockTable]:
    """The blocks that can be learned for, in order of time. `apart`: see `walk_forward`."""
    judged, rules = known.judgements, known.rules
    starts = block_starts(judged.as_of[known.labels.usable])
    walk = walk_forward(
        judged, known.histories, rules, starts=starts, fit=lambda past: sample_of(past, recipe), apart=apart
    )
    earlier = np.empty(0, dtype=np.int64)
    for number, block in enumerate(walk):
        progress("walk forward", number + 1, len(starts))
        if block.model is None:
            continue
        sample = block.model
        features = build_features(judged.take(block.rows), known.histories, sample.layout)
        by_then = label(judged.take(earlier), block.known.histories, rules, until=block.start)
        yield BlockTable(
            number,
            block.start,
            sample,
            block.rows,
            features.columns(sample.names),
            judged.units[block.rows],
            shrunk_rates(features),
            earlier[by_then.usable],
            by_then.failed[by_then.usable] == 1,
        )
        earlier = np.concatenate([earlier, block.rows])
