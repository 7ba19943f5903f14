"""Groups that must not straddle: what shares an entity with the block's lots is not learned from."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.histories import Histories
from features.settings import ModelSettings
from tests.tiny_site import Rows, day, histories, rules, tiny_site
from training.apart import ENTITIES, apart_by, pairs
from training.known import known_by
from training.walk import walk_forward

RULES = rules(ppm=100_000, within=30, reporting=5)
NARROW = rules(ppm=100_000, within=1, reporting=0)


def by_hand(rows: Rows, entity: str) -> dict[str, set[str]]:
    """What each lot ever had of the entity, read off the rows as they were written."""
    had: dict[str, set[str]] = {row["lot_id"]: set() for row in rows["lots"]}
    suppliers: dict[str, set[str]] = {}
    for row in rows.get("supplier_lots", []):
        suppliers.setdefault(row["supplier_lot_id"], set()).add(row["supplier_id"])
    for row in rows["lots"] + rows.get("shipments", []):
        value = row["lot_id"] if entity == "lot" else row.get(f"{entity}_id")
        if value is not None and row["lot_id"] in had:
            had[row["lot_id"]].add(value)
    for row in rows.get("genealogy", []):
        supply = row["supplier_lot_id"]
        if entity == "supplier_lot":
            had[row["lot_id"]].add(supply)
        elif entity == "supplier":
            had[row["lot_id"]] |= suppliers.get(supply, set())
    return had


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(ENTITIES), st.integers(120, 380))
def test_what_is_left_out_is_what_brute_force_leaves_out(seed: int, entity: str, start: int) -> None:
    rows = tiny_site(Random(seed), lots=14)
    rows = {name: [row for row in table if not row.get("deleted")] for name, table in rows.items()}
    told = histories(rows, RULES)
    had, names = by_hand(rows, entity), told.ids["lot"].texts
    judged = known_by(told, RULES, until=day(2_000)).judgements
    known = known_by(told, RULES, until=day(start))
    block = judged.take(np.flatnonzero(judged.as_of >= day(start)))
    in_block = set().union(*(had[names[lot]] for lot in block.lot.tolist()))
    expected = [bool(had[names[lot]] & in_block) for lot in known.judgements.lot.tolist()]
    assert apart_by(entity, told)(known, block).tolist() == expected


def test_every_entity_that_may_be_stated_is_known() -> None:
    field = ModelSettings.model_fields["keep_apart"].annotation
    assert set(getattr(field, "__args__", ())) == {"", *ENTITIES}


def two_supplier_lots() -> Histories:
    """Lots of ten days from U0, of the next ten from U1; the one of day 20 has some of both."""
    made: Rows = {"lots": [], "returns": [], "genealogy": [], "supplier_lots": []}
    for name in ("U0", "U1"):
        made["supplier_lots"].append(
            {"supplier_lot_id": name, "supplier_id": "S", "material_id": "M", "received_at": day(-1)}
        )
    for number in range(21):
        lot = f"L{number:02}"
        made["lots"].append(
            {"lot_id": lot, "product_id": "P", "quantity": 10, "produced_at": day(number), "shipped_at": day(number)}
        )
        for supply in ("U0", "U1") if number == 20 else (f"U{number // 10}",):
            made["genealogy"].append({"lot_id": lot, "supplier_lot_id": supply})
    for name, lot, reported in (("R0", "L00", 4), ("R1", "L03", 14.5), ("R2", "L19", 40)):
        back = {"return_id": name, "lot_id": lot, "occurred_at": day(reported - 1), "reported_at": day(reported)}
        made["returns"].append(back)
    return histories(made, NARROW)


@pytest.mark.parametrize(
    ("entity", "learned"), [("", [14, 14]), ("lot", [14, 14]), ("supplier_lot", [10, 0]), ("supplier", [0, 0])]
)
def test_the_walk_learns_from_the_others_only(entity: str, learned: list[int]) -> None:
    """The first block's lots are all of U1, the last one's only lot is of both."""
    told = two_supplier_lots()
    judged = known_by(told, NARROW, until=day(50)).judgements
    apart = apart_by(entity, told) if entity else None
    blocks = walk_forward(judged, told, NARROW, starts=[day(15), day(19.5)], fit=lambda known: known, apart=apart)
    assert [len(block.known.labels.usable) for block in blocks] == learned


def test_without_genealogy_no_lot_shares_a_supply() -> None:
    told = two_supplier_lots()
    told = Histories({name: told[name] for name in ("lots", "returns")}, told.ids)
    for entity in ("supplier_lot", "supplier"):
        assert [len(part) for part in pairs(told, entity)] == [0, 0]
