"""Answers to calls that are scored together: each as if it were alone, and a record as if a table held it."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.card import iso
from features.champion import Scorer, read_scorer
from features.errors import BundleRefused
from features.histories import Histories
from features.reading import read_histories
from features.score import Policy
from features.site import Site, read_site
from features.times import read_moment
from serving.answers import Answer, Call, answer
from serving.metrics import Metrics
from serving.problems import Problem
from serving.score_log import LoggedScores
from serving.service import Service
from tests.serving.fitted import copied, offline
from tests.serving.test_scores_route import MODEL, record

AS_OF = read_moment("2026-08-01T00:00:00Z", "UTC")
NOW = read_moment("2026-09-02T00:00:00Z", "UTC")


class Desk:
    """What a worker answers with, without its process."""

    def __init__(self, folder: Path) -> None:
        self.site: Site = read_site(folder, {})
        self.histories: Histories = read_histories(self.site, now=NOW).histories
        self.scorer: Scorer = read_scorer(self.site.state_dir)
        self.logged: list[LoggedScores] = []
        self.takes = True

    def ask(self, *calls: Call) -> list[Answer]:
        policy = Policy(self.site.rules, self.site.language, self.site.stale)
        return answer(calls, self.scorer, self.histories, policy, timezone=self.site.timezone, now=NOW, log=self._log)

    def _log(self, scores: LoggedScores) -> bool:
        self.logged.append(scores)
        return self.takes


@pytest.fixture(scope="module")
def desk(factory: Path) -> Desk:
    return Desk(factory)


@pytest.fixture(autouse=True)
def fresh(desk: Desk) -> None:
    desk.logged.clear()
    desk.takes = True


def test_calls_scored_together_are_answered_as_each_alone(desk: Desk, factory: Path) -> None:
    calls = [
        Call(["L000007", "nobody's", MODEL], AS_OF),
        Call([MODEL, record(factory), 3, MODEL], AS_OF),
        Call([], AS_OF),
        Call(["L000007"], AS_OF - 10**12),
        Call([f"L{number:06}" for number in range(1, 401)], None),
        Call([record(factory, humidity=None), record(factory)], AS_OF),
    ]
    together = desk.ask(*calls)
    assert together == [desk.ask(call)[0] for call in calls]
    assert json.loads(json.dumps(together, allow_nan=False)) == together


def test_reasons_are_given_to_the_call_that_asks_for_them(desk: Desk) -> None:
    none, three = desk.ask(Call([MODEL], AS_OF), Call([MODEL, "L000007"], AS_OF, reasons=3))
    assert none["results"][0]["reasons"] == []
    assert [len(one["reasons"]) for one in three["results"]] == [3, 3]
    assert three["results"][0] | {"reasons": []} == none["results"][0]


def test_what_is_scored_is_logged_once_with_what_the_model_saw(desk: Desk) -> None:
    answers = desk.ask(Call([MODEL, "nobody's", 3], AS_OF), Call(["L000007"]), Call(["L000008"], logged=False))
    (scores,) = desk.logged
    assert (scores.lot_id, scores.as_of.tolist(), scores.asked_at) == ([MODEL, "L000007"], [AS_OF, NOW], NOW)
    given = [answers[0]["results"][0], answers[1]["results"][0]]
    assert scores.risk.tolist() == [one["risk"] for one in given]
    assert scores.decision == [one["decision"] for one in given]
    assert (scores.model_version, scores.source) == ("1", "api")
    bundle = desk.scorer.bundle
    assert bundle is not None and bundle.risk(scores.vectors).tolist() == scores.risk.tolist()


def test_a_score_that_cannot_be_logged_is_given_with_a_warning(desk: Desk) -> None:
    (kept,) = desk.ask(Call([MODEL], AS_OF))
    desk.takes = False
    (lost,) = desk.ask(Call([MODEL], AS_OF))
    assert lost["results"][0]["warnings"].pop()["code"] == "not_logged"
    assert lost == kept


def test_without_anything_to_score_nothing_is_logged(desk: Desk) -> None:
    (said,) = desk.ask(Call(["nobody's", None], None))
    assert desk.logged == [] and said["as_of"] == iso(NOW)
    assert [one["problem"]["code"] for one in said["results"]] == ["unknown_lot", "invalid_lot"]


def test_a_lot_that_stands_twice_in_a_call_is_a_problem_there_and_in_another_call_none(desk: Desk) -> None:
    twice, other = desk.ask(Call([MODEL, MODEL], AS_OF), Call([MODEL], AS_OF))
    assert twice["results"][1]["problem"]["code"] == "duplicate_lot"
    assert twice["results"][0] == other["results"][0]


def test_a_record_of_a_lot_that_no_table_holds_is_scored_as_if_they_did(factory: Path, tmp_path: Path) -> None:
    """Each of three lots is taken out of a copy of the site, and asked for at the moment it was made."""
    data = factory / "data"
    lots = pq.read_table(data / "lots.parquet").to_pylist()
    for number, row in enumerate(lots[310:370:20]):
        lot = row["lot_id"]
        as_of = read_moment(row["produced_at"].isoformat(), "Europe/Ljubljana") + 3_600_000_000
        site = copied(factory, tmp_path / str(number))
        without(site, lot)
        desk = Desk(site)
        (result,) = desk.ask(Call([whole(data, row)], as_of))[0]["results"]
        (held,) = offline(factory, [lot], as_of=as_of).to_pylist()
        (unknown,) = desk.ask(Call([lot], as_of))[0]["results"]
        assert unknown["problem"]["code"] == "unknown_lot"
        found = [result[name] for name in ("risk", "expected_cost", "decision")]
        assert found == [held[name] for name in ("risk", "expected_cost", "decision")]
        assert result["warnings"] == json.loads(held["warnings"])


def without(site: Path, lot: str) -> None:
    for name in ("lots", "measurements", "genealogy"):
        table = pq.read_table(site / "data" / f"{name}.parquet")
        pq.write_table(table.filter(pc.not_equal(table["lot_id"], lot)), site / "data" / f"{name}.parquet")


def whole(data: Path, row: dict[str, Any]) -> dict[str, Any]:
    """The record of a lot out of its files, as it stood when the lot had just been made."""
    told: dict[str, Any] = {"lot": {n: plain(v) for n, v in row.items() if v is not None and n != "shipped_at"}}
    for name in ("measurements", "genealogy"):
        rows = pq.read_table(data / f"{name}.parquet", filters=[("lot_id", "=", row["lot_id"])]).to_pylist()
        told[name] = [{n: plain(v) for n, v in one.items() if v is not None and n != "lot_id"} for one in rows]
    return told


def plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


# What a worker does with calls whose scoring fails


def service_of(desk: Desk, scorer: Scorer | None) -> Service:
    service = Service(desk.site, Metrics())
    service._follower.now = replace(service._follower.now, scorer=scorer, histories=desk.histories)
    return service


async def asked(service: Service, *calls: Call) -> list[Any]:
    return list(await asyncio.gather(*(service.scores(call) for call in calls), return_exceptions=True))


def test_before_anything_is_loaded_every_call_is_told_so(desk: Desk) -> None:
    service = service_of(desk, None)
    quick, long = asyncio.run(asked(service, Call([MODEL], AS_OF), Call([MODEL], AS_OF, reasons=3)))
    assert isinstance(quick, Problem) and isinstance(long, Problem)
    assert (quick.code, long.code) == ("not_ready", "not_ready")


def test_one_call_that_breaks_does_not_break_those_that_are_scored_with_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(calls: Any, *given: Any, **named: Any) -> list[Answer]:
        if any("bad" in call.lots for call in calls):
            raise BundleRefused("the bundle lacks a feature")
        return [{"results": [{"decision": "hold"}]} for _ in calls]

    monkeypatch.setattr("serving.service.answer", picky)
    service = service_of(desk, desk.scorer)
    calls = [Call(["a"]), Call(["bad"]), Call(["b"]), Call(["bad"], reasons=1), Call(["c"], reasons=1)]
    first, bad, second, long_bad, long = asyncio.run(asked(service, *calls))
    assert first == second == long == {"results": [{"decision": "hold"}]}
    assert isinstance(bad, BundleRefused) and isinstance(long_bad, BundleRefused)
