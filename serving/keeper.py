"""What goes on behind the workers: reading the sources, mapping the histories, scoring the open lots.

One process does it, so that no request ever waits on a source and a fault here takes nothing from what is loaded.
"""

import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from features.asof import HOUR, MINUTE, SECOND, within
from features.card import code_fingerprint
from features.champion import CHALLENGER, Scorer, challenger_state, scorer_state
from features.content_hash import content_hash
from features.database import open_database
from features.errors import LotRiskError
from features.histories import Histories
from features.mapped import StaleMap, Written, read_mapped, write_mapped
from features.reading import Reading
from features.score import Policy
from features.site import Site, read_site
from serving.actors import REGISTRY
from serving.alone import alone
from serving.changes import signature
from serving.gate_answers import scorer_facts
from serving.heads import write_heads
from serving.intake import Intake
from serving.loaded import usable_challenger, usable_scorer, warm
from serving.once import forget
from serving.open_lots import score_open_lots, shadow_open_lots
from serving.published import FOLDER, Published, histories_folder, publish, read_published, spill_folder
from serving.record import Record
from serving.score_log import ScoreLog

log = logging.getLogger(__name__)

_TICK = 0.1  # seconds: what arrives counts within two, and a promotion is followed within one
_RESCORE = 1.0  # seconds at least between two runs over the open lots that arrivals have made due
_BEHIND = 5  # niceness: answers come first
_REGISTRY_EVERY = MINUTE // 2
_HEADS_EVERY = MINUTE
_TRIED = ("challenger", "challenger's scores", "audit heads", "old answers")
"""Their faults are the log's: no answer rests on them."""


class Keeper:
    """Keeps `published` at what the sources and the champion say. `step` does what is due."""

    def __init__(self, site: Site, score_log: ScoreLog) -> None:
        self._site, self._log = site, score_log
        self._policy = Policy.of(site)
        self._engine = open_database(site.database_url)
        self._rested = self._rescored = 0.0  # by the monotonic clock: then arrivals are looked for, lots scored again
        self._published = read_published(site.state_dir)
        self._histories = self._mapped()
        self._written: Written | None = None
        self._intake = Intake(site, self._engine, served=self._histories is not None)
        self._scorer: Scorer | None = None
        self._state: tuple[object, ...] = ()
        self._refused: LotRiskError | None = None
        self._signature: str | None = None
        self._challenger: Scorer | None = None
        self._challenger_state: tuple[object, ...] = ()
        self._unmapped = self._unscored = self._unshadowed = self._unforgotten = False
        self._tried: dict[str, int] = {}
        self._faults: dict[str, str] = {}
        self._not_followed: tuple[dict[str, str], dict[str, str]] = {}, {}
        self._sweep()

    def step(self, now: int) -> None:
        """What is due at `now`, microseconds UTC. A fault is published, and leaves what was published before."""
        refresh = self._site.refresh_every
        self._try("model", self._read_scorer, now, every=0)
        self._try("challenger", self._read_challenger, now, every=0)
        self._try("sources", self._refresh, now, every=refresh)
        if time.monotonic() >= self._rested:
            self._try("arrivals", self._look, now, every=SECOND if self._faults.get("arrivals") else 0)
        self._faults["stored histories"] = self._intake.fault
        if self._histories is not None and self._scorer is not None:
            waits = self._unscored and time.monotonic() >= self._rescored
            if waits or _passed(self._published.scored_at, self._site.rescore_every, now):
                self._try("scores", self._score, now, every=refresh if self._faults.get("scores") else 0)
        if self._unshadowed:
            self._try("challenger's scores", self._shadow, now, every=0)
        if self._site.tracking_uri.startswith(("http://", "https://")):
            self._try("registry", self._follow_registry, now, every=_REGISTRY_EVERY)
        self.write_heads(now, every=_HEADS_EVERY)
        if self._log.healthy:
            self._try("old answers", self._forget_answers, now, every=0 if self._unforgotten else HOUR)
        fault = "; ".join(fault for what, fault in self._faults.items() if fault and what not in _TRIED)
        if (fault, self._log.dropped) != (self._published.fault, self._published.log_dropped):
            self._try("state", lambda _: self._publish(replace(self._published, fault=fault)), now, every=0)

    def write_heads(self, now: int, *, every: int = 0) -> None:
        """A head of the audit log as it is now."""
        if self._log.healthy:  # the database is there, and has its tables
            self._try("audit heads", lambda _: write_heads(self._engine, self._site.state_dir), now, every=every)

    def _try(self, what: str, do: Callable[[int], object], now: int, *, every: int) -> None:
        """Does it if its turn has come. A fault stands until it succeeds, and keeps nothing else from being done."""
        if every and not _passed(self._tried.get(what, 0), every, now):
            return
        self._tried[what], fault = now, ""
        try:
            do(now)
        except (LotRiskError, OSError) as error:
            fault = " ".join(str(error).split())
        except Exception as error:  # of a kind that nobody foresaw: told like the others, and tried again
            log.exception("%s failed", what)
            fault = f"{what} failed: {type(error).__name__}, see the log"
        if fault and fault != self._faults.get(what):
            log.error("%s: scores go on with what was there before: %s", what, fault)
        self._faults[what] = fault

    def _mapped(self) -> Histories | None:
        """What was published last: with the sources gone too, a new model scores the open lots."""
        try:
            return read_mapped(histories_folder(self._site.state_dir, self._published.histories))
        except StaleMap:
            return None

    def _follow_registry(self, now: int) -> None:
        """Takes over the champion of a registry elsewhere, then its challenger."""
        from serving.registry import follow

        site, (champions, challengers) = self._site, self._not_followed
        record = Record(site.database_url, REGISTRY, now)
        where: dict[str, Any] = {"tracking_uri": site.tracking_uri, "state_dir": site.state_dir, "record": record}
        follow(site.name, refused=champions, **where)
        follow(site.name, refused=challengers, alias=CHALLENGER, **where)

    def _forget_answers(self, now: int) -> None:
        self._unforgotten = False  # after a fault they wait for the next hour
        self._unforgotten = forget(self._engine, now=now)

    def _read_scorer(self, now: int) -> None:  # noqa: ARG002 - whenever files have changed
        """Takes another model than before. A refused one is read again when its files change."""
        state = scorer_state(self._site.state_dir)
        if state == self._state:
            if self._refused is not None:
                raise self._refused
            return
        self._state, self._refused = state, None
        try:
            scorer = usable_scorer(self._site.state_dir)
        except LotRiskError as refused:
            self._refused = refused
            raise
        if self._scorer is None or scorer_facts(scorer) != scorer_facts(self._scorer):
            self._unmapped = self._unscored = True
            self._rescored = 0.0
        self._scorer = scorer

    def _read_challenger(self, now: int) -> None:  # noqa: ARG002 - whenever files have changed
        """Takes another challenger than before, or none."""
        state = challenger_state(self._site.state_dir)
        if state != self._challenger_state:
            self._challenger_state, self._challenger = state, None
            self._challenger = usable_challenger(self._site.state_dir)

    def _refresh(self, now: int) -> None:
        """Reads the sources if they may have changed."""
        found = signature(self._site)
        stale = _passed(self._published.read_at, self._site.rescore_every, now)
        due = stale or self._intake.crowded or self._intake.healed
        if found is not None and found == self._signature and not due:
            self._publish(replace(self._published, checked_at=now))
            return
        reading = self._intake.refresh(now)
        for warning in reading.warnings:
            log.warning("%s", warning)
        before = self._published.histories
        self._map(reading.histories, replace(self._published, read_at=now, read_now=now), reading)
        self._signature = found
        self._publish(replace(self._published, checked_at=now))
        if self._published.histories != before:
            self._unscored, self._rescored = True, 0.0

    def _look(self, now: int) -> None:
        """Takes in what arrived. To read and map it again takes no more than two thirds of a core."""
        begun = time.process_time()
        reading = self._intake.look(now)
        if reading is not None:
            self._map(reading.histories, replace(self._published, read_now=now), reading)
            self._unscored = True
            self._rested = time.monotonic() + (time.process_time() - begun) / 2

    def _map(self, histories: Histories, published: Published, reading: Reading | None = None) -> None:
        """Writes the histories with all that scores by the present model make of them, unless they are there.

        `published`: what to say of them beside their name; `reading`: which they come from.
        """
        if reading is not None:
            published = replace(published, segments=reading.state.segments, arrivals=reading.state.arrivals)
        scorer, tried = self._scorer or Scorer(None), self._challenger
        name = f"{content_hash(histories)[:24]}-{code_fingerprint()[:12]}-{scorer.version}"
        name += "" if tried is None else f"-{tried.version}"
        folder = histories_folder(self._site.state_dir, name)
        try:
            self._histories = read_mapped(folder)
        except StaleMap:
            shutil.rmtree(folder, ignore_errors=True)
            warm(scorer, histories, self._policy, now=published.read_now)
            if tried is not None:
                self._warm_challenger(tried, histories, published.read_now)
            histories.let_go()
            self._written = write_mapped(histories, folder, earlier=self._written)
            self._histories = read_mapped(folder)
        self._unmapped = False
        self._publish(replace(published, histories=name))
        self._sweep()

    def _score(self, now: int) -> None:
        if self._histories is None or self._scorer is None:
            return
        if self._unmapped:
            self._map(self._histories, self._published)
        state, begun = self._site.state_dir, time.monotonic()
        name = score_open_lots(
            self._scorer, self._histories, self._policy, self._log, state_dir=state, last=self._published.open, now=now
        )
        self._unscored = False
        self._rescored = time.monotonic() + max(_RESCORE, time.monotonic() - begun)
        self._unshadowed = self._challenger is not None
        self._publish(replace(self._published, open=name, scored_at=now))

    def _warm_challenger(self, tried: Scorer, histories: Histories, now: int) -> None:
        try:
            warm(tried, histories, self._policy, now=now)
        except Exception:  # of whatever kind: the champion's histories are mapped all the same
            log.exception("challenger %s cannot score", tried.version)

    def _shadow(self, now: int) -> None:  # noqa: ARG002 - as of the run
        """The challenger's scores of what was just logged, after it is published; a run that fails is let go."""
        self._unshadowed = False
        if self._challenger is not None and self._histories is not None:
            shadow_open_lots(
                self._challenger,
                self._histories,
                self._policy,
                self._log,
                state_dir=self._site.state_dir,
                run=self._published.open,
                now=self._published.scored_at,
            )

    def _publish(self, published: Published) -> None:
        published = replace(published, log_waiting=self._log.waiting, log_dropped=self._log.dropped)
        publish(self._site.state_dir, published)
        self._published = published

    def _sweep(self) -> None:
        """Removes mapped histories that hold no more; a worker that still maps them keeps them until it lets go."""
        folder = self._site.state_dir / FOLDER / "histories"
        held = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime) if folder.is_dir() else []
        others = [path for path in held if path.name != self._published.histories]
        for path in (*(others[:-1] if self._published.histories else others), *folder.glob(".new-*")):
            shutil.rmtree(path, ignore_errors=True)


def _passed(since: int, every: int, now: int) -> bool:
    """Whether a turn is over; also where the clock was set back."""
    return not within(now, since, since + every)


def keep(folder: Path) -> None:
    """The keeper's process: until it is told to end, or its parent is gone."""
    from serving.logs import log_to_stderr

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal's Ctrl-C: the parent ends this process
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    log_to_stderr()
    parent = os.getppid()
    site = read_site(folder, os.environ)
    with alone(site) as lock:
        while not lock():
            if stop.wait(_TICK) or os.getppid() != parent:
                return
        _keep(site, lambda: stop.is_set() or os.getppid() != parent, stop)


def _keep(site: Site, ended: Callable[[], bool], stop: threading.Event) -> None:
    score_log = ScoreLog(site.database_url, spill=spill_folder(site.state_dir))
    score_log.start()
    os.nice(_BEHIND)
    keeper = Keeper(site, score_log)
    try:
        while not ended():
            keeper.step(time.time_ns() // 1000)
            stop.wait(_TICK)
        keeper.write_heads(time.time_ns() // 1000)  # the workers have ended: what they recorded last has one too
    finally:
        score_log.close()
