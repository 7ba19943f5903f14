"""Others' tool against the running service: what its OpenAPI document says is what it does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from threading import Thread

import pytest
import uvicorn
from fastapi import FastAPI, Response

from serving.document import operations_of
from serving.wire import HealthAnswer
from serving.wire_parts import answers
from tests.serving.fitted import copied
from tests.serving.live import Live, serving
from tests.serving.tried import keys_for, known_ids, try_out

Keyed = tuple[Live, dict[str, str], dict[str, list[str]]]

EXAMPLES, SEED = 3, 5
CHECKS = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "object_level_authorization",
}


@pytest.fixture(scope="module")
def keyed(factory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A service, a key of each role, and ids that its histories have."""
    folder = copied(factory, tmp_path_factory.mktemp("tried") / "valves")
    keys, known = keys_for(folder), known_ids(folder)
    with serving(folder, workers=1) as live:
        yield live, keys, known


@pytest.mark.parametrize("role", ["line", "admin"])
def test_the_service_does_what_its_document_says(keyed: Keyed, tmp_path: Path, role: str) -> None:
    live, keys, known = keyed
    tried = try_out(live.url, tmp_path, role=role, key=keys[role], known=known, examples=EXAMPLES, seed=SEED)
    assert tried.passed and tried.failures == 0, tried.said
    assert set(tried.checks) == CHECKS
    assert tried.operations == 19  # all but the promotion
    assert sum(tried.followed.values()) > 0


def test_the_document_wants_a_key_of_every_operation_but_those_of_health(keyed: Keyed) -> None:
    live, keys, _ = keyed
    document = live.client.get("/openapi.json", headers={"Authorization": f"Bearer {keys['line']}"}).json()
    free = [path for _, (_, path, said) in operations_of(document) if said.get("security") != [{"bearerAuth": []}]]
    assert sorted(free) == ["/healthz", "/readyz"]


@pytest.mark.parametrize(("body", "failed"), [(b'{"alive": true}', False), (b'{"alive": "yes"}', True)])
def test_a_service_that_does_something_else_is_caught(tmp_path: Path, body: bytes, failed: bool) -> None:
    with answering(body) as url:
        known = {"lot_id": ["L1"]}
        tried = try_out(url, tmp_path, role="line", key="lr_x_y", known=known, examples=2, seed=SEED)
    assert tried.cases > 0
    assert (tried.passed, tried.failures == 0) == (not failed, not failed), tried.said


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """A service whose document says of its one route that it answers {"alive": true or false}."""
    app = FastAPI()

    @app.get("/healthz", responses=answers(HealthAnswer))
    def healthz() -> Response:
        return Response(body, media_type="application/json")

    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        running = Thread(target=server.run, args=([listening],))
        running.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        running.join()
