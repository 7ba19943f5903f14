"""The project's files, as the guards over the repository see them."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("features", "training", "serving")
MADE = {".git", ".venv", ".lotrisk", ".hypothesis", "__pycache__", "build", "demo", "dist"}


def project_files() -> list[Path]:
    """What is committed or would be, relative to the root; outside a git clone, all that no command made."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        found: Iterable[Path] = map(Path, listed.stdout.split("\0")[:-1])
    else:
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if not made(path.relative_to(ROOT)))
    return sorted(path for path in found if (ROOT / path).is_file())


def made(path: Path) -> bool:
    return any(part in MADE or part.endswith(("_cache", ".egg-info")) for part in path.parts)


def package_files() -> list[Path]:
    """What the wheel must hold: all that lies in the packages, and the front door."""
    return [path for path in project_files() if path.parts[0] in PACKAGES or path == Path("lotrisk.py")]


def modules() -> list[Path]:
    """Every Python file but the tests."""
    return [path for path in project_files() if path.suffix == ".py" and path.parts[0] != "tests"]
