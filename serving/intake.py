"""What the keeper reads: the sources, the stored histories and what arrives, as one reading after the other.

The sources are ingested as `lotrisk ingest` does, so that what a score stood on can be read again. With the database
gone the sources and what was read of the stored histories before go on.
"""

import logging
from dataclasses import replace

import pyarrow as pa
import sqlalchemy as sa

from features.catalogue import SEGMENTS
from features.database import check_writable
from features.errors import DatabaseUnreachable, LotRiskError, SourceUnreachable
from features.histories import Histories
from features.ingest import disarmed, gone, ingest, read_sources
from features.kept import Kept
from features.reading import Reading, histories_of, stored_and_new
from features.site import Site
from features.stored import State, Store, Stored, as_read
from features.unite import unite
from serving.migrate import migrate

log = logging.getLogger(__name__)

FOLD_AT = 2_000  # rows that wait; so many are read in a few milliseconds at every arrival


class Intake:
    """Makes readings. `fault`: why the stored histories could not be read last, "": they could.

    `served`: whether histories of an earlier process are served, which may show what arrived.
    """

    def __init__(self, site: Site, engine: sa.Engine, *, served: bool = False) -> None:
        self._site, self._store, self._served = site, Store(site, engine), served
        self._migrated = False
        self._stored = self._stored_before()
        self._base: dict[str, pa.Table] = {}
        self._kept = Kept(packed=True)
        self._last: Histories | None = None
        self._based_on: tuple[object, ...] | None = None
        self._alone = False  # whether the last reading of the sources was stored nowhere
        self.fault = ""

    def _stored_before(self) -> Stored:
        try:
            return self._store.all()
        except LotRiskError:  # told by the refresh that follows
            return Stored()

    @property
    def crowded(self) -> bool:
        """Whether so many rows wait to be folded that it is time."""
        return self._stored.waiting >= FOLD_AT

    @property
    def healed(self) -> bool:
        """Whether the database is back that was gone when the sources were read: what they said has to be stored, and
        what arrived has to count again, though no source changed."""
        if not self._alone:
            return False
        try:
            check_writable(self._store.engine, SEGMENTS.name)
        except DatabaseUnreachable:
            return False
        return True

    def refresh(self, now: int) -> Reading:
        """Reads the sources, stores what is new in them, folds what arrived. SourceUnreachable, ContractViolation.

        DatabaseUnreachable where the stored histories were never read, and others are served: the sources alone would
        take away from scores what had arrived.
        """
        sources = read_sources(self._site)
        if lost := gone(self._stored, sources) + disarmed(self._stored, sources, self._site):
            raise SourceUnreachable("; ".join(lost))
        try:
            if not self._migrated:
                migrate(self._site.database_url)
                self._migrated = True
            for one in ingest(self._store, self._site, now=now, raw=sources):
                if one.new or one.changed or one.folded:
                    log.info("%s: %d new, %d changed, %d folded", one.table, one.new, one.changed, one.folded)
            self._stored, self.fault, self._alone = self._store.all(), "", False
        except DatabaseUnreachable as fault:
            if self._served and self._stored.nothing:
                raise
            self._alone = True
            self.fault = f"scores stand on the sources alone, and on what had arrived before: {fault}"
            raw = stored_and_new(self._stored, sources, self._site, now=now)
            return replace(histories_of(raw, self._site, now=now), state=State(), stored=self._stored)
        return self._reading(now)

    def look(self, now: int) -> Reading | None:
        """A reading where rows arrived, or were ingested, since the last one; DatabaseUnreachable."""
        state = self._store.state() if self._based_on is not None else State()
        if state in (State(), self._stored.state):  # where nothing is stored any more the database is gone
            return None
        self._stored, self.fault = self._store.all(), ""
        return self._reading(now)

    def _reading(self, now: int) -> Reading:
        """Of what is stored; what segments say is united once."""
        stored = self._stored
        segments = tuple(segment.id for segment in stored.segments)
        if segments != self._based_on:
            folded = replace(stored, unfolded={})
            self._base = stored_and_new(folded, {}, self._site, now=now)
            self._based_on = segments
        raw = dict(self._base)
        for name, rows in stored.unfolded.items():
            own = as_read(rows)
            raw[name] = unite(name, [raw[name], own]) if name in raw else own
        reading = replace(histories_of(raw, self._site, now=now, kept=self._kept), state=stored.state, stored=stored)
        if self._last is not None:
            reading.histories.take_over(self._last)
        self._last = reading.histories
        return reading
