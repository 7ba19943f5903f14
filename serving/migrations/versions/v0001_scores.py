"""The score log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the table `scores`; what its columns mean stands in `serving.score_rows`."""
    op.create_table(
        "scores",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("batch", sa.LargeBinary, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("lot_id", sa.Text, nullable=False),
        sa.Column("as_of", sa.BigInteger, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("risk", sa.Double),
        sa.Column("expected_cost", sa.Double),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("batch", "position", name="scores_once"),
    )
    op.create_index("scores_of_lot", "scores", ["lot_id", "asked_at"])
    op.create_index("scores_by_time", "scores", ["asked_at", "id", "model_version"])
