"""The documents name every route, warning, problem, metric and setting of the service, and no others."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from features.settings import ServingSettings
from features.warnings import CODES
from serving.app import create_app
from serving.metrics import Metrics
from serving.problems import PROBLEMS
from tests.small_site import write_site
from tests.tree import ROOT

API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def section(document: str, title: str) -> str:
    """What stands under a heading of the second level, up to the next."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", document, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    return found[1]


def rows(text: str) -> dict[str, list[str]]:
    """Tables' rows that begin with a name in code, by that name: the further cells."""
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:3] == "| `"]
    return {cells[0].strip("| `"): cells[1:] for cells in found}


def differing(documented: Iterable[str], real: Iterable[str]) -> set[str]:
    return set(documented) ^ set(real)


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return create_app(write_site(tmp_path_factory.mktemp("site")).folder).openapi()


def test_every_route_has_a_heading(openapi: dict) -> None:
    real = [f"{method.upper()} {path}" for path, methods in openapi["paths"].items() for method in methods]
    assert differing(re.findall(r"^### `(.+)`$", API, re.MULTILINE), real) == set()


def test_every_parameter_is_in_the_table_of_its_route(openapi: dict) -> None:
    real = [parameter["name"] for parameter in openapi["paths"]["/v1/lots"]["get"]["parameters"]]
    told = re.search(r"### `GET /v1/lots`\n(.*?)^### ", API, re.MULTILINE | re.DOTALL)
    assert told
    first_cells = " ".join(line.split(" | ")[0] for line in told[1].splitlines() if line.startswith("| `"))
    assert differing(re.findall(r"`(\w+)`", first_cells), real) == set()


def test_every_warning_is_told_as_the_code_tells_it() -> None:
    told = {code: cells[0].removesuffix(" |") for code, cells in rows(section(API, "Warnings")).items()}
    assert told == CODES


def test_every_problem_is_told_with_its_status() -> None:
    told = rows(section(API, "Problems"))
    assert {code: (int(cells[0]), cells[1].removesuffix(" |")) for code, cells in told.items()} == PROBLEMS


def test_every_metric_is_in_operations() -> None:
    text, _ = Metrics().text(Quiet())
    real = re.findall(r"^# TYPE (\w+)", text.decode(), re.MULTILINE)
    assert (
        differing(rows(section(OPERATIONS, "Metrics")), (name for name in real if not name.endswith("_created")))
        == set()
    )


def test_every_setting_of_serving_is_in_operations() -> None:
    table = section(OPERATIONS, "Settings").split("| `[site]`")[0]
    told = {name: cells for name, cells in rows(table).items() if name != "[serving]"}
    assert set(told) == set(ServingSettings.model_fields)
    for name, field in ServingSettings.model_fields.items():
        assert told[name][0].strip("`") == str(field.default), name


@pytest.mark.parametrize("document", [API, OPERATIONS], ids=["api", "operations"])
def test_every_answer_shown_is_json(document: str) -> None:
    for shown in re.findall(r"^```json\n(.*?)^```$", document, re.MULTILINE | re.DOTALL):
        assert isinstance(json.loads(shown), dict), shown


def test_a_name_too_many_or_too_few_is_caught() -> None:
    assert differing(rows("| `a` | 1 |\n| `b` | 2 |"), ["a"]) == {"b"}
    assert differing(rows("| `a` | 1 |"), ["a", "c"]) == {"c"}
    with pytest.raises(AssertionError, match="no section"):
        section("## Here\n", "There")


def test_links_between_documents_lead_somewhere() -> None:
    for path in (Path("README.md"), Path("docs/api.md"), Path("docs/operations.md")):
        text = (ROOT / path).read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", text):
            there = (ROOT / path).parent / target if target else ROOT / path
            assert there.exists(), f"{path}: {target}"
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
            assert not anchor or anchor in {re.sub(r"[^\w-]", "", h.lower().replace(" ", "-")) for h in headings}, (
                anchor
            )


class Quiet:
    """A score log in which nothing waits."""

    waiting = dropped = 0
