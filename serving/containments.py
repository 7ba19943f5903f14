"""What open containments hold, as every decision of the gate asks.

A scope is kept as JSON: `supplier_lots` and `lots` that are held, and `about`, what it was opened for; `since`, in
microseconds UTC, where that is a supplier lot which is still to come.
"""

import json
from collections.abc import Sequence
from functools import lru_cache

import sqlalchemy as sa

from features.asof import NO_TIME
from features.containment import Scope
from serving.tables import CONTAINMENTS

_OPEN = (
    sa.select(CONTAINMENTS.c.id, CONTAINMENTS.c.scope)
    .where(CONTAINMENTS.c.closed_at.is_(None))
    .order_by(CONTAINMENTS.c.id)
)


def open_scopes(connection: sa.Connection) -> list[Scope]:
    """What the open containments hold, the oldest first."""
    return [scope_of(number, text) for number, text in connection.execute(_OPEN)]


def scopes_of(connection: sa.Connection, ids: Sequence[int]) -> list[Scope]:
    """What containments of these numbers hold or held, the oldest first."""
    row = CONTAINMENTS.c
    asked = sa.select(row.id, row.scope).where(row.id.in_(ids)).order_by(row.id)
    return [scope_of(number, text) for number, text in connection.execute(asked)]


@lru_cache(maxsize=256)
def scope_of(number: int, text: str) -> Scope:
    """Read once: every decision asks, and a scope never changes."""
    said = json.loads(text)
    return Scope(number, tuple(said["supplier_lots"]), tuple(said["lots"]), said.get("since", NO_TIME))
