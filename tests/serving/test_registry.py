"""Promoting and rolling back: alias and file move together, and only to a bundle that is what it says."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from features.errors import BundleRefused, RegistryFault, UnknownVersion
from serving import registry
from tests.toy_model import MLFLOW_WARNS, Parts
from training.register import register

pytestmark = MLFLOW_WARNS


class Site:
    """One name in the module's registry, with a state folder of its own."""

    def __init__(self, name: str, tracking_uri: str, state_dir: Path) -> None:
        self.name = name
        self.where = {"tracking_uri": tracking_uri, "state_dir": state_dir}
        self.state_dir = state_dir
        self.client = registry._client(tracking_uri, state_dir)

    def train(self, times: int) -> "Site":
        parts = Parts()
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
            )
        return self

    def promote(self, version: str, **reason: str) -> str | None:
        return registry.promote(self.name, version, **self.where, **reason)  # type: ignore[arg-type]

    def rollback(self) -> str:
        return registry.rollback(self.name, **self.where)  # type: ignore[arg-type]

    def versions(self) -> list[registry.VersionInfo]:
        return registry.versions(self.name, **self.where)  # type: ignore[arg-type]

    def champions(self) -> tuple[str | None, str | None]:
        """By MLflow's alias and by the file."""
        return registry._aliased(self.client, self.name), registry.champion(self.state_dir)


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
        yield f"http://127.0.0.1:{server.port}"
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


def of_another_version(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes((folder.parent / "1" / path.name).read_bytes())


@pytest.mark.parametrize(
    ("tamper", "said"), [(cut_short, r"model\.txt is not the file"), (of_another_version, "of version 1, not 2")]
)
def test_a_bundle_that_does_not_read_is_not_promoted(site: Site, tamper: Callable[[Path], None], said: str) -> None:
    site.train(2).promote("1")
    tamper(site.state_dir / "bundles" / "2")
    with pytest.raises(BundleRefused, match=said):
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
    assert "no bundle in" in site.versions()[0].problem
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
    registry._client(**{key: site.where[key] for key in ("tracking_uri", "state_dir")})  # type: ignore[arg-type]
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_everything_goes_by_url_too(url: str, tmp_path: Path) -> None:
    site = Site("by url", url, tmp_path / "here").train(2)
    assert [site.promote("1"), site.promote("2"), site.rollback()] == [None, "1", "1"]
    assert site.champions() == ("1", "1")
    assert sorted(path.name for path in site.state_dir.iterdir()) == ["bundles", "champion"]
    elsewhere = Site("by url", url, tmp_path / "another machine")
    assert elsewhere.promote("2") == "1"
    assert site.champions() == ("2", "1")
    for path in (site.state_dir / "bundles" / "2").iterdir():
        assert (elsewhere.state_dir / "bundles" / "2" / path.name).read_bytes() == path.read_bytes()
