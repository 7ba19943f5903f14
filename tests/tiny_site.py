"""Small random sites as plain rows: every table, late news, corrections, deletions, ties on the day boundary."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from features.asof import DAY, HOUR
from features.contracts import TABLES
from features.histories import Histories
from features.judgements import Judgements
from features.reading import histories_of
from features.rules import Costs, DecisionRule, LabelRule, Rules
from features.site import Site

Row = dict[str, Any]
Rows = dict[str, list[Row]]

ORIGIN = 18_262 * DAY  # 2020-01-01
NUMBERS = ("value", "lower_spec", "upper_spec", "score", "amount", "temperature")
WHOLE = ("sample_size", "defects", "failed", "found")


def day(number: float) -> int:
    """The moment so many days after the start of the site."""
    return ORIGIN + int(number * DAY)


def rules(
    *,
    label: str = "returns",
    ppm: float = 100_000,
    within: float = 60,
    reporting: float = 10,
    at: str = "shipped_at",
    again_every: float | None = None,
    until_age: float = 300,
    min_units: int = 1,
    known_until: float | None = None,
) -> Rules:
    """Rules with durations in days."""
    source = LabelRule(label, ppm, int(within * DAY), int(reporting * DAY))
    # A site with outcomes may not say again_every.
    every = None if again_every is None or label == "outcomes" else int(again_every * DAY)
    costs = Costs(400.0, 9000.0, 0.0, 1500.0)
    decision = DecisionRule(at, every, int(until_age * DAY), min_units, costs, 0.9, None)
    return Rules(source, decision, None if known_until is None else day(known_until))


def site(rule: Rules) -> Site:
    here = Path("tiny")
    return Site("tiny", here, here, "UTC", (here,), "en", rule, {}, "", {}, "", "")


def arrow(rows: Iterable[Row]) -> pa.Table:
    """An Arrow table of rows that need not name every column."""
    rows = list(rows)
    names = sorted({name for row in rows for name in row})
    return pa.table({name: pa.array([row.get(name) for row in rows], _kind(name)) for name in names})


def _kind(name: str) -> pa.DataType:
    if name.endswith("_at"):
        return pa.timestamp("us", "UTC")
    if name == "quantity" or name in WHOLE:
        return pa.int64()
    if name == "deleted":
        return pa.bool_()
    return pa.float64() if name in NUMBERS else pa.string()


def histories(rows: Mapping[str, list[Row]], rule: Rules, *, now: float = 40_000) -> Histories:
    """The histories of the rows; a row that is quarantined fails the test that wrote it."""
    reading = histories_of({name: arrow(table) for name, table in rows.items() if table}, site(rule), now=day(now))
    bad = {name: report.quarantined for name, report in reading.report.items() if report.quarantined}
    assert not bad, bad
    return reading.histories


def asked(told: Histories, lots: Iterable[str], as_of: Iterable[int]) -> Judgements:
    """Judgements of the named lots at the given moments, as a request would make them."""
    codes = np.array([told.ids["lot"].code(lot) for lot in lots], dtype=np.int64)
    moments = np.array(list(as_of), dtype=np.int64)
    none = np.full(len(codes), -(2**63))
    return Judgements(codes, moments, np.ones(len(codes), dtype=np.int64), none, moments)


def plain_site(random: Random, *, lots: int = 20, ships: str = "both") -> Rows:
    """The same with all known as it happens, but for returns, and nothing ever corrected or deleted."""
    rows = tiny_site(random, lots=lots, ships=ships)
    plain: Rows = {}
    for name, table in rows.items():
        first: dict[tuple[Any, ...], Row] = {}
        for row in sorted(table, key=lambda row: row.get("known_at") or row.get("reported_at") or 0):
            first.setdefault(tuple(row.get(column) for column in TABLES[name].key), row)
        plain[name] = [{k: v for k, v in row.items() if k not in ("known_at", "deleted")} for row in first.values()]
    return plain


def tiny_site(random: Random, *, lots: int = 12, days: int = 400, label: str = "returns", ships: str = "both") -> Rows:
    """Rows of every table. `ships`: where shipments are told, "lots", "shipments" or "both"."""
    made: Rows = {"lots": [], "customers": [{"customer_id": f"C{n}", "tier": "AB"[n % 2]} for n in range(3)]}
    _supplies(made, random, days)
    for number in range(lots):
        _lot(made, random, f"L{number:02}", days, label, ships)
    for number in range(4):
        moment = day(random.randint(0, days))
        scope = random.choice(["product:P0", "supplier:S1", "line:N0"])
        made.setdefault("actions", []).append({"action_id": f"A{number}", "scope": scope, "opened_at": moment})
        made.setdefault("surveys", []).append(
            {"answered_at": moment + number, "customer_id": "C0", "score": float(random.randint(0, 10))}
        )
    return {name: shuffled(random, table) for name, table in made.items() if table}


def shuffled(random: Random, rows: list[Row]) -> list[Row]:
    rows = list(rows)
    random.shuffle(rows)
    return rows


def _supplies(made: Rows, random: Random, days: int) -> None:
    for number in range(8):
        name = f"U{number}"
        received = random.randint(0, days - 60)
        row = {
            "supplier_lot_id": name,
            "supplier_id": f"S{random.randint(0, 2)}",
            "material_id": f"M{number % 3}",
            "material_group": ["resin", None, "resin"][number % 3],
            "received_at": day(received),
            "purity": str(random.randint(90, 99)),
            "origin": random.choice(["north", "south", None]),
        }
        told = _told(made, "supplier_lots", random, row, received, {"supplier_id": "S2", "origin": "west"})
        for turn in range(random.randint(0, 3)):
            inspected = received + random.randint(0, 30)
            found = {"sample_size": 50, "defects": random.randint(0, 5)}
            row = {"supplier_lot_id": name, "inspected_at": day(inspected), "characteristic": "visual", **found}
            if turn % 2:
                value = float(random.randint(0, 40))
                row = {**row, "characteristic": "moisture", "sample_size": None, "defects": None, "value": value}
            fix = {"value": 77.0} if turn % 2 else {"defects": 9}
            _told(made, "inspections", random, {**row, "sample": str(turn)}, max(inspected, told), fix)


def _lot(made: Rows, random: Random, name: str, days: int, label: str, ships: str) -> None:
    produced = random.randint(0, days - 40)
    shipped = produced + random.randint(0, 15) if random.randint(0, 7) else None
    row = {
        "lot_id": name,
        "product_id": f"P{random.randint(0, 2)}",
        "line_id": random.choice(["N0", "N1", None]),
        "customer_id": random.choice(["C0", "C1", None]),
        "quantity": random.randint(5, 20),
        "produced_at": day(produced),
        "shipped_at": None if shipped is None or ships == "shipments" else day(shipped),
        "temperature": float(random.randint(150, 160)),
        "colour": random.choice(["red", "blue", None]),
    }
    # A correction of lots comes after the last shipment could: until then the first version is the question.
    _told(made, "lots", random, row, produced, {"product_id": "P1", "quantity": 9, "colour": "green"}, gone=0)
    if shipped is not None and ships != "lots":
        _shipments(made, random, name, shipped)
    for turn in range(random.randint(0, 3)):
        measured = produced + random.randint(-2, 20)
        row = {"lot_id": name, "characteristic": random.choice(["width", "weight"]), "measured_at": day(measured)}
        limits = {"lower_spec": 40.0, "upper_spec": 60.0}
        row |= {"sample": str(turn), "value": 50 + random.randint(-120, 120) / 10} | limits
        _told(made, "measurements", random, row, measured, {"value": 99.0})
    for supply in {f"U{random.randint(0, 7)}" for _ in range(random.randint(0, 3))}:
        dated = random.randint(0, 1)
        row = {"lot_id": name, "supplier_lot_id": supply, "quantity": random.choice([None, 1, 2, 5])}
        consumed = produced - random.randint(0, 3) if dated else None
        row["consumed_at"] = None if consumed is None else day(consumed)
        _told(made, "genealogy", random, row, produced if consumed is None else consumed, {"quantity": 3})
    if random.randint(0, 3) == 0:
        decided = produced + random.randint(0, 40)
        row = {"lot_id": name, "decided_at": day(decided), "found": random.choice([0, 1, None])}
        row["action"] = random.choice(["released", "inspected", "reworked", "held", "scrapped"])
        _told(made, "dispositions", random, row, decided, {"found": 1, "action": "held"})
    start = produced if shipped is None else shipped
    for turn in range(random.randint(0, 4)):
        occurred = start + random.choice([0, 1, 59, 60, 61, random.randint(0, 120)])
        row = {"return_id": f"{name}-{turn}", "lot_id": name, "occurred_at": day(occurred)}
        row |= {"quantity": random.randint(1, 3), "customer_id": random.choice(["C0", "C2", None])}
        fix = {"occurred_at": day(occurred + 1), "quantity": 4}
        _told(made, "returns", random, row, occurred, fix, column="reported_at", at_once=False)
    if label == "outcomes" and random.randint(0, 5):
        row = {"lot_id": name, "failed": int(random.randint(0, 2) == 0)}
        _told(made, "outcomes", random, row, start + random.randint(0, 30), {"failed": 1}, at_once=False)


def _shipments(made: Rows, random: Random, name: str, shipped: int) -> None:
    for turn in range(random.randint(1, 4)):
        moment = shipped + (0 if turn == 0 else random.choice([0, 1, 30, 90]))
        quantity = random.randint(1, 9) if turn == 0 else random.choice([-4, -1, 2, 6])
        row = {"shipment_id": f"{name}/{turn}", "lot_id": name, "shipped_at": day(moment), "quantity": quantity}
        row["customer_id"] = random.choice(["C0", "C1", None])
        _told(made, "shipments", random, row, moment, {"quantity": quantity + 1}, gone=0 if turn == 0 else 8)


def _told(
    made: Rows,
    table: str,
    random: Random,
    row: Row,
    happened: int,
    fix: Row,
    *,
    column: str = "known_at",
    at_once: bool = True,
    gone: int = 8,
) -> int:
    """Adds a row, known at once or late, sometimes with a correction and a deletion; the day it was first known."""
    known = happened + random.choice([0, 0, 0, 1, 5, 30])
    late = at_once and known == happened and column == "known_at"
    made.setdefault(table, []).append(row if late else {**row, column: day(known)})
    first = known
    if random.randint(0, 4) == 0:
        # An undated genealogy row is known with its lot, up to 30 days late: its correction must not tie with it.
        known += random.choice([40, 60, 200] if table == "genealogy" else [1, 20, 60, 200])
        made[table].append({**row, **fix, column: day(known)})
    if gone and random.randint(0, gone) == 0:
        known += random.choice([40, 60, 200])
        made[table].append({**row, column: day(known), "deleted": True})
    return first


__all__ = [
    "DAY",
    "HOUR",
    "ORIGIN",
    "Row",
    "Rows",
    "arrow",
    "asked",
    "day",
    "histories",
    "plain_site",
    "rules",
    "shuffled",
    "site",
    "tiny_site",
]
