"""Rows that came with a question and stand in no table: a lot that is checked before anybody booked it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from features.asof import Array
from features.attributes import OwnRow


@dataclass(frozen=True)
class Measured:
    """Own measurements known strictly before `as_of`: codes of characteristics, values and limits (NaN: none).

    One row a measurement; `of` says whose, ascending.
    """

    of: Array
    characteristic: Array
    value: Array
    lower: Array
    upper: Array

    def and_(self, other: "Measured") -> "Measured":
        """Both, in order of `of`."""
        parts = _together(self, other)
        return Measured(*_at(parts, np.argsort(parts[0], kind="stable")))


@dataclass(frozen=True)
class Used:
    """Own genealogy: supplier lots used, quantity (NaN: not said), when consumed (NO_TIME: not said) and known.

    One row an entry, in order of (`of`, supplier lot, consumed, known): sums of shares are rounded in this order.
    """

    of: Array
    supplier_lot: Array
    quantity: Array
    consumed: Array
    known: Array

    def and_(self, other: "Used") -> "Used":
        """Both, in order."""
        parts = _together(self, other)
        return Used(*_at(parts, np.lexsort((parts[4], parts[3], parts[1], parts[0]))))


@dataclass(frozen=True)
class Told:
    """`own`: the lots' own rows by place among the questions, of lots that no table holds; `of` counts the same.

    `foreign`: supplier lots used that the histories do not know by name, by place; in `used` their code is -1.
    """

    own: Mapping[int, OwnRow]
    measured: Measured
    used: Used
    foreign: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def take(self, rows: Array) -> "Told":
        """Of the questions at `rows`, ascending."""
        place = {row: number for number, row in enumerate(rows.tolist())}
        own = {place[row]: told for row, told in self.own.items() if row in place}
        foreign = {place[row]: names for row, names in self.foreign.items() if row in place}
        measured, used = (_taken(_arrays(told), rows) for told in (self.measured, self.used))
        return Told(own, Measured(*measured), Used(*used), foreign)


def _arrays(rows: Measured | Used) -> list[Array]:
    return list(vars(rows).values())


def _together(mine: Measured | Used, other: Measured | Used) -> list[Array]:
    return [np.concatenate(two) for two in zip(_arrays(mine), _arrays(other), strict=True)]


def _at(parts: list[Array], rows: Array) -> list[Array]:
    return [part[rows] for part in parts]


def _taken(parts: list[Array], rows: Array) -> list[Array]:
    of = parts[0]
    kept = np.flatnonzero(np.isin(of, rows))
    return [np.searchsorted(rows, of[kept]), *_at(parts[1:], kept)]
