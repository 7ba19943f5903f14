"""Keys: made, listed, rotated and revoked, each change an entry of the audit log in the same transaction.

A key is `lr_<id>_<secret>`. Of the secret only its sha256 is stored: it is 32 random bytes, which nobody guesses, and a
slow hash would add nothing.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from features.asof import before
from features.card import iso
from features.database import reached, writing
from features.errors import LotRiskError
from serving.audit import append
from serving.roles import ROLE_NAMES
from serving.tables import KEYS

PREFIX = "lr_"
_LONGEST_NAME = 100
_TIMES = ("created_at", "expires_at", "revoked_at", "last_used_at")
_SHOWN = tuple(column for column in KEYS.c if column.name != "hash")


@dataclass(frozen=True)
class Key:
    """What may be told of a key. Times in microseconds UTC; None: never, or the site's limit."""

    id: str
    name: str
    role: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None
    replaces: str | None = None
    calls_per_second: float | None = None
    body_bytes: int | None = None

    def state(self, now: int) -> str:
        """active, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and not before(now, self.expires_at) else "active"

    def told(self, now: int) -> dict[str, Any]:
        """For people and machines, times in words."""
        said = asdict(self)
        said |= {name: said[name] and iso(said[name]) for name in _TIMES}
        return {**said, "state": self.state(now)}


def create(
    engine: sa.Engine,
    *,
    role: str,
    name: str,
    actor: str,
    now: int,
    expires_at: int | None = None,
    calls_per_second: float | None = None,
    body_bytes: int | None = None,
) -> tuple[Key, str]:
    """The new key, and the text that its owner sends: it stands nowhere else. LotRiskError for a name or role."""
    _check(role, name)
    key = Key(_new_id(), name, role, now, expires_at, calls_per_second=calls_per_second, body_bytes=body_bytes)
    with writing(engine) as connection:
        text = _add(connection, key)
        append(connection, kind="key", actor=actor, body={"change": "created", **_recorded(key)}, at=now)
    return key, text


def keys_of(engine: sa.Engine) -> list[Key]:
    """All there are and were, the oldest first."""
    asked = sa.select(*_SHOWN).order_by(KEYS.c.created_at, KEYS.c.id)
    with reached(engine), engine.connect() as connection:
        return [Key(**row._mapping) for row in connection.execute(asked)]


def rotate(engine: sa.Engine, key_id: str, *, overlap: int, actor: str, now: int) -> tuple[Key, str]:
    """A new key in place of an active one, which expires after `overlap` microseconds if not before."""
    with writing(engine) as connection:
        old = _found(connection, key_id, now)
        lifetime = None if old.expires_at is None else now + old.expires_at - old.created_at
        new = Key(
            _new_id(),
            old.name,
            old.role,
            now,
            lifetime,
            replaces=old.id,
            calls_per_second=old.calls_per_second,
            body_bytes=old.body_bytes,
        )
        ends = now + overlap if old.expires_at is None else min(now + overlap, old.expires_at)
        text = _add(connection, new)
        _change(connection, old.id, expires_at=ends)
        body: dict[str, Any] = {"change": "rotated", **_recorded(new), "old": {"id": old.id, "expires_at": iso(ends)}}
        body["previous"] = {"id": old.id, "expires_at": old.expires_at and iso(old.expires_at)}
        append(connection, kind="key", actor=actor, body=body, at=now)
    return new, text


def revoke(engine: sa.Engine, key_id: str, *, reason: str, actor: str, now: int) -> Key:
    """Ends an active key at once."""
    with writing(engine) as connection:
        key = _found(connection, key_id, now, revoking=True)
        _change(connection, key.id, revoked_at=now)
        body: dict[str, Any] = {"change": "revoked", "id": key.id, "name": key.name, "role": key.role}
        body |= {"reason": reason, "revoked_at": iso(now), "previous": {"revoked_at": None}}
        append(connection, kind="key", actor=actor, body=body, at=now)
    return key


def hash_of_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def parts_of(text: str) -> tuple[str, str]:
    """(id, secret) of a key as it is sent; both "" for what is none."""
    if not text.startswith(PREFIX):
        return "", ""
    key_id, _, secret = text[len(PREFIX) :].partition("_")
    return (key_id, secret) if secret else ("", "")


def _new_id() -> str:
    return secrets.token_hex(6)


def _add(connection: sa.Connection, key: Key) -> str:
    secret = secrets.token_urlsafe(32)
    connection.execute(KEYS.insert().values(**asdict(key), hash=hash_of_secret(secret)))
    return f"{PREFIX}{key.id}_{secret}"


def _change(connection: sa.Connection, key_id: str, **values: int) -> None:
    connection.execute(KEYS.update().where(KEYS.c.id == key_id).values(**values))


def _found(connection: sa.Connection, key_id: str, now: int, *, revoking: bool = False) -> Key:
    row = connection.execute(sa.select(*_SHOWN).where(KEYS.c.id == key_id)).one_or_none()
    if row is None:
        raise LotRiskError(f"there is no key {key_id[:50]!r}; `lotrisk keys list` shows those there are")
    key = Key(**row._mapping)
    state = key.state(now)
    if state == "revoked" or (state == "expired" and not revoking):
        raise LotRiskError(f"key {key.id} is {state} already; `lotrisk keys create` makes another")
    return key


def _recorded(key: Key) -> Mapping[str, Any]:
    """A key in the audit log."""
    said = asdict(key) | {name: (moment := getattr(key, name)) and iso(moment) for name in _TIMES}
    return {name: value for name, value in said.items() if name not in ("last_used_at", "revoked_at")}


def _check(role: str, name: str) -> None:
    if role not in ROLE_NAMES:
        raise LotRiskError(f"--role {role[:50]}: is no role; there are {', '.join(ROLE_NAMES)}")
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise LotRiskError(f"--name: give 1 to {_LONGEST_NAME} printable characters that say whose key it is")
