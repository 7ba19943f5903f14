"""Production: the lot's attributes, its measurements, and how it differs from what was made before it."""

from collections.abc import Iterable
from typing import cast

import numpy as np

from features.asked import Asked, rows_by_lot
from features.asof import DAY, HOUR, Array, Latest, Totals, before
from features.attributes import attribute_values, attributes_of
from features.card import FeatureSpec
from features.customers import customer_rows
from features.histories import Histories
from features.layout import Attribute, Layout
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
    for attribute in attributes_of(layout, "lots"):
        specs.append(column("lot_{attribute}", levels=_levels(attribute), attribute=attribute.label))
    for attribute in attributes_of(layout, "customers"):
        specs.append(column("customer_{attribute}", levels=_levels(attribute), attribute=attribute.label))
    for entity in _pasts(layout):
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
        for entity in _pasts(layout):
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
    for attribute, values in zip(attributes_of(layout, "lots"), asked.own.values(layout).T, strict=True):
        out[f"lot_{attribute.label}"] = values
    of_customers = attributes_of(layout, "customers")
    if of_customers:
        customer = customer_rows(histories, asked.own.codes("customer_id"), asked.as_of)
        held = attribute_values(histories, layout, "customers", customer)
        out |= {f"customer_{a.label}": values for a, values in zip(of_customers, held.T, strict=True)}
    produced = np.minimum(asked.produced_at, asked.as_of)
    pasts = _pasts(layout)
    if pasts:
        code = _codes(asked, pasts)
        totals, latest = _lots_made(histories, tuple(pasts))
        made = totals.before(code, produced, (WEEK,), without=asked.lot)[0, :, :, 0].astype(float)
        row = latest.before(code, produced, without=asked.lot)
        since = np.where(row >= 0, (produced - histories["lots"]["produced_at"][row]) / HOUR, np.nan)
        for place, entity in enumerate(pasts):
            out[f"{entity}_lots_7d"], out[f"{entity}_hours_since_lot"] = made[place], since[place]
    if layout.characteristics:
        _measured_columns(out, asked, histories, layout)
    return out


def _levels(attribute: Attribute) -> tuple[str, ...] | None:
    return attribute.levels if attribute.kind == "category" else None


def _pasts(layout: Layout) -> dict[str, int]:
    """What a lot is compared with, and how far back: a product is made now and then, a line every day."""
    there = {a.column for a in attributes_of(layout, "lots")}
    return {e: w for e, w in (("product", YEAR), ("line", RECENT)) if f"{e}_id" in there}


def _codes(asked: Asked, entities: Iterable[str]) -> Array:
    """Shape (entities, judgements)."""
    return np.stack([asked.own.codes(f"{entity}_id") for entity in entities])


def _lots_made(histories: Histories, entities: tuple[str, ...]) -> tuple[Totals, Latest]:
    return histories.once(("lots made", entities), lambda: _lots_by(histories, entities), of=("lots",))


def _lots_by(histories: Histories, entities: tuple[str, ...]) -> tuple[Totals, Latest]:
    lots = histories["lots"]
    code, spans = np.stack([lots[f"{entity}_id"] for entity in entities]), spans_of(lots)
    ones = np.ones((len(lots), 1), dtype=np.int64)
    owner = lots["lot_id"]
    return Totals(code, spans, ones, owner=owner), Latest(code, spans, key=owner, owner=owner)


def _measured_columns(out: dict[str, Array], asked: Asked, histories: Histories, layout: Layout) -> None:
    size, kinds = len(asked), len(layout.characteristics)
    place, exponent, past = histories.once(
        ("measuring", layout.key), lambda: _measuring(histories, layout), of=("lots", "measurements")
    )
    own = asked.measured
    kind_of = place[own.characteristic]
    there = np.flatnonzero(kind_of >= 0)
    cell = own.of[there] * kinds + kind_of[there]
    grid = _on_grid(own.value[there], exponent[kind_of[there]])
    count, total, squares = np.zeros((3, size * kinds), dtype=np.int64)
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
    mean, spread = _moments(count, total, squares)
    step = (2.0**exponent)[:, None]
    by_kind = (size, kinds)
    measured = mean.reshape(by_kind).T * step
    spreads = np.where(count > 1, spread, np.nan).reshape(by_kind).T * step
    margins = np.where(np.isinf(worst), np.nan, worst).reshape(by_kind).T
    for number, c in enumerate(layout.characteristics):
        out[f"measured_{c.label}"] = measured[number]
        if c.repeated:
            out[f"spread_{c.label}"] = spreads[number]
        if c.limits:
            out[f"margin_{c.label}"] = margins[number]
    if past is not None:
        deviation = _deviation(mean, asked, past, _pasts(layout), kinds)
        for at, entity in enumerate(_pasts(layout)):
            for number, c in enumerate(layout.characteristics):
                out[f"{c.label}_vs_{entity}"] = deviation[at, :, number]


def _measuring(histories: Histories, layout: Layout) -> tuple[Array, Array, Totals | None]:
    """The place in the layout of each code of a characteristic (-1: none), the exponents, and what was measured."""
    codes, wanted = histories.ids["characteristic"], layout.characteristics
    place = np.full(len(codes) + 1, -1, dtype=np.int64)
    for number, c in enumerate(wanted):
        place[codes.code(c.name)] = number
    place[-1] = -1
    exponent = np.array([c.exponent for c in wanted], dtype=np.float64)
    pasts = tuple(_pasts(layout))
    if not pasts:
        return place, exponent, None
    key = ("measured past", pasts, wanted)
    return (
        place,
        exponent,
        histories.once(key, lambda: _past(histories, pasts, place, exponent), of=("lots", "measurements")),
    )


def _deviation(mean: Array, asked: Asked, past: Totals, pasts: dict[str, int], kinds: int) -> Array:
    """How far the lots' means lie from what product and line gave before, in standard deviations of that.

    Returns shape (entities, judgements, characteristics).
    """
    asking = np.flatnonzero(~np.isnan(mean))
    lot, kind = asking // kinds, asking % kinds
    code = _codes(asked, pasts)[:, lot]
    code = np.where(code >= 0, code * kinds + kind, -1)
    total = past.before(code, asked.as_of[lot], tuple(pasts.values()), without=asked.lot[lot])
    total = total[np.arange(len(pasts)), np.arange(len(pasts))]  # of each entity its own window
    usual, spread = _moments(total[..., 0], total[..., 1], total[..., 2])
    far = (mean[asking] - usual) / np.maximum(spread, 1.0)
    deviation = np.full((len(pasts), len(mean)), np.nan)
    deviation[:, asking] = np.where(total[..., 0] >= MIN_VALUES, np.clip(far, -FAR, FAR), np.nan)
    return deviation.reshape(len(pasts), -1, kinds)


def _past(histories: Histories, entities: tuple[str, ...], place: Array, exponent: Array) -> Totals:
    """(values, their sum, sum of squares) on the grid by entity and characteristic."""
    table, lots = histories["measurements"], histories["lots"]
    kind = place[table["characteristic"]]
    rows = np.flatnonzero((kind >= 0) & ~np.isnan(table["value"]))
    made = rows_by_lot(histories, "lots")
    pair, row = made.pairs(table["lot_id"][rows])
    rows = rows[pair]
    spans = spans_of(table).take(rows).both(spans_of(lots).take(row))
    ever = spans.ever
    rows, row = rows[ever], row[ever]
    code = np.stack([lots[f"{entity}_id"][row] for entity in entities])
    code = np.where(code >= 0, code * len(exponent) + kind[rows], -1)
    grid = _on_grid(table["value"][rows], exponent[kind[rows]])
    values = np.stack([np.ones_like(grid), grid, grid * grid], axis=1)
    return Totals(code, spans.take(ever), values, owner=table["lot_id"][rows])


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
