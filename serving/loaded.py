"""What a worker scores with, and the thread that follows what the keeper and a promotion make of it."""

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from features import containment, limits
from features.build import columns
from features.card import iso
from features.champion import Scorer, challenger_state, read_challenger, read_scorer, scorer_state
from features.errors import BundleRefused, LotRiskError
from features.histories import Histories
from features.mapped import StaleMap, read_mapped
from features.named import only_lots
from features.score import Policy, question, score
from features.site import Site
from serving.published import Published, histories_folder, open_file, read_published
from serving.repeated import Repeated
from serving.standing import Standing

log = logging.getLogger(__name__)

EVERY = 0.15  # seconds between two looks: what arrives counts within two, a promotion is followed within one


@dataclass(frozen=True, eq=False)
class Loaded:
    """All of one moment; a request takes it once and keeps to it. `refused`: why a newer bundle is not used."""

    scorer: Scorer | None = None
    champion: str = ""
    """What the file says, loaded or refused; "": nothing."""
    state: tuple[object, ...] = ()
    """Of the bundle's files when they were last read."""
    refused: str = ""
    histories: Histories | None = None
    mapped: str = ""
    """The published name of the histories that are mapped."""
    stored: Published = field(default_factory=Published)
    """What was published when the stored rows that they stand on were last told; `published` may be ahead of them."""
    standing: Standing | None = None
    published: Published = field(default_factory=Published)
    challenger: "Tried" = field(default_factory=lambda: Tried())


@dataclass(frozen=True, eq=False)
class Tried:
    """The challenger: what its file says, "": none; with what it scores, or why it cannot."""

    version: str = ""
    scorer: Scorer | None = None
    state: tuple[object, ...] = ()
    refused: str = ""


class Follower:
    """Keeps `now` at what holds: reads in a thread of its own, then replaces it as one.

    `told` is called with what is new, `looked` with each look.
    """

    def __init__(
        self, site: Site, *, told: Callable[[Loaded], None] = lambda _: None, looked: Callable[[], None] = lambda: None
    ) -> None:
        self._site, self._told, self._looked = site, told, looked
        self._policy = Policy.of(site)
        self._parent = os.getppid()
        self._repeated = Repeated(self._turn, name="follower", every=EVERY, at_once=True)
        self.now = Loaded()

    def start(self) -> None:
        self._repeated.start()

    def close(self) -> None:
        self._repeated.close()

    def look(self) -> None:
        """Reads what has changed. Nothing that fails here takes away what is loaded."""
        published = read_published(self._site.state_dir)
        fresh = self._with_challenger(self._with_bundle(self.now))
        if published != fresh.published or published.histories != fresh.mapped:
            fresh = self._with_published(fresh, published)
        if fresh is not self.now:
            if fresh.scorer is not self.now.scorer or fresh.histories is not self.now.histories:
                self._warm(fresh)
            self.now = fresh
            self._told(fresh)

    def _turn(self) -> None:
        if os.getppid() != self._parent:  # nobody is left who would end this process
            os.kill(os.getpid(), signal.SIGTERM)
        self._looked()
        self.look()

    def _with_bundle(self, loaded: Loaded) -> Loaded:
        state: tuple[object, ...] = ()
        champion = loaded.champion
        try:
            state = scorer_state(self._site.state_dir)
            if state == loaded.state:
                return loaded
            champion = str(state[0])
            scorer = usable_scorer(self._site.state_dir)
        except LotRiskError as refused:
            if (state, str(refused)) == (loaded.state, loaded.refused):
                return loaded
            log.error("version %s is refused: %s", champion, refused)
            return replace(loaded, champion=champion, state=state, refused=str(refused))
        log.info("scores now come from %s", scorer.version)
        return replace(loaded, champion=champion, state=state, scorer=_of_one_thread(scorer), refused="")

    def _with_challenger(self, loaded: Loaded) -> Loaded:
        """Whatever is wrong with a challenger stays with it."""
        state: tuple[object, ...] = ()
        try:
            state = challenger_state(self._site.state_dir)
            if state == loaded.challenger.state:
                return loaded
            scorer = usable_challenger(self._site.state_dir)
        except Exception as fault:
            version, refused = str(state[0]) if state else "", str(fault)
            if (state, refused) == (loaded.challenger.state, loaded.challenger.refused):
                return loaded
            log.error("challenger %s is refused: %s", version, refused, exc_info=not isinstance(fault, LotRiskError))
            return replace(loaded, challenger=Tried(version, None, state, refused))
        if scorer is None:
            return replace(loaded, challenger=Tried(state=state))
        log.info("version %s is tried beside the champion", scorer.version)
        return replace(loaded, challenger=Tried(str(state[0]), _of_one_thread(scorer), state))

    def _with_published(self, loaded: Loaded, published: Published) -> Loaded:
        state, old = self._site.state_dir, loaded.published
        fresh = replace(loaded, published=published)
        if published.histories and published.histories != loaded.mapped:
            try:
                histories = read_mapped(histories_folder(state, published.histories))
                fresh = replace(fresh, histories=histories, mapped=published.histories)
                log.info("histories as read at %s", iso(published.read_at))
            except StaleMap as stale:  # of other code, or spoilt: the keeper publishes anew what it has mapped anew
                if published != old:
                    log.warning("%s", stale)
        if fresh.mapped == published.histories:
            fresh = replace(fresh, stored=published)
        if published.open and published.open != old.open:
            try:
                fresh = replace(fresh, standing=Standing(open_file(state, published.open)))
            except (OSError, pa.ArrowInvalid) as error:
                log.error("stored scores cannot be read: %s", error)
        return fresh

    def _warm(self, loaded: Loaded) -> None:
        """Makes here, and not in somebody's request, what a first score makes."""
        if loaded.scorer is not None and loaded.histories is not None:
            warm(loaded.scorer, loaded.histories, self._policy, now=loaded.published.read_now)


def usable_scorer(state_dir: Path) -> Scorer:
    """What `read_scorer` reads. BundleRefused too for a layout that this code does not follow to all the features."""
    return _usable(read_scorer(state_dir))


def usable_challenger(state_dir: Path) -> Scorer | None:
    """What `read_challenger` reads, refused like a champion."""
    scorer = read_challenger(state_dir)
    return None if scorer is None else _usable(scorer)


def _of_one_thread(scorer: Scorer) -> Scorer:
    """Several calls are scored at a time, each by one thread."""
    return scorer if scorer.bundle is None else replace(scorer, bundle=replace(scorer.bundle, threads=1))


def _usable(scorer: Scorer) -> Scorer:
    if scorer.bundle is not None:
        try:
            names = [spec.name for spec in columns(scorer.bundle.layout)]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise BundleRefused(
                f"{scorer.bundle.folder / 'card.json'}: this code does not follow its layout ({error!r}). Train again."
            ) from error
        scorer.bundle.columns(names, np.empty((0, len(names))))
    return scorer


def warm(scorer: Scorer, histories: Histories, policy: Policy, *, now: int) -> None:
    """Scores the lot that was known last: all sorted arrays that scores need, and what the gate looks at from `now` on,
    are there afterwards."""
    containment.prepare(histories, as_of=now)
    limits.prepare(histories)
    only_lots(histories)
    lots = histories["lots"]
    last = int(np.argmax(lots.known))
    judged = question(histories, lots["lot_id"][[last]], lots.known[[last]] + 1)
    try:
        score(scorer, histories, policy, judged)
    except BundleRefused as refused:  # features that these histories do not have: said with each answer
        log.error("%s", refused)
