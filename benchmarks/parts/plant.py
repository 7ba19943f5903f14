"""A made-up plant of any size as the arrays that reading a site gives: what the benchmarks run on."""

import numpy as np

from features.asof import DAY, FOREVER, NO_TIME, Array
from features.histories import Histories, Table, Vocabulary
from features.rules import Costs, DecisionRule, LabelRule, Rules

START = 17_897 * DAY  # 2019-01-01
DAYS = 3 * 365
UNTIL = START + DAYS * DAY
PRODUCTS, LINES, CUSTOMERS, SUPPLIERS, MATERIALS, CHARACTERISTICS = 200, 20, 50, 500, 12, 3
USES = 5  # supplier lots a lot, each of another material
SECOND = 1_000_000

RULES = Rules(
    LabelRule("returns", returned_ppm=8000, within=180 * DAY, reporting=30 * DAY),
    DecisionRule("shipped_at", None, 1095 * DAY, 1, Costs(400.0, 9000.0, 0.0, 1500.0), 0.9, None),
    None,
)


def made_plant(lots: int, *, seed: int = 0) -> Histories:
    """Histories of `lots` lots over three years: a shipment and a measurement each, half as many returns, five times
    as many genealogy rows, a fifth as many supplier lots, twice as many inspections. One return in a hundred is
    corrected later. What is known at the end or later is left out."""
    random = np.random.default_rng(seed)
    supplies = _supplies(random, max(lots // 5, 10 * MATERIALS))
    made = _lots(random, lots)
    quality = random.gamma(2.0, 0.5, len(supplies)) * random.gamma(3.0, 1 / 3, SUPPLIERS)[supplies["supplier_id"]]
    genealogy = _genealogy(random, made, supplies)
    tables = {
        "lots": made,
        "supplier_lots": supplies,
        "genealogy": genealogy,
        "inspections": _inspections(random, supplies, quality, rows=2 * lots),
        "measurements": _measurements(random, made),
    }
    shipped = made["produced_at"] + random.integers(1, 10 * 86_400, lots) * SECOND
    number = np.arange(lots)
    tables["shipments"] = _table(
        "shipments",
        {"shipment_id": number, "lot_id": number, "customer_id": made["customer_id"], "shipped_at": shipped}
        | {"quantity": made["quantity"]},
        shipped,
    )
    tables["returns"] = _returns(random, shipped, _risk(random, made, genealogy, quality), rows=lots // 2)
    sizes = {"lot": lots, "shipment": lots, "return": lots, "supplier_lot": len(supplies), "supplier": SUPPLIERS}
    sizes |= {"product": PRODUCTS, "line": LINES, "customer": CUSTOMERS, "material": MATERIALS}
    sizes |= {"characteristic": CHARACTERISTICS, "inspected": CHARACTERISTICS}
    ids = {kind: Vocabulary([f"{kind}{place:07}" for place in range(size)]) for kind, size in sizes.items()}
    return Histories(tables, ids).known_before(UNTIL)


def _table(name: str, columns: dict[str, Array], known: Array, *, attributes: tuple[str, ...] = ()) -> Table:
    return Table(name, columns, known, known, np.full(len(known), FOREVER), attributes=attributes)


def _lots(random: np.random.Generator, lots: int) -> Table:
    produced = START + np.sort(random.integers(0, DAYS * 86_400, lots)) * SECOND
    columns = {
        "lot_id": np.arange(lots),
        "product_id": random.zipf(1.3, lots) % PRODUCTS,
        "line_id": random.integers(0, LINES, lots),
        "customer_id": random.integers(0, CUSTOMERS, lots),
        "quantity": random.integers(50, 500, lots),
        "produced_at": produced,
        "temperature": random.normal(180.0, 4.0, lots),
    }
    return _table("lots", columns, produced, attributes=("temperature",))


def _supplies(random: np.random.Generator, rows: int) -> Table:
    supplier = random.integers(0, SUPPLIERS, rows)
    received = START + np.sort(random.integers(-90 * 86_400, DAYS * 86_400, rows)) * SECOND
    columns = {
        "supplier_lot_id": np.arange(rows),
        "supplier_id": supplier,
        "material_id": (supplier + random.integers(0, 2, rows)) % MATERIALS,
        "received_at": received,
        "moisture": random.normal(2.0, 0.3, rows),
    }
    return _table("supplier_lots", columns, received, attributes=("moisture",))


def _genealogy(random: np.random.Generator, lots: Table, supplies: Table) -> Table:
    """Each product is made of materials of its own; each time one of the last fifty received is taken."""
    lot = np.repeat(np.arange(len(lots)), USES)
    recipe = np.argsort(random.random((PRODUCTS, MATERIALS)), axis=1)[:, :USES]
    wanted = recipe[lots["product_id"]].ravel()
    taken = np.empty(len(lot), dtype=np.int64)
    for material in range(MATERIALS):
        there, rows = np.flatnonzero(supplies["material_id"] == material), np.flatnonzero(wanted == material)
        had = np.searchsorted(supplies["received_at"][there], lots["produced_at"][lot[rows]])
        taken[rows] = there[np.maximum(had - random.integers(1, 50, len(rows)), 0)]
    known = lots["produced_at"][lot]
    columns = {"lot_id": lot, "supplier_lot_id": taken, "consumed_at": np.full(len(lot), NO_TIME)}
    return _table("genealogy", {**columns, "quantity": random.gamma(2.0, 10.0, len(lot))}, known)


def _inspections(random: np.random.Generator, supplies: Table, quality: Array, *, rows: int) -> Table:
    of = np.sort(random.integers(0, len(supplies), rows))
    inspected = supplies["received_at"][of] + random.integers(3600, 14 * 86_400, rows) * SECOND
    sample = random.integers(20, 100, rows)
    columns = {
        "supplier_lot_id": of,
        "inspected_at": inspected,
        "characteristic": random.integers(0, CHARACTERISTICS, rows),
        "sample_size": sample,
        "defects": random.binomial(sample, np.minimum(0.01 * quality[of], 0.5)),
        "value": random.normal(10.0, 1.0, rows) + quality[of],
    }
    return _table("inspections", columns, inspected)


def _measurements(random: np.random.Generator, lots: Table) -> Table:
    rows = len(lots)
    measured = lots["produced_at"] + random.integers(60, 86_400, rows) * SECOND
    columns = {
        "lot_id": np.arange(rows),
        "characteristic": random.integers(0, CHARACTERISTICS, rows),
        "measured_at": measured,
        "value": random.normal(50.0, 2.0, rows),
        "lower_spec": np.full(rows, 44.0),
        "upper_spec": np.full(rows, 56.0),
    }
    return _table("measurements", columns, measured)


def _risk(random: np.random.Generator, lots: Table, genealogy: Table, quality: Array) -> Array:
    """How likely a return is to come from a lot, by its product and what went into it."""
    went_in = np.bincount(genealogy["lot_id"], quality[genealogy["supplier_lot_id"]] ** 2) / USES
    share: Array = random.gamma(2.0, 0.5, PRODUCTS)[lots["product_id"]] * went_in
    return share


def _returns(random: np.random.Generator, shipped: Array, risk: Array, *, rows: int) -> Table:
    lot = np.sort(random.choice(len(risk), rows, p=risk / risk.sum()))
    occurred = shipped[lot] + (random.exponential(90 * 86_400, rows)).astype(np.int64) * SECOND
    reported = occurred + (random.gamma(2.0, 6 * 86_400, rows)).astype(np.int64) * SECOND
    fixed = np.flatnonzero(random.random(rows) < 0.01)
    corrected = reported[fixed] + random.integers(1, 60, len(fixed)) * DAY
    superseded = np.full(rows, FOREVER)
    superseded[fixed] = corrected
    both = np.concatenate([np.arange(rows), fixed])
    columns = {"return_id": both, "lot_id": lot[both], "occurred_at": occurred[both]}
    columns["reported_at"] = np.concatenate([reported, corrected])
    columns["quantity"] = random.integers(1, 4, len(both))
    superseded = np.concatenate([superseded, np.full(len(fixed), FOREVER)])
    return Table("returns", columns, reported[both], columns["reported_at"], superseded)
