"""Everything that is chosen from data is chosen here, from what was known before a moment. Scoring chooses nothing."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from features.asof import Array
from features.delay import data_cut, reporting_delay
from features.histories import Histories, Table
from features.layout import POOLED, Attribute, Characteristic, Layout, Prior, group_labels, group_of, written_number
from features.names import distinct
from features.rules import Rules

MAX_GROUPS = 12
MAX_LEVELS = 200
MAX_CHARACTERISTICS = 60
MAX_INSPECTED = 20
GRID_BITS = 18  # values are kept to 2**-18 of the characteristic's usual size; squares then add up exactly in int64
REPEATED_SHARE = 0.05  # a spread within the lot is a column where at least this share of lots has two values


Priors = Callable[[Histories, Layout], dict[str, Prior]]


def choose_layout(histories: Histories, until: int, *, rules: Rules, parts: tuple[str, ...], priors: Priors) -> Layout:
    """Chooses from what was known strictly before `until`. `priors`: the groups' own, see `features.build`."""
    seen = histories.known_before(until)
    none = np.empty(0, dtype=np.int64)
    delay = 0
    if rules.label.source == "returns":
        cut = data_cut(seen, rules, until=until)
        delay = reporting_delay(seen, rules.label, cut=cut, judged=(none, none))
    names = _groups(seen)
    groups = tuple(distinct([name or POOLED for name in names]))
    layout = Layout(
        until=until,
        rules=rules,
        parts=parts,
        delay=delay,
        tables=tuple(sorted(name for name, table in seen.tables.items() if len(table) and _is_read(name, parts))),
        attributes=tuple(_attributes(seen)),
        characteristics=tuple(_characteristics(seen)),
        groups=groups,
        group_names=names,
        inspected=tuple(_inspected(seen, names, groups)),
        priors={},
    )
    return replace(layout, priors=priors(seen, layout))


def _is_read(table: str, parts: tuple[str, ...]) -> bool:
    """Actions and surveys are read by the group of their name alone: without it nobody misses them."""
    return table not in ("actions", "surveys") or table in parts


def _attributes(seen: Histories) -> list[Attribute]:
    fixed = {
        "lots": ("product_id", "line_id", "site_id", "customer_id"),
        "customers": ("tier",),
        "supplier_lots": ("supplier_id",),
    }
    chosen = []
    for name in (name for name in fixed if name in seen):
        table = seen[name]
        for column in fixed[name]:
            if table.has(column) and (table[column] >= 0).any():
                vocabulary = table.texts.get(column) or seen.ids[column.removesuffix("_id")]
                chosen.append(Attribute(name, column, "category", "", _levels(table[column], vocabulary.texts)))
        chosen += [_attribute(table, column) for column in table.attributes if _told(table, column)]
    labels = distinct([f"{a.table}.{a.column}" for a in chosen])
    return [replace(a, label=label.split(".", 1)[1]) for a, label in zip(chosen, labels, strict=True)]


def _told(table: Table, column: str) -> bool:
    values = table[column]
    return bool((values >= 0).any() if column in table.texts else not np.isnan(values).all())


def _attribute(table: Table, column: str) -> Attribute:
    """A number where every text known writes one, else a category."""
    if column in table.texts:
        codes, texts = table[column], table.texts[column].texts
        words = np.array([*(np.isnan(written_number(text)) for text in texts), False])
        if words[codes].any():
            return Attribute(table.name, column, "category", "", _levels(codes, texts))
    return Attribute(table.name, column, "number", "")


def _levels(codes: Array, texts: Sequence[str]) -> tuple[str, ...]:
    """The commonest texts, ties by name, in the order of the alphabet."""
    count = np.bincount(codes[codes >= 0], minlength=len(texts))
    commonest = sorted(np.flatnonzero(count).tolist(), key=lambda code: (-count[code], texts[code]))[:MAX_LEVELS]
    return tuple(sorted(texts[code] for code in commonest))


def _characteristics(seen: Histories) -> list[Characteristic]:
    if "measurements" not in seen:
        return []
    table = seen["measurements"]
    code, texts = table["characteristic"], seen.ids["characteristic"].texts
    names = [texts.index(name) for name in _levels_of_most(code, texts, MAX_CHARACTERISTICS)]
    chosen = []
    for place, label in zip(names, distinct([texts[place] for place in names]), strict=True):
        rows = np.flatnonzero(code == place)
        limits = any(table.has(c) and not np.isnan(table[c][rows]).all() for c in ("lower_spec", "upper_spec"))
        _, count = np.unique(table["lot_id"][rows], return_counts=True)
        repeated = bool((count > 1).mean() >= REPEATED_SHARE)
        exponent = grid_exponent(table["value"][rows])
        chosen.append(Characteristic(texts[place], label, exponent, limits=limits, repeated=repeated))
    return chosen


def _inspected(seen: Histories, names: tuple[str, ...], groups: tuple[str, ...]) -> list[Characteristic]:
    if "inspections" not in seen or not groups or not seen["inspections"].has("value"):
        return []
    table, lots = seen["inspections"], seen["supplier_lots"]
    group = np.full(len(seen.ids["supplier_lot"]) + 1, -1, dtype=np.int64)
    group[lots["supplier_lot_id"]] = group_of(seen, names)
    valued = np.flatnonzero(~np.isnan(table["value"]) & (table["characteristic"] >= 0))
    code, texts = table["characteristic"], seen.ids["inspected"].texts
    chosen = []
    for place, name in enumerate(groups):
        rows = valued[group[table["supplier_lot_id"][valued]] == place]
        commonest = _levels_of_most(code[rows], texts, MAX_INSPECTED)
        for text, label in zip(commonest, distinct(list(commonest)), strict=True):
            values = table["value"][rows][code[rows] == texts.index(text)]
            chosen.append(Characteristic(text, label, grid_exponent(values), group=name))
    return chosen


def _levels_of_most(codes: Array, texts: Sequence[str], most: int) -> tuple[str, ...]:
    count = np.bincount(codes[codes >= 0], minlength=len(texts))
    commonest = sorted(np.flatnonzero(count).tolist(), key=lambda code: (-count[code], texts[code]))[:most]
    return tuple(sorted(texts[code] for code in commonest))


def _groups(seen: Histories) -> tuple[str, ...]:
    if "supplier_lots" not in seen or "genealogy" not in seen or not len(seen["supplier_lots"]):
        return ()
    labels, texts = group_labels(seen)
    commonest = _levels_of_most(labels, texts, MAX_GROUPS)
    return (*commonest, "") if len(np.unique(labels)) > MAX_GROUPS else commonest


def grid_exponent(values: Array) -> int:
    """Power of two that a characteristic's values are counted in."""
    size = np.quantile(np.abs(values), 0.995) if len(values) else 0.0
    return int(np.ceil(np.log2(size))) - GRID_BITS if size > 0 else -GRID_BITS
