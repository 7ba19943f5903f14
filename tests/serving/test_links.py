"""Every link of the OpenAPI document is followed once: what it takes from an answer is what its operation wants."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from serving.app import create_app
from serving.document import operations_of
from tests.serving.fitted import copied
from tests.serving.live import Live, serving
from tests.serving.tried import known_ids
from tests.small_site import write_site

HERE = "$response.body#"
Call = tuple[str, dict[str, Any], Any]


class Walk:
    """Calls operations by their ids, and on by the links of their answers. `followed`: (operation, link)."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.operations = dict(operations_of(client.get("/openapi.json").json()))
        self.followed: set[tuple[str, str]] = set()
        self.refused: list[str] = []

    def begin(self, name: str, parameters: dict[str, Any], body: Any = None) -> None:
        waiting = [(name, parameters, body)]
        while waiting:
            waiting += self._call(*waiting.pop())

    def _call(self, name: str, parameters: dict[str, Any], body: Any) -> list[Call]:
        method, path, said = self.operations[name]
        query = {key: value for key, value in parameters.items() if f"{{{key}}}" not in path}
        there = path.format(**{key: quote(str(value), safe="") for key, value in parameters.items()})
        answer = self.client.request(method, there, params=query, json=body or example(said))
        if answer.status_code != 200:
            self.refused.append(f"{name} {parameters} {body}: {answer.text}")
        return list(self._on(name, said, answer)) if answer.status_code == 200 else []

    def _on(self, name: str, said: dict[str, Any], answer: httpx.Response) -> Iterator[Call]:
        for link, told in said["responses"]["200"].get("links", {}).items():
            try:
                call = told["operationId"], *(filled(told.get(part), answer.json()) for part in PARTS)
            except LookupError:  # of this answer, which may be empty
                continue
            if (name, link) not in self.followed | BEYOND:
                self.followed.add((name, link))
                yield call[0], call[1] or {}, call[2]


PARTS = ("parameters", "requestBody")
BEYOND = {("models", "promote"), ("models", "model_card")}
"""What these versions, which a test fitted, do not have: a registry, and cards."""


def filled(told: Any, answer: Any) -> Any:
    """With what stands in the answer in the place of expressions; LookupError where it does not."""
    if isinstance(told, dict):
        return {name: filled(one, answer) for name, one in told.items()}
    if isinstance(told, list):
        return [filled(one, answer) for one in told]
    if not isinstance(told, str) or not told.startswith(HERE):
        return told
    for step in told.removeprefix(f"{HERE}/").split("/"):
        answer = answer[int(step) if isinstance(answer, list) else step]
    return answer


def example(said: dict[str, Any]) -> Any:
    """The body that the document shows; None: there is none."""
    content = said.get("requestBody", {}).get("content", {}).get("application/json", {})
    return content.get("example")


def links_of(document: dict[str, Any]) -> set[tuple[str, str]]:
    told = dict(operations_of(document))
    return {(name, link) for name, (_, _, said) in told.items() for link in said["responses"]["200"].get("links", {})}


@pytest.fixture(scope="module")
def served(factory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A service that may be changed."""
    with serving(copied(factory, tmp_path_factory.mktemp("linked") / "valves"), workers=1) as live:
        yield live


def test_every_link_leads_to_an_answer(served: Live) -> None:
    known = known_ids(served.folder)
    walk = Walk(served.client)
    walk.begin("lots", {})
    for lot in known["lot_id"]:
        walk.begin("lot", {"lot_id": lot})
    walk.begin("gate", {}, {"lot_id": known["lot_id"][0]})
    walk.begin("suspects", {"supplier_lot": known["supplier_lot"][0]})
    walk.begin("opened", {}, {"lots": known["lot_id"][:1], "reason": "to be closed"})
    walk.begin("listed", {})
    walk.begin("models", {})
    document = served.client.get("/openapi.json").json()
    assert walk.refused == [], "\n".join(walk.refused)
    assert links_of(document) - walk.followed == BEYOND


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("override", {"decision": ["release"], "reason": "why"}),
        ("override", {"decision": "cannot_assess", "reason": "why"}),
        ("override", {"decision": "hold", "reason": "\u0019"}),
        ("carried_out", {"action": "inspected", "found": True}),
        ("carried_out", {"action": "inspected", "found": 0.5}),
    ],
)
def test_what_follows_a_decision_is_held_to_its_shape(served: Live, what: str, body: dict[str, Any]) -> None:
    audit_id = served.client.post("/v1/gate", json={"lot_id": "L000300"}).json()["audit_id"]
    answer = served.client.post(f"/v1/gate/{audit_id}/{what}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_what_an_inspection_found_may_be_written_with_a_point(served: Live) -> None:
    audit_id = served.client.post("/v1/gate", json={"lot_id": "L000300"}).json()["audit_id"]
    body = {"action": "inspected", "found": 1.0}
    assert served.client.post(f"/v1/gate/{audit_id}/carried_out", json=body).json()["disposition"]["found"] == 1


def test_what_is_not_in_an_answer_is_noticed() -> None:
    assert filled({"lots": [f"{HERE}/items/0/id"], "why": "x"}, {"items": [{"id": "L1"}]}) == {
        "lots": ["L1"],
        "why": "x",
    }
    with pytest.raises(LookupError):
        filled(f"{HERE}/items/0/id", {"items": []})


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return create_app(write_site(tmp_path_factory.mktemp("site")).folder).openapi()


def test_links_name_operations_and_parameters_that_there_are(document: dict[str, Any]) -> None:
    told = dict(operations_of(document))
    for name, (_, _, said) in told.items():
        for link, leads in said["responses"]["200"].get("links", {}).items():
            _, _, there = told[leads["operationId"]]
            wanted = {one["name"] for one in there.get("parameters", ())}
            assert set(leads.get("parameters", ())) <= wanted, (name, link)


def test_without_any_key_no_operation_wants_one(document: dict[str, Any]) -> None:
    assert [name for name, (_, _, said) in operations_of(document) if "security" in said] == []
    assert document["components"]["securitySchemes"]["bearerAuth"]["scheme"] == "bearer"
