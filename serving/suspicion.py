"""What a worker says of containment: suspects of a supplier lot or a return, and the containments that are open."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from features.asof import NO_TIME
from features.containment import Scope
from features.database import reached
from features.errors import DatabaseUnreachable
from features.histories import Histories
from features.record_rows import LONGEST
from features.suspects import lots_held
from features.traced import traced
from features.whereabouts import PLACES, whereabouts
from serving.answers import Answer, Call
from serving.containing import STATES, closed, listed, opened
from serving.containment import Found, about_of, containment
from serving.containments import open_scopes
from serving.gate_calls import Once, words_of
from serving.loaded import Loaded
from serving.problems import Problem, not_read
from serving.suspect_scores import scored

MOST_LISTED = 100_000  # suspects in one answer
MOST_NAMED = 10_000  # lots that a containment is opened for by name
ABOUT = ("supplier_lot", "return", "lots")
FIELDS = (*ABOUT, "expected", "reason")


class Suspicion:
    """One worker's. `score`: of lots by id, without logging; `clock`: never earlier than what it said before."""

    def __init__(
        self,
        engine: sa.Engine,
        *,
        loaded: Callable[[], Loaded],
        score: Callable[[Call], Awaitable[Answer]],
        clock: Callable[[], int],
    ) -> None:
        self._engine, self._loaded, self._score, self._clock = engine, loaded, score, clock

    async def suspects(self, *, supplier_lot: str | None, returned: str | None, as_of: int | None) -> Answer:
        """The answer of `GET /v1/containment`. Problem `not_ready`, `unknown_supplier_lot`, `unknown_return`."""
        histories, moment = self._histories(), self._clock() if as_of is None else as_of
        found = await run_in_threadpool(self._found, histories, supplier_lot, returned, moment)
        standing = self._loaded().standing
        unscored = await scored(found.items, standing=standing, as_of=as_of, score=self._score)
        lots = sorted(found.items, key=lambda item: (-1.0 if item["risk"] is None else -item["risk"], item["lot_id"]))
        lots.sort(key=lambda item: item["risk"] is None)
        counts: Answer = found.wire["counts"] | {"not_scored": unscored, "not_listed": max(len(lots) - MOST_LISTED, 0)}
        answer: Answer = found.wire | {"counts": counts, "lots": lots[:MOST_LISTED]}
        return answer

    def _found(self, histories: Histories, supplier_lot: str | None, returned: str | None, moment: int) -> Found:
        about = about_of(histories, supplier_lot=supplier_lot, returned=returned, as_of=moment)
        return containment(histories, about, as_of=moment, scopes=self._scopes())

    def _scopes(self) -> list[Scope] | None:
        """What is open; None where the database cannot say."""
        try:
            with reached(self._engine), self._engine.connect() as connection:
                return open_scopes(connection)
        except DatabaseUnreachable:
            return None

    def listed(self, state: str) -> Answer:
        """The answer of `GET /v1/containments`. Problem `invalid_request`, `not_recorded`."""
        if state not in STATES:
            raise Problem("invalid_request", f"state must be one of {', '.join(STATES)}, found {state[:40]}")
        try:
            found = listed(self._engine, state)
        except DatabaseUnreachable as fault:
            raise Problem("not_recorded", str(fault)) from None
        return {"containments": [told | {"held": self._held(told, scope)} for told, scope in found]}

    def open(self, sent: Mapping[str, Any], *, actor: str, once: Once) -> Answer:
        """Opens a containment of one of ABOUT. Problem says what is wrong with it, or that it cannot be recorded."""
        histories, now = self._histories(), self._clock()
        reason = words_of(sent, "reason")
        about, supplier_lots, lots = _scope_of(sent, histories, now)
        said = opened(
            self._engine,
            about=about,
            supplier_lots=supplier_lots,
            lots=lots,
            reason=reason,
            actor=actor,
            once=once,
            now=now,
        )
        since = now if about.get("expected") else NO_TIME
        scope = Scope(said["id"], tuple(said["supplier_lots"]), tuple(said["lots"]), since)
        return said | {"held": self._held(said, scope)}

    def close(self, number: str, sent: Mapping[str, Any], *, actor: str, once: Once) -> Answer:
        """Closes one. Problem `unknown_containment`, `containment_closed`, `not_recorded`."""
        reason = words_of(sent, "reason")
        said = closed(self._engine, number, reason=reason, actor=actor, once=once, now=self._clock())
        return said | {"held": None}

    def _held(self, told: Mapping[str, Any], scope: Scope) -> Answer | None:
        """How many lots it holds now; None for a closed one, and while there are no histories."""
        histories = self._loaded().histories
        if told["state"] != "open" or histories is None:
            return None
        now = self._clock()
        found = lots_held(histories, scope, now)
        every = np.unique(np.concatenate(list(found.values())))
        row = traced(histories, now).row[every]
        quantity = np.where(row >= 0, histories["lots"]["quantity"][row], 0)
        where = whereabouts(histories, every, quantity, now)
        inside = np.unique(where.of[where.place == PLACES.index("in_house")])
        return {"lots": len(every), "in_house": len(inside), **{why: len(codes) for why, codes in found.items()}}

    def _histories(self) -> Histories:
        loaded = self._loaded()
        if loaded.histories is None:
            raise not_read(loaded.published.fault)
        return loaded.histories


def _scope_of(sent: Mapping[str, Any], histories: Histories, now: int) -> tuple[Answer, Sequence[str], Sequence[str]]:
    """(what it is about, supplier lots, lots). Nothing is contained by a name that no table knows: it is a typo.

    But for a supplier lot that is said to be still to come.
    """
    named = [name for name in ABOUT if name in sent]
    if len(named) != 1:
        raise Problem("invalid_request", f"give exactly one of {', '.join(ABOUT)}; found {len(named)}")
    (what,) = named
    expected = sent.get("expected", False)
    if not isinstance(expected, bool) or (expected and what != "supplier_lot"):
        raise Problem("invalid_request", "expected must be true or false, and is said of a supplier_lot only")
    if what == "lots":
        return {"lots": len(lots := _lots(sent["lots"], histories))}, (), lots
    name = sent[what]
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST:
        raise Problem("invalid_request", f"{what} must be a text of 1 to {LONGEST} characters")
    ids = histories.ids.get("supplier_lot")
    if expected and (ids is None or ids.code(name) < 0):
        return {"supplier_lot": name, "expected": True}, (name,), ()
    if what == "supplier_lot":
        about = about_of(histories, supplier_lot=name, returned=None, as_of=now)
        return {"supplier_lot": name}, about.sources, ()
    about = about_of(histories, supplier_lot=None, returned=name, as_of=now)
    return {"return": name}, about.sources, (histories.ids["lot"].texts[about.lot],)


def _lots(sent: Any, histories: Histories) -> list[str]:
    if not isinstance(sent, list) or not 1 <= len(sent) <= MOST_NAMED or not all(isinstance(lot, str) for lot in sent):
        raise Problem("invalid_request", f"lots must be a list of 1 to {MOST_NAMED} ids")
    code = histories.ids["lot"].code
    unknown = [lot for lot in sent if code(lot) < 0]
    if unknown:
        raise Problem(
            "unknown_lot", f"{len(unknown)} of them stand in no table (first: {unknown[0][:100]}); check the spelling"
        )
    return list(dict.fromkeys(sent))
