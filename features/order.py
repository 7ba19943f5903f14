"""Putting rows in order by whole numbers, equal ones as they stand."""

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
