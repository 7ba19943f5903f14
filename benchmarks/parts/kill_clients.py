"""Clients that post rows while the service is killed, and remember what they were answered."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

THREADS = 3
PATIENCE = 60.0
_ROW = {"lot_id": "lot0000001", "occurred_at": "2026-08-01", "reported_at": "2026-08-02T10:00:00Z", "quantity": 1}


@dataclass
class Call:
    """A call of `POST /v1/histories/returns`: its rows by id, the one to be refused, and whether it was answered."""

    key: str
    good: list[str]
    bad: str
    answered: bool = False

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [{**_ROW, "return_id": name} for name in self.good] + [{**_ROW, "return_id": self.bad, "quantity": -1}]


@dataclass
class Clients:
    """Posts rows from several threads until told to end."""

    url: str
    seed: int
    calls: list[Call] = field(default_factory=list)
    unanswered: int = 0
    faults: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def posting(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._post, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def repeat(self) -> None:
        """All calls once more, each until it is answered."""
        with httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False) as client:
            for call in self.calls:
                until = time.monotonic() + PATIENCE
                while not self._one(client, call) and time.monotonic() < until:
                    time.sleep(0.1)

    def _post(self, number: int) -> None:
        random = Random(self.seed * 10 + number)
        count = 0
        while not self._stop.is_set():
            count += 1
            name = f"A{number}-{count}"
            call = Call(name, [f"{name}-{place}" for place in range(random.choice([1, 20, 100]))], f"{name}-bad")
            self.calls.append(call)
            # Its own connection: the next call is another worker's, also when one was killed.
            with httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False) as client:
                if not self._one(client, call):
                    self.unanswered += 1
                    time.sleep(0.1)

    def _one(self, client: httpx.Client, call: Call) -> bool:
        try:
            answer = client.post(
                "/v1/histories/returns", json={"rows": call.rows}, headers={"Idempotency-Key": call.key}
            )
        except httpx.TransportError:
            return False
        if answer.status_code == 503:
            return False
        said = answer.json()
        if said.get("accepted", 0) + said.get("already_known", 0) != len(call.good) or len(said["refused"]) != 1:
            self.faults.append(f"{call.key}: {answer.text[:300]}")
        call.answered = True
        return True
