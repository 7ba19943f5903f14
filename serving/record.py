"""What a promotion is recorded with: the audit log's entry and the move stand or fall together."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from features.database import check_writable, open_database, writing
from features.errors import DatabaseUnreachable
from features.output import write_text
from serving.audit import Entry, append, entry_of
from serving.migrate import migrate
from serving.tables import AUDIT


@dataclass(frozen=True)
class Record:
    """Who moves a version, when (microseconds UTC), and the database that is told."""

    database_url: str = field(repr=False)
    actor: str
    now: int

    def check(self) -> None:
        """DatabaseUnreachable where nothing could be recorded now; brings the database up to date."""
        with self._told():
            migrate(self.database_url)
            engine = open_database(self.database_url)
            try:
                check_writable(engine, AUDIT.name)
            finally:
                engine.dispose()

    @contextmanager
    def entry(self, body: dict[str, Any]) -> Iterator[None]:
        """An entry that is kept if the body ends well; DatabaseUnreachable where it was not: what was done goes back.

        Where the answer to a commit was lost, the log is asked whether it has the entry.
        """
        engine, entry = open_database(self.database_url), None
        try:
            with self._told(), writing(engine) as connection:
                entry = append(connection, kind="promotion", actor=self.actor, body=body, at=self.now)
                yield
        except DatabaseUnreachable:
            if entry is None or not _is_there(engine, entry):
                raise
        finally:
            engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DatabaseUnreachable as fault:
            raise DatabaseUnreachable(f"nothing was promoted, for it cannot be recorded: {fault}") from None


def _is_there(engine: sa.Engine, entry: Entry) -> bool:
    try:
        return entry_of(engine, entry.seq) == entry
    except DatabaseUnreachable:
        return False


@contextmanager
def recorded(
    record: Record,
    alias: str,
    version: str | None,
    *,
    before: str | None,
    state_dir: Path,
    reason: str,
    was: str | None = None,
) -> Iterator[None]:
    """The body moves the file in the entry's transaction; whatever fails, the file says what it said `before`.

    `was`: who had the alias, where no file said another.
    """
    body: dict[str, Any] = {"alias": alias, "version": version, "previous": before or was, "reason": reason}
    if version is not None:
        card = state_dir / "bundles" / version / "card.json"
        body["card_sha256"] = hashlib.sha256(card.read_bytes()).hexdigest()
    try:
        with record.entry(body):
            yield
    except BaseException:
        if said(state_dir, alias) != before:
            if before is None:
                (state_dir / alias).unlink()
            else:
                write_text(state_dir / alias, f"{before}\n")
        raise


def said(state_dir: Path, alias: str) -> str | None:
    """The version in the alias' file."""
    try:
        return (state_dir / alias).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
