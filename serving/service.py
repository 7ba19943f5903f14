"""What one worker answers with: the routes and the pages both ask here."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import time_ns
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from features.asof import before
from features.card import iso
from features.champion import Scorer
from features.database import open_database
from features.errors import LotRiskError
from features.histories import Histories
from features.score import Policy
from features.site import Site
from features.warnings import CODES
from serving.answers import Answer, Call, answer
from serving.arriving import Arriving
from serving.bodies import read_call
from serving.checkpoints import Checkpoints
from serving.followed import Followed
from serving.gate import Gate
from serving.known_keys import KnownKeys
from serving.lane import Lane
from serving.loaded import Follower, Loaded
from serving.lot import lots_with, what_is_known
from serving.metrics import Metrics
from serving.models import card_of, model_versions
from serving.monitor import REPORTS
from serving.problems import Problem, not_read
from serving.promoting import promote_apart
from serving.published import open_file, out_of_date, spill_folder
from serving.queries import LotsQuery
from serving.score_log import LoggedScores, ScoreLog, scores_of_lot
from serving.sessions import Sessions
from serving.shadow import Shadow
from serving.standing import Standing, cursor_of, read_cursor
from serving.suspicion import Suspicion

QUICK = 64  # lots: calls of so many are scored in a moment and need not wait behind ten thousand
BATCH = 256  # lots of quick calls that are scored together
LONG_CALLS = 2  # at a time: while LightGBM, which needs no Python, scores one the rows of another are built
REASONS = 10  # of a lot that a person looks at
HISTORY = 500  # scores of a lot shown over time
NOT_RUN = {"verdict": "not_run", "detail": "nobody has looked yet; run lotrisk monitor"}


class Service:
    """One worker's state: what is loaded, the score log, and the lanes in which calls are scored."""

    def __init__(self, site: Site, metrics: Metrics) -> None:
        self.site, self._metrics = site, metrics
        self._policy = Policy.of(site)
        self.log = ScoreLog(site.database_url, spill=spill_folder(site.state_dir))
        self.engine: sa.Engine = open_database(site.database_url)
        self._checkpoints = Checkpoints(self.engine)
        self.arriving = Arriving(site, self.engine, histories=lambda: self.loaded.histories, clock=_now)
        self.keys, self.sessions = KnownKeys(site, self.engine), Sessions(site.state_dir)
        self._follower = Follower(site, told=metrics.told, looked=lambda: metrics.looked(self.log))
        self._shadow = Shadow(
            self.log, self._policy, scorer=lambda: self.loaded.challenger.scorer, told=metrics.shadowed
        )
        self.gate = Gate(
            site,
            self.engine,
            loaded=lambda: self.loaded,
            log=self.log,
            metrics=metrics,
            shadow=self._shadow.put,
            clock=_now,
        )
        self.followed = Followed(site, self.engine, loaded=lambda: self.loaded)
        self.suspicion = Suspicion(self.engine, loaded=lambda: self.loaded, score=self.scores, clock=self.gate.now)
        self._quick: Lane[Call, Answer] = Lane(self._answer, size=lambda call: len(call.lots), most=BATCH)
        self._slow: Lane[Call, Answer] = Lane(self._one_by_one, size=lambda call: len(call.lots), most=1)
        self._long: Lane[Call, Answer] = Lane(
            self._one_by_one, size=lambda call: len(call.lots), most=1, threads=LONG_CALLS
        )

    def start(self) -> None:
        self.keys.start()
        self.log.start()
        self._follower.start()
        self._shadow.start()
        self._checkpoints.start()

    async def wait(self, seconds: float) -> None:
        """Returns when there is something to score with, at the latest after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.loaded.scorer is None or self.loaded.histories is None:
                    await asyncio.sleep(0.05)

    def close(self) -> None:
        """Lets what is being scored end, then writes what waits to be logged."""
        for lane in (self._quick, self._slow, self._long, self.gate, self.arriving):
            lane.close()
        self._shadow.close()
        self._follower.close()
        self.keys.close()
        self.log.close()
        self._checkpoints.close()
        self.engine.dispose()

    @property
    def site_name(self) -> str:
        return self.site.name

    @property
    def language(self) -> str:
        return self.site.language

    @property
    def timezone(self) -> str:
        return self.site.timezone

    @property
    def loaded(self) -> Loaded:
        return self._follower.now

    async def scores_of(self, body: bytes) -> Answer:
        """The answer to a body of `POST /v1/scores`. Problem where it is none, or there is nothing to score with."""
        return await self.scores(read_call(body, now=_now(), timezone=self.timezone))

    async def scores(self, call: Call) -> Answer:
        """Problem `not_ready` while there is nothing to score with."""
        self._ready()
        given = await self._lane(call).ask(call)
        self._metrics.scored(given["results"])
        return given

    def _lane(self, call: Call) -> Lane[Call, Answer]:
        """By what a call takes: reasons cost as much as a hundred lots, and a rate is shrunk anew for each moment."""
        scorer = self.loaded.scorer
        if len(call.lots) > QUICK:
            return self._long
        slow = call.reasons or (call.as_of is not None and scorer is not None and scorer.bundle is None)
        return self._slow if slow else self._quick

    async def lots(self, filters: Mapping[str, str], *, sort: str, cursor: str | None, limit: int) -> Answer:
        """A page of the stored scores. Problem for filters, sorts and cursors that cannot be used."""
        query = LotsQuery.read(filters, sort=sort, timezone=self.timezone)
        return await run_in_threadpool(self._lots, query, cursor, limit)

    async def lot(self, lot_id: str, *, language: str = "", as_of: int | None = None) -> Answer:
        """What is known of a lot, and its score, as of `as_of`; None: now. Problem `unknown_lot`."""
        at = _now() if as_of is None else as_of
        given = await self.scores(Call([lot_id], at, REASONS, language or self.language, logged=False))
        result = given["results"][0]
        _, histories = self._ready()
        known = await run_in_threadpool(what_is_known, histories, lot_id, at)
        if known is None:
            raise Problem("unknown_lot", f"{lot_id}: {CODES['unknown_lot']}")
        history, fault = await run_in_threadpool(self._history, lot_id, as_of)
        score = None if "problem" in result else result
        return known | {
            "score": score,
            "problem": result.get("problem"),
            "history": history,
            "history_problem": fault or None,
        }

    async def models(self) -> Answer:
        now = self.loaded
        return await run_in_threadpool(
            model_versions, self.site.state_dir, site=self.site.name, now=now, fault=self._shadow.fault
        )

    async def card(self, version: str) -> bytes:
        return await run_in_threadpool(card_of, self.site.state_dir, version)

    async def drift(self) -> Answer:
        return await run_in_threadpool(self._report, "drift.json")

    async def performance(self) -> Answer:
        return await run_in_threadpool(self._report, "performance.json")

    async def promote(self, version: str, *, reason: str, actor: str) -> Answer:
        """Makes a version the champion, in a process of its own: MLflow takes seconds to import."""
        replaced = await run_in_threadpool(promote_apart, self.site, version, reason=reason, actor=actor, now=_now())
        return {"champion": version, "replaced": replaced}

    def ready(self, now: int, *, why: bool = True) -> Answer:
        """Whether this worker can do all it should, and what not; `why`: with faults, which name files and hosts."""
        loaded = self.loaded
        bundle = loaded.scorer is not None and loaded.scorer.bundle is not None
        refused = loaded.refused or ("" if bundle else "no version has been promoted")
        published = loaded.published
        old = out_of_date(published, refresh_every=self.site.refresh_every, now=now)
        late = published.fault or (f"the sources were last looked at at {iso(published.checked_at)}" if old else "")
        checks = {
            "bundle": {"ok": not refused, "detail": refused or f"version {loaded.scorer and loaded.scorer.version}"},
            "histories": {
                "ok": loaded.histories is not None and not old,
                "detail": late or f"read at {iso(published.read_at)}"
                if loaded.histories is not None
                else published.fault or "not read yet",
            },
            "database": {"ok": self.log.healthy, "detail": self.log.fault or "takes scores"},
        }
        if not why:
            checks = {name: {"ok": check["ok"], "detail": "send a key to be told"} for name, check in checks.items()}
        return {"ready": all(check["ok"] for check in checks.values()), "checks": checks}

    def _ready(self) -> tuple[Scorer, Histories]:
        now = self.loaded
        if now.scorer is None or now.histories is None:
            why = now.refused if now.scorer is None else now.published.fault
            raise not_read(why)
        return now.scorer, now.histories

    def _answer(self, calls: Sequence[Call]) -> list[Answer]:
        """Many calls as one batch. What breaks one of them must not break the others: they are then scored alone."""
        try:
            return self._scored(calls)
        except Exception:
            if len(calls) == 1:
                raise
            return self._one_by_one(calls)

    def _one_by_one(self, calls: Sequence[Call]) -> list[Any]:
        given: list[Any] = []
        for call in calls:
            try:
                given += self._scored([call])
            except Exception as fault:  # raised again where the call waits
                given.append(fault)
        return given

    def _scored(self, calls: Sequence[Call]) -> list[Answer]:
        scorer, histories = self._ready()
        policy = replace(self._policy, language=calls[0].language or self.language)
        shadow = self._shadow.put
        return answer(
            calls, scorer, histories, policy, timezone=self.timezone, now=_now(), log=self._logged, shadow=shadow
        )

    def _logged(self, scores: LoggedScores) -> bool:
        kept = self.log.put(scores) and self.log.healthy
        if not kept:
            self._metrics.unlogged.inc(len(scores.lot_id))
        return kept

    def _lots(self, query: LotsQuery, cursor: str | None, limit: int) -> Answer:
        standing, start = self.loaded.standing, 0
        if cursor is not None:
            name, start = read_cursor(cursor, query.asked)
            standing = self._run(name)
        if standing is None:
            empty: Answer = {"items": [], "next": None, "total": 0}
            empty |= dict.fromkeys(("as_of", "model_version", "features_as_of"))
            return empty
        wanted = query.wanted
        if query.supplier_lot is not None:
            wanted = replace(wanted, lots=lots_with(self._ready()[1], query.supplier_lot))
        items, total = standing.page(wanted, sort=query.sort, start=start, limit=limit)
        end = start + len(items)
        following = cursor_of(standing, end, query.asked) if end < total else None
        return {"items": items, "next": following, "total": total, **standing.said}

    def _run(self, name: str) -> Standing:
        """The scoring run that a cursor names."""
        now = self.loaded.standing
        if now is not None and now.name == name:
            return now
        try:
            if name.removesuffix(".arrow").isdigit():
                return Standing(open_file(self.site.state_dir, name))
        except (OSError, pa.ArrowInvalid):
            pass  # gone: said below
        raise Problem("cursor_expired", "the scores that this cursor was about are gone; start again without it")

    def _history(self, lot_id: str, as_of: int | None) -> tuple[list[Answer], str]:
        """Scores over time, asked for before `as_of` (None: all); why there are none if there is no database."""
        try:
            rows = scores_of_lot(self.engine, lot_id, limit=HISTORY)
        except LotRiskError as fault:
            return [], str(fault)
        if as_of is not None:
            rows = [row for row in rows if before(row["asked_at"], as_of)]
        return [{**row, "as_of": iso(row["as_of"]), "asked_at": iso(row["asked_at"])} for row in rows], ""

    def _report(self, name: str) -> Answer:
        try:
            found: Answer = json.loads((self.site.state_dir / REPORTS / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return dict(NOT_RUN)
        return found


def _now() -> int:
    return time_ns() // 1000
