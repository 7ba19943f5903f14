"""The image by its Dockerfile, in every step that needs no engine, and the lock that it installs.

The first test that asks for the image takes one to two minutes: it installs what the image serves with.
"""

import os
import re
import signal
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.dockerfile import Stage, allowed, carried_out, instructions, python_of
from tests.small_site import write_site
from tests.tree import ROOT, project_files

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PATIENCE = 120.0  # seconds; the cores are shared
TRAINERS = ("evidently", "flask", "gunicorn", "mlflow", "scikit-learn", "pytest", "ruff", "uv", "setuptools-scm")


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> list[Stage]:
    return carried_out(DOCKERFILE, context=ROOT, folder=tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def image(stages: list[Stage]) -> Stage:
    return stages[-1]


def in_image(image: Stage, *words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """A command of the image, in a folder that has nothing of the project."""
    return subprocess.run(
        [str(image.bin / words[0]), *words[1:]], cwd=folder, env=image.environ(), capture_output=True, text=True
    )


def test_the_entry_point_is_the_command_line(image: Stage, tmp_path: Path) -> None:
    told = in_image(image, *image.said["ENTRYPOINT"], "--help", folder=tmp_path)
    assert told.returncode == 0, told.stderr
    for command in ("serve", "promote", "rollback", "models"):
        assert f"\n  {command} " in told.stdout


def test_the_image_holds_the_wheel_and_no_source_tree(image: Stage, tmp_path: Path) -> None:
    held = [path for path in image.root.rglob("*") if path.is_file() and image.root / "python" not in path.parents]
    assert sorted(path.suffix for path in held) == [".lock", ".whl"], held
    asked = "import lotrisk, features, training, serving; print(lotrisk.__file__, serving.__file__)"
    told = in_image(image, "python", "-c", asked, folder=tmp_path)
    assert all(Path(path).is_relative_to(image.root / "python") for path in told.stdout.split()), told


def test_the_image_holds_the_serving_extra_only(image: Stage, tmp_path: Path) -> None:
    asked = "from importlib.metadata import distributions; print(*(d.name for d in distributions()), sep='\\n')"
    told = in_image(image, "python", "-c", asked, folder=tmp_path)
    held = {canonicalize_name(name) for name in told.stdout.split()}
    assert held >= {"fastapi", "lightgbm", "lot-risk", "mlflow-skinny", "uvicorn"}
    assert held & set(TRAINERS) == set()


def test_a_command_that_needs_more_says_which_extra(image: Stage, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    told = in_image(image, "lotrisk", "train", str(site.folder), folder=tmp_path)
    assert told.returncode == 2
    assert told.stderr.startswith("lotrisk: ") and told.stderr.count("\n") == 1 and "extra" in told.stderr


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def served(image: Stage, site: Path, port: int, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The image's own command, with the site and the port of this test."""
    words = [*image.said["ENTRYPOINT"], *image.said["CMD"]]
    told = {"/site": str(site), "8000": str(port), "0.0.0.0": "127.0.0.1"}
    assert set(told) <= set(words)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(image.bin / words[0]), *(told.get(word, word) for word in words[1:])],
            cwd=site.parent,
            env=image.environ(),
            stdout=out,
            stderr=out,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def status(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_service_of_the_image_is_healthy_while_it_runs(image: Stage, tmp_path: Path) -> None:
    site, port, log = write_site(tmp_path / "site"), free_port(), tmp_path / "log"
    check = [word.replace("8000", str(port)) for word in image.said["HEALTHCHECK"]]
    assert check != image.said["HEALTHCHECK"]
    assert in_image(image, *check, folder=tmp_path).returncode != 0
    with served(image, site.folder, port, log) as process:
        until = time.monotonic() + PATIENCE
        while in_image(image, *check, folder=tmp_path).returncode != 0:
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.5)
        pages = ("/", "/model", "/check", "/docs", "/metrics", "/v1/lots", "/v1/lots/L1", "/openapi.json")
        assert {path: status(port, path) for path in pages} == dict.fromkeys(pages, 200), log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, log.read_text()
    assert in_image(image, *check, folder=tmp_path).returncode != 0
    assert {path.name for path in site.folder.iterdir()} == {".lotrisk", "lotrisk.toml", "lots.csv", "returns.csv"}
    with pytest.raises((OSError, HTTPException)):
        status(port, "/healthz")


def test_the_image_is_of_the_oldest_python_and_runs_as_nobody_special(stages: list[Stage]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    build, last = stages
    assert build.image == last.image
    assert f">={'.'.join(map(str, python_of(last.image)))}" == project["project"]["requires-python"]
    (user,) = last.said["USER"]
    made = next(command for command in last.only_in_an_image if command[0] == "useradd")
    assert made[-1] == user != "root"
    owned = next(command for command in last.only_in_an_image if command[0] == "install")
    assert owned[-1:] == last.said["VOLUME"] and f"--owner {user}" in " ".join(owned)
    assert last.said["EXPOSE"] == [last.said["CMD"][last.said["CMD"].index("--port") + 1]]


def test_packages_of_the_system_are_few_and_leave_no_lists(stages: list[Stage]) -> None:
    commands = [command for stage in stages for command in stage.only_in_an_image]
    (wanted,) = [command for command in commands if command[:2] == ["apt-get", "install"]]
    assert [word for word in wanted[2:] if not word.startswith("-")] == ["libgomp1"]
    assert {"--yes", "--no-install-recommends"} <= set(wanted)
    assert commands[commands.index(wanted) - 1] == ["apt-get", "update"]
    assert commands[commands.index(wanted) + 1][:2] == ["rm", "-rf"]


def test_what_pip_fetches_is_pinned_by_hash() -> None:
    for keyword, rest in instructions(DOCKERFILE):
        if keyword == "RUN" and rest.startswith("pip"):
            assert "--require-hashes -r " in rest or "--no-index" in rest, rest


def test_nothing_else_gets_near_the_image() -> None:
    through = allowed((ROOT / ".dockerignore").read_text(encoding="utf-8"))
    assert {path for path in through if not (ROOT / path).exists()} == set()
    assert {"features", "training", "serving", "lotrisk.py"} <= set(through)
    assert {path.parts[0] for path in project_files()} - set(through) >= {"tests", "experiments", "docs", "Makefile"}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("RUN false", "status 1"),
        ("COPY tests/ tests/", "keeps it out"),
        ("ADD README.md ./", "does not know"),
        ("WORKDIR /build\nRUN test -e ../../README.md", "status 1"),
    ],
)
def test_a_step_that_fails_is_caught(bad: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=said):
        carried_out(f"FROM python:3.11-slim\n{bad}\n", context=ROOT, folder=tmp_path)


def pins(lock: str) -> dict[tuple[str, str], frozenset[str]]:
    """Hashes by (name, version)."""
    entries = re.split(r"\n(?=\S)", lock.strip())
    starts = [(re.match(r"(\S+)==([^\s;]+)", entry), entry) for entry in entries]
    return {
        (canonicalize_name(start[1]), start[2]): frozenset(re.findall(r"sha256:\w+", entry))
        for start, entry in starts
        if start
    }


def strays(serve: str, full: str) -> list[str]:
    """Pins of the service that the full lock does not have, hash by hash."""
    all_pins = pins(full)
    return [
        f"{name}=={version}"
        for (name, version), hashes in pins(serve).items()
        if not hashes or not hashes <= all_pins.get((name, version), frozenset())
    ]


def lock(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_service_has_the_pins_of_the_full_lock() -> None:
    serve = lock("requirements-serve.lock")
    assert strays(serve, lock("requirements.lock")) == [], "run make lock"
    assert {name for name, _ in pins(serve)} & set(TRAINERS) == set()


def test_the_service_has_what_the_extra_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    held = {name for name, _ in pins(lock("requirements-serve.lock"))}
    asked = [Requirement(line) for line in (*project["dependencies"], *project["optional-dependencies"]["serve"])]
    assert [str(each) for each in asked if canonicalize_name(each.name) not in held] == [], "run make lock"


@pytest.mark.parametrize(("was", "bad"), [("numpy==2.2", "numpy==2.1"), ("sha256:01", "sha256:02"), ("sha256:01", "")])
def test_a_pin_of_its_own_is_caught(was: str, bad: str) -> None:
    full = "numpy==2.2 \\\n    --hash=sha256:01\nruff==0.17 \\\n    --hash=sha256:03\n"
    assert strays("numpy==2.2 \\\n    --hash=sha256:01\n", full) == []
    assert strays("numpy==2.2 \\\n    --hash=sha256:01\n".replace(was, bad), full) != []


def test_no_environment_file_can_be_committed() -> None:
    asked = subprocess.run(["git", "check-ignore", ".env"], cwd=ROOT, capture_output=True, env=dict(os.environ))
    assert asked.returncode in (0, 128), "compose.yaml's secrets lie in .env; .gitignore must name it"
