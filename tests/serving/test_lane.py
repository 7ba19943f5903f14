"""Calls that wait are taken together, in their order, and one that fails harms no other."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from serving import lane as lane_module
from serving.lane import Lane

Ran = list[list[int]]


def ask(
    run: Callable[[Sequence[int]], Sequence[Any]], body: Callable[[Lane[int, Any]], Awaitable[Any]], most: int = 10
) -> Any:
    """What `body` makes of a lane in which a call is as large as its number."""

    async def main() -> Any:
        lane: Lane[int, Any] = Lane(run, size=lambda call: call, most=most)
        try:
            return await body(lane)
        finally:
            lane.close()

    return asyncio.run(main())


def test_calls_that_come_while_others_are_scored_are_taken_together_up_to_the_most() -> None:
    ran: Ran = []
    first = threading.Event()

    def run(calls: Sequence[int]) -> list[int]:
        first.wait(10)
        ran.append(list(calls))
        return [-call for call in calls]

    async def body(lane: Lane[int, Any]) -> list[int]:
        asked = [asyncio.ensure_future(lane.ask(call)) for call in (1, 4, 5, 2, 30, 3, 3)]
        await asyncio.sleep(0)
        first.set()
        return list(await asyncio.gather(*asked))

    assert ask(run, body) == [-1, -4, -5, -2, -30, -3, -3]
    assert ran == [[1], [4, 5], [2], [30], [3, 3]]


def test_a_call_waits_for_no_other_when_none_runs() -> None:
    assert ask(lambda calls: calls, lambda lane: lane.ask(7)) == 7


def test_an_answer_that_is_a_fault_is_raised_where_its_call_waits_and_nowhere_else() -> None:
    def run(calls: Sequence[int]) -> list[Any]:
        return [ValueError(f"{call} is odd") if call % 2 else call for call in calls]

    async def body(lane: Lane[int, Any]) -> list[Any]:
        return list(await asyncio.gather(*(lane.ask(call) for call in (2, 3, 4)), return_exceptions=True))

    two, three, four = ask(run, body)
    assert (two, four) == (2, 4)
    assert isinstance(three, ValueError) and str(three) == "3 is odd"


def test_a_batch_that_breaks_is_raised_in_each_of_its_calls_and_the_lane_goes_on() -> None:
    def run(calls: Sequence[int]) -> Sequence[int]:
        if 3 in calls:
            raise RuntimeError("no")
        return calls

    async def body(lane: Lane[int, Any]) -> list[Any]:
        broken = await asyncio.gather(*(lane.ask(call) for call in (3, 3)), return_exceptions=True)
        return [*broken, await lane.ask(5)]

    first, second, after = ask(run, body)
    assert isinstance(first, RuntimeError) and isinstance(second, RuntimeError)
    assert after == 5


def test_a_call_whose_caller_has_gone_is_not_scored() -> None:
    ran: Ran = []
    first = threading.Event()

    def run(calls: Sequence[int]) -> Sequence[int]:
        first.wait(10)
        ran.append(list(calls))
        return calls

    async def body(lane: Lane[int, Any]) -> Any:
        running = asyncio.ensure_future(lane.ask(1))
        gone, stays = asyncio.ensure_future(lane.ask(2)), asyncio.ensure_future(lane.ask(3))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        first.set()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return [await running, await stays]

    assert ask(run, body) == [1, 3]
    assert ran == [[1], [3]]


def test_closing_lets_what_runs_end() -> None:
    ended: list[int] = []

    def run(calls: Sequence[int]) -> Sequence[int]:
        ended.extend(calls)
        return calls

    async def main() -> int:
        lane: Lane[int, int] = Lane(run, size=lambda _: 1, most=1)
        asked = asyncio.ensure_future(lane.ask(1))
        await asyncio.sleep(0)
        lane.close()
        return await asked

    assert asyncio.run(main()) == 1
    assert ended == [1]


def test_those_who_ask_again_at_once_are_taken_together() -> None:
    ran: Ran = []

    def run(calls: Sequence[int]) -> Sequence[int]:
        ran.append(list(calls))
        time.sleep(0.02)
        return calls

    async def asks_again(lane: Lane[int, Any]) -> None:
        for _ in range(6):
            await lane.ask(1)

    async def body(lane: Lane[int, Any]) -> None:
        await asyncio.gather(*(asks_again(lane) for _ in range(3)))

    ask(run, body)
    assert [len(calls) for calls in ran] == [1, *[3] * 5, 2]


def test_those_of_whom_some_ask_again_sooner_than_others_are_taken_together_all_the_same() -> None:
    ran: Ran = []

    def run(calls: Sequence[int]) -> Sequence[int]:
        ran.append(list(calls))
        time.sleep(0.02)
        return calls

    async def asks_again(lane: Lane[int, Any], later: int) -> None:
        for _ in range(6):
            await lane.ask(1)
            for _ in range(later):
                await asyncio.sleep(0)

    async def body(lane: Lane[int, Any]) -> None:
        await asyncio.gather(*(asks_again(lane, 2 * one) for one in range(6)))

    ask(run, body)
    assert [len(calls) for calls in ran[2:6]] == [6] * 4


def test_after_a_wait_in_vain_the_next_call_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "LONGEST", 0.3)
    begun: dict[int, float] = {}

    def run(calls: Sequence[int]) -> Sequence[int]:
        begun.update(dict.fromkeys(calls, time.monotonic()))
        time.sleep(0.3)
        return calls

    async def waited(lane: Lane[int, Any], pair: tuple[int, int], alone: int) -> float:
        """Of a call that comes right after two that were taken together."""
        await asyncio.gather(*map(lane.ask, pair))
        asked = time.monotonic()
        await lane.ask(alone)
        return begun[alone] - asked

    async def body(lane: Lane[int, Any]) -> list[float]:
        first = asyncio.ensure_future(lane.ask(1))
        delays = [await waited(lane, (2, 3), 4)]
        fifth = asyncio.ensure_future(lane.ask(5))
        delays.append(await waited(lane, (6, 7), 8))
        await asyncio.gather(first, fifth)
        return delays

    in_vain, at_once = ask(run, body, most=20)
    assert at_once < 0.15 < in_vain
