"""The challenger beside the champion: what was answered is scored again by it, afterwards, and only logged.

Answers come first. A thread of its own takes what waits as one batch, in which a lot costs a twentieth of one that is
scored alone, and rests nine times as long as that took; what finds no room is dropped and counted.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from features.champion import Scorer
from features.errors import LotRiskError
from features.histories import Histories
from features.score import Policy, Scored, score
from serving.answers import Asked, judgements_of
from serving.repeated import Repeated
from serving.score_log import LoggedScores, ScoreLog
from serving.score_rows import SHADOW

log = logging.getLogger(__name__)

BATCH = 256  # lots that are scored together: 18 ms of a core for 500 trees; 1,024 are 58 in one piece
MOST = 20_000  # lots that wait: two of the largest calls
ROOM = 100_000  # rows waiting for the database, beyond which the log's room is left to what was answered
_PAUSE = 0.25  # seconds between two looks: what is asked singly gathers meanwhile
_REST = 9.0  # times as long as a batch took: a tenth of one thread at most


class _Put(NamedTuple):
    """Lots of one batch of answers, with the histories that answered them."""

    histories: Histories
    asked: Sequence[Asked]
    asked_at: int


class Shadow:
    """Scores by what `scorer` gives, None: nobody is tried. `told`: an outcome and of how many lots.

    Outcomes: "logged", "dropped" (no room here or in the log), "failed" (see `fault`).
    """

    def __init__(
        self,
        score_log: ScoreLog,
        policy: Policy,
        *,
        scorer: Callable[[], Scorer | None],
        told: Callable[[str, int], None],
        most: int = MOST,
    ) -> None:
        self._log, self._policy, self._scorer, self._told, self._most = score_log, policy, scorer, told, most
        self._lock = threading.Lock()
        self._puts: deque[_Put] = deque()
        self._failed: tuple[Scorer, str] | None = None
        self._repeated = Repeated(self.round, name="shadow", every=_PAUSE, rest=_REST)
        self.waiting = 0
        """Lots."""

    def start(self) -> None:
        self._repeated.start()

    def put(self, histories: Histories, asked: Sequence[Asked], asked_at: int) -> None:
        """Takes lots that were answered, in microseconds; drops what finds no room."""
        if self._scorer() is None:
            return
        for start in range(0, len(asked), BATCH):
            some = asked[start : start + BATCH]
            with self._lock:
                room = self.waiting + len(some) <= self._most
                if room:
                    self._puts.append(_Put(histories, some, asked_at))
                    self.waiting += len(some)
            if not room:
                self._told("dropped", len(some))

    def close(self) -> None:
        """Ends after the batch that is being scored; what waits is dropped, for a stop waits for nobody's trial."""
        self._repeated.close()

    @property
    def fault(self) -> str:
        """Why the present challenger cannot score; "": it can, or has not been asked to."""
        failed = self._failed
        return failed[1] if failed is not None and failed[0] is self._scorer() else ""

    def round(self) -> None:
        """Scores and logs one batch of what waits."""
        puts, scorer = self._take(), self._scorer()
        if not puts or scorer is None:
            return
        asked = [one for put in puts for one in put.asked]
        try:
            histories = puts[0].histories
            said = score(scorer, histories, self._policy, judgements_of(asked, histories))
        except Exception as error:  # whatever it is, answers go on, and so does the next batch
            self._told("failed", len(asked))
            known = isinstance(error, LotRiskError)
            fault = str(error) if known else f"version {scorer.version} fails to score: {type(error).__name__}"
            if self.fault != fault:
                log.error("the challenger: %s", fault, exc_info=not known)
            self._failed = scorer, fault
            return
        self._failed = None
        start = 0
        for put in puts:
            scores = _to_log(put, said, slice(start, start + len(put.asked)))
            taken = self._log.waiting < ROOM and self._log.put(scores)
            self._told("logged" if taken else "dropped", len(put.asked))
            start += len(put.asked)

    def _take(self) -> list[_Put]:
        """What came first, as many as are scored together: by the same histories."""
        taken: list[_Put] = []
        lots = 0
        with self._lock:
            while self._puts and lots + len(self._puts[0].asked) <= BATCH:
                if taken and self._puts[0].histories is not taken[0].histories:
                    break
                taken.append(self._puts.popleft())
                lots += len(taken[-1].asked)
            self.waiting -= lots
        return taken


def _to_log(put: _Put, said: Scored, rows: slice) -> LoggedScores:
    """Without what the model saw: nothing but risks is compared, and vectors are most of the log's bytes."""
    return LoggedScores(
        lot_id=[one.lot_id for one in put.asked],
        as_of=said.as_of[rows],
        asked_at=put.asked_at,
        risk=said.risk[rows],
        expected_cost=said.expected_cost[rows],
        decision=said.decision[rows],
        model_version=said.version,
        vectors=np.empty((len(put.asked), 0)),
        source=SHADOW,
    )
