"""Scores reach the database once each, whatever happens to it meanwhile; on both servers."""

import logging
import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from features.database import open_database
from features.errors import DatabaseUnreachable
from serving.migrate import migrate
from serving.score_log import LoggedScores, ScoreLog, scores_between, scores_of_lot
from serving.score_queue import Queue
from serving.spill import spilled_rows
from tests.serving.unsteady import line, postgres_schema, until

SECOND = 1_000_000
PUTTING = """
import sys, threading
from pathlib import Path
from serving.score_log import ScoreLog
from tests.serving.test_score_log import scores
log = ScoreLog(sys.argv[1], spill=Path(sys.argv[2]))
log.start()
def put(thread):
    for number in range(20):
        assert log.put(scores(f"{sys.argv[3]}-{thread}-{number}-a", f"{sys.argv[3]}-{thread}-{number}-b"))
threads = [threading.Thread(target=put, args=(thread,)) for thread in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
log.close(timeout=60)
"""


def scores(*lots: str, asked_at: int = 5 * SECOND, values: int = 3) -> LoggedScores:
    vectors = np.arange(len(lots) * values, dtype=np.float64).reshape(len(lots), values)
    return LoggedScores(
        lot_id=list(lots),
        as_of=np.full(len(lots), 4 * SECOND, np.int64),
        asked_at=asked_at,
        risk=np.linspace(0.25, 0.5, len(lots)),
        expected_cost=np.linspace(10.0, 20.0, len(lots)),
        decision=["hold"] * len(lots),
        model_version="3",
        vectors=vectors,
        source="api",
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'lotrisk.db'}"
    else:
        with postgres_schema() as made:
            yield made


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'lotrisk.db'}"
    migrate(url)
    return url


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., ScoreLog]]:
    """Opens score logs with one folder for spilled files, and closes them."""
    logs: list[ScoreLog] = []

    def open_log(url: str, **limits: int) -> ScoreLog:
        logs.append(ScoreLog(url, spill=tmp_path / "spill", **limits))
        return logs[-1]

    yield open_log
    for log in logs:
        log.close()


def started(log: ScoreLog) -> ScoreLog:
    log.start()
    assert until(lambda: log.healthy), log.fault
    return log


def logged(url: str) -> list[str]:
    """The lots in the database, each as often as it stands there."""
    engine = open_database(url)
    found = [lot for table in scores_between(engine, 0, 10**18) for lot in table["lot_id"].to_pylist()]
    engine.dispose()
    return sorted(found)


def spilled(tmp_path: Path, ending: str = "arrow") -> list[Path]:
    return list((tmp_path / "spill").glob(f"*.{ending}"))


def test_what_is_put_in_comes_out(url: str, opened: Callable[..., ScoreLog]) -> None:
    log = started(opened(url))
    put = replace(scores("L1", "没有", "L3"), risk=np.array([0.25, np.nan, 0.5]), expected_cost=np.full(3, np.nan))
    put.vectors[1] = np.nan
    put.vectors[2, 1] = np.nan
    assert log.put(put)
    assert until(lambda: log.written == 3) and log.waiting == 0
    engine = open_database(url)
    (table,) = scores_between(engine, 0, 10**18)
    engine.dispose()
    first, second, third = table.to_pylist()
    vector = first.pop("vector")
    assert first == {
        "lot_id": "L1",
        "as_of": 4 * SECOND,
        "asked_at": 5 * SECOND,
        "risk": 0.25,
        "decision": "hold",
        "model_version": "3",
        "source": "api",
        "propensity": None,
    }
    assert struct.unpack("<3d", vector) == (0.0, 1.0, 2.0)
    assert (second["lot_id"], second["risk"], second["vector"]) == ("没有", None, b"")
    assert third["vector"] == struct.pack("<3d", 6.0, np.nan, 8.0)


def test_lots_that_had_nothing_to_score_are_logged_too(url: str, opened: Callable[..., ScoreLog]) -> None:
    log = opened(url)
    log.put(scores("L1", "L2", values=0))
    started(log).close()
    assert logged(url) == ["L1", "L2"] and log.written == 2


def test_calls_of_every_kind_that_wait_together_keep_their_own(url: str, opened: Callable[..., ScoreLog]) -> None:
    log = opened(url)
    kinds = [("A", 3), ("B", 0), ("C", 5), ("D", 5), ("E", 3)]
    for number, (lot, values) in enumerate(kinds):
        put = scores(f"{lot}0", f"{lot}1", values=values, asked_at=number * SECOND)
        log.put(replace(put, model_version=str(number), source=f"from {lot}", as_of=put.as_of + number))
    log.put(scores())
    started(log).close()
    engine = open_database(url)
    (table,) = scores_between(engine, 0, 10**18)
    engine.dispose()
    found = [(*list(row.values())[:3], row["model_version"], row["source"], row["vector"]) for row in table.to_pylist()]
    assert found == [
        (f"{lot}{row}", 4 * SECOND + number, number * SECOND, str(number), f"from {lot}", vector.tobytes())
        for number, (lot, values) in enumerate(kinds)
        for row, vector in enumerate(np.arange(values * 2.0).reshape(2, values))
    ]
    assert (log.written, log.dropped) == (10, 0)


def test_identities_are_all_different_and_ascend_with_time() -> None:
    queues = [Queue[None](max_rows=2000, max_bytes=0) for _ in range(2)]
    for queue in queues * 1000:
        queue.put(None, rows=1, size=0)
    batches = [[put.batch for put in queue.first(2000)] for queue in queues]
    assert len({*batches[0], *batches[1]}) == 2000 and {len(batch) for batch in batches[0]} == {16}
    moments = [batch[:8] for batch in batches[0]]
    assert moments == sorted(moments), "each lands at the end of its index"


def test_calls_of_one_lot_are_spilled_together(tmp_path: Path, opened: Callable[..., ScoreLog]) -> None:
    log = opened(f"sqlite:///{tmp_path / 'lotrisk.db'}")
    for number in range(40):
        log.put(scores(f"L{number}"))
    log.close()
    (path,) = spilled(tmp_path)
    assert [len(rows) for rows in spilled_rows(path)] == [40]


def test_threads_of_two_processes_lose_nothing(url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PUTTING, url, str(tmp_path / "spill")]
    processes = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in ("p", "q")]
    told = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    numbered = [f"{p}-{thread}-{number}-{x}" for p in "pq" for thread in range(4) for number in range(20) for x in "ab"]
    assert logged(url) == sorted(numbered)
    assert spilled(tmp_path) == []


def test_a_graceful_stop_writes_what_waits(url: str, opened: Callable[..., ScoreLog]) -> None:
    log = started(opened(url))
    for number in range(50):
        log.put(scores(f"L{number:02}"))
    log.close()
    assert logged(url) == [f"L{number:02}" for number in range(50)]
    assert (log.written, log.waiting, log.dropped) == (50, 0, 0)


def test_after_its_close_a_log_refuses_and_says_why(url: str, opened: Callable[..., ScoreLog]) -> None:
    log = started(opened(url))
    log.close()
    assert not log.put(scores("L1", "L2"))
    assert (log.dropped, log.healthy, log.fault) == (2, False, "the score log is closed")
    log.close()
    assert logged(url) == []


def test_a_large_call_is_written_in_short_transactions_so_that_others_get_their_turn(
    sqlite_url: str, opened: Callable[..., ScoreLog]
) -> None:
    log, sizes = opened(sqlite_url), list[int]()

    def executed(_: Any, __: Any, ___: Any, rows: Any, ____: Any, many: bool) -> None:
        if many:
            sizes.append(len(rows))

    sa.event.listen(log._engine, "after_cursor_execute", executed)
    started(log)
    assert log.put(scores(*(f"L{number}" for number in range(1700))))
    assert until(lambda: log.written == 1700)
    assert sizes == [500, 500, 500, 200]
    assert len(logged(sqlite_url)) == 1700


def test_scores_wait_while_another_writer_holds_sqlite(sqlite_url: str, opened: Callable[..., ScoreLog]) -> None:
    log = started(opened(sqlite_url))
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert log.put(scores("L1", "L2"))
        assert until(lambda: not log.healthy)
        assert "database is locked" in log.fault and log.waiting == 2
        assert log.put(scores("L3"))
    assert until(lambda: log.written == 3) and log.healthy
    assert logged(sqlite_url) == ["L1", "L2", "L3"]


def test_scores_wait_while_the_file_is_away(sqlite_url: str, tmp_path: Path, opened: Callable[..., ScoreLog]) -> None:
    log = started(opened(sqlite_url))
    log.put(scores("L1"))
    assert until(lambda: log.written == 1)
    (tmp_path / "lotrisk.db").rename(tmp_path / "away.db")
    assert until(lambda: not log.healthy), "an idle log looks after its database"
    log.put(scores("L2"))
    (tmp_path / "away.db").rename(tmp_path / "lotrisk.db")
    assert until(lambda: log.written == 2) and log.healthy
    assert logged(sqlite_url) == ["L1", "L2"]


def test_scores_wait_while_the_server_is_away(opened: Callable[..., ScoreLog]) -> None:
    with postgres_schema() as url, line() as server:
        log = started(opened(server.through(url)))
        log.put(scores("L1"))
        assert until(lambda: log.written == 1)
        server.cut()
        assert until(lambda: not log.healthy), "an idle log looks after its database"
        assert "on PostgreSQL at 127.0.0.1" in log.fault
        for number in range(2, 6):
            assert log.put(scores(f"L{number}"))
        assert log.waiting == 4
        server.connect()
        assert until(lambda: log.written == 5) and log.healthy
        assert logged(url) == ["L1", "L2", "L3", "L4", "L5"]
        log.close()


def test_a_commit_whose_answer_is_lost_doubles_nothing(opened: Callable[..., ScoreLog]) -> None:
    with postgres_schema() as url, line() as server:
        log = started(opened(server.through(url)))
        server.lose_commits = 2
        log.put(scores("L1", "L2"))
        log.put(scores("L3"))
        assert until(lambda: log.written == 3)
        assert server.lost == 2
        assert logged(url) == ["L1", "L2", "L3"]
        log.close()


def test_the_row_that_a_lost_answer_was_about_was_there_before_it_was_tried_again() -> None:
    with postgres_schema() as url, line() as server:
        migrate(url)
        engine = open_database(server.through(url))
        server.lose_commits = 1
        with pytest.raises(sa.exc.OperationalError), engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO scores (batch, position, lot_id, as_of, asked_at, decision, model_version, source, vector)"
                " VALUES ('x', 0, 'L1', 1, 2, 'hold', '1', 'api', '')"
            )
        engine.dispose()
        assert until(lambda: logged(url) == ["L1"])


def test_a_stop_without_the_server_spills_and_the_next_start_takes_it_in(
    tmp_path: Path, opened: Callable[..., ScoreLog]
) -> None:
    with postgres_schema() as url, line() as server:
        log = started(opened(server.through(url)))
        server.lose_commits = 1
        log.put(scores("L1", "L2"))
        assert until(lambda: server.lost == 1), "these two are in the database, and the log does not know it"
        server.cut()
        log.put(scores("L3"))
        log.close()
        assert len(spilled(tmp_path)) == 1 and log.dropped == 0
        server.connect()
        later = started(opened(server.through(url)))
        assert until(lambda: list((tmp_path / "spill").iterdir()) == [])
        later.close()
        assert logged(url) == ["L1", "L2", "L3"]


def test_a_stop_that_runs_out_of_time_spills_what_the_writer_may_still_write(
    sqlite_url: str, tmp_path: Path, opened: Callable[..., ScoreLog]
) -> None:
    log = started(opened(sqlite_url))
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        log.put(scores("L1", "L2"))
        assert until(lambda: log._asked is not None), "the writer is inside the database"
        log.close(timeout=0.0)
        assert len(spilled(tmp_path)) == 1
    assert until(lambda: not log._thread.is_alive())
    later = started(opened(sqlite_url))
    assert until(lambda: later.written == 2)
    assert logged(sqlite_url) == ["L1", "L2"]


def test_the_probability_of_a_decision_is_kept_also_through_a_spilled_file(
    url: str, tmp_path: Path, opened: Callable[..., ScoreLog]
) -> None:
    stopped = opened(url)
    stopped.put(replace(scores("L1", "L2"), propensity=np.array([0.05, 1.0])))
    stopped.put(scores("L3"))
    stopped.close()
    assert len(spilled(tmp_path)) == 1
    log = started(opened(url))
    assert until(lambda: log.written == 3), log.fault
    engine = open_database(url)
    found = [row for table in scores_between(engine, 0, 10**18) for row in table.to_pylist()]
    engine.dispose()
    assert {row["lot_id"]: row["propensity"] for row in found} == {"L1": 0.05, "L2": 1.0, "L3": None}


def test_a_file_that_was_spilled_before_propensity_is_still_taken_in(
    url: str, tmp_path: Path, opened: Callable[..., ScoreLog]
) -> None:
    stopped = opened(url)
    stopped.put(replace(scores("L1", "L2"), propensity=np.array([0.05, 1.0])))
    stopped.close()
    (file,) = spilled(tmp_path)
    with pa.OSFile(str(file), "rb") as source:
        table = pa.ipc.open_file(source).read_all().drop_columns(["propensity"])
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    log = started(opened(url))
    assert until(lambda: log.written == 2), log.fault
    assert logged(url) == ["L1", "L2"] and spilled(tmp_path, "damaged") == []


def test_several_that_start_at_once_write_a_spilled_file_once(
    url: str, tmp_path: Path, opened: Callable[..., ScoreLog]
) -> None:
    never = opened(url)
    for number in range(30):
        never.put(scores(f"L{number:02}"))
    never.close()
    logs = [opened(url) for _ in range(4)]
    for log in logs:
        log.start()
    assert until(lambda: sum(log.written for log in logs) == 30)
    assert until(lambda: list((tmp_path / "spill").iterdir()) == [])
    assert logged(url) == [f"L{number:02}" for number in range(30)]


def test_a_file_claimed_by_a_process_that_died_is_taken_up(
    sqlite_url: str, tmp_path: Path, opened: Callable[..., ScoreLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    never = opened(sqlite_url)
    never.put(scores("L1"))
    never.close()
    (file,) = spilled(tmp_path)
    file.rename(file.with_suffix(".claimed"))
    log = started(opened(sqlite_url))
    assert not until(lambda: log.written > 0, seconds=1.5), "its owner may be at work"
    monkeypatch.setattr("serving.spill._ABANDONED", 0.0)
    assert until(lambda: log.written == 1)
    assert until(lambda: list((tmp_path / "spill").iterdir()) == [])


def test_a_damaged_spilled_file_is_put_aside(
    sqlite_url: str, tmp_path: Path, opened: Callable[..., ScoreLog], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spill").mkdir()
    (tmp_path / "spill" / "x.arrow").write_bytes(b"half a fi")
    log = started(opened(sqlite_url))
    assert until(lambda: len(spilled(tmp_path, "damaged")) == 1)
    log.put(scores("L1"))
    assert until(lambda: log.written == 1)
    assert "is put aside" in caplog.text


def test_what_can_neither_be_written_nor_spilled_is_counted(
    tmp_path: Path, opened: Callable[..., ScoreLog], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spill").write_text("in the way")
    log = opened(f"sqlite:///{tmp_path / 'lotrisk.db'}")
    log.put(scores("L1", "L2"))
    log.close()
    assert log.dropped == 2
    assert "2 scores cannot be logged" in caplog.text


@pytest.mark.parametrize("limits", [{"max_rows": 3}, {"max_bytes": 3 * (3 * 8 + 300)}], ids=["rows", "bytes"])
def test_a_full_log_says_so_and_counts(
    sqlite_url: str, opened: Callable[..., ScoreLog], limits: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    log = opened(sqlite_url, **limits)
    assert log.put(scores("L1", "L2"))
    assert not log.put(scores("L3", "L4"))
    assert log.put(scores("L5"))
    assert (log.waiting, log.dropped) == (3, 2)
    started(log)
    assert until(lambda: log.written == 3)
    assert log.put(scores("L6"))
    log.close()
    assert logged(sqlite_url) == ["L1", "L2", "L5", "L6"]
    assert "has refused 2 scores" in caplog.text


def test_putting_waits_for_nothing(sqlite_url: str, opened: Callable[..., ScoreLog]) -> None:
    log = started(opened(sqlite_url))
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        log.put(scores("L0"))
        assert until(lambda: log._asked is not None), "the writer is inside the database"
        for number in range(1000):
            assert log.put(scores(f"L{number}"))
        assert log.waiting == 1001 and log.written == 0


@pytest.mark.parametrize("lot", ["a\0b", "half \ud800", "L" * 5000, "'; drop table scores; --"])
def test_a_strange_lot_number_stops_nobody(url: str, opened: Callable[..., ScoreLog], lot: str) -> None:
    log = started(opened(url))
    log.put(scores(lot, "L1"))
    assert until(lambda: log.written == 2)
    engine = open_database(url)
    assert len(scores_of_lot(engine, lot, limit=5)) == 1
    engine.dispose()


def test_scores_that_are_none_are_dropped_alone(
    sqlite_url: str, opened: Callable[..., ScoreLog], caplog: pytest.LogCaptureFixture
) -> None:
    log = opened(sqlite_url)
    log.put(scores("L1"))
    log.put(replace(scores("L2", "L3"), decision=["hold"]))
    log.put(replace(scores("L4"), vectors=np.zeros(3)))
    log.put(scores("L5"))
    started(log).close()
    assert logged(sqlite_url) == ["L1", "L5"] and log.dropped == 3
    assert "2 scores cannot be logged: they are no scores" in caplog.text


def test_a_row_that_the_database_alone_refuses_is_dropped_alone(
    url: str, opened: Callable[..., ScoreLog], caplog: pytest.LogCaptureFixture
) -> None:
    migrate(url)
    engine = open_database(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE UNIQUE INDEX strict ON scores (lot_id, decision)")
    engine.dispose()
    log = opened(url)
    log.put(scores(*(f"L{number}" for number in range(9)), "L4"))
    started(log)
    assert until(lambda: log.written == 9 and log.dropped == 1)
    assert logged(url) == [f"L{number}" for number in range(9)]
    assert "1 scores cannot be logged" in caplog.text and "0.25" not in caplog.text


def test_no_secret_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        log = ScoreLog("postgresql+psycopg://me:wagtail@127.0.0.1:1/x", spill=tmp_path / "spill")
        first = log.fault
        log.start()
        assert until(lambda: log.fault != first)
        log.put(scores("L1"))
        told = log.fault
        log.close()
    assert "scores wait in memory" in caplog.text and "for the next start" in caplog.text
    assert "wagtail" not in caplog.text + first + told
    assert told.startswith("database x on PostgreSQL at 127.0.0.1:1: ")


def test_the_history_of_a_lot_is_its_latest_scores_oldest_first(url: str, opened: Callable[..., ScoreLog]) -> None:
    log = opened(url)
    for second in (3, 1, 2, 4):
        log.put(scores("L1", "L2", asked_at=second * SECOND))
    started(log).close()
    engine = open_database(url)
    history = scores_of_lot(engine, "L2", limit=3)
    assert [row["asked_at"] for row in history] == [2 * SECOND, 3 * SECOND, 4 * SECOND]
    assert history[0] == {
        "as_of": 4 * SECOND,
        "asked_at": 2 * SECOND,
        "risk": 0.5,
        "expected_cost": 20.0,
        "decision": "hold",
        "model_version": "3",
        "source": "api",
        "propensity": None,
    }
    assert scores_of_lot(engine, "unknown", limit=3) == []
    engine.dispose()


def test_a_range_is_read_in_parts_in_order_of_time(
    url: str, opened: Callable[..., ScoreLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.score_log._CHUNK", 4)
    log = opened(url)
    for second in (2, 1, 2, 3, 4):
        log.put(scores(*(f"{second}-{number}" for number in range(3)), asked_at=second * SECOND))
    log.put(replace(scores("other", asked_at=2 * SECOND), model_version="4"))
    started(log).close()
    engine = open_database(url)
    tables = list(scores_between(engine, 1 * SECOND, 4 * SECOND, model_version="3"))
    assert [table.num_rows for table in tables] == [4, 4, 4]
    times = [time for table in tables for time in table["asked_at"].to_pylist()]
    assert times == [SECOND] * 3 + [2 * SECOND] * 6 + [3 * SECOND] * 3
    assert sum(table.num_rows for table in scores_between(engine, 2 * SECOND, 3 * SECOND)) == 7
    assert list(scores_between(engine, 5 * SECOND, 9 * SECOND)) == []
    engine.dispose()


def test_both_questions_are_answered_by_an_index(sqlite_url: str) -> None:
    engine = open_database(sqlite_url)
    asked: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *found: asked.append(found[2].replace("?", "1")))
    scores_of_lot(engine, "L1", limit=3)
    list(scores_between(engine, 0, 1))
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        plans = [" ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")) for query in asked]
    engine.dispose()
    assert ["scores_of_lot" in plans[0], "scores_by_time" in plans[1], "TEMP B-TREE" in " ".join(plans)] == [
        True,
        True,
        False,
    ]


def test_a_reader_of_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'lotrisk.db'}")
    with pytest.raises(DatabaseUnreachable, match="unable to open"):
        scores_of_lot(engine, "L1", limit=1)
    with pytest.raises(DatabaseUnreachable, match="unable to open"):
        next(scores_between(engine, 0, 1))


def test_a_database_that_falls_silent_is_noticed_while_it_is_silent(
    sqlite_url: str, opened: Callable[..., ScoreLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = started(opened(sqlite_url))
    goes_on = threading.Event()
    monkeypatch.setattr("serving.score_log._SILENT", 0.1)
    monkeypatch.setattr("serving.score_log.insert_rows", lambda *_: goes_on.wait(20))
    log.put(scores("L1"))
    assert until(lambda: "no answer for" in log.fault)
    goes_on.set()
    assert until(lambda: log.healthy)
