"""Brings the SQL database up to date: the steps in `migrations`, run by Alembic."""

import time
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from features.database import database_fault, database_file, database_name, opened, parsed_url
from features.errors import DatabaseUnreachable, LotRiskError

MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATING = 30.0  # seconds that a start waits for another one that migrates
_MIGRATION_LOCK = 7_201_995  # PostgreSQL's advisory lock; any number that nobody else uses in this database


def migrate(url: str, *, to: str = "") -> None:
    """Brings the database up to date, or to the revision `to`; makes SQLite's file; several may start at once.

    A file that was made once and is gone is not made anew: decisions would go into an empty one, and be lost when the
    old one is put back; what SQLite keeps beside it would spoil both.

    LotRiskError for a database of a newer lot-risk, DatabaseUnreachable for one that does not answer.
    """
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "sqlite":
        try:
            database_file(parsed).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnreachable(
                f"{database_name(parsed)}: its folder cannot be made ({error.strerror})"
            ) from None
    made = _marker(parsed)
    engine = opened(parsed, mode="rwc" if made is None or not made.exists() else "rw", busy=_MIGRATING)
    give_up = time.monotonic() + _MIGRATING
    try:
        while True:
            try:
                _upgrade(engine, to)
                if made is not None:
                    with suppress(OSError):
                        made.touch()
                return
            except SQLAlchemyError as error:
                # Two that turn one new file to write-ahead mode at once: SQLite tells one of them not to wait.
                if made is not None and made.exists() and not database_file(parsed).exists():
                    raise DatabaseUnreachable(
                        f"{database_name(parsed)}: the file is gone; put it or its backup back, or remove {made.name} "
                        "beside it to begin with an empty one"
                    ) from None
                if not _is_busy(error) or time.monotonic() > give_up:
                    raise database_fault(engine, error) from None
                time.sleep(0.05)
    finally:
        engine.dispose()


def _marker(url: sa.URL) -> Path | None:
    """The file that says that SQLite's was made; None: it is not SQLite."""
    if url.get_backend_name() != "sqlite":
        return None
    file = database_file(url)
    return file.with_name(f"{file.name}.made")


def _is_busy(error: SQLAlchemyError) -> bool:
    name = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    return str(name).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _upgrade(engine: sa.Engine, to: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    wanted = to or script.get_current_head() or "base"
    known = {revision.revision for revision in script.walk_revisions()}
    sqlite = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        if sqlite:
            # Both stay with the file. A row with its vector is about 2 kB: pages of 4 would be half empty.
            connection.exec_driver_sql("PRAGMA page_size = 8192")
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        if _is_current(connection, wanted, known):
            return
    with engine.begin() as connection:
        if sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_MIGRATING:.0f}s'; SET LOCAL lock_timeout = 0")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, wanted)


def _is_current(connection: sa.Connection, head: str, known: set[str]) -> bool:
    from alembic.runtime.migration import MigrationContext

    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in known:
        raise LotRiskError(
            f"{database_name(connection.engine.url)} is at revision {found} and this lot-risk knows up to {head}: "
            "a newer one made it; start that one, or put a backup of before back"
        )
    return found == head
