"""Walking forward through time: a block is scored by what was learned before it began."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from features.asof import FOREVER, Array, before, within
from features.errors import CannotTrain
from features.histories import Histories
from features.judgements import Judgements
from features.rules import Rules
from features.verdicts import NO_LABEL
from training.known import Known, known_by

BLOCKS = 12
FIRST_SHARE = 0.1  # of the mature judgements come before the first block; blocks too early to learn from say so

M = TypeVar("M")

Apart = Callable[[Known, Judgements], Array]
"""From what is known by a block's start and the block's judgements: which of the known ones to leave out, bool."""


@dataclass(frozen=True)
class Block(Generic[M]):
    """`rows` of the judgements with `as_of` in [start, end), what was `known` by its start and what was learned.

    `model` is None where that was too little, and `why` says so.
    """

    start: int
    rows: Array
    known: Known
    model: M | None
    why: str = ""


def walk_forward(
    judgements: Judgements,
    histories: Histories,
    rules: Rules,
    *,
    starts: Sequence[int],
    fit: Callable[[Known], M],
    apart: Apart | None = None,
) -> Iterator[Block[M]]:
    """For each block: `fit` on what was known strictly before its start, judgements mature by then.

    That is the embargo, and there is no other, but for what `apart` keeps from both sides of a block's start on
    request. The last block has no end. Blocks without judgements are left out.
    """
    for start, end in zip(starts, [*starts, FOREVER][1:], strict=True):
        rows = np.flatnonzero(within(judgements.as_of, start, end))
        if not len(rows):
            continue
        known = known_by(histories, rules, until=start)
        if apart is not None:
            left_out = apart(known, judgements.take(rows))
            kept = np.where(left_out, NO_LABEL, known.labels.failed)  # young ones are not learned from either
            known = replace(known, labels=replace(known.labels, failed=kept))
        try:
            yield Block(start, rows, known, fit(known))
        except CannotTrain as too_little:
            yield Block(start, rows, known, None, str(too_little))


def block_starts(as_of: Array, *, blocks: int = BLOCKS) -> list[int]:
    """Starts of about equally large blocks after the first share of judgements, int64 microseconds, ascending."""
    if not len(as_of):
        return []
    ordered = np.sort(as_of)
    first = int(len(ordered) * FIRST_SHARE)
    places = first + (np.arange(blocks) * (len(ordered) - first)) // blocks
    starts = np.unique(ordered[places])
    return [int(start) for start in starts if before(ordered[0], start)]
