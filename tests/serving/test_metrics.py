"""What any worker says of all of them, each a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.tree import ROOT

WORKER = """
import sys
from serving.loaded import Loaded
from serving.metrics import Metrics
from serving.published import Published

class Log:
    waiting, dropped = int(sys.argv[1]), int(sys.argv[2])

metrics = Metrics()
metrics.looked(Log())
read_at = int(sys.argv[3]) * 1_000_000
metrics.told(Loaded(mapped="old", published=Published(histories="old", read_at=read_at)))
newer = Published(histories="new", read_at=read_at * 2, log_waiting=7, log_dropped=11)
metrics.told(Loaded(mapped=sys.argv[4], published=newer))
print("told", flush=True)
sys.stdin.readline()
print(metrics.text(Log())[0].decode())
"""


class Worker:
    def __init__(self, folder: Path, *said: object) -> None:
        env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *map(str, said)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "told\n"

    def end(self) -> dict[str, float]:
        """Its figures, by name."""
        said, _ = self.process.communicate("\n", timeout=60)
        lines = [line.split() for line in said.splitlines() if line.startswith("lotrisk_") and "{" not in line]
        return {name: float(value) for name, value in lines}


def test_logs_add_up_and_the_oldest_histories_count_whoever_is_asked(tmp_path: Path) -> None:
    first, second = Worker(tmp_path, 3, 1, 1_000, "new"), Worker(tmp_path, 4, 0, 900, "new")
    both = first.end()
    assert (both["lotrisk_log_waiting_scores"], both["lotrisk_log_dropped_scores"]) == (7, 1)
    assert both["lotrisk_histories_read_timestamp_seconds"] == 1_800
    assert (both["lotrisk_keeper_log_waiting_scores"], both["lotrisk_keeper_log_dropped_scores"]) == (7, 11)
    alone = second.end()
    assert (alone["lotrisk_log_waiting_scores"], alone["lotrisk_log_dropped_scores"]) == (4, 0)


def test_histories_that_cannot_be_mapped_do_not_make_those_in_use_younger(tmp_path: Path) -> None:
    assert Worker(tmp_path, 0, 0, 1_000, "old").end()["lotrisk_histories_read_timestamp_seconds"] == 1_000
