"""A site whose histories are stored, and what a test does to it."""

import time
from pathlib import Path
from typing import Any

from features.arrivals import keep, read_arrivals
from features.database import writing
from features.ingest import Ingested, ingest
from features.site import Site
from features.stored import open_store
from serving.migrate import migrate

SECOND = 1_000_000


def ingested(site: Site, *, now: int) -> dict[str, tuple[int, int, int]]:
    """Ingests; (new, changed, folded) of each table of which anything was."""
    migrate(site.database_url)
    with open_store(site) as store:
        found: list[Ingested] = ingest(store, site, now=now)
    told = {one.table: (one.new, one.changed, one.folded) for one in found}
    return {name: counts for name, counts in told.items() if any(counts)}


def arrived(site: Site, table: str, *rows: dict[str, Any], now: int, names: Any = None) -> list[str]:
    """Keeps rows that arrive; what is said of each."""
    migrate(site.database_url)
    read, refused = read_arrivals(table, rows, known_attributes=names, timezone=site.timezone, now=now)
    assert not refused, refused
    with open_store(site) as store, writing(store.engine) as connection:
        return keep(connection, [arrival for _, arrival in read], received_at=now)


def segments(site: Site) -> list[Path]:
    return sorted((site.state_dir / "segments").glob("*.parquet"))


def clock() -> int:
    return time.time_ns() // 1000
