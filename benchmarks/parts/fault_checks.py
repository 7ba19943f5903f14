"""Holds what a load was answered against the audit log, and against decisions and scores made anew in this process.

A decision is replayed as an auditor does it, whole answer by whole answer. A score must be, word for word, that of the
histories which some decision of the time stood on.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
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

    def compare(self, exchanges: Iterable[Exchange]) -> Found:
        """All exchanges of a load, whose every call of the gate has its answer by now."""
        found, every = Found(), list(exchanges)
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
        logged = {str(one.seq): one for one in entries(self._place.engine, kind="decision", since=self._seen)}
        found.decisions = len(logged)
        self._compare_gate([one for one in every if one.key], logged, found)
        self._replay(logged, found)
        self._compare_scores([one for one in every if one.path == "/v1/scores"], logged, found)
        self._seen = max((one.seq for one in logged.values()), default=self._seen)
        return found

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
            differs = {one.number: self._differs(one, histories) for one in left}
            left = [one for one in left if differs[one.number]]
            if not left:
                return
        found.wrong += [f"scores {one.number} are those of no state: {differs.get(one.number, [])[:3]}" for one in left]

    def _differs(self, one: Exchange, histories: Histories) -> list[str]:
        """Where the answer is not word for word what is made here, but for whether it was logged."""
        site, said = self._place.site, one.answer
        call = Call(one.sent["lots"], read_moment(said["as_of"], "UTC"))
        scorer = _model(site.state_dir / "bundles" / said["model_version"])
        (made,) = answer([call], scorer, histories, Policy.of(site), timezone=site.timezone, now=0, log=lambda _: True)
        return list(replay._differences("", _plain(said), _plain(json.loads(json.dumps(made)))))


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
