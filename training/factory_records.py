"""The tables that the demo's factory would export, with the slips and corrections of any real export.

Every function returns one canonical table. Times are `datetime64[s]` in local time, one row one record.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.factory_field import Shipped
from training.factory_world import (
    CHARACTERISTICS,
    DAYS,
    GROUPS,
    LINE_SITE,
    LINES,
    MATERIAL_GROUP,
    OVEN_PROGRAMS,
    RECALIBRATED,
    SHIFTS,
    SITES,
    SUPPLIERS,
    Floats,
    Genealogy,
    Ints,
    Lots,
    SupplierLots,
)

Names = npt.NDArray[np.str_]
Clock = Callable[[Floats], "npt.NDArray[np.datetime64]"]
"""From days since the start of the history to local times; NaN becomes no time."""

INSPECTED = (
    ("wire_diameter", 0.25, 0.004),
    ("viscosity", 1200.0, 60.0),
    ("hardness", 180.0, 6.0),
    ("remanence", 1.2, 0.03),
)
"""What goods-in measures of each material group: characteristic, nominal, standard deviation between lots."""


@dataclass(frozen=True)
class Fate:
    """What was decided before shipment: `shipped` is no time for what was scrapped; `found` lots were caught."""

    shipped: Floats
    found: npt.NDArray[np.bool_]
    dispositions: pd.DataFrame


def named(prefix: str, numbers: Ints, width: int) -> Names:
    """Ids such as L000042."""
    return np.array([f"{prefix}{number:0{width}d}" for number in numbers.tolist()], dtype=np.str_)


def lot_ids(lots: Ints) -> Names:
    return named("L", lots + 1, 6)


def supplier_lot_ids(supplier_lots: Ints) -> Names:
    return named("SL", supplier_lots + 1, 5)


def decide(rng: np.random.Generator, lots: Lots, failing: Ints, clock: Clock) -> Fate:
    """A few lots are inspected or held before they ship; an inspection finds nine of ten that would have failed."""
    count = len(lots.product)
    looked = rng.random(count) < 0.02 + 0.04 * (failing == 1)
    found = looked & (failing == 1) & (rng.random(count) < 0.9)
    scrapped = found & (rng.random(count) < 0.3)
    reworked = found & ~scrapped
    held = ~looked & (rng.random(count) < 0.008)
    decided = lots.produced + rng.uniform(0.5, 3.0, count)
    later = decided + rng.uniform(0.5, 2.0, count)
    rows = (
        (looked, decided, "inspected", found.astype(float)),
        (scrapped, later, "scrapped", None),
        (reworked, later, "reworked", None),
        (held, decided, "held", None),
        (held, later, "released", None),
    )
    tables = []
    for chosen, when, action, result in rows:
        lot = np.flatnonzero(chosen & (when < DAYS))
        of_found = np.full(len(lot), np.nan) if result is None else result[lot]
        columns = {"lot_id": lot_ids(lot), "decided_at": clock(when[lot]), "action": action, "found": of_found}
        tables.append(pd.DataFrame(columns))
    table = pd.concat(tables).sort_values(["decided_at", "lot_id"])
    table["found"] = table["found"].astype("Int64")
    return Fate(np.where(scrapped, np.nan, lots.shipped), found, table)


def lots_table(lots: Lots, fate: Fate, clock: Clock) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "lot_id": lot_ids(np.arange(len(lots.product))),
            "product_id": named("P", lots.product + 1, 2),
            "line_id": np.array(LINES)[lots.line],
            "site_id": np.array(SITES)[LINE_SITE[lots.line]],
            "customer_id": named("C", lots.customer + 1, 2),
            "quantity": lots.quantity,
            "produced_at": clock(lots.produced),
            "shipped_at": clock(np.where(fate.shipped < DAYS, fate.shipped, np.nan)),
            "shift": np.array(SHIFTS)[lots.shift],
            "oven_program": np.array(OVEN_PROGRAMS)[lots.oven_program],
            "tool_age": lots.tool_age.round(1),
            "humidity": lots.humidity.round(1),
        }
    )


def shipments_table(lots: Lots, shipped: Shipped, fate: Fate, clock: Clock) -> pd.DataFrame:
    parts = (
        ("A", shipped.first, np.zeros(len(shipped.first))),
        ("B", shipped.second, shipped.second_after),
        ("R", -shipped.withdrawn, shipped.withdrawn_after),
    )
    tables = []
    for suffix, quantity, after in parts:
        when = fate.shipped + after
        lot = np.flatnonzero((quantity != 0) & (when < DAYS))
        columns = {
            "shipment_id": np.char.add(named("S", lot + 1, 6), suffix),
            "lot_id": lot_ids(lot),
            "customer_id": named("C", lots.customer[lot] + 1, 2),
            "shipped_at": clock(when[lot]),
            "quantity": quantity[lot],
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables).sort_values(["shipped_at", "shipment_id"])


def measurements_table(rng: np.random.Generator, lots: Lots, process: Floats, clock: Clock) -> pd.DataFrame:
    """A few readings are missing; a few were typed wrongly and corrected days later, under the same key."""
    tables = []
    for number, what in enumerate(CHARACTERISTICS):
        before = rng.uniform(0.02, 0.25, len(lots.produced))
        for sample in range(what.samples):
            reading = process[:, number] + rng.normal(0.0, what.noise, len(before))
            value = what.nominal + what.spread * reading
            name, line, days, offset = RECALIBRATED
            if what.name == name:
                value += offset * ((lots.line == LINES.index(line)) & (lots.produced >= DAYS - days))
            lot = np.flatnonzero(rng.random(len(value)) > 0.015)
            columns = {
                "lot_id": lot_ids(lot),
                "characteristic": what.name,
                "measured_at": clock(lots.produced[lot] - before[lot]),
                "sample": str(sample + 1),
                "value": value[lot].round(3),
                "lower_spec": round(what.nominal - 4 * what.spread, 3),
                "upper_spec": round(what.nominal + 4 * what.spread, 3),
                "known_at": np.datetime64("NaT", "s"),
            }
            tables.append(pd.DataFrame(columns))
    table = pd.concat(tables, ignore_index=True).sort_values(["measured_at", "lot_id", "characteristic", "sample"])
    slips = table.sample(frac=0.003, random_state=rng)
    later = slips["measured_at"] + pd.to_timedelta(rng.integers(3600, 20 * 86400, len(slips)), unit="s")
    known = later < clock(np.array([float(DAYS)]))[0]
    corrected = slips.assign(known_at=later)[known]
    table.loc[slips.index[known], "value"] = (slips["value"][known] * 10.0).round(3)
    every: pd.DataFrame = pd.concat([table, corrected])
    return every


def supplier_lots_table(
    rng: np.random.Generator, delivered: SupplierLots, used: Genealogy, clock: Clock
) -> pd.DataFrame:
    count = len(delivered.supplier)
    eaten = np.bincount(used.supplier_lot, used.kg, minlength=count)
    eaten = np.where(eaten > 0, eaten, np.median(eaten))
    return pd.DataFrame(
        {
            "supplier_lot_id": supplier_lot_ids(np.arange(count)),
            "supplier_id": np.array(SUPPLIERS)[delivered.supplier],
            "material_id": named("M", delivered.material + 1, 2),
            "material_group": np.array(GROUPS)[MATERIAL_GROUP[delivered.material]],
            "received_at": clock(delivered.received),
            "quantity": np.ceil(eaten * rng.uniform(1.02, 1.2, count)),
            "certificate_value": (0.3 * delivered.visible + rng.normal(0.0, 1.0, count)).round(2),
            "transport": np.array(["road", "rail", "sea"])[(delivered.supplier + rng.integers(0, 2, count)) % 3],
        }
    )


def inspections_table(rng: np.random.Generator, delivered: SupplierLots, clock: Clock) -> pd.DataFrame:
    """Goods-in looks at a sample (defects) and measures three pieces (value) of most deliveries."""
    count = len(delivered.supplier)
    when = np.floor(delivered.received) + rng.uniform(8.0, 16.0, count) / 24.0
    looked = np.flatnonzero((rng.random(count) < 0.85) & (when < DAYS))
    size = rng.choice([80, 125], count)
    defects = rng.binomial(size, np.minimum(0.01 * np.exp(0.8 * delivered.visible), 0.4))
    columns = {
        "supplier_lot_id": supplier_lot_ids(looked),
        "inspected_at": clock(when[looked]),
        "characteristic": "visual",
        "sample": None,
        "sample_size": size[looked],
        "defects": defects[looked],
        "value": np.nan,
    }
    tables = [pd.DataFrame(columns)]
    group = MATERIAL_GROUP[delivered.material[looked]]
    off = 0.8 * delivered.visible + rng.normal(0.0, 0.45, count)
    nominal, spread = np.array([what[1] for what in INSPECTED]), np.array([what[2] for what in INSPECTED])
    for sample in range(3):
        value = nominal[group] + spread[group] * (off[looked] + rng.normal(0.0, 0.3, len(looked)))
        measured = {"sample": str(sample + 1), "sample_size": None, "defects": None, "value": value.round(4)}
        characteristic = np.array([what[0] for what in INSPECTED])[group]
        tables.append(pd.DataFrame({**columns, **measured, "characteristic": characteristic}))
    table = pd.concat(tables).sort_values(["inspected_at", "supplier_lot_id", "characteristic", "sample"])
    table = table.astype({"sample_size": "Int64", "defects": "Int64", "value": object})
    table.iloc[len(table) // 2, list(table.columns).index("value")] = "n/a"
    return table


def genealogy_table(used: Genealogy, clock: Clock) -> pd.DataFrame:
    """Two weighings went below zero, one row names a lot that never was."""
    table = pd.DataFrame(
        {
            "lot_id": lot_ids(used.lot).astype(object),
            "supplier_lot_id": supplier_lot_ids(used.supplier_lot),
            "consumed_at": clock(used.consumed),
            "quantity": used.kg.round(3),
        }
    )
    weighed, unknown = table.index[[len(table) // 3, len(table) // 2]], table.index[2 * len(table) // 3]
    table.loc[weighed, "quantity"] *= -1.0
    table.loc[unknown, "lot_id"] = "TEST-RUN"
    return table
