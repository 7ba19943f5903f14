"""The audit log: entries that are only added, each with the hash of the one before.

An entry is added inside `features.database.writing`, with the rows it records: both are kept or neither. Its hash is
the sha256 of the JSON list [seq, at, kind, actor, body, previous] in ASCII without spaces, `body` being the text as it
is stored. Text that may have to be erased stands in a body as `salted` makes it.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from features.database import add_rows, reached
from features.errors import LotRiskError
from serving.tables import AUDIT, SALTS

KINDS = (
    "decision",
    "override",
    "carried_out",
    "promotion",
    "key",
    "rules",
    "containment",
    "arrivals",
    "erasure",
)
FIRST = "0" * 64
"""What stands in the first entry for the hash of the one before."""
SALTED = "salted"
"""In a body, put there by `append`: its salted texts. Whoever words a reason cannot make one up."""
_LOOKS_SALTED = re.compile(rf"{SALTED}:[0-9a-f]{{128}}")
_COLUMNS = (AUDIT.c.seq, AUDIT.c.at, AUDIT.c.kind, AUDIT.c.actor, AUDIT.c.body, AUDIT.c.previous, AUDIT.c.hash)
_LAST = sa.select(AUDIT.c.seq, AUDIT.c.at, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)


@dataclass(frozen=True)
class Entry:
    """One entry. `at` is in microseconds UTC, the hashes are hexadecimal."""

    seq: int
    at: int
    kind: str
    actor: str
    body: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True)
class Last:
    """What the next entry hangs on: the last one's number, moment and hash."""

    seq: int
    at: int
    hash: str


class Chain:
    """Entries of one transaction, inside `writing`: `keep` adds them with one statement. Nobody else adds meanwhile.

    `last`: as `last_entry` gives it, None: the log is empty.
    """

    def __init__(self, connection: sa.Connection, last: Last | None) -> None:
        self._connection, self._last = connection, last
        self._rows: list[dict[str, Any]] = []

    def add(self, *, kind: str, actor: str, body: dict[str, Any], at: int) -> dict[str, Any]:
        """The next entry; returns its row. Where the clock stepped back, its `at` is the last one's.

        ValueError for a kind that there is not and for a body that JSON cannot say exactly, such as one with a NaN.
        """
        if kind not in KINDS:
            raise ValueError(f"{kind} is no kind of audit entry; there are {', '.join(KINDS)}")
        told = body_text(body)
        if looks := set(_LOOKS_SALTED.findall(told)):
            kept = self._connection.execute(sa.select(SALTS.c.hash).where(SALTS.c.hash.in_(looks))).scalars()
            told = body_text({**body, SALTED: sorted(kept)})
        last = self._last or Last(0, at, FIRST)
        seq, moment = last.seq + 1, max(at, last.at)
        found = hash_of(seq, moment, kind, actor, told, last.hash)
        row = {"seq": seq, "at": moment, "kind": kind, "actor": actor, "body": told, "previous": last.hash}
        self._rows.append(row | {"hash": found})
        self._last = Last(seq, moment, found)
        return self._rows[-1]

    def keep(self) -> None:
        """Without it nothing of what was added is there."""
        add_rows(self._connection, AUDIT, self._rows)
        self._rows = []


def append(connection: sa.Connection, *, kind: str, actor: str, body: dict[str, Any], at: int) -> Entry:
    """Adds an entry, inside `writing`; see `Chain.add`."""
    chain = Chain(connection, last_entry(connection))
    row = chain.add(kind=kind, actor=actor, body=body, at=at)
    chain.keep()
    return Entry(**row | {"body": json.loads(row["body"])})


def last_entry(connection: sa.Connection) -> Last | None:
    """The last entry of all."""
    row = connection.execute(_LAST).one_or_none()
    return None if row is None else Last(row.seq, row.at, row.hash)


def last_of(connection: sa.Connection, kind: str) -> Entry | None:
    """The last entry of a kind."""
    asked = sa.select(*_COLUMNS).where(AUDIT.c.kind == kind).order_by(AUDIT.c.seq.desc()).limit(1)
    row = connection.execute(asked).one_or_none()
    return None if row is None else entry_from(row)


def entry_of(engine: sa.Engine, seq: int) -> Entry | None:
    """The entry of this number; DatabaseUnreachable where it cannot be asked for."""
    with reached(engine), engine.connect() as connection:
        return entry_in(connection, seq)


def entry_in(connection: sa.Connection, seq: int) -> Entry | None:
    """The same on a connection that is there."""
    row = connection.execute(sa.select(*_COLUMNS).where(AUDIT.c.seq == seq)).one_or_none()
    return None if row is None else entry_from(row)


def entries(engine: sa.Engine, *, kind: str | None = None, since: int = 0) -> Iterator[Entry]:
    """Entries after the number `since`, in order, a hundred at a time: that of a call of 1,000 lots has over 1 MB."""
    asked = sa.select(*_COLUMNS).order_by(AUDIT.c.seq).limit(100)
    if kind is not None:
        asked = asked.where(AUDIT.c.kind == kind)
    while True:
        with reached(engine), engine.connect() as connection:
            rows = connection.execute(asked.where(AUDIT.c.seq > since)).all()
        yield from map(entry_from, rows)
        if not rows:
            return
        since = rows[-1].seq


def entry_from(row: Any) -> Entry:
    """Of a row of the table; LotRiskError where somebody spoilt its body."""
    try:
        return Entry(row.seq, row.at, row.kind, row.actor, json.loads(row.body), row.previous, row.hash)
    except (TypeError, ValueError):
        raise LotRiskError(f"audit entry {row.seq} does not read; `lotrisk audit verify` says what is wrong") from None


def body_text(body: dict[str, Any]) -> str:
    """A body as it is stored: ASCII, names in order, numbers exact."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def hash_of(seq: int, at: int, kind: str, actor: str, body: str, previous: str) -> str:
    """Of an entry with this text as its body."""
    told = json.dumps([seq, at, kind, actor, body, previous], separators=(",", ":"))
    return hashlib.sha256(told.encode("ascii")).hexdigest()


def salted(connection: sa.Connection, text: str, *, table: str, key: str) -> str:
    """What stands in a body for a text of the row `key` of `table`; nobody can tell of which once its salt is erased.

    `salted:`, then the hash of salt, table and key, by which the salt's row is verified, then that of the text.
    """
    made = salt_of(text, table=table, key=key)
    add_rows(connection, SALTS, [made])
    return str(made["hash"])


def salt_of(text: str, *, table: str, key: str) -> dict[str, Any]:
    """A row of `SALTS`, to be added in the transaction of the entry in which its `hash` stands for the text."""
    salt = secrets.token_bytes(32)
    stands = f"{SALTED}:{salt_hash(salt, table, key)}{text_hash(salt, text)}"
    return {"hash": stands, "salt": salt, "table": table, "key": key}


def salt_hash(salt: bytes, table: str, key: str) -> str:
    """Of all that the salt's row says."""
    return hashlib.sha256(json.dumps([salt.hex(), table, key]).encode("ascii")).hexdigest()


def text_hash(salt: bytes, text: str) -> str:
    """Of a text, with its salt."""
    return hmac.new(salt, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
