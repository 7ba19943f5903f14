"""`GET /v1/lots` and `/v1/lots/{lot_id}` over HTTP: what planners filter, sort, page through and export."""

import csv
import io
from base64 import urlsafe_b64encode
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from serving.standing import SORTS
from serving.wire import CSV_COLUMNS
from tests.serving.live import Live, strict

Row = dict[str, Any]


def every(live: Live, **asked: Any) -> list[Row]:
    """All lots, page by page."""
    items: list[Row] = []
    page = live.get("/v1/lots", **asked)
    while True:
        items += page["items"]
        assert page["total"] >= len(items)
        if page["next"] is None:
            assert page["total"] == len(items)
            return items
        page = live.get("/v1/lots", **asked, cursor=page["next"])


def problem(live: Live, path: str, **asked: Any) -> tuple[int, str]:
    answer = live.client.get(path, params=asked)
    return answer.status_code, str(strict(answer.content)["code"])


def test_open_lots_are_those_that_were_made_and_have_not_shipped_the_riskiest_first(live: Live) -> None:
    page = live.get("/v1/lots")
    lots = pq.read_table(live.folder / "data" / "lots.parquet").to_pylist()
    assert {item["lot_id"] for item in page["items"]} == {row["lot_id"] for row in lots if row["shipped_at"] is None}
    risks = [item["risk"] for item in page["items"]]
    assert len(risks) == page["total"] >= 5 and risks == sorted(risks, reverse=True)
    assert set(page) == {"items", "next", "total", "as_of", "model_version", "features_as_of"}
    assert {item["as_of"] for item in page["items"]} == {page["as_of"]}


def test_a_stored_score_is_what_a_call_says_of_that_moment(live: Live) -> None:
    page = live.get("/v1/lots")
    said = live.score([item["lot_id"] for item in page["items"]], as_of=page["as_of"])["results"]
    for item, result in zip(page["items"], said, strict=True):
        shared = (
            "lot_id", "risk", "risk_low", "risk_high", "expected_cost", "expected_saving", "decision", "model_version",
            "as_of", "features_as_of",
        )  # fmt: skip
        assert [item[name] for name in shared] == [result[name] for name in shared]
        assert item["warnings"] == [warning["code"] for warning in result["warnings"]]


def test_of_the_lots_to_be_inspected_those_that_save_most_fit_the_day(live: Live) -> None:
    items = live.get("/v1/lots", sort="-expected_saving", limit="1000")["items"]
    asking = [item for item in items if item["decision"] == "inspect"]
    assert all(item["within_capacity"] is None for item in items if item["decision"] != "inspect")
    assert {item["lot_id"] for item in asking if item["within_capacity"]} == {
        item["lot_id"] for item in sorted(asking, key=lambda item: (-item["expected_saving"], item["lot_id"]))[:2]
    }
    assert len(asking) > 2 and all(item["within_capacity"] is not None for item in asking)
    (released,) = {item["expected_saving"] for item in items if item["decision"] == "release"} or {0.0}
    assert released == 0.0


@pytest.mark.parametrize("sort", [*SORTS, *(f"-{name}" for name in SORTS)])
def test_pages_of_every_size_and_sort_hold_each_lot_once_in_one_order(sort: str, live: Live) -> None:
    whole = every(live, sort=sort, limit=1000)
    name = sort.removeprefix("-")
    values = [item[name] for item in whole if item[name] is not None]
    assert values == sorted(values, reverse=sort.startswith("-"))
    for limit in (1, 2, 4):
        assert every(live, sort=sort, limit=limit) == whole


def test_filters_keep_what_they_say_and_the_total_counts_it(live: Live) -> None:
    whole = every(live)
    first = whole[0]
    for name in ("product", "line", "customer"):
        value = first[f"{name}_id"]
        expected = [item for item in whole if item[f"{name}_id"] == value]
        assert every(live, **{name: value}) == every(live, **{name: value}, limit=1) == expected != []
        assert every(live, **{name: "nobody's"}) == []
    assert every(live, decision=first["decision"]) == [i for i in whole if i["decision"] == first["decision"]]
    assert every(live, min_risk=first["risk"]) == [item for item in whole if item["risk"] >= first["risk"]]
    assert every(live, shipped_from="2020-01-01") == []
    both = {"product": first["product_id"], "line": first["line_id"]}
    assert first in every(live, **both)


def test_lots_are_found_by_the_supplier_lot_that_went_into_them(live: Live) -> None:
    genealogy = pq.read_table(live.folder / "data" / "genealogy.parquet").to_pylist()
    whole = {item["lot_id"] for item in every(live)}
    used: dict[str, set[str]] = {}
    for row in genealogy:
        if row["lot_id"] in whole:
            used.setdefault(row["supplier_lot_id"], set()).add(row["lot_id"])
    assert used
    for supplier_lot, lots in list(used.items())[:5]:
        assert {item["lot_id"] for item in every(live, supplier_lot=supplier_lot)} == lots
    assert every(live, supplier_lot="nobody's") == []


def test_csv_says_what_json_says(live: Live) -> None:
    asked = {"sort": "lot_id", "min_risk": "0.01"}
    by_header = live.client.get("/v1/lots", params=asked, headers={"accept": "text/csv"})
    by_query = live.client.get("/v1/lots", params={**asked, "format": "csv"})
    assert by_header.text == by_query.text
    assert by_header.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(by_header.text, newline="")))
    assert tuple(rows[0]) == CSV_COLUMNS
    expected = [
        {
            name: " ".join(v) if isinstance(v := item[name], list) else "" if v is None else str(v)
            for name in CSV_COLUMNS
        }
        for item in every(live, **asked)
    ]
    assert rows == expected
    assert [float(row["risk"]) for row in rows] == [item["risk"] for item in every(live, **asked)]
    as_json = live.client.get("/v1/lots", params={"format": "json"}, headers={"accept": "text/csv"})
    assert as_json.headers["content-type"] == "application/json"


def test_both_workers_give_the_same_pages(live: Live) -> None:
    before = live.answered("/v1/lots")
    answers = set()
    for _ in range(200):
        with httpx.Client(base_url=live.url, trust_env=False) as client:
            answers.add(client.get("/v1/lots", params={"limit": 3, "sort": "expected_cost"}).content)
        now = live.answered("/v1/lots")
        if all(now[pid] > before[pid] for pid in now):
            break
    assert len(answers) == 1 and min(now[pid] - before[pid] for pid in now) > 0


def test_a_cursor_of_a_list_that_is_gone_or_of_another_question_says_so(live: Live) -> None:
    cursor = live.get("/v1/lots", limit=1)["next"]
    assert problem(live, "/v1/lots", cursor=cursor, sort="risk") == (422, "invalid_request")
    assert problem(live, "/v1/lots", cursor=cursor, product="P01") == (422, "invalid_request")

    def of(name: str, place: int) -> str:
        return urlsafe_b64encode(f'["{name}", {place}, {{"sort": "-risk"}}]'.encode()).decode()

    for name in ("999999.arrow", "../current.json", "current.json", "", "²", "9" * 300, "1\\u0000"):
        assert problem(live, "/v1/lots", cursor=of(name, 0)) == (410, "cursor_expired")
    assert problem(live, "/v1/lots", cursor=of("1.arrow", -1)) == (422, "invalid_request")
    assert live.get("/v1/lots", cursor=of("1.arrow", 10**40))["items"] == []


def test_a_lot_is_told_with_its_score_its_rows_and_what_it_was_told_before(live: Live) -> None:
    lot = every(live)[0]["lot_id"]
    told = live.get(f"/v1/lots/{lot}")
    assert told["lot_id"] == told["lot"]["lot_id"] == told["score"]["lot_id"] == lot
    assert told["problem"] is None and len(told["score"]["reasons"]) > 0
    assert told["genealogy"] and {"supplier_lot_id", "supplier_id", "material_id"} <= set(told["genealogy"][0])
    assert {row["within"] for row in told["measurements"]} <= {True, False, None}
    first = told["history"][0]
    assert (first["source"], first["model_version"]) == ("open", "1") and 0 < first["risk"] < 1


def test_a_lot_of_the_past_is_told_as_it_was_known_then(live: Live) -> None:
    lots = pq.read_table(live.folder / "data" / "lots.parquet").to_pylist()
    (lot,) = (row for row in lots if row["lot_id"] == "L000007")
    between = lot["produced_at"] + (lot["shipped_at"] - lot["produced_at"]) / 2
    now, then = live.get("/v1/lots/L000007"), live.get("/v1/lots/L000007", as_of=f"{between.isoformat()}Z")
    assert len(now["shipments"]) >= 1 and now["lot"]["shipped_at"] is not None
    assert then["shipments"] == then["returns"] == [] and then["lot"]["shipped_at"] is None
    assert 0 < len(then["measurements"]) <= len(now["measurements"])
    assert then["score"]["lot_id"] == "L000007" and then["problem"] is None
    assert problem(live, "/v1/lots/L000007", as_of="2020-01-01") == (404, "unknown_lot")
    assert problem(live, "/v1/lots/nobody's") == (404, "unknown_lot")
