"""What the gate stands on: rows that arrive, segments, the audit log, keys, containments."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NEVER_CHANGED = """
    CREATE TRIGGER audit_{0} BEFORE {0} ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END"""
_NEVER_CHANGED_POSTGRESQL = """
    CREATE FUNCTION audit_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$"""


def upgrade() -> None:
    """What the columns mean stands where each table is used: `features.catalogue`, `serving.audit`, `serving.keys`,
    `serving.once`, `serving.containments` and `serving.overtaken`."""
    op.create_table(
        "segments",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("table", sa.Text, nullable=False),
        sa.Column("file", sa.Text, nullable=False, unique=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("ingested_at", sa.BigInteger, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
    )
    op.create_table(
        "arrivals",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("table", sa.Text, nullable=False),
        sa.Column("version", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("row", sa.Text),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("segment", sa.BigInteger),
    )
    op.create_index("arrivals_to_fold", "arrivals", ["segment", "id"])
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_index("audit_by_kind", "audit", ["kind", "seq"])
    op.create_table(
        "salts",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("table", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
    )
    op.create_index("salts_of", "salts", ["table", "key"])
    op.create_table(
        "answers",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("answers_by_time", "answers", ["at"])
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("replaces", sa.Text),
        sa.Column("calls_per_second", sa.Double),
        sa.Column("body_bytes", sa.BigInteger),
    )
    op.create_table(
        "containments",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("opened_by", sa.Text, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
        sa.Column("closed_by", sa.Text),
        sa.Column("closed_reason", sa.Text),
    )
    op.create_table(
        "followed",
        sa.Column("decision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("lot_id", sa.Text, primary_key=True),
        sa.Column("now", sa.Text, nullable=False),
        sa.Column("action", sa.Text),
        sa.Column("found", sa.Integer),
        sa.Column("overruled", sa.BigInteger),
        sa.Column("failed", sa.BigInteger),
    )
    op.create_index("followed_of_lot", "followed", ["lot_id"])
    op.create_table(
        "decided",
        sa.Column("lot", sa.LargeBinary, primary_key=True),
        sa.Column("decision", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(_NEVER_CHANGED.format(change))
    else:
        op.execute(_NEVER_CHANGED_POSTGRESQL)
        op.execute(
            "CREATE TRIGGER audit_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_added_to()"
        )
