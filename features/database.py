"""The SQL database of what the service keeps: how it is opened and written, and what its faults say.

SQLite in write-ahead mode, or PostgreSQL. No message holds a password, nor the values of a statement: faults name
the file, or the server and its database. `serving.migrate` makes its tables and brings them up to date.
"""

import os
import select
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
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
    InvalidatePoolError,
    SQLAlchemyError,
    StatementError,
)

from features.errors import DatabaseUnreachable, SettingsError

BUSY = 2.0  # seconds that a statement waits for another writer; 10,000 rows of one call take 0.3 to 0.6
METADATA = sa.MetaData()
"""Of every table; each is described where it is used."""
# PostgreSQL's advisory lock of `writing`; any number that nobody else uses in this database
_ONE_WRITER = sa.select(sa.func.pg_advisory_xact_lock(7_201_996))
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
    return opened(parsed_url(url), mode="rw", busy=BUSY)


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction of the one writer there is at a time, over all processes; on the disk when the body is left.

    Rows numbered in it become visible in the order of their numbers, so that who reads on from the last number it saw
    misses none. DatabaseUnreachable where nothing can be written; what the body raises rolls back.
    """
    with reached(engine), engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(_ONE_WRITER)
        yield connection


def add_rows(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, replacing: bool = False
) -> None:
    """Adds rows, all with the columns of the first; `replacing`: in place of those with the same primary key."""
    if rows:
        place = "?" if connection.dialect.name == "sqlite" else "%s"
        columns = tuple(rows[0])
        values = [tuple(row[column] for column in columns) for row in rows]
        connection.exec_driver_sql(_insert(table, columns, place, replacing), values)


@lru_cache
def _insert(table: sa.Table, columns: tuple[str, ...], place: str, replacing: bool) -> str:
    """Names are the tables' own; every value is a parameter."""
    places = ", ".join([place] * len(columns))
    said = f'INSERT INTO "{table.name}" ({_quoted(columns)}) VALUES ({places})'  # noqa: S608
    if not replacing:
        return said
    others = [column.name for column in table.c if not column.primary_key]
    replaced = ", ".join(f'"{name}" = excluded."{name}"' for name in others)
    return f"{said} ON CONFLICT ({_quoted(table.primary_key.columns.keys())}) DO UPDATE SET {replaced}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


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
            if not os.access(database_file(engine.url), os.W_OK):
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
        return f"database {database_file(url)}"
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


def parsed_url(url: str) -> URL:
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


def database_file(url: URL) -> Path:
    """Of SQLite."""
    return Path(url.database or "").absolute()


def opened(url: URL, *, mode: str, busy: float) -> sa.Engine:
    """An engine; `mode`: of SQLite's file, `rwc` makes it; `busy`: seconds that it waits for another writer."""
    # Parameters stay out of messages: vectors are long, and lot numbers are nobody else's business.
    if url.get_backend_name() != "sqlite":
        patience = {name: value for name, value in _PATIENCE.items() if name not in url.query}
        engine = sa.create_engine(url, hide_parameters=True, pool_timeout=5, connect_args=patience)
        event.listen(engine, "connect", _limit)
        event.listen(engine, "checkout", check_open)
        return engine
    file = database_file(url)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(file))}?mode={mode}", uri=True, timeout=busy, check_same_thread=False)

    engine = sa.create_engine(url, hide_parameters=True, creator=connect, pool_timeout=5)

    def connected(connection: sqlite3.Connection, record: Any) -> None:
        # Full: a commit is on the disk when it returns, and then a spilled file is removed. A third of a
        # millisecond, five times a second.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # The commit at which the log has this many pages writes those that wait into the file: with 500,000 decisions
        # 14 ms at the usual 1,000, 70 at 8,000. `serving.checkpoints` does so before: at 1,100 decisions a second the
        # log has 1,200 to 3,800.
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
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


def check_open(connection: Any, _record: Any, _proxy: Any) -> None:
    """Whether the server has closed it since: a socket that nobody waits at has nothing to read before.

    It costs 3 us; the pool's own way, to ask the server each time, a tenth of a millisecond and more under load.
    """
    if connection.closed or _readable(connection.fileno()):
        raise InvalidatePoolError("the server has closed the connection")


def _readable(socket: int) -> bool:
    looking = select.poll()
    looking.register(socket, select.POLLIN)
    return bool(looking.poll(0))


def _identity(file: Path) -> tuple[int, int]:
    """Which file lies there: an open connection would go on writing into one that was moved or deleted."""
    try:
        found = file.stat()
    except OSError:
        return (0, 0)
    return found.st_dev, found.st_ino
