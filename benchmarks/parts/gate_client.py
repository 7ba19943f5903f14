"""The load on the gate, a process of its own: as fast as answers come, or at a rate that does not wait for them.

At a rate a call's time counts from when it was due, so that those who queue behind a slow answer count as they wait.
"""

import selectors
import socket
from collections import Counter, deque
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

PIECE = 256  # connections at most: calls that are due wait for a free one


@dataclass
class Run:
    """Seconds by call; `statuses` of answers; `released` of those with that decision; `ends`: when each was answered,
    seconds from the start."""

    latencies: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    released: int = 0
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due, self.told, self.missing = 0.0, bytearray(), 0

    def ask(self, sent: bytes, due: float) -> None:
        self.due, self.missing = due, 0
        self.told.clear()
        self.socket.sendall(sent)

    def answered(self) -> bool:
        """Takes what is there; whether the answer is whole."""
        got = self.socket.recv(1 << 20)
        if not got:
            raise SystemExit("the server closed the connection; see its log")
        self.told += got
        if not self.missing:
            head = self.told.find(b"\r\n\r\n")
            if head < 0:
                return False
            start = self.told.lower().index(b"content-length:", 0, head) + 15
            self.missing = head + 4 + int(self.told[start : self.told.index(b"\r\n", start)])
        return len(self.told) >= self.missing


def saturate(port: int, what: tuple[str, str, list[bytes]], *, connections: int, seconds: float) -> Run:
    """Each connection asks again as soon as it is answered."""
    return _run(port, _calls(what), connections=connections, seconds=seconds, rate=0.0)


def at_rate(port: int, what: tuple[str, str, list[bytes]], *, rate: float, seconds: float) -> Run:
    """So many calls a second, however long answers take. Failed answers are kept, and go on."""
    return _run(port, _calls(what), connections=min(PIECE, max(16, int(rate / 4))), seconds=seconds, rate=rate)


def _calls(what: tuple[str, str, list[bytes]]) -> Any:
    """(number of the call) -> request. `what`: method and path, prefix of the Idempotency-Keys, bodies in turns."""
    line, prefix, bodies = what

    def request(number: int) -> bytes:
        if line.startswith("GET"):
            return f"{line} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()
        body = bodies[number % len(bodies)]
        head = f"{line} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        return f"{head}idempotency-key: {prefix}{number}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    return request


def _run(port: int, request: Any, *, connections: int, seconds: float, rate: float) -> Run:
    run, counted, number = Run(), Counter[str](), 0
    with selectors.DefaultSelector() as ready:
        free = deque(_Connection(port) for _ in range(connections))
        for one in free:
            ready.register(one.socket, selectors.EVENT_READ, one)
        begun = perf_counter()
        end, busy = begun + seconds, 0
        while True:
            now = perf_counter()
            while free and now < end and (not rate or begun + number / rate <= now):
                one = free.popleft()
                one.ask(request(number), begun + number / rate if rate else now)
                number, busy = number + 1, busy + 1
                now = perf_counter()
            if now >= end and not busy:
                break
            wait = max(0.0, begun + number / rate - now) if rate and free and now < end else 0.5
            for key, _ in ready.select(wait):
                one = key.data
                if not one.answered():
                    continue
                now = perf_counter()
                run.latencies.append(now - one.due)
                run.ends.append(now - begun)
                status = one.told[9:12].decode()
                counted[status] += 1
                run.released += b'"decision":"release"' in one.told
                if status != "200" and len(run.failed) < 20:
                    run.failed.append(one.told[:400].decode(errors="replace"))
                free.append(one)
                busy -= 1
        run.seconds, run.statuses = perf_counter() - begun, dict(counted)
        for one in free:
            one.socket.close()
        return run
