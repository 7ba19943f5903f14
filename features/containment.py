"""Containment: which judged lots are held while a fault in the field is looked into, and why.

A scope names supplier lots and lots. A lot is held that is named, that used such a supplier lot by its own genealogy,
or of which genealogy is too incomplete to say that it did not (`features.traced`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from features.asked import Asked
from features.asof import NO_TIME, Array
from features.histories import Histories
from features.traced import Questions, Source, Traced, cannot_exclude, distinct, rows_naming, traced

Why = Literal["listed", "uses", "cannot_exclude"]


@dataclass(frozen=True)
class Scope:
    """What an open containment holds: supplier lots and lots by id.

    `since`: before then supplier lots of which no table has the receipt were not here, as who opened it says.
    """

    id: int
    supplier_lots: tuple[str, ...]
    lots: tuple[str, ...]
    since: int = NO_TIME

    @cached_property
    def listed(self) -> frozenset[str]:
        return frozenset(self.lots)


@dataclass(frozen=True)
class Held:
    """Why an open containment holds a lot; `what`: the supplier lot, or the lot itself where it is listed."""

    scope_id: int
    why: Why
    what: str


def held(asked: Asked, lot_ids: Sequence[str], histories: Histories, scopes: Sequence[Scope]) -> list[list[Held]]:
    """By judged lot, what holds it: in the order of scopes, and in each listed, then by its supplier lots.

    `lot_ids`: of the judged lots, also of those that no table holds. As known strictly before each `as_of`.
    """
    found: list[list[Held]] = [[] for _ in lot_ids]
    if not scopes or not found:
        return found
    for told, places in _by_moment(asked, histories):
        lots = _questions(asked, told, places)
        numbers, of, used = places.tolist(), *_used(asked, places)
        for scope in scopes:
            for place in numbers:
                if scope.listed and lot_ids[place] in scope.listed:
                    found[place].append(Held(scope.id, "listed", lot_ids[place]))
            for name in scope.supplier_lots:
                source = source_since(told.source(histories, name), scope.since)
                uses = np.zeros(len(places), dtype=bool)
                if source.code >= 0:
                    uses[of[used == source.code]] = True
                elif asked.foreign:
                    uses[:] = [name in asked.foreign.get(place, ()) for place in numbers]
                doubt = cannot_exclude(told, source, lots) & ~uses
                for row in np.flatnonzero(uses | doubt).tolist():
                    why: Why = "uses" if uses[row] else "cannot_exclude"
                    found[numbers[row]].append(Held(scope.id, why, name))
    return found


def source_since(source: Source, since: int) -> Source:
    """The same; one whose receipt no table has came no earlier than `since`."""
    return replace(source, received_at=since) if source.received_at == NO_TIME else source


def prepare(histories: Histories, *, as_of: int) -> None:
    """Makes what open containments look at from `as_of` on, so that no question waits for it."""
    traced(histories, as_of)
    if "genealogy" in histories:
        rows_naming(histories, -1)


def _by_moment(asked: Asked, histories: Histories) -> list[tuple[Traced, Array]]:
    """Genealogy as it stood, and the places of the questions that it answers."""
    moments, turn = np.unique(asked.as_of, return_inverse=True)
    several: dict[int, tuple[Traced, list[int]]] = {}
    for number, moment in enumerate(moments.tolist()):
        told = traced(histories, moment)
        several.setdefault(id(told), (told, []))[1].append(number)
    return [(told, np.flatnonzero(np.isin(turn, numbers))) for told, numbers in several.values()]


def _questions(asked: Asked, told: Traced, places: Array) -> Questions:
    of, used = _used(asked, places)
    return Questions(
        asked.lot[places],
        asked.own.codes("product_id")[places],
        asked.produced_at[places],
        distinct(of, told.material[used], told.materials),
    )


def _used(asked: Asked, places: Array) -> tuple[Array, Array]:
    """(place among `places`, supplier lot code) of the own genealogy."""
    of, used = asked.used.of, asked.used.supplier_lot
    if len(places) == len(asked):
        return of, used
    mine = np.isin(of, places)
    return np.searchsorted(places, of[mine]), used[mine]
