"""Holds what a load was answered against the audit log, and against decisions and scores made anew in this process.

A decision is replayed as an auditor does it, whole answer by whole answer. A score must be, word for word, that of the
histories which some decision of the time stood on.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from fault_client import Exchange
from fault_site import Place

from features.bundle import read_bundle
from features.champion import Scorer
from features.errors import LotRiskError
from features.histories import Histories
from features.score import Policy
from features.stored import State
from features.times import read_moment
from serving import replay
from serving.answers import Answer, Call, answer
from serving.audit import Entry, entries

ALLOWED = ("not_recorded", "not_ready")


@dataclass
class Found:
    """What was found of one fault. `wrong`: in words; `refused`: by code, 503 alone; `strange`: other answers."""

    requests: int = 0
    good: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    broken: int = 0
    """Without an answer: the connection was cut."""
    strange: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    decisions: int = 0
    states: int = 0

    @property
    def bad(self) -> bool:
        return bool(self.strange or self.wrong or self.unrecorded or self.orphans)


class Checks:
    """Compares by what lies in the site's folder and its database, asked directly."""

    def __init__(self, place: Place) -> None:
        self._place, self._seen = place, 0
        self._before = 0
        self._last: tuple[int, int, int] | None = None  # state of the load before
        # Each state and each model is read once: a replay by itself reads both anew.
        read, scorer = replay.read_histories_at, replay._scorer
        self._read = lru_cache(maxsize=4)(lambda state, now: read(place.site, state, now=now))
        scorers = lru_cache(maxsize=16)(lambda told: scorer(place.site.state_dir, json.loads(told)))
        replay.read_histories_at = lambda _, state, *, now: self._read(state, now)
        replay._scorer = lambda _, model: scorers(json.dumps(model))
        self._mend = lambda: (setattr(replay, "read_histories_at", read), setattr(replay, "_scorer", scorer))

    def close(self) -> None:
        """Replays read anew again."""
        self._mend()

    def compare(self, exchanges: Iterable[Exchange], *, since: int | None = None) -> Found:
        """All exchanges of a load, whose every call of the gate has its answer by now. `since`: the last entry before
        it; None: the last one of the load before, and decisions are replayed."""
        found, every = Found(), list(exchanges)
        after = self._seen if since is None else since
        for one in (one for one in every if one.turn == "first"):
            found.requests += 1
            if one.status == 200:
                found.good += 1
            elif one.status == 0:
                found.broken += 1
            elif one.status == 503 and one.code in ALLOWED:
                found.refused[one.code] = found.refused.get(one.code, 0) + 1
            else:
                found.strange.append(f"{one.status} {json.dumps(one.answer)[:300]}")
        logged = {str(one.seq): one for one in entries(self._place.engine, kind="decision", since=after)}
        found.decisions = len(logged)
        self._compare_gate([one for one in every if one.key], logged, found)
        if since is None:
            self._replay(logged, found)
        self._compare_scores([one for one in every if one.path == "/v1/scores"], logged, found)
        self._before, self._seen = after, max((one.seq for one in logged.values()), default=after)
        return found

    def spoilt(self, exchanges: Iterable[Exchange]) -> Found:
        """The last load once more, with one answer of each kind changed, one kept back, and one that names no entry."""
        every = list(exchanges)
        gate = [one for one in every if one.key and one.turn == "first" and one.status == 200]
        changed, lost, invented = gate[0], gate[1], gate[2]
        scores = next(one for one in every if not one.key and one.status == 200 and "risk" in one.answer["results"][0])
        keys = {changed.key, lost.key, invented.key}
        spoilt = [one for one in every if one.key not in keys and one is not scores]
        spoilt += [_with_another_risk(changed), _with_another_risk(scores)]
        spoilt += [replace(invented, answer=invented.answer | {"audit_id": "999999999"})]
        return self.compare(spoilt, since=self._before)

    def _compare_gate(self, asked: list[Exchange], logged: dict[str, Entry], found: Found) -> None:
        given: dict[str, dict[str, Any]] = {}
        for one in asked:
            if one.status != 200:
                continue
            if one.key in given and given[one.key] != one.answer:
                found.wrong.append(f"{one.key} was answered twice, differently")
            given[one.key] = one.answer
            entry = logged.get(str(one.answer["audit_id"]))
            said = {name: value for name, value in one.answer.items() if name != "audit_id"}
            if entry is None:
                found.unrecorded.append(f"{one.key}: no entry {one.answer['audit_id']}")
            elif entry.body["answer"] != said:
                found.wrong.append(f"entry {entry.seq} has another answer than was given")
        found.unrecorded += [f"{key} has no answer in the end" for key in {one.key for one in asked} - set(given)]
        got = {str(answer["audit_id"]) for answer in given.values()}
        found.orphans += [f"entry {seq} is nobody's" for seq in logged if seq not in got]

    def _replay(self, logged: dict[str, Entry], found: Found) -> None:
        found.states = len({_state_of(one) for one in logged.values()})
        for seq, one in sorted(logged.items(), key=lambda item: _state_of(item[1])):
            try:
                made = replay.replay(self._place.site, self._place.engine, seq)
            except LotRiskError as fault:
                found.wrong.append(f"entry {one.seq} cannot be replayed: {fault}")
                continue
            found.wrong += [f"entry {seq}: {differs}" for differs in made.differs]

    def _compare_scores(self, asked: list[Exchange], logged: dict[str, Entry], found: Found) -> None:
        left = [one for one in asked if one.status == 200]
        states = sorted({_state_of(one) for one in logged.values()} | ({self._last} if self._last else set()))
        self._last = states[-1] if states else None
        differs: dict[int, list[str]] = {}
        for segments, arrivals, now in states:
            histories = self._read(State(segments, arrivals), now).histories
            differs = self._differ(left, histories)
            left = [one for one in left if differs[one.number]]
            if not left:
                return
        found.wrong += [f"scores {one.number} are those of no state: {differs.get(one.number, [])[:3]}" for one in left]

    def _differ(self, asked: list[Exchange], histories: Histories) -> dict[int, list[str]]:
        """By number: where an answer is not word for word what is made here, but for whether it was logged."""
        site, found = self._place.site, {}
        for version in {one.answer["model_version"] for one in asked}:
            some = [one for one in asked if one.answer["model_version"] == version]
            calls = [Call(one.sent["lots"], read_moment(one.answer["as_of"], "UTC")) for one in some]
            scorer = _model(site.state_dir / "bundles" / version)
            given = {"timezone": site.timezone, "now": 0, "log": lambda _: True}
            for one, made in zip(some, answer(calls, scorer, histories, Policy.of(site), **given), strict=True):
                said, here = _plain(one.answer), _plain(json.loads(json.dumps(made)))
                found[one.number] = list(replay._differences("", said, here))
        return found


def _with_another_risk(one: Exchange) -> Exchange:
    first, *others = one.answer["results"]
    return replace(one, answer=one.answer | {"results": [first | {"risk": 0.123}, *others]})


def _plain(said: Answer) -> Answer:
    for result in said["results"]:
        if "warnings" in result:
            result["warnings"] = [one for one in result["warnings"] if one["code"] != "not_logged"]
    return said


def _state_of(entry: Entry) -> tuple[int, int, int]:
    stood_on = entry.body["histories"]
    return stood_on["segments"], stood_on["arrivals"], stood_on["read_now"]


@lru_cache(maxsize=8)
def _model(folder: Path) -> Scorer:
    return Scorer(read_bundle(folder))
