"""The SQL database of what the service makes: how it is opened, brought up to date, and what its faults say.

SQLite in write-ahead mode, or PostgreSQL. No message holds a password, nor the values of a statement: faults name
the file, or the server and its database.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    SQLAlchemyError,
    StatementError,
)

from features.errors import DatabaseUnreachable, LotRiskError, SettingsError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY = 2.0  # seconds that a statement waits for another writer; the service's own transactions take a tenth of one
_MIGRATING = 30.0  # seconds that a start waits for another one that migrates
_MIGRATION_LOCK = 7_201_995  # PostgreSQL's advisory lock; any number that nobody else uses in this database
# A server that is switched off, or a cable that is cut, is a fault within seconds; libpq waits for minutes.
_PATIENCE = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
    "application_name": "lot-risk",
}
_LIMITS = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '60s'"


def open_database(url: str) -> sa.Engine:
    """An engine that connects when it is first used; it makes neither files nor tables (`migrate` does).

    SettingsError for a URL that is not usable.
    """
    return _opened(_parsed(url), mode="rw", busy=BUSY)


def migrate(url: str) -> None:
    """Brings the database up to date, making SQLite's file and folder; harmless when several start at once.

    LotRiskError for a database of a newer lot-risk, DatabaseUnreachable for one that does not answer.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        try:
            _file(parsed).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnreachable(
                f"{database_name(parsed)}: its folder cannot be made ({error.strerror})"
            ) from None
    engine = _opened(parsed, mode="rwc", busy=_MIGRATING)
    give_up = time.monotonic() + _MIGRATING
    try:
        while True:
            try:
                return _upgrade(engine)
            except SQLAlchemyError as error:
                # Two that turn one new file to write-ahead mode at once: SQLite tells one of them not to wait.
                if not _is_busy(error) or time.monotonic() > give_up:
                    raise database_fault(engine, error) from None
                time.sleep(0.05)
    finally:
        engine.dispose()


@contextmanager
def reached(engine: sa.Engine) -> Iterator[None]:
    """Turns what SQLAlchemy raises inside into DatabaseUnreachable."""
    try:
        yield
    except SQLAlchemyError as error:
        raise database_fault(engine, error) from None


def check_writable(engine: sa.Engine, table: str) -> None:
    """DatabaseUnreachable unless rows can be added to `table` now; writes nothing."""
    with reached(engine), engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.execute(sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1))
            if not os.access(_file(engine.url), os.W_OK):
                raise DatabaseUnreachable(f"{database_name(engine.url)}: the file is read-only; make it writable")
            return
        asked = sa.select(
            sa.func.current_setting("transaction_read_only") == "on", sa.func.has_table_privilege(table, "INSERT")
        )
        read_only, granted = connection.execute(asked).one()
    if read_only or not granted:
        found = "read-only, a standby perhaps" if read_only else f"{table} takes no rows from this user"
        raise DatabaseUnreachable(f"{database_name(engine.url)}: {found}; let the service write to it")


def database_name(url: URL) -> str:
    """What a message calls the database: no user, no password, no options."""
    if url.get_backend_name() == "sqlite":
        return f"database {_file(url)}"
    port = f":{url.port}" if url.port else ""
    return f"database {url.database or 'of the user'} on PostgreSQL at {url.host or 'the local socket'}{port}"


def database_fault(engine: sa.Engine, error: SQLAlchemyError) -> DatabaseUnreachable:
    """What the driver said, in one line, without secrets."""
    told = " ".join(str(getattr(error, "orig", None) or error).split())
    for secret in (engine.url.password, engine.url.query.get("password")):
        told = told.replace(str(secret), "***") if secret else told
    return DatabaseUnreachable(
        f"{database_name(engine.url)}: {told[:300]}; see that it is there and that the service may write to it"
    )


def is_of_a_row(error: SQLAlchemyError) -> bool:
    """Whether the database refuses what a row says, which no waiting heals."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError)
    return isinstance(error, StatementError)


def _parsed(url: str) -> URL:
    """The URL's parts; what cannot be read is not repeated, as it may hold a password."""
    way_out = "write it like sqlite:///file.db or postgresql+psycopg://user:${PASSWORD}@host:5432/name"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise SettingsError(f"[site] database is not a usable URL; {way_out}") from None
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg"):
        raise SettingsError(f"[site] database is neither SQLite nor PostgreSQL by psycopg; {way_out}")
    if "@" in (parsed.host or "") or (parsed.get_backend_name() != "sqlite" and "@" in (parsed.database or "")):
        raise SettingsError("[site] database: the URL has an @ in its password; write it as %40, and / as %2F")
    if parsed.get_backend_name() == "sqlite" and (parsed.database or ":memory:").startswith((":memory:", "file:")):
        raise SettingsError("[site] database names no file; the service's processes share one, like sqlite:///file.db")
    return parsed if parsed.get_backend_name() == "sqlite" else parsed.set(drivername="postgresql+psycopg")


def _file(url: URL) -> Path:
    return Path(url.database or "").absolute()


def _opened(url: URL, *, mode: str, busy: float) -> sa.Engine:
    # Parameters stay out of messages: vectors are long, and lot numbers are nobody else's business.
    if url.get_backend_name() != "sqlite":
        patience = {name: value for name, value in _PATIENCE.items() if name not in url.query}
        engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_timeout=5, connect_args=patience)
        event.listen(engine, "connect", _limit)
        return engine
    file = _file(url)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(file))}?mode={mode}", uri=True, timeout=busy, check_same_thread=False)

    engine = sa.create_engine(url, hide_parameters=True, creator=connect, pool_timeout=5)

    def connected(connection: sqlite3.Connection, record: Any) -> None:
        # Full: a commit is on the disk when it returns, and then a spilled file is removed. A third of a
        # millisecond, five times a second.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        record.info["file"] = _identity(file)

    def taken(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != _identity(file):
            raise DisconnectionError("the file was moved or replaced")

    event.listen(engine, "connect", connected)
    event.listen(engine, "checkout", taken)
    return engine


def _limit(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LIMITS)
    connection.commit()


def _identity(file: Path) -> tuple[int, int]:
    """Which file lies there: an open connection would go on writing into one that was moved or deleted."""
    try:
        found = file.stat()
    except OSError:
        return (0, 0)
    return found.st_dev, found.st_ino


def _is_busy(error: SQLAlchemyError) -> bool:
    name = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    return str(name).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}
    sqlite = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        if sqlite:
            # Both stay with the file. A row with its vector is about 2 kB: pages of 4 would be half empty.
            connection.exec_driver_sql("PRAGMA page_size = 8192")
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        if _is_current(connection, script.get_current_head(), known):
            return
    with engine.begin() as connection:
        if sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_MIGRATING:.0f}s'; SET LOCAL lock_timeout = 0")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _is_current(connection: sa.Connection, head: str | None, known: set[str]) -> bool:
    from alembic.runtime.migration import MigrationContext

    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in known:
        raise LotRiskError(
            f"{database_name(connection.engine.url)} is at revision {found} and this lot-risk knows up to {head}: "
            "a newer one made it; start that one, or put a backup of before back"
        )
    return found == head
