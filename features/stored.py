"""Stored histories: what was ingested from the sources and what arrived, as parts of the raw tables.

`<state folder>/segments/` holds immutable Parquet files, the database says which of them exist. A segment has its
table's own columns, and of ours (int64, microseconds UTC): `_ingested_at`, when the row came in; `_known_at`, where a
row was changed in place in its source and so was known only when that was seen; `_arrival`, the id of a row that came
in by itself.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import sqlalchemy as sa

from features.asof import NO_TIME, Array, before
from features.card import iso
from features.catalogue import ARRIVALS, SEGMENTS
from features.contracts import TABLES
from features.database import database_file, open_database, reached
from features.errors import SourceUnreachable
from features.site import Site
from features.unite import as_written, unite

FOLDER = "segments"
INGESTED, KNOWN, ARRIVAL = "_ingested_at", "_known_at", "_arrival"
OURS = (INGESTED, KNOWN, ARRIVAL)
_PIECES = 50  # parts of a table; reading one in three thousand pieces takes five times as long as in one
_TYPES = {"number": pa.float64(), "units": pa.int64(), "count": pa.int64(), "flag": pa.int64()}


@dataclass(frozen=True)
class State:
    """The highest ids of segments and of arrivals that a reading stands on; 0: none."""

    segments: int = 0
    arrivals: int = 0


@dataclass(frozen=True)
class Segment:
    """A row of the catalogue."""

    id: int
    table: str
    file: str
    rows: int
    sha256: str
    ingested_at: int
    origin: str


@dataclass(frozen=True)
class Stored:
    """What is stored: of each table the rows from sources and those that arrived, with `OURS`; {}: nothing.

    `folded`, `unfolded`: those that arrived by where they are kept; `segments`: the ones that hold any of them.
    """

    source: Mapping[str, "pa.Table"] = field(default_factory=dict)
    folded: Mapping[str, "pa.Table"] = field(default_factory=dict)
    unfolded: Mapping[str, "pa.Table"] = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()
    state: State = field(default_factory=State)
    ingested_by: int | None = None
    """Only what came in strictly before was read; None: everything."""

    def arrived(self, name: str) -> "pa.Table | None":
        """All rows of a table that arrived; None: there are none."""
        parts = [part for kept in (self.folded, self.unfolded) if (part := kept.get(name)) is not None]
        return unite(name, parts) if parts else None

    @property
    def nothing(self) -> bool:
        """Whether there are no rows of any table."""
        return not (self.source or self.folded or self.unfolded)

    @property
    def waiting(self) -> int:
        """How many rows wait to be folded."""
        return sum(rows.num_rows for rows in self.unfolded.values())

    @property
    def last_arrival(self) -> int:
        """The highest id among the rows that arrived; 0: none did."""
        kept = [*self.folded.values(), *self.unfolded.values()]
        return max((int(pc.max(rows[ARRIVAL]).as_py()) for rows in kept), default=0)


class Store:
    """Reads what is stored. A segment never changes: what was read once is kept."""

    def __init__(self, site: Site, engine: sa.Engine) -> None:
        self._site, self.engine = site, engine
        self._read: dict[int, pa.Table] = {}
        self._united: dict[tuple[str, str], tuple[list[pa.Table], pa.Table]] = {}
        self._parsed: dict[str, Mapping[str, Any]] = {}
        self._made = False  # whether the database has had its tables

    def state(self) -> State:
        """Of this moment; DatabaseUnreachable."""
        with self._asking() as connection:
            return State() if connection is None else _state(connection)

    def all(self, *, ingested_by: int | None = None, upto: State | None = None) -> Stored:
        """What came in strictly before `ingested_by`, or what a reading of `upto` stood on; neither: everything.

        DatabaseUnreachable; SourceUnreachable where a segment is missing or was changed.
        """
        with self._asking() as connection:
            if connection is None:
                return Stored()
            state = upto or _state(connection)
            segments = [Segment(*row) for row in connection.execute(sa.select(*_COLUMNS).order_by(SEGMENTS.c.id))]
            asked = sa.select(ARRIVALS.c.id, ARRIVALS.c.table, ARRIVALS.c.row, ARRIVALS.c.received_at)
            asked = asked.where(ARRIVALS.c.segment.is_(None), ARRIVALS.c.id <= state.arrivals).order_by(ARRIVALS.c.id)
            waiting = connection.execute(asked).all()
        source: dict[str, list[pa.Table]] = {}
        folded: dict[str, list[pa.Table]] = {}
        unfolded: dict[str, pa.Table] = {}
        used = []
        for segment in segments:
            if segment.origin == "source":
                late = ingested_by is not None and not before(segment.ingested_at, ingested_by)
                if segment.id > state.segments or late:
                    continue
            rows = self.rows(segment)
            if segment.origin == "arrivals":
                if upto is not None:
                    rows = rows.filter(pc.less_equal(rows[ARRIVAL], state.arrivals))
                rows = _came_before(rows, ingested_by)
            if rows.num_rows:
                used.append(segment)
                (source if segment.origin == "source" else folded).setdefault(segment.table, []).append(rows)
        for name in dict.fromkeys(row.table for row in waiting):
            some = [(row.id, self._row(row.row), row.received_at) for row in waiting if row.table == name]
            if (rows := _came_before(arrivals_table(name, some), ingested_by)).num_rows:
                unfolded[name] = rows
        self._parsed = {row.row: self._parsed[row.row] for row in waiting}
        return Stored(
            {name: self._whole("source", name, parts) for name, parts in source.items()},
            {name: self._whole("folded", name, parts) for name, parts in folded.items()},
            unfolded,
            tuple(used),
            state,
            ingested_by,
        )

    def _whole(self, kept: str, name: str, parts: "list[pa.Table]") -> "pa.Table":
        """The parts united: made again where they are other ones than before."""
        earlier, whole = self._united.get((kept, name), ([], None))
        if whole is None or len(earlier) != len(parts) or any(a is not b for a, b in zip(earlier, parts, strict=True)):
            whole = unite(name, parts)
            if len(parts) > _PIECES:
                whole = whole.combine_chunks()
            self._united[kept, name] = parts, whole
        return whole

    def _row(self, text: str) -> Mapping[str, Any]:
        if text not in self._parsed:
            self._parsed[text] = json.loads(text)
        return self._parsed[text]

    def rows(self, segment: Segment) -> "pa.Table":
        """Those of a segment; SourceUnreachable where its file is not what the catalogue says."""
        if segment.id not in self._read:
            self._read[segment.id] = read_segment(self._site.state_dir / FOLDER / segment.file, segment)
        return self._read[segment.id]

    def folded(self, connection: sa.Connection, table: str, *, after: int = 0) -> "Iterator[tuple[Segment, pa.Table]]":
        """Segments of rows of a table that arrived, those after the one of that id, and what they hold."""
        asked = sa.select(*_COLUMNS).where(SEGMENTS.c.table == table, SEGMENTS.c.origin == "arrivals")
        for row in connection.execute(asked.where(SEGMENTS.c.id > after).order_by(SEGMENTS.c.id)).all():
            segment = Segment(*row)
            yield segment, self.rows(segment)

    @contextmanager
    def _asking(self) -> Iterator[sa.Connection | None]:
        """One look at the catalogue, of one moment; None where the database is not there or knows of no segments."""
        sqlite = self.engine.dialect.name == "sqlite"
        if sqlite and not database_file(self.engine.url).is_file():
            yield None
            return
        with reached(self.engine), self.engine.connect() as connection:
            if sqlite:
                connection.exec_driver_sql("BEGIN")
            else:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            self._made = self._made or sa.inspect(connection).has_table(SEGMENTS.name)
            yield connection if self._made else None


_COLUMNS = (
    SEGMENTS.c.id,
    SEGMENTS.c.table,
    SEGMENTS.c.file,
    SEGMENTS.c.rows,
    SEGMENTS.c.sha256,
    SEGMENTS.c.ingested_at,
    SEGMENTS.c.origin,
)


@contextmanager
def open_store(site: Site) -> Iterator[Store]:
    """A store over a connection of its own; makes no file."""
    engine = open_database(site.database_url)
    try:
        yield Store(site, engine)
    finally:
        engine.dispose()


def read_segment(path: Path, segment: Segment) -> "pa.Table":
    """The rows of a segment's file."""
    way_out = "put it back from a backup"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceUnreachable(f"{path}: a segment of {segment.table} ({error.strerror}); {way_out}") from None
    if hashlib.sha256(content).hexdigest() != segment.sha256:
        raise SourceUnreachable(f"{path}: a segment of {segment.table}, its sha256 is not the catalogue's; {way_out}")
    return pa.parquet.read_table(pa.BufferReader(content))


def arrivals_table(name: str, rows: Sequence[tuple[int, Mapping[str, Any], int]]) -> "pa.Table":
    """Rows that arrived, as (id, row, received at): numbers as numbers, all else as text, with `OURS`."""
    contract = TABLES[name]
    there = {column for _, row, _ in rows for column in row}
    names = [column.name for column in contract.columns if column.required or column.name in there]
    if name == "inspections" and not {"sample_size", "defects", "value"} & there:
        names += ["sample_size", "defects"]
    names += sorted(there - set(names))
    columns: dict[str, Any] = {}
    for column in names:
        known = contract.column(column)
        kind = pa.bool_() if column == "deleted" else _TYPES.get("" if known is None else known.kind, pa.string())
        columns[column] = pa.array([row.get(column) for _, row, _ in rows], kind)
    columns[INGESTED] = pa.array([received for *_, received in rows], pa.int64())
    columns[ARRIVAL] = pa.array([number for number, *_ in rows], pa.int64())
    return pa.table(columns)


def as_read(rows: "pa.Table") -> "pa.Table":
    """Stored rows as the contract reads them: without `OURS`, and known when a change in place was seen.

    ARRIVAL stays: what a source says counts for more.
    """
    if KNOWN in rows.column_names and rows[KNOWN].null_count < rows.num_rows:
        told = np.asarray(rows[KNOWN].fill_null(NO_TIME))
        rows = _with_known(rows, told)
    return rows.drop_columns([column for column in (INGESTED, KNOWN) if column in rows.column_names])


def _with_known(rows: "pa.Table", told: Array) -> "pa.Table":
    """`known_at` of those rows for which we know it better."""
    ours = pa.array(told != NO_TIME)
    moments = pa.array(told, pa.timestamp("us", "UTC"), mask=told == NO_TIME)
    if "known_at" not in rows.column_names or rows["known_at"].null_count == rows.num_rows:
        column: Any = moments
    else:
        column = rows["known_at"].combine_chunks()
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(moments.type)
            column = pc.if_else(ours, moments, column)
        else:
            written = pa.array([None if moment == NO_TIME else iso(moment) for moment in told.tolist()], pa.string())
            column = pc.if_else(ours, written, as_written(column))
    if "known_at" in rows.column_names:
        return rows.set_column(rows.column_names.index("known_at"), "known_at", column)
    return rows.append_column("known_at", column)


def _state(connection: sa.Connection) -> State:
    highest = (sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0)) for table in (SEGMENTS, ARRIVALS))
    return State(*(connection.execute(asked).scalar_one() for asked in highest))


def _came_before(rows: "pa.Table", moment: int | None) -> "pa.Table":
    return rows if moment is None else rows.filter(pa.array(before(np.asarray(rows[INGESTED]), moment)))
