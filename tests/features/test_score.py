"""Scores without a model: which lots are open, what is said of each, and what the scores rest on."""

import json
from typing import Any

import numpy as np
import pytest

from features.asof import NO_TIME
from features.champion import Scorer
from features.freshness import features_as_of
from features.histories import Histories
from features.rules import Rules
from features.score import Policy, open_lots
from features.score_table import score_table
from tests.tiny_site import Rows, day, histories, rules

LOTS = [
    {"lot_id": "made", "produced_at": day(10)},
    {"lot_id": "shipped", "produced_at": day(10), "shipped_at": day(20)},
    {"lot_id": "to ship", "produced_at": day(10), "shipped_at": day(40)},
    {"lot_id": "old", "produced_at": day(1), "shipped_at": day(2)},
    {"lot_id": "to be made", "produced_at": day(35), "shipped_at": None},
]
RETURN = {"return_id": "R", "lot_id": "old", "occurred_at": day(5), "reported_at": day(8), "quantity": 1}


def rows(*more: dict[str, Any], **tables: list[dict[str, Any]]) -> Rows:
    lots = [{"product_id": "P", "quantity": 10} | lot for lot in (*LOTS, *more)]
    return {"lots": lots, "returns": [RETURN], **tables}


def scored(told: Histories, rule: Rules, *lots: str, as_of: float = 30) -> list[dict[str, Any]]:
    table = score_table(Scorer(None), told, Policy(rule), lots=lots, as_of=day(as_of), most_reasons=5)
    return [row | {name: json.loads(row[name]) for name in ("reasons", "warnings")} for row in table.to_pylist()]


def codes(row: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in row["warnings"]]


def test_open_lots_are_produced_and_not_shipped() -> None:
    told = histories(rows(), rules())
    assert open_lots(told, rules(), day(30)) == ["made", "to ship"]
    assert open_lots(told, rules(), day(10)) == []
    assert open_lots(told, rules(), day(10) + 1) == ["made", "shipped", "to ship"]
    assert open_lots(told, rules(), day(40)) == ["made", "to be made", "to ship"]
    assert open_lots(told, rules(), day(40) + 1) == ["made", "to be made"]


def test_with_again_every_lots_at_risk_are_open_too_until_they_are_too_old() -> None:
    again = rules(again_every=30, until_age=100)
    told = histories(rows(), again)
    assert open_lots(told, again, day(30)) == ["made", "old", "shipped", "to ship"]
    assert open_lots(told, again, day(102)) == ["made", "old", "shipped", "to be made", "to ship"]
    assert open_lots(told, again, day(102) + 1) == ["made", "shipped", "to be made", "to ship"]
    back = {"return_id": "all", "lot_id": "shipped", "occurred_at": day(25), "reported_at": day(26), "quantity": 10}
    told = histories(rows(returns=[RETURN, back]), again)
    assert "shipped" not in open_lots(told, again, day(30))


def test_a_shipment_that_is_not_known_yet_leaves_the_lot_open() -> None:
    sent = {"shipment_id": "S", "lot_id": "made", "shipped_at": day(20), "quantity": 10, "known_at": day(29)}
    told = histories(rows(shipments=[sent]), rules())
    assert "made" in open_lots(told, rules(), day(29))
    assert "made" not in open_lots(told, rules(), day(30))


def test_a_deleted_lot_is_not_there() -> None:
    gone = {"lot_id": "made", "produced_at": day(10), "known_at": day(25), "deleted": True}
    told = histories(rows(gone), rules())
    assert open_lots(told, rules(), day(30)) == ["to ship"]
    assert scored(told, rules(), "made")[0]["risk"] is None
    assert scored(told, rules(), "made", as_of=25)[0]["risk"] is not None


def test_one_row_a_lot_in_the_order_given_and_the_unknown_among_them() -> None:
    found = scored(histories(rows(), rules()), rules(), "to ship", "nobody's", "made", "to be made")
    assert [row["lot_id"] for row in found] == ["to ship", "nobody's", "made", "to be made"]
    assert [row["risk"] is None for row in found] == [False, True, False, True]
    assert [row["expected_cost"] is None for row in found] == [False, True, False, True]
    assert {row["decision"] for row in found} == {"cannot_assess"}
    assert [codes(row) for row in found] == [["no_champion"], ["unknown_lot"], ["no_champion"], ["unknown_lot"]]
    assert {row["model_version"] for row in found} == {"shrunk_product"}


def test_a_lot_is_there_from_the_moment_it_is_produced_and_known() -> None:
    late = {"lot_id": "told late", "produced_at": day(10), "known_at": day(15)}
    told = histories(rows(late), rules())
    there = {as_of: [row["risk"] is not None for row in scored(told, rules(), "made", "told late", as_of=as_of)]
             for as_of in (9, 10, 14, 15, 16)}  # fmt: skip
    assert there == {
        9: [False, False],
        10: [True, False],
        14: [True, False],
        15: [True, False],
        16: [True, True],
    }


def test_later_than_the_moment_of_judgement_is_said() -> None:
    told = histories(rows(), rules())
    assert codes(scored(told, rules(), "shipped", as_of=30)[0]) == ["no_champion", "past_judgement"]
    assert codes(scored(told, rules(), "shipped", as_of=20)[0]) == ["no_champion"]
    at_production = rules(at="produced_at")
    assert codes(scored(told, at_production, "made", as_of=11)[0]) == ["no_champion", "past_judgement"]
    assert codes(scored(told, at_production, "made", as_of=10)[0]) == ["no_champion"]
    again = rules(again_every=30, until_age=100)
    assert codes(scored(told, again, "shipped", as_of=120)[0]) == ["no_champion"]
    assert codes(scored(told, again, "shipped", as_of=121)[0]) == ["no_champion", "past_judgement"]


def test_few_units_are_said_and_not_decided_on() -> None:
    few = rules(min_units=11)
    assert codes(scored(histories(rows(), few), few, "made")[0]) == ["no_champion", "below_min_units"]


def test_expected_cost_is_that_of_releasing() -> None:
    row = scored(histories(rows(), rules()), rules(), "made")[0]
    assert row["expected_cost"] == row["risk"] * 9000.0
    assert row["reasons"] == []


@pytest.mark.parametrize(
    ("as_of", "latest"),
    [(1, None), (2, 1), (8, 2), (9, 8), (12, 10), (30, 26), (40, 35)],
)
def test_features_as_of_is_the_latest_news_before(as_of: float, latest: float | None) -> None:
    moved = {"return_id": "R", "lot_id": "shipped", "occurred_at": day(5), "reported_at": day(8), "known_at": day(26)}
    told = histories(rows(returns=[RETURN, moved]) | {"shipments": [SENT]}, rules())
    assert features_as_of(told, np.array([day(as_of)])).tolist() == [NO_TIME if latest is None else day(latest)]


SENT = {"shipment_id": "S", "lot_id": "old", "shipped_at": day(2), "quantity": 10}


def test_a_row_of_a_lot_not_yet_known_is_no_news() -> None:
    early = {"lot_id": "to be made", "characteristic": "width", "measured_at": day(28), "value": 1.0}
    told = histories(rows(measurements=[early]), rules())
    assert features_as_of(told, day(30)) == day(10)
    assert features_as_of(told, day(36)) == day(35)
