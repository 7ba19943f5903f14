"""Erases complaint text: its salts, without which the audit log's hashes are of nothing, and in rows that arrived.

The digest of such a row becomes that of the row without its text, else a text could be tried out against it. A row that
is folded is looked for in its segment, which never changes.
"""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from features.arrivals import digest_of
from features.catalogue import ARRIVALS
from features.contracts import TABLES
from features.database import reached, writing
from features.errors import LotRiskError
from features.output import to_json
from features.stored import ARRIVAL, OURS, Store
from serving.audit import append
from serving.tables import SALTS

FREE_TEXT = {"returns": ("description",), "surveys": ("comment",), "actions": ("title",)}
"""By table, the columns in which people write what they like."""

NOT_REACHED = (
    "Not reached: what the sources say (a CRM, a file: erase it there, or it comes back with the next reading), "
    "segments in .lotrisk/segments, mapped histories in .lotrisk/serving, quarantine, reports; hashes over whole "
    "calls, files and tables, by which who has all the rest may try out a text; what the database's files keep of "
    "rows that were changed, until it writes there anew; backups and copies."
)


def key_of(table: str, row: Mapping[str, Any]) -> str:
    """What names a row in the audit log and among the salts: the columns of its key, with / between them."""
    return "/".join("" if row.get(name) is None else str(row[name]) for name in TABLES[table].key)


def erase(store: Store, *, table: str, key: str, reason: str, actor: str, at: int) -> dict[str, Any]:
    """Erases the text of the row `key` of `table`; returns the entry's number, how many salts, rows and digests.

    LotRiskError where nothing of it is there; SourceUnreachable where a segment is missing.
    """
    with reached(store.engine), store.engine.connect() as connection:
        folded, last = _folded(store, connection, table, key)  # all but the newest, while others may write
    with writing(store.engine) as connection:
        mine = (SALTS.c.table == table) & (SALTS.c.key == key)
        erased = sorted(connection.execute(sa.select(SALTS.c.hash).where(mine)).scalars())
        connection.execute(sa.delete(SALTS).where(mine))
        folded |= _folded(store, connection, table, key, after=last)[0]
        waiting = _waiting(connection, table, key)
        rows = sum(_take_out(connection, table, number, row) for number, row in waiting.items())
        digests = sum(_replace_digest(connection, table, *one) for one in (folded | waiting).items())
        if not (erased or rows or digests):
            raise LotRiskError(f"{table} {key}: neither a salt nor a row that arrived has text of it. {NOT_REACHED}")
        body = {"table": table, "key": key, "reason": reason, "erased": erased, "rows": rows, "digests": digests}
        entry = append(connection, kind="erasure", actor=actor, body=body, at=at)
    return {"audit_id": entry.seq, "salts": len(erased), "rows": rows, "digests": digests}


def _waiting(connection: sa.Connection, table: str, key: str) -> dict[int, dict[str, Any]]:
    """The rows of that key that wait to be folded, by their number."""
    asked = sa.select(ARRIVALS.c.id, ARRIVALS.c.row).where(ARRIVALS.c.table == table, ARRIVALS.c.row.is_not(None))
    rows = ((number, json.loads(told)) for number, told in connection.execute(asked).all())
    return {number: row for number, row in rows if key_of(table, row) == key}


def _folded(
    store: Store, connection: sa.Connection, table: str, key: str, *, after: int = 0
) -> tuple[dict[int, dict[str, Any]], int]:
    """Those that segments hold, as they arrived; and the last segment that was looked into."""
    found = {}
    for segment, rows in store.folded(connection, table, after=after):
        names = [name for name in TABLES[table].key if name in rows.column_names]
        mine = pa.array([key_of(table, row) == key for row in rows.select(names).to_pylist()], pa.bool_())
        for row in rows.filter(mine).to_pylist():
            told = {name: value for name, value in row.items() if value is not None and name not in OURS}
            found[int(row[ARRIVAL])] = told
        after = segment.id
    return found, after


def _take_out(connection: sa.Connection, table: str, number: int, row: Mapping[str, Any]) -> bool:
    """Whether the row had a text."""
    without = without_text(table, row)
    if without != row:
        connection.execute(sa.update(ARRIVALS).where(ARRIVALS.c.id == number).values(row=to_json(without)))
    return any(row.get(name) is not None for name in FREE_TEXT[table])


def _replace_digest(connection: sa.Connection, table: str, number: int, row: Mapping[str, Any]) -> int:
    digest = digest_of(without_text(table, row))
    other = (ARRIVALS.c.id == number) & (ARRIVALS.c.digest != digest)
    return connection.execute(sa.update(ARRIVALS).where(other).values(digest=digest)).rowcount


def without_text(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as it would be sent without people's own words."""
    return {name: value for name, value in row.items() if name not in FREE_TEXT.get(table, ())}
