"""What has overtaken a decision: a newer one about the same lot, what became of the lot, a containment, a rule.

The lot is not released by it any more, whatever it said. `NEWEST` names a lot by a hash: what a call calls a lot may
be longer than an index of PostgreSQL takes, and hold characters that no database does.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json

from features.asked import Asked, ask
from features.asof import NO_TIME, before
from features.containment import Scope, held
from features.database import add_rows
from features.gate import most_careful
from features.gate_own import Event, said_by, said_of, unmended
from features.gate_rules import listed, ruled
from features.histories import Histories
from features.site import Site
from features.times import read_moment
from serving.answers import Answer, Call, judgements_of, read_lots
from serving.audit import Entry
from serving.containments import open_scopes
from serving.loaded import Loaded
from serving.pending import Pending, Row, about, pending
from serving.problems import Problem, not_read
from serving.tables import AUDIT, FOLLOWED, NEWEST

_TRACED = ("lots", "genealogy", "supplier_lots")
"""What containments look at."""
_BECAME = ("dispositions", "outcomes")
"""What became of lots, which may have put one away."""
_FAILED = sa.select(sa.func.max(FOLLOWED.c.failed)).where(FOLLOWED.c.lot_id == sa.bindparam("about"))
_NEWEST = sa.select(NEWEST.c.decision).where(NEWEST.c.lot == sa.bindparam("about"))


def keep_newest(connection: sa.Connection, answers: Sequence[Answer]) -> None:
    """Notes which lots new decisions are about, in their transaction; `answers` in the order of their audit ids."""
    newest = {
        _lot(result["lot_id"]): int(answer["audit_id"])
        for answer in answers
        for result in answer["results"]
        if result["lot_id"] is not None
    }
    rows = [{"lot": lot, "decision": decision} for lot, decision in newest.items()]
    add_rows(connection, NEWEST, rows, replacing=True)


def check_newest(connection: sa.Connection, lot_id: str, since: Entry) -> None:
    """Problem `not_decided` where the gate decided about the lot after the entry `since`."""
    newest = connection.execute(_NEWEST, {"about": _lot(lot_id)}).scalar_one_or_none()
    if newest is not None and newest > since.seq:
        raise Problem(
            "not_decided",
            f"the gate was asked about the lot again; decision {newest} is the newest: go by that",
        )


def check_not_failed(connection: sa.Connection, lot_id: str, since: Entry) -> None:
    """Problem `not_decided` where the lot was scrapped, or an inspection found it failing, after `since`."""
    failed = connection.execute(_FAILED, {"about": lot_id}).scalar_one()
    if failed is not None and failed > since.seq:
        raise Problem(
            "not_decided",
            f"entry {failed} says that the lot was scrapped or found failing; ask the gate anew, or have it overruled",
        )


def check_open(
    connection: sa.Connection,
    decision: Entry,
    lot_id: str,
    loaded: Loaded,
    site: Site,
    *,
    now: int,
    settled: int = NO_TIME,
) -> None:
    """Problem `not_decided` where the lot is put away: the state `not_open` as of now, with rows that have just arrived
    and bad ones that become known only later.

    `settled`: what happened before it was known to whoever overruled.
    """
    asked = _asked(_told(decision, lot_id), lot_id, _histories(loaded), site, now=now)
    said = [event._replace(place=0) for each in asked for event in said_of(each, _histories(loaded))]
    for row in pending(connection, loaded.stored.arrivals):
        if not row.about or (row.table in _BECAME and row.about == lot_id):
            said += _just_said(row, site.timezone)
    for event in unmended(said):
        if not before(event.decided, settled):
            raise Problem("not_decided", f"the lot is not open: {event.why}; ask the gate anew, or have it overruled")


def _just_said(row: Row, timezone: str) -> list[Event]:
    """What a row that does not count yet says of its lot. Problem where that takes the histories to say.

    The rows that overrides and what is carried out leave are plain ones: nobody waits for those.
    """
    plain = not {"deleted", "known_at"} & set(row.said) and "T" in row.said.get("decided_at", "")  # no date alone
    if row.table != "dispositions" or not row.about or not plain:
        raise _just_arrived()
    why = said_by(row.said["action"], row.said.get("found"))
    at = read_moment(row.said["decided_at"], timezone)
    return [] if why is None else [Event(at, at, 0, why)]


def overruled_at(connection: sa.Connection, seq: int, lot_id: str) -> int:
    """When the decision was last overruled for the lot; NO_TIME: never."""
    asked = sa.select(AUDIT.c.at, AUDIT.c.body).where(AUDIT.c.kind == "override", AUDIT.c.seq > seq)
    for at, text in connection.execute(asked.order_by(AUDIT.c.seq.desc())):
        body = from_json(text)
        if (body["of"], body["lot_id"]) == (seq, lot_id):
            return int(at)
    return NO_TIME


def check_not_contained(
    connection: sa.Connection, decision: Entry, lot_id: str, since: Entry, loaded: Loaded, site: Site, *, now: int
) -> None:
    """Problem `not_decided` where an open containment holds the lot that did not when `since` was written.

    `since`: the decision, or the override that stands in its place: who overrules knows what is open.
    """
    if site.gate.rules.open_containment.action == "off":
        return
    known = _known(decision, lot_id, since)
    scopes = [scope for scope in open_scopes(connection) if scope.id not in known]
    if not scopes:
        return
    histories, told = _histories(loaded), _told(decision, lot_id)
    if found := _holding(told, lot_id, histories, scopes, site, now=now):
        raise Problem(
            "not_decided", f"containment {found[0]} is open and holds the lot now; ask the gate anew, or close it first"
        )
    rows = [row for row in pending(connection, loaded.stored.arrivals) if row.table in _TRACED or not row.about]
    _check_none_about(rows, told, histories, site, now=now)


def check_no_rule(
    connection: sa.Connection, decision: Entry, lot_id: str, to: str, loaded: Loaded, site: Site, *, now: int
) -> None:
    """Problem `not_decided` where a rule asks for more than `to` now.

    The decision may say of none: a row may have come since, and it may be one about the past, or about a record that
    the histories contradict. No rule looks at dispositions, which what follows a decision leaves itself.
    """
    histories, told, scopes = _histories(loaded), _told(decision, lot_id), open_scopes(connection)
    asked = _asked(told, lot_id, histories, site, now=now)
    fired = [one for each in asked for one in ruled(each, [lot_id], histories, site.gate, scopes, "en").fired[0]]
    for one in fired or listed(lot_id, site.gate, scopes, "en"):
        if most_careful(to, [one.action]) != to:
            raise Problem(
                "not_decided",
                f"the rule {one.rule} asks to {one.action} the lot now ({'; '.join(one.what)}); ask the gate anew, and "
                "have that overruled",
            )
    rows = [row for row in pending(connection, loaded.stored.arrivals) if row.table != "dispositions"]
    _check_none_about(rows, told, histories, site, now=now)


def _histories(loaded: Loaded) -> Histories:
    if loaded.histories is None:
        raise not_read(loaded.published.fault)
    return loaded.histories


def _check_none_about(rows: Pending, told: Any, histories: Histories, site: Site, *, now: int) -> None:
    if about(rows, Call([told]), histories, timezone=site.timezone, now=now):
        raise _just_arrived()


def _just_arrived() -> Problem:
    return Problem(
        "not_decided",
        "rows about the lot have just arrived, and nobody can say yet whether they hold it; try again in two seconds",
    )


def _known(decision: Entry, lot_id: str, since: Entry) -> set[int]:
    """Containments that the decision took into account: those open at an override, or when the rule held the lot."""
    result = next(result for result in decision.body["answer"]["results"] if result["lot_id"] == lot_id)
    held_then = any(one["rule"] == "open_containment" for one in result.get("rules", ()))
    return set(since.body["containments"]) if since is not decision or held_then else set()


def _told(decision: Entry, lot_id: str) -> Any:
    """What the call said of the lot: its id, or a record."""
    results = decision.body["answer"]["results"]
    place = next(place for place, result in enumerate(results) if result["lot_id"] == lot_id)
    return decision.body["call"]["lots"][place]


def _holding(
    told: Any, lot_id: str, histories: Histories, scopes: Sequence[Scope], site: Site, *, now: int
) -> list[int]:
    """Numbers of the scopes that hold the lot, by what is known now; all of them hold one that nobody knows."""
    asked = _asked(told, lot_id, histories, site, now=now)
    if not asked:
        return [scope.id for scope in scopes]
    return [one.scope_id for each in asked for one in held(each, [lot_id], histories, scopes)[0]]


def _asked(told: Any, lot_id: str, histories: Histories, site: Site, *, now: int) -> list[Asked]:
    """The lot as of now, with what the call told of it and, as that may be outdated, without; what can be read."""
    read = [
        read_lots([Call([lot])], histories, timezone=site.timezone, now=now)[1]
        for lot in ([told, lot_id] if isinstance(told, Mapping) else [lot_id])
    ]
    return [ask(judgements_of(asked, histories), histories, site.rules) for asked in read if asked]


def _lot(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:16]
