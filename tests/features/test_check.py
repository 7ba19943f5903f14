"""What `check` tells the owner of the data."""

import csv
import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from features.check import check_site
from features.errors import LotRiskError
from features.findings import render
from features.quarantine import write_quarantine
from tests.small_site import LABEL, RETURNS, read_small, write_site

LATE = """
    return_id,lot_id,occurred_at,reported_at
    R1,L1,2024-04-01 10:00,2024-04-03 10:00
    R2,L1,2024-04-01 10:00,2024-04-11 10:00
    R3,L1,2024-04-01 10:00,2024-07-10 10:00
    R4,L9,2024-04-01 10:00,2024-07-10 10:00
    R5,,2024-04-01 10:00,2024-07-10 10:00
"""


def test_findings_count_date_and_name(tmp_path: Path) -> None:
    reading = read_small(tmp_path, returns=LATE)
    findings = check_site(reading, write_site(tmp_path, returns=LATE))
    returns = findings["tables"]["returns"]
    assert (returns["read"], returns["kept"]) == (5, 3)
    assert (returns["from"], returns["to"]) == ("2024-04-01T10:00:00Z", "2024-07-10T10:00:00Z")
    assert returns["quarantined"]["unknown lot"] == {"count": 1, "example": "return_id R4, row 4"}
    assert returns["share_of_lots"] == 0.5
    assert returns["back_loads"] == {"count": 1, "worst_days": 100.0, "example": "return_id R3"}
    assert findings["reporting_delay_days"] == {"returns": 3, "median": 10.0, "p95": 91.0}
    assert "returns: 2 of 5 rows are in quarantine" in findings["warnings"]
    assert findings["ok"]
    assert json.loads(json.dumps(findings)) == findings


def test_what_is_taken_on_trust_is_said(tmp_path: Path) -> None:
    toml = LABEL + "[decision]\ncost_of_hold = 3\n"
    said = check_site(read_small(tmp_path, toml), write_site(tmp_path, toml))["on_trust"]
    assert "lots: a row counts as known at its produced_at; if it came later, give known_at" in said
    assert "lots.quantity: 2 of 2 rows have none and count as 1" in said
    assert any("nobody stated cost_of_inspection, cost_of_escape, cost_of_escape_per_unit" in one for one in said)
    assert not any(one.startswith("returns: a row counts as known") for one in said)


def test_supplier_tables_reach_lots_through_genealogy(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        genealogy="lot_id,supplier_lot_id\nL1,S1\nL2,S2",
        supplier_lots="supplier_lot_id,supplier_id,material_id,received_at\nS2,V1,M1,2024-02-01\nS3,V1,M1,2024-02-01",
    )
    findings = check_site(reading, write_site(tmp_path))
    assert findings["tables"]["supplier_lots"]["share_of_lots"] == 0.5


def test_a_table_without_a_usable_row_is_not_ok(tmp_path: Path) -> None:
    genealogy = "lot_id,supplier_lot_id\nL9,S1"
    reading = read_small(tmp_path, genealogy=genealogy)
    findings = check_site(reading, write_site(tmp_path))
    assert not findings["ok"]
    assert findings["tables"]["genealogy"]["standing"] == 0
    assert "Not usable: genealogy" in shown(findings)


def shown(findings: dict[str, object], *, width: int = 160) -> str:
    page = StringIO()
    Console(width=width, file=page).print(render(findings))
    return page.getvalue()


def test_the_page_names_what_to_act_on(tmp_path: Path) -> None:
    text = shown(check_site(read_small(tmp_path, returns=LATE), write_site(tmp_path, returns=LATE)))
    for words in ("unknown lot", "return_id R4, row 4", "median of 3", "the worst after 100.0 days", "Usable."):
        assert words in text


def test_names_and_dates_are_whole_on_a_narrow_terminal(tmp_path: Path) -> None:
    genealogy = "lot_id,supplier_lot_id\nL1,S1\nL2,S2"
    supplier_lots = "supplier_lot_id,supplier_id,material_id,received_at\nS1,V1,M1,2024-02-01\nS2,V1,M1,2024-02-01"
    reading = read_small(tmp_path, genealogy=genealogy, supplier_lots=supplier_lots)
    text = shown(check_site(reading, write_site(tmp_path)), width=80)
    (row,) = [line.split() for line in text.splitlines() if line.split()[:1] == ["supplier_lots"]]
    assert row == ["supplier_lots", "2", "2", "2024-02-01", "2024-02-02", "100%"]


def test_the_quarantine_lists_the_rows_as_they_came(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "quarantine"
    reading = read_small(tmp_path / "site", returns=LATE)
    files = write_quarantine({name: report.quarantine for name, report in reading.report.items()}, folder)
    assert [file.name for file in files] == ["returns.csv"] == [file.name for file in folder.iterdir()]
    with files[0].open(newline="", encoding="utf-8") as written:
        rows = list(csv.DictReader(written))
    assert [(row["quarantine_row"], row["quarantine_reason"], row["return_id"], row["lot_id"]) for row in rows] == [
        ("4", "unknown lot", "R4", "L9"),
        ("5", "missing lot_id", "R5", ""),
    ]


def test_a_healed_table_has_no_list_any_more(tmp_path: Path) -> None:
    for returns in (LATE, RETURNS):
        reading = read_small(tmp_path / "site", returns=returns)
        write_quarantine({name: report.quarantine for name, report in reading.report.items()}, tmp_path / "made")
    assert list((tmp_path / "made").iterdir()) == []


def test_a_site_that_cannot_be_read_says_so_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LotRiskError, match="returns: the table is missing"):
        read_small(tmp_path, returns="")


def test_rules_of_the_gate_that_can_hold_no_lot_are_said(tmp_path: Path) -> None:
    customers = "customer_id,hold\nC1,no\n"
    off = '[gate.rules.blocked_supplier_lot]\naction = "off"\ncolumn = "x"\nvalues = ["y"]\n'
    for toml, more, named in (
        (LABEL, {}, ["blocked_supplier_lot", "customer_hold", "overdue_inspection"]),
        (LABEL, {"customers": customers}, ["blocked_supplier_lot", "overdue_inspection"]),
        (LABEL + off + '[gate.rules.overdue_inspection]\nafter = "9d"\n', {}, ["customer_hold"]),
    ):
        folder = tmp_path / str(len(toml) + len(more))
        said = check_site(read_small(folder, toml, **more), write_site(folder, toml, **more))["on_trust"]
        assert [one.split()[1] for one in said if one.startswith("gate: ")] == named


def test_actions_that_nobody_knows_are_named(tmp_path: Path) -> None:
    rows = """
        lot_id,decided_at,action
        L1,2024-04-01 10:00,Scrapped
        L2,2024-04-01 10:00,scraped
    """
    (warning,) = check_site(read_small(tmp_path, dispositions=rows), write_site(tmp_path, dispositions=rows))[
        "warnings"
    ]
    assert warning.startswith("dispositions: 1 of 2 rows have an action that is none of released,")
    assert "like scraped; " in warning
