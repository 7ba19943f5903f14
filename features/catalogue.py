"""The SQL catalogue of stored histories: which segments there are, and the rows that came in one by one.

A segment exists when its row is committed; its file never changes. An arrival is durable when its row is committed;
later it is folded into a segment, and its `row` is emptied.
"""

import sqlalchemy as sa

from features.database import METADATA

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SEGMENTS = sa.Table(
    "segments",
    METADATA,
    sa.Column("id", _NUMBER, primary_key=True),
    sa.Column("table", sa.Text, nullable=False),  # of the contract
    sa.Column("file", sa.Text, nullable=False, unique=True),  # in the state folder's `segments`
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),  # of the file
    sa.Column("ingested_at", sa.BigInteger, nullable=False),  # microseconds UTC, as all times
    sa.Column("origin", sa.Text, nullable=False),  # "source" or "arrivals"
)
ARRIVALS = sa.Table(
    "arrivals",
    METADATA,
    sa.Column("id", _NUMBER, primary_key=True),  # ascending in the order of commits
    sa.Column("table", sa.Text, nullable=False),
    sa.Column("version", sa.LargeBinary, nullable=False, unique=True),  # sha256 of table, key and known time
    sa.Column("digest", sa.LargeBinary, nullable=False),  # sha256 of all the row says; erased: without the text
    sa.Column("row", sa.Text),  # JSON; null once folded
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("segment", sa.BigInteger),  # that it was folded into
    sa.Index("arrivals_to_fold", "segment", "id"),
)
