"""Where calls wait to be scored: all that wait are taken together, by one thread, off the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

C = TypeVar("C")
A = TypeVar("A")


class Lane(Generic[C, A]):
    """`run`: from calls to as many answers, in the lane's thread; `size` of a call, in lots.

    An answer that is an Exception is raised where its call waits.

    Calls are taken in the order they come, as many as have `most` lots together, at least one.
    """

    def __init__(self, run: Callable[[Sequence[C]], Sequence[A]], *, size: Callable[[C], int], most: int) -> None:
        self._run, self._size, self._most = run, size, most
        self._waiting: deque[tuple[C, asyncio.Future[A]]] = deque()
        self._busy = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lane")

    async def ask(self, call: C) -> A:
        """The call's answer; raises what `run` raised for its batch, or gave as this call's answer."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[A] = loop.create_future()
        self._waiting.append((call, future))
        if not self._busy:
            self._next(loop)
        return await future

    def close(self) -> None:
        """Ends the thread after the batch it works on."""
        self._thread.shutdown(wait=True)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        batch: list[tuple[C, asyncio.Future[A]]] = []
        lots = 0
        while self._waiting and (not batch or lots + self._size(self._waiting[0][0]) <= self._most):
            call, future = self._waiting.popleft()
            if future.cancelled():  # whoever asked has gone
                continue
            batch.append((call, future))
            lots += self._size(call)
        self._busy = bool(batch)
        if not batch:
            return
        done = loop.run_in_executor(self._thread, self._run, [call for call, _ in batch])
        done.add_done_callback(lambda ended: self._ended(ended, batch, loop))

    def _ended(
        self,
        ended: "asyncio.Future[Sequence[A]]",
        batch: list[tuple[C, asyncio.Future[A]]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        fault = ended.exception()
        answers = [None] * len(batch) if fault is not None else ended.result()
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if fault is not None or isinstance(answer, Exception):
                future.set_exception(fault or answer)  # type: ignore[arg-type]
            else:
                future.set_result(answer)  # type: ignore[arg-type]
        self._next(loop)
