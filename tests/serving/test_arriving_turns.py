"""Rows of several calls at once: one call after the other is kept, and in between others may write."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from features.database import open_database, writing
from features.reading import read_histories
from features.site import Site
from serving import arriving
from serving.access import Caller
from serving.alone import turn
from serving.arriving import FEW, Arriving
from serving.migrate import migrate
from serving.published import FOLDER
from tests.small_site import write_site
from tests.stored_site import clock

JSON, ANA = "application/json", Caller("", "Ana", "admin")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return write_site(tmp_path / "site")


@pytest.fixture
def workers(site: Site) -> Iterator[list[Arriving]]:
    """Those of two workers."""
    migrate(site.database_url)
    engine, histories = open_database(site.database_url), read_histories(site, now=clock()).histories
    made = [Arriving(site, engine, histories=lambda: histories, clock=clock) for _ in range(2)]
    yield made
    for one in made:
        one.close()
    engine.dispose()


def lots(name: str, count: int) -> bytes:
    moment = "2026-01-01T00:00:00Z"
    return json.dumps(
        {"rows": [{"lot_id": f"{name}{n}", "product_id": "P", "produced_at": moment} for n in range(count)]}
    ).encode()


def test_calls_are_kept_one_after_the_other_and_others_write_between_them(
    workers: list[Arriving], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[tuple[float, float]] = []

    @contextmanager
    def noted(engine: sa.Engine) -> Iterator[sa.Connection]:
        with writing(engine) as connection:
            begun = time.monotonic()
            yield connection
            time.sleep(0.05)
            held.append((begun, time.monotonic()))

    monkeypatch.setattr(arriving, "writing", noted)

    async def all_at_once() -> list[dict[str, Any]]:
        calls = [
            workers[n % 2].ask("lots", lots(f"N{n}-", 20), media_type=JSON, key=None, caller=ANA) for n in range(6)
        ]
        return list(await asyncio.gather(*calls))

    assert [said["accepted"] for said in asyncio.run(all_at_once())] == [20] * 6
    pauses = [after[0] - before[1] for before, after in pairwise(held)]
    assert len(pauses) == 5 and min(pauses) > 0.045, pauses


def test_a_call_of_few_rows_does_not_wait_behind_those_of_many(
    workers: list[Arriving], monkeypatch: pytest.MonkeyPatch
) -> None:
    free, taken = threading.Event(), []

    def take(table: str, body: bytes, **_: Any) -> dict[str, Any]:
        if len(body) > FEW:
            assert free.wait(10)
        taken.append(len(body))
        return {}

    monkeypatch.setattr(workers[0], "take", take)

    async def one_beside_many() -> None:
        asked: dict[str, Any] = {"media_type": JSON, "key": None, "caller": ANA}
        many = [asyncio.ensure_future(workers[0].ask("lots", b" " * (FEW + n), **asked)) for n in (1, 2, 3)]
        await asyncio.sleep(0)  # so that they are asked first
        async with asyncio.timeout(5):
            await workers[0].ask("lots", b" ", **asked)
        assert taken == [1]
        free.set()
        await asyncio.gather(*many)

    asyncio.run(one_beside_many())
    assert taken == [1, FEW + 1, FEW + 2, FEW + 3]


def in_turns(state_dir: Path, inside: Callable[[], object]) -> None:
    """Four threads that each do it in a turn of theirs."""

    def work(_: int) -> None:
        with turn(state_dir, "work"):
            inside()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))


def test_a_turn_is_of_one_thread_at_a_time(tmp_path: Path) -> None:
    alone = threading.Lock()

    def inside() -> None:
        assert alone.acquire(blocking=False)
        time.sleep(0.02)
        alone.release()

    in_turns(tmp_path, inside)


def test_a_turn_is_of_all_at_a_time_where_no_file_can_be_locked(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("no folder")
    together = threading.Barrier(4)
    in_turns(tmp_path, lambda: together.wait(60))
