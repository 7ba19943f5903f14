"""What was scrapped, held or found failing is not released by a decision of before, and not freed by a line."""

from typing import Any

import pytest

from features.asof import HOUR
from features.card import iso
from serving.access import Caller
from serving.problems import Problem
from tests.serving.counter import ADMIN, LINE, LOT, QUALITY, Counter, arrive
from tests.serving.gate_desk import NOW, Row, states

RELEASED = "L000006"
FREEING: list[Row] = [{"action": "reworked"}, {"action": "inspected", "found": 0}, {"action": "released"}]
PUT_AWAY: list[Row] = [{"action": "scrapped"}, {"action": "held"}, {"action": "inspected", "found": 1}]
HOLD, INSPECT = ({"decision": decision, "reason": "looked at"} for decision in ("hold", "inspect"))
put_away = pytest.mark.parametrize("said", PUT_AWAY, ids=lambda said: said["action"])


def post(counter: Counter, lot_id: str, said: Row) -> None:
    """A row of dispositions that counts."""
    arrive(counter, "dispositions", {"lot_id": lot_id, "decided_at": iso(counter.now - 1), **said})
    counter.load()


def refused(counter: Counter, audit_id: str, sent: Row, *, caller: Caller = LINE) -> str:
    before = counter.arrived("dispositions")
    with pytest.raises(Problem) as fault:
        counter.carried_out(audit_id, sent, caller=caller)
    assert fault.value.code == "not_decided"
    assert counter.arrived("dispositions") == before
    return str(fault.value)


def ask(counter: Counter, lot_id: str = RELEASED) -> Any:
    counter.now += HOUR
    counter.load()
    answer = counter.ask({"lot_id": lot_id})
    return answer["audit_id"], answer["results"][0]


@put_away
def test_a_line_frees_no_lot_that_could_not_be_assessed(counter: Counter, said: Row) -> None:
    post(counter, RELEASED, said)
    audit_id, result = ask(counter)
    assert (result["decision"], states(result)) == ("cannot_assess", ["not_open"])
    for done in FREEING:
        assert "the decision that stands is cannot_assess" in refused(counter, audit_id, done)
    assert ask(counter)[1]["decision"] == "cannot_assess"


def test_a_line_frees_no_lot_that_somebody_held(counter: Counter) -> None:
    audit_id, _ = ask(counter)
    counter.override(audit_id, HOLD)
    counter.now += 1
    for done in FREEING:
        assert "the decision that stands is hold" in refused(counter, audit_id, done)
    assert ask(counter)[1]["decision"] == "cannot_assess"


@pytest.mark.parametrize("loaded", [False, True])
@put_away
def test_a_line_frees_nothing_by_a_decision_of_before_either(counter: Counter, said: Row, loaded: bool) -> None:
    audit_id, result = ask(counter, LOT)
    assert result["decision"] == "inspect"
    counter.carried_out(audit_id, said, caller=QUALITY)
    counter.now += HOUR
    if loaded:
        counter.load()
    for done in FREEING[:2]:
        assert "the lot is not open" in refused(counter, audit_id, done)
    assert states(ask(counter, LOT)[1]) == ["not_open"]


def test_a_row_that_has_just_arrived_and_says_more_than_its_own_is_waited_for(counter: Counter) -> None:
    audit_id, _ = ask(counter, LOT)
    took_back = {"lot_id": LOT, "decided_at": iso(NOW - HOUR), "deleted": True, "known_at": iso(NOW)}
    arrive(counter, "dispositions", took_back)
    assert "have just arrived" in refused(counter, audit_id, FREEING[1])
    counter.load()
    assert counter.carried_out(audit_id, FREEING[1])["disposition"]["found"] == 0


def test_a_lot_that_is_to_be_inspected_is_inspected_by_a_line_and_asked_about_again(counter: Counter) -> None:
    audit_id, _ = ask(counter, LOT)
    counter.carried_out(audit_id, FREEING[1])
    again, result = ask(counter, LOT)
    assert states(result) == []
    if result["decision"] == "inspect":
        counter.carried_out(again, FREEING[1])
        counter.now += 1
    assert counter.carried_out(again, {"action": "released"})["disposition"]["action"] == "released"


def test_a_line_inspects_what_quality_has_it_inspect_until_that_is_put_away_again(counter: Counter) -> None:
    post(counter, RELEASED, {"action": "held"})
    audit_id, _ = ask(counter)
    counter.override(audit_id, INSPECT)
    counter.now += HOUR
    counter.carried_out(audit_id, {"action": "held"}, caller=QUALITY)
    counter.now += HOUR
    assert "its last disposition is held" in refused(counter, audit_id, FREEING[1])
    counter.override(audit_id, INSPECT)
    counter.now += HOUR
    counter.carried_out(audit_id, FREEING[1])
    counter.now += 1
    assert counter.carried_out(audit_id, {"action": "released"})["disposition"]["action"] == "released"


def test_a_line_inspects_what_the_site_declares_to_be_inspected(counter: Counter) -> None:
    counter.site.gate.degraded["not_open"] = "inspect"
    post(counter, RELEASED, {"action": "held"})
    audit_id, result = ask(counter)
    assert (result["decision"], states(result)) == ("inspect", ["not_open"])
    assert "the lot is not open" in refused(counter, audit_id, {"action": "reworked"})
    assert counter.carried_out(audit_id, FREEING[1])["disposition"]["found"] == 0


def test_who_may_overrule_what_keeps_a_lot_back_says_that_it_was_mended(counter: Counter) -> None:
    post(counter, RELEASED, {"action": "scrapped"})
    audit_id, _ = ask(counter)
    counter.carried_out(audit_id, {"action": "reworked"}, caller=QUALITY)
    assert states(ask(counter)[1]) == []
    assert "have it overruled" in refused(counter, audit_id, {"action": "released"}, caller=ADMIN)


@pytest.mark.parametrize("said", [*PUT_AWAY, {"failed": 1}], ids=str)
def test_what_a_row_puts_away_is_not_released_by_the_decision_of_before(counter: Counter, said: Row) -> None:
    audit_id, _ = ask(counter)
    table, when = ("outcomes", "known_at") if "failed" in said else ("dispositions", "decided_at")
    arrive(counter, table, {"lot_id": RELEASED, when: iso(counter.now), **said})
    counter.now += HOUR
    for why in ("just arrived" if table == "outcomes" else "the lot is not open", "the lot is not open"):
        assert why in refused(counter, audit_id, {"action": "released"}, caller=ADMIN)
        counter.load()
    counter.override(audit_id, {"decision": "release", "reason": "the gauge was wrong"}, caller=ADMIN)
    counter.now += 1
    assert counter.carried_out(audit_id, {})["disposition"]["action"] == "released"


def test_what_was_put_away_after_an_override_is_not_released_by_it(counter: Counter) -> None:
    audit_id, _ = ask(counter)
    counter.override(audit_id, {"decision": "release", "reason": "looked at"})
    counter.now += HOUR
    post(counter, RELEASED, {"action": "scrapped"})
    assert "its last disposition is scrapped" in refused(counter, audit_id, {})


@pytest.mark.parametrize("decision", ["release", "inspect"])
def test_who_may_overrule_a_low_risk_alone_opens_nothing_that_was_put_away_since(
    counter: Counter, decision: str
) -> None:
    counter.site.gate.authority["planner"] = ["low"]
    planner = Caller("planner", "a planner", "planner")
    audit_id, _ = ask(counter)
    counter.now += HOUR
    post(counter, RELEASED, {"action": "held"})
    with pytest.raises(Problem, match="its last disposition is held") as fault:
        counter.override(audit_id, {"decision": decision, "reason": "looked at"}, caller=planner)
    assert fault.value.code == "not_decided"
    counter.override(audit_id, HOLD, caller=planner)
    counter.now += 1
    counter.override(audit_id, {"decision": decision, "reason": "looked at"})


def test_rows_of_what_became_of_another_lot_keep_no_release(counter: Counter) -> None:
    audit_id, _ = ask(counter)
    arrive(counter, "dispositions", {"lot_id": LOT, "decided_at": iso(NOW), "action": "scrapped"})
    arrive(counter, "outcomes", {"lot_id": LOT, "failed": 1, "known_at": iso(NOW)})
    assert counter.carried_out(audit_id, {})["disposition"]["action"] == "released"


@put_away
def test_whoever_may_say_what_was_done_puts_any_lot_away(counter: Counter, said: Row) -> None:
    post(counter, RELEASED, {"action": "held"})
    audit_id, _ = ask(counter)
    assert counter.carried_out(audit_id, said)["disposition"]["action"] == said["action"]
