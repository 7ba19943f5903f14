"""Answers to calls: ids and records, good and bad, of one caller or of many, scored together.

Calls that wait at the same time are scored as one batch: the NumPy calls that build a row cost the same for one lot as
for fifty, and a lot's score is the same bit for bit alone and among others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from features.asof import NO_TIME, Array, before
from features.attributes import OwnRow
from features.bundle import Bundle
from features.card import iso
from features.champion import Scorer
from features.histories import Histories
from features.judgements import Judgements, there
from features.layout import Attribute, written_number
from features.record_rows import LONGEST, BadRecord, kind_of
from features.records import Record, read_record, told_of
from features.score import Policy, Scored, question, score
from features.warnings import CODES
from serving.problems import problem
from serving.score_log import LoggedScores

Answer = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """What one request asks: ids (text) and records (objects), the moment (None: now), reasons a lot at most.

    `logged`: the scores go into the log; a look at a lot's page does not.
    """

    lots: Sequence[Any]
    as_of: int | None = None
    reasons: int = 0
    language: str = ""
    logged: bool = True


class Asked(NamedTuple):
    """One lot of one call on its way: where its answer goes, its code (-1: nobody's), and when it is judged."""

    call: int
    place: int
    lot_id: str
    code: int
    as_of: int
    reasons: int
    logged: bool
    record: Record | None


Shadowing = Callable[[Histories, Sequence[Asked], int], None]
"""Takes the histories, the lots asked about, and when they were."""


def answer(
    calls: Sequence[Call],
    scorer: Scorer,
    histories: Histories,
    policy: Policy,
    *,
    timezone: str,
    now: int,
    log: Callable[[LoggedScores], bool],
    shadow: Shadowing | None = None,
) -> list[Answer]:
    """One answer a call, each with a result or a problem for every lot, in the order sent. `log`: False: not kept.

    `shadow` gets what was scored and logged.
    """
    answers, good, strange = read_lots(calls, histories, timezone=timezone, now=now)
    for one in strange:
        detail = f"{one.lot_id}: {CODES['unknown_lot']}"
        answers[one.call][one.place] = {"lot_id": one.lot_id, "problem": problem("unknown_lot", detail)}
    if good:
        for one, result in zip(
            good, _results(good, scorer, histories, policy, now=now, log=log, shadow=shadow), strict=True
        ):
            answers[one.call][one.place] = result
    return [
        {
            "as_of": iso(now if call.as_of is None else call.as_of),
            "model_version": scorer.version,
            "results": results,
        }
        for call, results in zip(calls, answers, strict=True)
    ]


def read_lots(
    calls: Sequence[Call], histories: Histories, *, timezone: str, now: int
) -> tuple[list[list[Any]], list[Asked], list[Asked]]:
    """(answers by call and place: problems of what cannot be read, else None; lots to score; lots nobody knows)."""
    answers: list[list[Any]] = [[None] * len(call.lots) for call in calls]
    asked: list[Asked] = []
    for number, call in enumerate(calls):
        moment = now if call.as_of is None else call.as_of
        seen: set[str] = set()
        for place, lot in enumerate(call.lots):
            try:
                lot_id, record = _read(lot, seen, histories, as_of=moment, timezone=timezone)
            except BadRecord as bad:
                answers[number][place] = {"lot_id": _name(lot), "problem": problem(bad.code, str(bad))}
                continue
            code = histories.ids["lot"].code(lot_id) if record is None else record.code
            asked.append(Asked(number, place, lot_id, code, moment, call.reasons, call.logged, record))
    known = _known(asked, histories)
    of: dict[bool, list[Asked]] = {True: [], False: []}
    for one, is_known in zip(asked, known, strict=True):
        of[is_known].append(one)
    return answers, of[True], of[False]


def _read(lot: Any, seen: set[str], histories: Histories, *, as_of: int, timezone: str) -> tuple[str, Record | None]:
    """The lot's id and its record; BadRecord for what is neither, and for a lot that the call names already."""
    record = None
    if isinstance(lot, str):
        if len(lot) > LONGEST:
            raise BadRecord("invalid_lot", f"an id of {len(lot)} characters; no id has more than {LONGEST}")
        if "\0" in lot or any("\ud800" <= letter <= "\udfff" for letter in lot):
            raise BadRecord("invalid_lot", "the id holds a character that is none")
        lot_id = lot
    elif isinstance(lot, Mapping):
        record = read_record(lot, histories, as_of=as_of, timezone=timezone)
        lot_id = record.lot_id
    else:
        raise BadRecord("invalid_lot", f"a lot is an id (text) or a record (object), found {kind_of(lot)}")
    if lot_id in seen:
        raise BadRecord("duplicate_lot", f"{lot_id} stands in the list already; its first place has the answer")
    seen.add(lot_id)
    return lot_id, record


def _name(lot: Any) -> str | None:
    """The id of a lot that could not be read, where it says one."""
    own = lot.get("lot") if isinstance(lot, Mapping) else None
    said = lot if isinstance(lot, str) else own.get("lot_id") if isinstance(own, Mapping) else None
    return said if isinstance(said, str) else None


def _known(asked: Sequence[Asked], histories: Histories) -> list[bool]:
    """Whether there is something to score: a record, or an id of a lot that is there."""
    codes, moments = _arrays(asked)
    return [
        one.record is not None or found
        for one, found in zip(asked, there(histories, codes, moments).tolist(), strict=True)
    ]


def _arrays(asked: Sequence[Asked]) -> tuple[Array, Array]:
    """Codes and moments."""
    codes = np.array([one.code for one in asked], dtype=np.int64)
    return codes, np.array([one.as_of for one in asked], dtype=np.int64)


def _records(asked: Sequence[Asked]) -> list[tuple[int, Record]]:
    return [(place, one.record) for place, one in enumerate(asked) if one.record is not None]


def judgements_of(asked: Sequence[Asked], histories: Histories) -> Judgements:
    """The question that is scored."""
    codes, moments = _arrays(asked)
    records = _records(asked)
    return question(histories, codes, moments, told=told_of(records) if records else None)


def _results(
    asked: Sequence[Asked],
    scorer: Scorer,
    histories: Histories,
    policy: Policy,
    *,
    now: int,
    log: Callable[[LoggedScores], bool],
    shadow: Shadowing | None,
) -> list[Answer]:
    judged = judgements_of(asked, histories)
    said = score(scorer, histories, policy, judged, most_reasons=[one.reasons for one in asked])
    noted(said, asked, scorer.bundle)
    rows = [place for place, one in enumerate(asked) if one.logged]
    if rows and not log(to_log([asked[row].lot_id for row in rows], said, rows, now, source="api")):
        for row in rows:
            said.warnings[row].append({"code": "not_logged", "detail": CODES["not_logged"]})
    elif rows and shadow is not None:
        shadow(histories, [asked[row] for row in rows], now)
    return results_of([one.lot_id for one in asked], said)


def noted(said: Scored, asked: Sequence[Asked], bundle: Bundle | None) -> None:
    """Adds the warnings of what records leave out."""
    for place, record in _records(asked):
        said.warnings[place].extend(_of_record(record, bundle, asked[place].as_of))


def to_log(lots: list[str], said: Scored, rows: list[int], now: int, *, source: str) -> LoggedScores:
    """The scores at those places, as they are logged."""
    whole = len(rows) == len(said.risk)
    return LoggedScores(
        lot_id=lots,
        as_of=said.as_of if whole else said.as_of[rows],
        asked_at=now,
        risk=said.risk if whole else said.risk[rows],
        expected_cost=said.expected_cost if whole else said.expected_cost[rows],
        decision=[said.decision[row] for row in rows],
        model_version=said.version,
        vectors=said.vectors if whole else said.vectors[rows],
        source=source,
        propensity=said.propensity if whole else said.propensity[rows],
    )


def results_of(lots: Sequence[str], said: Scored) -> list[Answer]:
    """Scores in the shape of the wire."""
    return [
        {
            "lot_id": lot_id,
            "risk": risk,
            "risk_low": low,
            "risk_high": high,
            "expected_cost": cost,
            "expected_saving": saving,
            "decision": decision,
            "reasons": reasons,
            "model_version": said.version,
            "as_of": _iso(as_of),
            "features_as_of": _iso(told),
            "warnings": warnings,
        }
        for lot_id, risk, low, high, cost, saving, decision, reasons, as_of, told, warnings in zip(
            lots,
            said.risk.tolist(),
            _told(said.risk_low),
            _told(said.risk_high),
            said.expected_cost.tolist(),
            said.expected_saving.tolist(),
            said.decision,
            said.reasons,
            said.as_of.tolist(),
            said.features_as_of.tolist(),
            said.warnings,
            strict=True,
        )
    ]


def _told(ends: Array) -> list[float | None]:
    """None for what is not known."""
    return [None if end != end else end for end in ends.tolist()]


@lru_cache(maxsize=256)
def _iso(moment: int) -> str | None:
    return None if moment == NO_TIME else iso(moment)


def _of_record(record: Record, bundle: Bundle | None, as_of: int) -> list[dict[str, str]]:
    """What a record leaves out."""
    found = []
    if record.late:
        detail = f"{record.late} of its measurements not known before as_of are not used"
        found.append({"code": "measured_after_as_of", "detail": detail})
    if record.late_uses:
        detail = f"{record.late_uses} of its genealogy rows not known before as_of are not used"
        found.append({"code": "consumed_after_as_of", "detail": detail})
    if record.own is not None and not before(record.own["known_at"], as_of):
        detail = f"the record says that the lot is known at {iso(record.own['known_at'])}, which is not before as_of"
        found.append({"code": "measured_after_as_of", "detail": detail})
    if record.own is not None and record.own["shipped_at"] != NO_TIME:
        detail = "by its record the lot has shipped; no table says so, and nothing is known of its units in the field"
        found.append({"code": "missing_history", "detail": detail})
    if record.unknown:
        detail = f"the histories do not know {', '.join(record.unknown[:5])}: a misspelt name counts for nothing"
        found.append({"code": "unknown_name", "detail": detail})
    if record.own is not None and bundle is not None:
        own = record.own
        names = [a.column for a in bundle.layout.attributes if a.table == "lots" and _lacks(own, a)]
        if names:
            listed = ", ".join(names[:5])
            detail = f"{len(names)} attributes that the model looks at were not sent, or are no number: {listed}"
            found.append({"code": "missing_attribute", "detail": detail})
    return found


def _lacks(own: OwnRow, attribute: Attribute) -> bool:
    """Whether an attribute was not sent, or a number as a text that writes none."""
    value = own.get(attribute.column)
    no_number = attribute.kind == "number" and isinstance(value, str) and written_number(value) != written_number(value)
    return value is None or no_number
