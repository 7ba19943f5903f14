"""MLflow's registry as it is asked here: quiet, soon out of patience, and with faults that tell no password."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.champion import CHAMPION
from features.errors import RegistryFault, UnknownVersion
from features.output import make_once

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # 7 by default: a person waits four minutes to hear that it is down
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # seconds, 120 by default: so long one that is silent holds the keeper
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


def client_of(tracking_uri: str, state_dir: Path) -> "MlflowClient":
    """MLflow that says nothing and calls nobody but its own server; it reads these settings when first imported."""
    state_dir.mkdir(parents=True, exist_ok=True)
    for setting, value in _SETTINGS.items():
        os.environ.setdefault(setting, value)
    from mlflow import MlflowClient

    def client(uri: str) -> MlflowClient:
        return MlflowClient(uri, registry_uri=uri)

    if tracking_uri.startswith(SQLITE):
        # MLflow takes seconds to make its tables; stopped in between, it would refuse the file for good.
        make_once(Path(tracking_uri.removeprefix(SQLITE)), lambda made: client(f"{SQLITE}{made}"))
    return client(tracking_uri)


def registered(client: "MlflowClient", name: str) -> list[Any]:
    """MLflow's versions of a model, the latest first."""
    found: list[Any] = []
    token = None
    while True:
        page = client.search_model_versions(f'name = "{name}"', page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return sorted(found, key=lambda version: -int(version.version))


def aliased(client: "MlflowClient", name: str, alias: str = CHAMPION) -> str | None:
    """The number of the version that has the alias; None: none has, or nothing was registered."""
    from mlflow.exceptions import MlflowException

    try:
        number = client.get_registered_model(name).aliases.get(alias)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return None if number is None else str(number)


def known(client: "MlflowClient", name: str, version: str) -> Any:
    """MLflow's version of this number. UnknownVersion names those there are."""
    for each in registered(client, name):
        if str(each.version) == version:
            return each
    raise UnknownVersion(f"version {version} of {name!r} is not in the registry. {existing(client, name)}")


def existing(client: "MlflowClient", name: str) -> str:
    """In words: the versions there are."""
    numbers = [str(each.version) for each in registered(client, name)]
    return f"There are versions {', '.join(reversed(numbers))}." if numbers else "There are none: train first."
