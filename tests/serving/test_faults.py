"""What the service stays up through, in short: `benchmarks/faults.py`, which asks, breaks, mends and compares.

The whole of it takes minutes: a minute without a database, a full disk, the clock, the registry, PostgreSQL.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = ("own database gone", "half-written bundle", "refresh failing", "worker killed", "promotion")
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "faults.py"


def run(folder: Path, *asked: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"TMPDIR": str(folder)}
    command = [sys.executable, str(BENCHMARK), "--short", *asked]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    return run(tmp_path_factory.mktemp("faults"), "--seconds", "1", "--only", *FAULTS)


def rows(told: "subprocess.CompletedProcess[str]") -> dict[str, list[str]]:
    """Of the table, by fault: strange, wrong, unrecorded, orphans, decisions, states, seconds."""
    lines = [line for line in told.stdout.splitlines() if line.startswith(FAULTS)]
    return {next(fault for fault in FAULTS if line.startswith(fault)): line.split()[-7:] for line in lines}


def test_through_every_fault_no_answer_is_wrong_and_no_decision_is_lost(
    told: "subprocess.CompletedProcess[str]",
) -> None:
    assert told.returncode == 0, told.stdout + told.stderr[-3000:]
    found = rows(told)
    assert set(found) == set(FAULTS)
    for fault, figures in found.items():
        assert figures[:4] == ["0", "0", "0", "0"], (fault, figures)
        assert int(figures[4]) > 100, (fault, figures)


def test_the_audit_log_is_whole_afterwards_and_decisions_replay(told: "subprocess.CompletedProcess[str]") -> None:
    assert "good" in next(line for line in told.stdout.splitlines() if line.startswith("audit log"))
    assert told.stdout.count("the same, bit for bit") == 1
