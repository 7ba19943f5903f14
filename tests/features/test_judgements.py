"""Which lots are judged, when and on how many units: against the oracle, and sentence by sentence."""

from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from features.asof import NO_TIME
from features.judgements import first_moment, judge
from features.reading import histories_of
from tests import oracle
from tests.tiny_site import Rows, arrow, asked, day, histories, rules, site, tiny_site

RANDOM = st.integers(0, 2**32 - 1).map(Random)
END = day(1000)
UNTIL = st.integers(60, 420).map(day)
RULES = st.builds(
    rules,
    label=st.sampled_from(["returns", "outcomes"]),
    at=st.sampled_from(["shipped_at", "produced_at"]),
    again_every=st.sampled_from([None, 30, 90]),
    until_age=st.sampled_from([90, 100, 1095]),
    min_units=st.sampled_from([1, 5]),
)


def judged(rows: Rows, rule, until: int = END):
    """(lot, as_of, units, shipped) of every judgement, as the product has it."""
    told = histories(rows, rule).known_before(until)
    found = judge(told, rule, until=until)
    shipped = [None if moment == NO_TIME else moment for moment in found.shipped.tolist()]
    return list(
        zip(told.ids["lot"].decode(found.lot), found.as_of.tolist(), found.units.tolist(), shipped, strict=True)
    )


def by_the_book(rows: Rows, rule, until: int):
    return [(one.lot, one.as_of, one.units, one.shipped) for one in oracle.judgements(rows, rule, until)]


@settings(max_examples=30, deadline=None, phases=[Phase.generate])
@given(random=RANDOM, rule=RULES, until=UNTIL, ships=st.sampled_from(["lots", "shipments", "both"]))
def test_judgements_are_those_of_the_book(random, rule, until, ships):
    rows = tiny_site(random, lots=5, label=rule.label.source, ships=ships)
    rows.setdefault(rule.label.source, ANY[rule.label.source])
    assert judged(rows, rule, until) == by_the_book(rows, rule, until)


@pytest.mark.parametrize("seed", range(6))
def test_judgements_of_larger_sites_are_those_of_the_book(seed):
    rule = rules(again_every=45, at=["shipped_at", "produced_at"][seed % 2])
    rows = tiny_site(Random(seed), lots=25, ships=["lots", "shipments", "both"][seed % 3])
    assert judged(rows, rule, day(333)) == by_the_book(rows, rule, day(333))


def lot(name: str = "L", **told) -> dict:
    return {"lot_id": name, "product_id": "P", "quantity": 10, "produced_at": day(1)} | told


def shipment(name: str, at: float, quantity: int, **told) -> dict:
    return {"shipment_id": name, "lot_id": "L", "shipped_at": day(at), "quantity": quantity} | told


def returned(name: str, at: float, quantity: int = 1, **told) -> dict:
    return {
        "return_id": name,
        "lot_id": "L",
        "occurred_at": day(at),
        "reported_at": day(at),
        "quantity": quantity,
    } | told


SOME_RETURN = {"return_id": "R", "lot_id": "L", "occurred_at": day(2), "reported_at": day(900), "quantity": 1}
ANY = {
    "returns": [SOME_RETURN | {"lot_id": "L00"}],
    "outcomes": [{"lot_id": "L00", "failed": 0, "known_at": day(401)}],
}


def units(lots: list, *, shipments: list = (), returns: list = (), rule=None, until=END) -> list[tuple[float, int]]:
    """(day, units at risk) of each judgement."""
    rows = {"lots": lots, "shipments": list(shipments), "returns": [*returns, SOME_RETURN]}
    found = judged(rows, rule or rules(), until)
    return [((as_of - day(0)) / (day(1) - day(0)), count) for _, as_of, count, _ in found]


def test_a_lot_is_judged_once_where_nothing_else_is_said():
    assert units([lot(shipped_at=day(5))]) == [(5, 10)]


def test_what_ships_at_the_moment_counts_as_at_risk():
    assert units([lot()], shipments=[shipment("a", 5, 3), shipment("b", 5, 4), shipment("c", 6, 100)]) == [(5, 7)]


def test_what_ships_at_a_later_judgement_does_not_count_yet():
    again = rules(again_every=10, until_age=20)
    shipped = [shipment("a", 5, 3), shipment("b", 15, 4)]
    assert units([lot()], shipments=shipped, rule=again) == [(5, 3), (15, 3), (25, 7)]


def test_the_first_judgement_is_at_the_first_positive_shipment():
    assert units([lot()], shipments=[shipment("a", 4, -2), shipment("b", 6, 5)]) == [(6, 3)]


def test_the_lots_own_shipped_at_comes_before_the_shipments():
    assert units([lot(shipped_at=day(6))], shipments=[shipment("a", 5, 4), shipment("b", 8, 5)]) == [(6, 4)]


def test_withdrawn_and_returned_units_are_no_longer_at_risk():
    again = rules(again_every=10, until_age=10)
    shipped = [shipment("a", 5, 9), shipment("b", 7, -2)]
    assert units([lot()], shipments=shipped, returns=[returned("x", 8, 3)], rule=again) == [(5, 9), (15, 4)]


def test_a_return_known_at_the_judgement_itself_is_still_at_risk():
    again = rules(again_every=10, until_age=10)
    late = returned("x", 8, 3) | {"reported_at": day(15)}
    assert units([lot()], shipments=[shipment("a", 5, 9)], returns=[late], rule=again) == [(5, 9), (15, 9)]


def test_a_lot_with_nothing_left_at_risk_is_not_judged_again():
    again = rules(again_every=10, until_age=30)
    assert units([lot()], shipments=[shipment("a", 5, 2), shipment("b", 8, -2)], rule=again) == [(5, 2)]


def test_units_never_fall_below_none():
    again = rules(again_every=10, until_age=10)
    assert units([lot()], shipments=[shipment("a", 5, 2)], returns=[returned("x", 6, 9)], rule=again) == [(5, 2)]


def test_fewer_units_than_min_units_are_not_judged():
    few = rules(again_every=10, until_age=20, min_units=3)
    shipped = [shipment("a", 5, 3), shipment("b", 10, -1), shipment("c", 20, 5)]
    assert units([lot()], shipments=shipped, rule=few) == [(5, 3), (25, 7)]


def test_lots_are_judged_up_to_the_last_age_and_not_beyond():
    assert units([lot(shipped_at=day(5))], rule=rules(again_every=10, until_age=20)) == [(5, 10), (15, 10), (25, 10)]
    assert units([lot(shipped_at=day(5))], rule=rules(again_every=10, until_age=19)) == [(5, 10), (15, 10)]


def test_judgements_lie_strictly_before_until():
    again = rules(again_every=10)
    assert units([lot(shipped_at=day(5))], rule=again, until=day(15)) == [(5, 10)]
    assert units([lot(shipped_at=day(5))], rule=again, until=day(15) + 1) == [(5, 10), (15, 10)]


def test_a_lot_judged_when_produced_counts_with_its_own_quantity():
    shipped = [shipment("a", 5, 3)]
    at_once = rules(at="produced_at", again_every=10, until_age=10)
    assert units([lot()], shipments=shipped, rule=at_once) == [(1, 10), (11, 3)]


def test_a_lot_that_never_shipped_is_not_judged_at_shipment():
    assert units([lot(), lot("M", shipped_at=day(3))], shipments=[]) == [(3, 10)]


def test_a_lot_found_failing_that_never_shipped_is_judged_once_when_it_was_found():
    caught = {"lot_id": "L", "decided_at": day(7), "action": "scrapped", "found": 1}
    rows = {"lots": [lot()], "dispositions": [caught], "returns": [SOME_RETURN]}
    assert judged(rows, rules(again_every=10)) == [("L", day(7), 10, None)]


def test_a_lot_whose_plan_to_ship_lies_ahead_is_judged_where_it_was_found():
    caught = {"lot_id": "L", "decided_at": day(7), "action": "scrapped", "found": 1}
    rows = {
        "lots": [lot(shipped_at=day(50))],
        "dispositions": [caught],
        "returns": [SOME_RETURN | {"reported_at": day(6)}],
    }
    assert judged(rows, rules(), day(20)) == [("L", day(7), 10, None)]


def test_a_deleted_lot_is_not_judged_from_its_deletion_on():
    rows = {
        "lots": [lot(shipped_at=day(5)), lot(deleted=True, known_at=day(30)), lot("M", shipped_at=day(6))],
        "returns": [SOME_RETURN],
    }
    assert [name for name, *_ in judged(rows, rules(), day(30))] == ["L", "M"]
    assert [name for name, *_ in judged(rows, rules(), day(30) + 1)] == ["M"]
    assert [name for name, *_ in judged(rows, rules(at="produced_at"), day(31))] == ["M"]


def test_a_correction_moves_the_judgement_once_it_is_known():
    rows = {
        "lots": [lot(shipped_at=day(5)), lot(shipped_at=day(8), known_at=day(30))],
        "returns": [SOME_RETURN | {"reported_at": day(6)}],
    }
    assert judged(rows, rules(), day(30)) == [("L", day(5), 10, day(5))]
    assert judged(rows, rules(), day(30) + 1) == [("L", day(8), 9, day(8))]  # returned on day 6


def test_the_quantity_is_the_one_known_at_the_judgement():
    rows = {
        "lots": [lot(shipped_at=None), lot(quantity=4, known_at=day(20))],
        "shipments": [shipment("a", 30, 5)],
        "returns": [SOME_RETURN],
    }
    once = judged(rows, rules(at="produced_at", again_every=10, until_age=30))
    assert [(as_of, count) for _, as_of, count, _ in once] == [(day(1), 10), (day(11), 10), (day(21), 4), (day(31), 5)]


def test_a_shipment_in_the_future_is_a_plan():
    rows = {"lots": [lot(shipped_at=day(500))], "returns": [SOME_RETURN | {"reported_at": day(6)}]}
    told = histories(rows, rules(), now=400)
    assert len(judge(told, rules(), until=day(1000))) == 0


def test_a_date_without_a_time_ships_at_its_start_and_is_known_at_its_end():
    lots = arrow([lot()])
    lots = lots.append_column("shipped_at", arrow([{"shipped": "2020-01-06"}])["shipped"])
    raw = {"lots": lots, "returns": arrow([SOME_RETURN | {"reported_at": day(5.5)}])}
    told = histories_of(raw, site(rules()), now=day(400)).histories
    assert judge(told.known_before(day(6)), rules(), until=day(6)).as_of.tolist() == []
    found = judge(told.known_before(day(6) + 1), rules(), until=day(6) + 1)
    assert (found.as_of.tolist(), found.units.tolist()) == ([day(5)], [10])


def test_the_first_judgement_lies_behind_only_strictly_after_it():
    rows = {"lots": [lot(shipped_at=day(5))], "returns": [SOME_RETURN]}
    told = histories(rows, rules())
    asking = asked(told, ["L", "L"], [day(5), day(5) + 1])
    assert first_moment(told, rules(), asking.lot, asking.as_of).tolist() == [NO_TIME, day(5)]


def test_the_oracle_catches_judgements_that_leave_out_what_ships_at_the_moment():
    rows = {"lots": [lot()], "shipments": [shipment("a", 5, 3)], "returns": [SOME_RETURN]}
    one = oracle.judgements(rows, rules(), day(100))[0]
    assert one.units == 3 != oracle.units_at_risk("L", one.as_of, rows, at_shipment=False)


def test_a_correction_known_as_the_lot_ships_does_not_change_what_ships() -> None:
    late = lot(shipped_at=day(5), quantity=7, known_at=day(5))
    assert units([lot(shipped_at=day(5)), late])[0][1] == 10
    assert units([lot(shipped_at=day(5)), late | {"known_at": day(5) - 1}])[0][1] == 7
