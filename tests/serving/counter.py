"""One worker's gate with its database, without a server: what tests of the gate ask."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from features.arrivals import keep, read_arrivals
from features.asof import DAY
from features.catalogue import ARRIVALS
from features.champion import read_scorer
from features.database import writing
from features.histories import Histories
from features.ingest import ingest
from features.reading import read_histories
from features.site import Site, read_site
from features.stored import open_store
from serving.access import Caller
from serving.gate_calls import Once, read_gate_call
from serving.metrics import Metrics
from serving.migrate import migrate
from serving.published import Published
from serving.service import Service
from serving.tables import AUDIT
from tests.serving.fitted import copied
from tests.serving.gate_desk import NOW, Row
from tests.serving.unsteady import postgres_schema

QUALITY, LINE, ADMIN = (Caller(role, f"a {role}", role) for role in ("quality", "line", "admin"))
LOT = "L000378"
GATE = """
[gate.authority]
quality = ["low", "medium", "unknown"]
admin = ["low", "medium", "high", "unknown", "rule"]
"""


class Counter:
    """One worker's gate over the small factory, at a moment of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.now, self.loop = NOW, asyncio.new_event_loop()
        self.site: Site = read_site(folder, {})
        migrate(self.site.database_url)
        with open_store(self.site) as store:
            ingest(store, self.site, now=NOW - DAY)
        self.service = Service(self.site, Metrics())
        self.service.gate._clock = lambda: self.now
        self.load()

    def load(self) -> None:
        """The histories as they are stored now."""
        reading = read_histories(self.site, now=self.now)
        state = reading.state
        published = Published(
            read_at=self.now,
            checked_at=self.now,
            segments=state.segments,
            arrivals=state.arrivals,
            read_now=self.now,
        )
        follower = self.service._follower
        follower.now = replace(
            follower.now,
            scorer=read_scorer(self.site.state_dir),
            histories=reading.histories,
            published=published,
            stored=published,
        )

    @property
    def histories(self) -> Histories:
        histories = self.service.loaded.histories
        assert histories is not None
        return histories

    def ask(self, body: Any, *, key: str | None = None, actor: str = "press 3") -> Row:
        call = read_gate_call(
            json.dumps(body).encode(), actor=actor, key=key, now=self.now, timezone=self.site.timezone
        )
        return dict(self.loop.run_until_complete(self.service.gate.ask(call)))

    def together(self, *bodies: Any) -> list[Any]:
        async def all_of() -> list[Any]:
            calls = [
                read_gate_call(json.dumps(body).encode(), actor="press 3", key=None, now=self.now, timezone="UTC")
                for body in bodies
            ]
            return await asyncio.gather(*map(self.service.gate.ask, calls), return_exceptions=True)

        return self.loop.run_until_complete(all_of())

    def override(self, audit_id: str, sent: Row, *, caller: Caller = QUALITY, key: str | None = None) -> Row:
        once = Once(f"override {audit_id}", key, json.dumps(sent))
        return self.service.followed.override(audit_id, sent, caller=caller, once=once, now=self.now)

    def carried_out(self, audit_id: str, sent: Row, *, caller: Caller = LINE, key: str | None = None) -> Row:
        once = Once(f"carried_out {audit_id}", key, json.dumps(sent))
        return self.service.followed.carried_out(audit_id, sent, caller=caller, once=once, now=self.now)

    def entries(self, kind: str = "decision") -> list[Any]:
        with self.service.engine.connect() as connection:
            asked = sa.select(AUDIT).where(AUDIT.c.kind == kind).order_by(AUDIT.c.seq)
            return list(connection.execute(asked).mappings())

    def arrived(self, table: str) -> list[Row]:
        with self.service.engine.connect() as connection:
            asked = sa.select(ARRIVALS.c.row).where(ARRIVALS.c.table == table).order_by(ARRIVALS.c.id)
            return [json.loads(row) for (row,) in connection.execute(asked)]

    def count(self, table: sa.Table) -> int:
        with self.service.engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def with_authority(factory: Path, folder: Path) -> Path:
    """The factory with who may overrule what."""
    copied(factory, folder)
    with (folder / "lotrisk.toml").open("a", encoding="utf-8") as file:
        file.write(GATE)
    return folder


def counter_over(database: str, folder: Path) -> Iterator[Counter]:
    """The gate of the site in `folder`, with a database of its own on either server."""
    if database == "sqlite":
        yield from _open(folder)
        return
    with postgres_schema() as url:
        text = (folder / "lotrisk.toml").read_text(encoding="utf-8")
        (folder / "lotrisk.toml").write_text(text.replace("[site]", f'[site]\ndatabase = "{url}"', 1), encoding="utf-8")
        yield from _open(folder)


def _open(folder: Path) -> Iterator[Counter]:
    counter = Counter(folder)
    yield counter
    counter.service.gate.close()
    counter.service.engine.dispose()
    counter.loop.close()


def arrive(counter: Counter, table: str, *rows: Row) -> None:
    read, bad = read_arrivals(table, rows, known_attributes=None, timezone="UTC", now=counter.now)
    assert not bad
    with writing(counter.service.engine) as connection:
        keep(connection, [arrival for _, arrival in read], received_at=NOW)
