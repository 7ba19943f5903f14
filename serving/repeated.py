"""What a worker does again and again beside answering, each in a thread of its own."""

import logging
import threading
from collections.abc import Callable
from time import monotonic

log = logging.getLogger(__name__)


class Repeated:
    """Calls `do` again and again until it is closed. What `do` raises is logged: the next call may succeed.

    `every`: seconds between the end of a call and the next; where that is longer, `rest` times as long as the call
    took. `at_once`: the first call does not wait.
    """

    def __init__(
        self, do: Callable[[], object], *, name: str, every: float, rest: float = 0.0, at_once: bool = False
    ) -> None:
        self._do, self._every, self._rest, self._at_once = do, every, rest, at_once
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """From now on."""
        self._thread.start()

    def close(self) -> None:
        """Ends it after the call that goes on."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = 0.0 if self._at_once else self._every
        while not self._over.wait(pause):
            begun = monotonic()
            try:
                self._do()
            except Exception:  # of whatever kind: the thread must live
                log.exception("%s failed", self._thread.name)
            pause = max(self._every, self._rest * (monotonic() - begun))
