"""Whether the audit log is what was written: every hash and link, numbers, order, guards, kept heads and salts.

It reads on in chunks, so memory does not grow with the log, and what is added meanwhile does no harm.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from features.database import reached
from serving.audit import SALTED, salt_hash
from serving.audit_chain import Chain
from serving.damage import Damage, Found
from serving.heads import FILE, Head, read_heads
from serving.tables import AUDIT, SALTS

Item = TypeVar("Item")

CHUNK = 5_000
_BYTES = 64 * 1024 * 1024  # of bodies at once, or nearly: the entry of a call of 1,000 lots has more than 1 MB
_FEW = 50  # of the first chunk, when nobody knows yet how long they are
_HEADS = 500  # that are looked up at once
_REFUSES = "the audit log is only added to"  # what the guards say


@dataclass(frozen=True)
class Checked:
    """What was found. `more`: damage beyond what is listed."""

    entries: int
    last: int
    heads: int
    salts: int
    damage: list[Damage] = field(default_factory=list)
    more: int = 0

    @property
    def good(self) -> bool:
        return not self.damage


def check_audit(engine: sa.Engine, state_dir: Path, *, kept: Sequence[Head] = ()) -> Checked:
    """Reads the whole log; `kept`: heads from elsewhere. LotRiskError where the log or heads cannot be read."""
    found = Found()
    _check_guards(engine, found)
    chain, lost = Chain(found), _Lost()
    for rows in _chunks(engine):
        for row in rows:
            chain.take(row)
        _check_salted(engine, rows, lost)
    chain.end()
    lost.tell(found)
    heads = _check_heads(engine, _told(state_dir / FILE, found), found, damaged=chain.damaged)
    heads += _check_heads(engine, kept, found, damaged=chain.damaged)
    salts = _check_salts(engine, found)
    return Checked(chain.entries, chain.last, heads, salts, found.listed, found.more)


def _chunks(engine: sa.Engine) -> Iterator[Sequence[Any]]:
    asked, size = sa.select(AUDIT).order_by(AUDIT.c.seq), min(_FEW, CHUNK)
    rows = _rows(engine, asked.limit(size))
    while rows:
        yield rows
        told = sum(len(str(row.body)) for row in rows)
        size = max(1, min(CHUNK, 10 * size, len(rows) * _BYTES // max(told, 1)))
        rows = _rows(engine, asked.where(AUDIT.c.seq > rows[-1].seq).limit(size))


def _rows(engine: sa.Engine, asked: Any) -> Sequence[Any]:
    with reached(engine), engine.connect() as connection, _whatever_is_there(engine, connection):
        return connection.execute(asked).all()


@contextmanager
def _whatever_is_there(engine: sa.Engine, connection: sa.Connection) -> Iterator[None]:
    """SQLite keeps any bytes as text: those that are none have to be read, or nobody could name them."""
    driver: Any = connection.connection.driver_connection
    if engine.dialect.name != "sqlite" or driver is None:
        yield
        return
    driver.text_factory = lambda told: told.decode(errors="surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = str


def _parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of at most `size`."""
    following = iter(items)
    while part := list(islice(following, size)):
        yield part


def _check_guards(engine: sa.Engine, found: Found) -> None:
    """The triggers that refuse every change of an entry."""
    if engine.dialect.name == "sqlite":
        asked = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
        there = [row.sql for row in _rows(engine, sa.text(asked))]
        guarded = [any(f"BEFORE {change} ON" in sql and _REFUSES in sql for sql in there) for change in _CHANGES]
    else:
        asked = (
            "SELECT t.tgtype, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
            "WHERE t.tgrelid = to_regclass('audit') AND t.tgenabled IN ('O', 'A')"
        )
        there = [row.tgtype for row in _rows(engine, sa.text(asked)) if _REFUSES in row.prosrc]
        guarded = [any(kind & bit for kind in there) for bit in _CHANGES.values()]
    for change, is_there in zip(_CHANGES, guarded, strict=True):
        if not is_there:
            detail = f"the trigger that refuses {change} on the table audit is gone, off or another one"
            found.add("unguarded", None, detail)


_CHANGES = {"UPDATE": 16, "DELETE": 8}
"""With PostgreSQL's bits of them in `tgtype`."""


def _told(path: Path, found: Found) -> Iterator[Head]:
    """The heads that the keeper wrote; none where it never ran."""
    for line, head in read_heads(path, ended=True) if path.exists() else ():
        if head is None:
            found.add("head", None, f"{path}: line {line} is no head; somebody changed the file")
        else:
            yield head


def _check_heads(engine: sa.Engine, heads: Iterable[Head], found: Found, *, damaged: set[int]) -> int:
    """Each head has to be there as it was; returns how many were looked at."""
    looked, good, differs, beyond = 0, 0, Head(0, "", ""), Head(0, "", "")
    for some in _parts(heads, _HEADS):
        looked += len(some)
        asked = sa.select(AUDIT.c.seq, AUDIT.c.hash).where(AUDIT.c.seq.in_({head.seq for head in some}))
        there = {row.seq: row.hash for row in _rows(engine, asked)}
        for head in some:
            if there.get(head.seq) == head.hash:
                good = max(good, head.seq)
            elif head.seq in there:
                differs = min(differs, head, key=lambda one: one.seq or 2**63)
            else:
                beyond = max(beyond, head, key=lambda one: one.seq)
    last = _rows(engine, sa.select(sa.func.max(AUDIT.c.seq)))[0][0] or 0
    if beyond.seq > last:
        detail = f"the log ends at entry {last}; a kept head says entry {beyond.seq} was there at {beyond.at}"
        found.add("cut_tail", last + 1, detail)
    if differs.seq and differs.seq not in damaged:
        detail = (
            f"a kept head says another hash of entry {differs.seq} at {differs.at}; entries up to it were rewritten"
        )
        found.add("rewritten", differs.seq, detail + (f", after entry {good}" if 0 < good < differs.seq else ""))
    return looked


class _Lost:
    """Salted texts whose salt is not there, until an erasure says so: the erasure may stand later in the log."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}
        self.erased: set[str] = set()

    def tell(self, found: Found) -> None:
        for seq in sorted({seq for stands, seq in self.of.items() if stands not in self.erased}):
            found.add("salt", seq, f"the salt of a text in entry {seq} is gone or changed, and no erasure says so")


def _check_salted(engine: sa.Engine, rows: Sequence[Any], lost: _Lost) -> None:
    stands: dict[str, int] = {}
    for row in rows:
        if row.kind == "erasure":
            lost.erased.update(_listed(row.body, "erased"))
        elif f'"{SALTED}":' in str(row.body):
            stands |= dict.fromkeys(_listed(row.body, SALTED), row.seq)
    for some in _parts(stands, _HEADS):
        there = {row.hash for row in _rows(engine, sa.select(SALTS.c.hash).where(SALTS.c.hash.in_(some)))}
        lost.of |= {one: stands[one] for one in some if one not in there}


def _listed(body: Any, name: str) -> list[str]:
    try:
        return [one for one in map(str, json.loads(body).get(name, [])) if one.isascii()]
    except (ValueError, AttributeError, TypeError):
        return []  # changed, which its hash says


def _check_salts(engine: sa.Engine, found: Found) -> int:
    """Every salt's row has to be what the hash that it belongs to says of it; returns how many there are."""
    asked, looked = sa.select(SALTS).order_by(SALTS.c.hash).limit(CHUNK), 0
    rows = _rows(engine, asked)
    while rows:
        looked += len(rows)
        for row in rows:
            if not str(row.hash).startswith(f"{SALTED}:{salt_hash(bytes(row.salt), row.table, row.key)}"):
                found.add("salt", None, f"the row of table salts for {row.table} {row.key} is not what was written")
        last = str(rows[-1].hash)  # after all hashes comes what is no text at all, which no question can name
        rows = _rows(engine, asked.where(SALTS.c.hash > last)) if last.isascii() else []
    return looked
