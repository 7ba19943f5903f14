"""The sites over public data: each reads whole, with the counts its page names, and holds nothing known too late."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from features.asof import FOREVER, Array
from features.histories import Histories
from features.judgements import judge
from features.reading import Reading, read_histories
from features.site import Site, read_site
from features.verdicts import verdicts

LOTRISK = Path(__file__).parents[3] / "shared" / "data"
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TABLETS = ("tablets", "tablets_yield", "tablets_impurities", "tablets_dissolution", "tablets_shuffled")
OUTCOMES = (*TABLETS, "deliveries")
SITES = (*OUTCOMES, "drives")

BATCHES = {
    "lots": 621, "measurements": 23_577, "supplier_lots": 195, "inspections": 1_503, "genealogy": 2_484, "outcomes": 621
}  # fmt: skip
ROWS = dict.fromkeys(TABLETS, BATCHES) | {
    "tablets_yield": BATCHES | {"measurements": 21_714},
    "drives": {"lots": 373, "shipments": 2_404, "supplier_lots": 373, "genealogy": 373, "returns": 3_655},
    "deliveries": {"lots": 7_779, "supplier_lots": 7_779, "genealogy": 7_779, "outcomes": 7_905},
}
FAILED = {
    "tablets": (79, 621),
    "tablets_yield": (85, 621),
    "tablets_impurities": (31, 621),
    "tablets_dissolution": (30, 621),
    "tablets_shuffled": (79, 621),
    "deliveries": (843, 7_769),
}

AFTER_COATING = (
    "fct_", "batch_yield", "dissolution", "drug_release", "resodual", "residual", "impurit", "total_impurit"
)  # fmt: skip
LEAKS = dict.fromkeys(TABLETS, AFTER_COATING) | {
    "tablets_yield": (*AFTER_COATING, "tbl_yield", "total_waste", "startup_waste")
}

pytestmark = pytest.mark.skipif(
    not LOTRISK.is_dir(), reason="the public raw files are not there: no folder shared/data beside the repository"
)


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


NOW = moment("2026-11-22")


@cache
def site_of(name: str) -> Site:
    return read_site(EXPERIMENTS / name, {})


@cache
def reading_of(name: str) -> Reading:
    return read_histories(site_of(name), now=NOW)


def histories_of(name: str) -> Histories:
    return reading_of(name).histories


def last_outcomes(histories: Histories) -> tuple[Array, Array]:
    """Lot codes, and whether each failed, by the last word on it."""
    table = histories["outcomes"]
    last = table.superseded == FOREVER
    return table["lot_id"][last], table["failed"][last]


def produced(histories: Histories) -> Array:
    """By lot code."""
    lots = histories["lots"]
    moments = np.empty(len(lots), dtype=np.int64)
    moments[lots["lot_id"]] = lots["produced_at"]
    return moments


def leaking(histories: Histories, leaks: tuple[str, ...]) -> list[str]:
    """Characteristics measured on lots that begin like a leak."""
    return [name for name in histories.ids["characteristic"].texts if name.lower().startswith(leaks)]


@pytest.mark.parametrize("name", SITES)
def test_every_row_is_used(name: str) -> None:
    reading = reading_of(name)
    assert {table: report.quarantine.counts() for table, report in reading.report.items()} == {
        table: {} for table in ROWS[name]
    }
    assert reading.warnings == ()
    for report in reading.report.values():
        assert (report.duplicates, report.ambiguous, report.skipped, report.future_shipped) == (0, 0, 0, 0)
        assert (report.rounded, report.unusable_attributes, report.ignored, report.warnings) == ({}, {}, (), ())


@pytest.mark.parametrize("name", SITES)
def test_the_counts_are_those_of_the_page(name: str) -> None:
    assert {table: report.kept for table, report in reading_of(name).report.items()} == ROWS[name]


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_failures_are_those_of_the_page(name: str) -> None:
    lot, failed = last_outcomes(histories_of(name))
    assert (failed.sum(), len(np.unique(lot))) == FAILED[name]


@pytest.mark.parametrize("name", OUTCOMES)
def test_no_outcome_is_known_when_its_lot_is_judged(name: str) -> None:
    histories = histories_of(name)
    outcomes = histories["outcomes"]
    assert (outcomes.known > produced(histories)[outcomes["lot_id"]]).all()


@pytest.mark.parametrize("name", SITES)
def test_a_lot_knows_its_own_supplier_lots_when_it_is_judged(name: str) -> None:
    histories, rules = histories_of(name), site_of(name).rules
    known = np.full(len(histories.ids["supplier_lot"]), FOREVER)
    known[histories["supplier_lots"]["supplier_lot_id"]] = histories["supplier_lots"].known
    judged = judge(histories, rules, until=NOW)
    first = np.full(len(histories.ids["lot"]), FOREVER)
    np.minimum.at(first, judged.lot, judged.as_of)
    genealogy = histories["genealogy"]
    assert (known[genealogy["supplier_lot_id"]] < first[genealogy["lot_id"]]).all()


@pytest.mark.parametrize("name", TABLETS)
def test_a_batch_has_all_its_measurements_when_it_is_judged(name: str) -> None:
    histories = histories_of(name)
    measurements = histories["measurements"]
    assert (measurements.known < produced(histories)[measurements["lot_id"]]).all()


@pytest.mark.parametrize("name", TABLETS)
def test_no_leaking_column_is_measured(name: str) -> None:
    assert leaking(histories_of(name), LEAKS[name]) == []


def test_a_leaking_column_is_caught(tmp_path: Path) -> None:
    (tmp_path / "lotrisk.toml").write_text(
        f"[site]\nextends = '{EXPERIMENTS / 'tablets_yield'}'\n"
        "[tables.measurements]\nquery = '''\n"
        "select batch as lot_id, characteristic, produced_at as measured_at, value from in_process join batches "
        "using (batch) union all select batch, 'fct_tensile', produced_at, fct_tensile from batches'''\n"
    )
    histories = read_histories(read_site(tmp_path, {}), now=NOW).histories
    caught = leaking(histories, LEAKS["tablets_yield"])
    assert caught == ["fct_tensile", "startup_waste", "tbl_yield", "total_waste"]
    measurements = histories["measurements"]
    assert not (measurements.known < produced(histories)[measurements["lot_id"]]).all()


def test_an_incoming_test_is_new_to_no_batch_but_the_first_that_shows_it() -> None:
    histories = histories_of("tablets")
    inspections, genealogy = histories["inspections"], histories["genealogy"]
    made = produced(histories)
    hours = 3_600 * 1_000_000
    for lot in np.unique(inspections["supplier_lot_id"]):
        batches = made[genealogy["lot_id"][genealogy["supplier_lot_id"] == lot]]
        known = np.unique(inspections.known[inspections["supplier_lot_id"] == lot])
        assert set(known + 2 * hours) <= set(batches)


def test_shuffling_keeps_the_count_of_each_month_and_moves_the_label() -> None:
    months = {}
    of_batch = {}
    for name in ("tablets", "tablets_shuffled"):
        histories = histories_of(name)
        lot, failed = last_outcomes(histories)
        # A month is known by its order: local months begin an hour or two before those of UTC, batches hours later.
        month = produced(histories)[lot].astype("M8[us]").astype("M8[M]")
        months[name] = {str(at): int(failed[month == at].sum()) for at in np.unique(month)}
        of_batch[name] = dict(zip(histories.ids["lot"].decode(lot), failed.tolist(), strict=True))
    assert months["tablets"] == months["tablets_shuffled"]
    moved = sum(of_batch["tablets"][lot] != of_batch["tablets_shuffled"][lot] for lot in of_batch["tablets"])
    assert moved > 79


def test_a_cohort_holds_nothing_of_what_it_will_become() -> None:
    lots = histories_of("drives")["lots"]
    assert lots.attributes == ("size_tb",)
    assert (lots["quantity"] == 1).all()


def test_cohorts_are_judged_as_often_as_the_page_says() -> None:
    histories, rules = histories_of("drives"), site_of("drives").rules
    judged = judge(histories, rules, until=moment("2015-04-01"))
    failed = verdicts(judged, histories, rules.label, np.full(len(judged), FOREVER)).failed
    assert (len(judged), len(np.unique(judged.lot))) == (748, 120)
    assert (failed == 1).mean() == pytest.approx(0.292, abs=0.001)


def test_a_delivery_holds_nothing_of_what_is_known_when_it_leaves() -> None:
    assert sorted(histories_of("deliveries")["lots"].attributes) == [
        "dosage_form", "first_line", "fulfilled_via", "incoterm", "line_value", "managed_by", "molecule", "pack_price",
        "product_group", "shipment_mode", "sub_classification", "units_per_pack",
    ]  # fmt: skip


def test_a_delivery_recorded_late_counts_as_late_until_then() -> None:
    outcomes = histories_of("deliveries")["outcomes"]
    corrected = outcomes.superseded != FOREVER
    assert corrected.sum() == reading_of("deliveries").report["outcomes"].versions == 136
    assert (outcomes["failed"][corrected] == 1).all()
    again = outcomes["failed"][(outcomes.superseded == FOREVER) & (outcomes.first < outcomes.known)]
    assert (len(again), again.sum()) == (136, 0)


@pytest.mark.parametrize("name", SITES)
def test_every_site_has_its_page(name: str) -> None:
    page = (EXPERIMENTS / name / "README.md").read_text("utf-8")
    assert page.startswith(f"# {name}: ")
    assert "\n## Figures\n" in page
