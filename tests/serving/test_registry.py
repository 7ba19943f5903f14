"""Promoting and rolling back: alias and file move together, and only to a bundle that is what it says."""

import hashlib
import os
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from rich.table import Table
from sqlalchemy.exc import OperationalError

from features.champion import CHALLENGER, CHAMPION, challenger, read_challenger
from features.database import open_database, writing
from features.errors import BundleRefused, DatabaseUnreachable, LotRiskError, RegistryFault, UnknownVersion
from serving import because, registry, tracking
from serving.actors import REGISTRY
from serving.audit import entries
from serving.record import Record
from serving.versions_table import versions_table
from tests.toy_model import CARD, MLFLOW_WARNS, Parts
from training.register import register

pytestmark = MLFLOW_WARNS


class Site:
    """One name in the module's registry, with a state folder of its own."""

    def __init__(self, name: str, tracking_uri: str, state_dir: Path) -> None:
        self.name = name
        self.where = {"tracking_uri": tracking_uri, "state_dir": state_dir}
        self.state_dir = state_dir
        self.record = Record(f"sqlite:///{state_dir / 'lotrisk.db'}", "command:me", 5)
        self.client = tracking.client_of(tracking_uri, state_dir)

    def train(self, times: int, **card: Any) -> "Site":
        parts = Parts(card=replace(CARD, **card))
        for _ in range(times):
            register(
                self.name,
                **self.where,  # type: ignore[arg-type]
                model_text=parts.model_text,
                card=parts.card,
                reference=parts.reference,
                golden=parts.golden,
                parameters={},
                metrics={"log_loss": 0.3},
                tags={},
                figures={},
                tables={},
                page=lambda card: f"<!doctype html>{card.version}",
            )
        return self

    def promote(self, version: str, **reason: str) -> str | None:
        return registry.promote(self.name, version, **self.where, record=self.record, **reason)  # type: ignore[arg-type]

    def follow(self, refused: dict[str, str], alias: str = CHAMPION) -> str | None:
        record = replace(self.record, actor=REGISTRY)
        return registry.follow(self.name, **self.where, record=record, refused=refused, alias=alias)  # type: ignore[arg-type]

    def rollback(self) -> str:
        return registry.rollback(self.name, **self.where, record=self.record)  # type: ignore[arg-type]

    def challenge(self, version: str, **reason: str) -> str | None:
        return registry.challenge(self.name, version, **self.where, record=self.record, **reason)  # type: ignore[arg-type]

    def end_challenge(self) -> str | None:
        return registry.end_challenge(self.name, **self.where, record=self.record)  # type: ignore[arg-type]

    def versions(self) -> list[registry.VersionInfo]:
        return registry.versions(self.name, **self.where)  # type: ignore[arg-type]

    def recorded(self) -> list[tuple[str, str, str | None, str | None, str]]:
        """The audit log's entries: who, which alias, to which version, in place of which, why."""
        engine = open_database(self.record.database_url)
        told = [(one.actor, one.body) for one in entries(engine)]
        engine.dispose()
        names = ("alias", "version", "previous", "reason")
        return [(actor, *(body[name] for name in names)) for actor, body in told]  # type: ignore[misc]

    def champions(self) -> tuple[str | None, str | None]:
        """By MLflow's alias and by the file."""
        return tracking.aliased(self.client, self.name), registry.champion(self.state_dir)

    def challengers(self) -> tuple[str | None, str]:
        """By MLflow's alias and by the file."""
        file = self.state_dir / CHALLENGER
        said = file.read_text(encoding="utf-8").strip() if file.exists() else ""
        return tracking.aliased(self.client, self.name, CHALLENGER), said


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry") / "mlflow.db"


@pytest.fixture
def site(database: Path, tmp_path: Path) -> Site:
    return Site(tmp_path.name, f"sqlite:///{database}", tmp_path / ".lotrisk")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's server over HTTP, with its artifacts; in a thread, because `mlflow server` starts nine processes."""
    from mlflow.server import constants
    from werkzeug.serving import make_server

    folder = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(constants.BACKEND_STORE_URI_ENV_VAR, f"sqlite:///{folder / 'mlflow.db'}")
        patch.setenv(constants.ARTIFACT_ROOT_ENV_VAR, "mlflow-artifacts:/")
        patch.setenv(constants.ARTIFACTS_DESTINATION_ENV_VAR, str(folder / "artifacts"))
        patch.setenv(constants.SERVE_ARTIFACTS_ENV_VAR, "true")
        patch.setenv("MLFLOW_TRACKING_URI", "")  # the server sets these four for the whole process
        patch.setenv("MLFLOW_REGISTRY_URI", "")
        patch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
        patch.setattr("mlflow.tracking._model_registry.utils._registry_uri", None)
        from mlflow.server import app

        server = make_server("127.0.0.1", 0, app, threaded=True)
        serving = Thread(target=server.serve_forever)
        serving.start()
        address = f"http://127.0.0.1:{server.port}"
        # The first request makes its tables: for longer than a client waits where the machine is busy, and by Alembic,
        # whose context is the whole process's, so that a score log which migrates meanwhile would break both.
        httpx.get(f"{address}/api/2.0/mlflow/registered-models/search", timeout=120, trust_env=False).raise_for_status()
        yield address
        server.shutdown()
        serving.join()
        server.server_close()


def test_before_training_there_is_nothing(site: Site) -> None:
    assert site.versions() == []
    assert site.champions() == (None, None)
    with pytest.raises(UnknownVersion, match=r"version 1 of .* is not in the registry\. There are none: train first"):
        site.promote("1")
    with pytest.raises(UnknownVersion, match="has no champion to roll back from"):
        site.rollback()


def test_promotion_moves_alias_and_file(site: Site) -> None:
    site.train(2)
    assert site.promote("1") is None
    assert site.champions() == ("1", "1")
    assert site.promote("2", reason="asked for by the plant") == "1"
    assert site.champions() == ("2", "2")
    assert site.client.get_model_version(site.name, "2").tags["promoted_because"] == "asked for by the plant"
    assert [path.name for path in site.state_dir.iterdir() if path.name.startswith(".")] == []


def test_versions_are_listed_latest_first_with_what_their_cards_say(site: Site) -> None:
    site.train(2).promote("1")
    latest, first = site.versions()
    assert (latest.number, latest.champion, first.number, first.champion) == ("2", False, "1", True)
    assert first.trained_until == "2025-04-17T00:00:00Z"
    assert first.figures == {"log_loss": 0.1 + 0.2, "log_loss_low": 0.25, "log_loss_high": 0.35}
    assert first.promote is True
    assert first.reasons == ["log loss below the base rate and the trailing rate"]
    assert first.made_at.tzinfo is not None
    assert first.problem == ""


def test_a_challenger_stands_beside_the_champion_by_alias_and_file(site: Site) -> None:
    site.train(3).promote("1")
    assert site.challenge("2", reason="fewer false alarms out of time") is None
    assert (site.challengers(), site.champions()) == (("2", "2"), ("1", "1"))
    assert site.challenge("3") == "2"
    assert site.challengers() == ("3", "3")
    assert site.end_challenge() == "3"
    assert (site.challengers(), site.champions()) == ((None, ""), ("1", "1"))
    assert site.end_challenge() is None
    assert [path.name for path in site.state_dir.iterdir() if path.name.startswith(".")] == []


def test_why_versions_were_promoted_and_challenged_is_listed_and_kept_without_the_registry(site: Site) -> None:
    site.train(2).promote("1", reason="first one")
    site.challenge("2", reason="newer data")
    latest, first = site.versions()
    assert (latest.challenger, latest.challenged_because, latest.champion) == (True, "newer data", False)
    assert (first.challenger, first.promoted_because, first.champion) == (False, "first one", True)
    assert because.kept(site.state_dir) == {
        "1": {"promoted_because": "first one", "challenged_because": ""},
        "2": {"promoted_because": "", "challenged_because": "newer data"},
    }
    site.promote("2", reason="better for a month")
    assert because.kept(site.state_dir)["2"] == {
        "promoted_because": "better for a month",
        "challenged_because": "newer data",
    }
    (site.state_dir / because.FILE).write_text("[", encoding="utf-8")
    assert because.kept(site.state_dir) == {}


def test_the_table_of_versions_marks_both_and_shows_reasons_as_they_were_written(site: Site) -> None:
    site.train(2).promote("1", reason="asked for [by quality]")
    site.challenge("2", reason="newer [/data]")
    table, *told = versions_table(site.name, site.versions()).renderables
    assert isinstance(table, Table) and list(table.columns[1].cells) == ["challenger", "champion"]
    assert [(str(one).splitlines()[0], str(one).splitlines()[-1]) for one in told] == [
        ("version 2", "- Challenger: newer [/data]"),
        ("version 1", "- Promoted: asked for [by quality]"),
    ]


def test_what_the_rule_said_is_not_told_again_as_why_it_was_promoted(site: Site) -> None:
    (version,) = site.train(1).versions()
    site.promote("1", reason=" ".join(version.reasons))
    (version,) = site.versions()
    _, told = versions_table(site.name, [version]).renderables
    assert version.promoted_because and str(told).splitlines() == [
        "version 1",
        *(f"- {one}" for one in version.reasons),
    ]


def test_the_champion_cannot_challenge_itself(site: Site) -> None:
    site.train(2).promote("2")
    with pytest.raises(LotRiskError, match=r"version 2 of .* is the champion\. Name another"):
        site.challenge("2")
    with pytest.raises(UnknownVersion, match=r"version 7 of .* There are versions 1, 2\."):
        site.challenge("7")
    assert site.challengers() == (None, "")


@pytest.mark.parametrize("how", ["promoted", "rolled back to"])
def test_a_challenger_that_becomes_champion_challenges_no_more(site: Site, how: str) -> None:
    site.train(2).promote("2")
    if how == "rolled back to":
        site.promote("1")
    site.challenge("1" if how == "promoted" else "2")
    champion = "1" if how == "promoted" else "2"
    assert site.promote("1") == "2" if how == "promoted" else site.rollback() == "2"
    assert (site.champions(), site.challengers()) == ((champion, champion), (None, ""))


def test_a_champion_that_is_still_written_as_challenger_is_none_and_promoting_it_again_mends_that(site: Site) -> None:
    site.train(2).promote("1")
    site.challenge("2")
    site.promote("2")
    site.client.set_registered_model_alias(site.name, CHALLENGER, "2")
    (site.state_dir / CHALLENGER).write_text("2\n", encoding="utf-8")
    assert challenger(site.state_dir) == "" and read_challenger(site.state_dir) is None
    assert site.promote("2") is None
    assert site.challengers() == (None, "")


def test_promoting_another_leaves_the_challenger(site: Site) -> None:
    site.train(3).promote("1")
    site.challenge("2")
    site.promote("3")
    assert (site.champions(), site.challengers()) == (("3", "3"), ("2", "2"))


@pytest.mark.parametrize("before", [None, "2"])
def test_where_the_challengers_file_cannot_be_put_its_alias_moves_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    site.train(3).promote("1")
    if before:
        site.challenge(before)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", refuse)
        with pytest.raises(PermissionError, match="read only"):
            site.challenge("3")
    assert site.challengers() == (before, before or "")
    site.challenge("3")
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(PermissionError, match="read only"):
        site.end_challenge()
    assert site.challengers() == ("3", "3")


def test_a_bundle_that_does_not_read_does_not_challenge(site: Site) -> None:
    site.train(2).promote("1")
    cut_short(site.state_dir / "bundles" / "2")
    with pytest.raises(BundleRefused, match=r"model\.txt is not the file"):
        site.challenge("2")
    assert site.challengers() == (None, "")


def test_an_unknown_version_names_those_there_are(site: Site) -> None:
    site.train(2).promote("2")
    with pytest.raises(UnknownVersion, match=r"version 7 of .* There are versions 1, 2\."):
        site.promote("7")
    assert site.champions() == ("2", "2")


def test_rolling_back_twice_goes_back_twice(site: Site) -> None:
    site.train(3)
    for version in ("1", "2", "3"):
        site.promote(version)
    assert [site.rollback(), site.rollback()] == ["2", "1"]
    assert site.champions() == ("1", "1")
    with pytest.raises(UnknownVersion, match=r"version 1 of .* replaced no other.* There are versions 1, 2, 3\."):
        site.rollback()
    assert site.champions() == ("1", "1")


def test_a_version_promoted_twice_does_not_make_rolling_back_go_round(site: Site) -> None:
    site.train(2)
    for version in ("1", "2", "1"):
        site.promote(version)
    assert [site.rollback(), site.rollback()] == ["2", "1"]
    with pytest.raises(UnknownVersion, match="replaced no other"):
        site.rollback()


def test_promoting_the_champion_again_keeps_what_it_replaced(site: Site) -> None:
    site.train(2).promote("1")
    site.promote("2")
    assert site.promote("2") is None
    assert site.rollback() == "1"


def cut_short(folder: Path) -> None:
    (folder / "model.txt").write_bytes((folder / "model.txt").read_bytes()[:-1])


def test_a_bundle_that_does_not_read_is_not_promoted(site: Site) -> None:
    site.train(2).promote("1")
    cut_short(site.state_dir / "bundles" / "2")
    with pytest.raises(BundleRefused, match=r"model\.txt is not the file"):
        site.promote("2")
    assert site.champions() == ("1", "1")


def test_a_bundle_that_bears_another_number_is_not_promoted(site: Site) -> None:
    site.train(1).promote("1")
    first = site.client.get_model_version(site.name, "1")
    site.client.create_model_version(site.name, first.source, first.run_id)
    with pytest.raises(BundleRefused, match="is the bundle of version 1, not 2"):
        site.promote("2")
    assert site.champions() == ("1", "1")


def lose(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_a_bundle_that_is_not_here_comes_from_the_registry(site: Site) -> None:
    site.train(1)
    folder = site.state_dir / "bundles" / "1"
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    lose(folder)
    assert "no bundle of it in" in site.versions()[0].problem
    site.promote("1")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_a_version_without_a_bundle_is_not_promoted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.train(1)
    version = site.client.get_model_version(site.name, "1")
    empty = site.client.create_run(site.client.get_run(version.run_id).info.experiment_id)
    site.client.create_model_version(site.name, version.source, empty.info.run_id)
    with pytest.raises(BundleRefused, match=r"version 2 of .* has no bundle: its training did not finish"):
        site.promote("2")
    assert site.champions() == (None, None)


@pytest.mark.parametrize("before", [None, "1"])
def test_where_the_file_cannot_be_put_the_alias_moves_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    site.train(2)
    if before:
        site.promote(before)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError, match="read only"):
        site.promote("2")
    assert site.champions() == (before, before)


def test_where_the_alias_does_not_move_the_file_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.train(2).promote("1")
    monkeypatch.setattr("mlflow.MlflowClient.set_registered_model_alias", refuse)
    with pytest.raises(PermissionError, match="read only"):
        site.promote("2")
    assert site.champions() == ("1", "1")
    assert [path.name for path in site.state_dir.iterdir() if path.name.startswith(".")] == []


def refuse(*given: Any, **named: Any) -> None:
    raise PermissionError("read only")


def test_a_promotion_cut_off_between_alias_and_file_is_mended_by_promoting_again(site: Site) -> None:
    site.train(2).promote("1")
    site.promote("2")
    (site.state_dir / "champion").write_text("1\n")
    site.promote("2")
    assert site.champions() == ("2", "2")
    assert site.rollback() == "1"


def test_a_registry_that_does_not_answer_is_not_one_without_a_champion(site: Site, monkeypatch: Any) -> None:
    from mlflow.exceptions import MlflowException

    def down(*given: Any) -> None:
        raise MlflowException("temporarily unavailable")

    site.train(2).promote("1")
    monkeypatch.setattr("mlflow.MlflowClient.get_registered_model", down)
    with pytest.raises(RegistryFault, match=r"does not do it \(temporarily unavailable\)"):
        site.promote("2")


def test_the_settings_leave_what_the_user_set(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    tracking.client_of(**{key: site.where[key] for key in ("tracking_uri", "state_dir")})  # type: ignore[arg-type]
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_everything_goes_by_url_too(url: str, tmp_path: Path) -> None:
    site = Site("by url", url, tmp_path / "here").train(2)
    assert [site.promote("1"), site.promote("2"), site.rollback()] == [None, "1", "1"]
    assert site.champions() == ("1", "1")
    made = {path.name for path in site.state_dir.iterdir() if not path.name.startswith("lotrisk.db-")}
    assert made == {"bundles", "cards", "champion", "lotrisk.db", "lotrisk.db.made", "reasons.json"}
    elsewhere = Site("by url", url, tmp_path / "another machine")
    assert elsewhere.promote("2") == "1"
    assert site.champions() == ("2", "1")
    for path in (site.state_dir / "bundles" / "2").iterdir():
        assert (elsewhere.state_dir / "bundles" / "2" / path.name).read_bytes() == path.read_bytes()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def aside(folder: Path, bundle: dict[str, bytes]) -> Path:
    return folder.with_name(f".{folder.name}-{hashlib.sha256(bundle['card.json']).hexdigest()[:12]}")


def test_a_bundle_that_another_registry_gave_the_number_does_not_stand_in(url: str, site: Site, tmp_path: Path) -> None:
    """The machine had a registry of its own before it followed the one by URL."""
    site.train(2, cut=CARD.cut - 1).promote("2")
    elsewhere = Site("strange", url, tmp_path / "elsewhere").train(2)
    elsewhere.promote("2")
    here = Site("strange", url, site.state_dir)
    own = site.state_dir / "bundles" / "2"
    before, wanted = contents(own), contents(elsewhere.state_dir / "bundles" / "2")
    assert before != wanted
    assert "no bundle of it in" in here.versions()[0].problem
    assert here.follow({}) == "2"
    assert contents(own) == wanted and contents(aside(own, before)) == before
    assert here.champions() == ("2", "2") and here.versions()[0].problem == ""


def test_a_model_that_takes_over_the_champions_number_is_an_entry_and_every_one_before_is_kept(
    url: str, site: Site, tmp_path: Path
) -> None:
    registries = [site.train(1)]
    registries += [Site(f"same number {cut}", url, tmp_path / str(cut)).train(1, cut=CARD.cut - cut) for cut in (1, 2)]
    for each in registries:
        each.promote("1")
    own = site.state_dir / "bundles" / "1"
    bundles = [contents(each.state_dir / "bundles" / "1") for each in registries]
    there = [Site(each.name, each.where["tracking_uri"], site.state_dir) for each in registries]  # type: ignore[arg-type]
    for which in (1, 2, 1, 1):
        assert there[which].follow({}) == "1"
        assert contents(own) == bundles[which]
    assert there[0].promote("1") is None
    assert contents(own) == bundles[0]
    assert [contents(aside(own, bundle)) for bundle in bundles] == bundles
    engine = open_database(site.record.database_url)
    bodies = [entry.body for entry in entries(engine)]
    engine.dispose()
    cards = [hashlib.sha256(bundle["card.json"]).hexdigest() for bundle in bundles]
    assert [(body.get("previous_card_sha256"), body["card_sha256"]) for body in bodies] == [
        (None, cards[0]),
        (cards[0], cards[1]),
        (cards[1], cards[2]),
        (cards[2], cards[1]),
        (cards[1], cards[0]),
    ]
    assert {(body["alias"], body["version"], body["previous"]) for body in bodies[1:]} == {("champion", "1", "1")}
    assert bodies[1]["reason"] == "another registry gave this number to another model"


@pytest.mark.parametrize("how", ["away", "commit fails"])
def test_a_model_that_cannot_be_recorded_does_not_take_over(
    how: str, url: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.train(1).promote("1")
    elsewhere = Site(f"not recorded {how}", url, tmp_path / "elsewhere").train(1, cut=CARD.cut - 1)
    elsewhere.promote("1")
    here, own = Site(elsewhere.name, url, site.state_dir), site.state_dir / "bundles" / "1"
    before, told = contents(own), here.recorded()
    with monkeypatch.context() as broken:
        if how == "away":
            here.record = replace(here.record, database_url="postgresql+psycopg://me@127.0.0.1:9/x")
        else:
            broken.setattr("serving.record.writing", taken_back)
        with pytest.raises(DatabaseUnreachable, match="nothing was promoted"):
            here.follow({})
    here.record = site.record
    assert (contents(own), here.recorded(), [path.name for path in own.parent.iterdir()]) == (before, told, ["1"])
    assert here.follow({}) == "1"
    assert contents(own) != before and len(here.recorded()) == 2


def test_a_lost_bundle_of_the_champion_is_fetched_again(url: str, tmp_path: Path) -> None:
    here = Site("lost", url, tmp_path / "here").train(1)
    here.promote("1")
    lose(here.state_dir / "bundles" / "1")
    assert here.follow({}) == "1"
    assert (here.state_dir / "bundles" / "1" / "card.json").exists()


def test_a_champion_that_is_refused_is_not_fetched_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Site("refused", url, tmp_path / "elsewhere").train(2)
    elsewhere.promote("1")
    spoilt = tmp_path / "spoilt" / "model.txt"
    spoilt.parent.mkdir()
    spoilt.write_text("no model")
    second = elsewhere.client.get_model_version("refused", "2")
    elsewhere.client.log_artifact(second.run_id, str(spoilt), "bundle")
    elsewhere.client.set_registered_model_alias("refused", "champion", "2")
    here, refused = Site("refused", url, tmp_path / "here"), dict[str, str]()
    fetched = []
    really = here.client.download_artifacts

    def counted(client: Any, run_id: str, *given: Any) -> Any:
        fetched.append(run_id)
        return really(run_id, *given)

    monkeypatch.setattr("mlflow.MlflowClient.download_artifacts", counted)
    for _ in range(3):
        with pytest.raises(BundleRefused, match=r"model\.txt is not the file"):
            here.follow(refused)
    assert fetched == [second.run_id]
    elsewhere.client.set_registered_model_alias("refused", "champion", "1")
    assert here.follow(refused) == "1"
    elsewhere.client.set_registered_model_alias("refused", "champion", "2")
    with pytest.raises(BundleRefused, match=r"model\.txt"):
        here.follow(refused)
    assert fetched.count(second.run_id) == 2 and here.champions() == ("2", "1")


def test_a_challenger_named_elsewhere_is_followed_and_goes_when_it_is_ended_there(url: str, tmp_path: Path) -> None:
    elsewhere = Site("challenged", url, tmp_path / "elsewhere").train(3)
    elsewhere.promote("1", reason="first one")
    here = Site("challenged", url, tmp_path / "here")
    assert here.follow({}, CHALLENGER) is None
    elsewhere.challenge("2", reason="newer data")
    assert (here.follow({}), here.follow({}, CHALLENGER)) == ("1", "2")
    assert (here.champions(), here.challengers()) == (("1", "1"), ("2", "2"))
    assert because.kept(here.state_dir) == because.kept(elsewhere.state_dir)
    elsewhere.end_challenge()
    assert here.follow({}, CHALLENGER) is None
    assert (here.champions(), here.challengers()) == (("1", "1"), (None, ""))


def test_a_bundle_changed_in_the_registry_is_refused(url: str, tmp_path: Path) -> None:
    elsewhere = Site("changed", url, tmp_path / "elsewhere").train(2)
    run_id = elsewhere.client.get_model_version("changed", "2").run_id
    elsewhere.client.log_artifacts(run_id, str(elsewhere.state_dir / "bundles" / "1"), "bundle")
    with pytest.raises(BundleRefused, match=r"bundle of version 2 of .* was changed"):
        Site("changed", url, tmp_path / "here").promote("2")


@pytest.mark.parametrize("password", ["wagtail", "wag/tail", "wag tail", "wag@tail"])
def test_no_secret_is_told(password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    where = f"http://me:{password}@127.0.0.1:9"
    with pytest.raises(RegistryFault, match=r"http://\*\*\*@127\.0\.0\.1:9/") as told:
        registry.versions("secret", tracking_uri=where, state_dir=tmp_path)
    assert "tail" not in str(told.value) and "me:" not in str(told.value)
    assert told.value.__suppress_context__


def test_a_registry_that_is_silent_is_given_up_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    with ThreadPoolExecutor() as threads, socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}"
        record = Record(f"sqlite:///{tmp_path / 'lotrisk.db'}", REGISTRY, 5)
        asked = threads.submit(registry.follow, "silent", tracking_uri=where, state_dir=tmp_path, record=record)
        assert "ReadTimeoutError" in str(asked.exception(timeout=20))


def test_every_move_is_an_entry_of_the_audit_log(site: Site) -> None:
    site.train(3).promote("1", reason="first one")
    site.promote("2")
    site.promote("2")
    site.challenge("3", reason="newer data")
    site.promote("3", reason="better for a month")
    site.rollback()
    site.challenge("1")
    site.end_challenge()
    assert site.recorded() == [
        ("command:me", "champion", "1", None, "first one"),
        ("command:me", "champion", "2", "1", ""),
        ("command:me", "challenger", "3", None, "newer data"),
        ("command:me", "champion", "3", "2", "better for a month"),
        ("command:me", "challenger", None, "3", "became champion"),
        ("command:me", "champion", "2", "3", "rolled back from version 3"),
        ("command:me", "challenger", "1", None, ""),
        ("command:me", "challenger", None, "1", "ended"),
    ]
    engine = open_database(site.record.database_url)
    card = (site.state_dir / "bundles" / "1" / "card.json").read_bytes()
    assert next(entries(engine)).body["card_sha256"] == hashlib.sha256(card).hexdigest()
    engine.dispose()


def test_what_is_followed_from_a_registry_elsewhere_is_an_entry_here(url: str, tmp_path: Path) -> None:
    elsewhere = Site("recorded", url, tmp_path / "elsewhere").train(2)
    elsewhere.promote("1", reason="first one")
    elsewhere.challenge("2", reason="newer data")
    here = Site("recorded", url, tmp_path / "here")
    for _ in range(2):
        here.follow({}), here.follow({}, CHALLENGER)
    elsewhere.end_challenge()
    here.follow({}, CHALLENGER)
    assert here.recorded() == [
        ("registry", "champion", "1", None, "first one"),
        ("registry", "challenger", "2", None, "newer data"),
        ("registry", "challenger", None, "2", "ended in the registry"),
    ]


MOVES = {
    "promote": lambda site: site.promote("2"),
    "rollback": lambda site: site.rollback(),
    "challenge": lambda site: site.challenge("2"),
    "end": lambda site: site.end_challenge(),
}


@pytest.mark.parametrize("move", MOVES, ids=str)
@pytest.mark.parametrize("how", ["away", "commit fails", "disk full"])
def test_what_cannot_be_recorded_is_not_done(how: str, move: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.train(3)
    for version in ("3", "1"):
        site.promote(version)
    if move == "end":
        site.challenge("2")
    before = (site.champions(), site.challengers(), site.recorded())
    with monkeypatch.context() as broken:
        if how == "away":
            site.record = replace(site.record, database_url="postgresql+psycopg://me@127.0.0.1:9/x")
        elif how == "commit fails":
            broken.setattr("serving.record.writing", taken_back)
        else:
            broken.setattr("serving.record.append", no_room)
        with pytest.raises(DatabaseUnreachable, match=r"nothing was promoted, for it cannot be recorded: database"):
            MOVES[move](site)
    site.record = replace(site.record, database_url=f"sqlite:///{site.state_dir / 'lotrisk.db'}")
    assert (site.champions(), site.challengers(), site.recorded()) == before
    MOVES[move](site)
    assert len(site.recorded()) == len(before[2]) + 1


@contextmanager
def taken_back(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction whose commit fails."""
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    raise DatabaseUnreachable("database x: disk I/O error")


@contextmanager
def unanswered(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that is committed, and nobody hears of it."""
    with writing(engine) as connection:
        yield connection
    raise DatabaseUnreachable("database x: server closed the connection unexpectedly")


def no_room(*given: Any, **named: Any) -> None:
    raise OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))


def test_a_commit_whose_answer_is_lost_holds_where_the_log_has_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.train(2).promote("1")
    monkeypatch.setattr("serving.record.writing", unanswered)
    assert site.promote("2") == "1"
    assert site.champions() == ("2", "2") and len(site.recorded()) == 2
