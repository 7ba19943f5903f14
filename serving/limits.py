"""How much a key may ask: calls a second from a bucket of its own in each worker, and the size of a body."""

import math
from collections.abc import Iterable
from time import monotonic
from typing import Any

from serving.problems import Problem

_MIB = 2**20


class TooMany(Problem):
    """`seconds`: after which a call may be made again."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(1, math.ceil(seconds))
        super().__init__("too_many_requests", f"more calls a second than this key may make; wait {self.seconds} s")


class Limits:
    """`share`: of a limit, what this one of several workers grants, since calls spread over them."""

    def __init__(self, calls_per_second: float, *, share: float) -> None:
        self._usual, self._share = calls_per_second, share
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key_id: str, calls_per_second: float | None) -> None:
        """Takes a call from the key's bucket, which holds those of a second; TooMany where it is empty."""
        rate = (self._usual if calls_per_second is None else calls_per_second) * self._share
        size, now = max(1.0, rate), monotonic()
        left, since = self._buckets.get(key_id, (size, now))
        left = min(size, left + (now - since) * rate)
        if left < 1.0:
            self._buckets[key_id] = (left, now)
            raise TooMany((1.0 - left) / rate)
        self._buckets[key_id] = (left - 1.0, now)


def limited(receive: Any, headers: Iterable[tuple[bytes, bytes]], most: int) -> Any:
    """`receive` that ends with the problem `body_too_large` as soon as the body is known to be."""
    said = next((value for name, value in headers if name == b"content-length"), b"")
    if said.isdigit() and int(said) > most:
        raise _too_large(most)
    size = 0

    async def counted() -> Any:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise _too_large(most)
        return message

    return counted


def _too_large(most: int) -> Problem:
    return Problem("body_too_large", f"more than the {most / _MIB:g} MiB that this key may send; send less in a call")
