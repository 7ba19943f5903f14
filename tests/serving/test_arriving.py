"""Rows that callers send to a running service: taken once, refused by name, and counted in the next score."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from features.card import iso
from features.site import read_site
from tests.command import done
from tests.serving.fitted import copied
from tests.serving.live import Live, eventually, serving
from tests.stored_site import clock

HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def taking(factory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A service of two workers that every test here adds to."""
    with serving(copied(factory, tmp_path_factory.mktemp("taking") / "valves")) as live:
        yield live


def post(live: Live, table: str, rows: list[Any], *, key: str = "") -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    answer = live.client.post(f"/v1/histories/{table}", json={"rows": rows}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def a_return(name: str, lot: str = "L000300", **more: Any) -> dict[str, Any]:
    told = {"return_id": name, "lot_id": lot, "occurred_at": "2026-08-20", "reported_at": "2026-08-24T10:00:00+02:00"}
    return {**told, "quantity": 5, **more}


def test_good_rows_go_in_while_bad_ones_are_refused_with_their_reasons(taking: Live) -> None:
    rows = [a_return("A1"), a_return("A2", quantity=-1), a_return("A3", lot="nobody's"), a_return("A1")]
    said = post(taking, "returns", rows)
    assert (said["accepted"], said["already_known"], said["waiting"]) == (2, 1, 1)
    assert [one["row"] for one in said["refused"]] == [1] and "negative" in said["refused"][0]["reason"]
    again = post(taking, "returns", rows)
    assert (again["accepted"], again["already_known"]) == (0, 3)
    other = post(taking, "returns", [a_return("A1", quantity=6)])
    assert "send known_at" in other["refused"][0]["reason"]
    assert post(taking, "returns", [a_return("A1", quantity=6, known_at="2026-08-25")])["accepted"] == 1


def test_lines_of_json_are_rows_and_one_that_is_none_is_refused_alone(taking: Live) -> None:
    lines = [json.dumps(a_return("B1")), "", "{no", '{"quantity": 1e999}', json.dumps(a_return("B2"))]
    for media_type in ("application/x-ndjson", "text/plain"):
        answer = taking.client.post(
            "/v1/histories/returns", content="\n".join(lines), headers={"content-type": media_type}
        )
        said = answer.json()
        assert said["accepted"] + said["already_known"] == 2, said
        assert [one["row"] for one in said["refused"]] == [1, 2]
        assert all("not JSON" in one["reason"] for one in said["refused"])


def test_a_mark_before_the_first_row_is_none_of_it(taking: Live) -> None:
    bodies = [json.dumps(a_return("B3")) + "\n", json.dumps({"rows": [a_return("B3")]})]
    for body, media_type in zip(bodies, ("application/x-ndjson", "application/json"), strict=True):
        told = ("\ufeff" + body).encode()
        answer = taking.client.post("/v1/histories/returns", content=told, headers={"content-type": media_type})
        assert answer.json()["refused"] == [] and answer.json()["accepted"] + answer.json()["already_known"] == 1


def test_a_column_of_a_rule_is_one_of_the_table_that_it_looks_at(taking: Live) -> None:
    lot = {"lot_id": "HELD", "product_id": "P03", "produced_at": "2026-11-20T08:00:00Z", "hold": "yes"}
    assert "unknown field lots.hold" in post(taking, "lots", [lot])["refused"][0]["reason"]
    supply = {"supplier_lot_id": "S-HELD", "supplier_id": "V01", "material_id": "M1", "received_at": "2026-11-20"}
    assert post(taking, "supplier_lots", [{**supply, "status": "blocked"}])["accepted"] == 1
    assert "lots.hold" in post(taking, "supplier_lots", [{**supply, "hold": "yes"}])["refused"][0]["reason"]


def test_what_the_sources_said_already_is_known_and_what_contradicts_them_is_refused(taking: Live) -> None:
    lots = pq.read_table(taking.folder / "data" / "lots.parquet").slice(5, 1).to_pylist()[0]
    lot = {name: iso_of(value) for name, value in lots.items() if value is not None}
    said = post(taking, "lots", [lot, {**lot, "quantity": lot["quantity"] + 1}])
    assert said["already_known"] == 1, said
    assert "send known_at" in said["refused"][0]["reason"]


def iso_of(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("returns", b'{"rows": [', "invalid_json"),
        ("returns", b'{"rows": [{"quantity": 1e999}]}', "invalid_json"),
        ("returns", b"[]", "invalid_request"),
        ("returns", b'{"row": []}', "invalid_request"),
        ("return", b'{"rows": []}', "not_found"),
        ("returns", json.dumps({"rows": [{}] * 10_001}).encode(), "too_many_rows"),
    ],
)
def test_a_body_that_is_no_rows_is_a_problem(taking: Live, path: str, body: bytes, code: str) -> None:
    answer = taking.client.post(f"/v1/histories/{path}", content=body, headers={"content-type": "application/json"})
    assert answer.json()["code"] == code


def test_the_same_key_gets_the_same_answer_and_another_body_a_problem(taking: Live) -> None:
    first = post(taking, "returns", [a_return("C1"), a_return("C2", quantity=-1)], key="one")
    assert post(taking, "returns", [a_return("C1"), a_return("C2", quantity=-1)], key="one") == first
    answer = taking.client.post("/v1/histories/returns", json={"rows": []}, headers={"Idempotency-Key": "one"})
    assert answer.json()["code"] == "idempotency_conflict"


def test_each_call_has_an_entry_in_the_audit_log_and_no_complaint_stands_in_it(taking: Live) -> None:
    complaint = "The valve hisses at night, says Ms Novak"
    post(taking, "returns", [a_return("D1", description=complaint)])
    with sqlite3.connect(taking.folder / ".lotrisk" / "lotrisk.db") as database:
        ((body,),) = database.execute("select body from audit where kind = 'arrivals' order by seq desc limit 1")
        ((row,),) = database.execute("select row from arrivals order by id desc limit 1")
    told = json.loads(body)
    assert told["table"] == "returns" and told["accepted"] == 1 and told["first"] == told["last"]
    assert "Novak" not in body and told["texts"]["D1"][0].startswith("salted:") and "Novak" in row


def test_a_new_lot_and_its_rows_count_in_the_next_score_of_every_worker(taking: Live) -> None:
    moment = iso(clock() - HOUR)
    post(taking, "measurements", [measured("NEW1", iso(clock() - HOUR // 2))])
    lot = {"lot_id": "NEW1", "product_id": "P01", "produced_at": moment, "quantity": 100}
    said = post(taking, "lots", [lot])
    assert said["accepted"] == 1, said
    for worker in taking.workers():
        eventually(lambda: knows(taking, "NEW1"), f"worker {worker} knows the lot", seconds=20)
    row = taking.get("/v1/lots/NEW1")
    assert [one["characteristic"] for one in row["measurements"]] == ["seat_leak"]


def measured(lot: str, moment: str) -> dict[str, Any]:
    return {"lot_id": lot, "characteristic": "seat_leak", "measured_at": moment, "value": 0.5}


def knows(live: Live, lot: str) -> bool:
    """Several calls on connections of their own: both workers are asked."""
    said = [httpx.post(f"{live.url}/v1/scores", json={"lots": [lot]}, timeout=30).json() for _ in range(8)]
    return all("risk" in one["results"][0] for one in said)


def test_offline_is_online_after_arrivals_and_after_an_ingest(taking: Live, tmp_path: Path) -> None:
    post(taking, "returns", [a_return("E1", quantity=400), {"return_id": "A3", "deleted": True}])
    lots = [f"L{number:06}" for number in range(280, 330)]
    as_of = iso(clock())
    site = read_site(taking.folder, {})

    def online() -> list[Any]:
        return [(one["lot_id"], one.get("risk")) for one in taking.score(lots, as_of=as_of)["results"]]

    def offline() -> list[Any]:
        (tmp_path / "lots.txt").write_text("\n".join(lots), encoding="utf-8")
        out = tmp_path / "scores.parquet"
        done("score", site.folder, "--as-of", as_of, "--lots", tmp_path / "lots.txt", "--out", out)
        return [(row["lot_id"], row["risk"]) for row in pq.read_table(out).to_pylist()]

    written = offline()
    eventually(lambda: online() == written and online() == written, "scores count what arrived")
    done("ingest", site.folder)
    assert offline() == written
    assert online() == written
