"""Where the time of a decision goes, inside one process: the whole, statements and commits of the database, reasons.

The gate of a service is called as its lane calls it, with one call and with many at once; the driver's commits and
statements are timed by the engine's dialect and events, the reasons by themselves.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter, sleep, time_ns
from typing import Any

import numpy as np
import sqlalchemy as sa

from features.reasons import reasons
from features.score import Policy
from features.site import Site
from serving.answers import judgements_of
from serving.gate_answers import decide
from serving.gate_calls import read_gate_call
from serving.gate_ground import ground_of
from serving.metrics import Metrics
from serving.service import Service

ROUNDS = 150


@dataclass
class Spent:
    """Seconds so far."""

    commits: float = 0.0
    statements: float = 0.0


@contextmanager
def own_service(site: Site) -> Iterator[Service]:
    """A service in this process over what a keeper has published before."""
    service = Service(site, Metrics())
    service.start()
    while service.loaded.scorer is None or service.loaded.histories is None or not service.loaded.stored.segments:
        sleep(0.05)
    yield service
    service.close()


def timed(engine: sa.Engine) -> Spent:
    """Counts from now on."""
    spent, begun = Spent(), [0.0]
    commit = engine.dialect.do_commit

    def committing(connection: Any) -> None:
        since = perf_counter()
        commit(connection)
        spent.commits += perf_counter() - since

    engine.dialect.do_commit = committing  # type: ignore[method-assign]
    sa.event.listen(engine, "before_cursor_execute", lambda *_: begun.__setitem__(0, perf_counter()))

    def executed(*_: Any) -> None:
        spent.statements += perf_counter() - begun[0]

    sa.event.listen(engine, "after_cursor_execute", executed)
    return spent


def tell(site: Site, lots: list[str], *, name: str) -> None:
    """Prints a table: microseconds a call, with one call and with sixteen in a transaction."""
    with own_service(site) as service:
        spent = timed(service.engine)
        print(f"{name}, in process, us a call: {'':9} whole  decide  statements  commit  the rest  commit's share")
        for together in (1, 16):
            figures: list[tuple[float, float, float, float]] = []
            for turn in range(ROUNDS):
                calls = [_call(site, lots[(turn * together + one) % len(lots)], turn, one) for one in range(together)]
                now = service.gate.now()
                ground = ground_of(service.loaded, site, Policy.of(site), now=now)
                since = perf_counter()
                decide([one.call for one in calls], ground, timezone=site.timezone, now=now)
                deciding = perf_counter() - since
                before, since = Spent(spent.commits, spent.statements), perf_counter()
                answers = service.gate._run(calls)
                whole = perf_counter() - since
                if not all(isinstance(one, dict) for one in answers):
                    raise SystemExit(f"not decided: {answers[0]}")
                if turn >= ROUNDS // 5:
                    kept = spent.statements - before.statements, spent.commits - before.commits
                    figures.append((whole, deciding, *kept))
            parts = [1e6 * median(column) / together for column in zip(*figures, strict=True)]
            whole, deciding, statements, commits = parts
            rest = whole - deciding - statements - commits
            print(
                f"  {together:3} in a transaction {'':19} {whole:6.0f}  {deciding:6.0f}  {statements:10.0f}"
                f"  {commits:6.0f}  {rest:8.0f}  {commits / whole:13.0%}",
                flush=True,
            )
        _tell_reasons(service, lots)


def _tell_reasons(service: Service, lots: list[str]) -> None:
    """Of one lot by itself, and of sixteen."""
    bundle, histories = service.loaded.scorer, service.loaded.histories
    if bundle is None or bundle.bundle is None or histories is None:
        raise SystemExit("nothing to give reasons with")
    from features.score import score
    from serving.answers import Call, read_lots

    now = time_ns() // 1000
    _, asked, _ = read_lots([Call(lots[:64])], histories, timezone=service.timezone, now=now)
    said = score(bundle, histories, Policy.of(service.site), judgements_of(asked, histories))
    for many in (1, 16):
        took = []
        for turn in range(60):
            rows = said.vectors[np.arange(turn, turn + many) % len(said.vectors)]
            since = perf_counter()
            reasons(bundle.bundle, rows, language="en", most=5)
            took.append((perf_counter() - since) / many)
        print(
            f"  reasons of {many:2} lots: {1e3 * median(took):.2f} ms a lot, p99 {1e3 * np.quantile(took, 0.99):.2f}",
            flush=True,
        )


def _call(site: Site, lot: str, turn: int, one: int) -> Any:
    body = json.dumps({"lot_id": lot}).encode()
    key = f"inside {time_ns()} {turn} {one}"
    return read_gate_call(body, actor="benchmark", key=key, now=time_ns() // 1000, timezone=site.timezone)
