"""Entities and times as whole numbers, so that both together are one number that can be sorted and searched."""

from typing import Any, cast

import numpy as np

from features.order import each_once

Array = np.ndarray[Any, np.dtype[Any]]

_MOST, _LEAST = 2**63 - 1, -(2**63)


class Kinds:
    """Entities of several kinds under codes of one kind: those of a kind begin where the ones before it end.

    `entity`: int64 codes, shape (kinds, rows); `owner` codes of the rows. After the last of each kind comes a code that
    no row has.
    """

    def __init__(self, entity: Array, owner: Array | None) -> None:
        self._sizes = entity.max(axis=1, initial=-1)[:, None] + 1
        ends = np.cumsum(self._sizes + 1)
        self.many, self.owners = int(ends[-1]), 0 if owner is None else int(owner.max(initial=-1)) + 1
        self.starts = ends[:, None] - self._sizes - 1

    def of(self, entity: Array) -> Array:
        """The common codes, shape (kinds, questions); unknown ones and -1 become codes without rows."""
        return cast(Array, np.minimum(entity, self._sizes) + self.starts)

    def has(self, entity: Array, owner: Array | None) -> bool:
        """Whether codes and owners of rows are among these."""
        known = (entity.max(axis=1, initial=-1)[:, None] < self._sizes).all()
        return bool(known) and (owner is None or int(owner.max(initial=-1)) < self.owners)

    def each(self, values: Array) -> Array:
        """What is the same for every kind, as often as there are kinds; shape (kinds x questions,)."""
        return values if len(self.starts) == 1 else np.concatenate([values] * len(self.starts))

    def owned(self, owner: Array) -> Array:
        """Owners under codes of each kind's own, shape (kinds, questions)."""
        return owner + np.arange(len(self.starts))[:, None] * self.owners


class Steps:
    """Times as whole numbers in [0, many) that keep their order, so that (entity, time) is one number.

    Counted in the coarsest unit that tells the times apart; as ranks where that takes too many bits.
    """

    def __init__(self, times: Array, entities: int) -> None:
        self._first, self._last = int(times.min(initial=_MOST)), int(times.max(initial=_LEAST))
        self._ranked: Array | None = None
        if not len(times):
            self._first = self._last = 0
        span = self._last - self._first
        self._unit = max(int(np.gcd.reduce(times - self._first)), 1) if span < _MOST else 1
        self.many = span // self._unit + 2
        if span >= _MOST or self.many * (entities + 1) >= _MOST:
            self._ranked = each_once(times)
            self.many = len(self._ranked) + 1

    def of(self, time: Array) -> Array:
        """How many steps lie before a time; of a time among the rows: its own."""
        if self._ranked is not None:
            return self._ranked.searchsorted(time)
        inside = np.minimum(np.maximum(time, self._first), self._last + 1)
        if self._unit == 1:
            return cast(Array, inside - self._first)
        return (inside - self._first + (self._unit - 1)) // self._unit
