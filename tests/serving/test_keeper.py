"""The keeper, step by step: what it reads, maps, scores and publishes, and what it does when something fails."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from features.card import iso
from features.content_hash import content_hash
from features.database import add_rows, open_database, writing
from features.held import rows_of_lot
from features.mapped import read_mapped
from features.reading import read_histories
from features.site import Site, read_site
from serving.alone import alone
from serving.audit import append
from serving.gate_calls import read_gate_call
from serving.heads import FILE, read_heads
from serving.keeper import Keeper
from serving.loaded import Follower, Loaded
from serving.metrics import Metrics
from serving.problems import Problem
from serving.published import Published, histories_folder, open_file, read_published
from serving.score_log import ScoreLog
from serving.service import Service
from serving.standing import Filter, Standing
from serving.tables import ANSWERS
from tests.serving.fitted import copied, promote
from tests.serving.test_registry import Site as Registered
from tests.serving.test_registry import url
from tests.serving.test_replay import of_the_same_number
from tests.serving.unsteady import until
from tests.stored_site import arrived
from tests.toy_model import MLFLOW_WARNS

pytestmark = MLFLOW_WARNS
__all__ = ["url"]

SECOND = 1_000_000
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND


@pytest.fixture
def site(factory: Path, tmp_path: Path) -> Site:
    return read_site(copied(factory, tmp_path / "valves"), {})


def now() -> int:
    return time.time_ns() // 1000


def published_of(site: Site) -> Published:
    """What is published, but for how many scores wait just then."""
    return replace(read_published(site.state_dir), log_waiting=0)


def run(site: Site, published: Published) -> Standing:
    return Standing(open_file(site.state_dir, published.open))


def add_return(site: Site, lot: str, *, parts: int = 50) -> None:
    """A complaint of a week before the factory's last day."""
    with (site.data[0] / "returns.csv").open("a", encoding="utf-8") as file:
        file.write(f"R9{lot},{lot},C01,2026-08-20,2026-08-24T10:00:00+02:00,{parts},weak_pull,Weak,high,,\n")


def test_a_first_step_publishes_histories_and_scores_and_a_second_nothing(site: Site, score_log: ScoreLog) -> None:
    begun = now()
    keeper = Keeper(site, score_log)
    keeper.step(begun)
    first = published_of(site)
    assert (first.read_at, first.checked_at, first.scored_at, first.fault) == (begun, begun, begun, "")
    mapped = read_mapped(histories_folder(site.state_dir, first.histories))
    assert content_hash(mapped) == content_hash(read_histories(site, now=begun).histories)
    said = run(site, first)
    assert said.said["as_of"] == iso(begun) and said.said["model_version"] == "1" and len(said) >= 5
    keeper.step(begun + SECOND)
    assert published_of(site) == first
    keeper.step(begun + MINUTE)
    assert published_of(site) == replace(first, checked_at=begun + MINUTE)


def test_open_lots_are_scored_anew_every_hour_and_logged_once_a_day(site: Site, score_log: ScoreLog) -> None:
    begun = now()
    keeper = Keeper(site, score_log)
    for hours in (0, 1, 2):
        keeper.step(begun + hours * HOUR)
        published = published_of(site)
        assert (published.scored_at, published.open) == (begun + hours * HOUR, f"{hours + 1}.arrow")
    once = len(run(site, published))
    keeper.step(begun + 24 * HOUR)
    score_log.close()
    with sqlite3.connect(site.state_dir / "lotrisk.db") as database:
        asked = database.execute("select asked_at, count(*) from scores group by asked_at").fetchall()
    assert [count for _, count in sorted(asked)] == [once, once]


def test_a_new_return_is_read_within_the_minute_and_the_open_lots_are_scored_anew(
    site: Site, score_log: ScoreLog
) -> None:
    begun = now()
    keeper = Keeper(site, score_log)
    keeper.step(begun)
    first = published_of(site)
    add_return(site, "L000300")
    keeper.step(begun + MINUTE // 2)
    assert published_of(site) == first
    keeper.step(begun + MINUTE)
    second = published_of(site)
    assert second.histories != first.histories and second.open == "2.arrow"
    assert histories_folder(site.state_dir, first.histories).is_dir()  # a worker may be about to map it


def test_another_champion_scores_the_open_lots_and_one_that_is_refused_does_not(
    site: Site, score_log: ScoreLog
) -> None:
    keeper, begun = Keeper(site, score_log), now()
    keeper.step(begun)
    promote(site.folder, "2")
    keeper.step(begun + SECOND)
    published = published_of(site)
    assert run(site, published).said["model_version"] == "2"
    spoilt = site.state_dir / "bundles" / "1" / "model.txt"
    spoilt.write_bytes(spoilt.read_bytes()[:-1])
    promote(site.folder, "1")
    for seconds in (2, 3):
        keeper.step(begun + seconds * SECOND)
        after = published_of(site)
        assert "sha256" in after.fault
        assert replace(after, fault="") == published


def test_another_model_under_the_champions_number_scores_the_open_lots_too(
    site: Site, score_log: ScoreLog, tmp_path: Path
) -> None:
    keeper, begun = Keeper(site, score_log), now()
    keeper.step(begun)
    other = of_the_same_number(site, tmp_path / "other", calibration={"kind": "platt", "slope": 0.7, "intercept": 0.5})
    (site.state_dir / "bundles" / "1").rename(tmp_path / "before")
    other.rename(site.state_dir / "bundles" / "1")
    keeper.step(begun + SECOND)
    published = published_of(site)
    assert (published.open, published.scored_at) == ("2.arrow", begun + SECOND)


def test_sources_that_are_gone_stop_nothing_else_and_are_asked_again_after_a_while(
    site: Site, score_log: ScoreLog, caplog: pytest.LogCaptureFixture
) -> None:
    keeper, begun = Keeper(site, score_log), now()
    keeper.step(begun)
    aside = site.data[0].rename(site.folder / "away")
    promote(site.folder, "2")
    keeper.step(begun + MINUTE)
    failed = published_of(site)
    assert "lots" in failed.fault and failed.checked_at == begun
    assert run(site, failed).said["model_version"] == "2"
    keeper.step(begun + MINUTE + SECOND)
    assert published_of(site) == failed and caplog.text.count("sources: ") == 1
    again = Keeper(site, score_log)  # after a restart the maps are still there to score with
    again.step(begun + 2 * HOUR)
    restarted = published_of(site)
    assert restarted.fault == failed.fault and restarted.histories
    assert run(site, restarted).said["as_of"] == iso(begun + 2 * HOUR)
    aside.rename(site.folder / "data")
    again.step(begun + 3 * HOUR)
    healed = published_of(site)
    assert (healed.fault, healed.checked_at) == ("", begun + 3 * HOUR)


def test_a_worker_says_what_is_wrong_with_the_sources_and_after_a_while_that_it_is_not_ready(
    site: Site, score_log: ScoreLog
) -> None:
    begun = now()
    keeper = Keeper(site, score_log)
    keeper.step(begun)
    shutil.rmtree(site.data[0])
    keeper.step(begun + MINUTE)
    service = Service(site, Metrics())
    service._follower.look()
    soon, late = (service.ready(at)["checks"]["histories"] for at in (begun + MINUTE, begun + HOUR))
    assert soon["ok"] and not late["ok"]
    assert "lots" in soon["detail"] and soon["detail"] == late["detail"]
    text = service._metrics.text(service.log)[0].decode()
    assert "lotrisk_refresh_failing 1.0" in text


def test_without_a_champion_the_rate_scores_under_its_name(site: Site, score_log: ScoreLog) -> None:
    (site.state_dir / "champion").unlink()
    Keeper(site, score_log).step(now())
    published = published_of(site)
    items, _ = run(site, published).page(Filter(), sort="-risk", start=0, limit=None)
    assert {(item["model_version"], item["decision"]) for item in items} == {("shrunk_product", "cannot_assess")}
    assert all("no_champion" in item["warnings"] and 0 < item["risk"] < 1 for item in items)


def test_maps_of_other_code_are_written_anew_and_a_worker_waits_for_them(site: Site, score_log: ScoreLog) -> None:
    Keeper(site, score_log).step(now())
    published = published_of(site)
    index = histories_folder(site.state_dir, published.histories) / "index.json"
    index.write_bytes(index.read_bytes().replace(b'"format":2', b'"format":0'))
    follower = Follower(site)
    follower.look()
    assert follower.now.histories is None and follower.now.scorer is not None
    Keeper(site, score_log).step(now())
    follower.look()
    assert follower.now.histories is not None


def test_a_worker_keeps_what_it_has_when_what_is_published_cannot_be_read(site: Site, score_log: ScoreLog) -> None:
    Keeper(site, score_log).step(now())
    told: list[Loaded] = []
    follower = Follower(site, told=told.append)
    follower.look()
    before = follower.now
    current = site.state_dir / "serving" / "current.json"
    said = json.loads(current.read_text(encoding="utf-8"))
    for spoilt in ("", "{", json.dumps(said | {"open": "77.arrow"}), json.dumps(said | {"histories": "gone"})):
        current.write_text(spoilt, encoding="utf-8")
        follower.look()
        assert follower.now.histories is not None and follower.now.scorer is before.scorer
        assert follower.now.standing is not None and follower.now.standing.name == "1.arrow"
    assert len(told) > 1


def test_old_histories_and_old_runs_are_removed(site: Site, score_log: ScoreLog) -> None:
    begun = now()
    keeper = Keeper(site, score_log)
    for turn in range(4):
        add_return(site, f"L00030{turn}")
        keeper.step(begun + turn * MINUTE)
    folder = site.state_dir / "serving"
    assert len(list((folder / "histories").iterdir())) == 2
    assert [path.name for path in sorted((folder / "open").iterdir())] == [f"{n}.arrow" for n in (1, 2, 3, 4)]


def test_a_champion_promoted_elsewhere_is_taken_over(site: Site, score_log: ScoreLog, url: str, tmp_path: Path) -> None:
    elsewhere = Registered("valves", url, tmp_path / "elsewhere").train(2)
    elsewhere.promote("2")
    shutil.rmtree(site.state_dir / "bundles")
    followed = replace(site, tracking_uri=url)
    keeper, begun = Keeper(followed, score_log), now()
    keeper.step(begun)
    assert (site.state_dir / "champion").read_text(encoding="utf-8") == "2\n"
    files = sorted(path.name for path in (site.state_dir / "bundles" / "2").iterdir())
    assert files == ["card.json", "golden.json", "model.txt", "reference.parquet"]
    published = published_of(site)
    assert published.histories and not published.open  # the toy's layout is none that scores
    elsewhere.promote("1")
    keeper.step(begun + SECOND)
    assert (site.state_dir / "champion").read_text(encoding="utf-8") == "2\n"
    elsewhere.challenge("2")
    keeper.step(begun + MINUTE)
    assert (site.state_dir / "champion").read_text(encoding="utf-8") == "1\n"
    assert (site.state_dir / "challenger").read_text(encoding="utf-8") == "2\n"
    elsewhere.end_challenge()
    keeper.step(begun + 2 * MINUTE)
    assert not (site.state_dir / "challenger").exists()


def test_a_registry_elsewhere_that_does_not_answer_is_a_fault_and_scores_go_on(
    site: Site, score_log: ScoreLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    Keeper(replace(site, tracking_uri="http://127.0.0.1:9"), score_log).step(now())
    published = published_of(site)
    assert "the model registry does not do it" in published.fault
    assert len(run(site, published)) >= 5


def test_promoting_by_the_route_moves_the_champion_and_names_what_it_cannot_promote(site: Site, url: str) -> None:
    """In a process of its own, while the event loop goes on."""
    shutil.rmtree(site.state_dir / "bundles")
    (site.state_dir / "champion").unlink()
    Registered("by route", url, site.state_dir).train(2)
    service = Service(replace(site, name="by route", tracking_uri=url), Metrics())

    async def promoted(version: str) -> tuple[Any, int]:
        turns = 0
        asked = asyncio.ensure_future(service.promote(version, reason="asked for", actor="key:a me"))
        while not asked.done():
            await asyncio.sleep(0.01)
            turns += 1
        return (asked.exception() or asked.result()), turns

    said, turns = asyncio.run(promoted("2"))
    assert said == {"champion": "2", "replaced": None} and turns > 10
    assert (site.state_dir / "champion").read_text(encoding="utf-8") == "2\n"
    fault, _ = asyncio.run(promoted("7"))
    assert isinstance(fault, Problem) and fault.code == "unknown_version"


def test_a_fault_of_a_kind_that_nobody_foresaw_is_told_and_tried_again(
    site: Site, score_log: ScoreLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = now()
    keeper = Keeper(site, score_log)
    with monkeypatch.context() as broken:
        broken.setattr("serving.intake.read_sources", lambda site: 1 // 0)
        keeper.step(begun)
    assert "ZeroDivisionError" in published_of(site).fault
    keeper.step(begun + MINUTE)
    assert published_of(site).fault == ""
    assert published_of(site).histories


def test_a_site_has_one_keeper_at_a_time(site: Site) -> None:
    with alone(site) as first:
        assert first()
        with alone(site) as second:
            assert not second()
    with alone(site) as third:
        assert third()


def test_a_keeper_that_waits_for_another_and_is_ended_touches_nothing(site: Site) -> None:
    half_written = histories_folder(site.state_dir, ".new-half")
    half_written.mkdir(parents=True)
    program = "import sys, pathlib; from serving.keeper import keep; keep(pathlib.Path(sys.argv[1]))"
    with alone(site) as first:
        assert first()
        command = [sys.executable, "-c", program, str(site.folder)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting:
            assert waiting.stderr is not None
            assert "another service keeps" in waiting.stderr.readline()
            waiting.terminate()
            assert waiting.wait(20) == 0
    assert half_written.is_dir()


@pytest.mark.parametrize("spoilt", [b"\xff\xfe1", b"../../x"])
def test_a_champion_file_that_names_nothing_is_told_and_scores_go_on(
    site: Site, score_log: ScoreLog, spoilt: bytes
) -> None:
    keeper, begun = Keeper(site, score_log), now()
    keeper.step(begun)
    (site.state_dir / "champion").write_bytes(spoilt)
    keeper.step(begun + HOUR)
    assert "champion" in published_of(site).fault
    assert run(site, published_of(site)).said["as_of"] == iso(begun + HOUR)


def test_heads_of_the_audit_log_are_kept_about_once_a_minute(site: Site, score_log: ScoreLog) -> None:
    assert until(lambda: score_log.healthy)
    engine = open_database(site.database_url)
    keeper, begun = Keeper(site, score_log), now()
    for after in (0, MINUTE // 2, MINUTE, 2 * MINUTE):
        with writing(engine) as connection:
            append(connection, kind="key", actor="me", body={}, at=begun)
        keeper.step(begun + after)
    keeper.step(begun + 3 * MINUTE)
    engine.dispose()
    assert [head and head.seq for _, head in read_heads(site.state_dir / FILE, ended=True)] == [1, 3, 4]


@pytest.mark.parametrize("restarts", [0, 2])
@pytest.mark.parametrize("before", ["nothing", "what had arrived"])
def test_a_keeper_that_is_restarted_while_the_database_is_gone_passes_nothing_off_as_whole(
    site: Site, score_log: ScoreLog, before: str, restarts: int
) -> None:
    """`before`: what was served when the database went; the sources change meanwhile."""
    assert until(lambda: score_log.healthy)
    keeper, begun, file = Keeper(site, score_log), now(), site.state_dir / "lotrisk.db"
    back = {"return_id": "A1", "lot_id": "L000300", "occurred_at": "2026-08-20", "reported_at": "2026-08-24"}
    assert arrived(site, "returns", back, now=begun) == ["accepted"]
    if before == "what had arrived":
        keeper.step(begun)
        assert published_of(site).arrivals == 1
        add_return(site, "L000301")
    aside = file.rename(site.state_dir / "away.db")
    for turn in range(restarts + 1):
        keeper = Keeper(site, score_log) if turn or before == "nothing" else keeper
        keeper.step(begun + (turn + 1) * MINUTE)
        published = published_of(site)
        assert published.histories and (published.segments, published.arrivals) == (0, 0)
        assert "lotrisk.db" in published.fault
        assert gate_says(site, "L000300") == ("not_ready", published.fault)
        shown = returns_of(site, "L000300")
        assert ("A1" in shown) == (before == "what had arrived")
        assert not file.exists()
    aside.rename(file)
    keeper.step(begun + 4 * MINUTE)
    published = published_of(site)
    assert (published.arrivals, published.segments > 0, published.fault) == (1, True, "")
    assert "A1" in returns_of(site, "L000300")
    mapped = read_mapped(histories_folder(site.state_dir, published.histories))
    assert content_hash(mapped) == content_hash(read_histories(site, now=begun + 4 * MINUTE).histories)


def returns_of(site: Site, lot: str) -> list[str]:
    """As a worker has them."""
    histories = read_mapped(histories_folder(site.state_dir, published_of(site).histories))
    rows = rows_of_lot(histories, "returns", histories.ids["lot"].code(lot), as_of=now())
    return [row["return_id"] for row in rows]


def gate_says(site: Site, lot: str) -> tuple[str, str]:
    """The problem of a worker's gate, and what it says beyond that nothing is stored."""
    service = Service(site, Metrics())
    service._follower.look()
    call = read_gate_call(json.dumps({"lot_id": lot}).encode(), actor="me", key=None, now=now(), timezone="UTC")
    with pytest.raises(Problem) as fault:
        asyncio.run(service.gate.ask(call))
    service.gate.close()
    service.engine.dispose()
    return fault.value.code, str(fault.value).partition("looked at again: ")[2]


def test_old_answers_go_a_few_at_each_step_and_then_hourly(site: Site, score_log: ScoreLog) -> None:
    engine, begun = open_database(site.database_url), now()
    keeper = Keeper(site, score_log)
    assert until(lambda: score_log.healthy)
    row = {"scope": "gate", "request": "", "answer": "{}", "at": begun - 31 * 24 * HOUR}

    def answers() -> int:
        with engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(ANSWERS)).scalar_one())

    def step(at: int) -> int:
        keeper.step(at)
        return answers()

    with writing(engine) as connection:
        add_rows(connection, ANSWERS, [{**row, "key": f"{n}"} for n in range(1100)])
    assert [step(begun + n * SECOND) for n in range(3)] == [600, 100, 0]
    with writing(engine) as connection:
        add_rows(connection, ANSWERS, [{**row, "key": "one more"}])
    assert step(begun + 4 * SECOND) == 1
    assert step(begun + HOUR + 4 * SECOND) == 0
    engine.dispose()
