"""What a transaction of the gate looks at before it decides, asked in one statement.

Asked for one by one these were four of its statements; each costs 0.1 ms on SQLite and 0.3 ms on PostgreSQL, and no
two decisions of a database are made at a time.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from features.catalogue import ARRIVALS
from serving.audit import Last
from serving.recorded_rules import LAST_RULES
from serving.tables import AUDIT, CONTAINMENTS

# With its moment, for a database that was put back gives a number again.
_NAME = sa.cast(CONTAINMENTS.c.id, sa.Text) + "@" + sa.cast(CONTAINMENTS.c.opened_at, sa.Text)
_OPEN = sa.select(sa.func.aggregate_strings(_NAME, ",")).where(CONTAINMENTS.c.closed_at.is_(None))
_LAST = sa.select(AUDIT.c.seq, AUDIT.c.at, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1).subquery()
_ASKED = sa.select(
    _LAST.c.seq,
    _LAST.c.at,
    _LAST.c.hash,
    LAST_RULES.scalar_subquery().label("rules"),
    _OPEN.scalar_subquery().label("open"),
    sa.select(sa.func.max(ARRIVALS.c.id)).scalar_subquery().label("arrival"),
).select_from(sa.select(sa.literal(1).label("one")).subquery().outerjoin(_LAST, sa.true()))


@dataclass(frozen=True)
class Reads:
    """`last`: the audit log's last entry, None: it is empty; `rules`: hash of its last entry of rules; `open`: names
    of the open containments, whose scopes never change; `arrival`: the highest number of a row that arrived, 0: none.
    """

    last: Last | None
    rules: str | None
    open: frozenset[str]
    arrival: int


def read_first(connection: sa.Connection) -> Reads:
    """As it stands, inside `features.database.writing`: nothing of it changes until the transaction ends."""
    row: Any = connection.execute(_ASKED).one()
    last = None if row.seq is None else Last(row.seq, row.at, row.hash)
    names = frozenset(row.open.split(",")) if row.open else frozenset()
    return Reads(last, row.rules, names, row.arrival or 0)
