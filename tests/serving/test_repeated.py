"""Threads that do something again and again outlive what it raises, and end after what they are at."""

import threading
from time import monotonic, sleep

import pytest

from serving.repeated import Repeated


class Calls:
    """Counts calls, each of which takes a while and may fail; notes the pauses between them."""

    def __init__(self, *, takes: float = 0.0, fails: bool = False) -> None:
        self.takes, self.fails = takes, fails
        self.begun: list[float] = []
        self.ended: list[float] = []
        self.third = threading.Event()

    def __call__(self) -> None:
        self.begun.append(monotonic())
        sleep(self.takes)
        self.ended.append(monotonic())
        if len(self.ended) == 3:
            self.third.set()
        if self.fails:
            raise KeyError("this call")


def pauses(calls: Calls) -> list[float]:
    return [begun - ended for ended, begun in zip(calls.ended, calls.begun[1:], strict=False)]


def test_a_call_that_fails_is_logged_and_made_again(caplog: pytest.LogCaptureFixture) -> None:
    calls = Calls(fails=True)
    repeated = Repeated(calls, name="counting", every=0.01)
    repeated.start()
    assert calls.third.wait(30)
    repeated.close()
    assert caplog.text.count("counting failed") == len(calls.ended) >= 3
    assert "KeyError: 'this call'" in caplog.text


@pytest.mark.parametrize(("rest", "least"), [(0.0, 0.02), (3.0, 0.15)])
def test_it_rests_so_long_or_so_many_times_as_long_as_a_call_took(rest: float, least: float) -> None:
    calls = Calls(takes=0.05)
    repeated = Repeated(calls, name="counting", every=0.02, rest=rest)
    repeated.start()
    assert calls.third.wait(30)
    repeated.close()
    assert min(pauses(calls)) >= least


def test_it_waits_before_the_first_call_unless_that_is_made_at_once() -> None:
    later, now = Calls(), Calls()
    both = [Repeated(later, name="later", every=60), Repeated(now, name="now", every=0.01, at_once=True)]
    for one in both:
        one.start()
    assert now.third.wait(30)
    for one in both:
        one.close()
    assert later.begun == []


def test_it_ends_after_the_call_that_goes_on() -> None:
    calls = Calls(takes=0.2)
    repeated = Repeated(calls, name="counting", every=60, at_once=True)
    repeated.start()
    while not calls.begun:
        sleep(0.01)
    repeated.close()
    assert len(calls.begun) == len(calls.ended) == 1


def test_one_that_was_never_started_is_closed() -> None:
    Repeated(Calls(), name="counting", every=60).close()
