"""What training chose from data and scoring follows: columns, categories, grids, priors."""

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from features.asof import Array
from features.histories import Histories, Table
from features.rules import Rules, rules_from

POOLED = "other"
"""What the material groups beyond the commonest are called together."""


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

    @cached_property
    def of_table(self) -> dict[str, list[Attribute]]:
        """The attributes of each table that has any, in order."""
        tables = {attribute.table for attribute in self.attributes}
        return {table: [each for each in self.attributes if each.table == table] for table in sorted(tables)}

    @cached_property
    def key(self) -> str:
        """Stands for attributes and characteristics: to hash all their levels takes longer than to look a lot up."""
        return hashlib.sha256(repr((self.attributes, self.characteristics)).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Layout":
        """What `as_dict` gave, also after a trip through JSON."""
        return cls(
            until=stored["until"],
            rules=rules_from(stored["rules"]),
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


def numbers_of(table: Table, column: str) -> Array:
    """An attribute's values as float64: numbers as they are, texts by the number they write, else NaN."""
    if column not in table.texts:
        return table[column].astype(np.float64)
    written = [written_number(text) for text in table.texts[column].texts]
    return np.array([*written, np.nan])[table[column]]


def written_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")
