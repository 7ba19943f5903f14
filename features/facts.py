"""Facts about lots, and how those of one reading differ from those of the reading before."""

from dataclasses import dataclass

import numpy as np

from features.asof import Array, Spans
from features.order import in_order, repeats


@dataclass(frozen=True)
class Facts:
    """Facts about lots: `lot` codes, integer `values` of shape (rows, k), `spans`; `customer` codes where told."""

    lot: Array
    values: Array
    spans: Spans
    customer: Array | None = None

    def __len__(self) -> int:
        return len(self.lot)


def difference(old: Facts, new: Facts) -> Facts:
    """Facts whose totals, at any moment, are those of `new` less those of `old`; both of the same vocabularies.

    A fact that went has its values below zero, one that came several times has them as often. In whatever order both
    stand; where nearly all of them stand as they stood, sooner.
    """
    before, after = _columns(old), _columns(new)
    head = _alike(before, after)
    tail = _alike(before[:, head:][:, ::-1], after[:, head:][:, ::-1])
    went, came = before[:, head : len(old) - tail], after[:, head : len(new) - tail]
    rows = np.concatenate([went, came], axis=1)
    times = np.repeat([-1, 1], [went.shape[1], came.shape[1]])
    order = in_order(*rows)
    starts = np.flatnonzero(~repeats([*rows], order))
    rows, times = rows[:, order], times[order]
    net = np.add.reduceat(times, starts) if len(starts) else times
    lot, customer, first, known, superseded, *values = rows[:, starts[net != 0]]
    return Facts(lot, np.stack(values, axis=1) * net[net != 0][:, None], Spans(first, known, superseded), customer)


def _columns(facts: Facts) -> Array:
    """int64, shape (columns, rows)."""
    spans, nobody = facts.spans, np.full(len(facts), -1)
    customer = nobody if facts.customer is None else facts.customer
    return np.stack([facts.lot, customer, spans.first, spans.known, spans.superseded, *facts.values.T])


def _alike(some: Array, others: Array) -> int:
    """How many rows are the same from the first on."""
    both = min(some.shape[1], others.shape[1])
    unlike = (some[:, :both] != others[:, :both]).any(axis=0)
    return int(unlike.argmax()) if unlike.any() else both
