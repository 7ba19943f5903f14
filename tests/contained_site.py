"""Tiny sites with gaps in their genealogy, and what is contained in them, every row read for every question."""

from random import Random
from typing import Any

from tests import oracle
from tests.tiny_site import Row, Rows, tiny_site

BEYOND = 2**63 - 1


def contained_site(random: Random, *, lots: int = 14) -> Rows:
    """A tiny site; supplier lots with quantities, some that no table holds, a product without any genealogy."""
    rows = tiny_site(random, lots=lots)
    sizes = {f"U{number}": random.choice([None, 0, 1, 3, 6, 200]) for number in range(8)}
    lost = {f"U{number}" for number in range(8) if random.randint(0, 6) == 0}
    supplies = [{**row, "quantity": sizes[row["supplier_lot_id"]]} for row in rows["supplier_lots"]]
    rows["supplier_lots"] = [row for row in supplies if row["supplier_lot_id"] not in lost] or supplies
    rows["genealogy"] = [
        {**row, "quantity": row.get("quantity") or random.choice([None, 1, 2])} for row in rows.get("genealogy", [])
    ]
    newcomers = {f"L{number:02}" for number in range(0, lots, 5)}
    fresh = random.choice(["P9", "P1"])
    rows["lots"] = [
        {**row, "product_id": fresh if row["lot_id"] in newcomers else row["product_id"]} for row in rows["lots"]
    ]
    if random.randint(0, 1):
        bare = {f"L{number:02}" for number in range(0, lots, 5)}
        rows["genealogy"] = [row for row in rows["genealogy"] if row["lot_id"] not in bare]
    return {name: table for name, table in rows.items() if table}


class Site:
    """What stood strictly before `as_of`."""

    def __init__(self, rows: Rows, as_of: int) -> None:
        self.rows, self.as_of = rows, as_of
        self.lots = {row["lot_id"]: row for row in oracle.standing("lots", rows, as_of)}
        self.supplies = {row["supplier_lot_id"]: row for row in oracle.standing("supplier_lots", rows, as_of)}
        standing = oracle.standing("genealogy", rows, as_of)
        self.uses = [row for row in standing if row["lot_id"] in self.lots]

    def material(self, supplier_lot: str) -> str | None:
        row = self.supplies.get(supplier_lot)
        return None if row is None else row.get("material_group") or row["material_id"]

    def named(self, uses: list[Row]) -> set[str]:
        return {found for row in uses if (found := self.material(row["supplier_lot_id"])) is not None}

    def normal(self, lot: str, product: str) -> set[str]:
        """Materials that the product takes; of a product that no other lot tells anything of, what any takes."""
        of = [row for row in self.uses if self.lots[row["lot_id"]]["product_id"] == product]
        if not self.named([row for row in of if row["lot_id"] != lot]):
            return self.named(self.uses)
        return self.named(of)

    def until(self, supplier_lot: str) -> int:
        """The last consumption of one that is used up."""
        row = self.supplies[supplier_lot]
        uses = [one for one in self.uses if one["supplier_lot_id"] == supplier_lot]
        taken = [one.get("quantity") for one in uses]
        if not row.get("quantity") or None in taken or sum(taken) * 1000 < row["quantity"] * 995:
            return BEYOND
        return max(one.get("consumed_at") or self.lots[one["lot_id"]]["produced_at"] for one in uses)

    def why(self, supplier_lot: str, lot: str, own: Row, uses: list[Row]) -> str | None:
        """Why a lot of this own row and own genealogy is suspect; None: it is not."""
        if any(row["supplier_lot_id"] == supplier_lot for row in uses):
            return "uses"
        missing = self.normal(lot, own["product_id"]) - self.named(uses)
        row = self.supplies.get(supplier_lot)
        if row is None:
            return "cannot_exclude" if missing else None
        in_time = row["received_at"] <= own["produced_at"] <= self.until(supplier_lot)
        return "cannot_exclude" if in_time and self.material(supplier_lot) in missing else None

    def suspects(self, supplier_lot: str) -> dict[str, set[str]]:
        """Lots by why; `withdrawn`: told before `as_of`, and no longer so."""
        found: dict[str, set[str]] = {"uses": set(), "cannot_exclude": set(), "withdrawn": set()}
        for lot, own in self.lots.items():
            why = self.why(supplier_lot, lot, own, [row for row in self.uses if row["lot_id"] == lot])
            if why is not None:
                found[why].add(lot)
        told = oracle.versions("genealogy", self.rows, self.as_of)
        for (lot, supply, *_), versions in told.items():
            if supply == supplier_lot and any(not row.get("deleted") for row in versions):
                found["withdrawn"] |= {lot} - found["uses"]
        return found

    def where(self, lot: str) -> list[tuple[str, str | None, int, int | None]]:
        """(place, customer, units, when the first) of a lot, by hand."""
        sent: dict[str | None, list[Any]] = {}
        shipped = 0
        for row in oracle.shipments(self.rows, self.as_of):
            if row["lot_id"] == lot and row["shipped_at"] < self.as_of:
                entry = sent.setdefault(row.get("customer_id"), [0, BEYOND])
                entry[0] += row["quantity"]
                shipped += row["quantity"]
                if row["quantity"] > 0:
                    entry[1] = min(entry[1], row["shipped_at"])
        returned: dict[str | None, list[int]] = {}
        for row in oracle.standing("returns", self.rows, self.as_of):
            if row["lot_id"] == lot:
                units = row.get("quantity", 1)
                sent.setdefault(row.get("customer_id"), [0, BEYOND])[0] -= units
                back = returned.setdefault(row.get("customer_id"), [0, BEYOND])
                back[0] += units
                back[1] = min(back[1], row["reported_at"])
        over = -sum(min(units, 0) for units, _ in sent.values())
        there: list[tuple[str, str | None, int, int | None]] = []
        for customer, (units, at) in sorted(sent.items(), key=lambda one: (one[1][1], one[0] or "")):
            if units > 0:
                off = min(over, units)
                over -= off
                if units > off:
                    there.append(("shipped", customer, units - off, at))
        there += [("returned", customer, units, at) for customer, (units, at) in returned.items()]
        kept = max(self.lots[lot]["quantity"] - shipped, 0)
        return there + ([("in_house", None, kept, None)] if kept else [])
