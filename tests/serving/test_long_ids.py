"""Ids of any letters that the contract allows, up to its thousand characters, are kept by both servers."""

import json
import random

import pytest

from features.stored import Store
from serving.audit_check import check_audit
from serving.erasure import erase
from serving.problems import Problem
from tests.serving.counter import ADMIN, Counter
from tests.serving.gate_desk import Row


def _long(seed: int) -> str:
    """No two letters the same: PostgreSQL keeps a text that repeats itself in less room."""
    return "".join(map(chr, random.Random(seed).sample(range(0x4E00, 0x9FA6), 1000)))


LONG, OTHER = _long(1), _long(2)


def test_a_decision_about_a_lot_of_a_long_id_is_overruled_and_carried_out(counter: Counter) -> None:
    audit_id = counter.ask({"lots": [LONG, OTHER]})["audit_id"]
    for lot in (LONG, OTHER):
        counter.override(audit_id, {"lot_id": lot, "decision": "inspect", "reason": "to be sure"}, caller=ADMIN)
        noted = counter.carried_out(audit_id, {"lot_id": lot, "action": "inspected", "found": 0})
        assert noted["disposition"]["lot_id"] == lot
    counter.now += 1
    counter.carried_out(audit_id, {"lot_id": LONG, "action": "released"})
    followed = counter.service.followed.decision(audit_id)["followed"]
    assert {one["lot_id"]: one["action"] for one in followed} == {LONG: "released", OTHER: "inspected"}


def test_a_complaint_of_a_long_id_is_kept_and_can_be_erased(counter: Counter) -> None:
    row = {"return_id": LONG, "lot_id": OTHER, "occurred_at": "2026-06-01", "reported_at": "2026-06-02"}
    rows = [row | {"description": "It leaks."}, row | {"return_id": OTHER, "description": "It hisses."}]
    body = json.dumps({"rows": rows}).encode()
    take = counter.service.arriving.take
    said = take("returns", body, media_type="application/json", key=None, caller=ADMIN)
    assert (said["accepted"], said["refused"]) == (2, [])
    engine = counter.service.engine
    store = Store(counter.site, engine)
    assert erase(store, table="returns", key=LONG, reason="asked for", actor="me", at=counter.now)["salts"] == 1
    assert check_audit(engine, counter.site.state_dir).salts == 1


@pytest.mark.parametrize(
    "sent", [{"decision": "inspect", "reason": "to be sure"}, {"decision": "hold", "reason": "to be sure"}, {}], ids=str
)
def test_nothing_is_noted_of_a_lot_whose_id_no_database_takes(sent: Row, counter: Counter) -> None:
    audit_id = counter.ask({"lots": ["nul\0", LONG]})["audit_id"]
    with pytest.raises(Problem, match="holds a null character") as fault:
        if sent:
            counter.override(audit_id, {"lot_id": "nul\0", **sent}, caller=ADMIN)
        else:
            counter.carried_out(audit_id, {"lot_id": "nul\0", "action": "held"})
    assert fault.value.code == "unknown_lot"
    assert counter.service.followed.decision(audit_id)["followed"] == []
