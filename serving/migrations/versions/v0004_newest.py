"""Of each lot only the newest decision is looked up, and only that one is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """A row a lot in place of one a decision; the audit log has them all."""
    if op.get_bind().dialect.name != "sqlite":
        # A lot-risk of before may still be deciding: what it adds is waited for, and not dropped with the table.
        op.execute("LOCK TABLE decided IN ACCESS EXCLUSIVE MODE")
        op.execute("SET LOCAL statement_timeout = 0")  # ten million decisions take longer than the usual limit
    op.create_table(
        "newest",
        sa.Column("lot", sa.LargeBinary, primary_key=True),
        sa.Column("decision", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO newest (lot, decision) SELECT lot, max(decision) FROM decided GROUP BY lot")
    op.drop_table("decided")
