"""The load: keep-alive connections of a process of its own, each asking again as soon as it is answered."""

import selectors
import socket
from dataclasses import dataclass
from itertools import count
from time import perf_counter, process_time


@dataclass(frozen=True)
class Load:
    """What one run of the client saw. `kept`: (which request, body of its answer); `cpu`: the client's own seconds."""

    latencies: list[float]
    seconds: float
    cpu: float
    failed: list[str]
    kept: list[tuple[int, bytes]]


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked_at, self.request = 0.0, 0
        self.told, self.missing = bytearray(), 0

    def ask(self, request: int, sent: bytes) -> None:
        self.asked_at, self.request = perf_counter(), request
        self.told.clear()
        self.missing = 0
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


def load(port: int, requests: list[bytes], *, connections: int, seconds: float, keep: int) -> Load:
    """Sends the requests round and round for `seconds`; keeps `keep` answers, spread over the run."""
    latencies, failed, kept = [], [], []
    turn = count()
    every = seconds / max(keep, 1)
    with selectors.DefaultSelector() as ready:
        for _ in range(connections):
            connection = _Connection(port)
            ready.register(connection.socket, selectors.EVENT_READ, connection)
        cpu, begun = process_time(), perf_counter()
        for key in list(ready.get_map().values()):
            number = next(turn)
            key.data.ask(number, requests[number % len(requests)])
        end, waiting = begun + seconds, connections
        while waiting:
            for key, _ in ready.select():
                connection = key.data
                if not connection.answered():
                    continue
                now = perf_counter()
                latencies.append(now - connection.asked_at)
                if not connection.told.startswith(b"HTTP/1.1 200"):
                    failed.append(connection.told[:500].decode(errors="replace"))
                elif len(kept) < keep and now - begun >= every * len(kept):
                    body = bytes(connection.told[connection.told.index(b"\r\n\r\n") + 4 :])
                    kept.append((connection.request % len(requests), body))
                if now >= end:
                    waiting -= 1
                    ready.unregister(connection.socket)
                    connection.socket.close()
                    continue
                number = next(turn)
                connection.ask(number, requests[number % len(requests)])
        return Load(latencies, perf_counter() - begun, process_time() - cpu, failed, kept)


def post(path: str, body: bytes, *, media_type: str = "application/json") -> bytes:
    """A whole request."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {media_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str) -> bytes:
    """A whole request without a body."""
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()
