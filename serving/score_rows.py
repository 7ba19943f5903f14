"""The table of logged scores: its columns, and how rows go into it once.

Who asks twice whether a transaction was committed must not write it twice: a row's identity is the batch it came in
and its place there, and a row whose identity is known already is passed over.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from features.asof import Array

SCORES = sa.Table(
    "scores",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("batch", sa.LargeBinary, nullable=False),  # 16 bytes, drawn for each call of `put`
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
    ]
)
Row = dict[str, Any]
"""A value for each column of SCHEMA."""
SHOWN = ("as_of", "asked_at", "risk", "expected_cost", "decision", "model_version", "source")
READ = {
    "lot_id": pa.string(),
    "as_of": pa.int64(),
    "asked_at": pa.int64(),
    "risk": pa.float64(),
    "decision": pa.string(),
    "model_version": pa.string(),
    "source": pa.string(),
    "vector": pa.binary(),
}
_AT_ONCE = 1000  # rows in a statement
_LONGEST = 500  # characters; PostgreSQL refuses an index entry of more than 2,704 bytes


def plain(text: str) -> str:
    """Text that both databases take: without NUL and halves of surrogate pairs, and not endless."""
    if text.isascii() and "\0" not in text:
        return text[:_LONGEST]
    return text[:_LONGEST].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def insert_rows(connection: sa.Connection, rows: list[Row]) -> None:
    """Adds the rows that are not there yet."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    add = dialect.insert(SCORES).on_conflict_do_nothing(index_elements=["batch", "position"])
    for start in range(0, len(rows), _AT_ONCE):
        connection.execute(add, rows[start : start + _AT_ONCE])


def blobs(vectors: Array) -> list[bytes]:
    """The rows of float64 (n, k), little-endian; empty for one that is NaN throughout."""
    width = 8 * vectors.shape[1]
    if not width:
        return [b""] * len(vectors)
    whole = np.ascontiguousarray(vectors, "<f8").tobytes()
    empty = np.asarray(np.isnan(vectors).all(axis=1)).tolist()
    return [b"" if none else whole[at * width : (at + 1) * width] for at, none in enumerate(empty)]


def numbers(values: Array) -> list[float | None]:
    """Floats, None for NaN."""
    return [None if value != value else value for value in values.tolist()]
