"""`lotrisk ingest`: what is new in the sources, and the rows that arrived, become segments.

A segment's file is on the disk before its row is committed; a file without a row is what a killed ingest left, and the
next one puts it aside. Whoever ingests holds a lock: a second one waits, and finds nothing left to do.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet
import sqlalchemy as sa

from features.additions import Additions, additions
from features.asof import before
from features.catalogue import ARRIVALS, SEGMENTS
from features.contracts import TABLES
from features.database import reached, writing
from features.errors import SourceUnreachable
from features.gate_settings import VALUED
from features.output import write_whole
from features.site import Site
from features.sources import open_sources
from features.stored import FOLDER, Store, Stored, arrivals_table
from features.synced import sync, sync_folder

LOCK = "ingest.lock"
ASIDE = "aside"
FOLDED = 50_000  # rows that arrived, in one transaction


@dataclass
class Ingested:
    """What became of one table's rows."""

    table: str
    new: int = 0
    changed: int = 0
    folded: int = 0


@dataclass(frozen=True)
class _Made:
    """A segment whose file is there."""

    table: str
    file: str
    rows: int
    sha256: str


def ingest(store: Store, site: Site, *, now: int, raw: "Mapping[str, pa.Table] | None" = None) -> list[Ingested]:
    """Stores what is new. `raw`: the sources' tables, where they are at hand.

    SourceUnreachable and ContractViolation where a source cannot be used, before anything is stored;
    DatabaseUnreachable where the catalogue cannot be written.
    """
    folder = site.state_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(site.state_dir / LOCK):
        _sweep(store, folder)
        tables = read_sources(site) if raw is None else raw
        stored = store.all()
        if rules := disarmed(stored, tables, site):
            raise SourceUnreachable("; ".join(rules))
        last = max((segment.ingested_at for segment in stored.segments), default=now)
        moment = max(now, last + 1) if before(now, last + 1) and stored.segments else now  # the clock may step back
        found = {name: Ingested(name) for name in TABLES}
        made = []
        for name, table in tables.items():
            new = added_to(stored, name, table, site, now=moment)
            found[name].new, found[name].changed = new.new, new.changed
            if new.rows.num_rows:
                made.append(_written(folder, name, new.rows))
        if made:
            with writing(store.engine) as connection:
                for segment in made:
                    _enter(connection, segment, moment, "source")
        for name, folded in _fold(store, folder, moment).items():
            found[name].folded = folded
    return [one for one in found.values() if one.new or one.changed or one.folded or one.table in tables]


def read_sources(site: Site) -> "dict[str, pa.Table]":
    """The tables as the sources give them, by name."""
    with open_sources(site) as sources:
        return {name: table for name in TABLES if (table := sources.read(name)) is not None}


def gone(stored: Stored, tables: "Mapping[str, pa.Table]") -> list[str]:
    """Of which tables a source gave rows before and there is none now, a sentence each; what is stored stays."""
    return [
        f"{name}: the source of its {rows.num_rows:,} stored rows is gone; put it back, or an empty table in its place"
        for name, rows in stored.source.items()
        if name not in tables
    ]


def disarmed(stored: Stored, tables: "Mapping[str, pa.Table]", site: Site) -> list[str]:
    """Which of the gate's rules looks at a column that a source gave before and gives no more, a sentence each.

    Without it no row would say that a supplier lot is blocked, and all would be free.
    """
    found = []
    for rule, name in VALUED.items():
        looks, before_, now = getattr(site.gate.rules, rule), stored.source.get(name), tables.get(name)
        if looks.action == "off" or before_ is None or now is None or looks.column in now.column_names:
            continue
        if looks.column in before_.column_names:
            found.append(
                f"{name}: the source gives no column {looks.column} any more, by which [gate.rules] {rule} holds lots; "
                'put it back, name another column there, or set action = "off"'
            )
    return found


def added_to(stored: Stored, name: str, table: "pa.Table", site: Site, *, now: int) -> Additions:
    """What the source's table adds to what is stored."""
    source, arrived = stored.source.get(name), stored.arrived(name)
    return additions(name, table, source=source, arrived=arrived, timezone=site.timezone, now=now)


def _fold(store: Store, folder: Path, now: int) -> dict[str, int]:
    """Turns rows that arrived into segments, a table at a time; a row is in one or the other at every moment."""
    folded: dict[str, int] = {}
    columns = (ARRIVALS.c.id, ARRIVALS.c.row, ARRIVALS.c.received_at)
    while True:
        waiting = sa.select(ARRIVALS.c.table).where(ARRIVALS.c.segment.is_(None)).order_by(ARRIVALS.c.id).limit(1)
        with reached(store.engine), store.engine.connect() as connection:
            name = connection.execute(waiting).scalar_one_or_none()
            if name is None:
                return folded
            asked = sa.select(*columns).where(ARRIVALS.c.segment.is_(None), ARRIVALS.c.table == name)
            asked = asked.order_by(ARRIVALS.c.id)
            rows = connection.execute(asked.limit(FOLDED)).all()
        told = arrivals_table(name, [(row.id, json.loads(row.row), row.received_at) for row in rows])
        segment = _written(folder, name, told)
        ours = ARRIVALS.c.segment.is_(None) & (ARRIVALS.c.table == name) & (ARRIVALS.c.id <= rows[-1].id)
        with writing(store.engine) as connection:
            # A text that was erased, or a fold on another machine, since they were read: 0.15 s of 50,000 rows' 1.1.
            same = connection.execute(asked.where(ours)).all() == rows
            if same:
                number = _enter(connection, segment, now, "arrivals")
                connection.execute(ARRIVALS.update().where(ours).values(segment=number, row=None))
        if same:
            folded[name] = folded.get(name, 0) + len(rows)
        else:
            (folder / segment.file).unlink(missing_ok=True)


def _written(folder: Path, name: str, rows: "pa.Table") -> _Made:
    """A segment's file, whole and on the disk."""
    path = folder / f"{name}-{uuid4().hex}.parquet"
    digest = hashlib.sha256()

    def write(temporary: str) -> None:
        pa.parquet.write_table(rows, temporary, compression="zstd")
        with Path(temporary).open("rb") as file:
            sync(file)
            digest.update(file.read())

    write_whole(path, write)
    sync_folder(folder)
    return _Made(name, path.name, rows.num_rows, digest.hexdigest())


def _enter(connection: sa.Connection, made: _Made, now: int, origin: str) -> int:
    """From its commit on the segment exists; its id."""
    row = {"table": made.table, "file": made.file, "rows": made.rows, "sha256": made.sha256}
    added = connection.execute(SEGMENTS.insert().values(**row, ingested_at=now, origin=origin))
    return int(added.inserted_primary_key[0])  # type: ignore[index]


def _sweep(store: Store, folder: Path) -> None:
    """Puts files aside that no row of the catalogue names: garbage, unless somebody put an old database back."""
    with reached(store.engine), store.engine.connect() as connection:
        named = set(connection.execute(sa.select(SEGMENTS.c.file)).scalars())
    for path in folder.glob("*.parquet"):
        if path.name.startswith(".new-"):
            path.unlink(missing_ok=True)
        elif path.name not in named:
            (folder / ASIDE).mkdir(exist_ok=True)
            path.replace(folder / ASIDE / path.name)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
