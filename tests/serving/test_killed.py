"""Killed at random moments the service loses no row that it answered for, and doubles none: the short form of
`benchmarks/kills.py`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.unsteady import postgres_schema
from tests.tree import ROOT


def killed(*options: str) -> str:
    command = [sys.executable, ROOT / "benchmarks" / "kills.py", "--kills", "5", *options]
    ran = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=900, cwd=Path(ROOT))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_nothing_is_lost_or_doubled(database: str) -> None:
    if database == "sqlite":
        said = killed()
    else:
        with postgres_schema() as url:
            said = killed("--seed", "1", "--database", url)
    assert "lost, doubled or there though refused: 0" in said
