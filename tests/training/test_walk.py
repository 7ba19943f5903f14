"""Walking forward: a block is fitted on what was known, and mature, when it began."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.asof import DAY
from features.errors import CannotTrain
from features.judgements import Judgements
from features.rules import Rules
from features.verdicts import window_end
from tests.tiny_site import day, histories
from tests.training.learnable import learnable
from training.known import Known, known_by
from training.walk import Block, block_starts, walk_forward

UNTIL = day(400)


def walked(
    starts: list[int], *, again_every: float | None = None, fit: Callable[[Known], int] = lambda known: known.until
) -> tuple[Judgements, Rules, list[Block[int]]]:
    """The judgements, the rules, and every block with the cut that its fit was given."""
    rows, rule = learnable(120, again_every=again_every)
    told = histories(rows, rule)
    judged = known_by(told, rule, until=UNTIL).judgements
    return judged, rule, list(walk_forward(judged, told, rule, starts=starts, fit=fit))


def assert_embargo(block: Block[int], rule: Rules) -> None:
    """All that the fit was given was known, and all that it may learn from was mature, when the block began."""
    known = block.known
    for table in known.histories.tables.values():
        assert (table.known < block.start).all(), f"{table.name}: known at or after the block's start"
    rows = known.labels.usable
    ended = window_end(known.judgements, rule.label)[rows] + known.labels.delay
    assert (ended < block.start).all(), "learns from judgements that were not mature at the block's start"
    assert (known.judgements.as_of < block.start).all()


@pytest.mark.parametrize("again_every", [None, 25.0])
def test_a_block_is_fitted_on_what_was_mature_at_its_start(again_every: float | None) -> None:
    _, rule, blocks = walked([day(n) for n in (40, 60, 61, 90)], again_every=again_every)
    assert [block.model for block in blocks] == [block.start for block in blocks] == [day(n) for n in (40, 60, 61, 90)]
    assert len(blocks[-1].known.labels.usable) > 20
    for block in blocks:
        assert_embargo(block, rule)


def test_a_block_that_knows_what_its_end_knew_is_caught() -> None:
    _, rule, (block, later) = walked([day(60), day(90)])
    with pytest.raises(AssertionError, match="known at or after the block's start"):
        assert_embargo(Block(block.start, block.rows, later.known, None), rule)


def test_a_block_that_learns_from_the_immature_is_caught() -> None:
    rows, rule = learnable(120)
    told = histories(rows, rule).known_before(day(60))
    hasty = Rules(rule.label.__class__("returns", 100_000, DAY, 0), rule.decision, None)
    block = Block(day(60), np.arange(0), known_by(told, hasty, until=day(60)), 0)
    with pytest.raises(AssertionError, match="not mature"):
        assert_embargo(block, rule)


def test_every_judgement_from_the_first_start_on_is_in_one_block_and_ties_are_together() -> None:
    starts = [day(30), day(47.5), day(80)]
    judged, _, blocks = walked(starts, again_every=25)
    rows = np.concatenate([block.rows for block in blocks])
    assert sorted(rows.tolist()) == np.flatnonzero(judged.as_of >= day(30)).tolist()
    for block, end in zip(blocks, [*starts[1:], 2**63 - 1], strict=True):
        assert ((judged.as_of[block.rows] >= block.start) & (judged.as_of[block.rows] < end)).all()


def test_a_block_that_cannot_be_fitted_says_why() -> None:
    def fit(known: Known) -> int:
        if known.until < day(60):
            raise CannotTrain("too few yet")
        return 1

    _, _, blocks = walked([day(30), day(70)], fit=fit)
    assert [(block.model, block.why) for block in blocks] == [(None, "too few yet"), (1, "")]


def test_blocks_without_judgements_are_left_out_and_no_starts_are_no_error() -> None:
    assert [block.start for block in walked([day(30), day(200), day(300)])[2]] == [day(30)]
    assert walked([])[2] == []


@given(st.lists(st.integers(0, 40), max_size=80), st.integers(1, 15))
def test_blocks_start_at_judgements_after_the_first_and_none_is_empty(days: list[int], blocks: int) -> None:
    as_of = np.array([day(one) for one in days], dtype=np.int64)
    starts = block_starts(as_of, blocks=blocks)
    assert len(starts) <= blocks
    assert all(earlier < later for earlier, later in pairwise(starts))
    assert set(starts) <= set(as_of.tolist())
    assert all(start > as_of.min() for start in starts)


def test_blocks_are_about_equally_large() -> None:
    as_of = np.arange(1000) * DAY
    starts = block_starts(as_of, blocks=12)
    sizes = np.diff([*np.searchsorted(as_of, starts), 1000])
    assert len(starts) == 12
    assert sizes.min() >= 75
    assert sizes.max() <= 76
    assert starts[0] == as_of[100]
