"""The gate: decisions that are recorded in the transaction in which they are given, or not given.

Calls that wait together are decided together, and share one commit. What a call brings of a lot is kept as history
first; the audit log then has the call, all that the decision stands on, and the answer.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import sqlalchemy as sa

from features.arrivals import ACCEPTED, KNOWN, keep
from features.card import code_fingerprint
from features.containment import Scope
from features.database import writing
from features.errors import DatabaseUnreachable
from features.gate import Ground
from features.histories import Histories
from features.score import Policy
from features.site import Site
from serving import recorded_rules
from serving.actors import at_terminal
from serving.answers import Answer, to_log
from serving.arriving import no_number
from serving.audit import Chain, last_entry
from serving.containments import open_scopes
from serving.gate_answers import Decided, amend, decide, scorer_facts
from serving.gate_calls import GateCall
from serving.gate_ground import ground_of, previewed
from serving.gate_reads import Reads, read_first
from serving.gate_records import rows_of_record
from serving.lane import Lane
from serving.loaded import Loaded
from serving.metrics import Metrics
from serving.once import Given
from serving.overtaken import keep_newest
from serving.pending import about, apart, pending
from serving.problems import Problem
from serving.score_log import ScoreLog

log = logging.getLogger(__name__)

QUICK = 8  # lots of a call; with reasons for each that is 15 ms. More must not hold up a line that asks about one
TOGETHER = 64  # lots of quick calls that are decided together
_PATIENCE = 3.0  # seconds until rows that have arrived should count; they take one or two
_LOOK = 0.02


@dataclass(frozen=True)
class Waits:
    """In place of an answer: a row of this number is about a lot of the call, and the histories do not show it yet."""

    arrival: int


@dataclass(frozen=True)
class Again:
    """An answer that was given before, under the same key."""

    answer: Answer


class Gate:
    """One worker's gate. `shadow`: takes what was scored, for the challenger."""

    def __init__(
        self,
        site: Site,
        engine: sa.Engine,
        *,
        loaded: Callable[[], Loaded],
        log: ScoreLog,
        metrics: Metrics,
        shadow: Callable[..., None],
        clock: Callable[[], int],
    ) -> None:
        self._site, self._engine, self._loaded, self._log = site, engine, loaded, log
        self._metrics, self._shadow, self._clock = metrics, shadow, clock
        self._policy, self._rules = Policy.of(site), recorded_rules.told(site)
        self._rules_hash, self._rules_in = recorded_rules.hash_of(self._rules), ""
        self._open: tuple[frozenset[str], Sequence[Scope]] = frozenset(), []  # as `read_first` names them, and they
        self._latest = 0
        self._quick: Lane[GateCall, Any] = Lane(self._run, size=lambda one: len(one.call.lots), most=TOGETHER)
        self._long: Lane[GateCall, Any] = Lane(self._run, size=lambda one: len(one.call.lots), most=1)

    async def ask(self, call: GateCall) -> Answer:
        """The recorded answer. Problem `not_ready`, `not_recorded`, `idempotency_conflict`."""
        lane = self._quick if len(call.call.lots) <= QUICK else self._long
        answer: Any = await lane.ask(call)
        if isinstance(answer, Waits):
            await self._until(answer)
            answer = await lane.ask(replace(call, patient=False))
        given_now: Answer = answer
        return given_now

    async def preview(self, lot_id: str, *, language: str) -> Answer:
        """What would be said of a lot now, recorded nowhere: who looks at a page ships nothing. Problem as of `ask`."""
        policy = replace(self._policy, language=language)
        stands_on: dict[str, Any] = {"loaded": self._loaded(), "site": self._site, "policy": policy}
        return await asyncio.to_thread(previewed, lot_id, **stands_on, engine=self._engine, now=self.now())

    def close(self) -> None:
        """Ends after what is being decided."""
        self._quick.close()
        self._long.close()

    def now(self) -> int:
        """Never earlier than a moment that was told before: a clock that steps back must not hide what was known."""
        self._latest = max(self._clock(), self._latest, self._loaded().stored.read_now)
        return self._latest

    def _run(self, calls: Sequence[GateCall]) -> list[Any]:
        """Answers, or what keeps each from one. A call that brings rows is decided before those about the same lot."""
        waiting = iter(calls)
        sizes = apart([one.call for one in calls])
        return [answer for size in sizes for answer in self._together(list(islice(waiting, size)))]

    def _together(self, calls: Sequence[GateCall]) -> list[Any]:
        """What breaks one must not break the others."""
        try:
            return self._decided(calls)
        except Problem as fault:
            return [fault] * len(calls)
        except DatabaseUnreachable as fault:
            self._metrics.not_recorded.inc(len(calls))
            return [Problem("not_recorded", str(fault))] * len(calls)
        except Exception as fault:
            if len(calls) == 1:
                return [fault]
            return [answer for call in calls for answer in self._together([call])]

    def _decided(self, calls: Sequence[GateCall]) -> list[Any]:
        loaded, now = self._loaded(), self.now()
        (names, scopes), asked = self._open, [one.call for one in calls]
        ground = ground_of(loaded, self._site, self._policy, now=now, scopes=scopes)
        decided = decide(asked, ground, timezone=self._site.timezone, now=now)
        with writing(self._engine) as connection:
            first = read_first(connection)
            if first.open != names:  # opened or closed since: they count from their commit on
                self._open = first.open, open_scopes(connection)
                ground = replace(ground, scopes=self._open[1])
                decided = decide(asked, ground, timezone=self._site.timezone, now=now)
            waits = self._waits(connection, calls, loaded, first, now)
            if late := {lot for one, lots in zip(calls, waits, strict=True) if not one.patient for lot in lots}:
                ground = replace(ground, pending=frozenset(late))
                decided = decide(asked, ground, timezone=self._site.timezone, now=now)
            last = first.last
            if first.rules is None or first.rules != self._rules_in:
                self._rules_in = recorded_rules.record(
                    connection, self._rules, actor=f"settings read by {at_terminal()}", at=now
                )
                last = last_entry(connection)
            facts, chain = self._facts(loaded, ground, now), Chain(connection, last)
            once = Given(connection, {(one.once.scope, one.once.key) for one in calls if one.once.key is not None})
            answers = [
                Waits(max(lots.values()))
                if lots and call.patient
                else self._recorded(connection, chain, once, call, answer, facts, ground.histories, now)
                for call, answer, lots in zip(calls, decided.answers, waits, strict=True)
            ]
            chain.keep()
            once.keep()
            keep_newest(connection, [answer for answer in answers if isinstance(answer, dict)])
        self._tell(ground, decided, answers, now)
        return [answer.answer if isinstance(answer, Again) else answer for answer in answers]

    def _waits(
        self, connection: sa.Connection, calls: Sequence[GateCall], loaded: Loaded, first: Reads, now: int
    ) -> list[dict[str, int]]:
        """By call: lots about which rows have arrived that the loaded histories do not show, and the last of those."""
        histories, shown = loaded.histories, loaded.stored.arrivals
        rows = pending(connection, shown) if first.arrival > shown else ()
        if not rows or histories is None:
            return [{} for _ in calls]
        return [about(rows, one.call, histories, timezone=self._site.timezone, now=now) for one in calls]

    async def _until(self, waits: "Waits") -> None:
        """Until the histories show a row that has arrived, or it takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while self._loaded().stored.arrivals < waits.arrival:
                    await asyncio.sleep(_LOOK)

    def _facts(self, loaded: Loaded, ground: Ground, now: int) -> dict[str, Any]:
        """What a replay needs beside the call."""
        return {
            "now": now,
            "model": scorer_facts(ground.scorer),
            "histories": {name: getattr(loaded.stored, name) for name in ("segments", "arrivals", "read_now")},
            "rules": self._rules_hash,
            "containments": [scope.id for scope in ground.scopes],
            "old": ground.old,
            "pending": sorted(ground.pending),
            "code": code_fingerprint(),
        }

    def _recorded(
        self,
        connection: sa.Connection,
        chain: Chain,
        once: Given,
        one: GateCall,
        answer: Answer,
        facts: Mapping[str, Any],
        histories: Histories,
        now: int,
    ) -> "Answer | Again | Problem":
        scope, key, request = one.once.scope, one.once.key, one.once.request
        if key is not None:
            try:
                if (before_ := once.before(scope, key, request)) is not None:
                    return Again(before_)
            except Problem as conflict:
                return conflict
        refused = self._kept(connection, one, answer, histories, now)
        amend(answer, refused)
        call = one.call
        body = {**facts, "call": {"lots": list(call.lots), "as_of": call.as_of, "reasons": call.reasons}}
        body |= {"refused": refused, "answer": answer}
        entry = chain.add(kind="decision", actor=one.actor, body=body, at=now)
        given_now = {"audit_id": str(entry["seq"]), **answer}
        if key is not None:
            once.add(scope, key, request, given_now, at=now)
        return given_now

    def _kept(
        self, connection: sa.Connection, one: GateCall, answer: Answer, histories: Histories, now: int
    ) -> dict[str, str]:
        """Keeps what records tell. By place in the call: why one is not kept, as it contradicts what is."""
        refused: dict[str, str] = {}
        for place, lot in enumerate(one.call.lots):
            if not isinstance(lot, Mapping) or "problem" in answer["results"][place]:
                continue
            lot_id = answer["results"][place]["lot_id"]
            told, faults = rows_of_record(lot, lot_id, histories, self._site, now=now)
            faults += [why for row in told if (why := no_number(row, histories))]
            said = [] if faults else keep(connection, told, received_at=now)
            if faults := faults or [text for text in said if text not in (ACCEPTED, KNOWN)]:
                refused[str(place)] = faults[0]
        return refused

    def _tell(self, ground: Ground, decided: Decided, answers: Sequence[Any], now: int) -> None:
        """Metrics and the score log; a fault here takes nothing from what is recorded already."""
        recorded = {place: answer for place, answer in enumerate(answers) if isinstance(answer, dict)}
        try:
            self._logged(ground, decided, recorded, now)
            self._metrics.gated([result for answer in recorded.values() for result in answer["results"]])
        except Exception:  # of whatever kind: the decisions are in the audit log
            log.exception("decisions %s could not be logged", [answer["audit_id"] for answer in recorded.values()])

    def _logged(self, ground: Ground, decided: Decided, recorded: Mapping[int, Answer], now: int) -> None:
        """Into the score log, which the monitor reads; the audit log has it already, whatever becomes of this.

        Not the score of a record that contradicts what is kept: its lot was not decided by it.
        """
        asked, said = decided.asked, decided.said
        rows = [
            place
            for place, one in enumerate(asked)
            if one.call in recorded and "problem" not in recorded[one.call]["results"][one.place]
        ]
        if said is None or not rows:
            return
        if self._log.put(to_log([asked[row].lot_id for row in rows], said, rows, now, source="gate")):
            self._shadow(ground.histories, [asked[row] for row in rows], now)
