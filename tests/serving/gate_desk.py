"""What the gate decides, without its process and its database: the small factory, with rows added to its tables."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from features.champion import Scorer, read_scorer
from features.containment import Scope
from features.contracts import TABLES
from features.gate import Ground
from features.gate_settings import GateSettings
from features.histories import Histories
from features.reading import histories_of
from features.rules import Costs
from features.score import Policy
from features.site import read_site
from features.sources import open_sources
from features.times import read_moment
from features.unite import unite
from serving.answers import Answer, Call
from serving.gate_answers import decide

NOW = read_moment("2026-08-01T00:00:00Z", "UTC")
CHEAP = Costs(inspection=400.0, escape=1.0, escape_per_unit=0.0, hold=1500.0)
Row = dict[str, Any]


class Desk:
    """Decides about lots of the site in `folder` as of `NOW`."""

    def __init__(self, folder: Path) -> None:
        self.site = read_site(folder, {})
        self.scorer = read_scorer(self.site.state_dir)
        self.histories = self.with_rows()

    def with_rows(self, **more: list[Row]) -> Histories:
        """The site's histories with further rows, written as text, as they would arrive."""
        with open_sources(self.site) as sources:
            raw = {name: table for name in TABLES if (table := sources.read(name)) is not None}
        for name, rows in more.items():
            there = [raw[name]] if name in raw else []
            every = dict.fromkeys(column for row in rows for column in row)
            made = pa.Table.from_pylist([dict.fromkeys(every) | row for row in rows])
            raw[name] = unite(name, [*there, made])
        return histories_of(raw, self.site, now=NOW + 10**15).histories

    def decide(
        self,
        *lots: Any,
        histories: Histories | None = None,
        gate: GateSettings | None = None,
        scorer: Scorer | None = None,
        scopes: Sequence[Scope] = (),
        old: str = "",
        pending: frozenset[str] = frozenset(),
        language: str = "en",
        as_of: int | None = None,
        now: int = NOW,
        stale: dict[str, int] | None = None,
        priced: bool = False,
    ) -> list[Answer]:
        """The results of one call. Unless `priced`, escapes cost next to nothing: the model releases every lot."""
        decision = replace(self.site.rules.decision, costs=CHEAP, tiers={})
        rules = self.site.rules if priced else replace(self.site.rules, decision=decision)
        policy = replace(Policy.of(self.site), rules=rules, language=language)
        policy = policy if stale is None else replace(policy, stale=stale)
        ground = Ground(
            scorer or self.scorer,
            histories or self.histories,
            policy,
            gate or self.site.gate,
            list(scopes),
            old,
            pending,
        )
        decided = decide([Call(list(lots), as_of)], ground, timezone=self.site.timezone, now=now)
        results: list[Answer] = decided.answers[0]["results"]
        return results

    def one(self, lot: Any, **asked: Any) -> Answer:
        """The result of one lot."""
        (result,) = self.decide(lot, **asked)
        return result


def states(result: Answer) -> list[str]:
    return [one["state"] for one in result["unknown"]]


def rules(result: Answer) -> list[str]:
    return [one["rule"] for one in result["rules"]]


def gate_of(**stated: Any) -> GateSettings:
    return GateSettings.model_validate(stated)
