"""What may lie in the repository: nothing of one machine, nothing pickled, no data, and a lock that holds."""

import gzip
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tree import ROOT, project_files

DATA = ROOT.parent / "shared" / "data"
# In pieces, so that this file does not hold what it looks for.
REGISTRIES = ("py" + "pi.org", "python" + "hosted.org", "py" + "pi.python.org", "ana" + "conda.org", "npm" + "js.org")
MACHINE = re.compile(r"(?<![\w.~})-])/(?:" + "|".join(["ho" + "me", "wo" + "rk", "ro" + "ot", "Us" + "ers"]) + r")/\w")
ADDRESS = re.compile("file:" + r"//|https?://\S+/" + "simple" + r"\b|^\s*--(?:extra-)?index-url|^\s*--find-links")
DATA_FILES = {
    ".csv",
    ".tsv",
    ".parquet",
    ".feather",
    ".arrow",
    ".xls",
    ".xlsx",
    ".db",
    ".sqlite",
    ".gz",
    ".zip",
    ".rda",
}
PICKLES = {".pkl", ".pickle", ".joblib", ".npy", ".npz", ".pt"}
PICKLED = re.compile(rb"\x80[\x02-\x05][\x95c}\](]")


def text(path: Path) -> str:
    return (ROOT / path).read_text("utf-8", errors="replace")


def names_a_machine(line: str) -> bool:
    return any(host in line for host in REGISTRIES) or bool(MACHINE.search(line) or ADDRESS.search(line))


def test_no_line_names_a_registry_or_a_path_of_one_machine() -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in project_files()
        for number, line in enumerate(text(path).splitlines(), start=1)
        if names_a_machine(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "bad",
    [
        "data = '/" + "home/ana/tablets'",
        "cd /" + "work/lot-risk",
        "source = '/" + "Users/ana/x'",
        "see https://" + "py" + "pi.org/project/duckdb",
        "--extra-" + "index-url http://mirror.local/",
        "  --index-url http://mirror.local/",
        "file:" + "///srv/wheels",
        "https://mirror.local/py/" + "simple/",
    ],
)
def test_a_line_of_one_machine_is_caught(bad: str) -> None:
    assert names_a_machine(bad)


@pytest.mark.parametrize(
    "fine", ["GET /v1/" + "work/orders", "../shared/data", "#!/usr/bin/env bash", "https://doi.org/10.1038"]
)
def test_other_paths_are_fine(fine: str) -> None:
    assert not names_a_machine(fine)


def unwelcome(path: Path, start: bytes = b"") -> bool:
    """A second lock, data, or a pickle by its name or its first bytes."""
    return path.name == "uv.lock" or path.suffix in DATA_FILES | PICKLES or PICKLED.match(start) is not None


def test_no_second_lock_no_pickle_no_data() -> None:
    assert [path for path in project_files() if unwelcome(path, (ROOT / path).read_bytes()[:3])] == []


@pytest.mark.parametrize(
    "bad", ["uv.lock", "model.pkl", "tests/data/lots.parquet", "experiments/tablets/Laboratory.csv"]
)
def test_an_unwelcome_file_is_caught(bad: str) -> None:
    assert unwelcome(Path(bad))


@pytest.mark.parametrize("start", [b"\x80\x04\x95", b"\x80\x02c", b"\x80\x03}"])
def test_a_pickle_under_another_name_is_caught(start: bytes) -> None:
    assert unwelcome(Path("model.bin"), start)


def telling(lines: Iterable[str]) -> Iterator[str]:
    """Lines long enough to have one origin."""
    return (line.strip() for line in lines if len(line.strip()) >= 40)


def copied(lines: Iterable[str], known: set[str]) -> list[str]:
    return [line for line in telling(lines) if line in known]


@pytest.fixture(scope="module")
def real_lines() -> set[str]:
    if not DATA.is_dir():
        pytest.skip("the real data sets are not beside this clone")
    packed = [gzip.decompress(path.read_bytes()) for path in DATA.rglob("*.gz")]
    plain = [path.read_bytes() for path in DATA.rglob("*.csv")]
    return set(telling(line for table in [*packed, *plain] for line in table.decode("utf-8", "replace").splitlines()))


def test_no_line_is_copied_from_the_real_data(real_lines: set[str]) -> None:
    assert {path: found for path in project_files() if (found := copied(text(path).splitlines(), real_lines))} == {}


def test_a_copied_line_is_caught(real_lines: set[str]) -> None:
    assert len(real_lines) > 1000
    assert copied(["a comment", next(iter(real_lines))], real_lines) != []


def pinned(lock: str) -> dict[str, list[str]]:
    """Versions by name; universal, so one name may have one a Python version. Every entry has its hashes."""
    found: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=\S)", lock.strip()):
        start = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", entry)
        assert start, f"not pinned: {entry.splitlines()[0]}"
        assert "--hash=sha256:" in entry, f"no hash: {start[0]}"
        found.setdefault(canonicalize_name(start[1]), []).append(start[2])
    return found


def asked(project: dict) -> list[Requirement]:
    """Every requirement of pyproject.toml: to build, to run, the extras and the groups."""
    extras = project["project"].get("optional-dependencies", {})
    groups = project.get("dependency-groups", {})
    lists = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *extras.values(),
        *groups.values(),
    ]
    return [Requirement(line) for each in lists for line in each]


def unmet(project: dict, lock: str) -> list[str]:
    versions = pinned(lock)
    return [
        str(requirement)
        for requirement in asked(project)
        if not (there := versions.get(canonicalize_name(requirement.name), []))
        or not all(requirement.specifier.contains(version) for version in there)
    ]


PROJECT = """
build-system.requires = ["setuptools>=80"]
project.dependencies = ["numpy>=2.1"]
dependency-groups.dev = ["ruff"]
"""
LOCK = """
numpy==2.2 \\
    --hash=sha256:01
ruff==0.17 ; python_full_version < '3.12' \\
    --hash=sha256:02
    # via lot-risk (pyproject.toml:dev)
setuptools==84.0 \\
    --hash=sha256:03
"""


def test_the_lock_pins_what_the_project_asks_for() -> None:
    assert unmet(tomllib.loads(text(Path("pyproject.toml"))), text(Path("requirements.lock"))) == [], "run make lock"
    assert unmet(tomllib.loads(PROJECT), LOCK) == []


@pytest.mark.parametrize(
    ("was", "bad", "missing"),
    [
        ("numpy==2.2", "numpy==2.0", "numpy>=2.1"),
        ("ruff==", "rough==", "ruff"),
        ("setuptools==84", "setuptools==79", "setuptools>=80"),
    ],
)
def test_a_lock_that_does_not_hold_is_caught(was: str, bad: str, missing: str) -> None:
    assert unmet(tomllib.loads(PROJECT), LOCK.replace(was, bad)) == [missing]


@pytest.mark.parametrize(("was", "bad"), [("--hash=sha256:02", ""), ("numpy==2.2", "numpy>=2.2")])
def test_an_entry_without_hash_or_version_is_caught(was: str, bad: str) -> None:
    with pytest.raises(AssertionError, match=r"no hash|not pinned"):
        pinned(LOCK.replace(was, bad))
