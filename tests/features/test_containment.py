"""What an open containment holds, and what a supplier lot makes suspect, against every row read by hand."""

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asked import ask
from features.asof import FOREVER, NO_TIME
from features.containment import Held, Scope, held, prepare
from features.histories import Histories
from features.judgements import there
from features.mapped import read_mapped, write_mapped
from features.records import read_record, told_of
from features.score import question
from features.suspects import boundary_reasons, lots_held, missing_materials, supplier_lots_of, suspects
from features.traced import traced
from features.whereabouts import PLACES, whereabouts
from serving.lot import lots_with
from tests import oracle
from tests.contained_site import Site, contained_site
from tests.features.test_records import sent
from tests.tiny_site import Rows, asked, day, histories, plain_site, rules

SUPPLIES = tuple(f"U{number}" for number in range(8))
SEEDS, DAYS = st.integers(0, 10**6), st.integers(0, 700)


def named(told: Histories, lots: Any) -> set[str]:
    return set(told.ids["lot"].decode(lots))


def found(told: Histories, name: str, as_of: int) -> dict[str, set[str]]:
    one = suspects(told, name, as_of)
    return {why: named(told, getattr(one, why)) for why in ("uses", "cannot_exclude", "withdrawn")}


def judged(told: Histories, lots: list[str], as_of: list[int]) -> Any:
    return ask(asked(told, lots, as_of), told, rules())


def whys(held_by: list[Held]) -> set[tuple[str, str]]:
    return {(one.what, one.why) for one in held_by}


@settings(max_examples=60, deadline=None)
@given(SEEDS, DAYS)
def test_suspects_are_what_every_row_read_by_hand_says(seed: int, number: int) -> None:
    rows, as_of = contained_site(Random(seed)), day(number)
    told, site = histories(rows, rules()), Site(rows, day(number))
    for name in (*SUPPLIES, "nobody's"):
        assert found(told, name, as_of) == site.suspects(name), name


def test_peeking_at_what_became_known_later_is_caught() -> None:
    rows = contained_site(Random(3))
    told = histories(rows, rules())
    with pytest.raises(AssertionError):
        for name in SUPPLIES:
            assert found(told, name, day(700)) == Site(rows, day(200)).suspects(name)


@settings(max_examples=60, deadline=None)
@given(SEEDS, DAYS)
def test_one_lot_is_held_by_what_makes_it_suspect(seed: int, number: int) -> None:
    rows, as_of = contained_site(Random(seed)), day(number)
    told, site = histories(rows, rules()), Site(rows, day(number))
    lots = sorted(site.lots)
    scopes = [Scope(1, SUPPLIES[:5], tuple(lots[:3])), Scope(2, (*SUPPLIES[5:], "nobody's"), ())]
    by_lot = held(judged(told, lots, [as_of] * len(lots)), lots, told, scopes)
    for lot, those in zip(lots, by_lot, strict=True):
        expected = {(lot, "listed")} if lot in lots[:3] else set()
        for name in (*SUPPLIES, "nobody's"):
            one = site.suspects(name)
            expected |= {(name, why) for why in ("uses", "cannot_exclude") if lot in one[why]}
        assert whys(those) == expected
    for scope in scopes:
        every = lots_held(told, scope, as_of)
        for why, codes in every.items():
            mine = {lot for lot, those in zip(lots, by_lot, strict=True) if (scope.id, why) in _ids(those)}
            assert named(told, codes) == mine


def _ids(those: list[Held]) -> set[tuple[int, str]]:
    return {(one.scope_id, one.why) for one in those}


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_a_lot_judged_as_it_is_produced_is_held_by_its_own_genealogy(seed: int) -> None:
    rows = contained_site(Random(seed))
    told = histories(rows, rules())
    moments = {row["lot_id"]: row["produced_at"] for row in rows["lots"]}
    codes = np.array([told.ids["lot"].code(lot) for lot in moments])
    lots = [
        lot
        for lot, is_there in zip(moments, there(told, codes, np.array([*moments.values()])), strict=True)
        if is_there
    ]
    by_lot = held(judged(told, lots, [moments[lot] for lot in lots]), lots, told, [Scope(1, SUPPLIES, ())])
    for lot, those in zip(lots, by_lot, strict=True):
        site = Site(rows, moments[lot])
        undated = [row for row in _first_versions(rows, lot) if row.get("consumed_at") is None]
        uses = [row for row in oracle.standing("genealogy", rows, moments[lot]) if row["lot_id"] == lot]
        own = oracle.question(lot, moments[lot], rows)
        expected = {(name, site.why(name, lot, own, uses + undated)) for name in SUPPLIES}
        assert whys(those) == {(name, why) for name, why in expected if why is not None}


def _first_versions(rows: Rows, lot: str) -> list[Any]:
    """Genealogy that came with the lot, as it was first told."""
    first = min(oracle.known("lots", row, rows) or 0 for row in rows["lots"] if row["lot_id"] == lot)
    facts = oracle.versions("genealogy", rows).items()
    return [
        versions[0]
        for fact, versions in facts
        if fact[0] == lot
        and not versions[0].get("deleted")
        and (oracle.known("genealogy", versions[0], rows) or 0) <= first
    ]


@pytest.mark.parametrize("seed", range(8))
def test_a_record_is_held_like_the_same_lot_in_the_tables(seed: int) -> None:
    rows = plain_site(Random(seed))
    rows["supplier_lots"] = [row | {"quantity": 6} for row in rows["supplier_lots"]]
    whole, as_of = histories(rows, rules()), day(500)
    scopes = [Scope(1, SUPPLIES, ("L03",))]
    for lot in sorted({row["lot_id"] for row in rows["lots"]})[:8]:
        (known,) = held(judged(whole, [lot], [as_of]), [lot], whole, scopes)
        others = {name: [row for row in table if row.get("lot_id") != lot] for name, table in rows.items()}
        told = histories(others, rules())
        record = read_record(sent(rows, lot), told, as_of=as_of, timezone="UTC")
        asked_of = question(told, np.array([-1]), np.array([as_of]), told=told_of([(0, record)]))
        assert held(ask(asked_of, told, rules()), [lot], told, scopes) == [known]


def test_a_record_is_held_for_a_supplier_lot_that_only_it_names() -> None:
    told = histories(plain_site(Random(1)), rules())
    record = read_record(
        {
            "lot": {"lot_id": "new", "product_id": "P1", "produced_at": "2021-01-01T00:00:00Z"},
            "genealogy": [{"supplier_lot_id": "fresh"}],
        },
        told,
        as_of=day(500),
        timezone="UTC",
    )
    judged_two = question(told, np.array([-1, -1]), np.full(2, day(500)), told=told_of([(0, record), (1, record)]))
    asked_of = ask(judged_two.take(np.array([1])), told, rules())
    ((first,),) = held(asked_of, ["new"], told, [Scope(4, ("fresh",), ())])
    assert first == Held(4, "uses", "fresh")


def test_without_an_open_containment_nothing_is_held() -> None:
    told = histories(plain_site(Random(1)), rules())
    assert held(judged(told, ["L01"], [day(500)]), ["L01"], told, []) == [[]]


@settings(max_examples=40, deadline=None)
@given(SEEDS, DAYS)
def test_every_unit_is_somewhere(seed: int, number: int) -> None:
    rows, as_of = contained_site(Random(seed)), day(number)
    told, site = histories(rows, rules()), Site(rows, day(number))
    lots = sorted(site.lots)
    codes = np.array([told.ids["lot"].code(lot) for lot in lots], dtype=np.int64)
    where = whereabouts(told, codes, np.array([site.lots[lot]["quantity"] for lot in lots], dtype=np.int64), as_of)
    customers = told.ids["customer"].decode(where.customer)
    by_lot: dict[str, set[Any]] = {lot: set() for lot in lots}
    for place, kind, customer, units, at in zip(
        where.of.tolist(), where.place.tolist(), customers, where.units.tolist(), where.at.tolist(), strict=True
    ):
        by_lot[lots[place]].add((PLACES[kind], customer, units, None if at == NO_TIME else at))
    assert by_lot == {lot: set(site.where(lot)) for lot in lots}


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.lists(DAYS, min_size=2, max_size=5))
def test_what_stood_is_kept_only_as_long_as_nothing_came(seed: int, numbers: list[int]) -> None:
    rows = contained_site(Random(seed))
    told = histories(rows, rules())
    for number in numbers:
        fresh = histories(rows, rules())
        assert found(told, "U1", day(number)) == found(fresh, "U1", day(number))


LOTS = [
    {"lot_id": "A", "product_id": "P", "quantity": 10, "produced_at": day(10)},
    {"lot_id": "B", "product_id": "P", "quantity": 10, "produced_at": day(20)},
    {"lot_id": "C", "product_id": "P", "quantity": 10, "produced_at": day(30)},
    {"lot_id": "D", "product_id": "P", "quantity": 10, "produced_at": day(1)},
]
RETURNS = [{"return_id": "R", "lot_id": "A", "occurred_at": day(40), "reported_at": day(41)}]


def small(*uses: dict[str, Any], size: int | None = 6) -> Histories:
    """Four lots of one product, C and D without genealogy; U was received on day 5."""
    supplier = {"supplier_id": "S", "material_id": "M", "received_at": day(5)}
    supplies = [{"supplier_lot_id": name, "quantity": size, **supplier} for name in ("U", "V")]
    return histories(
        {"lots": LOTS, "returns": RETURNS, "supplier_lots": supplies, "genealogy": [dict(use) for use in uses]}, rules()
    )


def use(lot: str, supply: str, quantity: int | None, consumed: float) -> dict[str, Any]:
    return {"lot_id": lot, "supplier_lot_id": supply, "quantity": quantity, "consumed_at": day(consumed)}


def boundary(told: Histories, name: str = "U") -> tuple[bool, list[str]]:
    one = suspects(told, name, day(100))
    return one.complete, [reason.code for reason in boundary_reasons(told, one, day(100))]


def test_a_lot_before_the_receipt_is_out_and_one_without_genealogy_after_it_is_in() -> None:
    told = small(use("A", "U", 3, 9), use("B", "V", 3, 19))
    assert found(told, "U", day(100)) == {"uses": {"A"}, "cannot_exclude": {"C"}, "withdrawn": set()}
    assert boundary(told) == (False, ["unaccounted"])


def test_what_is_used_up_ends_the_boundary_at_its_last_consumption() -> None:
    told = small(use("A", "U", 3, 9), use("B", "U", 3, 19))
    assert found(told, "U", day(100)) == {"uses": {"A", "B"}, "cannot_exclude": set(), "withdrawn": set()}
    assert boundary(told) == (True, ["used_up"])
    assert suspects(told, "U", day(100)).source.until == day(19)


@pytest.mark.parametrize(
    ("uses", "size", "why"),
    [
        ([use("A", "U", 3, 9), use("B", "U", 2, 19)], 6, ["unaccounted"]),
        ([use("A", "U", 6, 9), use("B", "U", None, 19)], 6, ["consumption_unknown"]),
        ([use("A", "U", 6, 9)], None, ["quantity_unknown"]),
        ([use("A", "U", 6, 9)], 0, ["quantity_unknown"]),
    ],
)
def test_what_is_not_accounted_for_leaves_it_open(uses: list[Any], size: int | None, why: list[str]) -> None:
    told = small(*uses, size=size)
    assert boundary(told) == (False, why)
    assert "C" in found(told, "U", day(100))["cannot_exclude"]


def test_half_a_percent_is_what_scales_lose() -> None:
    assert boundary(small(use("A", "U", 199, 9), size=200))[0]
    assert not boundary(small(use("A", "U", 198, 9), size=200))[0]


def test_a_supplier_lot_that_no_table_holds_leaves_every_gap_suspect() -> None:
    told = small(use("A", "U", 3, 9), use("B", "W", 3, 19))
    assert found(told, "W", day(100)) == {"uses": {"B"}, "cannot_exclude": {"C", "D"}, "withdrawn": set()}
    assert boundary(told, "W") == (False, ["no_record"])


def test_a_material_that_nobody_was_seen_to_take_is_said() -> None:
    told = small(use("A", "W", 3, 9))
    assert boundary(told) == (False, ["material_not_seen", "unaccounted"])
    assert found(told, "U", day(100))["cannot_exclude"] == set()


def test_a_lot_tells_its_supplier_lots_and_what_it_does_not_tell() -> None:
    told = small(use("A", "U", 3, 9), use("A", "V", 3, 9))
    codes = {lot: told.ids["lot"].code(lot) for lot in "AC"}
    assert supplier_lots_of(told, codes["A"], day(100)) == ["U", "V"]
    assert missing_materials(told, codes["A"], day(100)) == []
    assert missing_materials(told, codes["C"], day(100)) == ["M"]


def test_what_was_traced_is_mapped_with_the_histories(tmp_path: Any) -> None:
    told = small(use("A", "U", 3, 9), use("B", "V", 3, 19))
    before = found(told, "U", day(100))
    write_mapped(told, tmp_path / "mapped")
    mapped = read_mapped(tmp_path / "mapped")
    assert traced(mapped, day(100)) is traced(mapped, FOREVER)
    assert found(mapped, "U", day(100)) == before
    assert found(mapped, "V", day(100)) == found(told, "V", day(100))


def test_a_filter_by_supplier_lot_and_a_containment_look_into_the_same_rows() -> None:
    told = small(use("A", "U", 3, 9), use("B", "V", 3, 19))
    assert lots_with(told, "U") == found(told, "U", day(100))["uses"] == {"A"}
    assert lots_with(told, "nobody's") == frozenset()


def test_what_is_prepared_for_a_moment_holds_until_news_come() -> None:
    told = small(use("A", "U", 3, 9), use("B", "V", 3, 50))
    prepare(told, as_of=day(45))
    first = traced(told, day(45))
    assert (first.since, first.upto) == (day(30), day(50))
    assert first is traced(told, day(50)) is not traced(told, day(51))
    assert found(told, "V", day(50))["uses"] == set()
    assert found(told, "V", day(51))["uses"] == {"B"}
