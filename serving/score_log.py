"""The score log: every score that was given, kept in the database, off the way of the request that asked for it."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from features.asof import Array, within
from features.database import check_writable, database_fault, database_name, is_of_a_row, open_database, reached
from features.errors import LotRiskError
from serving.migrate import migrate
from serving.score_queue import Put, Queue
from serving.score_rows import ANSWERED, READ, SCORES, SHOWN, Row, give_room, insert_rows, plain, rows_of
from serving.spill import claimed, spill_rows, spilled_rows

log = logging.getLogger(__name__)

MAX_ROWS = 200_000
MAX_BYTES = 512 * 1024 * 1024
_EVERY = 0.2  # seconds between two transactions
_LOOK_EVERY = 1.0  # seconds between two looks at an idle database
_LONGEST_PAUSE = 2.0  # seconds between two tries while it refuses
_SILENT = 3.0  # seconds without an answer after which it counts as gone
_TOGETHER = 5000  # rows that are made ready together
_AT_ONCE = 500  # rows in a transaction: SQLite has one writer at a time, and the gate's decisions wait for it
_TURN = 0.005  # seconds between two, in which one who waits gets its turn
_ROW_BYTES = 300  # of a row without its vector
_CHUNK = 5000  # rows that are read at once


@dataclass(frozen=True)
class LoggedScores:
    """Scores of n lots that one call asked for. The log keeps the arrays: whoever puts them in leaves them alone."""

    lot_id: list[str]
    as_of: Array
    """int64 (n,), microseconds UTC."""
    asked_at: int
    risk: Array
    """float64 (n,); NaN: none."""
    expected_cost: Array
    decision: list[str]
    model_version: str
    vectors: Array
    """float64 (n, k); k = 0, or a row of NaN throughout, where there was nothing to score."""
    source: str
    propensity: Array | None = None  # float64 (n,), with which probability each was decided so; None: not known


class ScoreLog:
    """Takes scores at once and writes them from a thread of its own, each exactly once.

    While the database refuses, what was put in waits; `close` writes it or spills it into a file that a running or
    later log, of any process with the same `spill`, writes. SettingsError for a URL that is not usable.
    """

    def __init__(self, url: str, *, spill: Path, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES) -> None:
        self._url, self._engine, self._spill = url, open_database(url), spill
        give_room(self._engine)
        self._queue: Queue[LoggedScores] = Queue(max_rows=max_rows, max_bytes=max_bytes)
        self._wake = threading.Event()
        self._name = database_name(self._engine.url)
        self._fault = f"{self._name} has not been asked yet"
        self._asked: float | None = None
        self._looked = float("-inf")
        self._lost = 0
        self._begun = 0  # rows of those that wait longest, which are in the database by now
        self._migrated = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="score-log", daemon=True)
        self.written = 0
        """Rows."""

    def start(self) -> None:
        """Starts writing. The database is brought up to date as soon as it answers; this does not wait for it."""
        self._thread.start()

    def put(self, scores: LoggedScores) -> bool:
        """Takes the scores, in microseconds; False, and counted, when the log is full or closed."""
        rows = len(scores.lot_id)
        taken = self._queue.put(scores, rows=rows, size=scores.vectors.nbytes + rows * _ROW_BYTES)
        if self._queue.waiting >= _TOGETHER and not self._fault:
            self._wake.set()
        return taken

    @property
    def waiting(self) -> int:
        """Rows that are not yet in the database."""
        return self._queue.waiting

    @property
    def dropped(self) -> int:
        """Rows that were refused: the log was full or closed, or the database takes everything but them."""
        return self._queue.refused + self._lost

    @property
    def fault(self) -> str:
        """Why nothing can be written now; empty when it can."""
        if self._queue.closed:
            return "the score log is closed"
        if self._thread.ident is not None and not self._thread.is_alive():
            return "the score log's writer has stopped; restart the service"
        asked = self._asked
        if not self._fault and asked is not None and time.monotonic() - asked > _SILENT:
            return f"{self._name}: no answer for {_SILENT:.0f} s"
        return self._fault

    @property
    def healthy(self) -> bool:
        """Whether the database takes rows, as of about a second ago."""
        return not self.fault

    def close(self, timeout: float = 5.0) -> None:
        """Refuses more, and writes what waits within `timeout` seconds; what the database does not take is spilled."""
        if not self._queue.close():
            return
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._stopped = True
        self._spill_waiting()
        self._engine.dispose()

    def _run(self) -> None:
        pause, told = 0.0, 0
        while True:
            self._wake.wait(pause)
            self._wake.clear()
            closing = self._queue.closed
            try:
                self._round()
                pause = _EVERY
            except Exception as error:  # of whatever kind: the rows wait, and the writer must live
                pause = min(max(pause, _EVERY) * 2, _LONGEST_PAUSE)
                self._looked = float("-inf")
                fault = str(error) if isinstance(error, LotRiskError) else f"{self._name}: {type(error).__name__}"
                if self._fault != fault:
                    log.warning("scores wait in memory: %s", fault, exc_info=not isinstance(error, LotRiskError))
                self._fault = fault
            if self.dropped > told:
                log.error("the score log has refused %d scores so far; %d wait", self.dropped, self.waiting)
                told = self.dropped
            if closing:
                return

    def _round(self) -> None:
        if not self._migrated:
            with self._asking():
                migrate(self._url)
            self._migrated = True
        wrote = self._write_waiting()
        look = time.monotonic() - self._looked >= _LOOK_EVERY and not self._queue.closed
        if look and not wrote:
            with self._asking():
                check_writable(self._engine, SCORES.name)
        if self._fault:
            log.info("scores are logged to %s", self._name)
        self._fault = ""
        if look:
            self._looked = time.monotonic()
            self._take_spilled()

    def _write_waiting(self) -> bool:
        wrote = False
        while not self._stopped and (puts := self._queue.first(_TOGETHER)):
            rows = self._rows(puts)
            for start in range(self._begun, len(rows), _AT_ONCE):
                if start and not self._queue.closed:
                    time.sleep(_TURN)
                self._insert(rows[start : start + _AT_ONCE])
                self._begun = start + _AT_ONCE
            self._begun = 0
            self._queue.done(len(puts))
            wrote = True
        return wrote

    def _rows(self, puts: list[Put[LoggedScores]]) -> list[Row]:
        """Rows of all puts together, as most are of one lot; where one is no scores, of each by itself."""
        try:
            return _rows_of(puts)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            if len(puts) > 1:
                return [row for put in puts for row in self._rows([put])]
            self._lose(puts[0].rows, f"they are no scores: {error}")
            return []

    def _insert(self, rows: list[Row]) -> None:
        try:
            with self._asking(), self._engine.begin() as connection:
                insert_rows(connection, rows)
        except SQLAlchemyError as error:
            fault = database_fault(self._engine, error)
            if not is_of_a_row(error):
                self._engine.dispose()
                raise fault from None
            if len(rows) == 1:
                self._lose(1, str(fault))
                return
            half = len(rows) // 2
            self._insert(rows[:half])
            self._insert(rows[half:])
        else:
            self.written += len(rows)

    def _lose(self, rows: int, why: str) -> None:
        log.error("%d scores cannot be logged: %s", rows, why)
        self._lost += rows

    def _take_spilled(self) -> None:
        """Writes one spilled file, and what comes in meanwhile between its batches."""
        with claimed(self._spill) as path:
            if path is None:
                return
            try:
                for rows in spilled_rows(path):
                    for start in range(0, len(rows), _AT_ONCE):
                        self._insert(rows[start : start + _AT_ONCE])
                    self._write_waiting()
                    if self._queue.closed:
                        return
                path.unlink()
            except (pa.ArrowInvalid, OSError) as error:
                log.error("%s is put aside as %s: %s", path, path.with_suffix(".damaged").name, error)
                with suppress(OSError):
                    path.rename(path.with_suffix(".damaged"))

    def _spill_waiting(self) -> None:
        rows = self._queue.waiting
        if not rows:
            return
        try:
            path = spill_rows(self._spill, map(self._rows, self._queue.everything(_TOGETHER)))
        except OSError as error:
            self._lose(rows, f"{self._fault or 'out of time'}; no file can be written to {self._spill}: {error}")
        else:
            log.warning("%d scores wait in %s for the next start: %s", rows, path, self._fault or "out of time")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self._asked = time.monotonic()
        try:
            yield
        finally:
            self._asked = None


def scores_of_lot(engine: sa.Engine, lot_id: str, *, limit: int) -> list[dict[str, Any]]:
    """The lot's latest `limit` answered scores in the order in which they were asked for; times in microseconds UTC."""
    of_lot = sa.select(*(SCORES.c[name] for name in SHOWN)).where(SCORES.c.lot_id == plain(lot_id))
    latest = of_lot.where(ANSWERED).order_by(SCORES.c.asked_at.desc(), SCORES.c.id.desc()).limit(limit)
    with reached(engine), engine.connect() as connection:
        return [dict(row) for row in connection.execute(latest).mappings()][::-1]


def scores_between(
    engine: sa.Engine, start: int, end: int, *, model_version: str | None = None, vectors: bool = True
) -> "Iterator[pa.Table]":
    """Scores asked for in [start, end), microseconds UTC, in that order, as tables of a few thousand rows.

    `vectors`: with what the model saw, most of the bytes. A slow reader holds no transaction open.
    """
    when, number = SCORES.c.asked_at, SCORES.c.id
    read = {name: kind for name, kind in READ.items() if vectors or name != "vector"}
    query = sa.select(number, *(SCORES.c[name] for name in read)).order_by(when, number).limit(_CHUNK)
    query = query.where(within(when, start, end))
    if model_version is not None:
        query = query.where(SCORES.c.model_version == model_version)
    after = query
    while True:
        with reached(engine), engine.connect() as connection:
            rows = connection.execute(after).all()
        if not rows:
            return
        columns = zip(*(row[1:] for row in rows), strict=True)
        yield pa.table([pa.array(v, t) for v, t in zip(columns, read.values(), strict=True)], names=list(read))
        after = query.where(sa.tuple_(when, number) > sa.tuple_(rows[-1].asked_at, rows[-1].id))


def _rows_of(puts: list[Put[LoggedScores]]) -> list[Row]:
    scores = [put.what for put in puts]
    return rows_of(
        calls=[(put.batch, put.what.asked_at, put.what.model_version, put.what.source) for put in puts],
        lot_id=[one.lot_id for one in scores],
        as_of=[one.as_of for one in scores],
        risk=[one.risk for one in scores],
        expected_cost=[one.expected_cost for one in scores],
        decision=[one.decision for one in scores],
        vectors=[one.vectors for one in scores],
        propensity=[one.propensity for one in scores],
    )
