"""Answers that are given once: the same Idempotency-Key gets the same answer, and what it did is done once."""

import hashlib
import json
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json

from features.asof import DAY, before
from features.database import add_rows, writing
from serving.problems import Problem
from serving.tables import ANSWERS

KEPT = 30 * DAY
LONGEST = 200  # characters of a key
_AT_ONCE = 500  # answers removed in a transaction: of 1.3 kB 20 ms, in which nobody else can write
# Made once: to make a statement takes SQLAlchemy longer than SQLite takes to answer it.
_GIVEN = sa.select(ANSWERS.c.key, ANSWERS.c.request, ANSWERS.c.answer).where(
    ANSWERS.c.scope == sa.bindparam("scope"), ANSWERS.c.key.in_(sa.bindparam("keys", expanding=True))
)
_OLDEST = (
    sa.select(ANSWERS.c.scope, ANSWERS.c.key)
    .where(before(ANSWERS.c.at, sa.bindparam("until")))
    .order_by(ANSWERS.c.at)
    .limit(_AT_ONCE)
)
_FORGET = ANSWERS.delete().where(sa.tuple_(ANSWERS.c.scope, ANSWERS.c.key).in_(_OLDEST))


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


class Given:
    """Answers of the calls of one transaction, inside `writing`, by (scope, key): asked for and kept all at once."""

    def __init__(self, connection: sa.Connection, asked: Collection[tuple[str, str]]) -> None:
        self._connection = connection
        self._given: dict[tuple[str, str], tuple[str, str]] = {}
        self._rows: list[dict[str, Any]] = []
        for scope in {scope for scope, _ in asked}:  # for pairs SQLite would read the whole table
            keys = [key for its, key in asked if its == scope]
            found = connection.execute(_GIVEN, {"scope": scope, "keys": keys})
            self._given |= {(scope, one.key): (one.request, one.answer) for one in found}

    def before(self, scope: str, key: str, request: str) -> dict[str, Any] | None:
        """The answer that was given under this key, None: none. Problem `idempotency_conflict` for another request."""
        if (scope, key) not in self._given:
            return None
        found, told = self._given[scope, key]
        if found != request:
            raise Problem("idempotency_conflict", "this Idempotency-Key came with another body before; take a new one")
        answer: dict[str, Any] = json.loads(told)
        return answer

    def add(self, scope: str, key: str, request: str, answer: dict[str, Any], *, at: int) -> None:
        told = to_json(answer).decode()
        self._given[scope, key] = request, told
        self._rows.append({"scope": scope, "key": key, "request": request, "answer": told, "at": at})

    def keep(self) -> None:
        """Keeps what was added: with what it did, or not at all. Keys of a month ago make room."""
        add_rows(self._connection, ANSWERS, self._rows)
        self._rows = []


def given(connection: sa.Connection, scope: str, key: str, request: str) -> dict[str, Any] | None:
    """See `Given.before`."""
    return Given(connection, [(scope, key)]).before(scope, key, request)


def keep_answer(
    connection: sa.Connection, scope: str, key: str, request: str, answer: dict[str, Any], *, at: int
) -> None:
    """See `Given.keep`."""
    one = Given(connection, ())
    one.add(scope, key, request, answer, at=at)
    one.keep()


def forget(engine: sa.Engine, *, now: int) -> bool:
    """Removes the oldest answers of a month ago, whose keys may be used anew; whether there may be more of them."""
    with writing(engine) as connection:
        return connection.execute(_FORGET, {"until": now - KEPT}).rowcount == _AT_ONCE
