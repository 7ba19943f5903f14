"""Rows with one key are versions of one fact: which stood, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.asof import FOREVER, before
from features.order import repeats

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Standing:
    """Rows that stood for a time, in order of key and known time, and what became of the others."""

    rows: Array
    first: Array
    superseded: Array
    contradictions: Array
    """Rows that differ from another one with the same key and known time."""
    settled: Array
    """Of each of these, when a later version or a deletion of its fact was known; FOREVER: none was."""
    duplicates: int
    """Rows that repeat another one, collapsed into it."""
    versions: int
    """Standing rows that replace an earlier one of their fact."""
    deletions: int


@dataclass(frozen=True)
class Homes:
    """What each row belongs to: `lot` code, and when that lot was first known (`made`). Shape (rows,)."""

    lot: Array
    made: Array


def standing(
    keys: Sequence[Array],
    known: Array,
    deleted: Array,
    contents: Sequence[Array],
    *,
    homes: Homes | None = None,
    arrived: Array | None = None,
) -> Standing:
    """Orders the versions of each fact, the rows with equal `keys`, by `known`.

    A later version ends the one before, and so does a deletion, which leaves no row of its own. Of a deletion
    only key and known time count. `homes`: given where a version may move a fact to another lot; one of a lot that
    is not yet known replaces nothing until it is. `arrived`: rows that came one by one, bool, after all others: one
    that differs from an earlier row with its key and known time goes, and the earlier one stays, or whoever sends rows
    could undo a fact by saying it otherwise. All arrays have shape (rows,).
    """
    order = _ordered(keys, known)
    same_key = repeats(keys, order)
    tie = same_key & repeats([known], order)
    ends = _ends(order, known, same_key, tie)
    order, contradictions, duplicates = _settle(order, tie, deleted, contents, arrived)
    if tie.any():
        same_key = repeats(keys, order)
    known = known[order]
    gone = deleted[order]
    starts = np.flatnonzero(~same_key)
    superseded = np.full(len(order), FOREVER, dtype=np.int64)
    followed = np.flatnonzero(same_key)
    superseded[followed - 1] = known[followed]
    # A deletion says nothing about when its fact was first known.
    first_of_fact = np.minimum.reduceat(np.where(gone, FOREVER, known), starts) if len(starts) else known
    fact = np.cumsum(~same_key) - 1
    if homes is not None:
        _wait_for_lots(fact, known, gone, superseded, first_of_fact, homes.lot[order], homes.made[order])
    live = np.flatnonzero(~gone)
    return Standing(
        rows=order[live],
        first=first_of_fact[fact[live]],
        superseded=superseded[live],
        contradictions=contradictions,
        settled=ends[contradictions],
        duplicates=duplicates,
        versions=int(np.count_nonzero(np.diff(fact[live]) == 0)),
        deletions=int(gone.sum()),
    )


def _wait_for_lots(
    fact: Array, known: Array, gone: Array, superseded: Array, first_of_fact: Array, lot: Array, made: Array
) -> None:
    """Corrects `superseded` and `first_of_fact` of facts with a version that was known before its lot, in place.

    Before its lot is known such a version is a row of an unknown lot: as if it had not come. One that was replaced by
    then never stood, so the fact was not first known by it.
    """
    waiting = np.flatnonzero(~gone & before(known, made))
    several = np.bincount(fact, minlength=1) > 1
    for one in np.unique(fact[waiting][several[fact[waiting]]]).tolist():
        rows = np.arange(*np.searchsorted(fact, [one, one + 1]))
        told = np.where(gone[rows], known[rows], np.maximum(known[rows], made[rows]))
        for place, row in enumerate(rows):
            later = rows[place + 1 :]
            moved = np.where(lot[later] == lot[row], known[later], told[place + 1 :])
            superseded[row] = moved.min(initial=FOREVER)
        stood = ~gone[rows] & before(told, superseded[rows])
        if stood.any():
            first_of_fact[one] = known[rows[stood]].min()


def _ordered(keys: Sequence[Array], known: Array) -> Array:
    """Rows by key and known time, equal ones as they come.

    Codes go into one number that sorts fast; times are looked at where it ties.
    """
    packed = np.zeros(len(known), dtype=np.int64)
    size = 1
    wide = []
    for key in keys:
        values = int(key.max(initial=-1)) + 2  # from -1 on, null
        if key.min(initial=0) >= -1 and size * values < 2**62:
            packed, size = packed * values + (key + 1), size * values
        else:
            wide.append(key)
    order = np.argsort(packed)
    again = repeats([packed], order)
    tied = again.copy()
    tied[:-1] |= again[1:]
    rows = order[tied]
    order[tied] = rows[np.lexsort((rows, known[rows], *(key[rows] for key in wide), packed[rows]))]
    return order


def _ends(order: Array, known: Array, same_key: Array, tie: Array) -> Array:
    """When the next version of each row's fact was known, by row; FOREVER: none was. Of use where rows tie."""
    ends = np.full(len(order), FOREVER, dtype=np.int64)
    if tie.any():
        starts = np.flatnonzero(~tie)
        run = np.cumsum(~tie) - 1
        after = np.full(len(starts), FOREVER, dtype=np.int64)
        after[:-1] = np.where(same_key[starts[1:]], known[order[starts[1:]]], FOREVER)
        ends[order] = after[run]
    return ends


def _settle(
    order: Array, tie: Array, deleted: Array, contents: Sequence[Array], arrived: Array | None
) -> tuple[Array, Array, int]:
    """Takes out of `order` what ties: repetitions but for one, all rows that sources contradict each other with, and
    each that arrived and differs from the first."""
    if not tie.any():
        return order, np.empty(0, dtype=np.int64), 0
    run = np.cumsum(~tie) - 1
    later = np.flatnonzero(tie)
    late = np.zeros(len(later), dtype=bool) if arrived is None else arrived[order[later]]
    these, those = order[later], order[np.where(late, np.flatnonzero(~tie)[run[later]], later - 1)]
    differs = deleted[these] != deleted[those]
    alive = ~deleted[these]
    for values in contents:
        a, b = values[these], values[those]
        unlike = a != b
        if values.dtype.kind == "f":
            unlike &= ~(np.isnan(a) & np.isnan(b))
        differs |= unlike & alive
    torn = np.zeros(run[-1] + 1, dtype=bool)
    torn[run[later[differs & ~late]]] = True
    contradicted = torn[run]
    contradicted[later[differs & late]] = True
    return order[~tie & ~contradicted], np.sort(order[contradicted]), int((tie & ~contradicted).sum())
