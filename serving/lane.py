"""Where calls wait to be scored: all that wait are taken together, off the event loop.

Clients that ask again as soon as they are answered do so together, and the next batch waits for as many, a few
milliseconds at most: else the first to ask again would be scored alone, and all others after it. Calls that come by
themselves never are that many in time; waiting then only costs (10 ms of a median of 20 at half of what saturates the
gate), so after a wait in vain the lane waits less often, and tries again ever more rarely.

Before the next batch the event loop takes a few turns: those who were answered are sent their answers, and what has
come in meanwhile is read. Each of these gives the interpreter's lock away, and while a batch is worked on gets it back
after 5 ms.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Generic, TypeVar

LONGEST = 0.005  # seconds that a batch waits for those who may ask again, and no longer than the last one took
TURNS = 3  # of the event loop: answers are sent, requests are read, their calls come here
RARELY = 255  # batches without waiting between two waits in vain

C = TypeVar("C")
A = TypeVar("A")
Batch = list[tuple[C, asyncio.Future[A]]]


class Lane(Generic[C, A]):
    """`run`: from calls to as many answers, in one of the lane's `threads`; `size` of a call, in lots.

    An answer that is an Exception is raised where its call waits.

    Calls are taken in the order they come, as many as have `most` lots together, at least one. A call that comes when
    nobody else does never waits.
    """

    def __init__(
        self, run: Callable[[Sequence[C]], Sequence[A]], *, size: Callable[[C], int], most: int, threads: int = 1
    ) -> None:
        self._run, self._size, self._most = run, size, most
        self._waiting: deque[tuple[C, asyncio.Future[A]]] = deque()
        self._free = threads
        self._enough = 0.0
        self._gathering: asyncio.Handle | None = None
        self._in_vain = self._without = 0  # batches to go without waiting after the last wait in vain; still to go
        self._thread = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="lane")

    async def ask(self, call: C) -> A:
        """The call's answer; raises what `run` raised for its batch, or gave as this call's answer."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[A] = loop.create_future()
        self._waiting.append((call, future))
        if self._free and self._gathering is None:
            self._next(loop)
        elif self._free and len(self._waiting) >= self._enough:
            self._in_vain = 0
            self._next(loop)
        return await future

    def close(self) -> None:
        """Ends the thread after the batch it works on."""
        self._thread.shutdown(wait=True)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts what can be started."""
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        while self._free and (batch := self._batch()):
            self._start(batch, loop)

    def _waited_in_vain(self, loop: asyncio.AbstractEventLoop) -> None:
        self._in_vain = self._without = min(2 * self._in_vain + 1, RARELY)
        self._next(loop)

    def _batch(self) -> Batch[C, A]:
        batch: Batch[C, A] = []
        lots = 0
        while self._waiting and (not batch or lots + self._size(self._waiting[0][0]) <= self._most):
            call, future = self._waiting.popleft()
            if future.cancelled():  # whoever asked has gone
                continue
            batch.append((call, future))
            lots += self._size(call)
        return batch

    def _start(self, batch: Batch[C, A], loop: asyncio.AbstractEventLoop) -> None:
        self._free -= 1
        begun = loop.time()
        done = loop.run_in_executor(self._thread, self._run, [call for call, _ in batch])
        done.add_done_callback(lambda ended: self._ended(ended, batch, loop, loop.time() - begun))

    def _ended(
        self,
        ended: "asyncio.Future[Sequence[A]]",
        batch: Batch[C, A],
        loop: asyncio.AbstractEventLoop,
        took: float,
    ) -> None:
        self._free += 1
        fault = ended.exception()
        answers = [fault] * len(batch) if fault is not None else ended.result()
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, StopIteration):  # which no future takes
                answer = RuntimeError(f"StopIteration: {answer}")
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)  # type: ignore[arg-type]
        if self._gathering is None:
            many = len(batch) + len(self._waiting) if len(batch) > max(len(self._waiting), 1) else 0
            self._turn(loop, many, took, TURNS)

    def _turn(self, loop: asyncio.AbstractEventLoop, many: int, took: float, turns: int) -> None:
        """Starts the next batch after so many turns of the loop, or waits until there are so `many` calls."""
        if turns:
            self._enough, self._gathering = inf, loop.call_soon(self._turn, loop, many, took, turns - 1)
        elif len(self._waiting) >= many:
            if many:
                self._in_vain = 0
            self._next(loop)
        elif self._without:
            self._without -= 1
            self._next(loop)
        else:
            self._enough = many
            self._gathering = loop.call_later(min(took, LONGEST), self._waited_in_vain, loop)
