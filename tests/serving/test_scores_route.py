"""`POST /v1/scores` over HTTP: records, what a score rests on, and bodies that nobody should send."""

import gzip
import json
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from features.site import read_site
from serving.problems import MEDIA_TYPE, PROBLEMS
from tests.serving.live import Live, strict

AS_OF = "2026-08-01T00:00:00Z"
MODEL = "L000378"  # a lot of July whose rows stand in for those of a lot that nobody booked
LOT = {"lot_id": "N1", "product_id": "P01", "produced_at": "2026-07-30T08:00:00Z", "quantity": 300}

Row = dict[str, Any]


@cache
def rows_of(file: Path, lot: str) -> tuple[Row, ...]:
    rows = pq.read_table(file, filters=[("lot_id", "=", lot)]).drop_columns(["lot_id"]).to_pylist()
    return tuple({name: value for name, value in row.items() if value is not None} for row in rows)


def record(factory: Path, **changed: Any) -> Row:
    """A whole record of a new lot, built like one of July."""
    data = factory / "data"
    (own,) = rows_of(data / "lots.parquet", MODEL)
    lot = {name: value for name, value in own.items() if name not in ("shipped_at", "produced_at")}
    measured = [
        {**row, "measured_at": row["measured_at"].isoformat()} for row in rows_of(data / "measurements.parquet", MODEL)
    ]
    used = [
        {**row, "consumed_at": row["consumed_at"].isoformat()} for row in rows_of(data / "genealogy.parquet", MODEL)
    ]
    given = {"lot_id": "N1", "produced_at": own["produced_at"].isoformat(), **lot, **changed}
    return {"lot": {n: v for n, v in given.items() if v is not None}, "measurements": measured, "genealogy": used}


def scored(live: Live, lot: Any, as_of: str = AS_OF) -> Row:
    (result,) = live.score([lot], as_of=as_of)["results"]
    return dict(result)


def codes(result: Row) -> list[str]:
    return [warning["code"] for warning in result["warnings"]]


# Records


def test_a_whole_record_of_a_lot_that_no_table_holds_is_scored_without_a_warning(live: Live) -> None:
    result = scored(live, record(live.folder))
    assert codes(result) == []
    assert 0 < result["risk"] < 1 and result["expected_cost"] > 0
    assert result["decision"] in ("release", "inspect", "hold")
    assert (result["lot_id"], result["as_of"], result["model_version"]) == ("N1", AS_OF, "1")
    assert result["features_as_of"] < AS_OF
    assert set(result) == {
        "lot_id", "risk", "risk_low", "risk_high", "expected_cost", "expected_saving", "decision", "reasons",
        "model_version", "as_of", "features_as_of", "warnings"
    }  # fmt: skip


def test_each_fault_of_a_record_has_its_warning(live: Live) -> None:
    def of(**changed: Any) -> list[str]:
        return codes(scored(live, record(live.folder, **changed)))

    assert of(humidity=None) == ["missing_attribute"]
    assert of(oven_program="Z") == ["unseen_category"]
    assert "unlike_any_seen" in of(product_id="P99")
    assert "impossible_value" in of(tool_age=1e12)
    assert of(quantity=0) == ["below_min_units"]
    late = record(live.folder)
    late["measurements"][0] |= {"measured_at": AS_OF}
    assert codes(scored(live, late)) == ["measured_after_as_of"]
    bare = record(live.folder) | {"measurements": [], "genealogy": None}
    assert [code for code in codes(scored(live, bare)) if code != "unlike_any_seen"] == ["missing_history"] * 2
    assert "stale_table" in codes(scored(live, record(live.folder), as_of="2026-10-25"))


def test_an_id_of_a_lot_that_shipped_is_past_judgement_and_one_scored_before_its_model_says_so(live: Live) -> None:
    assert codes(scored(live, "L000007")) == ["past_judgement"]
    assert "trained_later" in codes(scored(live, "L000007", as_of="2025-12-31"))


def test_a_known_lot_says_the_same_by_id_and_by_record_and_may_not_be_contradicted(live: Live) -> None:
    told = record(live.folder, lot_id=MODEL)
    by_id, by_record = scored(live, MODEL), scored(live, told)
    assert by_id == by_record
    for section, row in (("lot", {"quantity": 1}), ("lot", {"oven_program": "Z"}), ("measurements", {"value": 1.5})):
        wrong = json.loads(json.dumps(told))
        (wrong[section] if section == "lot" else wrong[section][0]).update(row)
        assert scored(live, wrong)["problem"]["code"] == "conflicts_with_history"


def test_a_bad_lot_is_a_problem_in_its_place_and_the_others_are_scored(live: Live) -> None:
    lots = [
        MODEL, None, 3, 1.5, True, [], {}, {"lot": []}, {"lot": None}, {"lot": {"lot_id": "x"}}, MODEL, "nobody's", "",
        " ",
        {"lot": LOT | {"lot_id": MODEL}}, {"lot": LOT, "measurement": []}, {"lot": LOT | {"quantity": -1}},
        {"lot": LOT | {"produced_at": "2026-08-02"}}, "x" * 1001, "a\0b", "'; drop table scores; --", {"lot": LOT},
        "L000007",
    ]  # fmt: skip
    results = live.score(lots, as_of=AS_OF)["results"]
    bad = ["invalid_lot"] * 5 + ["invalid_record"] * 4 + ["duplicate_lot"] + ["unknown_lot"] * 3
    bad += ["conflicts_with_history", "invalid_record", "invalid_record", "not_produced", "invalid_lot"]
    bad += ["invalid_lot", "unknown_lot"]
    assert [one.get("problem", {}).get("code") for one in results] == [None, *bad, None, None]
    for one in results:
        if "problem" in one:
            status, title = PROBLEMS[one["problem"]["code"]]
            assert (one["problem"]["status"], one["problem"]["title"]) == (status, title)
            assert set(one) == {"lot_id", "problem"} and len(one["problem"]["detail"]) < 500
    assert [one["lot_id"] for one in results[9:13]] == ["x", MODEL, "nobody's", ""]
    assert results[0] == scored(live, MODEL)


def test_minus_zero_is_zero_and_numbers_beyond_a_double_are_refused(live: Live) -> None:
    zero, minus = (scored(live, record(live.folder, humidity=value)) for value in (0.0, -0.0))
    assert zero == minus
    told = json.dumps({"lots": [record(live.folder, humidity=12345.5)], "as_of": AS_OF})
    for huge in ("1e999", "-1e999", "9" * 400 + ".0"):
        is_problem(live.client.post("/v1/scores", content=told.replace("12345.5", huge)), "invalid_json")
    answer = live.client.post("/v1/scores", content=told.replace("12345.5", "9" * 400))
    assert strict(answer.content)["results"][0]["problem"]["code"] == "invalid_record"


def test_reasons_come_when_asked_for_and_no_more_of_them(live: Live) -> None:
    for most in (0, 1, 20):
        (result,) = live.score([MODEL], as_of=AS_OF, reasons=most)["results"]
        assert len(result["reasons"]) <= most
        assert all(set(one) == {"feature", "text", "value", "contribution"} for one in result["reasons"])
    assert len(result["reasons"]) > 5


def test_ten_thousand_lots_are_one_call_and_none_at_all_too(live: Live) -> None:
    results = live.score([f"L{n:06}" for n in range(10_000)], as_of=AS_OF)["results"]
    assert len(results) == 10_000
    assert sum("risk" in one for one in results) > 350
    assert live.score([], as_of=AS_OF) == {"as_of": AS_OF, "model_version": "1", "results": []}


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("2026-05-01", "2026-04-30T22:00:00Z"),
        ("2026-05-01 01:30", "2026-04-30T23:30:00Z"),
        ("2026-05-01T00:00:00+14:00", "2026-04-30T10:00:00Z"),
        ("2026-05-01T00:00:00-00:00", "2026-05-01T00:00:00Z"),
        ("2026-05-01T00:00:00.000001Z", "2026-05-01T00:00:00.000001Z"),
        ("2026-03-29T02:30", "2026-03-29T01:00:00Z"),
        (" 2026-05-01T00:00:00Z ", "2026-05-01T00:00:00Z"),
        ("1900-01-02T00:00:00Z", "1900-01-02T00:00:00Z"),
    ],
)
def test_as_of_is_read_as_the_command_line_reads_it(said: str, read: str, live: Live) -> None:
    answer = live.score(["L000007"], as_of=said)
    assert answer["as_of"] == read
    assert answer["results"][0].get("as_of", read) == read


# Bodies that nobody should send


def of(rest: str) -> bytes:
    return b'{"lots":["L000007"],' + rest.encode() + b"}"


BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "invalid_json"),
    "a brace": (b"{", "invalid_json"),
    "NaN": (b'{"lots":[NaN]}', "invalid_json"),
    "Infinity": (of('"reasons":Infinity'), "invalid_json"),
    "-Infinity": (of('"reasons":-Infinity'), "invalid_json"),
    "1e999": (of('"reasons":1e999'), "invalid_json"),
    "-1E+0400 within": (b'{"lots":[{"lot":{"quantity":[-1E+0400]}}]}', "invalid_json"),
    "400 digits and a point": (of('"reasons":' + "9" * 400 + ".5"), "invalid_json"),
    "UTF-16": ('{"lots":[]}'.encode("utf-16"), "invalid_json"),
    "a byte order mark": (b'\xef\xbb\xbf{"lots":[]}', "invalid_json"),
    "Latin-1": (b'{"lots":["\xe9"]}', "invalid_json"),
    "a surrogate in bytes": (b'{"lots":["\xed\xa0\x80"]}', "invalid_json"),
    "a lone surrogate": (b'{"lots":["\\ud800"]}', "invalid_json"),
    "a surrogate as a field": (b'{"\\udfff":1}', "invalid_json"),
    "a raw NUL": (b'{"lots":["a\0b"]}', "invalid_json"),
    "gzip": (gzip.compress(b'{"lots":[]}'), "invalid_json"),
    "more after the end": (b'{"lots":[]} []', "invalid_json"),
    "a comment": (b'{"lots":[]} // none', "invalid_json"),
    "a form": (b"lots=L000007", "invalid_json"),
    "100,000 brackets": (b"[" * 100_000, "invalid_json"),
    "100,000 closed brackets": (b'{"lots":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
    "100,000 braces": (b'{"a":' * 100_000, "invalid_json"),
    "5,000 digits": (of('"reasons":' + "9" * 5000), "invalid_json"),
    "null": (b"null", "invalid_request"),
    "a list": (b'["L000007"]', "invalid_request"),
    "a text": (b'"L000007"', "invalid_request"),
    "no lots": (b"{}", "invalid_request"),
    "lots are null": (b'{"lots":null}', "invalid_request"),
    "lots are an object": (b'{"lots":{}}', "invalid_request"),
    "lots are a text": (b'{"lots":"L000007"}', "invalid_request"),
    "10,001 lots": (json.dumps({"lots": ["L000007"] * 10_001}).encode(), "too_many_lots"),
    "an unknown field": (of('"asof":null'), "invalid_request"),
    "a long unknown field": (of('"' + "x" * 100_000 + '":null'), "invalid_request"),
    "an empty field": (of('"":null'), "invalid_request"),
} | {
    f"reasons {said}": (of(f'"reasons":{said}'), "invalid_request")
    for said in ("21", "-1", "true", "false", "null", "1.5", "1e300", '"3"', "[]", "{}", "9" * 99)
} | {
    f"as_of {said}": (of(f'"as_of":{json.dumps(said)}'), code)
    for said, code in [
        *((said, "invalid_request") for said in (0, 1.5, True, [], {}, 10**300, "", " ", "x", "now", "\0", "x" * 9999)),
        *((said, "invalid_request") for said in ("2026-02-30", "2026-05-01T24:00:00Z", "2026-05-01T00:00:00+24:00")),
        *((said, "invalid_request") for said in ("0001-01-01", "9999-12-31T23:59:59Z", "-1-01-01", "２０２６-05-01")),
        *((said, "future_as_of") for said in ("2199-12-31", "2199-12-31T23:59:59-23:59")),
    ]
}  # fmt: skip


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case[:40])
def test_a_hostile_body_is_a_problem_that_serialises(case: str, live: Live) -> None:
    body, code = BODIES[case]
    is_problem(live.client.post("/v1/scores", content=body, headers={"content-type": "application/json"}), code)


def is_problem(answer: httpx.Response, code: str) -> None:
    status, title = PROBLEMS[code]
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE), answer.text[:500]
    told = strict(answer.content)
    assert told == {
        "type": f"urn:lot-risk:problem:{code}", "title": title, "status": status, "detail": told["detail"], "code": code
    }  # fmt: skip
    assert 5 < len(told["detail"]) < 6000


def test_a_body_of_70_mb_is_refused_with_and_without_its_length(live: Live) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(70):
            yield b" " * 1_000_000

    is_problem(live.client.post("/v1/scores", content=pieces()), "body_too_large")
    host, port = live.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(b"POST /v1/scores HTTP/1.1\r\nhost: x\r\ncontent-length: 70000000\r\n\r\n{")
        assert line.recv(1000).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection((host, int(port)), timeout=30) as line:  # and who promises more than comes
        line.sendall(b'POST /v1/scores HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{"lots"')


def test_what_calls_itself_compressed_is_read_as_it_comes(live: Live) -> None:
    body, told = gzip.compress(b'{"lots":[]}'), {"content-encoding": "gzip"}
    is_problem(live.client.post("/v1/scores", content=body, headers=told), "invalid_json")


PATHS = {
    "GET /v1/scores": "method_not_allowed",
    "PUT /v1/scores": "method_not_allowed",
    "DELETE /v1/lots/L000007": "method_not_allowed",
    "OPTIONS /v1/lots": "method_not_allowed",
    "POST /v1/lots": "method_not_allowed",
    "GET /v2/scores": "not_found",
    "GET /v1/lots/../../etc/passwd": "not_found",
    "GET /v1/lots/%2e%2e%2f%2e%2e%2fetc%2fpasswd": "unknown_lot",
    "GET /v1/lots/": "unknown_lot",
    "GET /v1/lots/%00": "unknown_lot",
    "GET /v1/lots/%ff%fe": "unknown_lot",
    "GET /v1/lots/%ed%a0%80": "unknown_lot",
    "GET /v1/lots/%ZZ": "unknown_lot",
    "GET /v1/lots/%E4%B8%8A": "unknown_lot",
    "GET /v1/lots/'%20or%201=1;--": "unknown_lot",
    "GET /v1/lots/L000007/": "unknown_lot",
    "GET /v1/lots/L000007?asof=2026-01-01": "invalid_request",
    "GET /v1/lots/L000007?as_of=2026-01-01&as_of=2026-01-02": "invalid_request",
    "GET /v1/lots/L000007?as_of=%00": "invalid_request",
    "GET /v1/lots/L000007?as_of=2199-01-01": "future_as_of",
    "GET /v1/lots?foo=1": "invalid_request",
    "GET /v1/lots?product=a&product=b": "invalid_request",
    "GET /v1/lots?=": "invalid_request",
    "GET /v1/lots?limit=0": "invalid_request",
    "GET /v1/lots?limit=1001": "invalid_request",
    "GET /v1/lots?limit=1e2": "invalid_request",
    "GET /v1/lots?limit=%D9%A3": "invalid_request",
    "GET /v1/lots?limit=" + "9" * 5000: "invalid_request",
    "GET /v1/lots?min_risk=nan": "invalid_request",
    "GET /v1/lots?format=xml": "invalid_request",
    "GET /v1/lots?cursor=%ff": "invalid_request",
    "GET /v1/lots?cursor=W10=": "invalid_request",
    "GET /v1/lots?cursor=" + "A" * 20_000: "invalid_request",
    "GET /v1/lots?cursor=" + "W1tb" * 8_000: "invalid_request",
    "GET /v1/models/9/card": "unknown_version",
    "GET /v1/models/..%2fchampion/card": "not_found",
    "GET /v1/models/-1/card": "unknown_version",
    "GET /v1/models/1/card?x=1": "invalid_request",
    "POST /v1/models/..%2f1/promote": "not_found",
    "POST /v1/models/1": "not_found",
}


@pytest.mark.parametrize("asked", PATHS, ids=lambda asked: asked[:40])
def test_an_odd_address_is_a_problem_that_serialises(asked: str, live: Live) -> None:
    method, path = asked.split(" ", 1)
    is_problem(live.client.request(method, path), PATHS[asked])


def test_a_head_is_answered_without_a_body(live: Live) -> None:
    for path in ("/healthz", "/v1/lots", "/v1/scores", "/"):
        answer = live.client.head(path)
        assert answer.status_code < 500 and answer.content == b""


def test_only_this_machine_and_no_other_page_promotes(live: Live) -> None:
    for origin in ("http://elsewhere.example", "http://[", "null", ""):
        told = {"origin": origin}
        is_problem(live.client.post("/v1/models/2/promote", headers=told), "loopback_only")
    for host in ("elsewhere.example", "127.0.0.1.elsewhere.example:80"):  # a name that leads to this machine
        told = {"origin": f"http://{host}", "host": host}
        is_problem(live.client.post("/v1/models/2/promote", headers=told), "loopback_only")
    is_problem(live.client.post("/v1/models/2/promote", headers={"x-forwarded-for": "192.0.2.7"}), "loopback_only")
    for body in (b"[]", b'{"reason":3}', b'{"why":"x"}', b"3"):
        is_problem(live.client.post("/v1/models/2/promote", content=body), "invalid_request")
        own = {"origin": live.url}
        is_problem(live.client.post("/v1/models/2/promote", content=body, headers=own), "invalid_request")


def test_a_model_card_is_a_page_that_may_load_nothing(live: Live) -> None:
    cards = read_site(live.folder, {}).state_dir / "cards"
    cards.mkdir()
    (cards / "1.html").write_text("<!doctype html>a card", encoding="utf-8")
    answer = live.client.get("/v1/models/1/card")
    assert answer.text == "<!doctype html>a card"
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert {one["version"]: one["card"] for one in live.get("/v1/models")["versions"]} == {"1": True, "2": False}


def test_the_service_lives_on_after_all_of_it(live: Live) -> None:
    assert live.get("/healthz") == {"alive": True}
    assert live.get("/readyz")["ready"]
    assert scored(live, MODEL)["risk"] > 0
    assert len(live.workers()) == 2
