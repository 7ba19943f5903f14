"""From raw tables to histories: what stands, what is set aside and why."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import FOREVER, NO_TIME
from features.errors import ContractViolation
from features.reading import Reading, histories_of
from features.site import Site, read_site
from features.times import written
from tests.small_site import LABEL, NOW, RETURNS, ids, read_small

OUTCOMES = '[label]\nfrom = "outcomes"\n'


def quarantined(reading: Reading, table: str) -> dict[str, int]:
    return dict(reading.report[table].quarantined)


def moments(values: Any) -> list[str | None]:
    return [written(int(moment)) for moment in values]


def test_every_row_has_two_clocks(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        "[site]\ntimezone = 'Europe/Ljubljana'\n" + LABEL,
        returns="return_id,lot_id,occurred_at,reported_at\nR1,L1,2024-04-01,2024-04-03",
    )
    returns = reading.histories["returns"]
    assert moments(returns["occurred_at"]) == ["2024-03-31T22:00:00Z"]
    assert moments(returns["reported_at"]) == ["2024-04-02T22:00:00Z"]
    assert moments(returns.known) == moments(returns.first) == ["2024-04-03T22:00:00Z"]
    assert returns.superseded.tolist() == [FOREVER]
    assert reading.report["returns"].dates_as_ends == 1


def test_known_at_overrides_the_known_clock_where_it_is_given(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        returns="""
            return_id,lot_id,occurred_at,reported_at,known_at
            R1,L1,2024-04-01 10:00,2024-04-03 12:00,2024-05-01
            R2,L1,2024-04-01 10:00,2024-04-03 12:00,
        """,
    )
    assert moments(reading.histories["returns"].known) == ["2024-05-02T00:00:00Z", "2024-04-03T12:00:00Z"]
    assert reading.report["returns"].known_from == "known_at"


def test_ids_share_a_vocabulary_over_all_tables(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        genealogy="lot_id,supplier_lot_id\nL1,S9\nL2,S1",
        supplier_lots="supplier_lot_id,supplier_id,material_id,received_at\nS1,V1,M1,2024-02-01",
    )
    assert reading.histories.ids["supplier_lot"].texts == ["S1", "S9"]
    assert ids(reading, "supplier_lots", "supplier_lot_id", "supplier_lot") == ["S1"]


def test_genealogy_without_a_time_is_known_when_its_lot_is(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path, genealogy="lot_id,supplier_lot_id,consumed_at\nL1,S1,\nL1,S2,2024-02-29 06:00\nL2,S1,2024-02-28"
    )
    genealogy = reading.histories["genealogy"]
    assert moments(genealogy["consumed_at"]) == [None, "2024-02-29T06:00:00Z", "2024-02-28T00:00:00Z"]
    assert moments(genealogy.known) == ["2024-03-01T08:00:00Z", "2024-02-29T06:00:00Z", "2024-02-29T00:00:00Z"]


def test_a_timeless_table_was_always_known(tmp_path: Path) -> None:
    reading = read_small(tmp_path, customers="customer_id,tier,country\nC1,A,SI")
    customers = reading.histories["customers"]
    assert customers.known.tolist() == customers.first.tolist() == [NO_TIME]
    assert customers.attributes == ("country",)


def test_extra_columns_are_attributes_of_lots_and_ignored_elsewhere(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        lots="lot_id,product_id,produced_at,press,speed\nL1,P1,2024-03-01,B,1.5\nL2,P1,2024-03-01,,2",
        returns="return_id,lot_id,occurred_at,reported_at,clerk\nR1,L1,2024-04-01,2024-04-03,Ana",
    )
    lots = reading.histories["lots"]
    assert lots.attributes == ("press", "speed")
    assert lots.texts["press"].decode(lots["press"]) == ["B", None]
    assert lots.texts["speed"].decode(lots["speed"]) == ["1.5", "2"]
    assert reading.report["returns"].ignored == ("clerk",)
    assert not reading.histories["returns"].has("clerk")


def test_attributes_with_a_type_of_their_own_are_numbers(tmp_path: Path) -> None:
    lots = lots_of(tmp_path, speed=pa.array([1.5, np.inf]), night=pa.array([True, None]))
    assert lots.histories["lots"]["night"].tolist()[:1] == [1.0]
    assert np.isnan(lots.histories["lots"]["speed"][1])
    assert lots.report["lots"].unusable_attributes == {"speed": 1}


def lots_of(folder: Path, **columns: Any) -> Reading:
    lots = {"lot_id": ["L1", "L2"], "product_id": ["P1", "P1"], "produced_at": ["2024-03-01", "2024-03-02"]}
    returns = {"return_id": [1.0], "lot_id": ["L1"], "occurred_at": ["2024-04-01"], "reported_at": ["2024-04-02"]}
    return histories_of({"lots": pa.table(lots | columns), "returns": pa.table(returns)}, plain(folder), now=NOW)


def plain(folder: Path, toml: str = LABEL) -> Site:
    (folder / "lotrisk.toml").write_text(toml, encoding="utf-8")
    return read_site(folder, {})


def test_a_whole_number_as_id_has_no_decimal_point(tmp_path: Path) -> None:
    reading = lots_of(tmp_path, product_id=pa.array([5.0, None]))
    assert reading.histories.ids["return"].texts == ["1"]
    assert ids(reading, "lots", "product_id", "product") == ["5"]
    assert reading.report["lots"].quarantined == {"missing product_id": 1}


def test_a_column_that_is_no_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractViolation, match=r"lots\.tests: its type list"):
        lots_of(tmp_path, tests=pa.array([[1.5], []]))


def test_units_are_whole_and_default_to_one(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        lots="""
            lot_id,product_id,produced_at,quantity
            L1,P1,2024-03-01,2.5
            L2,P1,2024-03-01,3.5
            L3,P1,2024-03-01,
            L4,P1,2024-03-01,1e3
        """,
    )
    assert reading.histories["lots"]["quantity"].tolist() == [2, 4, 1, 1000]
    assert reading.report["lots"].rounded == {"quantity": 2}
    assert reading.report["lots"].defaulted == {"quantity": 1}
    assert reading.histories["returns"]["quantity"].tolist() == [1]


def test_a_shipment_to_come_is_a_plan(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        lots="lot_id,product_id,produced_at,shipped_at\nL1,P1,2024-03-01,2024-03-05\nL2,P1,2024-03-01,2031-01-01",
    )
    lots = reading.histories["lots"]
    assert moments(lots["shipped_at"]) == ["2024-03-05T00:00:00Z", None]
    assert moments(lots["shipped_at known"]) == ["2024-03-06T00:00:00Z", None]
    assert reading.report["lots"].future_shipped == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",L1,2024-04-01,2024-04-03,1", "no key"),
        ("R2,,2024-04-01,2024-04-03,1", "missing lot_id"),
        ("R2,L9,2024-04-01,2024-04-03,1", "unknown lot"),
        ("R2,L1,,2024-04-03,1", "impossible time in occurred_at"),
        ("R2,L1,2024-04-01,April,1", "impossible time in reported_at"),
        ("R2,L1,2024-04-01 10:00,2024-04-01 09:59,1", "known before it happened"),
        ("R2,L1,2024-04-01,2024-04-03,-1", "negative quantity"),
        ("R2,L1,2024-04-01,2024-04-03,two", "no number in quantity"),
        ("R2,L1,2024-04-01,2024-04-03,NaN", "no number in quantity"),
        ("R2,L1,2024-04-01,2024-04-03,1e300", "no number in quantity"),
        ('R2,L1,2024-04-01,2024-04-03,"1,5"', "no number in quantity"),
    ],
)
def test_a_row_that_cannot_be_used_is_set_aside_with_its_reason(tmp_path: Path, row: str, reason: str) -> None:
    good = "R1,L1,2024-04-01,2024-04-03,2"
    reading = read_small(
        tmp_path,
        returns=f"return_id,lot_id,occurred_at,reported_at,quantity\n{good}\n{row}\nR3,L1,2024-04-01,2024-04-01,1",
    )
    assert quarantined(reading, "returns") == {reason: 1}
    report = reading.report["returns"]
    assert report.read == report.kept + report.duplicates + len(report.quarantine) == 3
    assert report.quarantine.example(reason).endswith("row 2")
    assert ids(reading, "returns", "return_id", "return") == ["R1", "R3"]


def test_shipments_may_be_negative_but_must_have_a_quantity(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        shipments="shipment_id,lot_id,shipped_at,quantity\nS1,L1,2024-03-05,-3\nS2,L1,2024-03-05,\nS3,L1,2024-03-05,9",
    )
    assert reading.histories["shipments"]["quantity"].tolist() == [-3, 9]
    assert quarantined(reading, "shipments") == {"missing quantity": 1}


def test_an_inspection_needs_its_result(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        inspections="""
            supplier_lot_id,inspected_at,characteristic,sample_size,defects,value
            S1,2024-02-01,,50,1,
            S1,2024-02-01,water,,,4.2
            S1,2024-02-01,ash,50,,
            S1,2024-02-02,ash,50,-1,
        """,
    )
    assert quarantined(reading, "inspections") == {
        "missing sample_size and defects, or value": 1,
        "negative defects": 1,
    }
    assert reading.histories["inspections"]["characteristic"].tolist() == [-1, 1]
    assert reading.histories["inspections"]["sample_size"].tolist() == [50, -1]


def test_flags_are_words_or_digits(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        OUTCOMES,
        lots="lot_id,product_id,produced_at\n" + "".join(f"L{n},P1,2024-03-01\n" for n in range(5)),
        outcomes="lot_id,failed,known_at\nL0,0,2024-05-01\nL1,TRUE,2024-05-01\nL2,1.0,2024-05-01\nL3,2,2024-05-01\n"
        "L4,,2024-05-01",
    )
    assert reading.histories["outcomes"]["failed"].tolist() == [0, 1, 1]
    assert quarantined(reading, "outcomes") == {"no number in failed": 1, "missing failed": 1}


def test_a_correction_stands_from_when_it_was_known(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        returns="""
            return_id,lot_id,occurred_at,reported_at,quantity
            R1,L1,2024-04-01,2024-04-03,5
            R1,L2,2024-04-01,2024-04-09,7
        """,
    )
    returns = reading.histories["returns"]
    assert ids(reading, "returns", "lot_id", "lot") == ["L1", "L2"]
    assert moments(returns.first) == ["2024-04-04T00:00:00Z"] * 2
    assert returns.superseded.tolist() == [returns.known[1], FOREVER]
    assert reading.report["returns"].versions == 1


def test_a_deletion_needs_its_key_and_known_time_only(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        returns="""
            return_id,lot_id,occurred_at,reported_at,known_at,deleted
            R1,L1,2024-04-01,2024-04-03,,
            R1,,,,2024-05-01,true
            R2,,,,,1
            R3,L1,2024-04-01,2024-04-03,,perhaps
        """,
    )
    returns = reading.histories["returns"]
    assert moments(returns.superseded) == ["2024-05-02T00:00:00Z"]
    assert reading.report["returns"].deletions == 1
    assert quarantined(reading, "returns") == {
        "neither true nor false in deleted": 1,
        "impossible time in reported_at": 1,
    }


def test_repeated_rows_collapse_and_contradictions_are_set_aside(tmp_path: Path) -> None:
    reading = read_small(
        tmp_path,
        returns="""
            return_id,lot_id,occurred_at,reported_at,failure_mode
            R1,L1,2024-04-01,2024-04-03,leak
            R1,L1,2024-04-01,2024-04-03,leak
            R2,L1,2024-04-01,2024-04-03,leak
            R2,L1,2024-04-01,2024-04-03,noise
        """,
    )
    assert ids(reading, "returns", "return_id", "return") == ["R1"]
    assert reading.report["returns"].duplicates == 1
    assert quarantined(reading, "returns") == {"differs from another row with the same key and known time": 2}


def test_a_late_lot_heals_its_rows(tmp_path: Path) -> None:
    genealogy = "lot_id,supplier_lot_id\nL1,S1\nL3,S1"
    assert quarantined(read_small(tmp_path, genealogy=genealogy), "genealogy") == {"unknown lot": 1}
    lots = "lot_id,product_id,produced_at\nL1,P1,2024-03-01\nL3,P1,2024-03-09"
    assert quarantined(read_small(tmp_path, lots=lots, genealogy=genealogy), "genealogy") == {}


@pytest.mark.parametrize(
    ("toml", "tables", "words"),
    [
        (LABEL, {"lots": ""}, "lots: the table is missing"),
        (LABEL, {"returns": ""}, "returns: the table is missing"),
        (OUTCOMES, {}, "outcomes: the table is missing"),
        (LABEL, {"returns": "return_id,lot_id,occurred_at,reported_at"}, "returns: the table has 0 rows"),
        (
            LABEL,
            {"lots": "lot,product_id,produced_at\nL1,P1,2024-03-01"},
            "lots.lot_id: the column is missing, 3 found",
        ),
        (LABEL, {"customers": "name,tier\nx,A"}, "customers.customer_id: the column is missing"),
        (LABEL, {"inspections": "supplier_lot_id,inspected_at,defects\nS1,2024-02-01,1"}, "inspections: neither"),
        (
            LABEL,
            {"returns": RETURNS.replace("L1", "L9")},
            "none of 1 rows is usable, 1 for: unknown lot (first: return_id",
        ),
        (LABEL, {"lots": "lot_id,product_id,produced_at\nL1,P1,March"}, "lots: none of 1 rows is usable"),
    ],
)
def test_what_cannot_be_done_without_stops_the_job(
    tmp_path: Path, toml: str, tables: dict[str, str], words: str
) -> None:
    with pytest.raises(ContractViolation) as refused:
        read_small(tmp_path, toml, **tables)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_empty_optional_table_is_a_warning(tmp_path: Path) -> None:
    reading = read_small(tmp_path, customers="customer_id", genealogy="lot_id,supplier_lot_id\nL9,S1")
    assert reading.warnings == ("customers is empty and was left out", "genealogy has no usable row and was left out")
    assert set(reading.histories.tables) == {"lots", "returns"}
    assert quarantined(reading, "genealogy") == {"unknown lot": 1}


def plainly(reading: Reading) -> dict[str, Any]:
    """Everything in the histories, as sets of plain rows."""
    found = {}
    for name, table in reading.histories.tables.items():
        columns = [table.columns[column].tolist() for column in sorted(table.columns)]
        rows = zip(*columns, table.first.tolist(), table.known.tolist(), table.superseded.tolist(), strict=True)
        found[name] = (sorted(map(repr, rows)), sorted(table.columns))
    return found


DAYS = st.sampled_from([None, "", "2024-03-01", "2024-03-01 12:00", "2024-03-02", "x"])
AMOUNTS = st.sampled_from(["1", "-2", "", None])
IDS = st.sampled_from(["L1", "L2", "L3", "", None])


def table_of(rows: list[tuple[Any, ...]], *names: str) -> "pa.Table":
    return pa.table({name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(names)})


@settings(max_examples=60, deadline=None)
@given(
    lots=st.lists(st.tuples(IDS, st.sampled_from(["P1", "P2"]), DAYS, DAYS), max_size=6),
    parts=st.lists(st.tuples(IDS, st.sampled_from(["S1", "S2", None]), DAYS, AMOUNTS), max_size=8),
    back=st.lists(st.tuples(st.sampled_from(["R1", "R2"]), IDS, DAYS, DAYS, st.sampled_from(["true", ""])), max_size=8),
    data=st.data(),
)
def test_row_order_does_not_change_the_histories(
    tmp_path_factory: pytest.TempPathFactory,
    lots: list[Any],
    parts: list[Any],
    back: list[Any],
    data: st.DataObject,
) -> None:
    site = plain(tmp_path_factory.mktemp("site"))
    sure = (("L0", "P0", "2024-03-01", None), ("R0", "L0", "2024-03-01", "2024-03-01", None))
    readings = []
    for shuffle in (list, lambda rows: data.draw(st.permutations(rows))):
        raw = {
            "lots": table_of(shuffle([sure[0], *lots]), "lot_id", "product_id", "produced_at", "shipped_at"),
            "returns": table_of(
                shuffle([sure[1], *back]), "return_id", "lot_id", "occurred_at", "reported_at", "deleted"
            ),
        }
        if parts:
            raw["genealogy"] = table_of(shuffle(parts), "lot_id", "supplier_lot_id", "consumed_at", "quantity")
        readings.append(histories_of(raw, site, now=NOW))
    assert plainly(readings[0]) == plainly(readings[1])
    assert {name: report.quarantined for name, report in readings[0].report.items()} == {
        name: report.quarantined for name, report in readings[1].report.items()
    }
    for report in readings[0].report.values():
        assert report.read == report.kept + report.duplicates + len(report.quarantine)
