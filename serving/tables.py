"""The SQL tables of the gate: audit log, salts, answers given once, keys, containments. Times in microseconds UTC.

An id may have 1,000 characters of three bytes. PostgreSQL's usual index takes 2,704 bytes, its hash index any text.
"""

import sqlalchemy as sa

from features.database import METADATA

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3, … without a gap
    sa.Column("at", sa.BigInteger, nullable=False),  # never earlier than the entry before
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),  # a key's id and name, or the user of a command
    sa.Column("body", sa.Text, nullable=False),  # JSON
    sa.Column("previous", sa.Text, nullable=False),  # hash of the entry before; of the first 64 zeros
    sa.Column("hash", sa.Text, nullable=False),  # sha256 of all the others, in hexadecimal
    sa.Index("audit_by_kind", "kind", "seq"),
)
SALTS = sa.Table(
    "salts",
    METADATA,
    sa.Column("hash", sa.Text, primary_key=True),  # as it stands in the audit log
    sa.Column("salt", sa.LargeBinary, nullable=False),  # without it nobody can tell what text the hash is of
    sa.Column("table", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),  # of the row whose text it is
    sa.Index("salts_of", "key", postgresql_using="hash"),
)
ANSWERS = sa.Table(
    "answers",
    METADATA,
    sa.Column("scope", sa.Text, primary_key=True),  # route and caller
    sa.Column("key", sa.Text, primary_key=True),  # the header Idempotency-Key
    sa.Column("request", sa.Text, nullable=False),  # sha256 of the body
    sa.Column("answer", sa.Text, nullable=False),  # JSON, as it was given
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Index("answers_by_time", "at"),
)
KEYS = sa.Table(
    "keys",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),  # sha256 of the secret, which nobody keeps
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.BigInteger),
    sa.Column("last_used_at", sa.BigInteger),  # to the minute
    sa.Column("replaces", sa.Text),  # the key that it was made from by a rotation
    sa.Column("calls_per_second", sa.Double),  # null: the site's limit
    sa.Column("body_bytes", sa.BigInteger),  # null: the site's limit
)
CONTAINMENTS = sa.Table(
    "containments",
    METADATA,
    sa.Column("id", _NUMBER, primary_key=True),
    sa.Column("scope", sa.Text, nullable=False),  # JSON, see serving.containments
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("opened_at", sa.BigInteger, nullable=False),
    sa.Column("opened_by", sa.Text, nullable=False),
    sa.Column("closed_at", sa.BigInteger),  # null: open
    sa.Column("closed_by", sa.Text),
    sa.Column("closed_reason", sa.Text),
)
FOLLOWED = sa.Table(
    "followed",
    METADATA,
    sa.Column("id", _NUMBER, primary_key=True),
    sa.Column("decision", sa.BigInteger, nullable=False),  # seq of its entry
    sa.Column("lot_id", sa.Text, nullable=False),  # one row each of a decision's lots
    sa.Column("now", sa.Text, nullable=False),  # the decision that stands: the gate's, or the last override's
    sa.Column("action", sa.Text),  # the last that was carried out; null: none was
    sa.Column("found", sa.Integer),  # at an inspection, 0 or 1
    sa.Column(
        "overruled", sa.BigInteger
    ),  # seq of the last override's entry; null: there was none, or it releases nothing
    sa.Column("failed", sa.BigInteger),  # seq of the last entry that says scrapped, or found failing
    sa.Index("followed_of_decision", "decision"),
    sa.Index("followed_of_lot", "lot_id", postgresql_using="hash"),
)
"""What became of decisions that were overridden or carried out; the audit log has how it came so."""
NEWEST = sa.Table(
    "newest",
    METADATA,
    sa.Column("lot", sa.LargeBinary, primary_key=True),  # the first 16 bytes of the sha256 of its id
    sa.Column("decision", sa.BigInteger, nullable=False),  # seq of its entry
    sqlite_with_rowid=False,
)
"""The newest decision about each lot, so that it is found without reading the audit log."""
