"""Unknown is never release: every state in which the model cannot answer, and every rule, over a model that releases
everything."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from features.asof import DAY, HOUR, MINUTE, SECOND
from features.card import iso
from features.champion import Scorer
from features.containment import Scope
from features.decision import CANNOT_ASSESS, HOLD, INSPECT, RELEASE
from features.dictionary import LANGUAGES
from features.gate import CAREFUL, most_careful
from features.gate_settings import STATES, Asks, GateSettings, Outcome
from features.gate_words import RULES
from features.gate_words import STATES as WORDS
from serving.answers import Answer
from tests.serving.gate_desk import NOW, Desk, Row, gate_of, rules, states
from tests.serving.test_scores_route import record

Asked = dict[str, Any]
LOT = "L000378"
INSPECTED = {"lot_id": LOT, "decided_at": iso(NOW - DAY), "action": "inspected", "found": 0}


@pytest.fixture(scope="module")
def desk(factory: Path) -> Desk:
    return Desk(factory)


def sent(factory: Path, *, measured: Row | None = None, supplier_lot: str | None = None, **lot: Any) -> Row:
    """A record that the model releases, changed."""
    told = record(factory, **lot)
    if measured is not None:
        told["measurements"][0] = {**told["measurements"][0], **measured}
    if supplier_lot is not None:
        told["genealogy"][0] = {**told["genealogy"][0], "supplier_lot_id": supplier_lot}
    return told


def wider(factory: Path, **measured: Any) -> Row:
    """A record with a value out of the known limits, which says that they are wider."""
    limit = record(factory)["measurements"][0]["upper_spec"]
    return sent(factory, measured={"value": limit + 0.5, "upper_spec": limit + 1.0, **measured})


def supply(name: str, supplier: str, **more: Any) -> Row:
    row = {"supplier_lot_id": name, "supplier_id": supplier, "material_id": "M05", "material_group": "steel"}
    return {**row, "received_at": "2026-05-01T00:00:00Z", **more}


def used(desk: Desk, factory: Path, name: str, supplier: str, **more: Any) -> Answer:
    """A record that uses a supplier lot which arrived."""
    return desk.one(
        sent(factory, supplier_lot=name), histories=desk.with_rows(supplier_lots=[supply(name, supplier, **more)])
    )


def test_a_lot_of_which_all_is_known_is_released(desk: Desk, factory: Path) -> None:
    result = desk.one(record(factory))
    assert (result["decision"], states(result), rules(result), result["says"]) == (RELEASE, [], [], "")


def in_state(state: str, desk: Desk, factory: Path, gate: GateSettings | None = None) -> Answer:
    """A lot in that state, and in no other."""
    measurements = record(factory)["measurements"]
    late = [*measurements, {**measurements[0], "measured_at": iso(NOW + 60_000_000), "sample": "late"}]
    without = {**record(factory), "genealogy": []}
    made: dict[str, Asked] = {
        "no_champion": {"lot": record(factory), "scorer": Scorer(None)},
        "unknown_lot": {"lot": "nobody's"},
        "not_open": {
            "lot": LOT,
            "histories": desk.with_rows(
                dispositions=[{"lot_id": LOT, "decided_at": iso(NOW - DAY), "action": "scrapped"}]
            ),
        },
        "contradicting_rows": {
            "lot": LOT,
            "histories": desk.with_rows(dispositions=[INSPECTED, INSPECTED | {"found": 1}]),
        },
        "unknown_customer": {
            "lot": record(factory, customer_id="c01"),
            "histories": desk.with_rows(customers=[{"customer_id": "C90", "tier": "A", "hold": "no"}]),
        },
        "unknown_name": {"lot": sent(factory, measured={"characteristic": "ovn_temp"})},
        "missing_limits": {"lot": sent(factory, measured={"lower_spec": None, "upper_spec": None})},
        "wider_limits": {"lot": wider(factory)},
        "unseen_product": {"lot": record(factory, product_id="P99")},
        "unseen_supplier": {
            "lot": sent(factory, supplier_lot="SLX"),
            "histories": desk.with_rows(supplier_lots=[supply("SLX", "V99")]),
        },
        "unknown_supplier_lot": {"lot": sent(factory, supplier_lot="SL-nowhere")},
        "impossible_value": {"lot": record(factory, humidity=4800.0)},
        "measured_after_as_of": {"lot": {**record(factory), "measurements": late}},
        "stale_history": {"lot": record(factory), "old": "the sources were last looked at yesterday"},
        "pending_history": {"lot": record(factory), "pending": frozenset({"N1"})},
        "missing_table": {"lot": record(factory), "histories": _without(desk, "surveys", "actions")},
        "missing_history": {"lot": without},
        "calibration_expired": {"lot": record(factory), "gate": {"calibrated_for": "200d"}},
        "below_min_units": {"lot": record(factory, quantity=0)},
        "past_as_of": {"lot": record(factory), "now": NOW + 2 * DAY, "as_of": NOW},
    }
    asked = dict(made[state])
    stated = (gate or GateSettings()).model_dump() | asked.pop("gate", {})
    return desk.one(asked.pop("lot"), gate=GateSettings.model_validate(stated), **asked)


@pytest.mark.parametrize(
    ("done", "open_"),
    [
        ([("inspected", 1)], False),
        ([("held", None), ("inspected", 1)], False),
        ([("held", None), ("inspected", None)], False),
        ([("inspected", 1), ("inspected", None)], False),
        ([("scrapped", None), ("inspected", 1)], False),
        ([("held", None), ("inspected", 0)], True),
        ([("inspected", 1), ("inspected", 0)], True),
        ([("inspected", 1), ("reworked", None)], True),
        ([("inspected", 1), ("released", None)], True),
        ([("inspected", None)], True),
        ([("inspected", 0)], True),
        ([("Scrapped ", None)], False),
        ([("burned", None)], False),
        ([("reworked", 1)], False),
        ([("held", None), ("Released", None)], True),
    ],
)
def test_a_lot_that_was_put_away_or_found_failing_is_not_released_until_it_is_good(
    desk: Desk, done: list[tuple[str, int | None]], open_: bool
) -> None:
    rows: list[Row] = [
        {"lot_id": LOT, "decided_at": iso(NOW - DAY + number), "action": action, "found": found}
        for number, (action, found) in enumerate(done)
    ]
    result = desk.one(LOT, histories=desk.with_rows(dispositions=rows))
    assert states(result) == ([] if open_ else ["not_open"])
    assert (result["decision"] == RELEASE) == open_


@pytest.mark.parametrize(
    ("decided", "known", "open_"),
    [
        (-4 * HOUR, -4 * HOUR, True),
        (-HOUR, -HOUR, False),
        (-4 * HOUR, -HOUR, False),  # decided before, and booked after: which of them knew of the other nobody knows
    ],
)
def test_a_lot_stays_put_away_unless_a_later_decision_that_was_known_later_says_that_it_is_good(
    decided: int, known: int, open_: bool, desk: Desk
) -> None:
    good = {"lot_id": LOT, "decided_at": iso(NOW - 2 * HOUR), "known_at": iso(NOW - 2 * HOUR), "action": "released"}
    bad = {"lot_id": LOT, "decided_at": iso(NOW + decided), "known_at": iso(NOW + known), "action": "held"}
    assert states(desk.one(LOT, histories=desk.with_rows(dispositions=[good, bad]))) == ([] if open_ else ["not_open"])
    late = good | {"known_at": iso(NOW - HOUR)}
    other = bad | {"decided_at": iso(NOW - 3 * HOUR), "known_at": iso(NOW - 3 * HOUR)}
    assert states(desk.one(LOT, histories=desk.with_rows(dispositions=[late, other]))) == []


def test_rows_that_contradict_each_other_hold_every_lot_that_they_are_about_until_a_later_one_settles_it(
    desk: Desk, factory: Path
) -> None:
    limits = record(factory)["measurements"][0]
    good = {"lot_id": LOT, **limits, "sample": "late", "measured_at": iso(NOW - DAY)}
    bad = good | {"value": limits["upper_spec"] + 1}
    assert states(desk.one(LOT, histories=desk.with_rows(measurements=[good]))) == []
    assert states(desk.one(LOT, histories=desk.with_rows(measurements=[good, bad]))) == ["contradicting_rows"]
    assert states(desk.one("L000377", histories=desk.with_rows(measurements=[good, bad]))) == []
    settled = desk.with_rows(measurements=[good, bad, bad | {"known_at": iso(NOW - HOUR)}])
    result = desk.one(LOT, histories=settled)
    assert (states(result), rules(result)) == ([], ["out_of_specification"])
    supplier = desk.histories.ids["supplier"].texts[0]
    twice = [supply("SLX", supplier, status=status, known_at=iso(NOW - DAY)) for status in ("free", "blocked")]
    first = supply("SLX", supplier, status="free", known_at=iso(NOW - 2 * DAY))
    result = desk.one(sent(factory, supplier_lot="SLX"), histories=desk.with_rows(supplier_lots=[first, *twice]))
    assert states(result) == ["contradicting_rows"]
    first = {"customer_id": "C90", "tier": "A", "hold": "no", "known_at": iso(NOW - 2 * DAY)}
    both = [first | {"hold": hold, "known_at": iso(NOW - DAY)} for hold in ("no", "yes")]
    result = desk.one(record(factory, customer_id="C90"), histories=desk.with_rows(customers=[first, *both]))
    assert states(result) == ["contradicting_rows"]


def test_bad_news_that_are_known_only_later_hold_a_lot_and_good_ones_do_not(desk: Desk) -> None:
    for table, row, bad in (
        ("dispositions", {"lot_id": LOT, "decided_at": iso(NOW + MINUTE), "action": "scrapped"}, True),
        ("dispositions", {"lot_id": LOT, "decided_at": iso(NOW), "action": "inspected", "found": 1}, True),
        ("dispositions", {"lot_id": LOT, "decided_at": iso(NOW), "action": "inspected", "found": 0}, False),
        ("outcomes", {"lot_id": LOT, "known_at": iso(NOW + MINUTE), "failed": 1}, True),
        ("outcomes", {"lot_id": LOT, "known_at": iso(NOW + MINUTE), "failed": 0}, False),
    ):
        result = desk.one(LOT, histories=desk.with_rows(**{table: [row]}))
        assert states(result) == (["measured_after_as_of"] if bad else []), row
        assert (result["decision"] == RELEASE) == (not bad)


def test_a_lot_of_which_an_outcome_says_that_it_failed_is_not_released(desk: Desk) -> None:
    outcome = {"lot_id": LOT, "known_at": iso(NOW - DAY)}
    reworked = [{"lot_id": LOT, "decided_at": iso(NOW - HOUR), "action": "reworked"}]
    assert states(desk.one(LOT, histories=desk.with_rows(outcomes=[{**outcome, "failed": 0}]))) == []
    assert states(desk.one(LOT, histories=desk.with_rows(outcomes=[{**outcome, "failed": 1}]))) == ["not_open"]
    after = desk.with_rows(outcomes=[{**outcome, "failed": 1}], dispositions=reworked)
    assert states(desk.one(LOT, histories=after)) == []


def test_a_table_that_a_limit_is_stated_for_is_watched_also_where_the_model_does_not_use_it(desk: Desk) -> None:
    assert desk.scorer.bundle is not None and "surveys" not in desk.scorer.bundle.layout.tables
    result = desk.one(LOT, stale={"surveys": HOUR})
    assert states(result) == ["stale_history"] and result["unknown"][0]["detail"].endswith("the limit is 1 hours")
    detail = desk.one(LOT, stale={"surveys": 90 * SECOND})["unknown"][0]["detail"]
    assert re.search(r"is [1-9][0-9]* minutes older than as_of; the limit is 1.5 minutes$", detail)
    assert states(desk.one(LOT, stale={"surveys": 999 * DAY})) == []


@pytest.mark.parametrize("rule", ["blocked_supplier_lot", "customer_hold"])
def test_a_rule_over_a_column_that_is_not_there_releases_nothing(desk: Desk, rule: str) -> None:
    gate = gate_of(rules={rule: {"action": "hold", "column": "stauts", "values": ["blocked"]}})
    result = desk.one(LOT, gate=gate)
    assert (result["decision"], states(result)) == (CANNOT_ASSESS, ["missing_table"])
    assert f"the rule {rule} looks at" in result["unknown"][0]["detail"] and "stauts" in str(result["unknown"])
    off = gate_of(rules={rule: {"action": "off", "column": "stauts", "values": ["blocked"]}})
    assert states(desk.one(LOT, gate=off)) == []


def test_a_lot_that_no_table_holds_is_held_by_a_containment_that_lists_it(desk: Desk) -> None:
    scopes = [Scope(7, (), ("nobody's",))]
    for gate in (GateSettings(), gate_of(degraded={"unknown_lot": "inspect"})):
        result = desk.one("nobody's", gate=gate, scopes=scopes)
        assert (result["decision"], rules(result), states(result)) == (HOLD, ["open_containment"], ["unknown_lot"])
    off = gate_of(rules={"open_containment": {"action": "off"}})
    assert rules(desk.one("nobody's", gate=off, scopes=scopes)) == []
    assert rules(desk.one("somebody's", scopes=scopes)) == []


def _without(desk: Desk, *tables: str) -> Any:
    kept = {name: table for name, table in desk.histories.tables.items() if name not in tables}
    return replace(desk.histories, tables=kept, _made={})


@pytest.mark.parametrize("state", STATES)
def test_no_state_in_which_the_model_cannot_answer_is_a_release(state: str, desk: Desk, factory: Path) -> None:
    result = in_state(state, desk, factory)
    assert state in states(result)
    assert result["decision"] == CANNOT_ASSESS
    assert result["says"].startswith("A person has to decide: ")


@pytest.mark.parametrize("outcome", get_args(Outcome))
@pytest.mark.parametrize("state", STATES)
def test_a_site_may_declare_what_follows_from_a_state(state: str, outcome: str, desk: Desk, factory: Path) -> None:
    result = in_state(state, desk, factory, gate_of(degraded=dict.fromkeys(STATES, outcome)))
    assert result["decision"] == outcome
    assert {one["outcome"] for one in result["unknown"]} == {outcome}


def test_no_state_can_be_declared_a_release() -> None:
    with pytest.raises(ValueError, match="degraded"):
        gate_of(degraded={"stale_history": "release"})
    with pytest.raises(ValueError, match="did you mean stale_history"):
        gate_of(degraded={"stale_histories": "hold"})


def test_a_table_that_is_older_than_its_own_limit_is_a_stale_history(desk: Desk, factory: Path) -> None:
    result = desk.one(record(factory), stale={"surveys": DAY})
    assert states(result) in ([], ["stale_history"])
    assert states(desk.one(record(factory), stale={"returns": 1})) == ["stale_history"]


def test_a_decision_stands_until_a_table_becomes_stale(desk: Desk, factory: Path) -> None:
    result = desk.one(record(factory), stale={"returns": 3 * DAY})
    shorter = desk.one(record(factory), stale={"returns": DAY})
    assert result["stands_until"] == iso(NOW + DAY)  # [gate] stands_for
    assert result["stands_until"] > shorter["stands_until"] > iso(NOW)


def test_a_decision_stands_until_the_calibration_expires(desk: Desk, factory: Path) -> None:
    assert desk.scorer.bundle is not None
    days = (NOW - desk.scorer.bundle.card.trained_until) // DAY
    result = desk.one(record(factory), gate=gate_of(calibrated_for=f"{days + 0.25}d"))
    assert (result["decision"], result["stands_until"]) == (RELEASE, iso(NOW + DAY // 4))


# Rules


def test_a_measurement_out_of_its_limits_holds_the_lot(desk: Desk, factory: Path) -> None:
    limits = record(factory)["measurements"][0]
    result = desk.one(sent(factory, measured={"value": limits["upper_spec"] + 0.5}))
    assert (result["decision"], rules(result)) == (HOLD, ["out_of_specification"])
    (what,) = result["rules"][0]["what"]
    assert limits["characteristic"] in what and f"{limits['upper_spec']:g}" in what
    assert result["says"] == "Keep the lot back: A measurement is out of specification"
    assert rules(desk.one(sent(factory, measured={"value": limits["upper_spec"]}))) == []


def test_measuring_again_until_a_value_fits_mends_nothing(desk: Desk, factory: Path) -> None:
    told = sent(factory, measured={"value": 1000.0})
    again = {**told["measurements"][0], "value": 165.0, "sample": "again"}
    assert rules(desk.one({**told, "measurements": [*told["measurements"], again]})) == ["out_of_specification"]


def test_limits_that_a_line_widens_make_no_value_pass(desk: Desk, factory: Path) -> None:
    told = record(factory)["measurements"][0]
    result = desk.one(wider(factory))
    assert (result["decision"], states(result), rules(result)) == (CANNOT_ASSESS, ["wider_limits"], [])
    (detail,) = [one["detail"] for one in result["unknown"]]
    for said in (told["characteristic"], f"{told['upper_spec']:g}", f"{told['upper_spec'] + 1:g}"):
        assert said in detail
    assert states(desk.one(wider(factory, value=told["upper_spec"]))) == []  # within both
    assert states(desk.one(wider(factory, upper_spec=None))) == ["wider_limits"]


def test_wider_limits_are_known_once_another_lot_has_them(desk: Desk, factory: Path) -> None:
    row = {**wider(factory)["measurements"][0], "sample": "new"}
    for lot, known, expected in (
        (LOT, NOW - 1, []),
        (LOT, NOW, ["wider_limits"]),  # strictly before the question
        ("N1", NOW - 1, ["wider_limits"]),  # the lot's own
        ("L000001", NOW - 1, ["wider_limits"]),  # of another product
    ):
        own = {**record(factory)["lot"], "lot_id": "N1"}
        rows = {"measurements": [{**row, "lot_id": lot, "measured_at": iso(known)}]}
        histories = desk.with_rows(**rows, **({"lots": [own]} if lot == "N1" else {}))
        asked = {**wider(factory), "measurements": wider(factory)["measurements"]}
        assert states(desk.one(asked, histories=histories)) == expected, lot


def test_a_blocked_supplier_lot_holds_what_it_went_into(desk: Desk, factory: Path) -> None:
    supplier = desk.histories.ids["supplier"].texts[0]
    blocked = used(desk, factory, "SLX", supplier, status="Blocked ")
    assert (blocked["decision"], rules(blocked)) == (HOLD, ["blocked_supplier_lot"])
    assert blocked["rules"][0]["what"] == ["SLX: status is Blocked "]
    free = used(desk, factory, "SLX", supplier, status="free")
    assert (free["decision"], rules(free)) == (RELEASE, [])


def test_a_block_counts_from_when_it_is_known(desk: Desk, factory: Path) -> None:
    supplier = desk.histories.ids["supplier"].texts[0]
    free = supply("SLX", supplier, status="free")
    for known, expected in ((NOW - 1, ["blocked_supplier_lot"]), (NOW, [])):
        rows = [free, {**free, "status": "blocked", "known_at": iso(known)}]
        result = desk.one(sent(factory, supplier_lot="SLX"), histories=desk.with_rows(supplier_lots=rows))
        assert rules(result) == expected


def test_a_lot_whose_material_or_customer_is_held_by_news_to_come_is_not_released_before(
    desk: Desk, factory: Path
) -> None:
    supplier = desk.histories.ids["supplier"].texts[0]
    free = supply("SLX", supplier, status="free", known_at=iso(NOW - DAY))
    for status, expected in (("blocked", ["measured_after_as_of"]), ("free", [])):
        rows = [free, {**free, "status": status, "known_at": iso(NOW + MINUTE)}]
        result = desk.one(sent(factory, supplier_lot="SLX"), histories=desk.with_rows(supplier_lots=rows))
        assert states(result) == expected
    first = {"customer_id": "C90", "tier": "A", "hold": "no", "known_at": iso(NOW - DAY)}
    for hold, expected in (("yes", ["measured_after_as_of"]), ("no", [])):
        rows = [first, {**first, "hold": hold, "known_at": iso(NOW)}]
        result = desk.one(record(factory, customer_id="C90"), histories=desk.with_rows(customers=rows))
        assert states(result) == expected


def test_a_customer_on_hold_gets_nothing(desk: Desk, factory: Path) -> None:
    customers = [{"customer_id": "C90", "tier": "A", "hold": "yes"}, {"customer_id": "C91", "tier": "A", "hold": "no"}]
    histories = desk.with_rows(customers=customers)
    held = desk.one(record(factory, customer_id="C90"), histories=histories)
    assert (held["decision"], rules(held), held["rules"][0]["what"]) == (HOLD, ["customer_hold"], ["C90: hold is yes"])
    assert rules(desk.one(record(factory, customer_id="C91"), histories=histories)) == []


def test_an_open_containment_holds_the_lots_it_names_and_those_of_its_supplier_lots(desk: Desk, factory: Path) -> None:
    told = record(factory)
    name = told["genealogy"][0]["supplier_lot_id"]
    for scope in (Scope(7, (name,), ()), Scope(7, (), ("N1",))):
        result = desk.one(told, scopes=[scope])
        assert (result["decision"], rules(result)) == (HOLD, ["open_containment"])
        assert result["rules"][0]["what"][0].startswith("containment 7: ")


def test_a_supplier_lot_without_its_inspection_is_overdue_after_the_sites_time(desk: Desk, factory: Path) -> None:
    rule = {"overdue_inspection": {"after": "20d"}}
    supplier = desk.histories.ids["supplier"].texts[0]
    seen = {"supplier_lot_id": "SLX", "inspected_at": "2026-07-20T00:00:00Z", "sample_size": 50, "defects": 0}
    for received, more, expected in (
        (iso(NOW - 20 * DAY - 1), {}, ["overdue_inspection"]),
        (iso(NOW - 20 * DAY), {}, []),
        (iso(NOW - 20 * DAY - 1), {"inspections": [seen]}, []),
    ):
        rows: dict[str, list[Row]] = {"supplier_lots": [supply("SLX", supplier, received_at=received)], **more}
        asked = {"histories": desk.with_rows(**rows), "gate": gate_of(rules=rule)}
        result = desk.one(sent(factory, supplier_lot="SLX"), **asked)
        assert rules(result) == expected
        assert result["decision"] == (INSPECT if expected else RELEASE)
    soon = [supply("SLX", supplier, received_at=iso(NOW - 19 * DAY - DAY // 2))]
    waits = desk.one(
        sent(factory, supplier_lot="SLX"), histories=desk.with_rows(supplier_lots=soon), gate=gate_of(rules=rule)
    )
    assert (waits["decision"], waits["stands_until"]) == (RELEASE, iso(NOW + DAY // 2))


VALUES = {"blocked_supplier_lot": {"column": "status", "values": ["blocked"]}}
VALUES["customer_hold"] = {"column": "hold", "values": ["yes"]}


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_can_be_made_a_release(rule: str) -> None:
    for action in ("off", "inspect", "hold"):
        gate_of(rules={rule: {"action": action, **VALUES.get(rule, {})}})
    with pytest.raises(ValueError, match="action"):
        gate_of(rules={rule: {"action": "release", **VALUES.get(rule, {})}})


def test_a_rule_may_ask_for_an_inspection_or_be_switched_off(desk: Desk, factory: Path) -> None:
    told = sent(factory, measured={"value": record(factory)["measurements"][0]["upper_spec"] + 0.5})
    for action, decision in (("inspect", INSPECT), ("off", RELEASE)):
        assert desk.one(told, gate=gate_of(rules={"out_of_specification": {"action": action}}))["decision"] == decision


def test_a_rule_that_holds_says_more_than_a_state_that_nobody_can_assess(desk: Desk, factory: Path) -> None:
    told = sent(factory, measured={"value": 1000.0}, product_id="P99")
    result = desk.one(told)
    assert (result["decision"], rules(result), "unseen_product" in states(result)) == (
        HOLD,
        ["out_of_specification"],
        True,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_rules_and_states_have_words_in_every_language(language: str, desk: Desk, factory: Path) -> None:
    assert set(WORDS) == set(STATES)
    result = desk.one(sent(factory, measured={"value": 1000.0}, product_id="P99"), language=language)
    texts = [one["text"] for one in (*result["rules"], *result["unknown"])] + [result["says"]]
    assert all(any("一" <= letter <= "鿿" for letter in text) == (language == "zh") for text in texts)


# What is decided


def test_the_model_can_only_add_caution() -> None:
    for action in CAREFUL:
        for asks in ([], *([one] for one in (*(one for one in get_args(Asks) if one != "off"), *get_args(Outcome)))):
            if action == CANNOT_ASSESS and asks:
                assert most_careful(action, asks) == asks[0]
            else:
                least = [action, *asks]
                assert CAREFUL.index(most_careful(action, asks)) == max(map(CAREFUL.index, least))
    assert most_careful(RELEASE, ["inspect", "hold"]) == HOLD
    assert most_careful(CANNOT_ASSESS, []) == CANNOT_ASSESS


def test_a_lot_that_cannot_be_read_is_no_release_either(desk: Desk, factory: Path) -> None:
    good, bad, twice, neither = desk.decide(record(factory), {"lot": {"lot_id": "B"}}, record(factory), 7)
    assert good["decision"] == RELEASE
    for result in (bad, twice, neither):
        assert (result["decision"], "problem" in result) == (CANNOT_ASSESS, True)


def test_a_lot_alone_is_decided_as_among_others(desk: Desk, factory: Path) -> None:
    lots = [record(factory), sent(factory, measured={"value": 1000.0}, lot_id="N2"), "L000378", "nobody's", "L000007"]
    scopes = [Scope(1, (), ("L000007",))]
    together = desk.decide(*lots, scopes=scopes, priced=True)
    assert together == [desk.one(lot, scopes=scopes, priced=True) for lot in lots]


def test_reasons_are_given_where_a_lot_is_not_released(desk: Desk, factory: Path) -> None:
    assert desk.one(record(factory))["reasons"] == []
    asked = desk.one(record(factory), priced=True)
    assert (asked["decision"] != RELEASE, len(asked["reasons"])) == (True, 5)


def test_rows_that_a_fast_clock_sent_are_not_passed_over(desk: Desk, factory: Path) -> None:
    limits = record(factory)["measurements"][0]
    row = {"lot_id": LOT, **limits, "sample": "late"}
    for known, expected in ((NOW - 1, []), (NOW, ["measured_after_as_of"]), (NOW + DAY, ["measured_after_as_of"])):
        histories = desk.with_rows(measurements=[{**row, "measured_at": iso(known)}])
        assert states(desk.one(LOT, histories=histories)) == expected


def test_a_question_about_the_past_releases_nothing_however_near_it_is(desk: Desk) -> None:
    assert desk.one(LOT, as_of=NOW, now=NOW)["decision"] == RELEASE
    assert states(desk.one(LOT, as_of=NOW - 1, now=NOW)) == ["past_as_of"]


def test_a_customer_matters_only_where_customers_can_be_on_hold(desk: Desk, factory: Path) -> None:
    assert states(desk.one(record(factory, customer_id="c01"))) == []


def test_a_lot_that_was_deleted_does_not_come_back_with_a_record(desk: Desk, factory: Path) -> None:
    own = {**record(factory)["lot"], "lot_id": "N1"}
    gone = {"lot_id": "N1", "known_at": iso(NOW - 1), "deleted": True}
    result = desk.one(record(factory), histories=desk.with_rows(lots=[own, gone]))
    assert (result["decision"], result["problem"]["code"]) == (CANNOT_ASSESS, "conflicts_with_history")
    assert "was deleted" in result["problem"]["detail"]
