"""What waits for the database: bounded, first in first out, and kept until it is said to be done."""

import threading
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar
from uuid import uuid4

T = TypeVar("T")


@dataclass(frozen=True)
class Put(Generic[T]):
    """What one call put in. `batch` is its identity, 16 bytes."""

    batch: bytes
    what: T
    rows: int
    size: int


class Queue(Generic[T]):
    """Filled by any thread, emptied by one; bounded by rows and by bytes."""

    def __init__(self, *, max_rows: int, max_bytes: int) -> None:
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._lock = threading.Lock()
        self._puts: deque[Put[T]] = deque()
        self._bytes = 0
        self.closed = False
        self.waiting = 0
        """Rows."""
        self.refused = 0
        """Rows that came when the queue was full or closed."""

    def put(self, what: T, *, rows: int, size: int) -> bool:
        """False, and counted, when there is no room."""
        put = Put(uuid4().bytes, what, rows, size)
        with self._lock:
            if self.closed or self.waiting + rows > self._max_rows or self._bytes + size > self._max_bytes:
                self.refused += rows
                return False
            self._puts.append(put)
            self.waiting += rows
            self._bytes += size
        return True

    def first(self, rows: int) -> list[Put[T]]:
        """The oldest puts until together they have so many rows; they stay until `done`."""
        found: list[Put[T]] = []
        with self._lock:
            for put in self._puts:
                if rows <= 0:
                    break
                found.append(put)
                rows -= put.rows
        return found

    def everything(self) -> list[Put[T]]:
        """All that waits; it stays."""
        with self._lock:
            return list(self._puts)

    def done(self, puts: int) -> None:
        """Lets the oldest so many puts go."""
        with self._lock:
            for put in list(islice(self._puts, puts)):
                self._puts.popleft()
                self.waiting -= put.rows
                self._bytes -= put.size

    def close(self) -> bool:
        """Refuses all that comes from now on; False when it did before."""
        with self._lock:
            before, self.closed = self.closed, True
        return not before
