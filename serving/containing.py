"""Containments opened and closed, each with its entry in the audit log or not at all; and listed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from features.card import iso
from features.containment import Scope
from features.database import reached
from serving.answers import Answer
from serving.audit import append
from serving.containments import scope_of
from serving.gate_calls import Once
from serving.once import given, keep_answer
from serving.problems import Problem
from serving.recording import recording
from serving.spelling import number_of
from serving.tables import CONTAINMENTS

STATES = ("open", "closed", "all")
MOST = 1000  # listed at a time, the newest


def listed(engine: sa.Engine, state: str) -> list[tuple[Answer, Scope]]:
    """Containments in one of STATES, the newest first, each with what it holds. DatabaseUnreachable."""
    asked = sa.select(CONTAINMENTS).order_by(CONTAINMENTS.c.id.desc()).limit(MOST)
    if state != "all":
        closed = CONTAINMENTS.c.closed_at
        asked = asked.where(closed.is_(None) if state == "open" else closed.is_not(None))
    with reached(engine), engine.connect() as connection:
        rows = connection.execute(asked).mappings().all()
    return [(_told(dict(row)), scope_of(row["id"], row["scope"])) for row in rows]


def opened(
    engine: sa.Engine,
    *,
    about: Mapping[str, Any],
    supplier_lots: Sequence[str],
    lots: Sequence[str],
    reason: str,
    actor: str,
    once: Once,
    now: int,
) -> Answer:
    """Opens one, with its entry in the audit log. Problem `not_recorded`, `idempotency_conflict`."""
    scope: dict[str, Any] = {"supplier_lots": list(supplier_lots), "lots": list(lots), "about": dict(about)}
    if about.get("expected"):
        scope["since"] = now
    with recording(engine) as connection:
        if (said := _given(connection, once)) is not None:
            return said
        row = {"scope": json.dumps(scope), "reason": reason, "opened_at": now, "opened_by": actor}
        number = int(connection.execute(CONTAINMENTS.insert().values(**row).returning(CONTAINMENTS.c.id)).scalar_one())
        body = {"id": number, "state": "open", "previous": None, "scope": scope, "reason": reason}
        entry = append(connection, kind="containment", actor=actor, body=body, at=now)
        answer = {"audit_id": str(entry.seq), **_told(_row(connection, number))}
        _keep(connection, once, answer, now)
    return answer


def closed(engine: sa.Engine, number: str, *, reason: str, actor: str, once: Once, now: int) -> Answer:
    """Closes one. Problem `unknown_containment`, `containment_closed`, and those of `opened`."""
    with recording(engine) as connection:
        if (said := _given(connection, once)) is not None:
            return said
        row = _row(connection, _number(number))
        if row["closed_at"] is not None:
            raise Problem(
                "containment_closed", f"containment {number} was closed at {iso(row['closed_at'])}; open another"
            )
        mine = CONTAINMENTS.c.id == row["id"]
        connection.execute(
            CONTAINMENTS.update().where(mine).values(closed_at=now, closed_by=actor, closed_reason=reason)
        )
        previous = {"state": "open", "reason": row["reason"], "opened_by": row["opened_by"]}
        previous |= {"opened_at": iso(row["opened_at"])}
        body = {"id": row["id"], "state": "closed", "previous": previous, "scope": json.loads(row["scope"])}
        entry = append(connection, kind="containment", actor=actor, body=body | {"reason": reason}, at=now)
        answer = {"audit_id": str(entry.seq), **_told(_row(connection, row["id"]))}
        _keep(connection, once, answer, now)
    return answer


def _number(text: str) -> int:
    """An id; Problem for what is none."""
    if (number := number_of(text)) is not None:
        return number
    raise Problem("unknown_containment", f"{text[:40]} is no containment; GET /v1/containments lists them")


def _row(connection: sa.Connection, number: int) -> Mapping[str, Any]:
    found = connection.execute(sa.select(CONTAINMENTS).where(CONTAINMENTS.c.id == number)).mappings().one_or_none()
    if found is None:
        raise Problem("unknown_containment", f"there is no containment {number}; GET /v1/containments lists them")
    return dict(found)


def _told(row: Mapping[str, Any]) -> Answer:
    """In the shape of the wire."""
    scope, over = json.loads(row["scope"]), row["closed_at"] is not None
    return {
        "id": row["id"],
        "state": "closed" if over else "open",
        "about": scope["about"],
        "supplier_lots": scope["supplier_lots"],
        "lots": scope["lots"],
        "reason": row["reason"],
        "opened_at": iso(row["opened_at"]),
        "opened_by": row["opened_by"],
        "closed_at": iso(row["closed_at"]) if over else None,
        "closed_by": row["closed_by"],
        "closed_reason": row["closed_reason"],
    }


def _given(connection: sa.Connection, once: Once) -> Answer | None:
    return None if once.key is None else given(connection, once.scope, once.key, once.request)


def _keep(connection: sa.Connection, once: Once, answer: Answer, now: int) -> None:
    if once.key is not None:
        keep_answer(connection, once.scope, once.key, once.request, answer, at=now)
