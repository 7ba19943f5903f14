"""Actions: corrective actions that are open on the lot's product, line, customer or suppliers."""

import numpy as np

from features.asked import Asked
from features.asof import DAY, NO_TIME, Array, Latest, Spans, Totals, before
from features.card import FeatureSpec
from features.histories import Histories
from features.layout import Layout
from features.names import column
from features.shipments import spans_of
from features.supplies import supplies_used

ENTITIES = ("product", "line", "customer", "supplier")


def columns(layout: Layout) -> list[FeatureSpec]:
    """The group's columns; none without actions."""
    specs = []
    for entity in _entities(layout):
        specs.append(column("{entity}_actions_open", unit="actions", entity=entity))
        specs.append(column("{entity}_days_since_action", unit="days", entity=entity))
    return specs


def build(asked: Asked, histories: Histories, layout: Layout) -> dict[str, Array]:
    """The group's columns by name, float64, shape (judgements,)."""
    out: dict[str, Array] = {}
    for entity in _entities(layout):
        if entity == "supplier":
            used = supplies_used(asked, histories, layout)
            of, code = used.of, histories["supplier_lots"]["supplier_id"][used.row]
        else:
            of, code = np.arange(len(asked)), asked.own.codes(f"{entity}_id")
        open_, days = np.zeros(len(asked)), np.full(len(asked), np.inf)
        if "actions" in histories:
            totals, latest, known = histories.once(("actions", entity), lambda e=entity: _by(histories, e))  # type: ignore[misc]
            np.maximum.at(open_, of, totals.before(code, asked.as_of[of])[0, :, 0].astype(np.float64))
            row = latest.before(code, asked.as_of[of])
            there = row >= 0
            np.minimum.at(days, of[there], (asked.as_of[of[there]] - known[row[there]]) / DAY)
        out[f"{entity}_actions_open"] = open_
        out[f"{entity}_days_since_action"] = np.where(np.isinf(days), np.nan, days)
    return out


def _entities(layout: Layout) -> list[str]:
    if "actions" not in layout.tables:
        return []
    there = {a.column.removesuffix("_id") for a in layout.attributes if a.table == "lots"}
    return [e for e in ENTITIES if (e in there if e != "supplier" else bool(layout.groups))]


def _by(histories: Histories, entity: str) -> tuple[Totals, Latest, Array]:
    """Open actions of each entity, the latest one opened, and when each row was first known.

    An action counts from when it was known to when it was closed; a closing date counts from that day on.
    """
    table = histories["actions"]
    scopes = [text.partition(":") for text in table.texts["scope"].texts]
    vocabulary = histories.ids[entity]
    codes = np.array([vocabulary.code(name.strip()) if kind == entity else -1 for kind, _, name in scopes] + [-1])
    code, spans = codes[table["scope"]], spans_of(table)
    closed = table["closed_at"] if table.has("closed_at") else np.full(len(table), NO_TIME)
    ends = np.where(closed == NO_TIME, spans.superseded, np.minimum(spans.superseded, np.maximum(closed, spans.known)))
    running = np.flatnonzero(before(spans.known, ends))
    while_open = Spans(spans.first, spans.known, ends).take(running)
    ones = np.ones((len(running), 1), dtype=np.int64)
    return Totals(code[running], while_open, ones), Latest(code, spans, key=table["action_id"]), spans.first
