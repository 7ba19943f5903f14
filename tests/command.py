"""The command line, run inside the test: its imports cost seconds only once."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lotrisk import main
from serving.registry import versions


@dataclass(frozen=True)
class Ran:
    """What a command left behind: exit status, standard output and standard error."""

    status: int
    out: str
    err: str


def lotrisk(*arguments: Any, stdin: str | None = None) -> Ran:
    """`lotrisk <arguments>`; a fault that is not one line on standard error is raised."""
    result = CliRunner().invoke(main, [str(one) for one in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """Imported by a test module: up to 40 trees are tried in place of 600, and the rest is as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.model.ROUNDS", (10, 20, 40))
        patch.setattr("training.model.DEFAULT_ROUNDS", 20)
        yield


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Imported by a test module: MLflow's database with nothing in it, which takes seconds to make."""
    folder = tmp_path_factory.mktemp("registry")
    assert versions("none", tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", state_dir=folder) == []
    return folder / "mlflow.db"


def with_registry(site: Path, registry: Path) -> Path:
    """The site with a copy of the empty database."""
    (site / ".lotrisk").mkdir()
    shutil.copy(registry, site / ".lotrisk" / "mlflow.db")
    return site


def done(*arguments: Any, stdin: str | None = None) -> Ran:
    """The same for a command that has to succeed."""
    ran = lotrisk(*arguments, stdin=stdin)
    assert ran.status == 0, ran.err
    return ran
