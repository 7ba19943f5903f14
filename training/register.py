"""A trained model goes into the registry: MLflow keeps run and version, the bundle folder is what serving reads.

Order: the bundle is written and read back aside, the run and the model are logged, the version is made, and only
then does its bundle get its place. Cut off anywhere, there is at worst a version without a bundle, and
`serving.registry` promotes none of those.
"""

import hashlib
import pickletools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv

from features.bundle import read_bundle, write_bundle
from features.card import ModelCard, iso
from features.errors import RegistryFault
from features.histories import Array
from features.output import write_text
from training.runs import client_of, experiment_of, log_run, told

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

KINDS = (
    ".csv",
    ".html",
    ".json",
    ".lgb",
    ".parquet",
    ".png",
    ".txt",
    ".yaml",
    "MLmodel",
)  # endings of what is registered
_STARTS = {".html": b"<!doctype html>", ".parquet": b"PAR1", ".png": b"\x89PNG", ".lgb": b"tree\n"}


@told()
def register(
    name: str,
    *,
    tracking_uri: str,
    state_dir: Path,
    model_text: str,
    card: ModelCard,
    reference: pa.Table,
    golden: Array,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    figures: Mapping[str, "Figure"],
    tables: Mapping[str, pa.Table],
    page: Callable[[ModelCard], str],
) -> str:
    """Register a model as the next version of `name`; returns its number and leaves `state_dir/bundles/<number>`.

    `page`: from the card with its version to HTML, which becomes `state_dir/cards/<number>.html` and the run's
    `card.html`.

    `model_text`: LightGBM's; `golden`: float64 rows of the matrix, shape (rows, features). `metrics` that are NaN
    are left out. `figures` become `plots/<key>.png`, `tables` become `tables/<key>.csv`. Without a server (any URI
    but http) artifacts lie in `state_dir/artifacts`.

    BundleRefused when the bundle would not read back, RegistryFault when bundles lie there that the registry
    does not know, ValueError when a file to be kept is no plain data.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    client = client_of(tracking_uri)
    _refuse_strange_bundles(client, name, state_dir / "bundles")
    with tempfile.TemporaryDirectory(prefix=".register-", dir=state_dir) as folder:
        made = Path(folder)
        write_bundle(made / "bundle", model_text=model_text, card=card, reference=reference, golden=golden)
        read_bundle(made / "bundle")
        _draw(made / "run", figures, tables)
        refuse_pickles(made)
        run = client.create_run(experiment_of(client, name, tracking_uri, state_dir))
        run_id = run.info.run_id
        try:
            log_run(client, run, parameters, metrics, tags)
            client.log_artifacts(run_id, str(made / "run"))
            version = _log_model(client, name, run_id, made, model_text=model_text, card=card)
            made_bundle = state_dir / "bundles" / version
            write_bundle(
                made_bundle,
                model_text=model_text,
                card=replace(card, version=version),
                reference=reference,
                golden=golden,
            )
            client.log_artifacts(run_id, str(made_bundle), "bundle")
            shown = page(replace(card, version=version))
            write_text(state_dir / "cards" / f"{version}.html", shown)
            client.log_text(run_id, shown, "card.html")
            written = hashlib.sha256((made_bundle / "card.json").read_bytes()).hexdigest()
            client.set_model_version_tag(name, version, "card_sha256", written)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
    client.set_terminated(run_id, "FINISHED")
    return version


def refuse_pickles(folder: Path) -> list[str]:
    """The files of a folder, by name, when each is plain data: a known ending, and the content that goes with it.

    ValueError names the first that is not. A pickle runs code when it is opened and dies with the class it names.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        kind = path.suffix or path.name
        if kind not in KINDS:
            raise ValueError(f"{path.name}: an ending none of {', '.join(KINDS)}. Keep data, not objects.")
        content = path.read_bytes()
        if not content.startswith(_STARTS.get(kind, b"")) or _is_pickle(content):
            raise ValueError(f"{path.name} is not the {kind} it is called. Keep data, not objects.")
        if kind not in (".parquet", ".png"):
            content.decode("utf-8")
    return [path.relative_to(folder).as_posix() for path in paths]


def _is_pickle(content: bytes) -> bool:
    """Whether the bytes are one pickle, to the end; protocol 0 is readable text, so the first byte does not tell."""
    try:
        return [place for _, _, place in pickletools.genops(content)][-1] == len(content.rstrip()) - 1
    except Exception:  # genops raises whatever its reader of one opcode raises
        return False


def _refuse_strange_bundles(client: "MlflowClient", name: str, bundles: Path) -> None:
    """A bundle is made after its version, so a higher number than the registry's means a lost or changed registry."""
    there = [int(folder.name) for folder in bundles.glob("[0-9]*") if folder.name.isdigit()]
    numbers = [int(version.version) for version in client.search_model_versions(f'name = "{name}"')]
    if max(there, default=0) > max(numbers, default=0):
        raise RegistryFault(
            f"{bundles} holds version {max(there)}, the registry of {name!r} knows {len(numbers)} versions up to "
            f"{max(numbers, default=0)}. Give the registry back, or move the bundles it does not know away."
        )


def _draw(folder: Path, figures: Mapping[str, "Figure"], tables: Mapping[str, pa.Table]) -> None:
    (folder / "plots").mkdir(parents=True)
    (folder / "tables").mkdir()
    for name, figure in figures.items():
        figure.savefig(folder / "plots" / f"{name}.png")
    for name, table in tables.items():
        pyarrow.csv.write_csv(table, folder / "tables" / f"{name}.csv")


def _log_model(
    client: "MlflowClient", name: str, run_id: str, folder: Path, *, model_text: str, card: ModelCard
) -> str:
    """Log the trees as an ordinary MLflow LightGBM model and make a version of it; returns the version's number.

    What `mlflow.lightgbm.log_model` does, by the client: files are looked at before they leave, and nothing prints.
    """
    import mlflow.lightgbm
    from lightgbm import Booster
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    logged = client.create_logged_model(client.get_run(run_id).info.experiment_id, name="model", source_run_id=run_id)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    mlflow.lightgbm.save_model(
        Booster(model_str=model_text),
        str(folder / "model"),
        mlflow_model=Model(
            artifact_path=logged.artifact_location, model_uuid=logged.model_id, run_id=run_id, model_id=logged.model_id
        ),
        signature=ModelSignature(
            inputs=Schema([ColSpec("double", feature) for feature in card.names]), outputs=Schema([ColSpec("double")])
        ),
        pip_requirements=[f"{what}=={metadata.version(what)}" for what in ("lightgbm", "mlflow", "numpy", "pandas")],
    )
    refuse_pickles(folder / "model")
    client.log_model_artifacts(logged.model_id, str(folder / "model"))
    client.finalize_logged_model(logged.model_id, "READY")
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name,
        source=logged.artifact_location,  # a models:/ source is looked up in the process-wide tracking store
        run_id=run_id,
        model_id=logged.model_id,
        tags={"trained_until": iso(card.trained_until)},
        description="Scores before calibration; card.json in the run's bundle holds calibration, costs and figures.",
    )
    return str(version.version)
