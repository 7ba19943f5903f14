"""The wheel holds the front door and the three packages, whole, and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable

import pytest

from tests.tree import PACKAGES, ROOT, package_files, project_files

TOP = {"lotrisk.py", *PACKAGES}


def strangers(held: Iterable[str]) -> set[str]:
    """What lies at the top of a wheel beside the project and its metadata."""
    return {top for name in held if not (top := name.split("/")[0]).endswith(".dist-info")} - TOP


def left_out(held: Iterable[str]) -> set[str]:
    """Files of the packages, modules and pages alike, that a wheel lacks."""
    return {path.as_posix() for path in package_files()} - set(held)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names in a wheel built from a copy: setuptools leaves a build/ behind, and packs what an older one left."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in project_files():
        (folder / "project" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / "project" / path)
    command = [sys.executable, "-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", folder]
    built = subprocess.run([*command, folder / "project"], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_the_wheel_holds_nothing_else(held: list[str]) -> None:
    assert strangers(held) == set()
    assert {name.split("/")[0] for name in held} >= TOP


def test_the_wheel_holds_the_packages_whole(held: list[str]) -> None:
    assert left_out(held) == set(), "add the package to [tool.setuptools] packages, other files to package-data"


def test_an_extra_package_is_caught(held: list[str]) -> None:
    assert strangers([*held, "tests/__init__.py"]) == {"tests"}


def test_a_package_left_out_is_caught(held: list[str]) -> None:
    missing = left_out(name for name in held if not name.startswith("features/groups/"))
    assert "features/groups/__init__.py" in missing
