"""The demo's factory as it really is: what suppliers deliver, what is made of it, on which line and how.

A maker of solenoid valves. Times are days since the start of the history, in local time, as floats.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAYS = 1095
GROUPS = ("wire", "resin", "steel", "magnet")
SUPPLIERS = tuple(f"V{number:02d}" for number in range(1, 11))
LINES = ("L1", "L2", "L3", "L4")
SITES = ("north", "south")
LINE_SITE = np.array([0, 0, 1, 1])
SHIFTS = ("early", "late", "night")
OVEN_PROGRAMS = ("A", "B", "C")
TIERS = ("A", "A", "B", "B", "B", "C", "C", "C")
INTRODUCED = np.array([0, 0, 0, 0, 0, 0, 0, 0, 290, 520, 690, 860])
"""Of each product, in days."""
PRODUCT_MATERIAL = np.array([[0, 2, 4, 6], [1, 2, 4, 7], [0, 3, 5, -1], [1, 3, 5, 6], [0, 2, 5, 7], [1, 3, 4, -1]] * 2)
"""Of each product and material group; -1: the product has none of it."""
SUPPLIER_LEVEL = np.array([-0.3, 0.5, 0.0, -0.2, 0.4, 0.1, -0.3, 0.4, 0.0, 0.3])
LAST = -1.0e9


@dataclass(frozen=True)
class Material:
    """`suppliers`: the first source, then the second."""

    suppliers: tuple[int, int]
    days_between: float
    kg_per_unit: float


MATERIALS = (
    Material((0, 1), 9.0, 0.06),
    Material((2, 1), 11.0, 0.05),
    Material((3, 4), 14.0, 0.03),
    Material((5, 4), 15.0, 0.04),
    Material((6, 7), 21.0, 0.20),
    Material((7, 6), 24.0, 0.25),
    Material((8, 9), 100.0, 0.02),
    Material((9, 8), 120.0, 0.015),
)
MATERIAL_GROUP = np.array([0, 0, 1, 1, 2, 2, 3, 3])


@dataclass(frozen=True)
class Episode:
    """A supplier delivers badly for a while: days before today, and by how much in the log of its defect rate."""

    supplier: str
    first: int
    last: int
    strength: float


@dataclass(frozen=True)
class Characteristic:
    """`noise` is of one reading, in units of `spread`, the lots' own standard deviation."""

    name: str
    nominal: float
    spread: float
    samples: int
    noise: float


BAD_EPISODE = Episode("V05", 620, 500, 1.9)
MILD_EPISODE = Episode("V02", 340, 250, 1.0)
CHARACTERISTICS = (
    Characteristic("oven_temp", 165.0, 3.0, 3, 0.3),
    Characteristic("cure_time", 42.0, 1.5, 1, 0.2),
    Characteristic("winding_tension", 8.0, 0.4, 2, 0.5),
    Characteristic("coil_resistance", 24.0, 0.5, 1, 0.3),
    Characteristic("press_force", 3.2, 0.15, 1, 0.3),
    Characteristic("leak_rate", 0.8, 0.12, 1, 0.5),
)
RECALIBRATED = ("oven_temp", "L3", 300, 5.0)
"""A sensor reads this much more from so many days before today on; nothing in the oven changed."""


@dataclass(frozen=True)
class SupplierLots:
    """In order of material, supplier and time. `usual` and `episode` add up to the log of what fails in the field."""

    supplier: Ints
    material: Ints
    received: Floats
    usual: Floats
    episode: Floats

    @property
    def visible(self) -> Floats:
        """What an inspection sees: of an episode only a little."""
        return self.usual + 0.2 * self.episode


@dataclass(frozen=True)
class Lots:
    """In order of production. `shipped` may lie beyond the end of the history."""

    product: Ints
    line: Ints
    customer: Ints
    quantity: Ints
    shift: Ints
    oven_program: Ints
    tool_age: Floats
    humidity: Floats
    produced: Floats
    shipped: Floats


@dataclass(frozen=True)
class Genealogy:
    """`share` is of the lot's need of that material."""

    lot: Ints
    supplier_lot: Ints
    share: Floats
    kg: Floats
    consumed: Floats


def wander(rng: np.random.Generator, series: int, *, memory_days: float, spread: float) -> Floats:
    """AR(1) paths about their common mean, one value a week; the first one stands for all that came before."""
    weeks = DAYS // 7 + 2
    keep = np.exp(-7.0 / memory_days)
    shocks = rng.normal(0.0, spread, (series, weeks))
    path = np.empty((series, weeks))
    path[:, 0] = shocks[:, 0]
    for week in range(1, weeks):
        path[:, week] = keep * path[:, week - 1] + np.sqrt(1.0 - keep**2) * shocks[:, week]
    about_mean: Floats = path - path.mean(axis=0)
    return about_mean


def at_week(path: Floats, series: Ints, day: Floats) -> Floats:
    """The value of each one's own path in the week of `day`."""
    values: Floats = path[series, np.maximum(day // 7, 0).astype(np.int64)]
    return values


def deliver(rng: np.random.Generator) -> SupplierLots:
    """Each source of a material delivers on its own rhythm, with a quality that wanders and sometimes breaks."""
    supplier, material, received = [], [], []
    for number, stuff in enumerate(MATERIALS):
        for source in stuff.suppliers:
            count = int(1.4 * DAYS / stuff.days_between) + 12
            gaps = rng.gamma(8.0, stuff.days_between / 8.0, count)
            days = np.floor(np.cumsum(gaps) - 6.0 * stuff.days_between)
            days = days[days < DAYS]
            received.append(days)
            supplier.append(np.full(len(days), source))
            material.append(np.full(len(days), number))
    by, made_of, when = np.concatenate(supplier), np.concatenate(material), np.concatenate(received)
    path = wander(rng, len(SUPPLIERS), memory_days=300.0, spread=0.8)
    usual = SUPPLIER_LEVEL[by] + at_week(path, by, when) + rng.normal(0.0, 0.75, len(when))
    worse = np.zeros(len(when))
    for episode in (BAD_EPISODE, MILD_EPISODE):
        during = (when >= DAYS - episode.first) & (when < DAYS - episode.last)
        worse += episode.strength * (during & (by == SUPPLIERS.index(episode.supplier)))
    return SupplierLots(by, made_of, when, usual, worse)


def produce(rng: np.random.Generator, *, lots: int, first_weekday: int) -> Lots:
    """Mondays to Saturdays, a third more at the end than on average; shipped on weekdays two to four weeks later."""
    days = np.arange(DAYS)
    weekday = (first_weekday + days) % 7
    pace = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.35, 0.0])[weekday] * (0.65 + 0.7 * days / DAYS)
    produced = np.sort(rng.choice(days, lots, p=pace / pace.sum()) + rng.uniform(0.0, 1.0, lots))
    hour = 24.0 * (produced % 1.0)
    shift = np.where((hour >= 6) & (hour < 14), 0, np.where((hour >= 14) & (hour < 22), 1, 2))
    liking = rng.permutation(-0.55 * np.log(np.arange(1, 13))) + rng.gumbel(size=(lots, 12))
    product = np.where(produced[:, None] >= INTRODUCED, liking, LAST).argmax(axis=1)
    line = (product + (rng.random(lots) < 0.25)) % len(LINES)
    customer = (product * 5 + rng.choice(4, lots, p=[0.5, 0.25, 0.15, 0.1])) % len(TIERS)
    program = np.where(rng.random(lots) < 0.8, product % 3, rng.integers(0, 3, lots))
    tool_age = np.empty(lots)
    for number in range(len(LINES)):
        changed = np.cumsum(rng.uniform(45.0, 90.0, 30)) - 90.0
        here = line == number
        tool_age[here] = produced[here] - changed[np.searchsorted(changed, produced[here]) - 1]
    shipping_day = np.floor(produced + 6.0 + rng.gamma(5.0, 2.4, lots))
    shipping_day += np.array([0, 0, 0, 0, 0, 2, 1])[(first_weekday + shipping_day.astype(np.int64)) % 7]
    return Lots(
        product=product,
        line=line,
        customer=customer,
        quantity=np.clip(rng.lognormal(np.log(800.0), 0.45, lots), 260, 2500).astype(np.int64) // 10 * 10,
        shift=shift,
        oven_program=program,
        tool_age=tool_age,
        humidity=45.0 + 12.0 * np.sin(2 * np.pi * produced / 365.0) + rng.normal(0.0, 5.0, lots),
        produced=produced,
        shipped=shipping_day + rng.uniform(7.0, 16.0, lots) / 24.0,
    )


def consume(rng: np.random.Generator, lots: Lots, delivered: SupplierLots) -> Genealogy:
    """One to three supplier lots of each material a lot needs, the newest ones of one source."""
    sources = [(number, source) for number, stuff in enumerate(MATERIALS) for source in stuff.suppliers]
    stream = np.array([sources.index(pair) for pair in zip(delivered.material, delivered.supplier, strict=True)])
    span = 10.0 * DAYS
    shelf = stream * span + delivered.received
    kg_per_unit = np.array([stuff.kg_per_unit for stuff in MATERIALS])
    parts: list[tuple[Ints, Ints, Floats, Floats, Floats]] = []
    for group in range(len(GROUPS)):
        material = PRODUCT_MATERIAL[lots.product, group]
        lot = np.flatnonzero(material >= 0)
        material = material[lot]
        consumed = lots.produced[lot] - rng.uniform(0.05, 0.6, len(lot))
        second_source = rng.random(len(lot)) < 0.3
        newest = np.searchsorted(shelf, (2 * material + second_source) * span + consumed - 1.5) - 1
        pieces = rng.choice([1, 2, 3], len(lot), p=[0.65, 0.28, 0.07])
        need = rng.gamma(3.0, size=(len(lot), 3)) * (np.arange(3) < pieces[:, None])
        shares = need / need.sum(axis=1, keepdims=True)
        kg = shares * (lots.quantity[lot] * kg_per_unit[material] * rng.uniform(1.0, 1.05, len(lot)))[:, None]
        for piece in range(3):
            used = pieces > piece
            when = consumed[used] + 0.01 * piece
            parts.append((lot[used], newest[used] - piece, shares[used, piece], kg[used, piece], when))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((columns[4], columns[0]))
    lot, supplier_lot, share, kilograms, when = (column[order] for column in columns)
    return Genealogy(lot, supplier_lot, share, kilograms, when)


def run_process(rng: np.random.Generator, lots: Lots) -> Floats:
    """How far each lot really was from nominal, by characteristic, in standard deviations."""
    count = len(CHARACTERISTICS)
    drift = wander(rng, count * len(LINES), memory_days=35.0, spread=0.7)
    off = rng.normal(0.0, 0.75, (len(lots.line), count))
    for number in range(count):
        off[:, number] += at_week(drift, number * len(LINES) + lots.line, lots.produced)
    off[:, 0] += np.array([-0.2, 0.0, 0.3])[lots.oven_program]
    return off
