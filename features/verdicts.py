"""Whether judged lots have failed, by what was known before a moment.

Training asks with the cut of its data (`training/labels.py`, the only place that looks past a judgement); features
ask about other lots with a moment that lies before the judgement they serve.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np

from features.asof import NO_TIME, Array, before, stands, within
from features.contracts import action_of
from features.histories import Histories
from features.judgements import Judgements, judge_as_known
from features.order import RowsBy
from features.rules import LabelRule, Rules

FAILED, HELD_UP, NO_LABEL = 1, 0, -1


@dataclass(frozen=True)
class Verdicts:
    """`failed`: int8, 1 failed, 0 held up, -1 no label. `why`: why there is no label, "" where there is one."""

    failed: Array
    why: Array


def window_end(judgements: Judgements, rule: LabelRule) -> Array:
    """Where a judgement's window ends; a lot that never shipped counts from its judgement."""
    return judgements.start + rule.within if rule.source == "returns" else judgements.as_of


def verdicts(judgements: Judgements, histories: Histories, rule: LabelRule, known_before: Array) -> Verdicts:
    """What has become of judged lots by what was known strictly before `known_before` (int64, shape (judgements,))."""
    if rule.source == "returns":
        failed = _returned(judgements, histories, rule, known_before)
        why = np.where(judgements.shipped == NO_TIME, "never shipped", "").astype(object)
    else:
        failed = _outcome(judgements, histories, known_before)
        why = np.where(failed == NO_LABEL, "outcome not known", "").astype(object)
    found, treated = _dispositions(judgements, histories, rule, known_before)
    why[treated] = "reworked or scrapped"
    why[found] = ""
    failed = np.where(why == "", failed, NO_LABEL)
    failed[found] = FAILED
    return Verdicts(failed.astype(np.int8), why)


@dataclass(frozen=True)
class Settled:
    """Judgements whose window has closed, as evidence: `lot`, `failed` 0/1, `known` from when it may be used."""

    lot: Array
    failed: Array
    known: Array


def settled(histories: Histories, rules: Rules, *, delay: int) -> Settled:
    """What became of shipped lots by the time their window and the reporting delay were over; no later news counts.

    A lot that has not shipped yet may still, and be watched from then on: it settles nothing.
    With outcomes there is no window: use the table's own rows instead.
    """
    judged = judge_as_known(histories, rules)
    known = np.maximum(window_end(judged, rules.label) + delay, judged.known)
    verdict = verdicts(judged, histories, rules.label, known).failed
    rows = np.flatnonzero((verdict != NO_LABEL) & (judged.shipped != NO_TIME))
    return Settled(judged.lot[rows], verdict[rows].astype(np.int64), known[rows])


def returned_units(judgements: Judgements, histories: Histories, rule: LabelRule, known_before: Array) -> Array:
    """Units that came back within each judgement's window, by what was known strictly before `known_before`; int64."""
    units = np.zeros(len(judgements), dtype=np.int64)
    if "returns" in histories:
        returns = histories["returns"]
        index = histories.once("returns by lot", lambda: RowsBy(returns["lot_id"]))
        question, row = index.pairs(judgements.lot)
        start = judgements.start[question]
        back = within(returns["occurred_at"][row], start, start + rule.within)
        back &= stands(returns.known[row], returns.superseded[row], known_before[question])
        np.add.at(units, question[back], returns["quantity"][row[back]])
    return units


def _returned(judgements: Judgements, histories: Histories, rule: LabelRule, known_before: Array) -> Array:
    units = returned_units(judgements, histories, rule, known_before)
    return cast(Array, (units * 1e6 >= rule.returned_ppm * judgements.units).astype(np.int8))


def _outcome(judgements: Judgements, histories: Histories, known_before: Array) -> Array:
    failed = np.full(len(judgements), NO_LABEL, dtype=np.int8)
    outcomes = histories["outcomes"]
    index = histories.once("outcomes by lot", lambda: RowsBy(outcomes["lot_id"]))
    question, row = index.pairs(judgements.lot)
    there = stands(outcomes.known[row], outcomes.superseded[row], known_before[question])
    failed[question[there]] = outcomes["failed"][row[there]]
    return failed


def _dispositions(
    judgements: Judgements, histories: Histories, rule: LabelRule, known_before: Array
) -> tuple[Array, Array]:
    """(found failing before shipment, reworked or scrapped before the window ended), bool."""
    found, treated = np.zeros(len(judgements), dtype=bool), np.zeros(len(judgements), dtype=bool)
    if "dispositions" not in histories:
        return found, treated
    table = histories["dispositions"]
    index = histories.once("dispositions by lot", lambda: RowsBy(table["lot_id"]))
    question, row = index.pairs(judgements.lot)
    there = stands(table.known[row], table.superseded[row], known_before[question])
    question, row = question[there], row[there]
    decided = table["decided_at"][row]
    if table.has("found"):
        shipped, as_of = judgements.shipped[question], judgements.as_of[question]
        in_house = (shipped == NO_TIME) | (before(decided, shipped) & ~before(shipped, as_of))
        found[question[(table["found"][row] == 1) & in_house]] = True
    over = [action_of(text) in ("reworked", "scrapped") for text in table.texts["action"].texts]
    ends = np.array([*over, False])[table["action"][row]]
    if rule.source == "returns":
        ends &= before(decided, window_end(judgements, rule)[question])
    treated[question[ends]] = True
    return found, treated
