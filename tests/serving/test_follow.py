"""A running service follows what is promoted and what the sources say, and keeps what it has where either is bad."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from features.site import read_site
from features.times import read_moment
from serving.loaded import Follower
from tests.serving.fitted import copied, offline, promote
from tests.serving.live import Live, eventually, serving

AS_OF = "2026-08-01T00:00:00Z"
LOTS = [f"L{number:06}" for number in range(1, 31)]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def site(factory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its own, looked at every second; no version is champion yet, and there is no registry at all."""
    site = copied(factory, tmp_path_factory.mktemp("followed") / "valves")
    with (site / "lotrisk.toml").open("a", encoding="utf-8") as file:
        file.write('\n[serving]\nrefresh_every = "1s"\n')
    return site


@pytest.fixture(scope="module")
def before_promotion(site: Path) -> Path:
    (site / ".lotrisk" / "champion").unlink()
    return site


@pytest.fixture(scope="module")
def live(before_promotion: Path) -> Iterator[Live]:
    with serving(before_promotion) as live:
        yield live


@pytest.fixture(scope="module")
def told(factory: Path) -> dict[str, dict[str, float]]:
    """The offline risk of each lot, by version."""
    risks = {}
    site = copied(factory, factory.parent / "offline")
    for version in ("1", "2"):
        promote(site, version)
        table = offline(site, LOTS, as_of=read_moment(AS_OF, "UTC"))
        risks[version] = dict(zip(LOTS, table["risk"].to_pylist(), strict=True))
    return risks


def follows(live: Live, version: str) -> None:
    """Returns when each worker scores with the version."""

    def all_do() -> bool:
        said = {ask_anew(live, "/v1/models")["serving"] for _ in range(12)}
        return said == {version}

    eventually(all_do, f"version {version} scores")


def ask_anew(live: Live, path: str) -> Row:
    """By a connection of its own: either worker may answer."""
    with httpx.Client(base_url=live.url, trust_env=False, timeout=60) as client:
        return dict(client.get(path).json())


def test_before_a_promotion_the_rate_orders_and_nothing_is_decided(live: Live) -> None:
    (result,) = live.score(["L000300"], as_of=AS_OF)["results"]
    assert (result["model_version"], result["decision"]) == ("shrunk_product", "cannot_assess")
    assert "no_champion" in [warning["code"] for warning in result["warnings"]] and 0 < result["risk"] < 1
    eventually(lambda: live.get("/v1/lots")["model_version"] == "shrunk_product", "the open lots are listed")
    page = live.get("/v1/lots")
    assert len(page["items"]) >= 5
    risks = [item["risk"] for item in page["items"]]
    assert risks == sorted(risks, reverse=True)
    assert {item["decision"] for item in page["items"]} == {"cannot_assess"}
    models = live.get("/v1/models")
    assert (models["champion"], models["serving"], models["rate"]) == (None, None, "shrunk_product")
    ready = live.client.get("/readyz")
    assert ready.status_code == 503 and not ready.json()["checks"]["bundle"]["ok"]


def test_a_promotion_is_followed_while_eight_ask_and_every_answer_is_of_the_version_it_names(
    live: Live, told: dict[str, dict[str, float]]
) -> None:
    promote(live.folder, "1")
    follows(live, "1")
    stop, seen = Event(), dict.fromkeys(("1", "2"), 0)

    def ask(number: int) -> None:
        with httpx.Client(base_url=live.url, trust_env=False, timeout=60) as client:
            while not stop.is_set():
                some = LOTS[number % 3 :: 3] if number < 7 else LOTS
                answer = client.post("/v1/scores", json={"lots": some, "as_of": AS_OF})
                assert answer.status_code == 200, answer.text
                version = answer.json()["model_version"]
                for one in answer.json()["results"]:
                    assert one["model_version"] == version
                    assert one["risk"] == told[version][one["lot_id"]]
                seen[version] += 1

    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(ask, number) for number in range(8)]
        try:
            eventually(lambda: seen["1"] > 20, "version 1 answers")
            promote(live.folder, "2")
            eventually(lambda: seen["2"] > 20, "version 2 answers")
        finally:
            stop.set()
        for one in asking:
            one.result()
    follows(live, "2")
    assert told["1"] != told["2"]


def test_paging_goes_on_in_its_list_while_another_is_made(live: Live) -> None:
    promote(live.folder, "1")
    eventually(lambda: live.get("/v1/lots")["model_version"] == "1", "the open lots are scored by version 1")
    page = live.get("/v1/lots", sort="-risk", limit=2)
    whole = live.get("/v1/lots", sort="-risk")
    while whole["as_of"] != page["as_of"]:  # the two workers follow a new run within half a second of each other
        page, whole = live.get("/v1/lots", sort="-risk", limit=2), live.get("/v1/lots", sort="-risk")
    items = page["items"]
    for version in "2", "1", "2", "1":
        promote(live.folder, version)
        eventually(lambda version=version: live.get("/v1/lots")["model_version"] == version, f"scored by {version}")
        if page["next"] is not None:
            page = live.get("/v1/lots", sort="-risk", limit=2, cursor=page["next"])
            items += page["items"]
    while page["next"] is not None:
        page = live.get("/v1/lots", sort="-risk", limit=2, cursor=page["next"])
        items += page["items"]
    assert items == whole["items"]


def changed(file: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        body = (folder / file).read_bytes()
        assert old in body
        (folder / file).write_bytes(body.replace(old, new, 1))

    return change


def features_swapped(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["features"][0], card["features"][1] = card["features"][1], card["features"][0]
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "model.txt": (changed("model.txt", b"leaf_value=", b"leaf_value=1"), "model.txt is not the file"),
    "golden.json": (changed("golden.json", b'"risk": 0.', b'"risk": 1.'), "golden.json is not the file"),
    "reference": (changed("reference.parquet", b"PAR1", b"PAR2"), "reference.parquet is not the file"),
    "calibration": (changed("card.json", b'"slope": 0.8', b'"slope": 0.9'), "card.json"),
    "no JSON": (changed("card.json", b"{", b"["), "card.json"),
    "a sha256": (changed("card.json", b'"model.txt": "', b'"model.txt": "0'), "card.json"),
    "layout": (changed("card.json", b'"rules":', b'"rule":'), "card.json"),
    "feature order": (features_swapped, "card.json"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_bundle_is_refused_by_name_and_taken_when_it_is_mended(
    what: str, factory: Path, tmp_path: Path
) -> None:
    spoil, said = SPOILT[what]
    site = read_site(copied(factory, tmp_path / "valves"), {})
    follower = Follower(site)
    follower.look()
    first = follower.now.scorer
    bundle = site.state_dir / "bundles" / "2"
    whole = {path.name: path.read_bytes() for path in bundle.iterdir()}
    spoil(bundle)
    promote(site.folder, "2")
    follower.look()
    assert (follower.now.scorer, follower.now.champion) == (first, "2")
    assert said in follower.now.refused
    for file, body in whole.items():
        (bundle / file).write_bytes(body)
    follower.look()
    assert follower.now.scorer is not None and follower.now.scorer.version == "2"
    assert follower.now.refused == ""


def test_while_a_bundle_is_refused_the_service_says_why_and_scores_by_the_old_one(
    live: Live, told: dict[str, dict[str, float]]
) -> None:
    promote(live.folder, "1")
    follows(live, "1")
    bundle = live.folder / ".lotrisk" / "bundles" / "2"
    model = (bundle / "model.txt").read_bytes()
    SPOILT["model.txt"][0](bundle)
    promote(live.folder, "2")
    said = "model.txt is not the file"
    eventually(lambda: all(said in (ask_anew(live, "/v1/models")["problem"] or "") for _ in range(8)), said)
    models = live.get("/v1/models")
    assert (models["champion"], models["serving"]) == ("2", "1")
    ready = live.client.get("/readyz")
    assert ready.status_code == 503 and said in ready.json()["checks"]["bundle"]["detail"]
    assert "lotrisk_bundle_refused 1.0" in live.client.get("/metrics").text
    (result,) = live.score(["L000007"], as_of=AS_OF)["results"]
    assert (result["model_version"], result["risk"]) == ("1", told["1"]["L000007"])
    (bundle / "model.txt").write_bytes(model)
    follows(live, "2")
    assert live.get("/readyz")["ready"] and live.get("/v1/models")["problem"] is None
    bundle.rename(bundle.parent / "away")
    promote(live.folder, "1")
    follows(live, "1")
    promote(live.folder, "2")
    eventually(lambda: "names version 2" in (live.get("/v1/models")["problem"] or ""), "a lost bundle is refused")
    (bundle.parent / "away").rename(bundle)
    follows(live, "2")
    assert live.said().count("version 2 is refused") >= 2


def test_a_return_that_comes_in_changes_scores_without_a_restart(live: Live) -> None:
    promote(live.folder, "1")
    follows(live, "1")
    now = datetime.now(UTC).isoformat()
    lots = ["L000395", "L000398", "L000399", "L000400"]
    before = {one["lot_id"]: one["features_as_of"] for one in live.score(lots, as_of=now)["results"]}
    told_at = "2026-09-02T08:00:00Z"
    with (live.folder / "data" / "returns.csv").open("a", encoding="utf-8") as file:
        for number in range(40):
            file.write(f"R9{number},L0003{number + 10},C01,2026-08-28,{told_at},90,weak_pull,Weak,high,,\n")

    def read() -> bool:
        return {one["features_as_of"] for one in live.score(lots, as_of=now)["results"]} == {told_at}

    assert told_at not in before.values()
    eventually(read, "the returns count")
    as_of = read_moment(now, "UTC")
    table = offline(live.folder, lots, as_of=as_of)

    def both_say_the_same() -> bool:
        with httpx.Client(base_url=live.url, trust_env=False, timeout=60) as client:
            answers = client.post("/v1/scores", json={"lots": lots, "as_of": now}).json()["results"]
        return [one["risk"] for one in answers] == table["risk"].to_pylist()

    eventually(lambda: all(both_say_the_same() for _ in range(12)), "both workers score with the returns")


def test_with_the_sources_gone_scores_go_on_and_the_fault_is_shown(live: Live) -> None:
    before = live.score(LOTS, as_of=AS_OF)["results"]
    aside = (live.folder / "data").rename(live.folder / "away")
    try:
        eventually(lambda: "lots" in live.client.get("/readyz").json()["checks"]["histories"]["detail"], "the fault")
        eventually(lambda: "lotrisk_refresh_failing 1.0" in live.client.get("/metrics").text, "its figure")
        assert live.score(LOTS, as_of=AS_OF)["results"] == before
        promote(live.folder, "2")
        eventually(
            lambda: live.get("/v1/lots")["model_version"] == "2", "a promotion scores the open lots all the same"
        )
    finally:
        aside.rename(live.folder / "data")
        promote(live.folder, "1")
    eventually(lambda: "lotrisk_refresh_failing 0.0" in live.client.get("/metrics").text, "healed")
    follows(live, "1")


def test_a_service_without_sources_and_registry_scores_from_its_maps_and_leaves_nobody_when_killed(live: Live) -> None:
    """The last of the module: the first service is ended."""
    before = live.score(LOTS, as_of=AS_OF)["results"]
    assert not (live.folder / ".lotrisk" / "mlflow.db").exists()
    assert live.end() == 0
    aside = (live.folder / "data").rename(live.folder / "away")
    try:
        with serving(live.folder, workers=1) as again:
            assert again.score(LOTS, as_of=AS_OF)["results"] == before
            assert len(again.get("/v1/lots")["items"]) >= 5
            eventually(lambda: "lots" in again.client.get("/readyz").json()["checks"]["histories"]["detail"], "why")
            os.kill(again.process.pid, signal.SIGKILL)
            again.process.wait()
        # `serving` has waited until the worker and the keeper had noticed.
        assert "Finished server process" in again.said()
    finally:
        aside.rename(live.folder / "data")
