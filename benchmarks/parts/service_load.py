"""What one worker answers in a second: known lots by id, records of 100 values, 1,000 lots in a call, and MLflow's
own server on the same model, each beside an empty FastAPI route or LightGBM itself.

python benchmarks/parts/service_load.py [--seconds 8] [--connections 16] [--rounds 4] [--lots 20000] [--supplies]
    [--without-mlflow]

A model of 500 trees x 63 leaves on 100 features; the score log is on. The lines take turns, `--rounds` times each, and
ratios are medians of ratios within a round: a machine that others use slows all of a round alike. CPU is the worker's
own, all threads, from /proc: it tells what a busy machine blurs. Some answers of every line are held against scores
made here from the same histories, bit for bit.
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, time_ns
from typing import Any

import numpy as np
import sqlalchemy as sa
from service_client import Load, get, load, post
from service_process import Server, cpu_seconds, empty_server, mlflow_server, service
from service_site import made_site, records

from features.asof import Array
from features.bundle import SMALL, Bundle, read_bundle
from features.champion import Scorer
from features.database import open_database
from features.histories import Histories
from features.records import read_record, told_of
from features.score import Policy, Scored, open_lots, question, score
from features.site import Site
from features.times import read_moment
from serving.score_rows import SCORES

MANY = 1000  # lots in a large call
KEPT = 12  # answers of each line in each round that are looked at
OFFERED = 2000  # different calls of one lot


@dataclass
class Line:
    """What is asked of whom. `unit`: lots in a call; `of`: the line that it is a share of."""

    name: str
    server: Server
    requests: list[bytes]
    unit: int = 1
    of: str = "empty route"
    lots: list[list[Any]] = field(default_factory=list)
    """What each request asks for, to be scored here too."""
    runs: list[Load] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [len(run.latencies) * self.unit / run.seconds for run in self.runs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of load a line, all rounds together")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--lots", type=int, default=20_000)
    parser.add_argument("--supplies", action="store_true", help="features of supplier lots in place of attributes")
    parser.add_argument("--without-mlflow", action="store_true")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        site, histories = made_site(Path(folder), asked.lots, supplies=asked.supplies)
        bundle = read_bundle(site.state_dir / "bundles" / "1")
        offline = Offline(site, histories, bundle)
        empty, ours = stack.enter_context(empty_server()), stack.enter_context(service(site.folder))
        lines = _lines(site, offline, empty, ours)
        if not asked.without_mlflow:
            theirs = stack.enter_context(mlflow_server(bundle.booster, Path(folder) / "mlflow"))
            lines.append(_of_mlflow(theirs, offline, bundle))
        print(
            f"{os.cpu_count()} cores for the worker, the client and everybody else; load average {_busy()};"
            f" {asked.connections} connections, {asked.lots:,} lots, {len(offline.open)} open",
            flush=True,
        )
        client = stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
        raw: list[float] = []
        for turn in range(asked.rounds + 1):  # the first round warms up
            seconds = asked.seconds / asked.rounds
            for line in lines:
                _measure(line, client, asked.connections, seconds if turn else 1.0, counts=turn > 0)
            raw.append(_raw(bundle, offline.thousand, seconds))
        _print(lines, raw[1:])
        offline.compare(lines)
        _logged(site, lines)


class Offline:
    """The same scores without the service."""

    def __init__(self, site: Site, histories: Histories, bundle: Bundle) -> None:
        self._site, self._histories = site, histories
        self._policy = Policy.of(site)
        self._scorer = Scorer(bundle, "")
        now = time_ns() // 1000
        self.open = open_lots(histories, site.rules, now)
        np.random.default_rng(4).shuffle(self.open)
        self.thousand: Array = self.scored(self.open[:MANY], now).vectors

    def scored(self, lots: list[Any], as_of: int) -> Scored:
        """Of ids, or of records."""
        told = None
        codes = [-1] * len(lots)
        if isinstance(lots[0], str):
            codes = [self._histories.ids["lot"].code(lot) for lot in lots]
        else:
            read = [read_record(lot, self._histories, as_of=as_of, timezone=self._site.timezone) for lot in lots]
            told = told_of(enumerate(read))
        moments = np.full(len(lots), as_of)
        judged = question(self._histories, np.array(codes, dtype=np.int64), moments, told=told)
        return score(self._scorer, self._histories, self._policy, judged)

    def compare(self, lines: list[Line]) -> None:
        """SystemExit where the service has said something else."""
        compared = 0
        for line in (line for line in lines if line.lots):
            for request, body in (one for run in line.runs for one in run.kept):
                said = json.loads(body)
                lots, results = line.lots[request], said["results"]
                ours = self.scored(lots, read_moment(said["as_of"], "UTC"))
                found = [(one["risk"], one["expected_cost"], one["decision"]) for one in results]
                if found != list(zip(ours.risk.tolist(), ours.expected_cost.tolist(), ours.decision, strict=True)):
                    raise SystemExit(f"{line.name}: the service has said something else than features.score does")
                compared += len(lots)
        print(f"{compared:,} of the service's scores are what features.score says here, bit for bit")


def _lines(site: Site, offline: Offline, empty: Server, ours: Server) -> list[Line]:
    now = time_ns() // 1000
    ids = [[lot] for lot in offline.open[:OFFERED]]
    sent = records(site.folder, OFFERED, now=now)
    many = [offline.open[start : start + MANY] for start in range(0, len(offline.open) - MANY + 1, MANY)]
    told = [sent[:MANY], sent[MANY : 2 * MANY]]
    lines = [
        Line("empty route", empty, [get("/")]),
        Line("/healthz of the service", ours, [get("/healthz")]),
        Line("a known lot, each another", ours, _calls(ids), lots=ids),
        Line("a known lot, always the same", ours, _calls(ids[:1]), lots=ids[:1]),
        Line("a record of 100 values", ours, _calls([[one] for one in sent]), lots=[[one] for one in sent]),
    ]
    many_ids = Line(f"{MANY} known lots in a call", ours, _calls(many), unit=MANY, of="Booster.predict", lots=many)
    many_records = Line(f"{MANY} records in a call", ours, _calls(told), unit=MANY, of="Booster.predict", lots=told)
    return [*lines, many_ids, many_records]


def _calls(lots: list[list[Any]]) -> list[bytes]:
    return [post("/v1/scores", json.dumps({"lots": each}).encode()) for each in lots]


def _of_mlflow(theirs: Server, offline: Offline, bundle: Bundle) -> Line:
    rows = np.nan_to_num(offline.thousand).tolist()  # of one row it takes no null: pandas makes the column an object
    bodies = ({"dataframe_split": {"columns": bundle.card.names, "data": [row]}} for row in rows)
    return Line(
        "mlflow models serve, a row", theirs, [post("/invocations", json.dumps(one).encode()) for one in bodies]
    )


def _measure(line: Line, client: ProcessPoolExecutor, connections: int, seconds: float, *, counts: bool) -> None:
    before = cpu_seconds(line.server.process.pid)
    job = client.submit(
        load, line.server.port, line.requests, connections=connections, seconds=seconds, keep=KEPT if counts else 0
    )
    run = job.result()
    after = cpu_seconds(line.server.process.pid)
    if run.failed:
        raise SystemExit(f"{line.name}: {len(run.failed)} failed, the first: {run.failed[0]}")
    if counts:
        line.runs.append(run)
        worker = max((after[process] - before.get(process, 0.0) for process in after), default=float("nan"))
        line.cpu.append(worker / (len(run.latencies) * line.unit))


def _raw(bundle: Bundle, matrix: Array, seconds: float) -> float:
    """Rows a second of LightGBM alone, with as many threads as a bundle gives it for so many rows."""
    rows = np.ascontiguousarray(matrix)
    threads = 1 if len(rows) <= SMALL else 0
    done, begun = 0, perf_counter()
    while perf_counter() - begun < seconds:
        bundle.booster.predict(rows, raw_score=True, num_threads=threads)
        done += len(rows)
    return done / (perf_counter() - begun)


def _print(lines: list[Line], raw: list[float]) -> None:
    print(
        f"{'':31} {'lots/s':>9} {'share':>6}  of {'':16} {'p50 ms':>8} {'p99 ms':>8} {'p50 x':>6} {'p99 x':>6}"
        f" {'CPU us':>8} {'share':>6} {'client':>6}"
    )
    by_name = {line.name: line for line in lines}
    empty = by_name["empty route"]
    for line in lines:
        rates = raw if line.of == "Booster.predict" else by_name[line.of].rates
        share = median(mine / theirs for mine, theirs in zip(line.rates, rates, strict=True))
        cpu = median(theirs / mine for mine, theirs in zip(line.cpu, empty.cpu, strict=True))
        p50, p99 = (_latency(line, place) for place in (0.5, 0.99))
        times = [
            median(m / e for m, e in zip(p, _latency(empty, at), strict=True)) for p, at in ((p50, 0.5), (p99, 0.99))
        ]
        busy = median(run.cpu / run.seconds for run in line.runs)
        beside = f"{times[0]:6.2f} {times[1]:6.2f}" if line.unit == 1 else f"{'-':>6} {'-':>6}"
        worth = f"{cpu:6.2f}" if line.unit == 1 else f"{'-':>6}"
        print(
            f"{line.name:31} {median(line.rates):9,.0f} {share:6.3f}  of {line.of:16} {1e3 * median(p50):8.2f}"
            f" {1e3 * median(p99):8.2f} {beside} {1e6 * median(line.cpu):8.0f} {worth} {busy:6.0%}"
        )
    print(f"{'Booster.predict, all threads':31} {median(raw):9,.0f}")
    print(f"load average now {_busy()}; client: share of a core that it used", flush=True)


def _latency(line: Line, place: float) -> list[float]:
    return [float(np.quantile(run.latencies, place)) for run in line.runs]


def _logged(site: Site, lines: list[Line]) -> None:
    """How many of the scores that were answered are in the database."""
    answered = sum(len(run.latencies) * line.unit for line in lines if line.lots for run in line.runs)
    engine = open_database(site.database_url)
    query = sa.select(sa.func.count()).where(SCORES.c.source == "api")
    found = -1
    while True:
        with engine.connect() as connection:
            before, found = found, connection.execute(query).scalar_one()
        if found == before:
            break
        time.sleep(3.0)
    engine.dispose()
    if found < answered:
        raise SystemExit(f"{answered:,} lots were answered, {found:,} scores are logged")
    print(f"{answered:,} lots were answered, and in the warming up some more; {found:,} scores are logged")


def _busy() -> str:
    return "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg())


if __name__ == "__main__":
    main()
