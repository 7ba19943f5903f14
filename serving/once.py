"""Answers that are given once: the same Idempotency-Key gets the same answer, and what it did is done once."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa

from features.asof import DAY
from serving.problems import Problem
from serving.tables import ANSWERS

KEPT = 30 * DAY
LONGEST = 200  # characters of a key
# Made once: to make a statement takes SQLAlchemy longer than SQLite takes to answer it.
_GIVEN = sa.select(ANSWERS.c.request, ANSWERS.c.answer).where(
    ANSWERS.c.scope == sa.bindparam("scope"), ANSWERS.c.key == sa.bindparam("key")
)
_KEEP = ANSWERS.insert()


def key_of(header: str | None) -> str | None:
    """The header's value; None: there is none. Problem `invalid_request` for one that is none."""
    if header is None:
        return None
    if not 1 <= len(header) <= LONGEST or not header.isascii() or not header.isprintable():
        raise Problem("invalid_request", f"Idempotency-Key must have 1 to {LONGEST} printable ASCII characters")
    return header


def request_hash(body: bytes) -> str:
    """What tells one request from another under the same key."""
    return hashlib.sha256(body).hexdigest()


def given(connection: sa.Connection, scope: str, key: str, request: str) -> dict[str, Any] | None:
    """The answer that was given under this key; None: none was. Problem `idempotency_conflict` for another request."""
    found = connection.execute(_GIVEN, {"scope": scope, "key": key}).one_or_none()
    if found is None:
        return None
    if found.request != request:
        raise Problem("idempotency_conflict", "this Idempotency-Key came with another body before; take a new one")
    answer: dict[str, Any] = json.loads(found.answer)
    return answer


def keep_answer(
    connection: sa.Connection, scope: str, key: str, request: str, answer: dict[str, Any], *, at: int
) -> None:
    """Keeps the answer, inside `writing`: with what it did, or not at all. Keys of a month ago make room."""
    told = json.dumps(answer, separators=(",", ":"), allow_nan=False)
    connection.execute(_KEEP, {"scope": scope, "key": key, "request": request, "answer": told, "at": at})


def forget(connection: sa.Connection, *, now: int) -> None:
    """Removes answers of a month ago; their keys may be used anew."""
    connection.execute(ANSWERS.delete().where(ANSWERS.c.at < now - KEPT))
