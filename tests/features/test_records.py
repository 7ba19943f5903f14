"""A lot told with the question is scored as one that the tables hold."""

from random import Random
from typing import Any

import numpy as np
import pytest

from features.asof import NO_TIME
from features.build import build_features, choose_layout
from features.card import iso
from features.contracts import TABLES
from features.histories import Histories
from features.judgements import there
from features.record_rows import BadRecord
from features.records import Record, read_record, told_of
from features.score import question
from tests.tiny_site import Row, Rows, day, histories, plain_site, rules, tiny_site

AS_OF = day(300)
SECTIONS = ("measurements", "genealogy")
LOT = {"lot_id": "L", "product_id": "P", "produced_at": "2020-03-01T00:00:00Z", "quantity": 3}


def sent(rows: Rows, lot: str) -> dict[str, Any]:
    """The record of a lot: its rows as they would be sent."""
    (own,) = [row for row in rows["lots"] if row["lot_id"] == lot]
    return {"lot": written(own)} | {
        table: [written(row) for row in rows.get(table, ()) if row["lot_id"] == lot] for table in SECTIONS
    }


def written(row: Row) -> dict[str, Any]:
    return {
        name: iso(value) if name.endswith("_at") and value is not None else value
        for name, value in row.items()
        if value is not None
    }


def vectors(told: Histories, base: Histories, as_of: int, *, of: list[str] | None = None, records: Any = ()) -> Any:
    read = [read_record(record, told, as_of=as_of, timezone="UTC") for record in records]
    codes = [told.ids["lot"].code(lot) for lot in of or ()] + [record.code for record in read]
    first = len(of or ())
    with_records = told_of((first + place, record) for place, record in enumerate(read))
    judged = question(told, np.array(codes, np.int64), np.full(len(codes), as_of), told=with_records)
    return build_features(judged, told, choose_layout(base, as_of, rules=rules()))


@pytest.mark.parametrize("seed", range(12))
def test_a_record_of_a_lot_that_the_tables_hold_changes_no_bit(seed: int) -> None:
    rows = plain_site(Random(seed))
    told = histories(rows, rules())
    lots = [row["lot_id"] for row in rows["lots"]]
    codes = np.array([told.ids["lot"].code(lot) for lot in lots])
    known = [
        lot for lot, is_there in zip(lots, there(told, codes, np.full(len(codes), AS_OF)), strict=True) if is_there
    ]
    by_id = vectors(told, told, AS_OF, of=known).matrix
    by_record = vectors(told, told, AS_OF, records=[sent(rows, lot) for lot in known]).matrix
    assert known and np.array_equal(by_id, by_record, equal_nan=True)


@pytest.mark.parametrize("seed", range(12))
def test_a_record_of_a_lot_that_no_table_holds_is_scored_as_if_they_did(seed: int) -> None:
    rows = plain_site(Random(seed), lots=25)
    own = ("lots", "measurements", "genealogy")
    # A checked lot has not shipped, and nothing came of it.
    lot = max(rows["lots"], key=lambda row: row["produced_at"])["lot_id"]
    for table, held in rows.items():
        if table not in own and "lot_id" in TABLES[table].key + tuple(column.name for column in TABLES[table].columns):
            rows[table] = [row for row in held if row["lot_id"] != lot]
    for row in rows["lots"]:
        row["shipped_at"] = None if row["lot_id"] == lot else row["shipped_at"]
    without = {table: [row for row in held if table not in own or row["lot_id"] != lot] for table, held in rows.items()}
    full, part = histories(rows, rules()), histories(without, rules())
    as_of = day(420)
    expected = vectors(full, full, as_of, of=[lot])
    found = vectors(part, full, as_of, records=[sent(rows, lot)])
    differ = [
        n for n, a, b in zip(expected.names, expected.matrix[0], found.matrix[0], strict=True) if a != b and a == a
    ]
    assert differ == []
    assert np.array_equal(np.isnan(expected.matrix), np.isnan(found.matrix))


def read(record: dict[str, Any], *more: dict[str, Any], as_of: int = AS_OF, **tables: list[Row]) -> Record:
    lots = [{"lot_id": "M", "product_id": "P", "produced_at": day(1), "quantity": 3, "colour": "red"}, *more]
    returned = {"return_id": "R", "lot_id": "M", "occurred_at": day(5), "reported_at": day(8)}
    told = histories({"lots": lots, "returns": [returned], **tables}, rules())
    return read_record(record, told, as_of=as_of, timezone="Europe/Ljubljana")


def refused(record: dict[str, Any], **more: Any) -> tuple[str, str]:
    with pytest.raises(BadRecord) as wrong:
        read(record, **more)
    return wrong.value.code, str(wrong.value)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"lot": None}, "lot must be an object, found nothing"),
        ({"lots": {}}, "unknown field lots; did you mean lot?"),
        ({"lot": LOT | {"product_id": None}}, "lot.product_id is missing"),
        ({"lot": LOT | {"product_id": 1.5}}, "lot.product_id must be a text"),
        ({"lot": LOT | {"lot_id": "  "}}, "lot.lot_id is missing"),
        ({"lot": LOT | {"produced_at": 20200301}}, "must be a time like"),
        ({"lot": LOT | {"produced_at": "2020-02-30T00:00:00Z"}}, "is no time like"),
        ({"lot": LOT | {"produced_at": "0001-01-01T00:00:00Z"}}, "is no time like"),
        ({"lot": LOT | {"produced_at": "\ud800"}}, "is no time like"),
        ({"lot": {"quantity": -1} | LOT | {"quantity": -1, "product_id": 1.5}}, "lot.product_id must be a text"),
        ({"lot": {"produced_at": 3, "quantity": -1}}, "lot.lot_id is missing"),
        ({"lot": LOT | {"known_at": "2020-02-29T23:59:59Z"}}, "lot.known_at is before produced_at"),
        ({"lot": {"deleted": True} | LOT}, "what is, not what is gone"),
        ({"lot": LOT | {"quantity": -1}}, "cannot be negative"),
        ({"lot": LOT | {"quantity": True}}, "must be a number, found a truth value"),
        ({"lot": LOT | {"quantity": 1e30}}, "more than 1e+12 units"),
        ({"lot": LOT | {"colur": "red"}}, "did you mean colour?"),
        ({"lot": LOT | {"colour": ["red"]}}, "lot.colour must be a text, found a list"),
        ({"lot": LOT | {"colour": "\ud800"}}, "a character that is none"),
        ({"lot": LOT | {"colour": "x" * 1001}}, "1001 characters"),
        ({"measurements": {}}, "measurements must be a list"),
        ({"measurements": [3]}, "measurements[0] must be an object, found a number"),
        ({"genealogy": [{"supplier_lot_id": "U", "lot_id": "K"}]}, "the record is of 'L'"),
        ({"genealogy": [{"supplier_lot_id": "U", "quantity": 1}, {"supplier_lot_id": "U"}]}, "says something else"),
    ],
)  # fmt: skip
def test_a_bad_record_is_named(change: dict[str, Any], word: str) -> None:
    code, detail = refused({"lot": LOT} | change)
    assert code == "invalid_record" and word in detail, detail


def test_a_lot_that_is_not_produced_yet_is_no_question() -> None:
    assert refused({"lot": LOT}, as_of=day(59))[0] == "not_produced"
    assert read({"lot": LOT}, as_of=day(60)).own is not None


KNOWN = {"lot_id": "M", "product_id": "P", "produced_at": "2020-01-02T00:00:00Z"}


def test_a_known_lot_is_taken_from_the_histories_and_may_not_be_contradicted() -> None:
    assert read({"lot": KNOWN | {"quantity": 3, "colour": "red"}}).own is None
    assert read({"lot": KNOWN | {"line_id": None}}).own is None
    for wrong in ({"colour": "blue"}, {"quantity": 4}, {"product_id": "Q"}, {"line_id": "N"}):
        code, detail = refused({"lot": KNOWN | wrong})
        assert code == "conflicts_with_history" and f"lot.{next(iter(wrong))}" in detail


def test_rows_that_the_histories_hold_are_not_counted_twice() -> None:
    held = {"lot_id": "M", "characteristic": "width", "measured_at": day(2), "value": 5.0}
    mine = {"characteristic": "width", "measured_at": "2020-01-03T00:00:00Z", "value": 5.0}
    assert read({"lot": KNOWN, "measurements": [mine]}, measurements=[held]).measured == []
    other = mine | {"measured_at": "2020-01-04T00:00:00Z"}
    assert len(read({"lot": KNOWN, "measurements": [mine, other]}, measurements=[held]).measured) == 1
    record = {"lot": KNOWN, "measurements": [mine | {"value": 6.0}]}
    assert refused(record, measurements=[held])[0] == "conflicts_with_history"


def test_measurements_not_known_before_as_of_are_counted_and_not_used() -> None:
    at = {"characteristic": "width", "measured_at": iso(AS_OF), "value": 5.0}
    before = at | {"measured_at": iso(AS_OF - 1)}
    found = read({"lot": LOT, "measurements": [at, before, before]})
    assert (len(found.measured), found.late) == (1, 1)


def test_a_date_is_known_at_its_local_end() -> None:
    on = {"characteristic": "width", "measured_at": "2020-06-01", "value": 5.0}
    end = day(152) + 22 * 3_600_000_000  # midnight in Ljubljana
    assert read({"lot": LOT, "measurements": [on]}, as_of=end).late == 1
    assert read({"lot": LOT, "measurements": [on]}, as_of=end + 1).late == 0


def test_what_a_row_says_of_when_it_was_known_holds_wherever_it_stands() -> None:
    at = {"characteristic": "width", "measured_at": iso(AS_OF - 2), "value": 5.0}
    for known, late in ((iso(AS_OF), 1), (iso(AS_OF - 1), 0), (None, 0)):
        for row in ({"known_at": known} | at, at | {"known_at": known}):
            assert read({"lot": LOT, "measurements": [row]}).late == late


def test_an_attribute_may_have_any_name() -> None:
    strange = {"lot_id": "N", "product_id": "P", "produced_at": day(1), "known": "red", "None": "x"}
    own = read({"lot": LOT | {"known": "blue", "None": "y"}}, strange).own
    assert own is not None and (own["known"], own["None"], own["known_at"]) == ("blue", "y", day(60))


def test_genealogy_without_a_time_is_always_part_of_the_question() -> None:
    supplies = [{"supplier_lot_id": "U", "supplier_id": "S", "material_id": "X", "received_at": day(1)}]
    timed = {"supplier_lot_id": "U", "consumed_at": iso(AS_OF)}
    found = read({"lot": LOT, "genealogy": [{"supplier_lot_id": "U"}, timed]}, supplier_lots=supplies)
    assert [(code, consumed) for code, _, consumed, _ in found.used] == [(0, NO_TIME)]


def test_records_and_ids_stand_beside_each_other() -> None:
    rows = tiny_site(Random(3), lots=15)
    told = histories(rows, rules())
    lots = [
        lot for lot in told.ids["lot"].texts if there(told, np.array([told.ids["lot"].code(lot)]), np.array([AS_OF]))
    ]
    new = {"lot": LOT | {"colour": "red", "temperature": 151.5, "customer_id": "C0"}}
    mixed = vectors(told, told, AS_OF, of=lots, records=[new]).matrix
    assert np.array_equal(mixed[:-1], vectors(told, told, AS_OF, of=lots).matrix, equal_nan=True)
    assert np.array_equal(mixed[-1:], vectors(told, told, AS_OF, records=[new]).matrix, equal_nan=True)


def test_names_that_no_table_holds_are_named_and_late_genealogy_is_counted() -> None:
    supplies = [{"supplier_lot_id": "U", "supplier_id": "S", "material_id": "X", "received_at": day(1)}]
    late = {"supplier_lot_id": "U", "consumed_at": iso(AS_OF)}
    measured = {"characteristic": "widht", "measured_at": iso(AS_OF - 1), "value": 5.0}
    record = {"lot": LOT, "genealogy": [{"supplier_lot_id": "NOPE"}, late], "measurements": [measured]}
    found = read(record, supplier_lots=supplies)
    assert found.unknown == ["characteristic widht", "supplier lot NOPE"]
    assert found.late_uses == 1


def outcome(record: dict[str, Any], told: Histories, as_of: int) -> Any:
    try:
        return read_record(record, told, as_of=as_of, timezone="UTC")
    except BadRecord as bad:
        return bad.code, str(bad)


@pytest.mark.parametrize("seed", range(25))
def test_what_is_known_later_changes_nothing_of_a_record(seed: int) -> None:
    random = Random(seed)
    rows = tiny_site(random, lots=15)
    told, as_of = histories(rows, rules()), day(random.randint(60, 400))
    past = told.known_before(as_of)
    outcomes = []
    asked = [row for row in rows["lots"] if not row.get("deleted") and row["produced_at"] != as_of]
    for row in asked:  # one produced at that very moment is the question, known or not
        record: dict[str, Any] = {"lot": written({k: v for k, v in row.items() if k != "known_at"})}
        for table in SECTIONS:
            own = [one for one in rows.get(table, ()) if one["lot_id"] == row["lot_id"] and not one.get("deleted")]
            by_key = {tuple(one.get(name) for name in TABLES[table].key): one for one in own}
            record[table] = [written({k: v for k, v in one.items() if k != "known_at"}) for one in by_key.values()]
        outcomes.append(outcome(record, told, as_of))
        assert outcomes[-1] == outcome(record, past, as_of)
    assert any(isinstance(found, Record) for found in outcomes)


def test_a_row_that_becomes_known_later_is_the_records_own() -> None:
    told_later = {"lot_id": "M", "characteristic": "width", "measured_at": day(2), "value": 5.0, "known_at": AS_OF}
    mine = {"characteristic": "width", "measured_at": "2020-01-03T00:00:00Z", "value": 6.0}
    assert len(read({"lot": KNOWN, "measurements": [mine]}, measurements=[told_later]).measured) == 1
    code, _ = refused({"lot": KNOWN, "measurements": [mine]}, measurements=[told_later], as_of=AS_OF + 1)
    assert code == "conflicts_with_history"


def test_late_measurements_are_counted_whether_the_histories_hold_them_or_not() -> None:
    held = {"lot_id": "M", "characteristic": "width", "measured_at": AS_OF, "value": 5.0}
    mine = {"characteristic": "width", "measured_at": iso(AS_OF), "value": 5.0}
    assert read({"lot": KNOWN, "measurements": [mine]}, measurements=[held]).late == 1


def test_a_record_need_not_say_all_that_the_histories_say() -> None:
    held = {"lot_id": "M", "characteristic": "width", "measured_at": day(2), "sample": "1", "value": 5.0}
    held |= {"lower_spec": 1.0, "upper_spec": 9.0}
    mine = {"characteristic": "width", "measured_at": "2020-01-03T00:00:00Z", "value": 5.0}
    assert read({"lot": KNOWN, "measurements": [mine]}, measurements=[held]).measured == []
    code, detail = refused({"lot": KNOWN, "measurements": [mine | {"value": 6.0}]}, measurements=[held])
    assert code == "conflicts_with_history" and "value 5.0" in detail and "value 6.0" in detail
