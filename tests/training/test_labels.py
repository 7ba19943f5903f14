"""Labels and maturity: against the oracle, and sentence by sentence."""

from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from features.asof import DAY
from features.judgements import judge
from tests import oracle
from tests.tiny_site import Rows, day, histories, rules, tiny_site
from training.labels import Labels, label

NAMES = {1: "failed", 0: "held up", -1: None}
RULES = st.builds(
    rules,
    label=st.sampled_from(["returns", "outcomes"]),
    ppm=st.sampled_from([100_000, 333_333.3, 1_000_000]),
    within=st.sampled_from([1, 60]),
    reporting=st.sampled_from([0, 10]),
    at=st.sampled_from(["shipped_at", "produced_at"]),
    again_every=st.sampled_from([None, 30]),
    known_until=st.sampled_from([None, None, 200, 500]),
)


def labelled(rows: Rows, rule, until: int) -> tuple[list[tuple], Labels]:
    """(lot, as_of, failed, mature) of every judgement; -1: no label."""
    told = histories(rows, rule).known_before(until)
    judged = judge(told, rule, until=until)
    found = label(judged, told, rule, until=until)
    lots = told.ids["lot"].decode(judged.lot)
    return list(zip(lots, judged.as_of.tolist(), found.failed.tolist(), found.mature.tolist(), strict=True)), found


def by_the_book(rows: Rows, rule, until: int) -> list[tuple]:
    told = oracle.as_it_was(rows, until)
    end, delay = oracle.cut(told, rule, until), oracle.reporting_delay(told, rule, until)
    found = []
    for one in oracle.judgements(rows, rule, until):
        failed = oracle.label(one, told, rule, until)
        found.append((one.lot, one.as_of, -1 if failed is None else failed, one.window(rule)[1] + delay < end))
    return found


@settings(max_examples=25, deadline=None, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32 - 1), rule=RULES, until=st.integers(250, 600).map(day))
def test_labels_are_those_of_the_book(seed, rule, until):
    random = Random(seed)
    rows = tiny_site(random, lots=6, label=rule.label.source, ships=random.choice(["lots", "shipments", "both"]))
    source = rule.label.source
    rows.setdefault(source, []).append(ANY[source])
    assert labelled(rows, rule, until)[0] == by_the_book(rows, rule, until)


@pytest.mark.parametrize("seed", range(4))
def test_labels_with_the_delay_estimated_are_those_of_the_book(seed):
    rule = rules(within=30, label=["returns", "outcomes"][seed % 2])
    rows = tiny_site(Random(seed), lots=60, label=rule.label.source)
    found = labelled(rows, rule, day(420))
    assert found[1].delay != rule.label.reporting
    assert found[0] == by_the_book(rows, rule, day(420))


def lot(name: str = "L", **told) -> dict:
    return {"lot_id": name, "product_id": "P", "quantity": 10, "produced_at": day(1), "shipped_at": day(5)} | told


def back(occurred: float, reported: float, quantity: int = 1, **told) -> dict:
    row = {"return_id": f"{occurred}-{quantity}", "lot_id": "L", "quantity": quantity}
    return row | {"occurred_at": day(occurred), "reported_at": day(reported)} | told


ANY = {
    "returns": {"return_id": "R", "lot_id": "L00", "occurred_at": day(2), "reported_at": day(240), "quantity": 1},
    "outcomes": {"lot_id": "L00", "failed": 0, "known_at": day(240)},
}
LATER = {"return_id": "later", "lot_id": "other", "occurred_at": day(400), "reported_at": day(400)}
OTHER = lot("other", produced_at=day(390), shipped_at=day(395))


def fate(returns=(), *, lots=(), reach: float = 400, until: float = 1000, rule=None, **tables) -> tuple[int, bool]:
    """(label, mature) of lot L's first judgement; the data reach to day `reach`."""
    later = LATER | {"occurred_at": day(reach), "reported_at": day(reach)}
    rows = {"lots": [*(lots or [lot()]), OTHER], "returns": [*returns, later], **tables}
    found = [one for one in labelled(rows, rule or rules(), day(until))[0] if one[0] == "L"]
    return found[0][2:]


def test_units_that_reach_the_rate_fail_the_lot():
    assert fate([back(10, 11)]) == (1, True)
    assert fate([back(10, 11)], rule=rules(ppm=100_001)) == (0, True)
    assert fate([back(10, 11), back(20, 21)], rule=rules(ppm=200_000)) == (1, True)


def test_the_window_starts_at_the_judgement_and_ends_before_its_last_moment():
    assert fate([back(5, 6)])[0] == 1
    assert fate([back(4, 6)])[0] == 0
    assert fate([back(64.9, 66)])[0] == 1
    assert fate([back(65, 66)])[0] == 0


def test_a_return_reported_exactly_at_the_reach_counts():
    assert fate([back(64, 400)], reach=300) == (1, True)


def test_a_return_reported_at_until_does_not_count():
    assert fate([back(64, 500)], until=500) == (0, True)
    assert fate([back(64, 499)], until=500) == (1, True)


def test_a_correction_counts_as_it_stands_at_the_cut():
    moved = [back(10, 11), back(10, 50) | {"occurred_at": day(4)}]
    assert fate(moved)[0] == 0
    assert fate(moved, reach=49, until=50)[0] == 1


def test_a_deleted_return_does_not_count():
    assert fate([back(10, 11), back(10, 50, deleted=True)])[0] == 0


def test_a_deletion_reaches_as_far_as_any_other_news():
    gone = [back(10, 11), back(10, 90, deleted=True)]
    assert fate(gone, reach=12) == (0, True)


def test_a_judgement_is_mature_when_window_and_delay_are_over_strictly_before_the_cut():
    assert fate(reach=75) == (0, False)
    assert fate(reach=75.1) == (0, True)


def test_a_young_lot_that_already_failed_is_left_out():
    assert fate([back(6, 7)], reach=75) == (1, False)


def test_never_the_wall_clock():
    assert fate(reach=60, until=30_000) == (0, False)


def test_known_until_says_how_far_the_data_reach():
    assert fate(reach=60, rule=rules(known_until=76)) == (0, True)
    assert fate(reach=400, rule=rules(known_until=75)) == (0, False)
    assert fate(reach=60, rule=rules(known_until=76), until=75) == (0, False)


def test_the_reach_is_taken_among_rows_known_before_until():
    assert fate([back(20, 70)], reach=400, until=90) == (1, False)


def test_a_reworked_lot_has_no_label():
    done = {"lot_id": "L", "decided_at": day(20), "action": "reworked"}
    assert fate([back(10, 11)], dispositions=[done])[0] == -1
    assert fate([back(10, 11)], dispositions=[done | {"action": "scrapped"}])[0] == -1
    assert fate([back(10, 11)], dispositions=[done | {"action": "held"}])[0] == 1


def test_rework_known_only_after_until_changes_nothing():
    done = {"lot_id": "L", "decided_at": day(20), "action": "reworked", "known_at": day(500)}
    assert fate([back(10, 11)], dispositions=[done], until=500)[0] == 1


def test_found_before_shipment_is_failed():
    caught = {"lot_id": "L", "decided_at": day(4), "action": "reworked", "found": 1}
    assert fate(dispositions=[caught])[0] == 1


def test_found_at_or_after_shipment_is_not_found_before_it():
    late = {"lot_id": "L", "decided_at": day(5), "action": "inspected", "found": 1}
    assert fate(dispositions=[late])[0] == 0


def test_found_in_the_house_is_failed_and_judged_when_found():
    caught = {"lot_id": "L", "decided_at": day(4), "action": "scrapped", "found": 1}
    rows = {"lots": [lot(shipped_at=None), OTHER], "returns": [LATER], "dispositions": [caught]}
    assert labelled(rows, rules(), day(1000))[0][0] == ("L", day(4), 1, True)


def test_found_in_the_house_is_in_use_only_once_it_is_as_old_as_any_other():
    caught = {"lot_id": "L", "decided_at": day(4), "action": "scrapped", "found": 1}
    young = {"lots": [lot(shipped_at=None)], "returns": [LATER | {"lot_id": "L"}], "dispositions": [caught]}
    young["returns"][0] |= {"occurred_at": day(74), "reported_at": day(74)}
    assert labelled(young, rules(), day(1000))[0][0][2:] == (1, False)


def test_a_lot_that_never_shipped_has_no_label():
    assert fate(lots=[lot(shipped_at=None)], rule=rules(at="produced_at"))[0] == -1


def test_the_window_of_a_lot_judged_before_it_ships_starts_at_shipment():
    at_once = rules(at="produced_at")
    assert fate([back(62, 63)], lots=[lot(shipped_at=day(60))], rule=at_once) == (1, True)
    assert fate([back(119, 120)], lots=[lot(shipped_at=day(60))], rule=at_once) == (1, True)
    assert fate(lots=[lot(shipped_at=day(60))], reach=130, rule=at_once) == (0, False)


def test_the_label_of_a_lot_judged_before_it_ships_is_of_its_own_quantity():
    at_once = rules(at="produced_at")
    shipped = [{"shipment_id": "s", "lot_id": "L", "shipped_at": day(5), "quantity": 1}]
    other = {"shipment_id": "t", "lot_id": "other", "shipped_at": day(395), "quantity": 1}
    few = rules(at="produced_at", ppm=100_001)
    assert fate([back(10, 11)], rule=at_once, shipments=[*shipped, other])[0] == 1
    assert fate([back(10, 11)], rule=few, shipments=[*shipped, other])[0] == 0


def outcome(name: str = "L", failed: int = 1, known: float = 20) -> dict:
    return {"lot_id": name, "failed": failed, "known_at": day(known)}


def told(outcomes: list, *, until: float = 1000, reporting: float = 30) -> tuple[list[tuple], dict]:
    rule = rules(label="outcomes", reporting=reporting)
    found, labels = labelled({"lots": [lot(), OTHER], "outcomes": outcomes}, rule, day(until))
    return [one[2:] for one in found], labels.counts


def test_an_outcome_is_the_label_and_its_window_is_zero():
    assert told([outcome(), outcome("other", 0, 396)])[0] == [(1, True), (0, False)]


def test_a_mature_judgement_whose_outcome_is_not_known_has_no_label_and_is_counted():
    found, counts = told([outcome("other", 0, 396)])
    assert found == [(-1, True), (0, False)]
    assert counts == {"immature": 1, "outcome not known": 1}


def test_the_latest_outcome_known_before_until_counts():
    corrected = [outcome(), outcome(failed=0, known=300), outcome("other", 0, 396)]
    assert told(corrected)[0][0] == (0, True)
    assert told(corrected, until=300)[0][0] == (1, False)


def test_every_label_says_its_immature_share():
    _, labels = labelled({"lots": [lot(), OTHER], "returns": [back(10, 11), LATER]}, rules(), day(1000))
    assert labels.describe() == {
        "judgements": 2,
        "immature_share": 0.5,
        "delay_days": 10.0,
        "failed": 1,
        "immature": 1,
    }
    assert labels.usable.tolist() == [0]
    assert (labels.cut, labels.delay) == (day(400), 10 * DAY)


def test_the_oracle_catches_maturity_by_result():
    rows = {"lots": [lot(), OTHER], "returns": [back(6, 7), LATER | {"occurred_at": day(75), "reported_at": day(75)}]}
    one = oracle.judgements(rows, rules(), day(1000))[0]
    by_result = oracle.label(one, rows, rules(), day(1000)) == 1 or oracle.mature(one, rows, rules(), day(1000))
    assert by_result != oracle.mature(one, rows, rules(), day(1000))
