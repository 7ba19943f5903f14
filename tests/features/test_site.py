"""What `lotrisk.toml` says, what it leaves to defaults, and how a wrong one is refused."""

import tomllib
from pathlib import Path

import pytest

from features.asof import DAY, HOUR
from features.errors import SettingsError
from features.example import EXAMPLE, write_example
from features.gate_settings import GateSettings
from features.rules import Costs
from features.settings import Settings
from features.site import Site, read_site
from features.times import written

LABEL = "[label]\nreturned_ppm = 8000\nwithin_days = 180\n"


def site(folder: Path, toml: str, **environ: str) -> Site:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lotrisk.toml").write_text(toml, encoding="utf-8")
    return read_site(folder, environ)


def refusal(folder: Path, toml: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        site(folder, toml, **environ)
    message = str(refused.value)
    assert "\n" not in message
    assert str(folder / "lotrisk.toml") in message
    return message


def test_a_label_is_all_that_must_be_stated(tmp_path: Path) -> None:
    read = site(tmp_path / "tablets", LABEL)
    rules = read.rules
    assert (read.name, read.timezone, read.language) == ("tablets", "UTC", "en")
    assert read.state_dir == tmp_path / "tablets" / ".lotrisk"
    assert read.data == (tmp_path / "tablets" / "data", tmp_path / "tablets")
    assert read.database_url == f"sqlite:///{read.state_dir}/lotrisk.db"
    assert read.tracking_uri == f"sqlite:///{read.state_dir}/mlflow.db"
    assert (rules.label.source, rules.label.returned_ppm) == ("returns", 8000)
    assert (rules.label.within, rules.label.reporting) == (180 * DAY, 30 * DAY)
    decision = rules.decision
    assert (decision.at, decision.again_every, decision.until_age) == ("shipped_at", None, 1095 * DAY)
    assert (decision.min_units, decision.inspection_finds, decision.inspections_per_day) == (1, 0.9, None)
    assert decision.costs == Costs(inspection=400, escape=9000, escape_per_unit=0, hold=1500)
    assert rules.known_until is None


def test_costs_that_nobody_stated_are_named(tmp_path: Path) -> None:
    read = site(tmp_path, LABEL + "[decision]\ncost_of_escape = 1\ncost_of_hold = 2\n")
    assert read.defaults == ("cost_of_inspection", "cost_of_escape_per_unit")


def test_a_tier_has_the_decisions_costs_but_for_its_own(tmp_path: Path) -> None:
    read = site(tmp_path, LABEL + "[decision]\ncost_of_hold = 7\n[decision.tier.A]\ncost_of_escape = 40000\n")
    assert read.rules.decision.tiers == {"A": Costs(inspection=400, escape=40000, escape_per_unit=0, hold=7)}


def test_outcomes_say_it_alone(tmp_path: Path) -> None:
    rule = site(tmp_path, '[label]\nfrom = "outcomes"\n').rules.label
    assert (rule.source, rule.within, rule.returned_ppm) == ("outcomes", 0, 0)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[label]\nfrom = "outcomes"\nwithin_days = 1', "within_days has no meaning"),
        ('[label]\nfrom = "outcomes"\nreturned_ppm = 1', "returned_ppm has no meaning"),
        ('[label]\nfrom = "outcomes"\n[decision]\nagain_every = "90d"', "decision.again_every has no meaning"),
        ("[site]\n", "label.returned_ppm is missing"),
        ("[label]\nreturned_ppm = 5", "label.within_days is missing"),
        ("[label]\nreturned_ppm = -5\nwithin_days = 1", "label.returned_ppm: Input should be greater than 0"),
        ("[label]\ntreatment = 'guess'", "label.treatment: Input should be 'leave_out'"),
        ("[label]\nfrom = 'outcomes'\ntreatment = 'count'", "reads returns as they come in; with from"),
        (LABEL + '[decision]\nagain_every = "often"', '"often" is not a duration like "90d"'),
        (LABEL + "[decision]\nmin_unit = 1", "unknown setting decision.min_unit; did you mean min_units?"),
        (LABEL + "[decision.tier.A]\ncost_of_escap = 1", "did you mean cost_of_escape?"),
        (
            LABEL + "[model]\nparameters = { num_leafs = 7 }",
            "model: unknown parameters.num_leafs; did you mean num_leaves?",
        ),
        (LABEL + "[model]\nparameters = { objective = 'regression' }", "unknown parameters.objective"),
        (LABEL + "[sight]\nname = 'x'", "unknown setting sight; did you mean site?"),
        (LABEL + "[tables.returs]\npath = 'x.csv'", "unknown table tables.returs; did you mean returns?"),
        (LABEL + "[tables.lots]\nfile = 'x.csv'", "unknown setting tables.lots.file"),
        (LABEL + "[tables.lots]\npath = 'x'\nquery = 'y'", "path and query exclude each other"),
        (LABEL + "[tables.lots]\ndatabase = 'crm'", "database needs a query"),
        (LABEL + "[tables.lots]\ndatabase = 'crm'\nquery = 'x'", "which is not under [databases]"),
        (LABEL + "[site]\ntimezone = 'Europe/Lubljana'", "is not an IANA time zone"),
        (LABEL + "[site]\ntimezone = '../etc'", "is not an IANA time zone"),
        (LABEL + "[site]\nlanguage = 'sl'", "site.language: Input should be 'en' or 'zh'"),
        (LABEL + "[site]\nknown_until = 'spring'", 'site.known_until: "spring" is not a time'),
        (LABEL + "[site\n", "line 4"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(tmp_path: Path, toml: str, words: str) -> None:
    assert words in refusal(tmp_path, toml)


def test_young_lots_are_used_where_returns_tell_and_left_out_where_outcomes_do(tmp_path: Path) -> None:
    assert site(tmp_path, LABEL).rules.label.treatment == "correct"
    assert site(tmp_path, f"{LABEL}treatment = 'count'\n").rules.label.treatment == "count"
    assert site(tmp_path, '[label]\nfrom = "outcomes"\n').rules.label.treatment == "leave_out"


def test_a_missing_file_leads_to_init(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file; `lotrisk init"):
        read_site(tmp_path, {})


@pytest.mark.parametrize("stated", ['"2025-04-17"', "2025-04-17", '"2025-04-17 00:00"', "2025-04-16T22:00:00Z"])
def test_known_until_is_the_start_of_its_day(tmp_path: Path, stated: str) -> None:
    read = site(tmp_path, f"[site]\ntimezone = 'Europe/Ljubljana'\nknown_until = {stated}\n{LABEL}")
    assert read.rules.known_until is not None
    assert written(read.rules.known_until) == "2025-04-16T22:00:00Z"


def test_durations_are_days_or_hours(tmp_path: Path) -> None:
    assert site(tmp_path, LABEL + '[decision]\nagain_every = "12h"').rules.decision.again_every == 12 * HOUR


def test_the_environment_overrides_data_and_tracking(tmp_path: Path) -> None:
    read = site(tmp_path, LABEL, LOTRISK_DATA=str(tmp_path / "other"), MLFLOW_TRACKING_URI="http://mlflow:5000")
    assert read.data == (tmp_path / "other",)
    assert read.tracking_uri == "http://mlflow:5000"


def test_secrets_come_from_the_environment_and_are_not_shown(tmp_path: Path) -> None:
    toml = LABEL + '[databases]\ncrm = "postgresql+psycopg://reader:${CRM_PASSWORD}@crm/sales"\n'
    read = site(tmp_path, toml, CRM_PASSWORD="wagtail@1/2")
    assert read.databases == {"crm": "postgresql+psycopg://reader:wagtail%401%2F2@crm/sales"}
    assert "wagtail" not in repr(read)
    assert "needs ${CRM_PASSWORD}; set it in the environment" in refusal(tmp_path, toml)


def test_a_child_has_its_parents_settings_and_a_state_of_its_own(tmp_path: Path) -> None:
    parent = tmp_path / "tablets"
    site(
        parent,
        LABEL + "[site]\nname = 'tablets'\ntimezone = 'Europe/Ljubljana'\ndata = 'raw'\nstate_dir = 'made'\n"
        "database = 'postgresql+psycopg://db/lotrisk'\n[databases]\nerp = 'sqlite:///erp.db'\n"
        "[tables.lots]\nquery = 'select 1'\n[decision]\ncost_of_hold = 7\ncost_of_escape = 8\n",
    )
    child = site(tmp_path / "yield", "[site]\nextends = '../tablets'\n[decision]\ncost_of_escape = 9\n")
    assert (child.name, child.timezone) == ("yield", "Europe/Ljubljana")
    assert child.data == (parent / "raw",)
    assert child.databases == {"erp": f"sqlite:///{parent}/erp.db"}
    assert child.tables["lots"].query == "select 1"
    assert (child.rules.decision.costs.hold, child.rules.decision.costs.escape) == (7, 9)
    assert child.state_dir == tmp_path / "yield" / ".lotrisk"
    assert child.database_url == f"sqlite:///{child.state_dir}/lotrisk.db"


def test_extends_may_chain_but_not_turn_in_a_circle(tmp_path: Path) -> None:
    site(tmp_path / "a", LABEL + "[site]\ntimezone = 'Asia/Shanghai'\n")
    site(tmp_path / "b", "[site]\nextends = '../a'\nlanguage = 'zh'\n")
    last = site(tmp_path / "c", "[site]\nextends = '../b'\n")
    assert (last.timezone, last.language) == ("Asia/Shanghai", "zh")
    (tmp_path / "a" / "lotrisk.toml").write_text("[site]\nextends = '../c'\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="extends leads back to"):
        read_site(tmp_path / "c", {})


def test_a_child_may_ask_in_another_way_than_its_parent(tmp_path: Path) -> None:
    site(
        tmp_path / "returns",
        LABEL + "[decision]\nagain_every = '90d'\n[tables.lots]\npath = 'lots.xlsx'\nsheet = 'Lots'\n",
    )
    child = site(
        tmp_path / "outcomes",
        "[site]\nextends = '../returns'\n[label]\nfrom = 'outcomes'\n[tables.lots]\nquery = 'select 1'\n",
    )
    assert child.rules.label.source == "outcomes"
    assert child.rules.decision.again_every is None
    assert (child.tables["lots"].path, child.tables["lots"].sheet) == (None, None)
    grandchild = site(tmp_path / "again", "[site]\nextends = '../outcomes'\n" + LABEL)
    assert grandchild.rules.label.source == "returns"


def test_the_parents_fault_names_the_parents_file(tmp_path: Path) -> None:
    (tmp_path / "parent").mkdir()
    (tmp_path / "parent" / "lotrisk.toml").write_text("[site]\nzone = 'UTC'\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"parent.lotrisk.toml: unknown setting site.zone"):
        site(tmp_path / "child", "[site]\nextends = '../parent'\n")


def test_the_example_reads_back_and_is_never_written_over(tmp_path: Path) -> None:
    write_example(tmp_path / "plant")
    assert read_site(tmp_path / "plant", {}).name == "plant"
    with pytest.raises(SettingsError, match="is there already"):
        write_example(tmp_path / "plant")


def test_the_example_with_every_line_in_use_reads_too(tmp_path: Path) -> None:
    lines = EXAMPLE.replace('# extends = "../other"', "").replace('# from = "outcomes"', "").splitlines()
    in_use = [line.removeprefix("# ") if _is_setting(line) else line for line in lines]
    read = site(tmp_path, "\n".join(in_use), PASSWORD="x", CRM_PASSWORD="y")
    assert read.rules.decision.tiers["A"].escape == 40000
    assert read.tables["inspections"].sheet == "Results"


def _is_setting(line: str) -> bool:
    return line.startswith("# [") or (line.startswith("# ") and line.removeprefix("# ").split(" = ")[0].isidentifier())


def test_the_example_explains_every_setting() -> None:
    for of, section in Settings.model_fields.items():
        fields = getattr(section.annotation, "model_fields", {})
        for name, field in fields.items():
            assert f"{field.alias or name} = " in EXAMPLE or f"[{of}.{name}" in EXAMPLE


def test_the_example_shows_the_gate_as_it_is_without_it() -> None:
    shown = EXAMPLE.partition("# [gate] ")[2].partition("# [decision.tier")[0]
    lines = ["# [gate]", *shown.splitlines()[1:]]
    said = tomllib.loads("\n".join(line.removeprefix("# ") for line in lines if _is_setting(line)))["gate"]
    assert said.pop("degraded") == {"stale_history": "inspect"}
    assert said["rules"]["overdue_inspection"].pop("after") == "10d"
    assert said == GateSettings().model_dump(exclude_none=True, exclude={"degraded"})
