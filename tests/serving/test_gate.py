"""The gate's desk with its database: what is decided is recorded with it, once, or it is not given."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from features.asof import DAY, HOUR
from features.card import iso
from features.database import open_database, writing
from features.errors import LotRiskError, SourceUnreachable
from features.gate_settings import GateSettings
from features.held import rows_of_lot
from features.ingest import ingest
from features.site import read_site
from features.stored import open_store
from serving.audit import append, entry_of
from serving.audit_check import check_audit
from serving.containing import opened
from serving.gate_calls import Once, read_gate_call
from serving.metrics import Metrics
from serving.problems import Problem
from serving.published import Published
from serving.replay import replay
from serving.service import Service
from serving.tables import ANSWERS, AUDIT, CONTAINMENTS
from tests.serving.counter import ADMIN, LINE, LOT, QUALITY, Counter, arrive
from tests.serving.gate_desk import NOW, Row, states
from tests.serving.test_scores_route import record

BLOCKED = {"column": "status", "values": ["blocked"]}


def test_a_decision_is_recorded_whole_and_can_be_made_again(counter: Counter) -> None:
    answer = counter.ask({"lot_id": LOT})
    entry = entry_of(counter.service.engine, int(answer["audit_id"]))
    assert entry is not None and (entry.kind, entry.actor) == ("decision", "press 3")
    assert entry.body["answer"] == {name: value for name, value in answer.items() if name != "audit_id"}
    assert replay(counter.site, counter.service.engine, answer["audit_id"]).same
    assert check_audit(counter.service.engine, counter.site.state_dir).good


def test_a_decision_is_made_again_whatever_came_in_since(counter: Counter, stated: Path) -> None:
    asked: list[Any] = [record(stated), LOT, "nobody's", {"lot": {"lot_id": "B"}}]
    first = counter.ask({"lots": asked})
    value = {"characteristic": "oven_temp", "measured_at": iso(NOW - DAY), "sample": "late", "value": 300.0}
    counter.ask({"lots": [{**record(stated, lot_id="N9"), "measurements": [value]}]})
    counter.now += HOUR
    counter.load()
    with open_store(counter.site) as store:
        ingest(store, counter.site, now=counter.now)  # folds what arrived
    counter.now += DAY
    counter.load()
    second = counter.ask({"lots": asked})
    assert second["results"] != first["results"]
    for answer in (first, second):
        replayed = replay(counter.site, counter.service.engine, answer["audit_id"])
        assert (replayed.differs, replayed.lots) == ([], 4)


def test_an_answer_that_is_not_what_was_recorded_is_seen(counter: Counter) -> None:
    answer = counter.ask({"lot_id": LOT})
    entry = entry_of(counter.service.engine, int(answer["audit_id"]))
    assert entry is not None
    body = json.loads(json.dumps(entry.body))
    body["answer"]["results"][0]["risk"] += 1e-16
    body["answer"]["results"][0]["decision"] = "release"
    with writing(counter.service.engine) as connection:
        forged = append(connection, kind="decision", actor="x", body=body, at=counter.now)
    replayed = replay(counter.site, counter.service.engine, str(forged.seq))
    assert [one.partition(":")[0] for one in replayed.differs] == ["results[0].decision", "results[0].risk"]


def test_calls_that_wait_together_each_get_their_own_entry(counter: Counter, stated: Path) -> None:
    answers = counter.together({"lot_id": LOT}, {"lots": [record(stated)]}, {"lot_id": "nobody's"})
    assert len({answer["audit_id"] for answer in answers}) == 3
    assert answers[0]["results"][0] == counter.ask({"lot_id": LOT})["results"][0]
    assert states(answers[2]["results"][0]) == ["unknown_lot"]


def test_the_same_key_gets_the_same_answer_and_is_done_once(counter: Counter, stated: Path) -> None:
    first = counter.ask({"lots": [record(stated)]}, key="k1")
    counter.now += HOUR
    assert counter.ask({"lots": [record(stated)]}, key="k1") == first
    assert len(counter.entries()) == 1
    assert counter.ask({"lots": [record(stated)]}, key="k2")["audit_id"] != first["audit_id"]
    assert counter.ask({"lots": [record(stated)]}, key="k1", actor="press 4")["audit_id"] != first["audit_id"]
    with pytest.raises(Problem) as conflict:
        counter.ask({"lot_id": LOT}, key="k1")
    assert conflict.value.code == "idempotency_conflict"


def test_a_record_is_kept_as_history_and_not_twice(counter: Counter, stated: Path) -> None:
    told = record(stated)
    counter.ask({"lots": [told]})
    counter.ask({"lots": [told]})
    assert [row["lot_id"] for row in counter.arrived("lots")] == ["N1"]
    assert len(counter.arrived("measurements")) == len(told["measurements"])
    assert len(counter.arrived("genealogy")) == len(told["genealogy"])
    counter.now += HOUR
    counter.load()
    by_id = counter.ask({"lot_id": "N1"})["results"][0]
    as_sent = counter.ask({"lots": [told]})["results"][0]
    assert by_id == as_sent and by_id["decision"] != "cannot_assess"


def test_a_record_that_says_otherwise_than_one_before_is_a_problem_and_is_not_kept(
    counter: Counter, stated: Path
) -> None:
    counter.ask({"lots": [record(stated)]})
    (result,) = counter.ask({"lots": [record(stated, product_id="P02")]})["results"]
    assert (result["problem"]["code"], result["decision"]) == ("conflicts_with_history", "cannot_assess")
    assert len(counter.arrived("lots")) == 1
    last = counter.entries()[-1]
    assert json.loads(last["body"])["answer"]["results"] == [result]
    assert replay(counter.site, counter.service.engine, str(last["seq"])).same


def named(told: Row, characteristic: str, **more: Any) -> Row:
    """A record with one measurement more."""
    row = {"characteristic": characteristic, "measured_at": iso(NOW - DAY), "value": 1e6}
    return {**told, "measurements": [*told["measurements"], {**row, **more}]}


@pytest.mark.parametrize("name", ["never_seen_x", "oven_temp "])
def test_to_ask_twice_makes_no_name_known_until_another_lot_has_it(counter: Counter, stated: Path, name: str) -> None:
    told = named(record(stated), name)
    answers = [counter.ask({"lots": [told]})]
    counter.now += HOUR
    counter.load()
    answers += [counter.ask({"lots": [told]}), counter.ask({"lot_id": "N1"})]
    with open_store(counter.site) as store:
        ingest(store, counter.site, now=counter.now)  # folds what arrived
    counter.load()
    answers.append(counter.ask({"lots": [told]}))
    for answer in answers:
        (result,) = answer["results"]
        assert (result["decision"], states(result)) == ("cannot_assess", ["unknown_name"])
        assert f"characteristic {name}" in result["unknown"][0]["detail"]
        assert replay(counter.site, counter.service.engine, answer["audit_id"]).same
    counter.ask({"lots": [named(record(stated, lot_id="N2"), name)]})
    counter.now += HOUR
    counter.load()
    assert states(counter.ask({"lot_id": "N1"})["results"][0]) == []


def test_a_misspelt_name_that_was_kept_goes_with_its_row(counter: Counter, stated: Path) -> None:
    told = record(stated)
    counter.ask({"lots": [named(told, "oven_tmp")]})
    counter.now += HOUR
    counter.load()
    assert states(counter.ask({"lots": [told]})["results"][0]) == ["unknown_name"]
    row = {"lot_id": "N1", "characteristic": "oven_tmp", "measured_at": iso(NOW - DAY), "deleted": True}
    arrive(counter, "measurements", {**row, "known_at": iso(NOW + 1)})
    counter.load()
    assert states(counter.ask({"lots": [told]})["results"][0]) == []


def test_a_number_that_no_float_holds_is_no_json_and_is_not_kept(counter: Counter, stated: Path) -> None:
    told = json.dumps({"lots": [LOT, record(stated)]}).replace('"quantity": ', '"quantity": 1e999, "was": ')
    with pytest.raises(Problem) as refused:
        read_gate_call(told.encode(), actor="press 3", key=None, now=NOW, timezone="UTC")
    assert (refused.value.code, refused.value.status) == ("invalid_json", 400)


def test_a_decision_that_cannot_be_recorded_is_not_given(counter: Counter, stated: Path) -> None:
    counter.ask({"lot_id": LOT})
    before = counter.count(AUDIT)
    counter.service.gate._engine = open_database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Problem) as fault:
        counter.ask({"lots": [record(stated)]}, key="k")
    assert (fault.value.code, fault.value.status) == ("not_recorded", 503)
    counter.service.gate._engine = counter.service.engine
    assert (counter.count(AUDIT), counter.count(ANSWERS), counter.arrived("lots")) == (before, 0, [])
    assert counter.ask({"lots": [record(stated)]}, key="k")["audit_id"]


def test_histories_that_are_stored_nowhere_decide_nothing_and_why_they_are_not_is_said(counter: Counter) -> None:
    for fault, said in (("", "looked at again"), ("the database is gone", "looked at again: the database is gone")):
        follower, published = counter.service._follower, Published(read_at=NOW, checked_at=NOW, fault=fault)
        follower.now = replace(follower.now, published=published, stored=published)
        with pytest.raises(Problem) as refused:
            counter.ask({"lot_id": LOT})
        assert refused.value.code == "not_ready" and str(refused.value).endswith(said)


def test_a_containment_counts_from_the_commit_that_opens_it(counter: Counter) -> None:
    assert counter.ask({"lot_id": LOT})["results"][0]["rules"] == []
    scope = json.dumps({"supplier_lots": [], "lots": [LOT]})
    with writing(counter.service.engine) as connection:
        row = {"scope": scope, "reason": "returns", "opened_at": NOW, "opened_by": "me"}
        connection.execute(CONTAINMENTS.insert().values(**row))
    held = counter.ask({"lot_id": LOT})
    assert (held["results"][0]["decision"], held["results"][0]["rules"][0]["rule"]) == ("hold", "open_containment")
    with writing(counter.service.engine) as connection:
        connection.execute(CONTAINMENTS.update().values(closed_at=NOW, closed_by="me", closed_reason="sorted"))
    assert counter.ask({"lot_id": LOT})["results"][0]["rules"] == []
    assert replay(counter.site, counter.service.engine, held["audit_id"]).same


def test_no_lot_is_decided_about_without_rows_that_have_just_arrived(counter: Counter, stated: Path) -> None:
    limits = record(stated)["measurements"][0]
    value = {"lot_id": LOT, "characteristic": limits["characteristic"], "measured_at": iso(NOW - DAY), "sample": "late"}
    row = {**value, "value": limits["upper_spec"] + 0.5, "upper_spec": limits["upper_spec"]}
    arrive(counter, "measurements", row)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.gate._PATIENCE", 0.05)
        late, other = counter.ask({"lot_id": LOT}), counter.ask({"lot_id": "L000007"})
    assert (states(late["results"][0]), late["results"][0]["decision"]) == (["pending_history"], "cannot_assess")
    assert states(other["results"][0]) == []
    assert replay(counter.site, counter.service.engine, late["audit_id"]).same
    counter.loop.call_later(0.2, counter.load)  # as the follower does
    shown = counter.ask({"lot_id": LOT})["results"][0]
    assert (states(shown), [one["rule"] for one in shown["rules"]]) == ([], ["out_of_specification"])


def test_a_block_of_a_supplier_lot_waits_for_no_reading_either(counter: Counter) -> None:
    histories = counter.histories
    name = rows_of_lot(histories, "genealogy", histories.ids["lot"].code(LOT), as_of=NOW)[0]["supplier_lot_id"]
    row = {"supplier_lot_id": name, "inspected_at": iso(NOW - 1), "sample_size": 5, "defects": 5}
    arrive(counter, "inspections", row)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.gate._PATIENCE", 0.05)
        assert states(counter.ask({"lot_id": LOT})["results"][0]) == ["pending_history"]


def test_rows_that_a_call_brings_count_for_those_decided_together_with_it(counter: Counter, stated: Path) -> None:
    told = record(stated, lot_id="N7")
    limits = told["measurements"][0]
    bad = {**limits, "measured_at": iso(NOW - DAY), "sample": "late", "value": limits["upper_spec"] + 0.5}
    counter.ask({"lots": [told]})
    counter.now += HOUR
    counter.load()
    brings, names = {"lots": [{**told, "measurements": [bad]}]}, {"lot_id": "N7"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.gate._PATIENCE", 0.05)
        before, first, second, other = counter.together(names, brings, names, {"lot_id": LOT})  # the first goes alone
    assert [one["rule"] for one in first["results"][0]["rules"]] == ["out_of_specification"]
    assert (states(before["results"][0]), states(second["results"][0])) == ([], ["pending_history"])
    assert states(other["results"][0]) == []
    assert int(second["audit_id"]) > int(first["audit_id"])


def test_a_hold_of_a_customer_to_whom_the_lot_was_shipped_waits_for_no_reading_either(counter: Counter) -> None:
    shipped = {"shipment_id": "S-1", "lot_id": LOT, "customer_id": "C77", "shipped_at": iso(NOW - DAY), "quantity": 1}
    arrive(counter, "shipments", shipped)
    counter.load()
    arrive(counter, "customers", {"customer_id": "C77", "tier": "A", "hold": "1"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.gate._PATIENCE", 0.05)
        late, other = counter.ask({"lot_id": LOT}), counter.ask({"lot_id": "L000007"})
    assert (states(late["results"][0]), states(other["results"][0])) == (["pending_history"], [])


def test_an_outcome_that_has_just_arrived_is_waited_for(counter: Counter) -> None:
    arrive(counter, "outcomes", {"lot_id": LOT, "failed": 1, "known_at": iso(NOW - DAY)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.gate._PATIENCE", 0.05)
        late, other = counter.ask({"lot_id": LOT}), counter.ask({"lot_id": "L000007"})
    assert (states(late["results"][0]), states(other["results"][0])) == (["pending_history"], [])
    counter.load()
    assert states(counter.ask({"lot_id": LOT})["results"][0]) == ["not_open"]


def test_a_score_that_decided_nothing_is_not_logged_as_a_decision(counter: Counter, stated: Path) -> None:
    told = record(stated)
    counter.ask({"lots": [told]})
    waiting = counter.service.log.waiting
    other = {**told, "lot": {**told["lot"], "quantity": told["lot"]["quantity"] + 1}}
    (result,) = counter.ask({"lots": [other]})["results"]
    assert result["problem"]["code"] == "conflicts_with_history"
    assert counter.service.log.waiting == waiting
    assert counter.ask({"lots": [other, LOT]})["results"][1]["risk"] is not None
    assert counter.service.log.waiting == waiting + 1


def test_ids_that_are_numbers_are_those_that_their_digits_spell(counter: Counter, stated: Path) -> None:
    row = {"supplier_lot_id": "919", "inspected_at": iso(NOW - 1), "sample_size": 5, "defects": 5}
    arrive(counter, "inspections", row)
    told = record(stated, lot_id=4711)
    told["genealogy"][0]["supplier_lot_id"] = 919
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.gate._PATIENCE", 0.05)
        (said,) = counter.ask({"lots": [told]})["results"]
    assert said["lot_id"] == "4711" and "pending_history" in states(said)
    assert counter.arrived("lots")[-1]["lot_id"] == "4711"


def test_a_containment_under_a_number_that_was_given_before_is_another(counter: Counter) -> None:
    def contain(lot: str, at: int) -> int:
        about: Row = {"about": {"lots": 1}, "supplier_lots": (), "lots": (lot,)}
        said = opened(counter.service.engine, **about, reason="x", actor="me", once=Once("x", None, ""), now=at)
        return int(said["id"])

    first = contain("L000007", NOW)
    assert counter.ask({"lot_id": LOT})["results"][0]["rules"] == []
    with counter.service.engine.begin() as connection:  # as where a copy of before is put back
        connection.execute(CONTAINMENTS.delete())
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("ALTER SEQUENCE containments_id_seq RESTART"))
    assert contain(LOT, NOW + 1) == first
    assert [one["rule"] for one in counter.ask({"lot_id": LOT})["results"][0]["rules"]] == ["open_containment"]


@pytest.mark.parametrize(
    "row",
    [
        {"table": "shipments", "shipment_id": "S1"},
        {"table": "lots", "lot_id": LOT},
        {"table": "customers", "customer_id": "C01"},
        {"table": "supplier_lots", "supplier_lot_id": "SL1"},
    ],
    ids=lambda row: row["table"],
)
def test_a_deletion_that_has_just_arrived_breaks_no_call(counter: Counter, row: Row) -> None:
    sent = {name: value for name, value in row.items() if name != "table"} | {"deleted": True}
    arrive(counter, row["table"], sent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.gate._PATIENCE", 0.05)
        assert counter.ask({"lot_id": LOT})["results"][0]["decision"] in ("cannot_assess", "release", "inspect", "hold")


def test_what_is_answered_again_is_scored_and_counted_once(counter: Counter) -> None:
    for _ in range(3):
        counter.ask({"lot_id": LOT}, key="k")
    assert counter.service.log.waiting == 1


def test_rows_of_a_clock_far_ahead_are_kept_and_release_nothing_until_they_count(
    counter: Counter, stated: Path
) -> None:
    told = record(stated)
    limit = told["measurements"][0]["upper_spec"]
    told["measurements"][0] |= {"measured_at": iso(NOW + 5 * HOUR), "value": limit + 0.5}
    answer = counter.ask({"lots": [told]})
    assert states(answer["results"][0]) == ["measured_after_as_of"]
    assert len(counter.arrived("measurements")) == len(told["measurements"])
    counter.load()
    assert states(counter.ask({"lot_id": "N1"})["results"][0]) == ["measured_after_as_of"]
    counter.now += 6 * HOUR
    counter.load()
    assert [one["rule"] for one in counter.ask({"lot_id": "N1"})["results"][0]["rules"]] == ["out_of_specification"]
    assert replay(counter.site, counter.service.engine, answer["audit_id"]).same


def test_a_lot_that_its_record_makes_known_only_later_is_not_released(counter: Counter, stated: Path) -> None:
    told = record(stated, known_at=iso(NOW + HOUR))
    (result,) = counter.ask({"lots": [told]})["results"]
    assert (result["decision"], states(result)) == ("cannot_assess", ["measured_after_as_of"])
    counter.load()
    assert states(counter.ask({"lot_id": "N1"})["results"][0]) == ["unknown_lot"]


def test_a_source_that_gives_a_rules_column_no_more_frees_nothing(counter: Counter) -> None:
    data, site = counter.site.folder / "data", counter.site
    name = rows_of_lot(counter.histories, "genealogy", counter.histories.ids["lot"].code(LOT), as_of=NOW)[0]
    supplies = pyarrow.csv.read_csv(data / "supplier_lots.csv")
    blocked = pc.if_else(pc.equal(supplies["supplier_lot_id"], name["supplier_lot_id"]), "blocked", "ok")

    def held() -> list[str]:
        counter.load()
        return [one["rule"] for one in counter.ask({"lot_id": LOT})["results"][0]["rules"]]

    with open_store(site) as store:
        pyarrow.csv.write_csv(supplies.append_column("status", blocked), data / "supplier_lots.csv")
        ingest(store, site, now=counter.now)
        counter.now += HOUR
        assert held() == ["blocked_supplier_lot"]
        pyarrow.csv.write_csv(supplies, data / "supplier_lots.csv")
        said = (
            r"supplier_lots: the source gives no column status any more, by which \[gate.rules\] blocked_supplier_lot"
        )
        with pytest.raises(SourceUnreachable, match=said):
            ingest(store, site, now=counter.now)
        counter.now += HOUR
        assert held() == ["blocked_supplier_lot"]
        off = GateSettings.model_validate({"rules": {"blocked_supplier_lot": {"action": "off", **BLOCKED}}})
        assert ingest(store, replace(site, gate=off), now=counter.now)


def test_a_record_cannot_make_a_word_of_a_number(counter: Counter, stated: Path) -> None:
    (result,) = counter.ask({"lots": [record(stated, tool_age="abc")]})["results"]
    assert (result["decision"], result["problem"]["code"]) == ("cannot_assess", "conflicts_with_history")
    assert counter.arrived("lots") == []


def test_a_decision_that_no_longer_stands_is_not_carried_out_as_a_release(counter: Counter) -> None:
    several = counter.ask({"lot_id": LOT})
    audit_id, (result,) = several["audit_id"], several["results"]
    if result["decision"] != "release":
        counter.override(audit_id, {"decision": "release", "reason": "looked at"}, caller=ADMIN)
        assert counter.carried_out(audit_id, {})["disposition"]["action"] == "released"
    counter.now += 2 * DAY
    again = counter.ask({"lot_id": "L000007"})
    counter.now += 2 * DAY
    with pytest.raises(Problem) as fault:
        counter.carried_out(again["audit_id"], {"action": "released"})
    assert fault.value.code == "not_decided"


def test_a_record_does_not_wait_for_its_own_rows(counter: Counter, stated: Path) -> None:
    counter.ask({"lots": [record(stated)]})
    assert states(counter.ask({"lots": [record(stated)]})["results"][0]) == []


def test_a_clock_that_steps_back_hides_nothing_that_was_known(counter: Counter) -> None:
    first = counter.ask({"lot_id": LOT})
    counter.now -= 40 * DAY
    again = counter.ask({"lot_id": LOT})
    assert (again["as_of"], again["results"]) == (first["as_of"], first["results"])
    assert [entry["at"] for entry in counter.entries()] == [NOW, NOW]


def test_rules_are_an_entry_before_the_first_decision_and_when_they_change(counter: Counter) -> None:
    counter.ask({"lot_id": LOT})
    counter.ask({"lot_id": LOT})
    (rules,) = counter.entries("rules")
    assert json.loads(rules["body"])["previous"] is None
    with (counter.site.folder / "lotrisk.toml").open("a", encoding="utf-8") as file:
        file.write('\n[gate.rules.out_of_specification]\naction = "inspect"\n')
    changed = Counter.__new__(Counter)
    changed.now, changed.site, changed.loop = NOW, read_site(counter.site.folder, {}), counter.loop
    changed.service = Service(changed.site, Metrics())
    changed.service.gate._clock = lambda: NOW
    changed.load()
    answer = changed.ask({"lot_id": LOT})
    before, after = (json.loads(entry["body"]) for entry in changed.entries("rules"))
    assert after["previous"] == {"hash": before["hash"], "told": before["told"]}
    assert after["told"]["gate"]["rules"]["out_of_specification"]["action"] == "inspect"
    assert replay(changed.site, changed.service.engine, answer["audit_id"]).same
    assert replay(changed.site, changed.service.engine, str(changed.entries()[0]["seq"])).same
    changed.service.gate.close()
    changed.service.engine.dispose()


# Overrides and what is carried out


def test_an_override_says_who_why_and_what_was_before_and_leaves_a_disposition(counter: Counter) -> None:
    answer = counter.ask({"lot_id": "nobody's"})
    said = counter.override(answer["audit_id"], {"decision": "hold", "reason": "ask the line"})
    assert (said["previous"], said["decision"]) == ("cannot_assess", "hold")
    (entry,) = counter.entries("override")
    body = json.loads(entry["body"])
    assert (entry["actor"], body["reason"], body["role"], body["risk_class"]) == (
        QUALITY.actor,
        "ask the line",
        "quality",
        "unknown",
    )
    row = {"lot_id": "nobody's", "decided_at": iso(NOW), "action": "held"}
    assert counter.arrived("dispositions") == [row] == [said["disposition"]]
    assert counter.service.followed.decision(answer["audit_id"])["followed"] == [
        {"lot_id": "nobody's", "now": "hold", "action": "held", "found": None}
    ]


@pytest.mark.parametrize(
    "refused",
    [{"decision": "cannot_assess", "reason": "x"}, {"decision": "hold"}, {"decision": "hold", "reason": " "}],
)
def test_an_override_without_a_decision_or_a_reason_is_none(counter: Counter, refused: Row) -> None:
    answer = counter.ask({"lot_id": LOT})
    with pytest.raises(Problem) as fault:
        counter.override(answer["audit_id"], refused)
    assert fault.value.code == "invalid_request"
    assert counter.entries("override") == []


def test_who_may_overrule_is_granted_by_role_and_risk_class(counter: Counter, stated: Path) -> None:
    told = record(stated)
    told["measurements"][0] = {**told["measurements"][0], "value": told["measurements"][0]["upper_spec"] + 0.5}
    held = counter.ask({"lots": [told]})["audit_id"]
    sent = {"decision": "release", "reason": "measured wrongly"}
    for caller in (LINE, QUALITY):
        with pytest.raises(Problem) as fault:
            counter.override(held, sent, caller=caller)
        assert (fault.value.code, fault.value.status) == ("not_authorised", 403)
    assert counter.override(held, sent, caller=ADMIN)["decision"] == "release"
    assert [row["action"] for row in counter.arrived("dispositions")] == ["released"]


def test_a_second_override_names_the_first_as_the_one_before(counter: Counter) -> None:
    answer = counter.ask({"lot_id": "nobody's"})["audit_id"]
    first = counter.override(answer, {"decision": "hold", "reason": "a"}, key="once")
    assert counter.override(answer, {"decision": "hold", "reason": "a"}, key="once") == first
    assert counter.override(answer, {"decision": "inspect", "reason": "b"}, caller=ADMIN)["previous"] == "hold"
    assert len(counter.entries("override")) == 2


def test_what_is_carried_out_leaves_its_disposition_and_is_never_less_than_was_decided(counter: Counter) -> None:
    unknown = counter.ask({"lot_id": "nobody's"})["audit_id"]
    with pytest.raises(Problem) as fault:
        counter.carried_out(unknown, {"action": "released"})
    assert fault.value.code == "not_decided"
    counter.override(unknown, {"decision": "inspect", "reason": "look"})
    with pytest.raises(Problem, match="overruled"):
        counter.carried_out(unknown, {"action": "released"})
    with pytest.raises(Problem, match="found 0 or 1"):
        counter.carried_out(unknown, {})
    counter.now += HOUR
    assert counter.carried_out(unknown, {"found": 0})["disposition"]["found"] == 0
    counter.now += HOUR
    assert counter.carried_out(unknown, {"action": "released"})["disposition"]["action"] == "released"
    assert [row["action"] for row in counter.arrived("dispositions")] == ["inspected", "released"]
    assert check_audit(counter.service.engine, counter.site.state_dir).good


def test_a_decision_about_several_lots_is_followed_lot_by_lot(counter: Counter) -> None:
    several = counter.ask({"lots": [LOT, "nobody's"]})["audit_id"]
    with pytest.raises(Problem, match="say which in lot_id"):
        counter.override(several, {"decision": "hold", "reason": "x"})
    with pytest.raises(Problem) as fault:
        counter.override(several, {"decision": "hold", "reason": "x", "lot_id": "another"})
    assert fault.value.code == "unknown_lot"
    counter.override(several, {"decision": "hold", "reason": "x", "lot_id": "nobody's"})
    assert [one["lot_id"] for one in counter.service.followed.decision(several)["followed"]] == ["nobody's"]


def test_records_of_a_line_widen_no_limits_and_a_source_does(counter: Counter) -> None:
    def told(lot_id: str) -> Row:
        sent = record(counter.site.folder, lot_id=lot_id)
        limit = sent["measurements"][0]["upper_spec"]
        sent["measurements"][0] |= {"value": limit + 0.5, "upper_spec": limit + 1.0}
        return sent

    def asked(lot: Any) -> list[str]:
        answer = counter.ask({"lots": [lot]})
        assert replay(counter.site, counter.service.engine, answer["audit_id"]).same
        return [state for state in states(answer["results"][0]) if state == "wider_limits"]

    for lot_id in ("N1", "N2"):
        assert asked(told(lot_id)) == ["wider_limits"]
        counter.now += HOUR
        counter.load()
    assert len(counter.arrived("measurements")) > 1
    with open_store(counter.site) as store:
        ingest(store, counter.site, now=counter.now)
    counter.load()
    assert (asked(told("N3")), asked("N1")) == (["wider_limits"],) * 2
    file = counter.site.folder / "data" / "measurements.parquet"
    rows, sent = pq.read_table(file), told("N1")["measurements"][0]
    of_source = dict.fromkeys(rows.column_names) | {"lot_id": LOT, "sample": "new", **sent}
    of_source["measured_at"] = datetime.fromisoformat(iso(counter.now))
    added = pa.Table.from_pylist([{name: of_source[name] for name in rows.column_names}], schema=rows.schema)
    pq.write_table(pa.concat_tables([rows, added]), file)
    with open_store(counter.site) as store:
        ingest(store, counter.site, now=counter.now)
    counter.now += HOUR
    counter.load()
    assert (asked(told("N4")), asked("N1")) == ([], [])


@pytest.mark.parametrize("audit_id", ["0", "1", "999", "x", "²", "-1", "02", "+2", " 2", "2_0", "1" * 30])
def test_what_is_no_decision_is_not_known(counter: Counter, audit_id: str) -> None:
    assert counter.ask({"lot_id": LOT})["audit_id"] == "2"  # entry 1 is that of the rules
    with pytest.raises(Problem) as fault:
        counter.service.followed.decision(audit_id)
    assert fault.value.code == "unknown_decision"
    with pytest.raises(LotRiskError, match="is no decision of the gate"):
        replay(counter.site, counter.service.engine, audit_id)
