"""Containment through a running service: suspects are listed, contained, held at the gate, and let go."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.wire_containment import ContainmentAnswer, ContainmentsAnswer, RecordedContainment
from tests.serving.fitted import copied
from tests.serving.live import Live, eventually, serving


@pytest.fixture(scope="module")
def line(factory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A service of this module's own, in which things are contained."""
    with serving(copied(factory, tmp_path_factory.mktemp("contained") / "valves")) as live:
        eventually(
            lambda: live.client.post("/v1/gate", json={"lot_id": "L000378"}).status_code == 200, "the gate opens"
        )
        yield live


def an_open_lot(live: Live) -> tuple[str, str]:
    """A lot that has not shipped, and a supplier lot that went into it."""
    for item in eventually(lambda: live.get("/v1/lots", limit=50)["items"], "open lots are scored"):
        if genealogy := live.get(f"/v1/lots/{item['lot_id']}")["genealogy"]:
            return item["lot_id"], genealogy[0]["supplier_lot_id"]
    raise AssertionError("no open lot tells its genealogy")


def rules(live: Live, lot: str) -> list[tuple[str, str]]:
    """(rule, the lot's decision) of each rule that holds the lot."""
    answer = live.client.post("/v1/gate", json={"lot_id": lot})
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    return [(rule["rule"], result["decision"]) for rule in result["rules"]]


def posted(live: Live, path: str, sent: Any, **headers: str) -> dict[str, Any]:
    answer = live.client.post(path, json=sent, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def refused(live: Live, path: str, sent: Any, **headers: str) -> tuple[int, str]:
    answer = live.client.post(path, json=sent, headers=headers)
    return answer.status_code, answer.json()["code"]


def test_a_suspect_is_contained_held_at_the_gate_and_let_go(line: Live) -> None:
    lot, supplier_lot = an_open_lot(line)
    answer = line.get("/v1/containment", supplier_lot=supplier_lot)
    ContainmentAnswer.model_validate(answer)
    suspect = next(one for one in answer["lots"] if one["lot_id"] == lot)
    assert (suspect["why"], suspect["contained"], suspect["scored"]) == ("uses", False, "stored")
    assert ("open_containment", "hold") not in rules(line, lot)

    sent = {"supplier_lot": supplier_lot, "reason": "a customer called"}
    one = posted(line, "/v1/containments", sent, **{"idempotency-key": "call 17"})
    RecordedContainment.model_validate(one)
    assert one["held"]["uses"] >= 1
    assert posted(line, "/v1/containments", sent, **{"idempotency-key": "call 17"})["id"] == one["id"]
    other = {"lots": [lot], "reason": "another"}
    assert refused(line, "/v1/containments", other, **{"idempotency-key": "call 17"}) == (409, "idempotency_conflict")
    assert ("open_containment", "hold") in rules(line, lot)
    listed = line.get("/v1/containments")
    ContainmentsAnswer.model_validate(listed)
    assert [each["id"] for each in listed["containments"]] == [one["id"]]
    again = line.get("/v1/containment", supplier_lot=supplier_lot)["lots"]
    assert next(each for each in again if each["lot_id"] == lot)["contained"] is True

    close = f"/v1/containments/{one['id']}/close"
    assert refused(line, close, {}) == (422, "invalid_request")
    assert posted(line, close, {"reason": "nothing found"})["closed_reason"] == "nothing found"
    assert refused(line, close, {"reason": "nothing found"}) == (409, "containment_closed")
    assert ("open_containment", "hold") not in rules(line, lot)
    assert line.get("/v1/containments")["containments"] == []


def test_a_record_is_held_by_the_genealogy_that_it_brings(line: Live) -> None:
    _, supplier_lot = an_open_lot(line)
    one = posted(line, "/v1/containments", {"supplier_lot": supplier_lot, "reason": "a customer called"})
    product = line.get("/v1/lots", limit=1)["items"][0]["product_id"]
    record = {
        "lot": {"lot_id": "NEW-1", "product_id": product, "produced_at": "2026-11-01T00:00:00Z"},
        "genealogy": [{"supplier_lot_id": supplier_lot, "quantity": 1}],
    }
    (result,) = posted(line, "/v1/gate", {"lots": [record]})["results"]
    assert "open_containment" in [rule["rule"] for rule in result["rules"]]
    posted(line, f"/v1/containments/{one['id']}/close", {"reason": "done"})


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"supplier_lot": "a", "return": "b"}, 422, "invalid_request"),
        ({"supplier_lot": ""}, 422, "invalid_request"),
        ({"supplier_lot": "a", "supplier": "b"}, 422, "invalid_request"),
        ({"supplier_lot": "a", "as_of": "yesterday"}, 422, "invalid_request"),
        ({"supplier_lot": "a", "as_of": "2099-01-01"}, 422, "future_as_of"),
        ({"supplier_lot": "nobody's"}, 404, "unknown_supplier_lot"),
        ({"return": "nobody's"}, 404, "unknown_return"),
        ({"return": "\x00"}, 404, "unknown_return"),
    ],
)
def test_what_cannot_be_answered_says_why(line: Live, query: dict[str, str], status: int, code: str) -> None:
    answer = line.client.get("/v1/containment", params=query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("sent", [[], "lots", 1, {"lots": [], "reason": "x"}, {"lot": "A", "reason": "x"}])
def test_what_is_no_containment_is_refused(line: Live, sent: Any) -> None:
    assert refused(line, "/v1/containments", sent) == (422, "invalid_request")
    assert line.client.post("/v1/containments", content=b"{").json()["code"] == "invalid_json"


def test_the_page_of_a_running_service_opens_and_closes(line: Live) -> None:
    _, supplier_lot = an_open_lot(line)
    page = line.client.get("/containment", params={"supplier_lot": supplier_lot, "lang": "en"})
    assert (page.status_code, supplier_lot in page.text) == (200, True)
    form = {"supplier_lot": supplier_lot, "return": "", "reason": "from the page"}
    origin = {"origin": line.url}
    assert line.client.post("/containment/open", data=form, headers=origin).status_code == 303
    (number,) = re.findall(r'id="c-(\d+)"', line.client.get("/containment").text)
    closing = {"reason": "over"}
    led = line.client.post(f"/containment/{number}/close", data=closing, headers=origin)
    assert (led.status_code, led.headers["location"]) == (303, "/containment#open")
    assert line.get("/v1/containments", state="closed")["containments"][0]["closed_by"] == "local"
