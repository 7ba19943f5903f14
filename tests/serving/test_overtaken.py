"""A release is not carried out once the gate was asked again, or a containment holds the lot."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from features.asof import DAY, HOUR
from features.card import iso
from features.database import writing
from features.held import rows_of_lot
from serving.audit_check import check_audit
from serving.containing import closed, opened
from serving.gate_calls import Once
from serving.overtaken import keep_newest
from serving.pending import MOST
from serving.problems import Problem
from serving.tables import NEWEST
from tests.serving.counter import ADMIN, LOT, QUALITY, Counter, arrive
from tests.serving.gate_desk import NOW, Row
from tests.serving.test_scores_route import record

RELEASED = "L000006"
ONCE = Once("test", None, "")


def contain(counter: Counter, *lots: str, supplier_lots: tuple[str, ...] = ()) -> int:
    answer = opened(
        counter.service.engine,
        about={"lots": len(lots)},
        supplier_lots=supplier_lots,
        lots=lots,
        reason="returns",
        actor="me",
        once=ONCE,
        now=counter.now,
    )
    return int(answer["id"])


def supplies(counter: Counter, lot: str) -> list[str]:
    histories = counter.service.loaded.histories
    assert histories is not None
    rows = rows_of_lot(histories, "genealogy", histories.ids["lot"].code(lot), as_of=NOW)
    return [row["supplier_lot_id"] for row in rows]


def refused(counter: Counter, audit_id: str, **sent: Any) -> str:
    with pytest.raises(Problem) as fault:
        counter.carried_out(audit_id, {"action": "released", **sent})
    assert fault.value.code == "not_decided"
    return str(fault.value)


def test_a_release_that_stands_is_carried_out(counter: Counter) -> None:
    first = counter.ask({"lot_id": RELEASED})
    assert first["results"][0]["decision"] == "release"
    counter.ask({"lot_id": LOT})
    assert counter.carried_out(first["audit_id"], {})["disposition"]["action"] == "released"


def test_an_older_decision_releases_nothing_once_the_gate_was_asked_again(counter: Counter) -> None:
    first = counter.ask({"lots": [LOT, RELEASED]})["audit_id"]
    second = counter.ask({"lots": ["nobody's", RELEASED]})["audit_id"]
    assert f"decision {second} is the newest" in refused(counter, first, lot_id=RELEASED)
    assert counter.arrived("dispositions") == []
    for action in ("held", "reworked"):
        noted = counter.carried_out(first, {"lot_id": RELEASED, "action": action}, caller=QUALITY)
        assert noted["disposition"]["action"] == action
        counter.now += 1
    sent = {"lot_id": RELEASED, "action": "released"}
    assert counter.carried_out(second, sent)["disposition"]["action"] == "released"


def test_an_inspection_that_found_nothing_releases_by_the_newest_decision_alone(counter: Counter) -> None:
    first = counter.ask({"lot_id": LOT})["audit_id"]
    for sent in ({"action": "inspected"}, {"action": "held", "found": 1}):  # by the document a body like any other
        assert "an inspection has its result" in refused(counter, first, **sent)
    counter.carried_out(first, {"action": "inspected", "found": 0})
    second = counter.ask({"lot_id": LOT})["audit_id"]
    assert second in refused(counter, first)


def test_calls_that_are_decided_together_overtake_one_another(counter: Counter) -> None:
    answers = counter.together(*[{"lot_id": RELEASED}] * 3)
    *older, newest = sorted((answer["audit_id"] for answer in answers), key=int)
    for audit_id in older:
        assert newest in refused(counter, audit_id)
    assert counter.carried_out(newest, {})["disposition"]["action"] == "released"


def test_an_answer_that_is_given_again_overtakes_nothing(counter: Counter) -> None:
    first = counter.ask({"lot_id": RELEASED}, key="k")
    assert counter.ask({"lot_id": RELEASED}, key="k") == first
    assert counter.carried_out(first["audit_id"], {})["disposition"]["action"] == "released"


def test_what_a_newer_decision_has_overtaken_is_not_released_by_overruling_it_either(counter: Counter) -> None:
    first = counter.ask({"lot_id": LOT})["audit_id"]
    second = counter.ask({"lot_id": LOT})["audit_id"]
    with pytest.raises(Problem, match=f"decision {second} is the newest"):
        counter.override(first, {"decision": "release", "reason": "looked at"}, caller=ADMIN)
    counter.override(first, {"decision": "hold", "reason": "looked at"}, caller=ADMIN)


def test_who_may_not_overrule_a_rule_releases_nothing_that_a_containment_holds_since(counter: Counter) -> None:
    first = counter.ask({"lot_id": RELEASED})["audit_id"]
    contain(counter, RELEASED)
    sent = {"decision": "release", "reason": "looked at"}
    with pytest.raises(Problem, match="the rule open_containment asks to hold the lot now"):
        counter.override(first, sent, caller=QUALITY)
    counter.override(first, sent, caller=ADMIN)


@pytest.mark.parametrize("decision", ["release", "inspect"])
def test_who_may_not_overrule_a_rule_gets_past_none_by_a_decision_that_has_not_seen_it(
    counter: Counter, stated: Path, decision: str
) -> None:
    told = record(stated)
    limits, asked_before = told["measurements"][0], {"lots": [RELEASED], "as_of": iso(NOW - 2 * DAY)}
    bad = {**limits, "measured_at": iso(NOW - DAY), "sample": "late", "value": limits["upper_spec"] + 0.5}
    contradicts = {"lots": [{"lot": {**told["lot"], "lot_id": RELEASED, "product_id": "P99"}}]}
    arrive(counter, "measurements", {"lot_id": RELEASED, **bad})
    sent = {"decision": decision, "reason": "looked at"}
    for loaded in (False, True):
        if loaded:
            counter.load()
        for body in (asked_before, contradicts):
            audit_id = counter.ask(body)["audit_id"]
            why = "asks to hold the lot now" if loaded else "rows about the lot have just arrived"
            with pytest.raises(Problem, match=why) as fault:
                counter.override(audit_id, sent, caller=QUALITY)
            assert fault.value.code == "not_decided"
            counter.override(audit_id, {**sent, "decision": "hold"}, caller=QUALITY)
    counter.now += HOUR
    counter.override(audit_id, sent, caller=ADMIN)


@pytest.mark.parametrize("inspected", [False, True])
def test_what_a_rule_holds_since_is_not_released_by_the_decision_of_before(
    counter: Counter, stated: Path, inspected: bool
) -> None:
    limits = record(stated)["measurements"][0]
    bad = {**limits, "measured_at": iso(NOW - DAY), "sample": "late", "value": limits["upper_spec"] + 0.5}
    others = counter.ask({"lots": [f"L{number:06}" for number in range(7, 60)]})
    other = next(one["lot_id"] for one in others["results"] if one["decision"] == "release")
    first = counter.ask({"lot_id": RELEASED})["audit_id"]
    if inspected:
        counter.carried_out(first, {"action": "inspected", "found": 0})
    arrive(counter, "measurements", {"lot_id": RELEASED, **bad})
    assert "rows about the lot have just arrived" in refused(counter, first)
    counter.load()
    assert "the rule out_of_specification asks to hold the lot now" in refused(counter, first)
    assert counter.carried_out(others["audit_id"], {"lot_id": other})["disposition"]["action"] == "released"
    counter.now += HOUR
    counter.override(first, {"decision": "release", "reason": "the gauge was wrong"}, caller=ADMIN)


def test_who_may_not_overrule_a_rule_still_says_what_is_done_with_a_lot_that_none_holds(counter: Counter) -> None:
    audit_id = counter.ask({"lots": [LOT], "as_of": iso(NOW - DAY)})["audit_id"]
    sent = {"decision": "release", "reason": "looked at"}
    assert counter.override(audit_id, sent, caller=QUALITY)["disposition"]["action"] == "released"


def test_an_override_to_inspect_brings_nothing_past_what_has_overtaken_the_decision(counter: Counter) -> None:
    contained, asked_again = (counter.ask({"lot_id": lot})["audit_id"] for lot in (RELEASED, LOT))
    number, newer = contain(counter, RELEASED), counter.ask({"lot_id": LOT})["audit_id"]
    for first, why in ((contained, f"containment {number} "), (asked_again, f"decision {newer} ")):
        counter.override(first, {"decision": "inspect", "reason": "to be sure"}, caller=ADMIN)
        counter.carried_out(first, {"action": "inspected", "found": 0})
        assert why in refused(counter, first)


@pytest.mark.parametrize(
    "noted", [{"action": "inspected", "found": 1}, {"action": "scrapped"}], ids=["failing", "scrapped"]
)
def test_what_was_found_failing_or_scrapped_is_not_released_by_a_decision_of_before(
    counter: Counter, noted: Row
) -> None:
    first = counter.ask({"lot_id": RELEASED})["audit_id"]
    second = counter.ask({"lot_id": RELEASED})["audit_id"]
    counter.carried_out(first, noted)
    counter.now += 1
    assert "scrapped or found failing" in refused(counter, second)
    counter.carried_out(second, {"action": "held"})
    counter.now += 1
    assert "scrapped or found failing" in refused(counter, second)
    counter.override(second, {"decision": "release", "reason": "the gauge was wrong"}, caller=ADMIN)
    counter.now += 1
    assert counter.carried_out(second, {})["disposition"]["action"] == "released"


def test_many_rows_that_have_just_arrived_hide_none_about_the_lot(counter: Counter) -> None:
    audit_id = counter.ask({"lot_id": RELEASED})["audit_id"]
    contain(counter, LOT)
    row = {"lot_id": LOT, "characteristic": "torque", "measured_at": iso(NOW - HOUR)}
    many = [{**row, "value": float(number), "characteristic": f"c{number}"} for number in range(MOST + 1)]
    arrive(counter, "measurements", *many)
    assert "have just arrived" in refused(counter, audit_id)


def test_an_override_counts_against_what_was_decided_after_it(counter: Counter) -> None:
    first = counter.ask({"lot_id": LOT})["audit_id"]
    counter.override(first, {"decision": "release", "reason": "looked at"}, caller=ADMIN)
    second = counter.ask({"lot_id": LOT})["audit_id"]
    assert second in refused(counter, first)
    counter.now += 1
    counter.override(second, {"decision": "release", "reason": "looked at again"}, caller=ADMIN)
    counter.now += 1
    assert counter.carried_out(second, {})["disposition"]["action"] == "released"


@pytest.mark.parametrize("by", ["lot", "supplier lot"])
def test_a_containment_that_was_opened_since_bars_a_release_until_it_is_closed(counter: Counter, by: str) -> None:
    audit_id = counter.ask({"lot_id": RELEASED})["audit_id"]
    contain(counter, LOT)
    named = {"supplier_lots": tuple(supplies(counter, RELEASED)[:1])} if by == "supplier lot" else {}
    number = contain(counter, *([RELEASED] if by == "lot" else []), **named)
    assert f"containment {number} is open and holds the lot" in refused(counter, audit_id)
    counter.now += 1
    closed(counter.service.engine, str(number), reason="sorted", actor="me", once=ONCE, now=counter.now)
    counter.now += 1
    assert counter.carried_out(audit_id, {"action": "released"})["disposition"]["action"] == "released"
    assert check_audit(counter.service.engine, counter.site.state_dir).good


def test_a_lot_of_a_record_that_the_histories_do_not_show_yet_is_held_too(counter: Counter, stated: Path) -> None:
    told = record(stated)
    audit_id = counter.ask({"lots": [told]})["audit_id"]
    counter.carried_out(audit_id, {"action": "inspected", "found": 0})
    number = contain(counter, supplier_lots=(told["genealogy"][0]["supplier_lot_id"],))
    assert f"containment {number} " in refused(counter, audit_id)


def test_an_override_carries_out_what_was_open_when_it_was_given_and_no_more(counter: Counter) -> None:
    audit_id = counter.ask({"lot_id": RELEASED})["audit_id"]
    contain(counter, RELEASED)
    refused(counter, audit_id)
    counter.override(audit_id, {"decision": "release", "reason": "sorted out"}, caller=ADMIN)
    (entry,) = counter.entries("override")
    assert json.loads(entry["body"])["containments"] == [1]
    counter.now += 1
    assert counter.carried_out(audit_id, {})["disposition"]["action"] == "released"
    number = contain(counter, RELEASED)
    assert f"containment {number} " in refused(counter, audit_id)


def test_a_lot_that_nobody_knows_is_held_by_every_containment_opened_since(counter: Counter) -> None:
    audit_id = counter.ask({"lot_id": "nobody's"})["audit_id"]
    counter.override(audit_id, {"decision": "release", "reason": "a sample"}, caller=ADMIN)
    number = contain(counter, LOT)
    assert f"containment {number} " in refused(counter, audit_id)


def test_a_containment_that_was_open_already_bars_a_release_where_it_holds_the_lot_only_now(counter: Counter) -> None:
    name = next(name for name in supplies(counter, LOT) if name not in supplies(counter, RELEASED))
    number = contain(counter, supplier_lots=(name,))
    first = counter.ask({"lot_id": RELEASED})
    assert first["results"][0]["decision"] == "release"
    row = {"lot_id": RELEASED, "supplier_lot_id": name, "consumed_at": iso(NOW - DAY)}
    arrive(counter, "genealogy", row)
    assert "rows about the lot have just arrived" in refused(counter, first["audit_id"])
    counter.now += HOUR
    counter.load()
    assert f"containment {number} " in refused(counter, first["audit_id"])


def test_a_lot_that_an_open_containment_lets_go_after_an_inspection_may_go(counter: Counter) -> None:
    counter.site.gate.rules.open_containment.__dict__["action"] = "inspect"
    contain(counter, RELEASED)
    first = counter.ask({"lot_id": RELEASED})
    assert first["results"][0]["decision"] == "inspect"
    counter.carried_out(first["audit_id"], {"action": "inspected", "found": 0})
    counter.now += 1
    assert counter.carried_out(first["audit_id"], {"action": "released"})["disposition"]["action"] == "released"


def test_a_decision_that_was_noted_as_held_outlives_nothing(counter: Counter) -> None:
    audit_id = counter.ask({"lot_id": RELEASED})["audit_id"]
    counter.carried_out(audit_id, {"action": "held"})
    counter.now += 2 * DAY
    assert "stood until" in refused(counter, audit_id)


def test_no_name_of_a_lot_keeps_a_decision_from_being_recorded(counter: Counter) -> None:
    long = "".join(chr(0x4E00 + number) for number in range(1000))
    names = [long, "nul\0", "x" * 5000, long, 7]
    answer = counter.ask({"lots": names})
    assert [result["decision"] for result in answer["results"]] == ["cannot_assess"] * 5
    with counter.service.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(NEWEST)).scalar_one() == 3


def test_the_lots_of_many_decisions_are_noted_by_one_statement(counter: Counter) -> None:
    asked = list[str]()
    with writing(counter.service.engine) as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *said: asked.append(said[2]))
        results = [{"lot_id": f"L{number}"} for number in range(32)]
        keep_newest(connection, [{"audit_id": str(seq), "results": results} for seq in (7, 8)])
        assert len(asked) == 1
        keep_newest(connection, [{"audit_id": "9", "results": [{"lot_id": None}]}])
        assert len(asked) == 1
