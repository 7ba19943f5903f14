"""Runs in MLflow, by its client.

Everything goes through an `MlflowClient` of its own: `mlflow.set_tracking_uri` would change the whole process and
the environment of its children.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import RegistryFault
from features.output import make_once

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SQLITE = "sqlite:///"
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # 7 by default: a person waits four minutes to hear that it is down
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds, 120 by default; asked too soon again, a busy one makes two versions
}


@contextmanager
def told() -> Iterator[None]:
    """Faults of MLflow and of its database as one of ours, without what stands before an address's @."""
    try:
        yield
    except Exception as error:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        if not isinstance(error, MlflowException | SQLAlchemyError):
            raise
        raise RegistryFault.of(error) from None


def client_of(tracking_uri: str) -> "MlflowClient":
    """MLflow that says nothing and calls nobody but its own server; it reads these settings when first imported."""
    for setting, value in _SETTINGS.items():
        os.environ.setdefault(setting, value)
    from mlflow import MlflowClient

    def client(uri: str) -> MlflowClient:
        return MlflowClient(uri, registry_uri=uri)

    if tracking_uri.startswith(SQLITE):
        # MLflow takes seconds to make its tables; stopped in between, it would refuse the file for good.
        make_once(Path(tracking_uri.removeprefix(SQLITE)), lambda made: client(f"{SQLITE}{made}"))
    return client(tracking_uri)


def experiment_of(client: "MlflowClient", name: str, tracking_uri: str, state_dir: Path) -> str:
    """The id of the experiment of this name, made where it is not there."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    at_server = tracking_uri.startswith(("http://", "https://"))
    location = None if at_server else (state_dir / "artifacts").resolve().as_uri()
    return str(client.create_experiment(name, artifact_location=location))


def log_run(
    client: "MlflowClient",
    run: "Run",
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> None:
    """All in one call, NaN left out; MLflow holds 6,000 characters of a parameter and 8,000 of a tag."""
    from mlflow.entities import Metric, Param, RunTag

    at = run.info.start_time
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(key, float(figure), at, 0) for key, figure in metrics.items() if figure == figure],
        params=[Param(key, str(parameter)[:6000]) for key, parameter in parameters.items()],
        tags=[RunTag(key, str(tag)[:8000]) for key, tag in tags.items()],
    )
