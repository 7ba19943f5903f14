"""The service as it is started: `lotrisk serve` on a free port, and what a test asks of it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

LOTRISK = Path(sys.executable).with_name("lotrisk")
PATIENCE = 90.0  # seconds; the cores are shared


@dataclass(frozen=True)
class Live:
    """A running service: its address, a client, its parent process and the files it writes into."""

    url: str
    client: httpx.Client
    process: "subprocess.Popen[bytes]"
    folder: Path
    log: Path
    counted: Path

    def score(self, lots: list[Any], **asked: Any) -> dict[str, Any]:
        """The answer of `POST /v1/scores`, which has to be one."""
        answer = self.client.post("/v1/scores", json={"lots": lots, **asked})
        assert answer.status_code == 200, answer.text[:1000]
        return dict(strict(answer.content))

    def get(self, path: str, **asked: Any) -> dict[str, Any]:
        """An answer of JSON that is no problem."""
        answer = self.client.get(path, params=asked)
        assert answer.status_code == 200, answer.text[:1000]
        return dict(strict(answer.content))

    def said(self) -> str:
        """The log so far."""
        return self.log.read_text(encoding="utf-8")

    def children(self) -> dict[int, str]:
        """Processes that the service started, by what they are: keeper, worker or other."""
        found = {pid: _line(pid) for pid in _children(self.process.pid)}
        workers = {int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", self.said())}
        spawned = {pid: line for pid, line in found.items() if "spawn_main" in line}
        return {pid: "worker" if pid in workers else "keeper" for pid in spawned} | {
            pid: "other" for pid in found if pid not in spawned
        }

    def workers(self) -> list[int]:
        return sorted(pid for pid, kind in self.children().items() if kind == "worker")

    def keepers(self) -> list[int]:
        return sorted(pid for pid, kind in self.children().items() if kind == "keeper")

    def answered(self, route: str) -> dict[int, int]:
        """Requests of a route that each worker has answered, out of the file that it counts into."""
        from prometheus_client.mmap_dict import MmapedDict

        counts = {}
        for file in self.counted.glob("lotrisk-metrics-*/counter_*.db"):
            values = MmapedDict.read_all_values_from_file(str(file))
            told = [(json.loads(key), value) for key, value, *_ in values]
            counts[int(file.stem.split("_")[1])] = int(
                sum(v for (metric, _, labels, _), v in told if "requests" in metric and labels["route"] == route)
            )
        return counts

    def end(self, number: int = signal.SIGTERM) -> int:
        """Asks it to end; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(folder: Path, *, workers: int = 2, env: Mapping[str, str] = os.environ) -> Iterator[Live]:
    """Serves the site in `folder`; fails on a traceback in the log, and on a process that outlives the service."""
    aside = folder.parent / f"{folder.name}-served"
    aside.mkdir(exist_ok=True)
    log = aside / "log.txt"
    asked = [LOTRISK, "serve", folder, "--port", "0", "--workers", str(workers)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(one) for one in asked], stdout=out, stderr=out, env={**env, "TMPDIR": str(aside), "LANG": "C.UTF-8"}
        )
    client = httpx.Client(timeout=PATIENCE, trust_env=False)
    started: list[int] = []
    try:
        said = _until_ready(process, log, workers)
        url = re.search(r"running on (http://\S+)", said)
        assert url is not None, said
        client.base_url = httpx.URL(url[1])
        _until_listed(url[1])
        live = Live(url[1], client, process, folder, log, aside)
        started = _descendants(process.pid)
        yield live
        started = sorted({*started, *_descendants(process.pid)})
    finally:
        client.close()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                for pid in (*_descendants(process.pid), process.pid):
                    os.kill(pid, signal.SIGKILL)
                process.wait()
                raise
    eventually(lambda: not [pid for pid in started if _line(pid)], "a process outlives the service")
    assert "Traceback" not in log.read_text(encoding="utf-8"), log.read_text(encoding="utf-8")


def eventually(holds: Callable[[], Any], what: str, *, seconds: float = PATIENCE) -> Any:
    """What `holds` returns as soon as it is true; looks again until then."""
    until = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < until, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return found


def strict(body: bytes) -> Any:
    """JSON as RFC 8259 has it: no NaN, no infinities."""

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is not JSON")

    return json.loads(body.decode("utf-8"), parse_constant=refuse)


def _until_ready(process: "subprocess.Popen[bytes]", log: Path, workers: int) -> str:
    def ready() -> str:
        said = log.read_text(encoding="utf-8")
        assert process.poll() is None, said
        told = (
            "Application startup complete",
            "serving.loaded: scores now come from",
            "serving.loaded: histories as read",
        )
        return said if min(said.count(one) for one in told) >= workers else ""

    return str(eventually(ready, "every worker is ready"))


def _until_listed(url: str, *, seconds: float = 20.0) -> None:
    """Waits for the first scores of the open lots, which come after the histories; where there are none, in vain."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        said = [httpx.get(f"{url}/v1/lots?limit=1", timeout=PATIENCE, trust_env=False) for _ in range(4)]
        if all(one.status_code != 200 or one.json()["as_of"] for one in said):
            return
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    """Of all threads: the keeper is started again by one of its own."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:  # the thread has ended
            continue
    return found


def _descendants(pid: int) -> list[int]:
    return [one for child in _children(pid) for one in (child, *_descendants(child))]


def _line(pid: int) -> str:
    """The command line of a process that runs; "" of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""
