"""Everything that is chosen from data: columns, categories, grids, priors. Scoring chooses nothing."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from features.asof import DAY, Array
from features.delay import data_cut, reporting_delay
from features.histories import Histories, Table
from features.names import distinct
from features.rules import Costs, DecisionRule, LabelRule, Rules

MAX_GROUPS = 12
MAX_LEVELS = 200
MAX_CHARACTERISTICS = 60
MAX_INSPECTED = 20
POOLED = "other"
GRID_BITS = 18  # values are kept to 2**-18 of the characteristic's usual size; squares then add up exactly in int64
REPEATED_SHARE = 0.05  # a spread within the lot is a column where at least this share of lots has two values


@dataclass(frozen=True)
class Attribute:
    """A column of `lots` or `supplier_lots` that is a feature as it stands; `levels` of a category by their code."""

    table: str
    column: str
    kind: str
    label: str
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Characteristic:
    """A measured or inspected characteristic; its values are counted on a grid of 2**exponent."""

    name: str
    label: str
    exponent: int
    limits: bool = False
    repeated: bool = False
    group: str = ""


@dataclass(frozen=True)
class Prior:
    """A plant-wide rate and, by entity, how much of it a young entity takes (in exposure)."""

    rate: float
    strength: dict[str, float]


@dataclass(frozen=True)
class Layout:
    """What training chose and scoring follows; kept in the card.

    `parts`: the feature groups in use, by module. `groups`: material groups as they stand in names of features,
    `group_names` as they stand in the data; the last may be the pooled rest, named "".
    """

    until: int
    rules: Rules
    parts: tuple[str, ...]
    delay: int
    tables: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    characteristics: tuple[Characteristic, ...]
    groups: tuple[str, ...]
    group_names: tuple[str, ...]
    inspected: tuple[Characteristic, ...]
    priors: dict[str, Prior]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Layout":
        """What `as_dict` gave, also after a trip through JSON."""
        rules = stored["rules"]
        decision = dict(rules["decision"])
        decision["costs"] = Costs(**decision["costs"])
        decision["tiers"] = {tier: Costs(**costs) for tier, costs in decision["tiers"].items()}
        return cls(
            until=stored["until"],
            rules=Rules(LabelRule(**rules["label"]), DecisionRule(**decision), rules["known_until"]),
            parts=tuple(stored["parts"]),
            delay=stored["delay"],
            tables=tuple(stored["tables"]),
            attributes=tuple(Attribute(**{**a, "levels": tuple(a["levels"])}) for a in stored["attributes"]),
            characteristics=tuple(Characteristic(**c) for c in stored["characteristics"]),
            groups=tuple(stored["groups"]),
            group_names=tuple(stored["group_names"]),
            inspected=tuple(Characteristic(**c) for c in stored["inspected"]),
            priors={name: Prior(**prior) for name, prior in stored["priors"].items()},
        )


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
        tables=tuple(sorted(name for name, table in seen.tables.items() if len(table))),
        attributes=tuple(_attributes(seen)),
        characteristics=tuple(_characteristics(seen)),
        groups=groups,
        group_names=names,
        inspected=tuple(_inspected(seen, names, groups)),
        priors={},
    )
    return replace(layout, priors=priors(seen, layout))


def group_of(histories: Histories, names: tuple[str, ...]) -> Array:
    """Place in `group_names` of every row of supplier_lots: its material group, else its material, else the rest."""
    labels, texts = group_labels(histories)
    rest = names.index("") if "" in names else -1
    place_of = {name: place for place, name in enumerate(names) if name}
    return np.array([*(place_of.get(text, rest) for text in texts), -1], dtype=np.int64)[labels]


def group_labels(histories: Histories) -> tuple[Array, list[str]]:
    """(code, texts): what each row of supplier_lots is grouped by."""
    table = histories["supplier_lots"]
    groups = histories.ids["material_group"].texts if "material_group" in histories.ids else []
    material = table["material_id"] + len(groups)
    if not table.has("material_group"):
        return material, [*groups, *histories.ids["material"].texts]
    code = np.where(table["material_group"] >= 0, table["material_group"], material)
    return code, [*groups, *histories.ids["material"].texts]


def numbers_of(histories: Histories, table: str, column: str) -> Array:
    """An attribute's values as float64: numbers as they are, texts by the number they write, else NaN."""
    return histories.once(("numbers", table, column), lambda: _numbers(histories[table], column))


def _numbers(table: Table, column: str) -> Array:
    if column not in table.texts:
        return table[column].astype(np.float64)
    written = [_parsed(text) for text in table.texts[column].texts]
    return np.array([*written, np.nan])[table[column]]


def _parsed(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def _attributes(seen: Histories) -> list[Attribute]:
    chosen: list[tuple[str, str, str, tuple[str, ...]]] = []
    fixed = {"lots": ("product_id", "line_id", "site_id", "customer_id"), "supplier_lots": ("supplier_id",)}
    for name in (name for name in fixed if name in seen):
        table = seen[name]
        for column in fixed[name]:
            if table.has(column) and (table[column] >= 0).any():
                texts = seen.ids[column.removesuffix("_id")].texts
                chosen.append((name, column, "category", _levels(table[column], texts)))
        for column in table.attributes:
            kind: str = "number"
            levels: tuple[str, ...] = ()
            if column in table.texts:
                codes, texts = table[column], table.texts[column].texts
                written = np.array([np.isnan(_parsed(text)) for text in texts] + [False])
                if written[codes].any():
                    kind, levels = "category", _levels(codes, texts)
                elif not (codes >= 0).any():
                    continue
            elif np.isnan(table[column]).all():
                continue
            chosen.append((name, column, kind, levels))
    labels = distinct([f"{name}.{column}" for name, column, _, _ in chosen])
    return [
        Attribute(name, column, kind, label.split(".", 1)[1], levels)
        for (name, column, kind, levels), label in zip(chosen, labels, strict=True)
    ]


def _levels(codes: Array, texts: list[str]) -> tuple[str, ...]:
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


def _levels_of_most(codes: Array, texts: list[str], most: int) -> tuple[str, ...]:
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


__all__ = ["DAY", "Attribute", "Characteristic", "Layout", "Prior", "choose_layout"]
