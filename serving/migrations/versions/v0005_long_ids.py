"""Indexes that take every id that the contract allows: PostgreSQL's usual one refuses more than 2,704 bytes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_SAID = "decision, lot_id, now, action, found, overruled, failed"


def upgrade() -> None:
    """A hash in place of a text in each index over ids, and a number as the key of `followed`."""
    postgresql = op.get_bind().dialect.name != "sqlite"
    if postgresql:
        # What a lot-risk of before is writing is waited for. It goes on afterwards: it names no column that goes.
        op.execute("LOCK TABLE followed, salts IN ACCESS EXCLUSIVE MODE")
        op.execute("SET LOCAL statement_timeout = 0")
    op.drop_index("followed_of_lot", "followed")
    op.drop_index("salts_of", "salts")
    if postgresql:
        op.execute("ALTER TABLE followed DROP CONSTRAINT followed_pkey, ADD COLUMN id BIGSERIAL PRIMARY KEY")
    else:
        _anew()
    op.create_index("followed_of_decision", "followed", ["decision"])
    op.create_index("followed_of_lot", "followed", ["lot_id"], postgresql_using="hash")
    op.create_index("salts_of", "salts", ["key"], postgresql_using="hash")


def _anew() -> None:
    """SQLite changes no key of a table that is there."""
    op.rename_table("followed", "followed_before")
    op.create_table(
        "followed",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("decision", sa.BigInteger, nullable=False),
        sa.Column("lot_id", sa.Text, nullable=False),
        sa.Column("now", sa.Text, nullable=False),
        sa.Column("action", sa.Text),
        sa.Column("found", sa.Integer),
        sa.Column("overruled", sa.BigInteger),
        sa.Column("failed", sa.BigInteger),
    )
    op.execute(f"INSERT INTO followed ({_SAID}) SELECT {_SAID} FROM followed_before")  # noqa: S608
    op.drop_table("followed_before")
