"""Who may import whom, how long modules are, and what a module must not do or compare."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from tests.rules import done_on_import, times_compared
from tests.tree import PACKAGES, ROOT, modules

TOO_LONG = 300
MEDIAN_AT_MOST = 150  # the aim is 120
SAYS_NOTHING = {"utils", "util", "common", "helpers", "helper", "core", "base", "manager"}
MOVES_ALIAS = re.compile(r"\b(?:set|delete)_registered_model_alias\b")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=folder, capture_output=True, text=True
    )


def test_imports_run_one_way() -> None:
    linted = lint_imports(ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("features/asof.py", "training", "never import each other"),
        ("features/asof.py", "serving", "never import each other"),
        ("training/__init__.py", "serving", "never import each other"),
        ("serving/__init__.py", "training", "never import each other"),
        ("training/__init__.py", "lotrisk", "nobody imports"),
        ("serving/__init__.py", "experiments.tablets", "nobody imports"),
        ("features/asof.py", "mlflow", "features knows no"),
        ("features/asof.py", "sklearn.metrics", "features knows no"),
        ("features/asof.py", "lightgbm", "only the bundle"),
    ],
)
def test_an_import_the_wrong_way_is_caught(tmp_path: Path, module: str, imported: str, contract: str) -> None:
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"\nimport {imported}\n")
    linted = lint_imports(tmp_path)
    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert any(contract in line and "BROKEN" in line for line in linted.stdout.splitlines()), linted.stdout


def lengths() -> dict[Path, int]:
    return {path: len((ROOT / path).read_text("utf-8").splitlines()) for path in modules()}


def test_no_module_is_long() -> None:
    assert {path: lines for path, lines in lengths().items() if lines > TOO_LONG} == {}


def test_the_middle_module_is_read_in_one_sitting() -> None:
    assert median(lines for path, lines in lengths().items() if path.name != "__init__.py") <= MEDIAN_AT_MOST


def test_every_module_name_says_something() -> None:
    assert [path for path in modules() if SAYS_NOTHING & set(path.with_suffix("").parts)] == []


def in_packages() -> list[Path]:
    return [path for path in modules() if path.parts[0] in PACKAGES]


@pytest.mark.parametrize("path", [*in_packages(), Path("lotrisk.py")], ids=str)
def test_importing_does_nothing(path: Path) -> None:
    assert done_on_import((ROOT / path).read_text("utf-8")) == []


@pytest.mark.parametrize(
    "bad",
    [
        "SITE = os.environ['LOTRISK_SITE']",
        "SITE = os.getenv('LOTRISK_SITE')",
        "from os import environ\nSITE = environ.get('LOTRISK_SITE')",
        "WORDS = open('words.txt').read()",
        "PAGE = Path(__file__).with_name('page.html').read_text()",
        "STARTED = datetime.now(UTC)",
        "STARTED = time.time()",
        "logging.basicConfig(level='INFO')",
        "ENGINE = create_engine('sqlite://')",
        "class Settings:\n    site = os.environ.get('LOTRISK_SITE')",
        "def serve(started=datetime.now(UTC)): ...",
        "if True:\n    Path('out').mkdir()",
        "app = FastAPI(docs=requests.get('http://example.com').text)",
    ],
)
def test_doing_on_import_is_caught(bad: str) -> None:
    assert len(done_on_import(bad)) == 1


@pytest.mark.parametrize(
    "fine",
    [
        "def now():\n    return datetime.now(UTC)",
        "late = lambda: os.environ['LOTRISK_SITE']",
        "log = logging.getLogger(__name__)",
        "HERE = Path(__file__).parent",
        "PATTERN = re.compile('x')",
        "if __name__ == '__main__':\n    main(os.environ)",
    ],
)
def test_what_runs_later_may_do_things(fine: str) -> None:
    assert done_on_import(fine) == []


def judged(path: Path) -> bool:
    """The kernel compares; the demo's data is made, not judged."""
    return path != Path("features/asof.py") and not (path.parts[0] == "training" and path.stem.startswith("factory"))


@pytest.mark.parametrize("path", list(filter(judged, in_packages())), ids=str)
def test_only_the_kernel_compares_times(path: Path) -> None:
    assert times_compared((ROOT / path).read_text("utf-8")) == []


@pytest.mark.parametrize(
    "bad",
    [
        "recent = receipts[receipts.received_at < lot.as_of]",
        "recent = receipts['received_at'] < moment",
        "seen = known <= until",
        "seen = known[rows] > start",
        "seen = 0 < table.first",
        "stands = table.superseded >= now",
        "young = as_of - days(90) < start",
        "old = answers.delete().where(ANSWERS.c.at < start)",
        "old = ANSWERS.c['at'] < start",
        "asked = query.where(when >= start)",
        "late = start < now - KEPT",
        "mature = start < cut",
        "ended = block.trained_until < start",
        "late = returns['reported_at'].max() > start",
        "late = start < int(reported_at.max())",
        "recent = frame.query('received_at < @as_of')",
        "recent = np.less(known, as_of)",
        "place = np.searchsorted(known, as_of)",
    ],
)
def test_comparing_times_elsewhere_is_caught(bad: str) -> None:
    assert len(times_compared(bad)) == 1


@pytest.mark.parametrize(
    "fine",
    [
        "kept = before(receipts.known, as_of)",
        "found = failures >= MIN_FAILURES",
        "if len(known) > 0: ...",
        "if known.size < 3: ...",
        "same = known == superseded",
        "if first < second: ...",
    ],
)
def test_comparing_other_things_is_fine(fine: str) -> None:
    assert times_compared(fine) == []


def moves_an_alias(text: str) -> bool:
    return MOVES_ALIAS.search(text) is not None


def test_only_the_registry_moves_an_alias() -> None:
    assert moves_an_alias("client.set_registered_model_alias(name, 'champion', version)")
    moving = [path for path in modules() if moves_an_alias((ROOT / path).read_text("utf-8"))]
    assert set(moving) <= {Path("serving/registry.py")}
