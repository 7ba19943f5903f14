"""Erases complaint text: its salts, without which the audit log's hashes are of nothing, and in rows not folded."""

import json
from typing import Any

import sqlalchemy as sa

from features.catalogue import ARRIVALS
from features.contracts import TABLES
from features.database import writing
from features.errors import LotRiskError
from serving.audit import append
from serving.tables import SALTS

FREE_TEXT = {"returns": ("description",), "surveys": ("comment",), "actions": ("title",)}
"""By table, the columns in which people write what they like."""

NOT_REACHED = (
    "Not reached: what the sources say (a CRM, a file: erase it there, or it comes back with the next reading), "
    "segments in .lotrisk/segments, mapped histories in .lotrisk/serving, quarantine, reports, backups and copies."
)


def key_of(table: str, row: dict[str, Any]) -> str:
    """What names a row in the audit log and among the salts: the columns of its key, with / between them."""
    return "/".join("" if row.get(name) is None else str(row[name]) for name in TABLES[table].key)


def erase(engine: sa.Engine, *, table: str, key: str, reason: str, actor: str, at: int) -> dict[str, Any]:
    """Erases the text of the row `key` of `table`; returns the entry's number, how many salts and rows.

    LotRiskError where nothing of it is there.
    """
    with writing(engine) as connection:
        mine = (SALTS.c.table == table) & (SALTS.c.key == key)
        erased = sorted(connection.execute(sa.select(SALTS.c.hash).where(mine)).scalars())
        connection.execute(sa.delete(SALTS).where(mine))
        rows = _empty_arrivals(connection, table, key)
        if not erased and not rows:
            raise LotRiskError(
                f"{table} {key}: neither a salt nor a row that is not folded has text of it. {NOT_REACHED}"
            )
        body = {"table": table, "key": key, "reason": reason, "erased": erased, "rows": rows}
        entry = append(connection, kind="erasure", actor=actor, body=body, at=at)
    return {"audit_id": entry.seq, "salts": len(erased), "rows": rows}


def _empty_arrivals(connection: sa.Connection, table: str, key: str) -> int:
    """Takes the text out of rows that wait to be folded; returns of how many."""
    asked = sa.select(ARRIVALS.c.id, ARRIVALS.c.row).where(ARRIVALS.c.table == table, ARRIVALS.c.row.is_not(None))
    emptied = 0
    for number, told in connection.execute(asked).all():
        row = json.loads(told)
        texts = [name for name in FREE_TEXT[table] if row.get(name) is not None]
        if texts and key_of(table, row) == key:
            without = json.dumps(row | dict.fromkeys(texts), ensure_ascii=False, separators=(",", ":"))
            connection.execute(sa.update(ARRIVALS).where(ARRIVALS.c.id == number).values(row=without))
            emptied += 1
    return emptied
