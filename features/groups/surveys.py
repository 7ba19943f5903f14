"""Surveys: what customers have answered in the last year."""

import numpy as np

from features.asked import Asked
from features.asof import DAY, Array, Totals
from features.card import FeatureSpec
from features.histories import Histories
from features.layout import Layout
from features.names import column
from features.shipments import spans_of

YEAR = 365 * DAY
STEP = 2.0**-10  # scores are counted in steps of a thousandth, so that their sums are exact
LARGEST = 1e9


def columns(layout: Layout) -> list[FeatureSpec]:
    """The group's columns; none without surveys."""
    return [column("{entity}_survey_score_365d", unit="score", entity=entity) for entity in _entities(layout)]


def build(asked: Asked, histories: Histories, layout: Layout) -> dict[str, Array]:
    """The group's columns by name, float64, shape (judgements,)."""
    out = {}
    for entity in _entities(layout):
        mean = np.full(len(asked), np.nan)
        if "surveys" in histories and histories["surveys"].has(f"{entity}_id"):
            totals = histories.once(("surveys", entity), lambda e=entity: _by(histories, e))  # type: ignore[misc]
            code = asked.own.codes(f"{entity}_id")
            count, total = totals.before(code, asked.as_of, (YEAR,))[0].T
            np.divide(total * STEP, count, out=mean, where=count > 0)
        out[f"{entity}_survey_score_365d"] = mean
    return out


def _entities(layout: Layout) -> list[str]:
    there = {a.column.removesuffix("_id") for a in layout.attributes if a.table == "lots"}
    return [e for e in ("product", "customer") if "surveys" in layout.tables and e in there]


def _by(histories: Histories, entity: str) -> Totals:
    table = histories["surveys"]
    told = np.flatnonzero(~np.isnan(table["score"]))
    steps = np.rint(np.clip(table["score"][told], -LARGEST, LARGEST) / STEP).astype(np.int64)
    values = np.stack([np.ones_like(steps), steps], axis=1)
    return Totals(table[f"{entity}_id"][told], spans_of(table).take(told), values)
