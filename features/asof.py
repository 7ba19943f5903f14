"""The only place that compares times.

Everything the service knows about an entity (product, line, supplier, lot, …) at a moment comes from here:
exact integer totals, and the latest row, of what was known strictly before that moment. Arrays are kept
sorted by (entity, time first known); a question is a binary search, so a million lots and one lot take the
same road.

A *span* is the time in which one version of a fact stood: known from `known` until `superseded`. A window
looks back over `first`, the time the fact was first known, so that a correction stays in the window of what
it corrects.
"""

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from features.order import in_order
from features.running import Running
from features.steps import Kinds, Steps

Array = np.ndarray[Any, np.dtype[Any]]

NO_TIME = -(2**63)
"""A missing time, and the known time of what has always been known: before every moment."""
FOREVER = 2**63 - 1
"""Not superseded."""
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_EPOCH_2000 = 946_684_800_000_000
FEW = 64  # questions; below it sorting them takes longer than it saves


def before(earlier: Any, later: Any) -> Any:
    """Whether `earlier` lies strictly before `later`, elementwise."""
    return earlier < later


def within(moment: Any, start: Any, end: Any) -> Any:
    """Whether `moment` lies in [start, end), elementwise."""
    return (moment >= start) & (moment < end)


def stands(known: Any, superseded: Any, as_of: Any) -> Any:
    """Whether a version was the known one strictly before `as_of`, elementwise."""
    return (known < as_of) & (superseded >= as_of)


def last_before(moments: Array, as_of: Any) -> Any:
    """The last of ascending `moments` strictly before `as_of`, elementwise; the first of them must be."""
    return moments[np.searchsorted(moments, as_of) - 1]


def hours(moment: Any) -> Any:
    """Whole hours since 2000-01-01T00:00Z, rounded down."""
    return (moment - _EPOCH_2000) // HOUR


@dataclass(frozen=True)
class Spans:
    """When facts stood: `first`, `known`, `superseded`, int64 microseconds, shape (rows,)."""

    first: Array
    known: Array
    superseded: Array

    def take(self, rows: Array) -> "Spans":
        return Spans(self.first[rows], self.known[rows], self.superseded[rows])

    def both(self, other: "Spans") -> "Spans":
        """When this fact and the other stood together. Spans with `known` not before `superseded` never did."""
        return Spans(
            np.maximum(self.first, other.first),
            np.maximum(self.known, other.known),
            np.minimum(self.superseded, other.superseded),
        )

    @property
    def ever(self) -> Array:
        """Rows that stood at all."""
        return np.flatnonzero(self.known < self.superseded)


class Totals:
    """Running totals of integer values by entity and time known.

    Args: `entity` int64 codes, shape (rows,), -1 counts for nothing; of several kinds of entities: (kinds, rows);
    `spans` of the rows; `values` int64, shape (rows, k); `owner` int64 codes of what a row belongs to, for `without`.
    A version that is superseded is taken back by a second, negative row. Sums are modulo 2**64, so running
    totals may wrap without harm as long as an answer itself fits into int64.
    """

    def __init__(self, entity: Array, spans: Spans, values: Array, *, owner: Array | None = None) -> None:
        entity = np.atleast_2d(entity)
        self._kinds = Kinds(entity, owner)
        later = np.flatnonzero(spans.known != spans.first)
        news = _news(entity, spans, values, owner, later)
        self._later = _Later(self._kinds, news) if len(news.known) else None
        self._earliest: Array | None = None
        if owner is not None:  # news of each owner; the last is of owners without any
            self._earliest = np.full(self._kinds.owners + 1, FOREVER)
            np.minimum.at(self._earliest[:-1], owner, spans.known)
        rows = np.flatnonzero(spans.known == spans.first) if len(later) else slice(None)
        self._at_once = Running(self._kinds, entity[:, rows], spans.first[rows], values[rows], _some(owner, rows))

    def changed(self, entity: Array, spans: Spans, values: Array, *, owner: Array | None = None) -> "Totals | None":
        """These totals with further rows, which share all arrays of the rows that are there; arguments as of `Totals`.

        A row whose values are below zero takes back one that is there. None where an entity or owner is none of those
        that the rows had: then all have to be added up anew.
        """
        entity = np.atleast_2d(entity)
        if not self._kinds.has(entity, owner):
            return None
        news = _news(entity, spans, values, owner, np.arange(len(values)))
        made = copy(self)
        if len(news.known):
            made._later = _Later(self._kinds, news if self._later is None else self._later.rows.and_also(news))
        if owner is not None and self._earliest is not None:
            made._earliest = self._earliest.copy()
            np.minimum.at(made._earliest[:-1], owner, spans.known)
        return made

    def before(
        self, entity: Array, as_of: Array, windows: tuple[int | None, ...] = (None,), *, without: Array | None = None
    ) -> Array:
        """Totals of what was known strictly before `as_of`, int64, shape (windows, questions, k).

        Of several kinds: `entity` has shape (kinds, questions), the answer (windows, kinds, questions, k).
        A window of w microseconds takes rows first known in [as_of - w, as_of); None takes all.
        `without`: owner codes, shape (questions,), whose rows do not count.
        """
        code = self._kinds.of(entity)
        answer = self._totals(code, as_of, windows)
        if without is not None:
            if self._earliest is None:
                raise ValueError("without: these totals were made without owners")
            told = np.flatnonzero(self._earliest[np.minimum(without, len(self._earliest) - 1)] < as_of)
            if len(told):
                answer[:, :, told] -= self._totals(code[:, told], as_of[told], windows, of=without[told])
        return answer if entity.ndim > 1 else answer[:, 0]

    def _totals(self, code: Array, as_of: Array, windows: tuple[int | None, ...], *, of: Array | None = None) -> Array:
        """Of all rows, or of those that belong to `of`; shape (windows, kinds, questions, k)."""
        flat, moment = code.ravel(), self._kinds.each(as_of)
        of = None if of is None else self._kinds.owned(of).ravel()
        if len(flat) <= FEW:
            answer = self._summed(flat, moment, windows, of)
        else:
            order = in_order(flat, moment)  # asked in order, a search is ten times faster
            back = np.empty_like(order)
            back[order] = np.arange(len(order))
            answer = self._summed(flat[order], moment[order], windows, _some(of, order)).take(back, axis=1)
        return answer.reshape(len(windows), *code.shape, answer.shape[-1])

    def _summed(self, code: Array, as_of: Array, windows: tuple[int | None, ...], of: Array | None) -> Array:
        answer = self._at_once.before(code, as_of, windows, of)
        if self._later is not None:
            answer += self._later.before(code, as_of, windows, of)
        return answer


def _some(owner: Array | None, rows: Array | slice) -> Array | None:
    return None if owner is None else owner[rows]


@dataclass(frozen=True)
class _News:
    """Rows of `Totals` by when each comes or, with its values below zero, goes; `entity` of shape (kinds, rows)."""

    entity: Array
    first: Array
    known: Array
    values: Array
    owner: Array | None

    def and_also(self, other: "_News") -> "_News":
        owner = None if self.owner is None or other.owner is None else np.concatenate([self.owner, other.owner])
        return _News(
            np.concatenate([self.entity, other.entity], axis=1),
            np.concatenate([self.first, other.first]),
            np.concatenate([self.known, other.known]),
            np.concatenate([self.values, other.values]),
            owner,
        )


def _news(entity: Array, spans: Spans, values: Array, owner: Array | None, later: Array) -> _News:
    """The rows `later` as they come, and all that are superseded as they go."""
    ended = np.flatnonzero(spans.superseded < FOREVER)
    both = np.concatenate([later, ended])
    known = np.concatenate([spans.known[later], spans.superseded[ended]])
    signed = np.concatenate([values[later], -values[ended]])
    return _News(entity[:, both], spans.first[both], known, signed, _some(owner, both))


class _Later:
    """Rows whose own known time is later than their fact's first: corrections, deletions, late joins.

    In a window of w microseconds such a row counts from when it is known until its fact has been known for w: it comes
    and goes, in running totals of the window's own.
    """

    def __init__(self, kinds: Kinds, rows: _News) -> None:
        self.rows, self._kinds = rows, kinds
        self._windows: dict[int | None, Running] = {}

    def before(self, entity: Array, as_of: Array, windows: tuple[int | None, ...], of: Array | None) -> Array:
        return np.stack([self._in(window).before(entity, as_of, (None,), of)[0] for window in windows])

    def _in(self, window: int | None) -> Running:
        if window not in self._windows:
            rows = self.rows
            if window is not None:
                gone = np.maximum(rows.first + window, rows.known)
                rows = rows.and_also(replace(rows, known=gone, values=-rows.values))
            self._windows[window] = Running(self._kinds, rows.entity, rows.known, rows.values, rows.owner)
        return self._windows[window]


class Latest:
    """The latest row of each entity by the time its fact was first known, ties by `key`.

    Args: `entity` int64 codes, shape (rows,) or, of several kinds of entities, (kinds, rows); `spans`; `key` int64 tie
    break, the greatest wins; `owner` for `without`.
    """

    def __init__(self, entity: Array, spans: Spans, *, key: Array, owner: Array | None = None) -> None:
        entity = np.atleast_2d(entity)
        self._kinds, self._spans, self._owner = Kinds(entity, None), spans, owner
        self._steps = Steps(spans.first, self._kinds.many)
        steps = self._steps.of(spans.first)
        found, keys = [np.array([-1])], [np.array([NO_TIME])]  # what a search ends at that finds nothing
        for code, start in zip(entity, self._kinds.starts.ravel(), strict=True):
            rows = in_order(code, spans.first, key, spans.known)
            rows = rows[np.searchsorted(code[rows], 0) :]
            found.append(rows)
            keys.append((code[rows] + start) * self._steps.many + steps[rows])
        self._rows, self._keys = np.concatenate(found), np.concatenate(keys)

    def before(self, entity: Array, as_of: Array, *, without: Array | None = None) -> Array:
        """Row of the latest fact that stood strictly before `as_of`, int64, in the shape of `entity`; -1: none."""
        base = self._kinds.of(entity) * self._steps.many
        key = (base + self._steps.of(as_of)).ravel()
        if len(key) <= FEW:
            place = self._keys.searchsorted(key) - 1
        else:
            order, place = np.argsort(key), np.empty(len(key), dtype=np.int64)
            place[order] = self._keys.searchsorted(key[order]) - 1
        least, moment = base.ravel(), self._kinds.each(as_of)
        of = None if without is None else self._kinds.each(without)
        answer = np.full(len(key), -1, dtype=np.int64)
        open_ = np.flatnonzero(self._keys[place] >= least)
        while len(open_):  # as many rounds as the longest run of rows that no longer, or do not yet, stand
            row = self._rows[place[open_]]
            good = stands(self._spans.known[row], self._spans.superseded[row], moment[open_])
            if of is not None and self._owner is not None:
                good &= self._owner[row] != of[open_]
            answer[open_[good]] = row[good]
            open_ = open_[~good]
            place[open_] -= 1
            open_ = open_[self._keys[place[open_]] >= least[open_]]
        return answer.reshape(entity.shape)
