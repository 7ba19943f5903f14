"""The challenger scores what the champion answered, afterwards; it is logged, compared, and answers nobody."""

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from features.champion import CHALLENGER, Scorer, read_challenger
from features.reading import read_histories
from features.score import Policy
from features.site import Site, read_site
from features.times import read_moment
from serving.answers import Call, answer
from serving.keeper import Keeper
from serving.loaded import Follower
from serving.metrics import Metrics
from serving.score_log import LoggedScores, ScoreLog
from serving.service import Service
from serving.shadow import BATCH, ROOM, Shadow
from tests.serving.fitted import copied, offline, other_version, promote
from tests.serving.live import Live, eventually, serving
from tests.serving.test_scores_route import record

AS_OF = "2026-08-01T00:00:00Z"
MOMENT = read_moment(AS_OF, "UTC")
LOTS = [f"L{number:06}" for number in range(1, 31)]
Row = dict[str, Any]


def challenge(folder: Path, version: str) -> None:
    """As the registry leaves it."""
    (folder / ".lotrisk" / CHALLENGER).write_text(f"{version}\n", encoding="utf-8")


def logged(folder: Path) -> list[Row]:
    """All rows of the score log, the oldest first."""
    with sqlite3.connect(folder / ".lotrisk" / "lotrisk.db") as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("select * from scores order by id")]


def risks(folder: Path, version: str, lots: list[str], **asked: int) -> list[float]:
    """What `lotrisk score` says by this version as champion."""
    promote(folder, version)
    return list(offline(folder, lots, **asked)["risk"].to_pylist())


class Log:
    """A score log that keeps what it takes."""

    def __init__(self) -> None:
        self.kept: list[LoggedScores] = []
        self.waiting = 0

    def put(self, scores: LoggedScores) -> bool:
        self.kept.append(scores)
        return True


class Desk:
    """Answers and what comes of them in the shadow, by hand."""

    def __init__(self, site: Site, **limits: int) -> None:
        self.site, self.policy = site, Policy.of(site)
        self.histories = read_histories(site, now=MOMENT).histories
        self.challenger: Scorer | None = read_challenger(site.state_dir)
        self.log, self.outcomes = Log(), Counter[str]()
        self.shadow = Shadow(
            self.log,  # type: ignore[arg-type]
            self.policy,
            scorer=lambda: self.challenger,
            told=lambda outcome, lots: self.outcomes.update({outcome: lots}),
            **limits,
        )

    def ask(self, *calls: Call, takes: bool = True, now: int = MOMENT) -> list[Any]:
        champion = Follower(self.site)
        champion.look()
        assert champion.now.scorer is not None
        return answer(
            calls,
            champion.now.scorer,
            self.histories,
            self.policy,
            timezone="UTC",
            now=now,
            log=lambda _: takes,
            shadow=self.shadow.put,
        )


@pytest.fixture
def site(factory: Path, tmp_path: Path) -> Site:
    folder = copied(factory, tmp_path / "valves")
    challenge(folder, "2")
    return read_site(folder, {})


def test_what_is_answered_is_scored_by_the_challenger_as_if_it_were_champion(site: Site) -> None:
    desk = Desk(site)
    whole = record(site.folder)
    answers = desk.ask(Call(LOTS, MOMENT), now=MOMENT + 5)
    desk.ask(Call([whole, "nobody's"], MOMENT))
    assert desk.log.kept == []
    desk.shadow.round()
    first, second = desk.log.kept
    assert (first.lot_id, first.asked_at, set(first.as_of.tolist())) == (LOTS, MOMENT + 5, {MOMENT})
    assert {(one.source, one.model_version, one.vectors.size) for one in (first, second)} == {("shadow", "2", 0)}
    assert first.risk.tolist() == risks(site.folder, "2", LOTS, as_of=MOMENT)
    champion = [one["risk"] for one in answers[0]["results"]]
    assert champion == risks(site.folder, "1", LOTS, as_of=MOMENT) != first.risk.tolist()
    promote(site.folder, "2")
    (alone,) = desk.ask(Call([whole], MOMENT))
    assert second.lot_id == [whole["lot"]["lot_id"]]
    assert second.risk.tolist() == [alone["results"][0]["risk"]]
    assert desk.outcomes == {"logged": 31}


def test_looks_and_what_the_log_does_not_take_are_not_scored_again(site: Site) -> None:
    desk = Desk(site)
    desk.ask(Call(LOTS, MOMENT, logged=False), Call(LOTS[:3], MOMENT))
    assert desk.shadow.waiting == 3
    desk.ask(Call(LOTS, MOMENT), takes=False)
    assert desk.shadow.waiting == 3


def test_without_a_challenger_nothing_waits(site: Site) -> None:
    desk = Desk(site)
    desk.challenger = None
    desk.ask(Call(LOTS, MOMENT))
    desk.shadow.round()
    assert (desk.shadow.waiting, desk.log.kept, desk.outcomes) == (0, [], {})


def test_what_finds_no_room_is_dropped_and_counted_and_the_rest_is_scored(site: Site) -> None:
    desk = Desk(site, most=40)
    desk.ask(Call(LOTS, MOMENT))
    desk.ask(Call(LOTS, MOMENT))
    desk.shadow.round()
    assert (desk.outcomes, desk.shadow.waiting) == ({"dropped": 30, "logged": 30}, 0)
    desk.log.waiting = ROOM
    desk.ask(Call(LOTS[:7], MOMENT))
    desk.shadow.round()
    assert desk.outcomes == {"dropped": 37, "logged": 30} and len(desk.log.kept) == 1


def test_a_large_call_is_scored_in_parts_and_histories_are_never_mixed(site: Site) -> None:
    desk = Desk(site)
    many = [f"L{1 + number % 300:06}" for number in range(BATCH + 10)]
    calls = [Call(many[start : start + 300], MOMENT) for start in range(0, len(many), 300)]
    desk.ask(*calls)
    desk.shadow.round()
    assert desk.shadow.waiting == 10
    desk.histories = read_histories(site, now=MOMENT).histories
    desk.ask(Call(LOTS, MOMENT))
    desk.shadow.round()
    assert desk.shadow.waiting == len(LOTS)
    desk.shadow.round()
    assert desk.outcomes == {"logged": BATCH + 10 + len(LOTS)}


def test_a_challenger_that_fails_is_told_and_the_next_one_is_scored_with(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(site)
    good = desk.challenger
    assert good is not None and good.bundle is not None
    desk.challenger = replace(good, bundle=replace(good.bundle, booster=None))
    for _ in range(3):
        desk.ask(Call(LOTS, MOMENT))
        desk.shadow.round()
    assert desk.outcomes == {"failed": 90} and desk.log.kept == []
    assert "version 2 fails to score" in desk.shadow.fault
    assert caplog.text.count("the challenger: ") == 1
    desk.challenger = good
    assert desk.shadow.fault == ""
    desk.ask(Call(LOTS, MOMENT))
    desk.shadow.round()
    assert desk.outcomes == {"failed": 90, "logged": 30}


def test_putting_does_not_wait_for_a_batch_that_is_being_scored(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(site)
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        raise ValueError("enough")

    monkeypatch.setattr("serving.shadow.score", slow)
    desk.shadow.start()
    desk.ask(Call(LOTS, MOMENT))
    assert begun.wait(30)
    before = time.perf_counter()
    desk.shadow.put(desk.histories, [], MOMENT)
    desk.ask(Call(LOTS, MOMENT))
    assert time.perf_counter() - before < 5
    assert desk.shadow.waiting == 30 and desk.outcomes == {}
    go_on.set()
    desk.shadow.close()


def now() -> int:
    return time.time_ns() // 1000


def test_open_lots_are_scored_by_the_challenger_when_the_champions_scores_are_logged(
    site: Site, score_log: ScoreLog
) -> None:
    keeper, begun = Keeper(site, score_log), now()
    keeper.step(begun)
    keeper.step(begun + 3_600_000_000)  # scored anew, but logged only once a day
    score_log.close()
    rows = logged(site.folder)
    sources = {source: [row for row in rows if row["source"] == source] for source in ("open", "shadow")}
    assert len(rows) == 2 * len(sources["open"]) and len(sources["open"]) >= 5
    shown = [[(row["lot_id"], row["as_of"], row["asked_at"]) for row in found] for found in sources.values()]
    assert sorted(shown[0]) == sorted(shown[1])
    assert {(row["model_version"], row["vector"]) for row in sources["shadow"]} == {("2", b"")}
    of_both = {row["lot_id"]: row["risk"] for row in sources["shadow"]}
    assert list(of_both.values()) == risks(site.folder, "2", list(of_both), as_of=begun)


@pytest.mark.parametrize("spoilt", [b"no model", None])
def test_a_challenger_that_cannot_be_read_leaves_keeper_and_workers_as_they_were(
    site: Site, score_log: ScoreLog, spoilt: bytes | None
) -> None:
    model = site.state_dir / "bundles" / "2" / "model.txt"
    whole = model.read_bytes()
    if spoilt is None:
        challenge(site.folder, "77")
    else:
        model.write_bytes(spoilt)
    keeper, begun = Keeper(site, score_log), now()
    keeper.step(begun)
    service = Service(site, Metrics())
    service._follower.look()
    loaded = service.loaded
    assert loaded.scorer is not None and loaded.scorer.version == "1" and loaded.refused == ""
    assert loaded.challenger.scorer is None
    assert ("names version 77" if spoilt is None else "model.txt is not the file") in loaded.challenger.refused
    assert (loaded.published.fault, loaded.standing is not None) == ("", True)
    assert service.ready(now())["checks"]["bundle"]["ok"]
    assert "lotrisk_challenger_refused 1.0" in service._metrics.text(service.log)[0].decode()
    model.write_bytes(whole)
    challenge(site.folder, "2")
    service._follower.look()
    assert service.loaded.challenger.scorer is not None and service.loaded.challenger.refused == ""
    text = service._metrics.text(service.log)[0].decode()
    assert "lotrisk_challenger_refused 0.0" in text and 'lotrisk_challenger{version="2"} 1.0' in text


def test_a_challenger_that_breaks_while_warming_does_not_keep_histories_from_being_mapped(
    site: Site, score_log: ScoreLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    import serving.keeper

    really: Callable[..., None] = serving.keeper.warm

    def warm(scorer: Scorer, *rest: Any, **named: Any) -> None:
        if scorer.version == "2":
            raise ZeroDivisionError
        really(scorer, *rest, **named)

    monkeypatch.setattr("serving.keeper.warm", warm)
    Keeper(site, score_log).step(now())
    follower = Follower(site)
    follower.look()
    assert follower.now.histories is not None and follower.now.published.fault == ""


@pytest.fixture(scope="module")
def live(factory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Two workers; version 1 is champion, nobody challenges it yet."""
    with serving(copied(factory, tmp_path_factory.mktemp("tried") / "valves")) as live:
        yield live


def test_a_running_service_tries_a_challenger_and_tells_nobody_its_scores(live: Live) -> None:
    before = live.score(LOTS, as_of=AS_OF)["results"]
    reasons = {"2": {"challenged_because": "newer data", "promoted_because": ""}}
    (live.folder / ".lotrisk" / "reasons.json").write_text(json.dumps(reasons), encoding="utf-8")
    challenge(live.folder, "2")

    def tried() -> bool:
        assert live.score(LOTS, as_of=AS_OF)["results"] == before
        return 'lotrisk_shadow_scores_total{outcome="logged"}' in live.client.get("/metrics").text

    eventually(tried, "the challenger has scored")
    models = live.get("/v1/models")
    assert (models["champion"], models["challenger"], models["challenger_problem"]) == ("1", "2", None)
    marks = {one["version"]: (one["challenger"], one["challenged_because"]) for one in models["versions"]}
    assert marks == {"2": (True, "newer data"), "1": (False, None)}
    page = live.client.get("/model?lang=en").text
    assert "newer data" in page and "Challenger" in page

    def rows() -> list[Row]:
        return [row for row in logged(live.folder) if row["source"] == "shadow" and row["lot_id"] == LOTS[0]]

    found = eventually(rows, "its scores are logged")
    answered = [row for row in logged(live.folder) if row["source"] == "api" and row["lot_id"] == LOTS[0]]
    assert {(row["as_of"], row["asked_at"]) for row in found} <= {(row["as_of"], row["asked_at"]) for row in answered}
    history = live.get(f"/v1/lots/{LOTS[0]}")["history"]
    assert len(history) >= 2 and {(one["source"], one["model_version"]) for one in history} == {("api", "1")}
    assert {item["model_version"] for item in live.get("/v1/lots")["items"]} == {"1"}


def test_a_spoilt_challenger_is_named_and_answers_go_on(live: Live) -> None:
    """After the one above."""
    before = live.score(LOTS, as_of=AS_OF)["results"]
    other_version(live.folder, "1", "3")
    card = live.folder / ".lotrisk" / "bundles" / "3" / "card.json"
    card.write_text("{", encoding="utf-8")
    challenge(live.folder, "3")

    def named() -> bool:
        return all("card.json" in (live.get("/v1/models")["challenger_problem"] or "") for _ in range(4))

    eventually(named, "why the challenger does not score")
    assert live.score(LOTS, as_of=AS_OF)["results"] == before
    assert live.get("/readyz")["ready"]
    assert "lotrisk_challenger_refused 1.0" in live.client.get("/metrics").text
