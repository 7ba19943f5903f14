"""What waits for the database: bounded, first in first out, and kept until it is said to be done."""

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Put(NamedTuple, Generic[T]):
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
        put = Put(_identity(), what, rows, size)
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
        with self._lock:
            return next(_groups(self._puts, rows), [])

    def everything(self, rows: int) -> Iterator[list[Put[T]]]:
        """All that waits, so many rows at a time; it stays."""
        with self._lock:
            return _groups(list(self._puts), rows)

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


def _groups(puts: Iterable[Put[T]], rows: int) -> Iterator[list[Put[T]]]:
    """Puts in their order, as many at a time as together have so many rows."""
    group: list[Put[T]] = []
    found = 0
    for put in puts:
        group.append(put)
        found += put.rows
        if found >= rows:
            yield group
            group, found = [], 0
    if group:
        yield group


def _identity() -> bytes:
    """Nanoseconds, then chance.

    Index entries are made at the end, in time: with identities of chance alone a row cost 17 us in an empty SQLite
    and 51 us after 250,000 rows, as each lands on a page of its own.
    """
    return time.time_ns().to_bytes(8, "big") + os.urandom(8)
