"""Supplier: what incoming inspection and the past say about the supplier lots that went into a lot."""

import numpy as np

from features.asked import Asked
from features.asof import DAY, Array, Latest, Spans, Totals
from features.attributes import attribute_values, attributes_of
from features.card import FeatureSpec
from features.evidence import MATERIAL, SUPPLIER, SUPPLIER_LOT
from features.histories import Histories
from features.layout import Attribute, Layout, Prior
from features.names import column
from features.order import RowsBy
from features.shipments import spans_of
from features.shrink import share_strength, shrunk
from features.supplies import Supplies, supplies_used

RECENT, YEAR = 90 * DAY, 365 * DAY


def columns(layout: Layout) -> list[FeatureSpec]:
    """The group's columns; none without supplier lots and genealogy."""
    specs = []
    for group in layout.groups:
        specs.append(column("{group}_lots_mixed", unit="supplier lots", group=group))
        specs.append(column("{group}_age", unit="days", group=group))
        specs.append(column("{group}_supplier", levels=_suppliers(layout), group=group))
        specs.append(column("{group}_supplier_receipts_365d", unit="supplier lots", group=group))
        for attribute in _attributes(layout):
            specs.append(
                column("{group}_lot_{attribute}", levels=_levels(attribute), group=group, attribute=attribute.label)
            )
        for c in layout.inspected:
            if c.group == group:
                family = "{group}_inspected_{characteristic}"
                specs.append(column(family, unit="as inspected", group=group, characteristic=c.label))
        if "defect" in layout.priors:
            specs.append(column("{group}_defect_share", unit="share", group=group))
            for entity in (MATERIAL, SUPPLIER):
                for window in ("90d", "365d"):
                    family = "{group}_{entity}_defect_share_" + window
                    specs.append(column(family, unit="share", group=group, entity=entity))
    return specs


def build(asked: Asked, histories: Histories, layout: Layout) -> dict[str, Array]:
    """The group's columns by name, float64, shape (judgements,)."""
    if not layout.groups:
        return {}
    used = supplies_used(asked, histories, layout)
    table = histories["supplier_lots"]
    as_of = asked.as_of[used.of]
    mixed = used.count()
    by_group: dict[str, Array] = {
        "lots_mixed": np.where(mixed > 0, mixed, np.nan),
        "age": used.mean((as_of - table["received_at"][used.row]) / DAY),
        "supplier": np.full_like(mixed, np.nan),
        "supplier_receipts_365d": used.mean(_receipts(histories, table["supplier_id"][used.row], as_of)),
    }
    held = attribute_values(histories, layout, "supplier_lots", used.row)
    for attribute, values in zip(attributes_of(layout, "supplier_lots"), held.T, strict=True):
        name = "supplier" if attribute.column == "supplier_id" else f"lot_{attribute.label}"
        by_group[name] = used.largest(values) if attribute.kind == "category" else used.mean(values)
    if "defect" in layout.priors:
        _defect_columns(by_group, used, as_of, histories, layout)
    out = {
        f"{group}_{what}": values[:, place]
        for place, group in enumerate(layout.groups)
        for what, values in by_group.items()
    }
    _inspected_columns(out, used, as_of, histories, layout)
    return out


def priors(histories: Histories, layout: Layout) -> dict[str, Prior]:
    """The plant-wide share of defects at incoming inspection, and how strongly materials and suppliers lean on it."""
    if not layout.groups or not _counted(histories):
        return {}
    strength = {}
    found, sampled = 0, 0
    for entity in (MATERIAL, SUPPLIER, SUPPLIER_LOT):
        code = np.arange(len(histories.ids[entity]))
        total = _defects(histories, entity).before(code, np.full(len(code), layout.until))[0]
        strength[entity] = share_strength(total[:, 1], total[:, 0])
        sampled, found = total.sum(axis=0).tolist()
    return {"defect": Prior((found + 0.5) / (sampled + 1), strength)}


def _attributes(layout: Layout) -> list[Attribute]:
    return [a for a in attributes_of(layout, "supplier_lots") if a.column != "supplier_id"]


def _suppliers(layout: Layout) -> tuple[str, ...]:
    return next((a.levels for a in layout.attributes if (a.table, a.column) == ("supplier_lots", "supplier_id")), ())


def _levels(attribute: Attribute) -> tuple[str, ...] | None:
    return attribute.levels if attribute.kind == "category" else None


def _receipts(histories: Histories, supplier: Array, as_of: Array) -> Array:
    table = histories["supplier_lots"]
    ones = np.ones((len(table), 1), dtype=np.int64)
    totals = histories.once(
        "receipts", lambda: Totals(table["supplier_id"], spans_of(table), ones), of=("supplier_lots",)
    )
    return totals.before(supplier, as_of, (YEAR,))[0, :, 0].astype(np.float64)


def _counted(histories: Histories) -> bool:
    """Whether inspections count defects."""
    return "inspections" in histories and all(histories["inspections"].has(c) for c in ("sample_size", "defects"))


def _defects(histories: Histories, entity: str) -> Totals:
    """(sampled, defects) by supplier lot, supplier or material."""
    return histories.once(
        ("defects", entity), lambda: _defect_totals(histories, entity), of=("inspections", "supplier_lots")
    )


def _defect_totals(histories: Histories, entity: str) -> Totals:
    table, supplies = histories["inspections"], histories["supplier_lots"]
    rows = np.flatnonzero((table["sample_size"] > 0) & (table["defects"] >= 0))
    by_code = histories.once(
        "supplier lots by code", lambda: RowsBy(supplies["supplier_lot_id"]), of=("supplier_lots",)
    )
    pair, supply = by_code.pairs(table["supplier_lot_id"][rows])
    rows = rows[pair]
    spans: Spans = spans_of(table).take(rows).both(spans_of(supplies).take(supply))
    ever = spans.ever
    values = np.stack([table["sample_size"][rows], table["defects"][rows]], axis=1)[ever]
    return Totals(supplies[f"{entity}_id"][supply[ever]], spans.take(ever), values)


def _defect_columns(
    by_group: dict[str, Array], used: Supplies, as_of: Array, histories: Histories, layout: Layout
) -> None:
    table, prior = histories["supplier_lots"], layout.priors["defect"]
    own = _defects(histories, SUPPLIER_LOT).before(table["supplier_lot_id"][used.row], as_of)[0]
    by_group["defect_share"] = used.share(own[:, 1], own[:, 0])
    towards: Array | float = prior.rate
    for entity in (MATERIAL, SUPPLIER):  # a young supplier leans on its material, that on the plant
        total = _defects(histories, entity).before(table[f"{entity}_id"][used.row], as_of, (RECENT, YEAR))
        towards = shrunk(total[:, :, 1], total[:, :, 0], towards=towards, strength=prior.strength[entity])
        for place, window in enumerate(("90d", "365d")):
            by_group[f"{entity}_defect_share_{window}"] = used.mean(towards[place])


def _inspected_columns(
    out: dict[str, Array], used: Supplies, as_of: Array, histories: Histories, layout: Layout
) -> None:
    """The latest known value of each inspected characteristic of the supplier lots used, weighted."""
    if not layout.inspected:
        return
    table, supplier_lot = histories["inspections"], histories["supplier_lots"]["supplier_lot_id"][used.row]
    codes, size = histories.ids["inspected"], len(histories.ids["inspected"])
    latest = histories.once("inspected", lambda: _latest_values(histories, size), of=("inspections", "supplier_lots"))
    for name in dict.fromkeys(c.name for c in layout.inspected):
        code, values = codes.code(name), np.full(len(used.of), np.nan)
        if code >= 0:
            row = latest.before(supplier_lot * size + code, as_of)
            values[row >= 0] = table["value"][row[row >= 0]]
        mean = used.mean(values)
        for c in layout.inspected:
            if c.name == name:
                out[f"{c.group}_inspected_{c.label}"] = mean[:, layout.groups.index(c.group)]


def _latest_values(histories: Histories, size: int) -> Latest:
    """The latest known value; of values known at one moment the one inspected last, then the last sample."""
    table = histories["inspections"]
    valued = ~np.isnan(table["value"]) & (table["characteristic"] >= 0)
    entity = np.where(valued, table["supplier_lot_id"] * size + table["characteristic"], -1)
    sample = table["sample"] if table.has("sample") else np.zeros(len(table), dtype=np.int64)
    order = np.lexsort((sample, table["inspected_at"]))
    key = np.empty(len(table), dtype=np.int64)
    key[order] = np.arange(len(table))
    return Latest(entity, spans_of(table), key=key)
