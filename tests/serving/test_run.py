"""Processes that die are started again, and a service that is told to end loses nothing."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from serving.heads import FILE, read_heads
from tests.serving.fitted import copied
from tests.serving.live import Live, eventually, serving

AS_OF = "2026-08-01T00:00:00Z"


@pytest.fixture
def own(factory: Path, tmp_path: Path) -> Iterator[Live]:
    with serving(copied(factory, tmp_path / "valves")) as live:
        yield live


def test_workers_and_keeper_are_started_again_and_what_was_answered_is_logged_at_the_end(own: Live) -> None:
    said = own.score(["L000007"], as_of=AS_OF)["results"]
    eventually(lambda: logged(own.folder).get("api") == 1, "a score is logged within a moment")
    the_dead_are_replaced(own, said)
    scored = ended_while_asked(own)
    assert scored >= 8 * 30
    assert logged(own.folder)["api"] >= 1 + scored
    assert logged(own.folder)["open"] >= 5
    assert list((own.folder / ".lotrisk" / "serving").glob("unlogged/*")) == []


def test_a_service_that_ends_keeps_a_head_of_its_last_decision(own: Live) -> None:
    kept = own.folder / ".lotrisk" / FILE
    own.client.post("/v1/gate", json={"lot_id": "L000007"}).raise_for_status()
    eventually(kept.exists, "the first head")
    last = own.client.post("/v1/gate", json={"lot_id": "L000008"}).raise_for_status().json()["audit_id"]
    assert own.end() == 0
    heads = [head.seq for _, head in read_heads(kept, ended=True) if head is not None]
    assert heads[-1] == int(last) > heads[0]


def the_dead_are_replaced(live: Live, said: list[Any]) -> None:
    (keeper,), (first, second) = live.keepers(), live.workers()
    os.kill(keeper, signal.SIGKILL)
    os.kill(first, signal.SIGKILL)
    with httpx.Client(base_url=live.url, trust_env=False, transport=httpx.HTTPTransport(retries=3)) as client:
        answer = client.post("/v1/scores", json={"lots": ["L000007"], "as_of": AS_OF}, timeout=60)
    assert answer.json()["results"] == said
    eventually(lambda: len(live.workers()) == 2 and first not in live.workers(), "another worker")
    assert second in live.workers()
    eventually(lambda: live.keepers() and keeper not in live.keepers(), "another keeper")
    assert "the keeper ended with -9; starting it again" in live.said()
    eventually(lambda: live.said().count("Application startup complete") == 3, "the other worker is ready")
    live.client.get("/metrics")
    assert list(live.counted.rglob(f"gauge_live*_{first}.db")) == []  # a dead worker no longer says what it scores with
    assert list(live.counted.rglob(f"counter_{first}.db")) != []
    eventually(lambda: live.said().count("scored ") >= 2, "the other keeper has scored the open lots")


def ended_while_asked(live: Live) -> int:
    """Ends the service while eight ask; the lots that were answered. No answer is a fault or cut short."""
    going, answered = Event(), []

    def ask(number: int) -> None:
        with httpx.Client(base_url=live.url, trust_env=False, timeout=60) as client:
            while True:
                lots = [f"L{place:06}" for place in range(1 + number, 31 + number)]
                try:
                    answer = client.post("/v1/scores", json={"lots": lots, "as_of": AS_OF})
                except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    return  # nobody listens any more
                assert answer.status_code == 200, answer.text
                answered.append(sum("risk" in one for one in answer.json()["results"]))
                if len(answered) >= 40:
                    going.set()

    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(ask, number) for number in range(8)]
        assert going.wait(60)
        assert live.end() == 0
        for one in asking:
            one.result()
    return sum(answered)


def logged(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / ".lotrisk" / "lotrisk.db") as database:
        return dict(database.execute("select source, count(*) from scores group by source").fetchall())
