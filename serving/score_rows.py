"""The table of logged scores: its columns, and how rows go into it once.

Who asks twice whether a transaction was committed must not write it twice: a row's identity is the batch it came in
and its place there, and a row whose identity is known already is passed over.
"""

from collections.abc import Sequence
from itertools import chain, groupby, islice, repeat
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from features.asof import Array
from features.database import METADATA

SCORES = sa.Table(
    "scores",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("batch", sa.LargeBinary, nullable=False),  # 16 bytes, one for each call of `put`, ascending in time
    sa.Column("position", sa.Integer, nullable=False),  # of the row in its batch
    sa.Column("lot_id", sa.Text, nullable=False),
    sa.Column("as_of", sa.BigInteger, nullable=False),  # microseconds since 1970-01-01T00:00Z
    sa.Column("asked_at", sa.BigInteger, nullable=False),  # the same
    sa.Column("risk", sa.Double),  # null: the lot could not be scored
    sa.Column("expected_cost", sa.Double),  # of releasing, in the site's currency
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),  # which part of the service asked
    sa.Column("vector", sa.LargeBinary, nullable=False),  # float64, little-endian, in the card's order; or empty
    sa.Column("propensity", sa.Double),  # probability with which the decision was taken; null: not known
    sa.UniqueConstraint("batch", "position", name="scores_once"),
    sa.Index("scores_of_lot", "lot_id", "asked_at"),
    sa.Index("scores_by_time", "asked_at", "id", "model_version"),
)
SCHEMA = pa.schema(
    [
        ("batch", pa.binary(16)),
        ("position", pa.int32()),
        ("lot_id", pa.string()),
        ("as_of", pa.int64()),
        ("asked_at", pa.int64()),
        ("risk", pa.float64()),
        ("expected_cost", pa.float64()),
        ("decision", pa.string()),
        ("model_version", pa.string()),
        ("source", pa.string()),
        ("vector", pa.large_binary()),
        ("propensity", pa.float64()),
    ]
)
OLD_SCHEMA = pa.schema([field for field in SCHEMA if field.name != "propensity"])
"""Of files that a lot-risk of before `propensity` has spilled."""
Row = tuple[Any, ...]
"""A value for each column of SCHEMA, in its order."""
SHOWN = ("as_of", "asked_at", "risk", "expected_cost", "decision", "model_version", "source", "propensity")
SHADOW = "shadow"
"""The source of the challenger's scores, which were answered to nobody."""
ANSWERED = SCORES.c.source != SHADOW
READ = {
    "lot_id": pa.string(),
    "as_of": pa.int64(),
    "asked_at": pa.int64(),
    "risk": pa.float64(),
    "decision": pa.string(),
    "model_version": pa.string(),
    "source": pa.string(),
    "vector": pa.binary(),
    "propensity": pa.float64(),
}
_AT_ONCE = 1000  # rows in a statement
_INTO_SQLITE = """
    INSERT INTO scores (
        batch, position, lot_id, as_of, asked_at, risk, expected_cost, decision, model_version, source, vector,
        propensity
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (batch, position) DO NOTHING"""
# A parameter a column, in the binary form (%b): as text, vectors are sent at twice their size and cost five times.
_INTO_POSTGRESQL = """
    INSERT INTO scores (
        batch, position, lot_id, as_of, asked_at, risk, expected_cost, decision, model_version, source, vector,
        propensity
    ) SELECT * FROM unnest(
        %b::bytea[], %b::int[], %b::text[], %b::bigint[], %b::bigint[], %b::float8[], %b::float8[], %b::text[],
        %b::text[], %b::text[], %b::bytea[], %b::float8[]
    ) ON CONFLICT (batch, position) DO NOTHING"""
_BLOCK = 50  # matrices copied together; with thousands the memory is new each time, and a row costs 4 us more
_ROOM = 16 * 1024  # kB; 64 MB is no faster then
_LONGEST = 500  # characters; PostgreSQL refuses an index entry of more than 2,704 bytes


def plain(text: str) -> str:
    """Text that both databases take: without NUL and halves of surrogate pairs, and not endless."""
    if text.isascii() and "\0" not in text:
        return text[:_LONGEST]
    return text[:_LONGEST].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def insert_rows(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Adds the rows that are not there yet.

    The driver's own ways: 6 us of a core a row for SQLite and 4 for PostgreSQL, where Core's insert takes 10 and 20.
    """
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(_INTO_SQLITE, list(some))
        else:
            connection.exec_driver_sql(_INTO_POSTGRESQL, tuple(map(list, zip(*some, strict=True))))


def give_room(engine: sa.Engine) -> None:
    """SQLite keeps more of its indexes in memory: after 300,000 rows of lots in no order, 19 us a row and not 24."""
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA cache_size = -{_ROOM}"))


def rows_of(
    *,
    calls: Sequence[tuple[bytes, int, str, str]],
    lot_id: Sequence[Sequence[str]],
    as_of: Sequence[Array],
    risk: Sequence[Array],
    expected_cost: Sequence[Array],
    decision: Sequence[Sequence[str]],
    vectors: Sequence[Array],
    propensity: Sequence[Array | None],
) -> list[Row]:
    """A row a lot of many calls at once, as most are of one lot; each part has an entry for each call.

    `calls`: identity, asked_at, model version, source. Raises where scores are not what they should be.
    """
    sizes = list(map(len, lot_id))
    likely = [np.full(size, np.nan) if one is None else one for one, size in zip(propensity, sizes, strict=True)]
    if any(list(map(len, part)) != sizes for part in (as_of, risk, expected_cost, decision, vectors, likely)):
        raise ValueError("not as many of each part as lots")
    if not any(sizes):
        return []
    same = [(batch, asked_at, plain(version), plain(source)) for batch, asked_at, version, source in calls]
    batch, asked_at, version, source = zip(*chain.from_iterable(map(repeat, same, sizes)), strict=True)
    columns = {
        "batch": batch,
        "position": chain.from_iterable(map(range, sizes)),
        "lot_id": map(plain, chain.from_iterable(lot_id)),
        "as_of": chain.from_iterable(moments.tolist() for moments in as_of),
        "asked_at": asked_at,
        "risk": _numbers(risk),
        "expected_cost": _numbers(expected_cost),
        "decision": map(plain, chain.from_iterable(decision)),
        "model_version": version,
        "source": source,
        "vector": _blobs(vectors),
        "propensity": _numbers(likely),
    }
    return list(zip(*(columns[name] for name in SCHEMA.names), strict=True))


def _blobs(vectors: Sequence[Array]) -> list[bytes]:
    """The rows of matrices float64 (n, k), little-endian; empty for one that is NaN throughout."""
    found: list[bytes] = []
    for width, alike in groupby(vectors, key=lambda matrix: 8 * matrix.shape[1]):
        while some := list(islice(alike, _BLOCK)):
            whole = np.concatenate(some).astype("<f8", copy=False)
            data = whole.tobytes()
            empty = np.asarray(np.isnan(whole).all(axis=1)).tolist()
            found += [b"" if none else data[at * width : (at + 1) * width] for at, none in enumerate(empty)]
    return found


def _numbers(values: Sequence[Array]) -> list[float | None]:
    """None for NaN."""
    return [None if value != value else value for value in np.concatenate(values).tolist()]
