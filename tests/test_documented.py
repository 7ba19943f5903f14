"""The documents name every route, warning, problem, metric and setting of the service, and no others."""

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from features.contracts import TABLES
from features.example import EXAMPLE
from features.gate import CAREFUL
from features.gate_settings import STATES, GateSettings
from features.gate_words import RULES
from features.settings import STEADY, DecisionSettings, ServingSettings, SiteSettings
from features.warnings import CODES
from serving.app import create_app
from serving.metrics import Metrics
from serving.problems import PROBLEMS
from serving.roles import ROLE_NAMES
from serving.score_log import MAX_BYTES, MAX_ROWS
from serving.service import HISTORY
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


def of_route(document: str, route: str) -> str:
    """What stands under a route's heading, up to the next."""
    found = re.search(rf"^### `{re.escape(route)}`\n(.*?)(?=^###? |\Z)", document, re.MULTILINE | re.DOTALL)
    assert found, f"no heading {route}"
    return found[1]


def parameters_told(text: str) -> set[str]:
    """Names in the first cells of the table of parameters; one row may tell several."""
    _, _, table = text.partition("| parameter | meaning |\n")
    first_cells = [line.split(" | ")[0] for line in table.split("\n\n")[0].splitlines() if line.startswith("| `")]
    return set(re.findall(r"`(\w+)`", " ".join(first_cells)))


def test_every_parameter_is_in_the_table_of_its_route(openapi: dict) -> None:
    for path, methods in openapi["paths"].items():
        for method, said in methods.items():
            real = {one["name"] for one in said.get("parameters", []) if one["in"] == "query"}
            assert parameters_told(of_route(API, f"{method.upper()} {path}")) == real, path


def test_the_tables_of_parameters_are_read() -> None:
    text = "Words.\n\n| parameter | meaning |\n|---|---|\n| `a`, `b` | `c` |\n| `d` | e |\n\n| `f` | g |\n"
    assert parameters_told(text) == {"a", "b", "d"}
    assert parameters_told("| `a` | b |") == set()


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
    told = settings_told("serving")
    assert set(told) == set(ServingSettings.model_fields)
    for name, field in ServingSettings.model_fields.items():
        assert told[name][0].strip("`") == str(field.default), name


def test_every_setting_of_the_site_is_in_operations() -> None:
    told = settings_told("site")
    assert set(told) == set(SiteSettings.model_fields)
    for name, field in SiteSettings.model_fields.items():
        default = field.default if isinstance(field.default, str) else field.default and json.dumps(field.default)
        assert default is None or told[name][0].strip("`") == default, name


def test_every_setting_of_the_decision_is_in_operations() -> None:
    told = settings_told("decision")
    assert set(told) == set(DecisionSettings.model_fields)
    for name, field in DecisionSettings.model_fields.items():
        if isinstance(field.default, str | int | float):
            shown = float(field.default) if field.annotation is float else field.default
            assert told[name][0].strip("`") == str(shown), name


def test_every_setting_of_the_gate_is_in_operations() -> None:
    default = GateSettings()
    told = settings_told("gate")
    assert list(told) == list(GateSettings.model_fields)
    for name in ("stands_for", "calibrated_for"):
        assert told[name][0].strip("`") == getattr(default, name)
    assert toml(told["expects"][0]) == default.expects
    assert toml(told["degraded"][0]) == default.degraded == {}


def test_every_part_of_the_gates_settings_is_in_operations_with_its_default() -> None:
    default = GateSettings()
    rules = {name: toml(cells[0]) for name, cells in settings_told("gate.rules").items()}
    assert rules == default.rules.model_dump(exclude_none=True)
    authority = {role: toml(cells[0]) for role, cells in settings_told("gate.authority").items()}
    assert authority == {role: default.authority.get(role, []) for role in ROLE_NAMES}
    classes = {name: toml(cells[0]) for name, cells in settings_told("gate.risk_classes").items()}
    assert classes == default.risk_classes.model_dump()


@pytest.mark.parametrize("told", [of_route(API, "POST /v1/gate"), section(OPERATIONS, "The gate")], ids=["api", "ways"])
def test_every_rule_and_state_of_the_gate_is_told(told: str) -> None:
    assert list(rows(table(told, "rule"))) == list(RULES)
    assert list(rows(table(told, "state"))) == list(STATES)


def test_every_answer_of_the_gate_says_what_a_line_does() -> None:
    assert set(CAREFUL) == set(rows(table(section(OPERATIONS, "The gate"), "answer")))


def table(text: str, first: str) -> str:
    """The table whose first column is called so."""
    found = re.search(rf"^\| {first} \|.*?(?=^$|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no table of {first}"
    return found[0]


def toml(cell: str) -> object:
    """A value as it stands in a cell."""
    return tomllib.loads(f"value = {cell.strip('`')}")["value"]


def test_the_tables_that_stale_after_is_about_are_named_wherever_it_is_explained() -> None:
    example = EXAMPLE.partition("# stale_after")[2].partition("# stale_tables")[0]
    for told in (settings_told("serving")["stale_after"][1], example):
        assert {name for name in TABLES if re.search(rf"\b{name}\b", told)} == set(STEADY)


def settings_told(of: str) -> dict[str, list[str]]:
    """The rows of the table of a section's settings."""
    found = re.search(rf"^\| `\[{of}\]` .*?(?=^$)", section(OPERATIONS, "Settings"), re.MULTILINE | re.DOTALL)
    assert found, f"no table of [{of}]"
    return {name: cells for name, cells in rows(found[0]).items() if name != f"[{of}]"}


def test_limits_are_told_as_they_are() -> None:
    assert f"latest {HISTORY} scores" in of_route(API, "GET /v1/lots/{lot_id}")
    assert f"up to {MAX_ROWS:,} scores or {MAX_BYTES // 2**20} MiB" in section(
        OPERATIONS, "What happens when something is gone"
    )


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
