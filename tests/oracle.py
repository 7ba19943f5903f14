"""DESIGN.md read literally: rows in, plain values out, every row looked at for every question.

Slow and obvious on purpose. Rows are dicts; times are microseconds. Nothing here is imported from the product but
the contract's keys and the two constants of time.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from features.contracts import TABLES
from features.rules import Rules

Row = dict[str, Any]
Rows = dict[str, list[Row]]

_KEPT: dict[tuple[int, int], tuple[Any, ...]] = {}


def known(table: str, row: Row, rows: Rows) -> int | None:
    """When a row was known; None: always."""
    if row.get("known_at") is not None:
        return row["known_at"]
    if table == "genealogy" and row.get("consumed_at") is None:
        return min(known("lots", lot, rows) for lot in rows["lots"] if lot["lot_id"] == row["lot_id"])
    column = TABLES[table].known
    return row[column] if column else None


def key(table: str, row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in TABLES[table].key)


def versions(table: str, rows: Rows, before: int | None = None) -> dict[tuple[Any, ...], list[Row]]:
    """The versions of each fact in order of known time, those known strictly before a moment."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for told, fact, row in _in_order(table, rows):
        if before is None or told is None or told < before:
            found.setdefault(fact, []).append(row)
    return found


def _in_order(table: str, rows: Rows) -> list[tuple[int | None, tuple[Any, ...], Row]]:
    """(known, key, row) of a table by known time; kept, for tables that nobody changes once they were asked about."""
    told = rows.get(table, [])
    kept = _KEPT.get((id(told), id(rows["lots"])))
    if kept is None or kept[0] is not told or kept[1] is not rows["lots"]:
        found = [(known(table, row, rows), key(table, row), row) for row in told]
        kept = told, rows["lots"], sorted(found, key=lambda one: one[0] or -1)
        _KEPT[id(told), id(rows["lots"])] = kept
    return kept[2]


def standing(table: str, rows: Rows, before: int | None = None) -> list[Row]:
    """The version of each fact that stood strictly before a moment, deleted facts left out."""
    return [told[-1] for told in versions(table, rows, before).values() if not told[-1].get("deleted")]


def as_it_was(rows: Rows, until: int) -> Rows:
    """The site's tables as an export strictly before a moment has them: no later row, and no row of an unknown lot."""
    old = {name: [row for row in told if (known(name, row, rows) or 0) < until] for name, told in rows.items()}
    made = {row["lot_id"] for row in old["lots"]}
    return {name: [row for row in told if row.get("lot_id") in made | {None}] for name, told in old.items()}


def told_of(table: str, fact: tuple[Any, ...], rows: Rows) -> list[Row]:
    """The versions of a fact that ever stood: one replaced before its lot was known is as if it had not come."""
    told = versions(table, rows)[fact]
    ends = [known(table, later, rows) for later in told[1:]] + [2**63]
    there = [(row, end) for row, end in zip(told, ends, strict=True) if not row.get("deleted")]
    if "lot_id" in TABLES[table].key or "lot_id" not in there[0][0]:
        return [row for row, _ in there]
    made = {row["lot_id"]: first_told("lots", row, rows) for row, _ in there}
    stood = [row for row, end in there if max(known(table, row, rows), made[row["lot_id"]]) < end]
    return stood or [row for row, _ in there]


def first_told(table: str, row: Row, rows: Rows) -> int:
    """When the fact of a row was first known."""
    return min(known(table, version, rows) for version in told_of(table, key(table, row), rows))


def question(lot: str, as_of: int, rows: Rows) -> Row:
    """The lot's own row: the version known then, else the first."""
    there = [row for row in standing("lots", rows, as_of) if row["lot_id"] == lot]
    return (there or [row for row in versions("lots", rows)[(lot,)] if not row.get("deleted")])[0]


def shipments(rows: Rows, before: int | None = None) -> list[Row]:
    """Shipments as known strictly before a moment: the table's, or one of `lots.quantity` at `lots.shipped_at`."""
    if "shipments" in rows:
        return standing("shipments", rows, before)
    return [
        row
        for row in standing("lots", rows, before)
        if row.get("shipped_at") is not None and (before is None or row["shipped_at"] < before)
    ]


def shipping_now(lot: str, as_of: int, rows: Rows) -> list[Row]:
    """Shipments of a lot that have left by `as_of` and are first told of only then or later, as first told."""
    if "shipments" in rows:
        first = [told_of("shipments", fact, rows)[0] for fact in versions("shipments", rows)]
        late = [row for row in first if known("shipments", row, rows) >= as_of]
    else:
        row = question(lot, as_of, rows)
        late = [row] if row.get("shipped_at") is not None and row["shipped_at"] >= as_of else []
    return [row for row in late if row["lot_id"] == lot and row["shipped_at"] <= as_of]


def units_at_risk(lot: str, as_of: int, rows: Rows, *, at_shipment: bool) -> int:
    """Shipped before `as_of` (at the moment of shipment also what ships at it), less returned and withdrawn."""
    left = [row for row in shipments(rows, as_of) if row["lot_id"] == lot]
    if at_shipment:
        left = left + shipping_now(lot, as_of, rows)
    if not any(row["quantity"] > 0 for row in left):
        return question(lot, as_of, rows)["quantity"]
    back = [row for row in standing("returns", rows, as_of) if row["lot_id"] == lot]
    return max(sum(row["quantity"] for row in left) - sum(row.get("quantity", 1) for row in back), 0)


@dataclass(frozen=True)
class Judgement:
    """A lot and a moment; `shipped`: when it first left, None: never."""

    lot: str
    as_of: int
    units: int
    shipped: int | None

    def window(self, rules: Rules) -> tuple[int, int]:
        """[start, end) in which returns count; a lot judged before it ships is watched from its shipment on."""
        if rules.label.source == "outcomes":
            return self.as_of, self.as_of
        start = self.as_of if self.shipped is None else max(self.as_of, self.shipped)
        return start, start + rules.label.within


def judgements(rows: Rows, rules: Rules, until: int) -> list[Judgement]:
    """All eligible judgements before `until`, by what was known strictly before it."""
    rows = as_it_was(rows, until)
    found = []
    for lot in standing("lots", rows):
        name = lot["lot_id"]
        own = lot.get("shipped_at")
        own = None if own is None or own >= until else own
        left = [row["shipped_at"] for row in shipments(rows, until) if row["lot_id"] == name and row["quantity"] > 0]
        shipped = own if own is not None else min(left, default=None)
        if rules.decision.at == "produced_at":
            moment = lot["produced_at"]
        else:
            caught = [r["decided_at"] for r in standing("dispositions", rows) if r["lot_id"] == name and r.get("found")]
            moment = shipped if shipped is not None else min(caught, default=None)
        if moment is None or moment >= until:
            continue
        moments = [moment]
        in_use = rules.decision.at == "produced_at" or shipped is not None
        while rules.decision.again_every is not None and in_use:
            later = moments[-1] + rules.decision.again_every
            if later >= until or later - moment > rules.decision.until_age:
                break
            moments.append(later)
        for as_of in moments:
            leaving = rules.decision.at == "shipped_at" and as_of == shipped
            units = units_at_risk(name, as_of, rows, at_shipment=leaving)
            if units >= max(rules.decision.min_units, 1):
                found.append(Judgement(name, as_of, units, shipped))
    return sorted(found, key=lambda one: (one.as_of, one.lot))


def cut(rows: Rows, rules: Rules, until: int) -> int:
    """The lesser of `until` and the data's reach."""
    if rules.known_until is not None:
        return min(until, rules.known_until)
    table = rules.label.source
    rows = as_it_was(rows, until)
    return max((known(table, row, rows) for row in rows[table]), default=-(2**63))


def delays(rows: Rows, rules: Rules, until: int) -> list[tuple[int, int]]:
    """(delay, room) of every report that the cut can see."""
    table, end, rows = rules.label.source, cut(rows, rules, until), as_it_was(rows, until)
    judged = {one.lot: one.as_of for one in judgements(rows, rules, until)} if table == "outcomes" else {}
    seen = []
    for row in standing(table, rows, until):
        happened = judged.get(row["lot_id"]) if table == "outcomes" else row["occurred_at"]
        if happened is not None:
            delay = max(first_told(table, row, rows) - happened, 0)
            seen.append((delay, end - happened))
    return [(delay, room) for delay, room in seen if delay <= room]


def reporting_delay(rows: Rows, rules: Rules, until: int) -> int:
    seen = delays(rows, rules, until)
    return rules.label.reporting if len(seen) < 30 else reverse_kaplan_meier(seen, Fraction(95, 100))


def reverse_kaplan_meier(seen: list[tuple[int, int]], share: Fraction) -> int:
    """Smallest delay d with P(delay <= d) >= share; in exact numbers.

    Backwards in time: of those whose delay is at most u and who could have had u, which part had exactly u.
    """
    for d in sorted({delay for delay, _ in seen}):
        reached = Fraction(1)
        for u in {delay for delay, _ in seen if delay > d}:
            at_risk = sum(1 for delay, room in seen if delay <= u <= room)
            reached *= 1 - Fraction(sum(1 for delay, _ in seen if delay == u), at_risk)
        if reached >= share:
            return d
    raise AssertionError("the largest delay always reaches every share")


def mature(judged: Judgement, rows: Rows, rules: Rules, until: int) -> bool:
    """By age alone."""
    return judged.window(rules)[1] + reporting_delay(rows, rules, until) < cut(rows, rules, until)


def label(judged: Judgement, rows: Rows, rules: Rules, until: int) -> int | None:
    """1 failed, 0 held up, None: no label, by what was known strictly before `until`."""
    start, end = judged.window(rules)
    decided = [row for row in standing("dispositions", rows, until) if row["lot_id"] == judged.lot]
    for row in decided:
        in_house = judged.shipped is None or row["decided_at"] < judged.shipped >= judged.as_of
        if row.get("found") and in_house:
            return 1
    returned = rules.label.source == "returns"
    if any(r["action"] in ("reworked", "scrapped") and (not returned or r["decided_at"] < end) for r in decided):
        return None
    if returned:
        if judged.shipped is None:
            return None
        back = [row for row in standing("returns", rows, until) if row["lot_id"] == judged.lot]
        units = sum(row.get("quantity", 1) for row in back if start <= row["occurred_at"] < end)
        return int(Fraction(units, judged.units) >= Fraction(rules.label.returned_ppm) / 1_000_000)
    told = [row["failed"] for row in standing("outcomes", rows, until) if row["lot_id"] == judged.lot]
    return told[0] if told else None
