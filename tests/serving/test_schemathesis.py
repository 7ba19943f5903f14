"""Others' tool against the running service: what its OpenAPI document says is what it does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.fitted import copied
from tests.serving.live import Live, serving
from tests.serving.tried import keys_for, known_ids, try_out

Keyed = tuple[Live, dict[str, str], dict[str, list[str]]]

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
def test_the_service_does_what_its_document_says(keyed: tuple[Live, dict[str, str]], tmp_path: Path, role: str) -> None:
    live, keys, known = keyed
    tried = try_out(live.url, tmp_path, role=role, key=keys[role], known=known, examples=4, seed=5)
    assert tried.passed and tried.failures == 0, tried.said
    assert set(tried.checks) == CHECKS
    assert tried.operations == 19  # all but the promotion
