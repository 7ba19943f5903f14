"""Servers in processes of their own, each on one port of this machine."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

PATIENCE = 300.0  # seconds until a server has to answer


@dataclass(frozen=True)
class Server:
    process: "subprocess.Popen[bytes]"
    port: int
    ready_after: float
    """Seconds from its start to its first good answer."""


@contextmanager
def empty_server() -> Iterator[Server]:
    """An empty FastAPI route."""
    port = free_port()
    with _running([Path(__file__).parent / "service_empty.py", port], port, "/", {}) as server:
        yield server


@contextmanager
def service(folder: Path, *, workers: int = 1, patience: float = PATIENCE) -> Iterator[Server]:
    """`lotrisk serve`, ready. What it says on standard error goes to a file beside the site."""
    port = free_port()
    command = ["-m", "lotrisk", "serve", folder, "--port", port, "--workers", workers]
    with _running(command, port, "/readyz", {}, log=folder / "serve.log", patience=patience) as server:
        yield server


@contextmanager
def mlflow_server(booster: Any, folder: Path) -> Iterator[Server]:
    """MLflow's own server of its LightGBM flavour, one worker."""
    import mlflow

    mlflow.lightgbm.save_model(booster, folder, pip_requirements=["lightgbm"])
    port = free_port()
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", port, "--workers", 1]
    found = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # it calls uvicorn by name
    command = ["-m", "mlflow", "models", "serve", "--model-uri", folder, *options]
    with _running(command, port, "/ping", {"PATH": found}, log=folder.parent / "mlflow.log") as server:
        yield server


@contextmanager
def _running(
    command: list[Any],
    port: int,
    path: str,
    environment: dict[str, str],
    *,
    log: Path | None = None,
    patience: float = PATIENCE,
) -> Iterator[Server]:
    begun = perf_counter()
    with (log or Path(os.devnull)).open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, *map(str, command)], env=os.environ | environment, stdout=told, stderr=told
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}{path}", begun, log, patience)
            yield Server(process, port, perf_counter() - begun)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: "subprocess.Popen[bytes]", url: str, begun: float, log: Path | None, patience: float) -> None:
    said = ""
    while perf_counter() - begun < patience and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:500]
        except OSError as error:
            said = str(error)
        sleep(0.02)
    told = log.read_text(errors="replace")[-2000:] if log is not None else ""
    raise SystemExit(f"{url} does not answer: {said}\n{told}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def family(pid: int) -> list[int]:
    """A process and all below it; without /proc nobody."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # ended meanwhile
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid] if children else []
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pid: int) -> dict[int, float]:
    """Seconds of CPU, of all threads, of a process and of each below it."""
    tick = os.sysconf("SC_CLK_TCK")
    used = {}
    for process in family(pid):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used[process] = (int(fields[11]) + int(fields[12])) / tick
    return used
