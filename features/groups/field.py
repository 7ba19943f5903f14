"""Field: how plant, products, lines, customers and suppliers have done with the lots whose fate is known.

A share of failing lots counts judged lots whose window and reporting delay are over; a returns rate is per unit and
time in the field. Both lean on a wider rate while there is little of their own; a lot's own returns never count here.
"""

from typing import NamedTuple

import numpy as np

from features.asked import Asked
from features.asof import DAY, Array, hours
from features.card import FeatureSpec
from features.evidence import ITSELF, OF_LOTS, OF_SUPPLIES, PLANT, SUPPLIER, FieldHistory
from features.histories import Histories
from features.layout import Layout, Prior
from features.names import column
from features.shrink import rate_strength, share_strength, shrunk
from features.supplies import supplies_used

RECENT, YEAR = 90 * DAY, 365 * DAY
PER_MILLION_UNIT_DAYS = 24e6
RATE = "1/(million unit days)"

RATES = {
    "shrunk_own": "own_fail_share_365d",
    "shrunk_product": "product_fail_share_365d",
    "shrunk_supplier": "supplier_fail_share_365d",
    "shrunk_line": "line_fail_share_365d",
}
"""The shrunk trailing rates that a model has to beat: their names, and the columns that hold them."""


class Rates(NamedTuple):
    """Share of failing lots and returns per unit-hour, float64, shape (windows, entities, questions) or as said."""

    fail: Array
    returned: Array

    def of(self, place: int) -> "Rates":
        """Of one of the entities, shape (windows, questions)."""
        return Rates(self.fail[:, place], self.returned[:, place])


def entities(layout: Layout) -> tuple[str, ...]:
    """The plant, and the entities of lots that the data name."""
    there = {a.column.removesuffix("_id") for a in layout.attributes if a.table == "lots"}
    return tuple(entity for entity in OF_LOTS if entity == PLANT or entity in there)


def columns(layout: Layout) -> list[FeatureSpec]:
    """The group's columns."""
    returns = "returns" in layout.tables
    specs = []
    for entity in entities(layout):
        specs.append(column("{entity}_fail_share_90d", unit="share", entity=entity))
        specs.append(column("{entity}_fail_share_365d", unit="share", entity=entity))
        if returns:
            specs.append(column("{entity}_return_rate_90d", unit=RATE, entity=entity))
            specs.append(column("{entity}_return_rate_365d", unit=RATE, entity=entity))
            specs.append(column("{entity}_return_trend", unit="log ratio", entity=entity))
            specs.append(column("{entity}_days_since_return", unit="days", entity=entity))
    for group in layout.groups:
        for entity in OF_SUPPLIES:
            specs.append(column("{group}_{entity}_fail_share_365d", unit="share", group=group, entity=entity))
            if returns:
                specs.append(column("{group}_{entity}_return_rate_365d", unit=RATE, group=group, entity=entity))
    if layout.groups:
        specs.append(column("supplier_fail_share_365d", unit="share"))
    return specs


def build(asked: Asked, histories: Histories, layout: Layout) -> dict[str, Array]:
    """The group's columns by name, float64, shape (judgements,)."""
    out: dict[str, Array] = {}
    history, kinds = FieldHistory(histories, layout), entities(layout)
    rates = rates_of_lots(asked, histories, layout)
    returns = "returns" in layout.tables
    if returns:
        returned = rates.returned * PER_MILLION_UNIT_DAYS
        trend = np.log(rates.returned[0] / rates.returned[1])
        days = days_since_return(history, kinds, _codes_of_lots(asked, kinds), asked.as_of, without=asked.lot)
    for place, entity in enumerate(kinds):
        out[f"{entity}_fail_share_90d"], out[f"{entity}_fail_share_365d"] = rates.fail[:, place]
        if returns:
            out[f"{entity}_return_rate_90d"], out[f"{entity}_return_rate_365d"] = returned[:, place]
            out[f"{entity}_return_trend"] = trend[place]
            out[f"{entity}_days_since_return"] = days[place]
    if layout.groups:
        _supply_columns(out, asked, histories, layout, rates.of(0))
    return out


def rates_of_lots(asked: Asked, histories: Histories, layout: Layout) -> Rates:
    """Shrunk rates of `entities`, recent and of the year: the plant's, and the others', which lean on the plant's."""
    return asked.once("rates of lots", lambda: _rates_of_lots(asked, histories, layout))


def _rates_of_lots(asked: Asked, histories: Histories, layout: Layout) -> Rates:
    kinds = entities(layout)
    code = _codes_of_lots(asked, kinds)
    history = FieldHistory(histories, layout)
    counts = counted(history, layout, kinds, code, asked.as_of, (RECENT, YEAR), without=asked.lot)
    plant = leaning(counts, kinds, towards=None, some=slice(0, 1))
    others = leaning(counts, kinds, towards=plant, some=slice(1, None))
    return Rates(*(np.concatenate(both, axis=1) for both in zip(plant, others, strict=True)))


def _codes_of_lots(asked: Asked, kinds: tuple[str, ...]) -> Array:
    """Codes of the plant and of each lot's own entities, shape (kinds, questions)."""
    plant = np.zeros(len(asked), dtype=np.int64)
    return np.stack([plant if entity == PLANT else asked.own.codes(f"{entity}_id") for entity in kinds])


Counts = list[tuple[Prior, Array, Array]]
"""Of failing lots, then of returns if there are any: (prior, events, exposure), (windows, entities, questions) each."""


def counted(
    history: FieldHistory,
    layout: Layout,
    kinds: tuple[str, ...],
    code: Array,
    as_of: Array,
    windows: tuple[int, ...],
    *,
    without: Array | None,
) -> Counts:
    """What is known of entities, `code` of shape (kinds, questions). `without`: lots whose own facts do not count."""
    settled = history.outcomes(kinds).before(code, as_of, windows, without=without)
    counts = [(layout.priors["fail"], settled[..., 1], settled[..., 0])]
    if "return" in layout.priors:
        total = history.exposure(kinds, code, as_of, (*windows, None), without=without)
        inside, units = total[:-1], total[-1, :, :, 0]
        start = hours(as_of - np.array(windows)[:, None])[:, None]
        exposed = units * (hours(as_of) - start) + inside[..., 0] * start - inside[..., 1]
        counts.append((layout.priors["return"], inside[..., 2], np.maximum(exposed, 0)))
    return counts


def leaning(counts: Counts, kinds: tuple[str, ...], *, towards: Rates | None, some: slice = slice(None)) -> Rates:
    """Shrunk rates of some of the entities; `towards` None: they lean on what the layout has of the whole plant."""
    rates = []
    for place, (prior, events, exposure) in enumerate(counts):
        strength = np.array([prior.strength[entity] for entity in kinds[some]])[:, None]
        wider = prior.rate if towards is None else towards[place]
        rates.append(shrunk(events[:, some], exposure[:, some], towards=wider, strength=strength))
    return Rates(rates[0], rates[-1])


def days_since_return(
    history: FieldHistory, kinds: tuple[str, ...], code: Array, as_of: Array, *, without: Array | None
) -> Array:
    """Days since the latest return of each entity was known, shape (kinds, questions); NaN: there was none."""
    latest, known = history.last_return(kinds)
    row = latest.before(code, as_of, without=without)
    days = np.full(row.shape, np.nan)
    there = row >= 0
    days[there] = (np.broadcast_to(as_of, row.shape)[there] - known[row[there]]) / DAY
    return days


def priors(histories: Histories, layout: Layout) -> dict[str, Prior]:
    """Plant-wide rates, and how strongly each entity leans on them, from everything in the histories."""
    history = FieldHistory(histories, layout)
    fail: dict[str, float] = {}
    returned: dict[str, float] = {}
    chosen = {}
    for kinds in (entities(layout), ITSELF, *([OF_SUPPLIES] if layout.groups else [])):
        code = _codes(histories, kinds)
        until = np.full(code.shape[1], layout.until)
        settled = history.outcomes(kinds).before(code, until)[0]
        fail |= {entity: share_strength(s[:, 1], s[:, 0]) for entity, s in zip(kinds, settled, strict=True)}
        if PLANT in kinds:
            lots, failed = settled[0, 0].tolist()
            chosen["fail"] = Prior((failed + 0.5) / (lots + 1), fail)
        if "returns" in layout.tables:
            units = history.exposure(kinds, code, until)[0]
            exposed = np.maximum(hours(layout.until) * units[..., 0] - units[..., 1], 0)
            for entity, back, exposure in zip(kinds, units[..., 2], exposed, strict=True):
                returned[entity] = rate_strength(back, exposure)
            if PLANT in kinds:
                chosen["return"] = Prior(float((units[0, 0, 2] + 0.5) / (exposed[0, 0] + 1.0)), returned)
    return chosen


def _codes(histories: Histories, kinds: tuple[str, ...]) -> Array:
    """All codes of each kind, shape (kinds, codes of the kind with most); -1 beyond a kind's last."""
    sizes = [1 if entity == PLANT else len(histories.ids[entity]) for entity in kinds]
    code = np.arange(max(sizes))
    return np.stack([np.where(code < size, code, -1) for size in sizes])


def _supply_columns(out: dict[str, Array], asked: Asked, histories: Histories, layout: Layout, plant: Rates) -> None:
    used = supplies_used(asked, histories, layout)
    table, of = histories["supplier_lots"], used.of
    code = np.stack([table[f"{entity}_id"][used.row] for entity in OF_SUPPLIES])
    history = FieldHistory(histories, layout)
    counts = counted(history, layout, OF_SUPPLIES, code, asked.as_of[of], (YEAR,), without=asked.lot[of])
    towards = Rates(plant.fail[1:, None, of], plant.returned[1:, None, of])  # of the year
    for at, entity in reversed(
        list(enumerate(OF_SUPPLIES))
    ):  # materials, suppliers, lots: each leans on the one before
        towards = leaning(counts, OF_SUPPLIES, towards=towards, some=slice(at, at + 1))
        share = used.mean(towards.fail[0, 0])
        rate = used.mean(towards.returned[0, 0] * PER_MILLION_UNIT_DAYS)
        for place, group in enumerate(layout.groups):
            out[f"{group}_{entity}_fail_share_365d"] = share[:, place]
            if "returns" in layout.tables:
                out[f"{group}_{entity}_return_rate_365d"] = rate[:, place]
        if entity == SUPPLIER:
            told = ~np.isnan(share)
            total = sum(np.where(told, share, 0.0).T)  # group by group: `sum` of an axis adds in an order of its own
            mean = total / np.maximum(told.sum(axis=1), 1)
            out["supplier_fail_share_365d"] = np.where(told.any(axis=1), mean, plant.fail[1])
