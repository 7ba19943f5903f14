"""What others' tools found: requests at the edge of what the OpenAPI document allows."""

from typing import Any

import pytest

from serving.app import create_app
from serving.document import operations_of
from serving.problems import PROBLEMS
from serving.roles import ROLES, methods_of
from tests.serving.live import Live
from tests.small_site import write_site


@pytest.mark.parametrize(("written", "reasons"), [("1", 1), ("1.0", 1), ("2e0", 2), ("-0.0", 0)])
def test_a_whole_number_may_be_written_with_a_point(live: Live, written: str, reasons: int) -> None:
    body = f'{{"lots": ["L000300"], "reasons": {written}}}'
    answer = live.client.post("/v1/scores", content=body).json()
    assert len(answer["results"][0]["reasons"]) == reasons


@pytest.mark.parametrize("reasons", [True, 1.5, "1", 21, None])
def test_what_is_no_whole_number_of_reasons_is_refused(live: Live, reasons: Any) -> None:
    answer = live.client.post("/v1/scores", json={"lots": ["L000300"], "reasons": reasons})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/v1/containments", "GET, POST"), ("/v1/gate/7/override", "POST"), ("/v1/models", "GET"), ("/healthz", "GET")],
)
def test_a_method_that_a_path_does_not_take_is_told_all_that_it_takes(live: Live, path: str, allowed: str) -> None:
    answer = live.client.put(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_path_with_a_name_takes_what_its_route_does() -> None:
    assert methods_of("/v1/lots/L1/and more") == ["GET"]
    assert methods_of("/nowhere") == []


@pytest.mark.parametrize("query", ["state=", "state=open&state=all"], ids=["empty", "twice"])
def test_a_state_that_is_none_is_refused(live: Live, query: str) -> None:
    assert live.client.get(f"/v1/containments?{query}").status_code == 422


@pytest.mark.parametrize("path", ["/v1/lots/L000300?as_of=", "/v1/containment?supplier_lot=SL00001&as_of="])
def test_an_empty_moment_is_not_now(live: Live, path: str) -> None:
    assert live.client.get(path).status_code == 422


@pytest.mark.parametrize("reason", ["", "  ", "\u0019", "\u001c\n", "with \0 in it", "x" * 2001, None, ["why"]])
def test_a_reason_has_to_be_one_that_can_be_read(live: Live, reason: Any) -> None:
    answer = live.client.post("/v1/containments", json={"lots": ["L000300"], "reason": reason})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_promotions_reason_is_refused_and_not_cut(live: Live) -> None:
    answer = live.client.post("/v1/models/1/promote", json={"reason": "x" * 1001})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "1001 characters" in answer.json()["detail"]


@pytest.mark.parametrize("version", ["abc", "-1", "1.0", "²"])
def test_what_can_be_no_version_is_not_known(live: Live, version: str) -> None:
    answer = live.client.post(f"/v1/models/{version}/promote")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_version")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return create_app(write_site(tmp_path_factory.mktemp("site")).folder).openapi()


def test_every_problem_stands_in_the_document_under_its_status(document: dict[str, Any]) -> None:
    told = set()
    for name, (_, _, said) in operations_of(document):
        for status, answer in said["responses"].items():
            if (content := answer["content"].get("application/problem+json")) is not None:
                codes = content["schema"]["properties"]["code"]["enum"]
                assert {PROBLEMS[code][0] for code in codes} == {int(status)}, name
                told |= set(codes)
    in_place = {"invalid_record", "invalid_lot", "duplicate_lot", "not_produced", "conflicts_with_history"}
    assert set(PROBLEMS) - told == in_place | {"method_not_allowed"}


def test_no_route_answers_whatever(document: dict[str, Any]) -> None:
    assert [name for name, (_, _, said) in operations_of(document) if "default" in said["responses"]] == []
    assert {(method, path) for _, (method, path, _) in operations_of(document)} <= {
        (method, path.replace(":path", "")) for method, path in ROLES
    }
