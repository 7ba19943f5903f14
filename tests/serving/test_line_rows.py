"""A line tells of new lots, and makes no known one another customer's or another product."""

import json
from typing import Any

import pytest

from features.asof import HOUR
from features.card import iso
from features.held import own_row
from serving.access import Caller
from tests.serving.counter import ADMIN, LINE, LOT, QUALITY, Counter, arrive
from tests.serving.gate_desk import NOW, Row, rules


def send(counter: Counter, *rows: Row, caller: Caller = LINE) -> Any:
    body = json.dumps({"rows": rows}).encode()
    said = counter.service.arriving.take("lots", body, media_type="application/json", key=None, caller=caller)
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
        ({"deleted": True}, "deletes a lot"),
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
