"""The gate: from a score to what may be done with a lot. Rules come first, and the model can only add caution.

What is not known never becomes a release: each state in which the model cannot answer has a name, and leads to
`cannot_assess` or to what the site has declared for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.asked import Asked, ask
from features.asof import FOREVER, NO_TIME, Array, before
from features.attributes import attribute_values, attributes_of
from features.bundle import Bundle
from features.card import iso
from features.champion import Scorer
from features.containment import Scope
from features.decision import CANNOT_ASSESS, HOLD, INSPECT, RELEASE
from features.freshness import newest
from features.gate_own import own_states
from features.gate_rules import Fired, ruled, without_column
from features.gate_settings import STATES, GateSettings
from features.histories import Histories
from features.judgements import Judgements
from features.period import duration
from features.score import Policy, Scored
from features.supplies import rows_of_supplies

CAREFUL = (RELEASE, INSPECT, CANNOT_ASSESS, HOLD)
"""From the least careful to the most. That a lot is held for a reason says more than that nothing can be said."""
_OF_WARNINGS = {
    "no_champion": "no_champion",
    "impossible_value": "impossible_value",
    "unknown_name": "unknown_name",
    "measured_after_as_of": "measured_after_as_of",
    "consumed_after_as_of": "measured_after_as_of",
    "stale_table": "stale_history",
    "missing_table": "missing_table",
    "below_min_units": "below_min_units",
}
"""States that a score's warnings tell of."""


@dataclass(frozen=True)
class Unknown:
    """A state in which the model cannot answer for a lot, and what follows from it."""

    state: str
    outcome: str
    detail: str


@dataclass(frozen=True)
class Gated:
    """What the gate says of one lot. `stands_until`: then it has to be asked anew, microseconds UTC."""

    decision: str
    fired: list[Fired]
    unknown: list[Unknown]
    stands_until: int


@dataclass(frozen=True)
class Ground:
    """What decisions stand on beside the question. `scopes`: open containments; `old`: why the histories as a whole
    are out of date, "": they are not. `pending`: lots about which rows have arrived that the histories do not show."""

    scorer: Scorer
    histories: Histories
    policy: Policy
    gate: GateSettings
    scopes: Sequence[Scope] = ()
    old: str = ""
    pending: frozenset[str] = frozenset()


def gated(ground: Ground, judged: Judgements, said: Scored, *, lot_ids: Sequence[str], now: int) -> list[Gated]:
    """Of lots that were scored, in the order asked. `now`: a question about an earlier moment releases nothing."""
    histories, gate, bundle = ground.histories, ground.gate, ground.scorer.bundle
    asked = said.asked
    if asked is None:
        asked = ask(judged, histories, ground.policy.rules if bundle is None else bundle.layout.rules)
    rules = ruled(asked, lot_ids, histories, gate, ground.scopes, ground.policy.language)
    states = _states(ground, asked, said, lot_ids, now=now)
    until = np.minimum(_stands(ground, asked.as_of), rules.until)
    found = []
    for place, action in enumerate(said.decision):
        unknown = [
            Unknown(state, gate.outcome(state), detail)
            for state in STATES
            if (detail := states[place].get(state)) is not None
        ]
        fired = rules.fired[place]
        asks = [one.action for one in fired] + [one.outcome for one in unknown]
        found.append(Gated(most_careful(action, asks), fired, unknown, int(until[place])))
    return found


def most_careful(action: str, asks: Sequence[str]) -> str:
    """The model's `action`, or what is more careful among `asks`, of rules and states; never less.

    Where the model could not say anything, what is asked for stands alone; with nothing asked for it stays so.
    """
    if action == CANNOT_ASSESS and asks:
        return max(asks, key=CAREFUL.index)
    return max((action, *asks), key=CAREFUL.index)


def unknown_lot(gate: GateSettings, lot_id: str) -> Unknown:
    """Of a lot that no table holds and of which no record was sent."""
    return Unknown("unknown_lot", gate.outcome("unknown_lot"), lot_id)


def ages(histories: Histories, as_of: int) -> dict[str, str | None]:
    """By table the latest known time strictly before `as_of`, ISO 8601; None: nothing was known of it."""
    moment = np.array([as_of])
    found = {name: int(newest(histories, (name,), moment)[0]) for name in histories.tables}
    return {name: None if known == NO_TIME else iso(known) for name, known in found.items()}


States = list[dict[str, str]]


def _states(ground: Ground, asked: Asked, said: Scored, lot_ids: Sequence[str], *, now: int) -> States:
    """By lot: detail by state."""
    found: States = [{} for _ in range(len(asked))]
    for place, warnings in enumerate(said.warnings):
        for warning in warnings:
            if state := _OF_WARNINGS.get(warning["code"]):
                found[place].setdefault(state, warning["detail"])
    if ground.old:
        _mark(found, np.ones(len(asked), dtype=bool), "stale_history", ground.old)
    if ground.pending:
        waits = np.array([lot_id in ground.pending for lot_id in lot_ids])
        _mark(found, waits, "pending_history", "ask again in two seconds")
    _mark(found, np.asarray(before(asked.as_of, now)), "past_as_of", "as_of lies before the moment of the question")
    for state, lots in own_states(asked, ground.histories, ground.gate).items():
        for place, detail in lots.items():
            found[place].setdefault(state, detail)
    for one in without_column(ground.gate.rules, ground.histories.tables):
        if one.named:
            detail = f"the rule {one.rule} looks at {one.table}.{one.column}, which is not there"
            _mark(found, np.ones(len(asked), dtype=bool), "missing_table", detail)
    bundle = ground.scorer.bundle
    tables = ground.histories.tables if bundle is None else bundle.layout.tables
    for name, rows in (("genealogy", asked.used.of), ("measurements", asked.measured.of)):
        if name in ground.gate.expects and name in tables:
            told = np.bincount(rows, minlength=len(asked)) > 0
            _mark(found, ~told, "missing_history", f"nothing of this lot is known in {name}")
    if bundle is not None:
        ends = bundle.card.trained_until + duration(ground.gate.calibrated_for)
        detail = f"version {ground.scorer.version} counts as calibrated until {iso(ends)}"
        _mark(found, np.asarray(before(ends, asked.as_of)), "calibration_expired", detail)
        _mark_unseen(found, ground, asked, bundle)
    return found


def _mark(found: States, mask: Array, state: str, detail: str) -> None:
    for place in np.flatnonzero(mask).tolist():
        found[place].setdefault(state, detail)


def _mark_unseen(found: States, ground: Ground, asked: Asked, bundle: Bundle) -> None:
    """Products, suppliers and supplier lots that the model or the tables have never seen."""
    histories, layout = ground.histories, bundle.layout
    own = attributes_of(layout, "lots")
    for place, attribute in enumerate(own):
        if attribute.column == "product_id":
            unseen = np.isnan(asked.own.values(layout)[:, place])
            _mark(found, unseen, "unseen_product", "the product is not among those the model was trained with")
    if "supplier_lots" not in histories:
        return
    of, code = asked.used.of, asked.used.supplier_lot
    row = rows_of_supplies(histories, code, asked.as_of[of])
    texts = histories.ids["supplier_lot"].texts
    for place in np.flatnonzero(row < 0).tolist():
        name = texts[int(code[place])] if code[place] >= 0 else "one that the histories do not name"
        found[int(of[place])].setdefault("unknown_supplier_lot", f"supplier lot: {name}")
    for place, attribute in enumerate(attributes_of(layout, "supplier_lots")):
        if attribute.column == "supplier_id":
            values = attribute_values(histories, layout, "supplier_lots", row)[:, place]
            suppliers, held = histories.ids["supplier"].texts, histories["supplier_lots"]["supplier_id"]
            for at in np.flatnonzero(np.isnan(values) & (row >= 0)).tolist():
                name = suppliers[int(held[row[at]])]
                found[int(of[at])].setdefault("unseen_supplier", f"supplier {name} was not trained with")


def _stands(ground: Ground, as_of: Array) -> Array:
    """Until when nothing but time passing changes a decision, int64, shape (lots,)."""
    until = as_of + duration(ground.gate.stands_for)
    bundle = ground.scorer.bundle
    ends: list[int | Array] = [limit + known for known, limit in _limits(ground, as_of)]
    if bundle is not None:
        ends.append(bundle.card.trained_until + duration(ground.gate.calibrated_for))
    for end in ends:
        until = np.where(before(as_of, end) & before(end, until), end, until)
    return until


def _limits(ground: Ground, as_of: Array) -> list[tuple[Array, int]]:
    """Of each table that may become stale: when its newest row was known, and the limit."""
    found = []
    for name, limit in ground.policy.stale.items():
        if name not in ground.histories:
            continue
        known = newest(ground.histories, (name,), as_of)
        found.append((np.where(known == NO_TIME, FOREVER - limit, known), limit))
    return found
