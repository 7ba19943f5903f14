"""Lots released by chance, from a score file to the log: the same ones everywhere, named, with their probability."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.rules import Costs
from features.score import Policy
from features.score_table import score_table
from serving.answers import Answer, Call, answer
from serving.score_log import LoggedScores
from tests.serving.test_answers import AS_OF, NOW, Desk
from tests.serving.test_scores_route import record

LOTS = [f"L{number:06}" for number in range(1, 301)]


class Learning(Desk):
    """A site that releases a fifth of what is up to twice as risky as what it inspects."""

    def __init__(self, folder: Path, *, share: float) -> None:
        super().__init__(folder)
        decision = replace(self.site.rules.decision, explore_share=share, explore_band=1.0)
        self.policy = replace(Policy.of(self.site), rules=replace(self.site.rules, decision=decision))

    def ask(self, *calls: Call) -> list[Answer]:
        timezone = self.site.timezone
        return answer(calls, self.scorer, self.histories, self.policy, timezone=timezone, now=NOW, log=self._log)

    def results(self, *lots: object) -> list[Answer]:
        return list(self.ask(Call(list(lots), AS_OF))[0]["results"])


@pytest.fixture(scope="module")
def learning(factory: Path) -> Learning:
    return Learning(factory, share=0.2)


@pytest.fixture(scope="module")
def usual(factory: Path) -> Learning:
    return Learning(factory, share=0.0)


def released(results: list[Answer]) -> list[str]:
    return [one["lot_id"] for one in results if any(w["code"] == "released_to_learn" for w in one["warnings"])]


def test_some_of_the_lots_to_be_inspected_are_released_and_say_so(learning: Learning, usual: Learning) -> None:
    found, before = learning.results(*LOTS), usual.results(*LOTS)
    drawn = set(released(found))
    inspected = {one["lot_id"] for one in before if one["decision"] == "inspect"}
    assert 0 < len(drawn) < len(inspected) and drawn <= inspected
    for one, other in zip(found, before, strict=True):
        if one["lot_id"] in drawn:
            told = one["warnings"].pop()
            assert (told["code"], one["decision"], one["expected_saving"]) == ("released_to_learn", "release", 0.0)
            assert other["expected_saving"] > 0
            one = one | {"decision": "inspect", "expected_saving": other["expected_saving"]}
        assert one == other
    assert released(before) == []


def test_the_same_lots_are_drawn_one_by_one_and_in_a_score_file(learning: Learning) -> None:
    drawn = released(learning.results(*LOTS))
    alone = [name for lot in LOTS[:60] for name in released(learning.results(lot))]
    assert alone == [lot for lot in drawn if lot in LOTS[:60]]
    table = score_table(
        learning.scorer, learning.histories, learning.policy, lots=LOTS, as_of=AS_OF, most_reasons=0
    ).to_pylist()
    assert [row["lot_id"] for row in table if "released_to_learn" in row["warnings"]] == drawn


def test_a_record_is_drawn_by_its_own_id(factory: Path) -> None:
    desk = Learning(factory, share=0.2)
    told = record(factory)
    records = [told | {"lot": told["lot"] | {"lot_id": f"NEW-{number}"}} for number in range(200)]
    risk = desk.results(told)[0]["risk"]
    costs = Costs(0.8 * risk * 0.9 * 7500, 9000, 0, 1500)  # inspected from four fifths of its risk
    decision = replace(desk.policy.rules.decision, costs=costs, inspection_finds=0.9, tiers={})
    desk.policy = replace(desk.policy, rules=replace(desk.policy.rules, decision=decision))
    drawn = released(desk.results(*records))
    assert 20 < len(drawn) < 60
    assert drawn == [name for one in records for name in released(desk.results(one))]


def test_the_log_keeps_the_probability_of_each_decision(learning: Learning, usual: Learning) -> None:
    learning.logged.clear()
    usual.logged.clear()
    found = learning.results(*LOTS)
    usual.results(*LOTS)
    (scores,), (plain,) = learning.logged, usual.logged
    kept = dict(zip(scores.lot_id, of(scores), strict=True))
    drawn = released(found)
    assert {kept[lot] for lot in drawn} == {0.2}
    assert {kept[one["lot_id"]] for one in found if one["decision"] != "release"} == {0.8, 1.0}
    assert set(of(plain)) == {1.0}


def of(scores: LoggedScores) -> list[float]:
    assert scores.propensity is not None
    return [float(value) for value in np.asarray(scores.propensity)]
