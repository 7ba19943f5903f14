"""Putting rows in order by whole numbers, equal ones as they stand."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_DIGIT = 16  # bits; NumPy sorts numbers of so many, and no more, by counting
_DIGITS = 3  # beyond them comparing takes less time than counting that often
_FEW = 2000  # rows that are compared sooner than counted


def in_order(*keys: Array) -> Array:
    """Places of the rows in ascending order of int64 keys, the first the strongest; what `np.lexsort` gives, sooner."""
    order = _by_one(keys[-1])
    for key in keys[-2::-1]:
        order = order[_by_one(key[order])]
    return order


def each_once(values: Array) -> Array:
    """Each value once, ascending. numpy's `unique` hashes: of a million times it takes twelve times as long, and more
    of parts that are in order already, which this sort merges."""
    values = np.sort(values, kind="stable")
    first = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return values[first]


def repeats(columns: Sequence[Array], order: Array) -> Array:
    """Whether each row, in this order, equals the one before it."""
    same = np.zeros(len(order), dtype=bool)
    same[1:] = True
    for column in columns:
        values = column[order]
        same[1:] &= values[1:] == values[:-1]
    return same


class RowsBy:
    """The rows of each entity. `entity`: int64 codes, shape (rows,); rows with code -1 belong to none."""

    def __init__(self, entity: Array, *, order: tuple[Array, ...] = ()) -> None:
        """`order`: further sort keys of the rows of one entity, the first the strongest; else as they come."""
        rows = in_order(entity, *order)
        ends = np.bincount(entity + 1, minlength=1).cumsum()  # the first: of rows that belong to none
        self.rows = rows[ends[0] :]
        starts = ends - ends[0]
        self._starts = np.concatenate([[0], starts, starts[-1:]])

    def pairs(self, entity: Array) -> tuple[Array, Array]:
        """(question, row) for every row of each asked entity, questions ascending, rows in their order."""
        place = np.minimum(entity, len(self._starts) - 3) + 1  # of codes -1 and beyond the last begin no rows
        start = self._starts.take(place)
        count = self._starts.take(place + 1) - start
        question = np.arange(len(entity)).repeat(count)
        skipped = start - count.cumsum() + count
        return question, self.rows.take(np.arange(len(question)) + skipped.repeat(count))


def _by_one(key: Array) -> Array:
    """Digit by digit, the last first: half a million codes in a tenth of the time that comparing them takes."""
    if len(key) <= _FEW:
        return np.argsort(key, kind="stable")
    if (key[1:] >= key[:-1]).all():
        return np.arange(len(key))
    least, most = int(key.min()), int(key.max())
    if (most - least) >> 63:
        return np.argsort(key, kind="stable")
    key = key - least
    if (most - least) >> (2 * _DIGIT):
        key = key // int(np.gcd.reduce(key))  # times to the second, not to the microsecond
    digits = -(-int(key.max()).bit_length() // _DIGIT)
    if digits > _DIGITS:
        return np.argsort(key, kind="stable")
    order = np.argsort(key.astype(np.uint16), kind="stable")
    for digit in range(1, digits):
        order = order[np.argsort((key >> (digit * _DIGIT)).astype(np.uint16)[order], kind="stable")]
    return order
