"""What a challenger costs those who ask: the same service with and without one, in turns.

python benchmarks/parts/service_challenger.py [--seconds 5] [--rounds 6] [--lots 20000]

Champion and challenger are models of 500 trees x 63 leaves on 100 features. Every round asks without a challenger, with
one, and once more without: what "again" differs by is the machine's own unrest. The order changes from round to round;
ratios are to "without", medians of those within a round with the smallest and the largest. One worker.
"""

import argparse
import json
import os
import shutil
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from service_client import Load, load, post
from service_process import Server, service
from service_site import made_site

from features.bundle import read_bundle, write_bundle
from features.site import Site

MANY = 1000  # lots in a large call
OFFERED = 2000  # different calls of one lot
MODES = ("without", "with", "again")


@dataclass
class Line:
    """What is asked, over how many connections; `runs` by mode, one a round."""

    name: str
    requests: list[bytes]
    connections: int
    unit: int = 1
    runs: dict[str, list[Load]] = field(default_factory=lambda: {mode: [] for mode in MODES})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load a line, mode and round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--lots", type=int, default=20_000)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        site, histories = made_site(Path(folder), asked.lots)
        _second_version(site)
        lots = list(histories.ids["lot"].texts)
        np.random.default_rng(4).shuffle(lots)
        ones = [_call([lot]) for lot in lots[:OFFERED]]
        many = [_call(lots[start : start + MANY]) for start in range(0, len(lots) - MANY + 1, MANY)]
        lines = [
            Line("a known lot, 1 connection", ones, 1),
            Line("a known lot, 16 connections", ones, 16),
            Line(f"{MANY} known lots, 2 connections", many, 2, unit=MANY),
        ]
        busy = "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg())
        with service(site.folder) as server, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as client:
            print(f"{os.cpu_count()} cores for the worker, the client and everybody else; load average {busy}")
            for turn in range(asked.rounds + 1):  # the first round warms up
                for mode in MODES[turn % 3 :] + MODES[: turn % 3]:
                    _switch(site, server, mode)
                    for line in lines:
                        found = _measure(line, server, client, asked.seconds if turn else 1.0)
                        if turn:
                            line.runs[mode].append(found)
            _print(lines, _get(server, "/metrics"))


def _second_version(site: Site) -> None:
    """The champion's trees under another number: what they say does not matter, only that they are scored."""
    first = read_bundle(site.state_dir / "bundles" / "1")
    folder = site.state_dir / "bundles" / "2"
    golden = np.column_stack([first.reference[name].to_numpy() for name in first.card.names])[:20]
    card = type(first.card)(**{**vars(first.card), "version": "2"})
    shutil.rmtree(folder, ignore_errors=True)
    text = (first.folder / "model.txt").read_text(encoding="utf-8")
    write_bundle(folder, model_text=text, card=card, reference=first.reference, golden=golden)


def _switch(site: Site, server: Server, mode: str) -> None:
    """Returns when the worker has followed, and what an earlier challenger was scoring has ended."""
    file = site.state_dir / "challenger"
    file.unlink(missing_ok=True)
    if mode == "with":
        file.write_text("2\n", encoding="utf-8")
    wanted = "2" if mode == "with" else None
    while json.loads(_get(server, "/v1/models"))["challenger"] != wanted:
        time.sleep(0.1)
    time.sleep(2.0)


def _measure(line: Line, server: Server, client: ProcessPoolExecutor, seconds: float) -> Load:
    job = client.submit(load, server.port, line.requests, connections=line.connections, seconds=seconds, keep=0)
    found = job.result()
    if found.failed:
        raise SystemExit(f"{line.name}: {len(found.failed)} failed, the first: {found.failed[0]}")
    return found


def _print(lines: list[Line], metrics: str) -> None:
    print(f"{'':37} {'without':>9}   with / without           again / without")
    for line in lines:
        for what, figure in _FIGURES.items():
            unit = line.unit if what == "lots/s" else 1
            alone, *others = ([figure(run) * unit for run in line.runs[mode]] for mode in MODES)
            ratios = [[mine / its for its, mine in zip(alone, other, strict=True)] for other in others]
            spread = "   ".join(f"{median(one):.2f} ({min(one):.2f} to {max(one):.2f})" for one in ratios)
            said = f"{median(alone):9,.{0 if unit > 1 or what == 'lots/s' else 2}f}"
            print(f"{line.name if what == 'lots/s' else '':30} {what:>6} {said}   {spread}")
    print(
        "the challenger's scores: " + ", ".join(row for row in metrics.splitlines() if row.startswith("lotrisk_shadow"))
    )
    answered = sum(len(run.latencies) * line.unit for line in lines for run in line.runs["with"])
    print(f"{answered:,} lots were answered with the challenger there, and in the warming up some more", flush=True)


_FIGURES: dict[str, Any] = {
    "lots/s": lambda run: len(run.latencies) / run.seconds,
    "p50 ms": lambda run: 1e3 * float(np.quantile(run.latencies, 0.5)),
    "p99 ms": lambda run: 1e3 * float(np.quantile(run.latencies, 0.99)),
}


def _call(lots: list[str]) -> bytes:
    return post("/v1/scores", json.dumps({"lots": lots}).encode())


def _get(server: Server, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=60) as answer:
        return str(answer.read().decode("utf-8"))


if __name__ == "__main__":
    main()
