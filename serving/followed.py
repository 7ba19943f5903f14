"""What follows a decision: it is overruled by who may, and carried out; each with its entry and disposition row."""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from features.arrivals import ACCEPTED, KNOWN, keep, read_arrivals
from features.asof import NO_TIME, before
from features.card import iso
from features.contracts import ACTIONS
from features.decision import CANNOT_ASSESS, HOLD, INSPECT, RELEASE
from features.site import Site
from features.times import read_moment
from serving.access import Caller
from serving.answers import Answer
from serving.audit import Entry, append, entry_in
from serving.bodies import whole_number
from serving.containments import open_scopes
from serving.gate_calls import Once, words_of
from serving.loaded import Loaded
from serving.once import given, keep_answer
from serving.overtaken import (
    check_newest,
    check_no_rule,
    check_not_contained,
    check_not_failed,
    check_open,
    overruled_at,
)
from serving.problems import Problem
from serving.recording import looking, recording
from serving.spelling import number_of
from serving.tables import FOLLOWED

_DONE = {RELEASE: "released", INSPECT: "inspected", HOLD: "held"}
"""What carrying a decision out leaves as disposition, unless another is told."""


class Followed:
    """Overrides and what was carried out, of one worker."""

    def __init__(self, site: Site, engine: sa.Engine, *, loaded: Callable[[], Loaded]) -> None:
        self._site, self._engine, self._loaded = site, engine, loaded

    def decision(self, audit_id: str) -> Answer:
        """A recorded decision, and what has followed. Problem `unknown_decision`."""
        with looking(self._engine) as connection:
            entry = _decision(connection, audit_id)
            rows = connection.execute(sa.select(FOLLOWED).where(FOLLOWED.c.decision == entry.seq)).mappings().all()
        followed = [{name: row[name] for name in ("lot_id", "now", "action", "found")} for row in rows]
        return {
            "audit_id": audit_id,
            "at": iso(entry.at),
            "actor": entry.actor,
            "hash": entry.hash,
            **entry.body["answer"],
            "followed": followed,
        }

    def override(self, audit_id: str, sent: Mapping[str, Any], *, caller: Caller, once: Once, now: int) -> Answer:
        """Puts another decision in the place of the one that stands. Problem `not_authorised` for who may not.

        Problem `not_decided` for a release of what was overtaken by a newer decision, and, for whoever may not overrule
        a rule, for less than one asks for now, or what is not known, for anything but a hold of a lot put away since.

        Whoever overrules acts: a release or a hold leaves its disposition row at once.
        """
        decision, reason = sent.get("decision"), words_of(sent, "reason")
        if not isinstance(decision, str) or decision not in _DONE:
            raise Problem("invalid_request", f"decision must be one of {', '.join(_DONE)}")
        with recording(self._engine) as connection:
            entry = _decision(connection, audit_id)
            result = _result(entry, sent.get("lot_id"))
            lot_id, risk_class = result["lot_id"], self._class(result)
            if not self._site.gate.may_overrule(caller.role, risk_class):
                raise Problem(
                    "not_authorised",
                    f"[gate.authority] grants {caller.role} no override of a decision of class {risk_class}",
                )
            if (said := _given(connection, once)) is not None:
                return said
            if decision == RELEASE:
                check_newest(connection, lot_id, entry)
            if decision != HOLD and not self._site.gate.may_overrule(caller.role, "rule"):
                check_no_rule(connection, entry, lot_id, decision, self._loaded(), self._site, now=now)
            if decision != HOLD and not self._site.gate.may_overrule(caller.role, "unknown"):
                check_open(connection, entry, lot_id, self._loaded(), self._site, now=now)
            standing = _standing(connection, entry.seq, lot_id)
            previous = result["decision"] if standing is None else standing.now
            action = {RELEASE: "released", HOLD: "held"}.get(decision)
            body = {
                "of": entry.seq,
                "lot_id": lot_id,
                "decision": decision,
                "previous": previous,
                "reason": reason,
                "role": caller.role,
                "risk_class": risk_class,
                "containments": [scope.id for scope in open_scopes(connection)],
            }
            return self._followed(connection, body, "override", action, None, caller=caller, once=once, now=now)

    def carried_out(self, audit_id: str, sent: Mapping[str, Any], *, caller: Caller, once: Once, now: int) -> Answer:
        """Notes that the decision that stands was carried out, with its disposition row.

        Problem `not_decided` for an action that is less careful than that decision, for a release that a newer
        decision, what became of the lot, a containment or a row by which a rule holds it has overtaken, and, for
        whoever may not overrule what keeps the lot back, for an action that would free it.
        """
        if (found := sent.get("found")) is not None and (found := whole_number(found)) not in (0, 1):
            raise Problem("invalid_request", "found must be 0 or 1: whether the inspection found the lot failing")
        with recording(self._engine) as connection:
            entry = _decision(connection, audit_id)
            result = _result(entry, sent.get("lot_id"))
            lot_id = result["lot_id"]
            if (said := _given(connection, once)) is not None:
                return said
            standing = _standing(connection, entry.seq, lot_id)
            decision = result["decision"] if standing is None else standing.now
            action = sent.get("action") or _DONE.get(decision, "held")
            passed = standing is not None and standing.action == "inspected" and standing.found == 0
            _check(decision, action, found, passed=passed)
            if action == "released":
                self._check_release(connection, entry, result, standing, now)
            elif action == "reworked" or found == 0:
                self._check_freeing(connection, entry, result, decision, action, caller=caller, now=now)
            body = {
                "of": entry.seq,
                "lot_id": lot_id,
                "decision": decision,
                "previous": None if standing is None else standing.action,
                "action": action,
                "found": found,
            }
            return self._followed(connection, body, "carried_out", action, found, caller=caller, once=once, now=now)

    def _check_release(
        self, connection: sa.Connection, entry: Entry, result: Mapping[str, Any], standing: Any, now: int
    ) -> None:
        """Problem `not_decided` where what stands has run out, or was overtaken since."""
        overruled = None if standing is None else standing.overruled
        inspected = standing is not None and standing.action == "inspected"
        if overruled is None and not inspected:
            _check_fresh(result, now)
        since = entry if overruled is None else entry_in(connection, overruled) or entry
        lot_id = result["lot_id"]
        check_newest(connection, lot_id, since)
        check_not_failed(connection, lot_id, since)
        settled = NO_TIME if overruled is None else since.at
        check_open(connection, entry, lot_id, self._loaded(), self._site, now=now, settled=settled)
        check_not_contained(connection, entry, lot_id, since, self._loaded(), self._site, now=now)
        if overruled is None:
            done = INSPECT if inspected else RELEASE
            check_no_rule(connection, entry, lot_id, done, self._loaded(), self._site, now=now)

    def _check_freeing(
        self,
        connection: sa.Connection,
        entry: Entry,
        result: Mapping[str, Any],
        decision: str,
        action: str,
        *,
        caller: Caller,
        now: int,
    ) -> None:
        """Problem `not_decided` for rework and a good inspection by whom the site grants no word on what is kept back.

        Either opens a lot that was put away: it would be released when the gate is asked next.
        """
        gate, lot_id = self._site.gate, result["lot_id"]
        if decision in (HOLD, CANNOT_ASSESS):
            if not gate.may_overrule(caller.role, self._class(result)):
                why = f"the decision that stands is {decision}: the lot is held back, scrapped or found failing by"
                raise Problem(
                    "not_decided", f"{why} {caller.role}, and freed by whom [gate.authority] lets overrule it"
                )
            return
        declared = decision == INSPECT == gate.outcome("not_open") and action == "inspected"
        if not declared and not gate.may_overrule(caller.role, "unknown"):
            settled = overruled_at(connection, entry.seq, lot_id) if decision == INSPECT else NO_TIME
            check_open(connection, entry, lot_id, self._loaded(), self._site, now=now, settled=settled)

    def _followed(
        self,
        connection: sa.Connection,
        body: dict[str, Any],
        kind: str,
        action: str | None,
        found: int | None,
        *,
        caller: Caller,
        once: Once,
        now: int,
    ) -> Answer:
        """The entry, the disposition row, and what stands now: all of one transaction."""
        disposition = None
        if action is not None:
            disposition = {"lot_id": body["lot_id"], "decided_at": iso(now), "action": action}
            disposition |= {} if found is None else {"found": found}
            self._keep(connection, disposition, now)
        entry = append(connection, kind=kind, actor=caller.actor, body=body | {"disposition": disposition}, at=now)
        row: dict[str, Any] = {"now": body["decision"]}
        if action is not None:
            row |= {"action": action, "found": found}
        if kind == "override":  # only who releases has said that what was in the way does not count
            row |= {"overruled": entry.seq if body["decision"] == RELEASE else None}
        if found == 1 or action == "scrapped":
            row |= {"failed": entry.seq}
        of = (FOLLOWED.c.decision == body["of"]) & (FOLLOWED.c.lot_id == body["lot_id"])
        if connection.execute(FOLLOWED.update().where(of).values(**row)).rowcount == 0:
            connection.execute(FOLLOWED.insert().values(decision=body["of"], lot_id=body["lot_id"], **row))
        answer = {
            "audit_id": str(entry.seq),
            "of": str(body["of"]),
            "lot_id": body["lot_id"],
            "decision": body["decision"],
            "previous": body["previous"],
            "disposition": disposition,
        }
        if once.key is not None:
            keep_answer(connection, once.scope, once.key, once.request, answer, at=now)
        return answer

    def _keep(self, connection: sa.Connection, row: dict[str, Any], now: int) -> None:
        read, refused = read_arrivals(
            "dispositions", [row], known_attributes=None, timezone=self._site.timezone, now=now
        )
        said = [one["reason"] for one in refused] or keep(connection, [one for _, one in read], received_at=now)
        if said[0] not in (ACCEPTED, KNOWN):
            raise Problem("invalid_request", f"no disposition can be written: {said[0]}")

    def _class(self, result: Mapping[str, Any]) -> str:
        if result.get("rules"):
            return "rule"
        if result["decision"] == CANNOT_ASSESS or result.get("unknown"):
            return "unknown"
        return self._site.gate.classed(result["risk"])


def _decision(connection: sa.Connection, audit_id: str) -> Entry:
    number = number_of(audit_id)
    entry = None if number is None else entry_in(connection, number)
    if entry is None or entry.kind != "decision":
        raise Problem("unknown_decision", f"{audit_id[:40]} is no decision of the gate")
    return entry


def _result(entry: Entry, lot_id: Any) -> Mapping[str, Any]:
    """The lot's part of a decision; of one lot it need not be named."""
    results: list[dict[str, Any]] = [one for one in entry.body["answer"]["results"] if one["lot_id"] is not None]
    if not results:
        raise Problem("unknown_lot", f"decision {entry.seq} is about no lot that said its id")
    if lot_id is None and len(results) > 1:
        raise Problem("invalid_request", f"the decision is about {len(results)} lots; say which in lot_id")
    found = next((result for result in results if lot_id is None or result["lot_id"] == lot_id), None)
    if found is None:
        raise Problem("unknown_lot", f"decision {entry.seq} is not about a lot {str(lot_id)[:100]}")
    if "\0" in found["lot_id"]:
        raise Problem("unknown_lot", "the lot_id holds a null character: there is no such lot to note anything of")
    return found


def _standing(connection: sa.Connection, seq: int, lot_id: str) -> Any:
    asked = sa.select(FOLLOWED).where(FOLLOWED.c.decision == seq, FOLLOWED.c.lot_id == lot_id)
    return connection.execute(asked).one_or_none()


def _given(connection: sa.Connection, once: Once) -> Answer | None:
    return None if once.key is None else given(connection, once.scope, once.key, once.request)


def _check_fresh(result: Mapping[str, Any], now: int) -> None:
    """Problem `not_decided` for a decision that has to be asked anew."""
    until = result.get("stands_until")
    if until is None or not before(now, read_moment(until, "UTC")):
        raise Problem("not_decided", f"the decision stood until {until}; ask the gate anew")


def _check(decision: str, action: Any, found: int | None, *, passed: bool) -> None:
    """Problem for an action that there is not, lacks its result, or is less careful than what was decided."""
    if action not in ACTIONS:
        raise Problem("invalid_request", f"action must be one of {', '.join(ACTIONS)}")
    if (action == "inspected") != (found is not None):
        why = f"that notes the lot as {action}: an inspection has its result, found 0 or 1; nothing else has one"
        raise Problem("not_decided", why)
    less_careful = {RELEASE: (), INSPECT: () if passed else ("released",), HOLD: ("released",)}
    if action in less_careful.get(decision, ("released",)):
        way_out = "inspect it, or have it overruled" if decision == INSPECT else "have it overruled"
        raise Problem(
            "not_decided",
            f"the decision that stands is {decision}: the lot is not to be released; {way_out}",
        )
