"""The gate's speed, memory and soak; run by `benchmarks/gate.py`.

A model of 200 trees x 31 leaves on 100 features, calls of one known lot each with an Idempotency-Key, five reasons
where the decision is not `release`. Load: first as fast as sixteen connections are answered, beside an empty FastAPI
route asked alike, in turns; then, at half and at a quarter of that, at a rate that does not wait for answers.
"""

import argparse
import json
import multiprocessing
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import gate_inside
import numpy as np
from gate_client import Run, at_rate, saturate
from service_process import Server, empty_server, family, service
from service_site import SETTINGS, made_site

from features.card import iso
from features.site import Site, read_site
from tests.serving.fitted import other_version, promote
from tests.serving.unsteady import postgres_schema

TREES, LEAVES = 200, 31
LIMIT = 25.0  # ms, of the 99th percentile
GATE = 'stale_after = "1000d"\n[gate]\ncalibrated_for = "1000d"\nexpects = []\n'
ROUNDS = 3


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--database", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    asked.add_argument("--seconds", type=float, default=10.0, help="of each round of load below what saturates")
    asked.add_argument("--workers", type=int, default=1)
    asked.add_argument("--lots", type=int, default=20_000)
    asked.add_argument("--escape", type=float, default=2500.0, help="cost of an escape: how many lots are released")
    asked.add_argument("--requests", type=int, default=0, help="for memory: so many, as fast as they are answered")
    asked.add_argument("--soak", type=float, nargs="?", const=20.0, default=0.0, help="minutes, with arrivals")
    given = asked.parse_args()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as client:
        for database in given.database:
            with TemporaryDirectory() as folder, made(Path(folder), database, given) as (site, lots):
                bodies = [json.dumps({"lot_id": lot}).encode() for lot in lots]
                with service(site.folder, workers=given.workers) as server:
                    settle(server)
                    busy = "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg())
                    print(f"\n{database}: {given.workers} worker(s), load average {busy}", flush=True)
                    half = speed(server, client, bodies, seconds=given.seconds)
                    if given.requests:
                        memory(server, client, bodies, given.requests)
                    if given.soak:
                        soak(site, server, client, bodies, rate=half, minutes=given.soak)
                if not (given.requests or given.soak):
                    gate_inside.tell(site, lots, name=database)


@contextmanager
def made(folder: Path, database: str, given: argparse.Namespace) -> Iterator[tuple[Site, list[str]]]:
    """The site with two versions, and its open lots in no order."""
    from features.score import open_lots

    with postgres_schema() if database == "postgresql" else nullcontext("") as url:
        settings = SETTINGS.replace("cost_of_escape = 9000.0", f"cost_of_escape = {given.escape}") + GATE
        if url:
            settings = settings.replace("[label]", f'database = "{url}"\n[label]', 1)
        site, histories = made_site(folder / "plant", given.lots, trees=TREES, leaves=LEAVES, settings=settings)
        other_version(site.folder, "1", "2")
        lots = open_lots(histories, site.rules, time.time_ns() // 1000)
        np.random.default_rng(4).shuffle(lots)
        yield read_site(site.folder, {}), lots


def settle(server: Server) -> None:
    """Waits until the open lots of the start are scored, and something is answered."""
    while not json.loads(get(server, "/v1/lots?limit=1"))["items"]:
        time.sleep(0.5)


def speed(server: Server, client: ProcessPoolExecutor, bodies: list[bytes], *, seconds: float) -> float:
    """Prints saturation beside an empty route, then latencies at half and a quarter of it; returns the half."""
    gate = ("POST /v1/gate", f"{time.time_ns()} ", bodies)
    gates: list[Run] = []
    empties: list[Run] = []
    with empty_server() as empty:
        for turn in range(ROUNDS + 1):  # the first warms up
            what = (gate[0], f"{gate[1]}{turn} ", bodies)
            run = client.submit(saturate, server.port, what, connections=16, seconds=3.0).result()
            alone = client.submit(saturate, empty.port, ("GET /", "", []), connections=16, seconds=2.0).result()
            if turn:
                gates.append(_good(run))
                empties.append(alone)
    rates = [len(run.latencies) / run.seconds for run in gates]
    shares = [mine / (len(one.latencies) / one.seconds) for mine, one in zip(rates, empties, strict=True)]
    print(f"  saturated by 16 connections: {median(rates):.0f} decisions/s, {median(shares):.3f} of an empty route")
    for share in (2, 4):
        below(server, client, (gate[0], f"{gate[1]}{share} ", bodies), rate=median(rates) / share, seconds=seconds)
    return median(rates) / 2


def below(
    server: Server, client: ProcessPoolExecutor, what: tuple[str, str, list[bytes]], *, rate: float, seconds: float
) -> None:
    """Prints latencies at a rate below saturation, of each round: the machine is not the same from one to the next."""
    runs = []
    for turn in range(ROUNDS):
        asked = (what[0], f"{what[1]}{turn} ", what[2])
        runs.append(_good(client.submit(at_rate, server.port, asked, rate=rate, seconds=seconds).result()))
    told = [_quantiles(run.latencies) for run in runs]
    calls = sum(len(run.latencies) for run in runs)
    released = sum(run.released for run in runs) / calls
    print(
        f"  at {rate:.0f}/s: p50 {median(p50 for p50, _ in told):.1f} ms, p99"
        f" {', '.join(f'{p99:.1f}' for _, p99 in told)} ms by round (limit {LIMIT:.0f}), longest"
        f" {1e3 * max(max(run.latencies) for run in runs):.0f} ms; {calls} calls, {1 - released:.0%} not released",
        flush=True,
    )


def memory(server: Server, client: ProcessPoolExecutor, bodies: list[bytes], requests: int) -> None:
    """Prints the memory of every process at the start and after each tenth of so many requests."""
    print(f"  memory over {requests:,} requests, MB anonymous (resident with mapped files):")
    print(f"    {0:9,}  {_memory(server)}", flush=True)
    done = 0
    for tenth in range(1, 11):
        while done < requests * tenth / 10:
            what = ("POST /v1/gate", f"{time.time_ns()} ", bodies)
            run = _good(client.submit(saturate, server.port, what, connections=16, seconds=2.0).result())
            done += len(run.latencies)
        print(f"    {done:9,}  {_memory(server)}", flush=True)


def soak(
    site: Site, server: Server, client: ProcessPoolExecutor, bodies: list[bytes], *, rate: float, minutes: float
) -> None:
    """Prints each minute of load at `rate`, with a return a second that arrives and a promotion a minute."""
    arriving = Arriving(server, json.loads(bodies[0])["lot_id"])
    arriving.start()
    print(f"  soak of {minutes:g} minutes at {rate:.0f}/s, a row a second, a promotion a minute")
    print("    minute   calls  not 200  p50 ms  p99 ms  longest  arrived  memory, MB")
    failed: list[str] = []
    for minute in range(max(1, round(minutes))):
        promote(site.folder, "2" if minute % 2 == 0 else "1")
        what = ("POST /v1/gate", f"soak {time.time_ns()} ", bodies)
        run: Run = client.submit(at_rate, server.port, what, rate=rate, seconds=60.0).result()
        p50, p99 = _quantiles(run.latencies)
        failed += run.failed
        bad = sum(number for status, number in run.statuses.items() if status != "200")
        print(
            f"    {minute + 1:6} {len(run.latencies):7} {bad:8} {p50:7.1f} {p99:7.1f} {1e3 * max(run.latencies):8.0f}"
            f" {arriving.arrived:8}  {_memory(server)}; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    arriving.stop()
    print(f"    rows that could not arrive: {len(arriving.failed)} {arriving.failed[:1]}; other answers: {failed[:2]}")


class Arriving(threading.Thread):
    """Sends a return a second."""

    def __init__(self, server: Server, lot: str) -> None:
        super().__init__(daemon=True)
        self._server, self._lot, self._stop_ = server, lot, threading.Event()
        self.arrived = 0
        self.failed: list[str] = []

    def run(self) -> None:
        while not self._stop_.wait(1.0):
            now = time.time_ns() // 1000
            row = {"return_id": f"soaked{now}", "lot_id": self._lot, "occurred_at": iso(now - 10**9)}
            row |= {"reported_at": iso(now), "quantity": 1}
            url = f"http://127.0.0.1:{self._server.port}/v1/histories/returns"
            headers = {"content-type": "application/json"}
            sent = urllib.request.Request(url, json.dumps({"rows": [row]}).encode(), headers)
            try:
                with urllib.request.urlopen(sent, timeout=20) as answer:
                    self.arrived += json.loads(answer.read())["accepted"]
            except OSError as fault:
                self.failed.append(str(fault))

    def stop(self) -> None:
        self._stop_.set()
        self.join()


def get(server: Server, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=60) as answer:
        return answer.read()


def _good(run: Run) -> Run:
    if run.failed:
        raise SystemExit(f"{run.statuses}; the first: {run.failed[0]}")
    return run


def _quantiles(latencies: list[float]) -> tuple[float, float]:
    """Milliseconds."""
    return 1e3 * float(np.quantile(latencies, 0.5)), 1e3 * float(np.quantile(latencies, 0.99))


def _memory(server: Server) -> str:
    """Of the processes that hold much: workers and the keeper, in the order in which they were started."""
    found = []
    for pid in family(server.process.pid)[1:]:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        told = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
        if told["Rss"] > 50:
            found.append(f"{told['Anonymous']:.0f} ({told['Rss']:.0f})")
    return "  ".join(found)


if __name__ == "__main__":
    main()
