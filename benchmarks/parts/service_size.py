"""What a worker with a long history costs: seconds until it is ready, memory, and a page of the stored scores.

python benchmarks/parts/service_size.py --size 1000000 [--open 4000] [--stored 1000000]

Start: from exec to `/readyz` true; the first ever reads the sources, sorts and writes the maps, the next finds them.
Memory, from /proc (Linux only): RSS counts mapped files that all processes share, PSS gives each its part of them,
anonymous is the process's own. A page: 100 of `--stored` lots by HTTP, alone, median and largest of 50.
"""

import argparse
import http.client
import json
import os
import socket
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, time_ns
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
from plant import CUSTOMERS, LINES, PRODUCTS
from service_client import load, post
from service_process import Server, family, service
from service_site import made_site

from features.asof import DAY, HOUR, NO_TIME, SECOND
from features.card import iso
from features.score import open_lots
from features.site import Site
from serving.published import open_file, publish, read_published
from serving.standing import write_standing

RUN = "900000.arrow"  # later than any the keeper makes here
ASKED = 50
PAGES: tuple[dict[str, str], ...] = (
    {},
    {"sort": "expected_cost"},
    {"line": "line0000007"},
    {"min_risk": "0.5", "sort": "shipped_at"},
    {"decision": "hold", "customer": "customer0000011", "sort": "-quantity"},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000, help="lots in the history")
    parser.add_argument("--open", type=int, default=4_000, help="of these have not shipped")
    parser.add_argument("--stored", type=int, default=1_000_000, help="lots with stored scores")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        begun = perf_counter()
        site, histories = made_site(Path(folder), asked.size, supplies=True, open_lots=asked.open)
        rows = sum(len(table) for table in histories.tables.values())
        print(f"{asked.size:,} lots, {rows:,} rows in all, made in {perf_counter() - begun:.0f} s", flush=True)
        some = open_lots(histories, site.rules, time_ns() // 1000)[:1000]
        del histories
        requests = [post("/v1/scores", json.dumps({"lots": [lot]}).encode()) for lot in some]
        for name, workers in (("first start ever", 1), ("maps there", 1), ("maps there", 2)):
            with service(site.folder, workers=workers, patience=1800.0) as server:
                print(f"{name}, {workers} worker(s): ready after {server.ready_after:.1f} s, load average {_busy()}")
                run = load(server.port, requests, connections=16, seconds=5.0, keep=0)
                if run.failed:
                    raise SystemExit(run.failed[0])
                print(f"  known lots one by one: {len(run.latencies) / run.seconds:,.0f} a second")
                _tell_memory(server)
                if name == "maps there" and workers == 1:
                    _tell_pages(server, site, asked.stored)


def _tell_memory(server: Server) -> None:
    everybody = family(server.process.pid)
    listening = _listening(everybody, server.port)
    keepers = [pid for pid in everybody[1:] if pid not in listening]
    for what, pids in (("worker", [p for p in listening if p != everybody[0]]), ("keeper", keepers)):
        for pid in pids:
            told = _memory(pid)
            if told["Rss"] > 50:
                print(f"  {what}: " + ", ".join(f"{name} {told[name]:,.0f} MB" for name in ("Rss", "Pss", "Anonymous")))


def _memory(pid: int) -> dict[str, float]:
    """MB by name."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}


def _listening(pids: list[int], port: int) -> list[int]:
    """Those that hold the listening socket."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    found = []
    for pid in pids:
        held = {str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()}
        if held & inodes:
            found.append(pid)
    return found


def _tell_pages(server: Server, site: Site, stored: int) -> None:
    """Puts a run of so many stored scores in the place of the keeper's, and reads pages of it."""
    _store(site, stored)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    until = perf_counter() + 30
    while _page(connection, {})["total"] != stored:
        if perf_counter() > until:
            raise SystemExit("the worker does not follow the stored scores")
        time.sleep(0.2)
    for query in PAGES:
        first, later = [], []
        for _ in range(ASKED):
            begun = perf_counter()
            page = _page(connection, query)
            first.append(perf_counter() - begun)
            if page["next"] is not None:
                begun = perf_counter()
                _page(connection, query | {"cursor": page["next"]})
                later.append(perf_counter() - begun)
        told = f"{1e3 * median(first):6.1f} ms, at most {1e3 * max(first):6.1f}"
        told += f"; the page after it {1e3 * median(later):6.1f}" if later else ""
        print(f"  100 of {page['total']:9,} lots of {stored:,}: {told}   {urlencode(query) or 'no filter'}", flush=True)


def _page(connection: http.client.HTTPConnection, query: dict[str, str]) -> dict[str, object]:
    connection.request("GET", f"/v1/lots?{urlencode(query | {'limit': '100'})}")
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(body.decode())
    page: dict[str, object] = json.loads(body)
    return page


def _store(site: Site, lots: int) -> None:
    random = np.random.default_rng(5)
    now = time_ns() // 1000
    produced = now - random.integers(0, 90 * DAY // SECOND, lots) * SECOND
    shipped = np.where(random.random(lots) < 0.5, now + random.integers(1, 30 * 24, lots) * HOUR, NO_TIME)
    risk = random.beta(1.0, 9.0, lots)
    columns = {
        "lot_id": pa.array([f"lot{place:07}" for place in range(lots)]),
        **{f"{kind}_id": _names(random, kind, many, lots) for kind, many in _ENTITIES.items()},
        "quantity": pa.array(random.integers(50, 500, lots)),
        "produced_at": pa.array(produced),
        "shipped_at": pa.array(shipped),
        "risk": pa.array(risk),
        "risk_low": pa.array(risk / 4.0),
        "risk_high": pa.array(1.0 - (1.0 - risk) ** 4),
        "expected_cost": pa.array(9000.0 * risk),
        "expected_saving": pa.array(np.maximum(0.0, 9000.0 * risk - 450.0)),
        "within_capacity": pa.array([None] * lots, pa.bool_()),
        "decision": pa.array(np.array(["release", "inspect", "hold"])[(risk > 0.05).astype(int) + (risk > 0.17)]),
        "warnings": pa.array(np.array(["", "missing_history"])[(random.random(lots) < 0.1).astype(int)]),
        "logged_at": pa.array(np.full(lots, now)),
    }
    said = {"as_of": iso(now), "model_version": "1", "features_as_of": iso(now)}
    write_standing(open_file(site.state_dir, RUN), pa.table(columns), said=said)
    publish(site.state_dir, replace(read_published(site.state_dir), open=RUN))


_ENTITIES = {"product": PRODUCTS, "line": LINES, "customer": CUSTOMERS}


def _names(random: np.random.Generator, kind: str, many: int, lots: int) -> "pa.Array[pa.StringScalar]":
    return pa.array(np.array([f"{kind}{place:07}" for place in range(many)])[random.integers(0, many, lots)])


def _busy() -> str:
    return "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg())


if __name__ == "__main__":
    main()
