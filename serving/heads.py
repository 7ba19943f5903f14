"""Heads of the audit log: (seq, hash, at) of its last entry at a time, kept where who changes the log does not reach.

A chain that was written anew is whole in itself; only a head that somebody kept shows it. The keeper adds one a minute
to `audit/heads.jsonl` in `state_dir` while the log grows, and one as it ends; `lotrisk audit head` gives one to be
kept elsewhere.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from features.card import iso
from features.database import reached
from features.errors import LotRiskError
from features.synced import sync
from serving.tables import AUDIT

FILE = Path("audit") / "heads.jsonl"
_LONGEST = 10_000  # bytes of the last line that are looked at


@dataclass(frozen=True)
class Head:
    """The number and the hash of an entry, and its time in words."""

    seq: int
    hash: str
    at: str

    @property
    def line(self) -> str:
        return json.dumps({"seq": self.seq, "hash": self.hash, "at": self.at})


def head_of(engine: sa.Engine) -> Head | None:
    """The head now; None while the log is empty. DatabaseUnreachable where it cannot be read."""
    asked = sa.select(AUDIT.c.seq, AUDIT.c.hash, AUDIT.c.at).order_by(AUDIT.c.seq.desc()).limit(1)
    with reached(engine), engine.connect() as connection:
        row = connection.execute(asked).one_or_none()
    return None if row is None else Head(row.seq, row.hash, iso(row.at))


def write_heads(engine: sa.Engine, state_dir: Path) -> bool:
    """Adds the present head to the file, where it is not the last there; on the disk when it returns."""
    head, path = head_of(engine), state_dir / FILE
    if head is None or head.line == _last_line(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        torn = file.tell() - _whole(path)
        if torn:  # by a machine that stopped within a write
            file.truncate(file.tell() - torn)
        file.write(f"{head.line}\n".encode())
        sync(file)
    return True


def read_heads(path: Path, *, ended: bool) -> Iterator[tuple[int, Head | None]]:
    """(line, head) of a file with one a line, as they are read; None for a line that is no head.

    `ended`: a last line that does not end is still being written, and is left out. LotRiskError where the file cannot
    be read.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                if line.strip() and (line.endswith("\n") or not ended):
                    yield number, read_head(line)
    except OSError as fault:
        raise LotRiskError(
            f"{path}: cannot be read ({fault.strerror}); name a file that `lotrisk audit head` wrote"
        ) from None


def read_head(line: str) -> Head | None:
    """The head that a line says."""
    try:
        said = json.loads(line)
        seq, found = said["seq"], said["hash"]
    except (ValueError, LookupError, TypeError):
        return None
    whole = isinstance(seq, int) and not isinstance(seq, bool) and 0 < seq < 2**63 and isinstance(found, str)
    return Head(seq, found, str(said.get("at", ""))) if whole else None


def _whole(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _LONGEST))
        tail = file.read()
    return size - len(tail) + tail.rfind(b"\n") + 1


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LONGEST))
            lines = file.read().decode("utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return ""
    whole = [line for line in lines if line.endswith("\n")]
    return whole[-1].strip() if whole else ""
