"""What comes back from the field, and how likely it was: the demo's law of failure.

What its materials, its process and its product do to a lot multiplies to its hazard. It is shared out among
causes by how much each did: each has a failure mode and a life curve. A part of each hazard shows in no table.
"""

from dataclasses import dataclass

import numpy as np

from training.factory_world import (
    DAYS,
    GROUPS,
    LINES,
    MATERIAL_GROUP,
    PRODUCT_MATERIAL,
    Floats,
    Genealogy,
    Ints,
    Lots,
    at_week,
    wander,
)

RETURNED_PPM = 8000
WITHIN_DAYS = 180
WARRANTY_DAYS = 730.0
FAILING_SHARE = 0.092
"""Without the bad episodes."""
UNSEEN = 0.7
"""Standard deviation of the log hazard that shows in no table."""
CAUSE_WEIGHT = np.array([0.24, 0.26, 0.12, 0.08, 0.40, 0.10])
MATERIAL_WEIGHT = np.array([0.6, 0.75, 0.4, 0.45])
LIFE_SHAPE = np.array([0.75, 0.9, 1.2, 0.75, 0.8, 0.7])
"""Weibull: below 1 young units fail most, above 1 old ones."""
CLAIM_UNITS = np.array([0.88, 0.09, 0.03])
"""Shares of claims of one, two and three units."""
UNITS_PER_CLAIM = float(CLAIM_UNITS @ np.arange(1, 4))
STEP, STEP_DAYS, DRIFT = 0.7, 450.0, 0.5
"""Of a changing factory: up by so much in the log hazard so many days before today, and by `DRIFT` a year since."""
HIGHEST = 0.05
"""Of the hazard over `WITHIN_DAYS`: keeps what returns below what was shipped."""


@dataclass(frozen=True)
class Shipped:
    """Units of each lot by how they went out; `withdrawn` ones came back unfailed. `_after`: days since the first."""

    first: Ints
    second: Ints
    second_after: Floats
    withdrawn: Ints
    withdrawn_after: Floats


@dataclass(frozen=True)
class Claims:
    """Failures in the field, the future ones too. `age` is days since the lot's first shipment."""

    lot: Ints
    cause: Ints
    age: Floats
    units: Ints


def ship(rng: np.random.Generator, lots: Lots) -> Shipped:
    """A tenth in two parts, one in fifty partly taken back."""
    count = len(lots.quantity)
    rest = np.where(rng.random(count) < 0.1, rng.uniform(0.2, 0.5, count) * lots.quantity, 0).astype(np.int64)
    back = np.where(rng.random(count) < 0.02, rng.uniform(0.1, 0.4, count) * lots.quantity, 0).astype(np.int64)
    return Shipped(lots.quantity - rest, rest, np.floor(rng.uniform(3, 28, count)), back, rng.uniform(15, 240, count))


def place(rng: np.random.Generator, lots: Lots) -> Floats:
    """The log of what product, line and shift do to a lot's hazard; products change, for better and worse."""
    changes = wander(rng, len(PRODUCT_MATERIAL), memory_days=300.0, spread=0.65)
    line = rng.normal(0.0, 0.1, len(LINES))[lots.line]
    log_factor: Floats = at_week(changes, lots.product, lots.produced) + line + 0.15 * (lots.shift == 2)
    return log_factor


def hazard_before_level(
    lots: Lots, badness: Floats, material: Ints, used: Genealogy, process: Floats, placed: Floats
) -> Floats:
    """By lot and cause, over `WITHIN_DAYS` in the field, but for the plant's level and what shows nowhere.

    `badness` and `material`: of each supplier lot.
    """
    count = len(lots.product)
    material_hazard = np.zeros((count, len(GROUPS)))
    group = MATERIAL_GROUP[material[used.supplier_lot]]
    np.add.at(material_hazard, (used.lot, group), used.share * np.exp(badness[used.supplier_lot]))
    # Heat harms where the tool is worn: neither does on its own.
    heat = np.maximum(np.abs(process[:, 0]) - 0.5, 0.0)
    oven = np.minimum(heat * lots.tool_age / 45.0, 3.5) - 0.5
    slack = 0.6 * np.maximum(-process[:, 2] - 0.3, 0.0)
    supplied = np.log(np.where(material_hazard > 0, material_hazard, 1.0)) * MATERIAL_WEIGHT
    supplied[:, 0] += slack
    stress = np.column_stack([supplied, oven, np.zeros(count)])
    part = CAUSE_WEIGHT * np.exp(2.0 * stress)
    part[:, : len(GROUPS)] *= material_hazard > 0
    total = np.exp(stress.sum(axis=1) + placed)
    hazard: Floats = part / part.sum(axis=1, keepdims=True) * total[:, None]
    return hazard


def expected_units(hazard: Floats, shipped: Shipped) -> Floats:
    """Units to come back within `WITHIN_DAYS` of the first shipment."""
    left = np.clip(1.0 - shipped.second_after / WITHIN_DAYS, 0.0, 1.0)[:, None] ** LIFE_SHAPE
    gone = 1.0 - np.clip(shipped.withdrawn_after / WITHIN_DAYS, 0.0, 1.0)[:, None] ** LIFE_SHAPE
    exposed = shipped.first[:, None] + shipped.second[:, None] * left - shipped.withdrawn[:, None] * gone
    units: Floats = (hazard * exposed).sum(axis=1)
    return units


def units_that_fail_a_lot(shipped: Shipped) -> Ints:
    """The least number of returned units that fails each lot."""
    return -(-shipped.first * RETURNED_PPM // 1_000_000)


def chance_to_fail(units: Floats, limit: Ints) -> Floats:
    """P(at least `limit` units) where claims are Poisson and bring one to three units (Panjer's recursion)."""
    claims = units / UNITS_PER_CLAIM
    exactly = [np.exp(-claims)]
    below = np.where(limit > 0, exactly[0], 0.0)
    for number in range(1, int(limit.max())):
        terms = [size * CLAIM_UNITS[size - 1] * exactly[number - size] for size in (1, 2, 3) if size <= number]
        exactly.append(claims / number * np.sum(terms, axis=0))
        below += np.where(number < limit, exactly[number], 0.0)
    return np.clip(1.0 - below, 0.0, 1.0)


def true_probability(units: Floats, limit: Ints) -> Floats:
    """That a lot fails, given all but its unseen part: that one is integrated out (Gauss-Hermite)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    total = np.zeros(len(units))
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        total += weight * chance_to_fail(units * np.exp(UNSEEN * node), limit)
    return total


def level_of_plant(rng: np.random.Generator, units: Floats, limit: Ints, produced: Floats) -> Floats:
    """The factor on each lot's hazard at which about `FAILING_SHARE` of the lots fail in each half year.

    It moves smoothly, with a slow swing of its own: what the plant does about its level, no table says.
    """
    middles = (np.arange(6) + 0.5) * DAYS / 6
    half_year = np.minimum(produced // (DAYS / 6), 5).astype(np.int64)
    levels = [_level(units[half_year == number], limit[half_year == number]) for number in range(6)]
    swing = 0.12 * np.sin(2.0 * np.pi * (produced / 800.0 + rng.random()))
    level: Floats = np.exp(np.interp(produced, middles, levels) + swing)
    return level


def worse_of_late(produced: Floats) -> Floats:
    """The factor on each lot's hazard in a factory whose failure rate changes: a step, then a drift."""
    since = produced - (DAYS - STEP_DAYS)
    factor: Floats = np.exp(np.where(since < 0.0, 0.0, STEP + DRIFT * since / 365.0))
    return factor


def _level(units: Floats, limit: Ints) -> float:
    low, high = -14.0, 0.0
    for _ in range(14):
        middle = (low + high) / 2
        too_many = true_probability(units * np.exp(middle), limit).mean() > FAILING_SHARE
        low, high = (low, middle) if too_many else (middle, high)
    return low


def fail(rng: np.random.Generator, hazard: Floats, shipped: Shipped) -> Claims:
    """Every claim within warranty, with the unseen part of each lot's hazard drawn here."""
    hazard = hazard * np.exp(UNSEEN * rng.normal(size=len(hazard)))[:, None]
    hazard = hazard * np.minimum(1.0, HIGHEST / hazard.sum(axis=1))[:, None]
    per_unit = hazard * (WARRANTY_DAYS / WITHIN_DAYS) ** LIFE_SHAPE / UNITS_PER_CLAIM
    found: list[tuple[Ints, Ints, Floats]] = []
    for quantity, after in ((shipped.first, np.zeros(len(hazard))), (shipped.second, shipped.second_after)):
        lot, cause = np.nonzero(claims := rng.poisson(quantity[:, None] * per_unit))
        times = claims[lot, cause]
        lot, cause = np.repeat(lot, times), np.repeat(cause, times)
        age = after[lot] + WARRANTY_DAYS * rng.random(len(lot)) ** (1.0 / LIFE_SHAPE[cause])
        found.append((lot, cause, age))
    lot, cause, age = (np.concatenate(column) for column in zip(*found, strict=True))
    units = rng.choice([1, 2, 3], len(lot), p=CLAIM_UNITS)
    gone = (age >= shipped.withdrawn_after[lot]) & (rng.random(len(lot)) < shipped.withdrawn[lot] / shipped.first[lot])
    order = np.lexsort((age, lot))
    order = order[~gone[order]]
    return Claims(lot[order], cause[order], age[order], units[order])


def failed(claims: Claims, shipped: Shipped) -> Ints:
    """1 for each lot that fails within `WITHIN_DAYS`, in the end; 0 else."""
    early = claims.age < WITHIN_DAYS
    returned = np.bincount(claims.lot[early], claims.units[early], minlength=len(shipped.first))
    return (returned >= units_that_fail_a_lot(shipped)).astype(np.int64)


def days_to_report(rng: np.random.Generator, claims: Claims) -> Floats:
    """Weeks, with a long tail."""
    return 1.0 + rng.lognormal(np.log(14.0), 0.55, len(claims.lot))
