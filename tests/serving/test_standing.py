"""Stored scores of the open lots: sorted, filtered, and paged through by a cursor."""

import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.asof import NO_TIME
from serving.problems import Problem
from serving.queries import LotsQuery
from serving.standing import SORTS, Filter, Standing, cursor_of, names_of, read_cursor, write_standing

SAID = {"as_of": "2026-09-01T00:00:00Z", "model_version": "1", "features_as_of": None}
HOUR = 3_600_000_000


def standing(folder: Path, *, lots: int = 40, name: str = "1.arrow") -> Standing:
    """Lots in no order; risks with ties, shipments with gaps."""
    number = np.random.default_rng(0).permutation(lots)
    table = pa.table(
        {
            "lot_id": [f"L{n:03}" for n in number],
            "product_id": [f"P{n % 3}" for n in number],
            "line_id": pa.array([None if n % 5 == 0 else f"N{n % 2}" for n in number], pa.string()),
            "customer_id": pa.array([None] * lots, pa.string()),
            "quantity": number * 10,
            "produced_at": number * HOUR,
            "shipped_at": np.where(number % 4 == 0, NO_TIME, number * HOUR + 1),
            "risk": (number % 7) / 10,
            "risk_low": pa.array([None if n % 2 else 0.0 for n in number], pa.float64()),
            "risk_high": (number % 7) / 5,
            "expected_cost": number * 1.5,
            "expected_saving": (number % 4) * 10.0,
            "within_capacity": pa.array([(None, True, False)[n % 3] for n in number], pa.bool_()),
            "decision": pa.array(["hold" if n % 7 > 4 else "release" for n in number], pa.string()),
            "warnings": ["stale_table missing_history" if n % 2 else "" for n in number],
            "logged_at": number,
        }
    )
    write_standing(folder / name, table, said=SAID)
    return Standing(folder / name)


def lots_of(page: tuple[list[dict[str, Any]], int]) -> list[str]:
    return [item["lot_id"] for item in page[0]]


@pytest.mark.parametrize("sort", [*SORTS, *(f"-{name}" for name in SORTS)])
def test_every_sort_orders_both_ways_and_ties_turn_with_it(sort: str, tmp_path: Path) -> None:
    items, total = standing(tmp_path).page(Filter(), sort=sort, start=0, limit=None)
    name = sort.removeprefix("-")
    told = [(item[name] is not None, item[name] if item[name] is not None else "") for item in items]
    assert total == len(items) == 40
    assert told == sorted(told, reverse=sort.startswith("-"))
    ties = [(one["lot_id"], two["lot_id"]) for one, two in pairwise(items) if one[name] == two[name]]
    assert all((one > two) == sort.startswith("-") for one, two in ties)


def test_an_item_says_what_it_is_and_when_it_was_scored(tmp_path: Path) -> None:
    items, _ = standing(tmp_path).page(Filter(lots=frozenset({"L003", "L004"})), sort="lot_id", start=0, limit=9)
    assert items[0] == SAID | {
        "lot_id": "L003",
        "product_id": "P0",
        "line_id": "N1",
        "customer_id": None,
        "quantity": 30,
        "produced_at": "1970-01-01T03:00:00Z",
        "shipped_at": "1970-01-01T03:00:00.000001Z",
        "risk": 0.3,
        "risk_low": None,
        "risk_high": 0.6,
        "expected_cost": 4.5,
        "expected_saving": 30.0,
        "within_capacity": None,
        "decision": "release",
        "warnings": ["stale_table", "missing_history"],
    }
    assert (items[1]["shipped_at"], items[1]["warnings"]) == (None, [])


def test_a_run_that_an_older_lot_risk_wrote_is_none(tmp_path: Path) -> None:
    standing(tmp_path)
    with pa.OSFile(str(tmp_path / "1.arrow"), "rb") as file:
        table = pa.ipc.open_file(file).read_all().drop_columns(["within_capacity", "by expected_saving"])
    with pa.OSFile(str(tmp_path / "old.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(pa.ArrowInvalid, match=r"old\.arrow lacks by expected_saving, within_capacity"):
        Standing(tmp_path / "old.arrow")


def test_filters_hold_together(tmp_path: Path) -> None:
    found = standing(tmp_path)

    def of(**wanted: Any) -> list[int]:
        return [int(lot[1:]) for lot in lots_of(found.page(Filter(**wanted), sort="lot_id", start=0, limit=None))]

    every = range(40)
    assert of(product="P1") == [n for n in every if n % 3 == 1]
    assert of(line="N1") == [n for n in every if n % 5 and n % 2]
    assert of(customer="C1") == of(product="nobody's") == of(line="") == of(lots=frozenset()) == []
    assert of(decision="hold", product="P2") == [n for n in every if n % 7 > 4 and n % 3 == 2]
    assert of(min_risk=0.5) == [n for n in every if n % 7 >= 5]
    assert of(shipped_from=9 * HOUR + 1, shipped_to=13 * HOUR + 1) == [9, 10, 11]
    assert of(shipped_from=39 * HOUR) == [39]
    assert of(shipped_to=3 * HOUR) == [1, 2]


def test_nothing_open_is_an_empty_page(tmp_path: Path) -> None:
    found = standing(tmp_path, lots=0)
    assert found.page(Filter(), sort="-risk", start=0, limit=5) == ([], 0)
    assert found.page(Filter(product="P1", min_risk=0.1), sort="risk", start=0, limit=5) == ([], 0)


def test_a_page_past_the_end_is_empty_and_knows_the_total(tmp_path: Path) -> None:
    assert standing(tmp_path).page(Filter(product="P1"), sort="risk", start=10**30, limit=5) == ([], 13)


def test_a_cursor_leads_back_to_its_run_its_place_and_its_question(tmp_path: Path) -> None:
    asked = {"product": "上海", "sort": "-risk"}
    cursor = cursor_of(standing(tmp_path, name="12.arrow"), 30, asked)
    assert read_cursor(cursor, asked) == ("12.arrow", 30)
    for other in ({}, asked | {"sort": "risk"}, asked | {"line": "N1"}):
        with pytest.raises(Problem, match="other filters or another sort"):
            read_cursor(cursor, other)


@pytest.mark.parametrize(
    "said",
    [["1.arrow", -1, {}], ["1.arrow", True, {}], ["1.arrow", 1.0, {}], [1, 1, {}], [], {}, 3, None, ["1.arrow", 0]],
)
def test_what_no_page_gave_is_no_cursor(said: Any) -> None:
    with pytest.raises(Problem) as problem:
        read_cursor(base64.urlsafe_b64encode(json.dumps(said).encode()).decode(), {})
    assert problem.value.code == "invalid_request"


@pytest.mark.parametrize("text", ["", "x", "\ud800", "上", "=" * 9, "A" * 50_000, "WyJ", "[" * 9])
def test_nonsense_is_no_cursor(text: str) -> None:
    with pytest.raises(Problem, match="cursor"):
        read_cursor(text, {})


def test_a_deep_cursor_is_no_cursor() -> None:
    with pytest.raises(Problem, match="cursor"):
        read_cursor(base64.urlsafe_b64encode(b"[" * 100_000).decode(), {})


@pytest.mark.parametrize(
    ("filters", "sort", "said"),
    [
        ({"produkt": "P"}, "risk", "did you mean product"),
        ({}, "--risk", "sort --risk"),
        ({}, "lot", "did you mean lot_id"),
        ({"decision": "Hold"}, "risk", "did you mean hold"),
        ({"min_risk": "nan"}, "risk", "from 0 to 1"),
        ({"min_risk": "1.01"}, "risk", "from 0 to 1"),
        ({"min_risk": "two"}, "risk", "from 0 to 1"),
        ({"shipped_from": "0001-01-01"}, "risk", "shipped_from"),
        ({"shipped_to": "soon"}, "risk", "shipped_to"),
    ],
)
def test_a_filter_or_sort_that_cannot_be_used_is_named(filters: dict[str, str], sort: str, said: str) -> None:
    with pytest.raises(Problem, match=said) as problem:
        LotsQuery.read(filters, sort=sort, timezone="UTC")
    assert problem.value.code == "invalid_request"


def test_an_empty_filter_is_none_and_a_date_is_its_start_where_the_site_is() -> None:
    read = LotsQuery.read({"product": "", "shipped_from": "2026-06-01"}, sort="risk", timezone="Europe/Ljubljana")
    assert read.wanted == Filter(shipped_from=1_780_264_800_000_000)
    assert read.asked == {"shipped_from": "2026-06-01", "sort": "risk"}


def test_runs_are_ordered_by_number_and_not_by_letters() -> None:
    assert names_of([Path("10.arrow"), Path("9.arrow"), Path("100.arrow")]) == ["9.arrow", "10.arrow", "100.arrow"]
