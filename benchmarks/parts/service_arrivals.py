"""From the answer of `POST /v1/histories/returns` to the first score of each worker that counts the row.

python benchmarks/arrivals.py [--lots 4000 20000 100000] [--rows 50] [--workers 2] [--supplies]

Each worker is asked on a connection of its own, every 50 ms, until `features_as_of` is when the row was known. Rows
come one after the other, each as soon as the one before is counted, so that the keeper never rests. A model of 500
trees x 63 leaves on 100 features, up to 4,000 open lots, SQLite. The limit is two seconds.
"""

import argparse
import http.client
import json
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from service_process import Server, family, service
from service_site import made_site

from features.card import iso

LIMIT = 2.0  # seconds
GIVE_UP = 60.0
LOT = "lot0000001"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--lots", type=int, nargs="+", default=[4_000, 20_000, 100_000])
    asked.add_argument("--rows", type=int, default=50)
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--supplies", action="store_true", help="with genealogy, supplier lots and inspections")
    given = asked.parse_args()
    print("lots     rows  worker  median s  longest s  within 2 s")
    for lots in given.lots:
        with TemporaryDirectory() as folder:
            site, _ = made_site(Path(folder) / "plant", lots, supplies=given.supplies, open_lots=min(4_000, lots // 4))
            with service(site.folder, workers=given.workers) as server:
                measure(server, lots, rows=given.rows, workers=given.workers)


def measure(server: Server, lots: int, *, rows: int, workers: int) -> None:
    """Sends rows one after the other and prints how long each worker took to count them."""
    connections = of_each_worker(server, workers)
    settle(connections[0])
    took: list[list[float]] = [[] for _ in connections]
    for number in range(rows):
        moment = time.time_ns() // 1000
        row = {"return_id": f"arrived{number}", "lot_id": LOT, "occurred_at": iso(moment - 10**9)}
        row |= {"reported_at": iso(moment), "quantity": 1}
        said = ask(connections[0], "POST", "/v1/histories/returns", {"rows": [row]})
        if said["accepted"] != 1:
            raise SystemExit(f"not accepted: {said}")
        since = time.perf_counter()
        waiting = dict(enumerate(connections))
        while waiting:
            for place, connection in list(waiting.items()):
                scored = ask(connection, "POST", "/v1/scores", {"lots": [LOT]})["results"][0]
                if scored["features_as_of"] == iso(moment):
                    took[place].append(time.perf_counter() - since)
                    del waiting[place]
            if time.perf_counter() - since > GIVE_UP:
                raise SystemExit(f"row {number} does not count after {GIVE_UP:.0f} s")
            time.sleep(0.05)
    for place, times in enumerate(took):
        within = sum(one <= LIMIT for one in times)
        print(
            f"{lots:<8} {rows:<5} {place + 1:<7} {median(times):<9.2f} {max(times):<10.2f} {within} of {rows}",
            flush=True,
        )


def settle(connection: http.client.HTTPConnection) -> None:
    """Waits until the open lots of the start are scored: the first seconds of a service are not what is measured."""
    while not ask(connection, "GET", "/v1/lots?limit=1")["items"]:
        time.sleep(0.5)


def of_each_worker(server: Server, workers: int) -> list[http.client.HTTPConnection]:
    """A connection that each worker has accepted."""
    found: dict[int, http.client.HTTPConnection] = {}
    while len(found) < workers:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=GIVE_UP)
        ask(connection, "GET", "/healthz")
        pid = holder(server, connection.sock.getsockname()[1])
        if found.setdefault(pid, connection) is not connection:
            connection.close()
    return list(found.values())


def holder(server: Server, port: int) -> int:
    """The process that holds the server's end of the connection from this port."""
    ends = f":{server.port:04X} ", f":{port:04X} "
    for line in Path("/proc/net/tcp").read_text().splitlines():
        if ends[0] in line[:28] + " " and ends[1] in line[20:36]:
            link = f"socket:[{line.split()[9]}]"
            for pid in family(server.process.pid):
                if any(is_link(fd, link) for fd in Path(f"/proc/{pid}/fd").glob("*")):
                    return pid
    raise SystemExit("nobody holds the connection")


def is_link(path: Path, link: str) -> bool:
    try:
        return str(path.readlink()) == link
    except OSError:
        return False


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> Any:
    sent = None if body is None else json.dumps(body)
    connection.request(method, path, sent, {"content-type": "application/json"} if sent else {})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{method} {path}: {said.decode()[:500]}")
    return json.loads(said)


if __name__ == "__main__":
    main()
