"""Field: how plant, products, lines, customers and suppliers have done with the lots whose fate is known.

A share of failing lots counts judged lots whose window and reporting delay are over; a returns rate is per unit and
time in the field. Both lean on a wider rate while there is little of their own; a lot's own returns never count here.
"""

from typing import NamedTuple

import numpy as np

from features.asked import Asked
from features.asof import DAY, Array, hours
from features.card import FeatureSpec
from features.evidence import LOT, MATERIAL, OF_LOTS, OF_SUPPLIES, PLANT, SUPPLIER, SUPPLIER_LOT, FieldHistory
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
    """By window, float64, shape (windows, questions): share of failing lots, returns per unit-hour."""

    fail: Array
    returned: Array


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
    history = FieldHistory(histories, layout)
    plant = None
    for entity in entities(layout):
        code = np.zeros(len(asked), np.int64) if entity == PLANT else asked.own.codes(f"{entity}_id")
        rates = entity_rates(history, layout, entity, code, asked, towards=plant)
        plant = plant or rates
        out[f"{entity}_fail_share_90d"], out[f"{entity}_fail_share_365d"] = rates.fail
        if "returns" in layout.tables:
            recent, year = rates.returned
            out[f"{entity}_return_rate_90d"], out[f"{entity}_return_rate_365d"] = rates.returned * PER_MILLION_UNIT_DAYS
            out[f"{entity}_return_trend"] = np.log(recent / year)
            out[f"{entity}_days_since_return"] = _days_since_return(history, entity, code, asked)
    if layout.groups and plant is not None:
        _supply_columns(out, asked, histories, layout, plant)
    return out


def entity_rates(
    history: FieldHistory,
    layout: Layout,
    entity: str,
    code: Array,
    asked: Asked,
    *,
    towards: Rates | None,
    windows: tuple[int, ...] = (RECENT, YEAR),
    of: Array | None = None,
    own: bool = False,
) -> Rates:
    """Shrunk rates of one entity. `of`: judgement of each code, if not one each; `own`: the lot's own facts count."""
    as_of, lot = (asked.as_of, asked.lot) if of is None else (asked.as_of[of], asked.lot[of])
    without = None if own else lot
    fail = layout.priors["fail"]
    settled = history.outcomes(entity).before(code, as_of, windows, without=without)
    share = shrunk(
        settled[:, :, 1],
        settled[:, :, 0],
        strength=fail.strength[entity],
        towards=fail.rate if towards is None else towards.fail,
    )
    if "return" not in layout.priors:
        return Rates(share, share)
    returns = layout.priors["return"]
    total = history.exposure(entity).before(code, as_of, (*windows, None), without=without)
    now, units = hours(as_of), total[-1, :, 0]
    exposed = np.empty((len(windows), len(code)), dtype=np.int64)
    for place, window in enumerate(windows):
        start = hours(as_of - window)
        exposed[place] = units * (now - start) + total[place, :, 0] * start - total[place, :, 1]
    rate = shrunk(
        total[:-1, :, 2],
        np.maximum(exposed, 0),
        strength=returns.strength[entity],
        towards=returns.rate if towards is None else towards.returned,
    )
    return Rates(share, rate)


def priors(histories: Histories, layout: Layout) -> dict[str, Prior]:
    """Plant-wide rates, and how strongly each entity leans on them, from everything in the histories."""
    history = FieldHistory(histories, layout)
    kinds = {**dict.fromkeys(entities(layout), "lots"), LOT: "lots", **{e: "" for e in OF_SUPPLIES if layout.groups}}
    until = np.array([layout.until])
    everything = {kind: _codes(histories, kind) for kind in kinds}
    settled = {k: history.outcomes(k).before(c, np.full(len(c), layout.until))[0] for k, c in everything.items()}
    lots, failed = history.outcomes(PLANT).before(np.zeros(1, np.int64), until)[0, 0].tolist()
    chosen = {
        "fail": Prior((failed + 0.5) / (lots + 1), {k: share_strength(s[:, 1], s[:, 0]) for k, s in settled.items()})
    }
    if "returns" in layout.tables:
        units = {k: history.exposure(k).before(c, np.full(len(c), layout.until))[0] for k, c in everything.items()}
        exposed = {k: np.maximum(hours(layout.until) * u[:, 0] - u[:, 1], 0) for k, u in units.items()}
        rate = (units[PLANT][0, 2] + 0.5) / (exposed[PLANT][0] + 1.0)
        chosen["return"] = Prior(float(rate), {k: rate_strength(u[:, 2], exposed[k]) for k, u in units.items()})
    return chosen


def _codes(histories: Histories, entity: str) -> Array:
    return np.arange(1 if entity == PLANT else len(histories.ids[entity]))


def _days_since_return(history: FieldHistory, entity: str, code: Array, asked: Asked) -> Array:
    latest, known = history.last_return(entity)
    row = latest.before(code, asked.as_of, without=asked.lot)
    days = np.full(len(asked), np.nan)
    there = row >= 0
    days[there] = (asked.as_of[there] - known[row[there]]) / DAY
    return days


def _supply_columns(out: dict[str, Array], asked: Asked, histories: Histories, layout: Layout, plant: Rates) -> None:
    used = supplies_used(asked, histories, layout)
    table = histories["supplier_lots"]
    history = FieldHistory(histories, layout)
    towards = Rates(plant.fail[1:, used.of], plant.returned[1:, used.of])  # of the year
    for entity in (MATERIAL, SUPPLIER, SUPPLIER_LOT):  # each leans on the one before
        code = table[f"{entity}_id"][used.row]
        towards = entity_rates(history, layout, entity, code, asked, towards=towards, windows=(YEAR,), of=used.of)
        share = used.mean(towards.fail[0])
        rate = used.mean(towards.returned[0] * PER_MILLION_UNIT_DAYS)
        for place, group in enumerate(layout.groups):
            out[f"{group}_{entity}_fail_share_365d"] = share[:, place]
            if "returns" in layout.tables:
                out[f"{group}_{entity}_return_rate_365d"] = rate[:, place]
        if entity == SUPPLIER:
            told = ~np.isnan(share)
            total = sum(np.where(told, share, 0.0).T)  # group by group: `sum` of an axis adds in an order of its own
            mean = total / np.maximum(told.sum(axis=1), 1)
            out["supplier_fail_share_365d"] = np.where(told.any(axis=1), mean, plant.fail[1])
