"""From risk to decision: costs in closed form, the careful one of several tiers, and never a dearer escape released."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.attributes import OwnRows
from features.decision import (
    CANNOT_ASSESS,
    HOLD,
    INSPECT,
    RELEASE,
    decide,
    thresholds,
    tiers_of,
    within_capacity,
)
from features.judgements import lot_rows
from features.rules import Costs, DecisionRule
from tests.tiny_site import day, histories, rules

CAREFUL = {RELEASE: 0, INSPECT: 1, HOLD: 2}
MONEY = st.integers(0, 1_000_000)
COSTS = st.builds(Costs, inspection=MONEY, escape=MONEY, escape_per_unit=st.integers(0, 1000), hold=MONEY)
RISK = st.floats(0, 1)
UNITS = st.integers(0, 100_000)


def rule(site: Costs, finds: float = 0.9, **tiers: Costs) -> DecisionRule:
    return replace(rules().decision, costs=site, inspection_finds=finds, tiers=tiers)


def decided(risk: float, units: int, tiers: list[bool], said: DecisionRule) -> tuple[str, float]:
    found = decide(np.array([risk]), np.array([units]), np.array([tiers]), said)
    return found.action[0], float(found.expected_cost[0])


def test_the_cheapest_is_taken() -> None:
    said = rule(Costs(inspection=400, escape=9000, escape_per_unit=1, hold=1500))
    # Releasing costs risk x 10,000, inspecting 400 + risk x (0.1 x 10,000 + 0.9 x 1,500), holding 1,500.
    assert decided(0.05, 1000, [True], said) == (RELEASE, 500.0)
    assert decided(0.06, 1000, [True], said) == (INSPECT, 600.0)  # 600 against 541
    assert decided(0.46, 1000, [True], said)[0] == INSPECT  # 1,481
    assert decided(0.47, 1000, [True], said)[0] == HOLD  # 1,504.5


def test_of_equals_the_more_careful_is_taken() -> None:
    assert decided(0.5, 0, [True], rule(Costs(inspection=0, escape=100, escape_per_unit=0, hold=50), 0.0))[0] == HOLD
    assert decided(0.5, 0, [True], rule(Costs(inspection=0, escape=100, escape_per_unit=0, hold=99), 0.0))[0] == INSPECT


@given(RISK, UNITS, COSTS, st.floats(0, 1))
def test_expected_cost_is_that_of_releasing_and_no_action_is_cheaper_than_the_one_taken(
    risk: float, units: int, site: Costs, finds: float
) -> None:
    action, expected = decided(risk, units, [True], rule(site, finds))
    release = risk * (site.escape + site.escape_per_unit * units)
    costs = {RELEASE: release, INSPECT: site.inspection + (1 - finds) * release + risk * finds * site.hold}
    costs[HOLD] = site.hold
    assert expected == release
    assert costs[action] <= min(costs.values()) * (1 + 1e-12)


@settings(max_examples=300)
@given(
    risk=RISK,
    units=UNITS,
    finds=st.floats(0, 1),
    site=COSTS,
    a=COSTS,
    b=COSTS,
    counts=st.lists(st.booleans(), min_size=3, max_size=3).filter(any),
    raised=st.sampled_from(["site", "A", "B"]),
    by=st.integers(0, 10_000_000),
)
def test_a_dearer_escape_never_turns_hold_or_inspect_into_less(risk, units, finds, site, a, b, counts, raised, by):
    told = {"site": site, "A": a, "B": b}
    dearer = told | {raised: replace(told[raised], escape=told[raised].escape + by)}
    before, _ = decided(risk, units, counts, rule(site, finds, A=a, B=b))
    after, _ = decided(risk, units, counts, rule(dearer["site"], finds, A=dearer["A"], B=dearer["B"]))
    assert CAREFUL[after] >= CAREFUL[before]


@settings(max_examples=300)
@given(
    risk=RISK,
    units=UNITS,
    finds=st.floats(0, 1),
    site=COSTS,
    dearer=st.tuples(st.integers(0, 1_000_000), st.integers(0, 1000)),
    raised=st.sampled_from(["site", "A"]),
)
def test_a_dearer_unit_or_a_move_to_a_dearer_tier_never_turns_hold_or_inspect_into_less(
    risk, units, finds, site, dearer, raised
):
    by, per_unit = dearer
    up = replace(site, escape=site.escape + by, escape_per_unit=site.escape_per_unit + per_unit)
    said = rule(site, finds, A=up)
    cheap, _ = decided(risk, units, [True, False], said)
    moved, _ = decided(risk, units, [False, True], said)
    both, _ = decided(risk, units, [True, True], said)
    assert CAREFUL[moved] >= CAREFUL[cheap]
    assert both == moved
    costs = {"site": site, "A": site} | {raised: up}
    after, _ = decided(risk, units, [True, True], rule(costs["site"], finds, A=costs["A"]))
    assert CAREFUL[after] >= CAREFUL[cheap]


def of_thresholds(risk: float, units: int, said: DecisionRule) -> str:
    """What one price list says by its two risks."""
    inspect_from, hold_from = (float(found[0, 0]) for found in thresholds(said, np.array([units])))
    assert 0 <= inspect_from <= hold_from
    return HOLD if risk >= hold_from else INSPECT if risk >= inspect_from else RELEASE


@settings(max_examples=500)
@given(risk=RISK, units=UNITS, finds=st.floats(0, 1), site=COSTS)
def test_the_thresholds_say_what_the_cheapest_action_says_but_where_both_cost_the_same(risk, units, finds, site):
    said = rule(site, finds)
    release = risk * (site.escape + site.escape_per_unit * units)
    costs = {RELEASE: release, INSPECT: site.inspection + (1 - finds) * release + risk * finds * site.hold}
    costs[HOLD] = site.hold
    found, closed = decided(risk, units, [True], said)[0], of_thresholds(risk, units, said)
    assert found == closed or abs(costs[found] - costs[closed]) <= 1e-12 * max(costs.values())


def test_the_thresholds_of_an_example() -> None:
    said = rule(Costs(inspection=400, escape=9000, escape_per_unit=1, hold=1500), A=Costs(400, 40_000, 0, 1500))
    inspect_from, hold_from = thresholds(said, np.array([1000, 0]))
    # 400 / (0.9 x (10,000 - 1,500)) and (1,500 - 400) / (0.1 x 10,000 + 0.9 x 1,500)
    assert np.allclose(inspect_from, [[400 / 7650, 400 / 34_650], [400 / 6750, 400 / 34_650]])
    assert np.allclose(hold_from, [[1100 / 2350, 1100 / 5350], [1100 / 2250, 1100 / 5350]])


def test_what_never_pays_has_no_threshold_and_what_costs_nothing_is_always_done() -> None:
    def of(*costs: float, finds: float = 0.9) -> list[float]:
        inspect_from, hold_from = thresholds(rule(Costs(*costs), finds), np.array([1]))
        return [float(inspect_from[0, 0]), float(hold_from[0, 0])]

    assert of(400, 0, 0, 1500) == [np.inf, np.inf]  # nothing is lost by an escape
    assert of(400, 9000, 0, 0) == [0, 0]  # holding is free
    assert of(1400, 9000, 0, 1500) == [1500 / 9000, 1500 / 9000]  # inspecting costs too much: release or hold
    assert of(0, 9000, 0, 1500)[0] == 0
    assert of(400, 9000, 0, 1500, finds=0.0) == [1500 / 9000, 1500 / 9000]


@settings(max_examples=300)
@given(
    risk=RISK, units=UNITS, finds=st.floats(0, 1), site=COSTS, a=COSTS, counts=st.sampled_from([(1, 0), (0, 1), (1, 1)])
)
def test_the_saving_is_what_releasing_costs_more_than_the_action(risk, units, finds, site, a, counts):
    said = rule(site, finds, A=a)
    found = decide(np.array([risk]), np.array([units]), np.array([counts], dtype=bool), said)
    action, saving = found.action[0], float(found.expected_saving[0])

    def costs(of: Costs) -> dict[str, float]:
        release = risk * (of.escape + of.escape_per_unit * units)
        inspect = of.inspection + (1 - finds) * release + risk * finds * of.hold
        return {RELEASE: release, INSPECT: inspect, HOLD: of.hold}

    gains = [costs(of)[RELEASE] - costs(of)[action] for of, counted in zip((site, a), counts, strict=True) if counted]
    assert saving >= 0 and np.isclose(saving, max(gains), rtol=1e-9, atol=1e-6)
    assert action != RELEASE or saving == 0


def test_those_that_save_most_fit_the_day_and_ties_go_by_lot() -> None:
    action = [INSPECT, INSPECT, HOLD, INSPECT, RELEASE, INSPECT, CANNOT_ASSESS]
    saving = np.array([10.0, 30.0, 99.0, 10.0, 0.0, 5.0, 0.0])
    lots = ["L9", "L2", "L3", "L1", "L5", "L6", "L7"]

    def fitting(per_day: float | None, day: int = 0) -> list[bool | None]:
        return within_capacity(action, saving, lots, per_day=per_day, day=day)

    assert fitting(2) == [False, True, None, True, None, False, None]
    assert fitting(12) == [True, True, None, True, None, True, None]
    assert fitting(None) == [None] * 7
    assert [fitting(0.5, day)[1] for day in range(4)] == [False, True, False, True]
    assert within_capacity([], np.empty(0), [], per_day=2, day=0) == []


@given(st.permutations(range(7)), st.integers(0, 8))
def test_which_lots_fit_does_not_hang_on_their_order(order: list[int], per_day: int) -> None:
    saving = np.array([3.0, 3.0, 1.0, 2.0, 2.0, 2.0, 9.0])
    lots = [f"L{place}" for place in order]
    found = within_capacity([INSPECT] * 7, saving[list(order)], lots, per_day=per_day or None, day=3)
    best = ["L6", "L0", "L1", "L3", "L4", "L5", "L2"][:per_day]
    assert {lot for lot, fits in zip(lots, found, strict=True) if fits} == set(best)


def test_a_rule_that_asks_the_tier_of_the_dearest_escape_alone_is_caught() -> None:
    """A has the dearer units, B the dearer lot: raising B must not take the word from A."""
    units, a = 1000, Costs(inspection=400, escape=100, escape_per_unit=100, hold=1500)
    cheap, dear = (Costs(inspection=400, escape=escape, escape_per_unit=0, hold=1500) for escape in (50.0, 200.0))

    def by_the_dearest(b: Costs) -> str:
        place = 1 + int(b.escape > a.escape)
        return decided(0.5, units, [number == place for number in range(3)], rule(cheap, A=a, B=b))[0]

    assert [by_the_dearest(b) for b in (cheap, dear)] == [HOLD, RELEASE]
    assert [decided(0.5, units, [False, True, True], rule(cheap, A=a, B=b))[0] for b in (cheap, dear)] == [HOLD, HOLD]


SITE, A, B = (Costs(400, escape, 0, 1500) for escape in (9000.0, 40_000.0, 20_000.0))
LOT = {"product_id": "P", "produced_at": day(1), "shipped_at": day(5), "quantity": 10}
RETURN = {"return_id": "R", "lot_id": "LA", "occurred_at": day(6), "reported_at": day(7)}


def tiers(lots: list[dict], *, customers=(), shipments=(), as_of: float = 20) -> list[list[bool]]:
    """For each lot whether the site's costs, A's and B's count."""
    tables = {"lots": [LOT | lot for lot in lots], "returns": [RETURN], "customers": list(customers)}
    told = histories(tables | {"shipments": list(shipments)}, rules())
    lot = np.array([told.ids["lot"].code(one["lot_id"]) for one in lots])
    moment = np.full(len(lot), day(as_of))
    said = rule(SITE, A=A, B=B)
    return tiers_of(
        told, said, lot, OwnRows(told, lot_rows(told, lot, moment), {}).codes("customer_id"), moment
    ).tolist()


CUSTOMERS = [{"customer_id": name, "tier": name[0]} for name in ("A1", "B1", "C1")] + [{"customer_id": "X1"}]


def test_each_lot_has_the_tier_of_its_customer() -> None:
    lots = [{"lot_id": f"L{name}", "customer_id": f"{name}1"} for name in "ABC"]
    assert tiers(lots, customers=CUSTOMERS) == [[False, True, False], [False, False, True], [True, False, False]]


def test_where_the_tier_is_not_known_all_count() -> None:
    nobody, stranger, no_tier = {"lot_id": "LA"}, {"customer_id": "!"}, {"customer_id": "X1"}
    lots = [nobody, {"lot_id": "L2"} | stranger, {"lot_id": "L3"} | no_tier, {"lot_id": "L4", "customer_id": "B1"}]
    every = [True, True, True]
    assert tiers(lots, customers=CUSTOMERS) == [every, every, every, [False, False, True]]
    assert tiers(lots) == [every] * 4
    most = decided(0.3, 10, every, rule(SITE, A=A, B=B))
    assert most == (HOLD, 0.3 * 40_000)
    assert CAREFUL[decided(0.04, 10, every, rule(SITE, A=A, B=B))[0]] == max(
        CAREFUL[decided(0.04, 10, [place == one for place in range(3)], rule(SITE, A=A, B=B))[0]] for one in range(3)
    )


def test_all_customers_that_a_lot_was_shipped_to_count_once_that_is_known() -> None:
    lot = {"lot_id": "LA", "customer_id": "C1"}
    sent = {"shipment_id": "S", "lot_id": "LA", "quantity": 5, "customer_id": "A1", "shipped_at": day(5)}
    more = sent | {"shipment_id": "T", "customer_id": "B1", "shipped_at": day(15)}
    given = {"customers": CUSTOMERS, "shipments": [sent, more]}
    assert tiers([lot], **given) == [[True, True, True]]
    assert tiers([lot], **given, as_of=15) == [[True, True, False]]
    assert tiers([lot], **given, as_of=5) == [[True, False, False]]


def test_a_tier_counts_as_it_was_known_then() -> None:
    later = {"customer_id": "C1", "tier": "A", "known_at": day(20)}
    lot = {"lot_id": "LA", "customer_id": "C1"}
    assert tiers([lot], customers=[*CUSTOMERS, later], as_of=20) == [[True, False, False]]
    assert tiers([lot], customers=[*CUSTOMERS, later], as_of=21) == [[False, True, False]]


def test_without_tiers_there_is_one_price_list() -> None:
    told = histories({"lots": [LOT | {"lot_id": "LA"}], "returns": [RETURN]}, rules())
    one = np.zeros(1, dtype=np.int64)
    assert tiers_of(told, rule(SITE), one, one - 1, np.array([day(20)])).tolist() == [[True]]


def test_no_lots_are_no_error() -> None:
    none = np.empty(0)
    assert decide(none, none, np.empty((0, 1), dtype=bool), rule(SITE)).action == []
