"""Scoring runs of the open lots: what is logged and logged again, and which runs stay."""

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.asof import DAY, HOUR, NO_TIME
from features.champion import Scorer
from features.histories import Histories
from features.reading import read_histories
from features.score import Policy
from features.site import Site
from serving.open_lots import score_open_lots
from serving.published import open_file
from serving.score_log import ScoreLog
from serving.standing import Standing
from tests.small_site import NOW, write_site

LOTS = """
    lot_id,product_id,produced_at,shipped_at
    L1,P1,2027-01-10 08:00,
    L2,P1,2027-01-11 08:00,
    L3,P1,2027-01-12 08:00,
    L4,P1,2026-01-12 08:00,2026-01-20 08:00
"""


class Plant:
    """A site with three open lots, scored by the shrunk rate of its product."""

    def __init__(self, site: Site, histories: Histories) -> None:
        self.site, self.histories = site, histories
        self.last = ""

    def score(self, log: ScoreLog, now: int) -> str:
        self.last = score_open_lots(
            Scorer(None),
            self.histories,
            Policy(self.site.rules, self.site.language, self.site.stale),
            log,
            state_dir=self.site.state_dir,
            last=self.last,
            now=now,
        )
        return self.last

    def logged_at(self) -> list[int]:
        stored = Standing(open_file(self.site.state_dir, self.last))
        return [int(moment) for moment in stored.column("logged_at").to_pylist()]

    def log(self, *, max_rows: int = 1_000) -> ScoreLog:
        return ScoreLog(self.site.database_url, spill=self.site.state_dir / "unlogged", max_rows=max_rows)

    @property
    def runs(self) -> Path:
        return open_file(self.site.state_dir, self.last).parent


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    site = write_site(tmp_path / "site", lots=LOTS)
    return Plant(site, read_histories(site, now=NOW).histories)


@pytest.fixture
def log(plant: Plant) -> Iterator[ScoreLog]:
    log = plant.log()
    yield log
    log.close()


def test_a_score_is_logged_once_a_day(plant: Plant, log: ScoreLog) -> None:
    for moment in (NOW, NOW + HOUR, NOW + DAY - 1, NOW + DAY, NOW + DAY + HOUR):
        plant.score(log, moment)
    assert plant.logged_at() == [NOW + DAY] * 3
    log.start()
    log.close()
    with sqlite3.connect(plant.site.state_dir / "lotrisk.db") as database:
        logged = database.execute("select asked_at, lot_id from scores order by 1, 2").fetchall()
    assert logged == [(moment, lot) for moment in (NOW, NOW + DAY) for lot in ("L1", "L2", "L3")]


def test_a_score_that_the_log_refused_is_put_in_again_with_the_next_run(plant: Plant) -> None:
    full = plant.log(max_rows=2)
    plant.score(full, NOW)
    assert plant.logged_at() == [NO_TIME] * 3 and full.dropped == 3
    plant.score(full, NOW + HOUR)
    assert full.dropped == 6
    full.close()
    empty = plant.log()
    plant.score(empty, NOW + 2 * HOUR)
    assert empty.waiting == 3 and plant.logged_at() == [NOW + 2 * HOUR] * 3
    plant.score(empty, NOW + 3 * HOUR)
    assert empty.waiting == 3
    empty.close()


def test_a_clock_set_back_does_not_keep_scores_from_the_log(plant: Plant, log: ScoreLog) -> None:
    plant.score(log, NOW + 30 * DAY)
    plant.score(log, NOW)
    assert log.waiting == 6


def aged(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_a_run_stays_for_an_hour_after_the_next_one_was_made(plant: Plant, log: ScoreLog) -> None:
    for _ in range(4):
        plant.score(log, NOW)
    for name, seconds in (("1.arrow", 9_000), ("2.arrow", 7_200), ("3.arrow", 1_800)):
        aged(plant.runs / name, seconds)
    plant.score(log, NOW)
    assert sorted(path.name for path in plant.runs.iterdir()) == ["2.arrow", "3.arrow", "4.arrow", "5.arrow"]
    aged(plant.runs / "3.arrow", 3_700)
    plant.score(log, NOW)
    assert sorted(path.name for path in plant.runs.iterdir()) == ["3.arrow", "4.arrow", "5.arrow", "6.arrow"]


def test_what_a_killed_keeper_left_half_written_is_removed(plant: Plant, log: ScoreLog) -> None:
    plant.score(log, NOW)
    (plant.runs / ".new-k1ll3d.arrow").write_bytes(b"ARROW1")
    plant.score(log, NOW)
    assert sorted(path.name for path in plant.runs.iterdir()) == ["1.arrow", "2.arrow"]
