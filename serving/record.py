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
    bundle: Path | None = None,
) -> Iterator[None]:
    """The body moves the file in the entry's transaction; whatever fails, the file says what it said `before`.

    `was`: who had the alias, where no file said another. `bundle`: the version's, where it does not lie in its place.
    """
    previous, bundles = before or was, state_dir / "bundles"
    body: dict[str, Any] = {"alias": alias, "version": version, "previous": previous, "reason": reason}
    if version is not None:
        body["card_sha256"] = card_hash(bundles / version if bundle is None else bundle)
    if previous is not None:
        body["previous_card_sha256"] = card_hash(bundles / previous)
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


def card_hash(bundle: Path) -> str | None:
    """What tells a bundle from any other, also from one that another registry gave its number; None: no card."""
    try:
        return hashlib.sha256((bundle / "card.json").read_bytes()).hexdigest()
    except OSError:
        return None


def said(state_dir: Path, alias: str) -> str | None:
    """The version in the alias' file."""
    try:
        return (state_dir / alias).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
