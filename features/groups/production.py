"""Production: the lot's attributes, its measurements, and how it differs from what was made before it."""

from typing import cast

import numpy as np

from features.asked import Asked
from features.asof import DAY, HOUR, Array, Latest, RowsBy, Totals, before
from features.attributes import attribute_values
from features.card import FeatureSpec
from features.customers import customer_rows
from features.histories import Histories
from features.layout import Attribute, Characteristic, Layout
from features.names import column
from features.shipments import spans_of
from features.told import Measured

WEEK, RECENT, YEAR = 7 * DAY, 90 * DAY, 365 * DAY
MIN_VALUES = 5  # below it a standard deviation says little
FAR = 20.0  # standard deviations; beyond it a number says no more
GRID_LIMIT = 2**22  # keeps a wild value's square, 2**44, from filling int64


def columns(layout: Layout) -> list[FeatureSpec]:
    """The group's columns."""
    specs = [column("quantity", unit="units"), column("days_since_production", unit="days")]
    for attribute in _of_lots(layout):
        specs.append(column("lot_{attribute}", levels=_levels(attribute), attribute=attribute.label))
    for attribute in _of_customers(layout):
        specs.append(column("customer_{attribute}", levels=_levels(attribute), attribute=attribute.label))
    for entity, _ in _pasts(layout):
        specs.append(column("{entity}_lots_7d", unit="lots", entity=entity))
        specs.append(column("{entity}_hours_since_lot", unit="hours", entity=entity))
    if layout.characteristics:
        specs.append(column("measurements", unit="values"))
    if any(c.limits for c in layout.characteristics):
        specs.append(column("measurements_out_of_limits", unit="values"))
        specs.append(column("smallest_margin", unit="share of half the tolerance"))
    for c in layout.characteristics:
        specs.append(column("measured_{characteristic}", unit="as measured", characteristic=c.label))
        if c.repeated:
            specs.append(column("spread_{characteristic}", unit="as measured", characteristic=c.label))
        if c.limits:
            specs.append(column("margin_{characteristic}", unit="share of half the tolerance", characteristic=c.label))
        for entity, _ in _pasts(layout):
            unit = "standard deviations"
            specs.append(column("{characteristic}_vs_{entity}", unit=unit, characteristic=c.label, entity=entity))
    return specs


def build(asked: Asked, histories: Histories, layout: Layout) -> dict[str, Array]:
    """The group's columns by name, float64, shape (judgements,)."""
    out = {
        "quantity": asked.own.units().astype(np.float64),
        "days_since_production": np.where(
            before(asked.produced_at, asked.as_of), (asked.as_of - asked.produced_at) / DAY, np.nan
        ),
    }
    for attribute in _of_lots(layout):
        out[f"lot_{attribute.label}"] = asked.own.values(attribute)
    if _of_customers(layout):
        customer = _customer_rows(asked, histories)
        for attribute in _of_customers(layout):
            out[f"customer_{attribute.label}"] = attribute_values(histories, attribute, customer)
    produced = np.minimum(asked.produced_at, asked.as_of)
    for entity, _ in _pasts(layout):
        code = asked.own.codes(f"{entity}_id")
        made = _lots_made(histories, entity)
        out[f"{entity}_lots_7d"] = made[0].before(code, produced, (WEEK,), without=asked.lot)[0, :, 0].astype(float)
        row = made[1].before(code, produced, without=asked.lot)
        since = (produced - histories["lots"]["produced_at"][row]) / HOUR
        out[f"{entity}_hours_since_lot"] = np.where(row >= 0, since, np.nan)
    if layout.characteristics:
        _measured_columns(out, asked, histories, layout)
    return out


def _of_lots(layout: Layout) -> list[Attribute]:
    return [a for a in layout.attributes if a.table == "lots"]


def _of_customers(layout: Layout) -> list[Attribute]:
    return [a for a in layout.attributes if a.table == "customers"]


def _customer_rows(asked: Asked, histories: Histories) -> Array:
    """The row of customers of each lot's customer as known then, -1: none."""
    return customer_rows(histories, asked.own.codes("customer_id"), asked.as_of)


def _levels(attribute: Attribute) -> tuple[str, ...] | None:
    return attribute.levels if attribute.kind == "category" else None


def _pasts(layout: Layout) -> list[tuple[str, int]]:
    """What a lot is compared with, and how far back: a product is made now and then, a line every day."""
    there = {a.column for a in _of_lots(layout)}
    return [(e, w) for e, w in (("product", YEAR), ("line", RECENT)) if f"{e}_id" in there]


def _lots_made(histories: Histories, entity: str) -> tuple[Totals, Latest]:
    return histories.once(("lots made", entity), lambda: _lots_by(histories, entity))


def _lots_by(histories: Histories, entity: str) -> tuple[Totals, Latest]:
    lots = histories["lots"]
    code, spans = lots[f"{entity}_id"], spans_of(lots)
    ones = np.ones((len(lots), 1), dtype=np.int64)
    owner = lots["lot_id"]
    return Totals(code, spans, ones, owner=owner), Latest(code, spans, key=owner, owner=owner)


def _measured_columns(out: dict[str, Array], asked: Asked, histories: Histories, layout: Layout) -> None:
    size, kinds = len(asked), len(layout.characteristics)
    codes = histories.ids["characteristic"]
    place = np.full(len(codes) + 1, -1, dtype=np.int64)
    exponent = np.zeros(kinds)
    for number, c in enumerate(layout.characteristics):
        place[codes.code(c.name)] = number
        exponent[number] = c.exponent
    place[-1] = -1
    own = asked.measured
    kind_of = place[own.characteristic]
    there = np.flatnonzero(kind_of >= 0)
    cell = own.of[there] * kinds + kind_of[there]
    grid = _on_grid(own.value[there], exponent[kind_of[there]])
    count, total, squares = (np.zeros(size * kinds, dtype=np.int64) for _ in range(3))
    for sums, values in ((count, np.ones_like(grid)), (total, grid), (squares, grid * grid)):
        np.add.at(sums, cell, values)
    margin, outside = _margins(own), (own.value < own.lower) | (own.value > own.upper)
    worst = np.full(size * kinds, np.inf)
    np.fmin.at(worst, cell, margin[there])
    smallest = np.full(size, np.inf)
    np.fmin.at(smallest, own.of, margin)
    out["measurements"] = np.bincount(own.of, minlength=size).astype(float)
    out["measurements_out_of_limits"] = np.bincount(own.of[outside], minlength=size).astype(float)
    out["smallest_margin"] = np.where(np.isinf(smallest), np.nan, smallest)
    step = np.tile(2.0**exponent, size)
    mean, spread = _moments(count, total, squares)
    by_kind = (size, kinds)
    for number, c in enumerate(layout.characteristics):
        out[f"measured_{c.label}"] = (mean * step).reshape(by_kind)[:, number]
        if c.repeated:
            out[f"spread_{c.label}"] = np.where(count > 1, spread * step, np.nan).reshape(by_kind)[:, number]
        if c.limits:
            out[f"margin_{c.label}"] = np.where(np.isinf(worst), np.nan, worst).reshape(by_kind)[:, number]
    for entity, window in _pasts(layout):
        deviation = _deviation(mean.reshape(by_kind), asked, histories, layout, place, entity, window)
        for number, c in enumerate(layout.characteristics):
            out[f"{c.label}_vs_{entity}"] = deviation[:, number]


def _deviation(
    mean: Array, asked: Asked, histories: Histories, layout: Layout, place: Array, entity: str, window: int
) -> Array:
    """How far the lot's mean lies from what its product or line gave before, in standard deviations of that."""
    kinds = len(layout.characteristics)
    past = histories.once(
        ("measured past", entity, layout.characteristics),
        lambda: _past(histories, layout.characteristics, place, entity),
    )
    code = asked.own.codes(f"{entity}_id")
    asking = np.flatnonzero(~np.isnan(mean).ravel() & (np.repeat(code, kinds) >= 0))
    lot, kind = asking // kinds, asking % kinds
    total = past.before(code[lot] * kinds + kind, asked.as_of[lot], (window,), without=asked.lot[lot])[0]
    usual, spread = _moments(total[:, 0], total[:, 1], total[:, 2])
    far = (mean.ravel()[asking] - usual) / np.maximum(spread, 1.0)
    deviation = np.full(mean.size, np.nan)
    deviation[asking] = np.where(total[:, 0] >= MIN_VALUES, np.clip(far, -FAR, FAR), np.nan)
    return deviation.reshape(mean.shape)


def _past(histories: Histories, characteristics: tuple[Characteristic, ...], place: Array, entity: str) -> Totals:
    table, lots = histories["measurements"], histories["lots"]
    exponent = np.array([c.exponent for c in characteristics], dtype=np.float64)
    kind = place[table["characteristic"]]
    rows = np.flatnonzero((kind >= 0) & ~np.isnan(table["value"]))
    made = histories.once("lots by lot", lambda: RowsBy(lots["lot_id"]))
    pair, row = made.pairs(table["lot_id"][rows])
    rows = rows[pair]
    spans = spans_of(table).take(rows).both(spans_of(lots).take(row))
    code = lots[f"{entity}_id"][row]
    code = np.where(code >= 0, code * len(characteristics) + kind[rows], -1)
    ever = spans.ever
    grid = _on_grid(table["value"][rows], exponent[kind[rows]])[ever]
    values = np.stack([np.ones_like(grid), grid, grid * grid], axis=1)
    return Totals(code[ever], spans.take(ever), values, owner=table["lot_id"][rows[ever]])


def _on_grid(values: Array, exponent: Array) -> Array:
    steps = np.rint(values / 2.0**exponent)
    return cast(Array, np.clip(steps, -GRID_LIMIT, GRID_LIMIT).astype(np.int64))


def _moments(count: Array, total: Array, squares: Array) -> tuple[Array, Array]:
    """Mean and standard deviation on the grid; NaN where there is no value."""
    number = np.where(count > 0, count, np.nan)
    mean = total / number
    centred = squares - total * mean
    return mean, np.sqrt(np.maximum(centred, 0.0) / np.maximum(number - 1, 1))


def _margins(own: Measured) -> Array:
    """Distance to the nearer limit over half the tolerance: 1 in the middle, 0 at the limit, below it outside.

    With one limit only, the distance over the limit's own size. NaN without limits.
    """
    half = (own.upper - own.lower) / 2
    scale = np.where(np.isnan(half), np.abs(np.where(np.isnan(own.upper), own.lower, own.upper)), half)
    nearest = np.fmin(own.upper - own.value, own.value - own.lower)
    return cast(Array, np.divide(nearest, scale, out=np.full(len(scale), np.nan), where=scale > 0))
