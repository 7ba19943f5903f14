"""The probability with which a logged decision was taken."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the column; of scores logged before it is not known."""
    op.add_column("scores", sa.Column("propensity", sa.Double))
