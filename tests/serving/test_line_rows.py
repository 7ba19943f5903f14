"""A line tells what is new: it makes no known lot another's, and neither changes nor takes back what holds one."""

import json
from typing import Any

import pytest

from features.asof import HOUR
from features.card import iso
from features.held import own_row, rows_of_lot
from serving.access import Caller
from tests.serving.counter import ADMIN, LINE, LOT, QUALITY, Counter, arrive
from tests.serving.gate_desk import NOW, Row, rules


def send(counter: Counter, *rows: Row, caller: Caller = LINE, table: str = "lots") -> Any:
    body = json.dumps({"rows": rows}).encode()
    said = counter.service.arriving.take(table, body, media_type="application/json", key=None, caller=caller)
    counter.load()
    return said


def known(counter: Counter, **more: Any) -> Row:
    """The lot's row as it stands, changed: a version of later."""
    own = own_row(counter.histories, counter.histories.ids["lot"].code(LOT), counter.now)
    assert own is not None and own["customer_id"] and own["product_id"]
    told = {name: own[name] for name in ("lot_id", "product_id", "customer_id", "line_id")}
    return {**told, "produced_at": iso(own["produced_at"]), "known_at": iso(NOW - 1), **more}


def on_hold(counter: Counter) -> None:
    name = known(counter)["customer_id"]
    arrive(counter, "customers", {"customer_id": name, "tier": "A", "hold": "yes", "known_at": iso(NOW - HOUR)})
    counter.load()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"customer_id": "C99"}, "says customer_id C99, of a lot that is known with "),
        ({"customer_id": None}, "says customer_id None"),
        ({"product_id": "P99"}, "says product_id P99"),
        ({"deleted": True}, "takes back a row of lots"),
    ],
    ids=str,
)
def test_a_line_does_not_say_whose_or_what_a_known_lot_is(counter: Counter, changed: Row, why: str) -> None:
    on_hold(counter)
    said = send(counter, known(counter, **changed))
    assert (said["accepted"], [one["row"] for one in said["refused"]]) == (0, [0])
    assert why in said["refused"][0]["reason"]
    counter.now += HOUR
    counter.load()
    assert rules(counter.ask({"lot_id": LOT})["results"][0]) == ["customer_hold"]


def test_good_rows_of_a_line_go_in_beside_one_that_is_refused(counter: Counter) -> None:
    rows = [
        known(counter, quantity=7),
        known(counter, customer_id="C99"),
        known(counter, lot_id="N1", customer_id="C99"),
    ]
    said = send(counter, *rows)
    assert (said["accepted"], [one["row"] for one in said["refused"]]) == (2, [1])
    assert send(counter, *rows)["already_known"] == 2


def test_a_lot_that_a_line_told_first_stays_what_it_was(counter: Counter) -> None:
    new = known(counter, lot_id="N1")
    assert send(counter, new)["accepted"] == 1
    later = {**new, "known_at": iso(NOW)}
    assert "customer_id" in send(counter, {**later, "customer_id": "C99"})["refused"][0]["reason"]
    assert send(counter, {**later, "customer_id": "C99"}, caller=QUALITY)["accepted"] == 1
    assert send(counter, new)["already_known"] == 1


@pytest.mark.parametrize("caller", [QUALITY, ADMIN], ids=["quality", "admin"])
def test_others_correct_a_lot_and_take_it_back(counter: Counter, caller: Caller) -> None:
    assert send(counter, known(counter, customer_id="C99"), caller=caller)["accepted"] == 1
    assert send(counter, {"lot_id": LOT, "deleted": True, "known_at": iso(NOW)}, caller=caller)["accepted"] == 1


def measured(counter: Counter, table: str = "measurements") -> Row:
    """The first row of the lot, as it would be sent."""
    histories = counter.histories
    row = rows_of_lot(histories, table, histories.ids["lot"].code(LOT), as_of=counter.now)[0]
    told = {name: iso(value) if name.endswith("_at") else value for name, value in row.items() if value is not None}
    return {"lot_id": LOT, **told}


def out_of_specification(counter: Counter) -> Row:
    """A measurement that a line has sent, and that counts."""
    row = measured(counter) | {"sample": "again", "known_at": iso(NOW - 1)}
    row |= {"value": 9.0, "lower_spec": 1.0, "upper_spec": 2.0}
    assert send(counter, row, table="measurements")["accepted"] == 1
    counter.now += HOUR
    counter.load()
    assert "out_of_specification" in rules(counter.ask({"lot_id": LOT})["results"][0])
    return row


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"value": 1.5}, "changes a row of measurements that is known, which a line does not do"),
        ({"upper_spec": 99.0}, "changes a row of measurements"),
        ({"deleted": True}, "takes back a row of measurements"),
    ],
    ids=str,
)
def test_a_line_does_not_undo_the_value_that_holds_a_lot(counter: Counter, changed: Row, why: str) -> None:
    row = out_of_specification(counter)
    later = {**row, "known_at": iso(NOW), **changed}
    said = send(counter, later, table="measurements")
    assert said["accepted"] == 0 and why in said["refused"][0]["reason"]
    assert send(counter, row, table="measurements")["already_known"] == 1
    assert send(counter, {**row, "sample": "third", "value": 1.5}, table="measurements")["accepted"] == 1
    counter.now += HOUR
    counter.load()
    assert "out_of_specification" in rules(counter.ask({"lot_id": LOT})["results"][0])
    assert send(counter, later, table="measurements", caller=QUALITY)["accepted"] == 1
    counter.now += HOUR
    counter.load()
    assert rules(counter.ask({"lot_id": LOT})["results"][0]) == []


def test_a_line_does_not_say_that_a_supplier_lot_was_not_used(counter: Counter) -> None:
    gone = measured(counter, "genealogy") | {"deleted": True, "known_at": iso(NOW - 1)}
    assert "takes back" in send(counter, gone, table="genealogy")["refused"][0]["reason"]
    assert send(counter, gone, table="genealogy", caller=QUALITY)["accepted"] == 1


def test_a_record_does_not_undo_the_value_that_holds_a_lot(counter: Counter) -> None:
    row, own = out_of_specification(counter), known(counter)
    del row["lot_id"], own["known_at"]
    better = {**row, "value": 1.5, "known_at": iso(NOW)}
    (result,) = counter.ask({"lots": [{"lot": own, "measurements": [better]}]})["results"]
    assert (result["problem"]["code"], result["decision"]) == ("conflicts_with_history", "cannot_assess")
    assert len(counter.arrived("measurements")) == 1
