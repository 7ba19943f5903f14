"""The load of the fault table: a process of its own that asks at a fixed pace, and keeps what it was answered.

Calls of the gate carry an Idempotency-Key. Those without a good answer are asked again under the same key in the end,
until they have one, and some that had one are asked once more: it must be the same.
"""

import http.client
import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

THREADS = 32
PATIENCE = 30.0  # seconds that a call may take
RETRIED = 300.0  # seconds in which all calls must get their answers in the end
AGAIN = 40  # calls that were answered and are asked again
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Plan:
    """What is asked, a second `rate` times. `record`: a lot that no table holds, sent under a new name each second."""

    name: str
    port: int
    rate: float
    lots: list[str]
    record: dict[str, Any]
    as_of: str


@dataclass(frozen=True)
class Exchange:
    """One call. `turn`: first, retry or again; `status`: 0 where the connection broke; `at`: its end, Unix seconds."""

    number: int
    turn: str
    path: str
    key: str
    sent: dict[str, Any]
    at: float
    took: float
    status: int
    answer: dict[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """Of a problem."""
        return str(self.answer.get("code", "")) if self.status != 200 else ""


def drive(plan: Plan, asking: Any, stopping: Any, out: Path) -> None:
    """Sets `asking`, asks until `stopping` is set, retries, and writes every exchange as a line of JSON."""
    load = _Load(plan)
    asking.set()
    threads = [threading.Thread(target=load.ask_on, args=(place, stopping)) for place in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.ask_again()
    with out.open("w", encoding="utf-8") as file:
        for one in load.exchanges:
            file.write(json.dumps(asdict(one)) + "\n")


def read_exchanges(out: Path) -> list[Exchange]:
    return [Exchange(**json.loads(line)) for line in out.read_text(encoding="utf-8").splitlines()]


class _Load:
    def __init__(self, plan: Plan) -> None:
        self._plan, self._begun = plan, time.monotonic()
        self.exchanges: list[Exchange] = []

    def ask_on(self, place: int, stopping: Any) -> None:
        """One connection: its share of the calls, each at its time, later where the answer before took longer."""
        caller, number = _Caller(self._plan.port), place
        while not stopping.is_set():
            wait = self._begun + number / self._plan.rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            path, sent = self._call(number)
            key = f"{self._plan.name} {number}" if path == "/v1/gate" else ""
            self.exchanges.append(caller.ask(number, "first", path, key, sent))
            number += THREADS
        caller.close()

    def _call(self, number: int) -> tuple[str, dict[str, Any]]:
        lots = self._plan.lots
        lot, other = lots[number % len(lots)], lots[(number * 7 + 1) % len(lots)]
        turn = number // THREADS + number
        if turn % 4 == 0:
            return "/v1/scores", {"lots": [lot, other], "as_of": self._plan.as_of} if turn % 8 else {"lots": [lot]}
        if turn % 10 == 1:
            name = f"{self._plan.name} {int(time.monotonic() - self._begun)}"
            return "/v1/gate", {"lots": [self._plan.record | {"lot": self._plan.record["lot"] | {"lot_id": name}}]}
        return "/v1/gate", {"lots": [lot, other]} if turn % 3 == 0 and lot != other else {"lot_id": lot}

    def ask_again(self) -> None:
        """In the end: what has no answer until it has one, and some that have."""
        gate = [one for one in self.exchanges if one.key]
        with ThreadPoolExecutor(THREADS) as threads:
            left = [one for one in gate if one.status != 200]
            list(threads.map(self._retry, (left[place::THREADS] for place in range(THREADS))))
        caller, good = _Caller(self._plan.port), [one for one in gate if one.status == 200]
        for one in _spread(good, AGAIN):
            self.exchanges.append(caller.ask(one.number, "again", one.path, one.key, one.sent))
        caller.close()

    def _retry(self, asked: Sequence[Exchange]) -> None:
        caller, until = _Caller(self._plan.port), time.monotonic() + RETRIED
        for one in asked:
            while time.monotonic() < until:
                again = caller.ask(one.number, "retry", one.path, one.key, one.sent)
                self.exchanges.append(again)
                if again.status == 200:
                    break
                time.sleep(0.2)
        caller.close()


class _Caller:
    """One connection, made anew where it broke."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def ask(self, number: int, turn: str, path: str, key: str, sent: dict[str, Any]) -> Exchange:
        begun, status, answer = time.monotonic(), 0, {}
        headers = JSON | ({"idempotency-key": key} if key else {})
        try:
            self._connection.request("POST", path, json.dumps(sent), headers)
            given = self._connection.getresponse()
            answer, status = json.loads(given.read()), given.status
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()
            time.sleep(0.02)
        return Exchange(number, turn, path, key, sent, time.time(), time.monotonic() - begun, status, answer)

    def close(self) -> None:
        self._connection.close()


def _spread(items: Sequence[Exchange], most: int) -> Sequence[Exchange]:
    return items[:: max(1, len(items) // most)][:most]
