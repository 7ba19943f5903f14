"""SIGKILL at random moments while rows arrive and segments are written: nothing is lost, nothing doubled.

python benchmarks/kills.py [--kills 50] [--seed 0] [--database postgresql+psycopg://…]

Three threads post rows of returns to two workers without a rest, each call with a key and a row that has to be refused.
Meanwhile a worker, the keeper or a `lotrisk ingest` that folds them and stores new rows of a source is killed. A kill
is counted as `writing` when it struck between the first and the last byte: a worker's when a call in flight got no
answer, an ingest's when a file of it was there and it had not ended, the keeper's when half a mapped folder was left
behind. Kills go on until three in five of those asked for have been such.

In the end every row that was answered has to be there once, none that was refused, what was not answered at most once;
once all calls were repeated with their keys, everything once. Exits with 1 where that does not hold.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from kill_clients import PATIENCE, Clients
from service_process import Server, family, service
from service_site import made_site

from features.output import write_table
from features.site import Site, read_site
from features.stored import FOLDER, OURS, open_store

AT_LEAST = 0.6  # of the kills asked for have to strike while something is written
NEW = 3_000  # rows of the source before each ingest
LOTS, OPEN = 2_000, 200


@dataclass
class Killer:
    """Kills one after the other; `struck`: by what was killed, how often; `writing`: while something was written."""

    site: Site
    server: Server
    clients: Clients
    random: Random
    struck: Counter[str] = field(default_factory=Counter)
    writing: Counter[str] = field(default_factory=Counter)
    said: int = 0

    def kill(self) -> None:
        what = self.random.choices(["ingest", "worker", "keeper"], [6, 4, 1])[0]
        during = {"ingest": self._ingest, "worker": self._worker, "keeper": self._keeper}[what]()
        self.struck[what] += 1
        self.writing[what] += during

    def _ingest(self) -> bool:
        self._say_more()
        folder = self.site.state_dir / FOLDER
        before = {path.name for path in folder.iterdir()}
        process = subprocess.Popen([sys.executable, "-m", "lotrisk", "ingest", self.site.folder], stdout=-3, stderr=-3)
        while process.poll() is None and {path.name for path in folder.iterdir()} == before:
            time.sleep(0.0005)
        time.sleep(self.random.random() ** 2 * 0.05)
        process.kill()
        return process.wait() == -signal.SIGKILL and {path.name for path in folder.iterdir()} != before

    def _worker(self) -> bool:
        time.sleep(self.random.random() * 0.3)
        lost = self.clients.unanswered
        self._until(lambda: self._processes()[0], "a worker runs")
        workers, _ = self._processes()
        os.kill(self.random.choice(workers), signal.SIGKILL)
        self._until(lambda: len(self._processes()[0]) == 2, "two workers answer")
        return self.clients.unanswered > lost

    def _keeper(self) -> bool:
        time.sleep(self.random.random() * 0.3)
        self._until(lambda: self._processes()[1], "a keeper runs")
        _, keeper = self._processes()
        os.kill(keeper, signal.SIGKILL)
        half = list((self.site.state_dir / "serving" / "histories").glob(".new-*"))
        self._until(lambda: self._processes()[1] not in (0, keeper), "a keeper runs again")
        return bool(half)

    def _say_more(self) -> None:
        """New rows of the source."""
        self.said += 1
        file = self.site.folder / "returns.parquet"
        held = pq.read_table(file)
        more = pa.table({"return_id": [f"S{self.said}-{place}" for place in range(NEW)]})
        for name in held.column_names[1:]:
            more = more.append_column(name, pa.chunked_array([held[name].slice(0, 1)] * NEW))
        write_table(pa.concat_tables([held, more.select(held.column_names)]), file)

    def _processes(self) -> tuple[list[int], int]:
        """Workers that have started, and the keeper, 0: none runs."""
        log = (self.site.folder / "serve.log").read_text(encoding="utf-8", errors="replace")
        started = {int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", log)}
        alive = [pid for pid in family(self.server.process.pid) if _runs(pid)]
        keepers = [pid for pid in alive if pid not in started and "spawn_main" in _line(pid)]
        ready = {int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", log)} & set(alive)
        return sorted(ready), min(keepers, default=0)

    def _until(self, holds: Any, what: str) -> None:
        until = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > until:
                raise SystemExit(f"not within {PATIENCE:.0f} s: {what}")
            time.sleep(0.02)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--kills", type=int, default=50)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--database", help="SQLAlchemy URL of an empty PostgreSQL database or schema; else SQLite")
    given = asked.parse_args()
    with TemporaryDirectory() as folder:
        site = made(Path(folder) / "valves", given.database)
        with service(site.folder, workers=2) as server:
            clients = Clients(f"http://127.0.0.1:{server.port}", given.seed)
            killer = Killer(site, server, clients, Random(given.seed))
            with clients.posting():
                while killer.struck.total() < given.kills or killer.writing.total() < AT_LEAST * given.kills:
                    killer.kill()
                    print(f"\r{killer.struck.total()} kills of {given.kills}", end="", file=sys.stderr, flush=True)
                time.sleep(1.0)
            print(file=sys.stderr)
            before = faults(site, clients, repeated=False)
            clients.repeat()
            ingest(site)
            after = faults(site, clients, repeated=True) + source_faults(site, killer.said)
        again = ingest(site)
    report(killer, clients, [*clients.faults, *before, *after, *again])


def made(folder: Path, database: str | None) -> Site:
    """A small plant; its keeper reads the sources at the start only: the ingests that run are those that are killed."""
    made_site(folder, LOTS, open_lots=OPEN)
    if database:
        settings = folder / "lotrisk.toml"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text.replace("[site]\n", f'[site]\ndatabase = "{database}"\n', 1), encoding="utf-8")
    return read_site(folder, os.environ)


def ingest(site: Site) -> list[str]:
    """A whole one; what it changed where it should change nothing."""
    command = [sys.executable, "-m", "lotrisk", "ingest", str(site.folder)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if not line.endswith(": 0 new, 0 changed in place, 0 folded")]


def faults(site: Site, clients: Clients, *, repeated: bool) -> list[str]:
    """What is lost, doubled, or there though it was refused."""
    there = Counter(stored(site, "arrived"))
    found = []
    for call in clients.calls:
        counts = {there[name] for name in call.good}
        if there[call.bad]:
            found.append(f"{call.bad} was refused and is there")
        if (call.answered or repeated) and counts != {1}:
            found.append(f"{call.key} was answered, and its rows are there {counts} times")
        elif not counts <= {0, 1} or len(counts) > 1:
            found.append(f"{call.key} was not answered, and its rows are there {counts} times")
    return found


def source_faults(site: Site, said: int) -> list[str]:
    there = Counter(stored(site, "source"))
    wanted = [f"S{number}-{place}" for number in range(1, said + 1) for place in range(NEW)]
    return [f"{name} of the source is there {there[name]} times" for name in wanted if there[name] != 1][:5]


def stored(site: Site, origin: str) -> list[str]:
    with open_store(site) as store:
        held = store.all()
    rows = held.arrived("returns") if origin == "arrived" else held.source.get("returns")
    return [] if rows is None else [str(name) for name in rows.drop_columns(_ours(rows))["return_id"].to_pylist()]


def _ours(rows: Any) -> list[str]:
    return [name for name in OURS if name in rows.column_names]


def report(killer: Killer, clients: Clients, found: list[str]) -> None:
    rows = sum(len(call.good) for call in clients.calls)
    print("killed   kills  writing")
    for what in ("ingest", "worker", "keeper"):
        print(f"{what:<8} {killer.struck[what]:<6} {killer.writing[what]}")
    print(f"all      {killer.struck.total():<6} {killer.writing.total()}")
    print(f"{rows:,} rows in {len(clients.calls):,} calls, {clients.unanswered:,} calls without an answer at first,")
    print(f"{killer.said * NEW:,} rows of the source; lost, doubled or there though refused: {len(found)}")
    print("\n".join(found[:20]))
    sys.exit(1 if found else 0)


def _line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    main()
