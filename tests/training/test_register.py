"""What is registered is data, complete, and an ordinary MLflow model; what is cut off leaves nothing to promote."""

import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.figure import Figure

from features.bundle import read_bundle
from features.errors import BundleRefused, RegistryFault
from serving import tracking
from tests.toy_model import CARD, MLFLOW_WARNS, Parts, rows
from training import register as registering
from training import runs
from training.register import refuse_pickles, register

pytestmark = MLFLOW_WARNS
NAME = "tablets"
ROOT = Path(__file__).parents[2]


def train(name: str, state_dir: Path, tracking_uri: str, **other: Any) -> str:
    parts, figure = Parts(), Figure()
    figure.subplots().plot([0, 1], [0, 1])
    given = {
        "model_text": parts.model_text,
        "card": parts.card,
        "reference": parts.reference,
        "golden": parts.golden,
        "parameters": {"num_leaves": 7, "long": "x" * 7000},
        "metrics": {"log_loss": 0.1 + 0.2, "log_loss_low": 0.25, "log_loss_high": 0.35, "auc": float("nan")},
        "tags": {"until": "2025-04-17T00:00:00Z", "champion": "better than the base rate"},
        "figures": {"calibration": figure},
        "tables": {"out_of_time": pa.table({"risk": [0.1, 0.2]})},
        "page": lambda card: f"<!doctype html>version {card.version}",
        **other,
    }
    return register(name, tracking_uri=tracking_uri, state_dir=state_dir, **given)


def train_elsewhere(name: str, folder: Path, state_dir: Path, **other: Any) -> str:
    """In the module's registry, with another state folder."""
    return train(name, folder, uri(state_dir), **other)


def uri(state_dir: Path) -> str:
    return f"sqlite:///{state_dir / 'mlflow.db'}"


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site's state with version 1, in a folder with a blank and a letter outside ASCII."""
    folder = tmp_path_factory.mktemp("tovarna č") / ".lotrisk"
    assert train(NAME, folder, uri(folder)) == "1"
    return folder


@pytest.fixture(scope="module")
def client(state_dir: Path) -> Any:
    return registering.client_of(uri(state_dir))


@pytest.fixture
def tracked(state_dir: Path) -> Iterator[None]:
    """MLflow's own loaders, which go by the process-wide URI."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri(state_dir))
    yield
    mlflow.set_tracking_uri(before)


def test_the_bundle_bears_the_number_of_the_version(state_dir: Path) -> None:
    assert read_bundle(state_dir / "bundles" / "1").card.version == "1"


def test_the_version_knows_its_bundle_by_its_card(client: Any, state_dir: Path) -> None:
    card = (state_dir / "bundles" / "1" / "card.json").read_bytes()
    assert client.get_model_version(NAME, "1").tags["card_sha256"] == hashlib.sha256(card).hexdigest()


def test_the_run_holds_parameters_figures_and_tags(client: Any) -> None:
    run = client.get_run(client.get_model_version(NAME, "1").run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"log_loss": 0.1 + 0.2, "log_loss_low": 0.25, "log_loss_high": 0.35}
    assert run.data.params["num_leaves"] == "7"
    assert run.data.tags["champion"] == "better than the base rate"
    assert client.get_experiment(run.info.experiment_id).name == NAME


def test_everything_registered_is_plain_data(client: Any, tmp_path: Path) -> None:
    version = client.get_model_version(NAME, "1")
    client.download_artifacts(version.run_id, "", str(tmp_path))
    assert refuse_pickles(tmp_path) == [
        "bundle/card.json",
        "bundle/golden.json",
        "bundle/model.txt",
        "bundle/reference.parquet",
        "card.html",
        "plots/calibration.png",
        "tables/out_of_time.csv",
    ]


def test_the_registered_model_is_the_bundles_text_and_plain_data(client: Any, state_dir: Path, tmp_path: Path) -> None:
    import mlflow

    folder = Path(mlflow.artifacts.download_artifacts(client.get_model_version(NAME, "1").source, dst_path=tmp_path))
    assert refuse_pickles(folder) == ["MLmodel", "conda.yaml", "model.lgb", "python_env.yaml", "requirements.txt"]
    assert (folder / "model.lgb").read_bytes() == (state_dir / "bundles" / "1" / "model.txt").read_bytes()
    assert "lightgbm==" in (folder / "requirements.txt").read_text("utf-8")


def test_the_bundle_at_the_run_is_the_one_in_the_folder(client: Any, state_dir: Path, tmp_path: Path) -> None:
    client.download_artifacts(client.get_model_version(NAME, "1").run_id, "bundle", str(tmp_path))
    for path in (state_dir / "bundles" / "1").iterdir():
        assert (tmp_path / "bundle" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.usefixtures("tracked")
def test_mlflow_loads_it_as_any_lightgbm_model(state_dir: Path) -> None:
    import mlflow

    bundle, matrix = read_bundle(state_dir / "bundles" / "1"), rows(100, seed=9)
    booster = mlflow.lightgbm.load_model(f"models:/{NAME}/1")
    assert np.array_equal(booster.predict(matrix, raw_score=True), bundle.margin(matrix))
    frame = pd.DataFrame(matrix, columns=CARD.names)
    loaded = mlflow.pyfunc.load_model(f"models:/{NAME}/1")
    assert [str(column.type) for column in loaded.metadata.get_input_schema()] == ["DataType.double"] * 3
    assert np.array_equal(loaded.predict(frame), booster.predict(matrix))
    with pytest.raises(mlflow.exceptions.MlflowException, match=r"missing inputs.*plant"):
        loaded.predict(frame[CARD.names[:2]])


def pickled(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps({"a": 1}))


def pickled_by_another_name(folder: Path) -> None:
    (folder / "model.txt").write_bytes(pickle.dumps({"a": 1}))


def pickled_as_text(folder: Path) -> None:
    (folder / "scores.csv").write_bytes(pickle.dumps({"a": [1.5, "x"]}, protocol=0) + b"\n")


def pickled_as_picture(folder: Path) -> None:
    (folder / "plot.png").write_bytes(pickle.dumps(b"\x89PNG"))


def pickled_in_an_archive(folder: Path) -> None:
    np.savez(folder / "model.npz", a=np.array([{"a": 1}], dtype=object))


def archived_as_model(folder: Path) -> None:
    with (folder / "model.lgb").open("wb") as file:
        np.savez(file, a=np.array([{"a": 1}], dtype=object))


@pytest.mark.parametrize(
    "smuggle",
    [
        pickled,
        pickled_by_another_name,
        pickled_as_text,
        pickled_as_picture,
        pickled_in_an_archive,
        archived_as_model,
    ],
)
def test_a_smuggled_pickle_is_caught(tmp_path: Path, smuggle: Any) -> None:
    (tmp_path / "fine.csv").write_text("a,b\n1,2\n")
    assert refuse_pickles(tmp_path) == ["fine.csv"]
    smuggle(tmp_path)
    with pytest.raises(ValueError, match="Keep data, not objects"):
        refuse_pickles(tmp_path)


def test_a_model_that_would_not_read_back_makes_no_version(tmp_path: Path, state_dir: Path, client: Any) -> None:
    with pytest.raises(BundleRefused, match="column 0"):
        train_elsewhere("swapped", tmp_path, state_dir, card=replace(CARD, features=list(reversed(CARD.features))))
    assert client.search_model_versions("name = 'swapped'") == []
    assert client.get_experiment_by_name("swapped") is None
    assert list(tmp_path.iterdir()) == []


def test_cut_off_before_the_bundle_leaves_no_half_of_it(
    tmp_path: Path, state_dir: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, **parts: Any) -> Any:
        if folder.name == "1":
            raise OSError(28, "No space left on device")
        return real(folder, **parts)

    real = registering.write_bundle
    monkeypatch.setattr(registering, "write_bundle", full)
    with pytest.raises(OSError, match="No space left"):
        train_elsewhere("cut off", tmp_path, state_dir)
    assert client.get_run(client.get_model_version("cut off", "1").run_id).info.status == "FAILED"
    assert [path.name for path in tmp_path.iterdir()] == ["artifacts"]
    monkeypatch.setattr(registering, "write_bundle", real)
    assert train_elsewhere("cut off", tmp_path, state_dir) == "2"
    assert read_bundle(tmp_path / "bundles" / "2").card.version == "2"


def test_registering_prints_nothing_and_writes_nowhere_else(
    tmp_path: Path, state_dir: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    settings = {name: said for name, said in os.environ.items() if name.startswith("MLFLOW_")}
    assert train_elsewhere("quiet", tmp_path / "state", state_dir) == "1"
    assert capfd.readouterr() == ("", "")
    assert list((tmp_path / "here").iterdir()) == []
    assert {name: said for name, said in os.environ.items() if name.startswith("MLFLOW_")} == settings


def test_no_secret_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryFault, match=r"http://\*\*\*@127\.0\.0\.1:9/") as told:
        train("secret", tmp_path, "http://me:wagtail@127.0.0.1:9")
    assert "wagtail" not in str(told.value)


def test_bundles_of_a_lost_registry_are_not_written_over(tmp_path: Path, state_dir: Path) -> None:
    (tmp_path / "bundles" / "3").mkdir(parents=True)
    with pytest.raises(RegistryFault, match="holds version 3, the registry of 'lost' knows 0 versions"):
        train_elsewhere("lost", tmp_path, state_dir)


def test_nobody_is_told() -> None:
    """MLflow counts its users by default, but not under pytest or CI: so in a process that looks like neither."""
    code = (
        "from training.runs import client_of\n"
        "client_of('http://127.0.0.1:9')\n"
        "from mlflow.telemetry import get_telemetry_client\n"
        "print(get_telemetry_client())\n"
    )
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True, cwd=ROOT
    )
    assert (done.stdout.strip(), done.stderr) == ("None", "")


@pytest.mark.parametrize("asked", [runs.client_of, lambda uri: tracking.client_of(uri, Path(uri[10:]).parent)])
def test_a_registry_whose_making_was_stopped_is_made_anew(
    asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(tracking_uri: str, registry_uri: str) -> None:
        Path(tracking_uri.removeprefix("sqlite:///")).write_text("some tables", encoding="utf-8")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("mlflow.MlflowClient", stopped)
        with pytest.raises(KeyboardInterrupt):
            asked(uri(tmp_path))
    assert not (tmp_path / "mlflow.db").exists()
    assert asked(uri(tmp_path)).search_registered_models() == []
