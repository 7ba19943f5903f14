"""The service's database on both servers: opened, brought up to date, and its faults."""

import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from features.catalogue import SEGMENTS
from features.database import (
    METADATA,
    add_rows,
    check_open,
    check_writable,
    database_name,
    open_database,
    reached,
    writing,
)
from features.errors import DatabaseUnreachable, LotRiskError, SettingsError
from serving.checkpoints import EVERY, Checkpoints
from serving.migrate import migrate
from serving.once import Given
from serving.score_rows import SCORES
from serving.tables import AUDIT, FOLLOWED, KEYS, NEWEST, SALTS
from tests.serving.live import eventually
from tests.serving.unsteady import postgres_schema


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of the test's own, with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'a folder, 100% new' / 'lotrisk.db'}"
    else:
        with postgres_schema() as made:
            yield made


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    opened = open_database(url)
    yield opened
    opened.dispose()


def test_migrating_makes_the_tables_that_the_code_speaks_of(url: str, engine: sa.Engine) -> None:
    migrate(url)
    with engine.connect() as connection:
        assert {SEGMENTS.name, AUDIT.name} <= set(METADATA.tables)
        made = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(made, METADATA) == []
        found = sa.inspect(connection)
        for name, table in METADATA.tables.items():
            assert found.get_pk_constraint(name)["constrained_columns"] == table.primary_key.columns.keys()
            if connection.dialect.name == "postgresql":
                hashed = {one["name"] for one in found.get_indexes(name) if _method(one) == "hash"}
                assert hashed == {index.name for index in table.indexes if _hashed(index)}


def _method(index: Any) -> Any:
    return index.get("dialect_options", {}).get("postgresql_using")


SHORT = {
    "answers": {"scope", "key"},
    "audit": {"kind"},
    "keys": {"id"},
    "salts": {"hash"},
    "scores": {"lot_id", "model_version"},  # cut to 500 characters; a number, or the name of a rate
    "segments": {"file"},
}
"""By table the texts in usual indexes, of which PostgreSQL takes 2,704 bytes."""


def test_no_usual_index_is_over_an_id_that_may_be_long() -> None:
    found: dict[str, set[str]] = {}
    for name, table in METADATA.tables.items():
        keyed = [column for index in table.indexes if not _hashed(index) for column in index.columns]
        keyed += [column for one in table.constraints if isinstance(one, _UNIQUE) for column in one.columns]
        if texts := {column.name for column in keyed if isinstance(column.type, sa.Text)}:
            found[name] = texts
    assert found == SHORT


_UNIQUE = (sa.PrimaryKeyConstraint, sa.UniqueConstraint)


def _hashed(index: sa.Index) -> bool:
    return index.dialect_kwargs.get("postgresql_using") == "hash"


def test_a_table_that_differs_from_the_code_is_noticed(url: str, engine: sa.Engine) -> None:
    migrate(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE scores ADD COLUMN stray INTEGER")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) != []


def test_migrating_again_keeps_what_is_there(url: str, engine: sa.Engine) -> None:
    migrate(url)
    row = {"batch": b"x" * 16, "position": 0, "lot_id": "L1", "as_of": 1, "asked_at": 2, "decision": "hold"}
    with engine.begin() as connection:
        connection.execute(SCORES.insert().values(**row, model_version="1", source="api", vector=b""))
    migrate(url)
    with engine.connect() as connection:
        assert connection.execute(sa.select(SCORES.c.lot_id)).scalars().all() == ["L1"]


def test_rows_of_before_propensity_stay_and_theirs_is_not_known(url: str, engine: sa.Engine) -> None:
    migrate(url, to="0001")
    with engine.begin() as connection:
        old = sa.table("scores", *(sa.column(one.name) for one in SCORES.c if one.name not in ("id", "propensity")))
        row = {"batch": b"x" * 16, "position": 0, "lot_id": "L1", "as_of": 1, "asked_at": 2, "risk": 0.5}
        row |= {"expected_cost": 1.0, "decision": "hold", "model_version": "1", "source": "api", "vector": b""}
        connection.execute(old.insert().values(**row))
    migrate(url)
    with engine.connect() as connection:
        assert connection.execute(sa.select(SCORES.c.lot_id, SCORES.c.propensity)).all() == [("L1", None)]
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_of_decisions_kept_one_by_one_the_newest_of_each_lot_stays(url: str, engine: sa.Engine) -> None:
    migrate(url, to="0003")
    with engine.begin() as connection:
        old = sa.table("decided", sa.column("lot", sa.LargeBinary), sa.column("decision"))
        for lot, decision in ((b"a", 3), (b"b", 5), (b"a", 7)):
            connection.execute(old.insert().values(lot=lot, decision=decision))
    migrate(url)
    with engine.connect() as connection:
        asked = sa.select(NEWEST.c.lot, NEWEST.c.decision).order_by(NEWEST.c.lot)
        assert connection.execute(asked).all() == [(b"a", 7), (b"b", 5)]


def waits_for(table: str, engine: sa.Engine) -> bool:
    """Whether somebody waits for a lock on the table."""
    asked = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass(:name)")
    with engine.connect() as connection:
        return bool(connection.execute(asked, {"name": table}).scalar_one())


def test_what_a_worker_of_before_is_deciding_is_not_lost_with_the_table() -> None:
    with postgres_schema() as url:
        migrate(url, to="0003")
        engine, other = open_database(url), open_database(url)
        add = sa.table("decided", sa.column("lot", sa.LargeBinary), sa.column("decision")).insert()
        with engine.begin() as connection:
            connection.execute(add.values(lot=b"a", decision=3))
        migrating = threading.Thread(target=migrate, args=(url,))
        with writing(engine) as connection:
            connection.execute(add.values(lot=b"a", decision=7))
            migrating.start()
            eventually(lambda: waits_for("decided", other), "the migration waits for the decision")
        migrating.join()
        with engine.connect() as connection:
            assert connection.execute(sa.select(NEWEST.c.lot, NEWEST.c.decision)).all() == [(b"a", 7)]
        engine.dispose()
        other.dispose()


NOTED = {"decision": 7, "lot_id": "L1", "now": "hold", "action": "held", "found": None, "overruled": 3, "failed": None}
SALT = {"hash": "salted:0", "salt": b"x", "table": "returns", "key": "R-1"}


def test_what_was_noted_of_decisions_and_the_salts_of_before_stay(url: str, engine: sa.Engine) -> None:
    migrate(url, to="0004")
    with engine.begin() as connection:
        connection.execute(sa.insert(_as_before(FOLLOWED)).values(**NOTED))
        connection.execute(sa.insert(SALTS).values(**SALT))
    migrate(url)
    with engine.begin() as connection:
        connection.execute(sa.insert(_as_before(FOLLOWED)).values(**NOTED | {"lot_id": "L2"}))  # by a worker of before
        asked = sa.select(FOLLOWED).order_by(FOLLOWED.c.id)
        found = [dict(row) for row in connection.execute(asked).mappings()]
        assert found == [{"id": 1, **NOTED}, {"id": 2, **NOTED, "lot_id": "L2"}]
        assert [dict(row) for row in connection.execute(sa.select(SALTS)).mappings()] == [SALT]


def _as_before(table: sa.Table) -> sa.TableClause:
    """Without the number that its rows have since."""
    return sa.table(table.name, *(sa.column(one.name) for one in table.c if one.name != "id"))


def test_what_a_worker_of_before_is_noting_is_waited_for() -> None:
    with postgres_schema() as url:
        migrate(url, to="0004")
        engine, other = open_database(url), open_database(url)
        migrating = threading.Thread(target=migrate, args=(url,))
        with writing(engine) as connection:
            connection.execute(sa.insert(_as_before(FOLLOWED)).values(**NOTED))
            migrating.start()
            eventually(lambda: waits_for("followed", other), "the migration waits for the note")
            connection.execute(sa.insert(SALTS).values(**SALT))
        migrating.join()
        with engine.connect() as connection:
            assert connection.execute(sa.select(FOLLOWED.c.id, FOLLOWED.c.lot_id)).all() == [(1, "L1")]
            assert connection.execute(sa.select(SALTS.c.key)).scalars().all() == ["R-1"]
        engine.dispose()
        other.dispose()


def test_rows_take_the_place_of_others_where_they_may(url: str, engine: sa.Engine) -> None:
    migrate(url)
    with writing(engine) as connection:
        add_rows(connection, NEWEST, [{"lot": b"a", "decision": 1}, {"lot": b"b", "decision": 2}], replacing=True)
        add_rows(connection, NEWEST, [{"lot": b"a", "decision": 3}], replacing=True)
        assert dict(connection.execute(sa.select(NEWEST.c.lot, NEWEST.c.decision)).all()) == {b"a": 3, b"b": 2}
    with pytest.raises(DatabaseUnreachable), writing(engine) as connection:
        add_rows(connection, NEWEST, [{"lot": b"a", "decision": 4}])


def test_four_processes_migrate_at_once(url: str, engine: sa.Engine) -> None:
    start = f"from serving.migrate import migrate\ninput()\nmigrate({url!r})"
    started = [
        subprocess.Popen([sys.executable, "-c", start], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0, 0], told
    check_writable(engine, "scores")


def test_a_database_of_a_newer_version_is_refused(url: str, engine: sa.Engine) -> None:
    migrate(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LotRiskError, match="is at revision 9999 and this lot-risk knows up to 0005: a newer one"):
        migrate(url)


def test_opening_makes_nothing(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'lotrisk.db'}")
    with pytest.raises(DatabaseUnreachable, match=r"lotrisk\.db: unable to open database file"), reached(engine):
        engine.connect()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatabaseUnreachable, match="its folder cannot be made"):
        migrate(f"sqlite:///{tmp_path / 'file' / 'lotrisk.db'}")


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "lotrisk.db").write_text("no database " * 100)
    with pytest.raises(DatabaseUnreachable, match="file is not a database"):
        migrate(f"sqlite:///{tmp_path / 'lotrisk.db'}")


def test_sqlite_writes_ahead_and_to_the_disk(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'lotrisk.db'}"
    migrate(url)
    engine = open_database(url)
    with engine.connect() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked] == ["wal", 2, 1, 2000]
    engine.dispose()


def alone(file: Path, tmp_path: Path) -> list[int]:
    """What a database's file holds by itself, without its log."""
    copied = Path(shutil.copy(file, tmp_path / f"copy of {file.name}"))
    with closing(sqlite3.connect(copied)) as connection:
        return [seq for (seq,) in connection.execute("SELECT decision FROM newest ORDER BY decision")]


def test_a_log_is_written_into_its_file_though_nobody_commits_any_more(tmp_path: Path) -> None:
    file = tmp_path / "lotrisk.db"
    migrate(f"sqlite:///{file}")
    engine = open_database(f"sqlite:///{file}")
    with writing(engine) as connection:
        add_rows(connection, NEWEST, [{"lot": b"a", "decision": 1}])
    assert alone(file, tmp_path) == []
    checkpoints = Checkpoints(engine)
    checkpoints.start()
    eventually(lambda: alone(file, tmp_path) == [1], "the row in the file")
    file.rename(tmp_path / "away.db")
    time.sleep(3 * EVERY)
    (tmp_path / "away.db").rename(file)
    with writing(engine) as connection:
        add_rows(connection, NEWEST, [{"lot": b"b", "decision": 2}])
    eventually(lambda: alone(file, tmp_path) == [1, 2], "both rows in the file")
    checkpoints.close()
    engine.dispose()


def test_a_moved_file_is_noticed_and_found_again(tmp_path: Path) -> None:
    file = tmp_path / "lotrisk.db"
    migrate(f"sqlite:///{file}")
    engine = open_database(f"sqlite:///{file}")
    check_writable(engine, "scores")
    file.rename(tmp_path / "away.db")
    with pytest.raises(DatabaseUnreachable, match="unable to open"):
        check_writable(engine, "scores")
    (tmp_path / "away.db").rename(file)
    check_writable(engine, "scores")
    engine.dispose()


def test_a_file_that_was_made_once_and_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "lotrisk.db"
    migrate(f"sqlite:///{file}")
    file.rename(tmp_path / "away.db")
    with pytest.raises(DatabaseUnreachable, match=r"is gone; put it .* back, or remove lotrisk\.db\.made"):
        migrate(f"sqlite:///{file}")
    assert not file.exists()
    (tmp_path / "away.db").rename(file)
    migrate(f"sqlite:///{file}")
    file.unlink()
    (tmp_path / "lotrisk.db.made").unlink()
    migrate(f"sqlite:///{file}")
    assert file.exists()


def test_answers_given_before_are_looked_up_and_not_searched_for(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path / 'lotrisk.db'}")
    engine, asked = open_database(f"sqlite:///{tmp_path / 'lotrisk.db'}"), list[str]()
    sa.event.listen(engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    with engine.connect() as connection:
        Given(connection, [("gate", "a key"), ("gate", "another")])
        (statement,) = asked
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("gate", "a key", "another")).all()
    engine.dispose()
    assert [row[-1] for row in plan] == ["SEARCH answers USING INDEX sqlite_autoindex_answers_1 (scope=? AND key=?)"]


def test_a_locked_file_takes_no_writes_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "lotrisk.db"
    migrate(f"sqlite:///{file}")
    engine = open_database(f"sqlite:///{file}")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnreachable, match="database is locked"):
        check_writable(engine, "scores")
    other.close()
    check_writable(engine, "scores")
    engine.dispose()


def test_a_database_without_the_table_takes_no_writes(url: str, engine: sa.Engine) -> None:
    migrate(url)
    with pytest.raises(DatabaseUnreachable, match="nowhere"):
        check_writable(engine, "nowhere")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "read-only, a standby perhaps"),
        ("SET ROLE pg_monitor", "scores takes no rows from this user"),
    ],
)
def test_a_server_that_takes_no_writes_is_noticed(sql: str, said: str) -> None:
    with postgres_schema() as url:
        migrate(url)
        engine = open_database(url)
        with engine.begin() as connection:
            schema = connection.exec_driver_sql("SELECT current_schema()").scalar()
            connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO pg_monitor")
        engine.dispose()
        sa.event.listen(engine, "connect", lambda connection, _: (connection.execute(sql), connection.commit()))
        with pytest.raises(DatabaseUnreachable, match=said):
            check_writable(engine, "scores")
        engine.dispose()


def test_a_server_that_never_answers_is_given_up_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        engine = open_database(f"postgresql+psycopg://me@127.0.0.1:{mute.getsockname()[1]}/x")
        with pytest.raises(DatabaseUnreachable, match="timeout"):
            check_writable(engine, "scores")


def test_connections_that_the_server_has_closed_are_not_used_again() -> None:
    with postgres_schema() as url:
        engine, other = open_database(url), open_database(url)

        def stop() -> int:
            """Ends the server's process behind the connection that lies in the pool; returns whose it was."""
            with engine.connect() as connection:
                pid = connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one()
            with other.connect() as connection:
                connection.execute(sa.select(sa.func.pg_terminate_backend(pid, 5000)))
            return int(pid)

        before = stop()
        with engine.connect() as connection:
            assert connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one() != before
        stop()
        sa.event.remove(engine, "checkout", check_open)
        with pytest.raises(sa.exc.OperationalError), engine.connect() as connection:
            connection.execute(sa.select(1))
        engine.dispose()
        other.dispose()


def test_a_statement_does_not_run_for_minutes() -> None:
    with postgres_schema() as url:
        engine = open_database(url)
        with engine.connect() as connection:
            asked = [
                connection.exec_driver_sql(f"SHOW {name}").scalar() for name in ("statement_timeout", "lock_timeout")
            ]
        assert asked == ["10s", "5s"]
        engine.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:wagtail@127.0.0.1:1/x",
        "postgresql+psycopg://me@127.0.0.1:1/x?password=wagtail",
        "postgresql+psycopg://me:wag%40tail@127.0.0.1:1/x",
        "postgresql+psycopg://wagtail:wagtail@nowhere.invalid/x",
    ],
)
def test_no_password_stands_in_a_fault(url: str) -> None:
    engine = open_database(url)
    with pytest.raises(DatabaseUnreachable) as asked:
        check_writable(engine, "scores")
    with pytest.raises(DatabaseUnreachable) as migrated:
        migrate(url)
    for told in (str(asked.value), str(migrated.value)):
        assert "wagtail" not in told and "wag@tail" not in told and "\n" not in told
        assert "database x on PostgreSQL at" in told
    assert asked.value.__cause__ is None and asked.value.__suppress_context__


@pytest.mark.parametrize(
    "url",
    [
        "",
        "wagtail",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://me:wagtail@db/x",
        "postgres://me:wagtail@db/x",
        "postgresql+asyncpg://me:wagtail@db/x",
        "postgresql+psycopg://me:pass@wagtail@db/x",
        "postgresql+psycopg://me:pass@wag/tail@db:5432/x",
        "postgresql+psycopg://me:secret@db:wagtail/x",
    ],
)
def test_an_unusable_url_is_refused_without_being_repeated(url: str) -> None:
    for use in (open_database, migrate):
        with pytest.raises(SettingsError, match=r"^\[site\] database") as refused:
            use(url)
        assert "wag" not in str(refused.value) and "tail@" not in str(refused.value)


def test_the_name_of_a_database_has_no_user_and_no_options() -> None:
    engine = open_database("postgresql://me:wagtail@db:6000/lots?options=-csearch_path%3Dx")
    assert database_name(engine.url) == "database lots on PostgreSQL at db:6000"


def test_the_audit_log_is_only_added_to(url: str, engine: sa.Engine) -> None:
    migrate(url)
    row = {"seq": 1, "at": 1, "kind": "key", "actor": "me", "body": "{}", "previous": "0", "hash": "1"}
    with writing(engine) as connection:
        connection.execute(AUDIT.insert().values(**row))
    for change in (AUDIT.update().values(actor="you"), AUDIT.delete()):
        with pytest.raises(DatabaseUnreachable, match="the audit log is only added to"), writing(engine) as connection:
            connection.execute(change)


def test_added_rows_are_there_as_they_were_given(url: str, engine: sa.Engine) -> None:
    migrate(url)
    rows = [
        {"id": f"k{number}", "name": "a %s, a \" and a '", "role": "line", "hash": "x", "created_at": number << 40}
        | {"expires_at": None if number % 2 else number, "calls_per_second": number / 3 or None}
        for number in range(100)
    ]
    with writing(engine) as connection:
        add_rows(connection, KEYS, rows)
        add_rows(connection, KEYS, [])
    with engine.connect() as connection:
        asked = sa.select(*(KEYS.c[name] for name in rows[0])).order_by(KEYS.c.created_at)
        assert [dict(row) for row in connection.execute(asked).mappings()] == rows
        assert set(connection.execute(sa.select(KEYS.c.revoked_at)).scalars()) == {None}


def test_one_writes_at_a_time_and_a_fault_leaves_nothing(url: str, engine: sa.Engine) -> None:
    migrate(url)
    row = {"seq": 1, "at": 1, "kind": "key", "actor": "me", "body": "{}", "previous": "0", "hash": "1"}
    with pytest.raises(ValueError, match="broken"), writing(engine) as connection:
        connection.execute(AUDIT.insert().values(**row))
        raise ValueError("broken")
    order: list[str] = []

    def other() -> None:
        with writing(engine):
            order.append("other")

    with writing(engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(AUDIT)).scalar() == 0
        waits = threading.Thread(target=other)
        waits.start()
        waits.join(0.3)
        order.append("first")
    waits.join()
    assert order == ["first", "other"]
