"""Records that come with a call of the gate add to what is known of a lot, and take nothing from it."""

from typing import Any

from features.arrivals import DIFFERS
from features.asof import HOUR
from features.card import iso
from features.held import own_row, rows_of_lot
from features.ingest import ingest
from features.stored import open_store
from serving.gate_records import rows_of_record
from tests.serving.counter import LOT, Counter, arrive
from tests.serving.gate_desk import NOW, Row

TABLES = ("measurements", "genealogy")


def known(counter: Counter, table: str) -> list[Row]:
    """The rows of the lot, as the histories hold them."""
    histories = counter.histories
    return rows_of_lot(histories, table, histories.ids["lot"].code(LOT), as_of=counter.now)


def told(counter: Counter, table: str, *names: str) -> list[Row]:
    """The same, as a record tells them, of each only so many fields."""
    return [
        {name: iso(row[name]) if name.endswith("_at") else row[name] for name in names if row[name] is not None}
        for row in known(counter, table)
    ]


def named(counter: Counter) -> Row:
    """The lot with what a record must say of it."""
    own = own_row(counter.histories, counter.histories.ids["lot"].code(LOT), NOW)
    assert own is not None
    return {"lot_id": LOT, "product_id": own["product_id"], "produced_at": iso(own["produced_at"])}


def fold(counter: Counter) -> None:
    counter.now += HOUR
    with open_store(counter.site) as store:
        ingest(store, counter.site, now=counter.now)
    counter.load()


def test_a_record_that_leaves_out_what_is_known_takes_nothing_away(counter: Counter) -> None:
    before = {table: known(counter, table) for table in TABLES}
    measured = told(counter, "measurements", "characteristic", "sample", "measured_at", "value")
    used = told(counter, "genealogy", "supplier_lot_id", "consumed_at")
    assert measured and used
    answer = counter.ask({"lots": [{"lot": named(counter), "measurements": measured, "genealogy": used}]})
    assert "problem" not in answer["results"][0]
    assert [counter.arrived(table) for table in TABLES] == [[], []]
    fold(counter)
    assert {table: known(counter, table) for table in TABLES} == before


def test_a_record_that_says_otherwise_than_is_known_is_refused(counter: Counter) -> None:
    first = told(counter, "measurements", "characteristic", "sample", "measured_at", "value")[0]
    said: Row = {"lot": named(counter), "measurements": [first | {"value": first["value"] + 1}]}
    (result,) = counter.ask({"lots": [said]})["results"]
    assert (result["problem"]["code"], result["decision"]) == ("conflicts_with_history", "cannot_assess")
    assert counter.arrived("measurements") == []
    # Also where the question is about a moment at which the row was not known, so that the answer does not look at it.
    rows, faults = rows_of_record(said, LOT, counter.histories, counter.site, now=NOW)
    assert rows == [] and faults == [f"measurements: the row {DIFFERS}"]


def test_a_row_that_came_before_its_source_was_read_does_not_undo_what_the_source_says(counter: Counter) -> None:
    before: Any = known(counter, "measurements")
    names = ("characteristic", "sample", "measured_at", "value")
    first = told(counter, "measurements", *names)[0]
    arrive(counter, "measurements", {"lot_id": LOT, **first, "value": first["value"] + 1})  # as if nobody had looked
    fold(counter)
    assert known(counter, "measurements") == before
