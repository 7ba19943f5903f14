"""Genealogy as it stood at a moment: who names what, what products take, and what is known of a supplier lot."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from features.asof import FOREVER, NO_TIME, Array, before, stands
from features.histories import Histories, Table
from features.layout import group_labels
from features.order import RowsBy, each_once

ACCOUNTED = 0.995  # of a supplier lot's quantity; scales and rounding make up the rest
KEPT = 3  # moments: now, the one before the last news, and one that somebody looks back at


@dataclass(frozen=True)
class Source:
    """What is known of a supplier lot; `code` and `material` -1: nobody knows it, or no table holds its row.

    `quantity` NaN: not said. `consumed`: the sum of what lots took of it, `unsaid`: rows that do not say how much.
    `until`: its last consumption where all of it is accounted for, else FOREVER.
    """

    name: str
    code: int
    material: int = -1
    received_at: int = NO_TIME
    quantity: float = float("nan")
    consumed: float = 0.0
    unsaid: int = 0
    until: int = FOREVER


@dataclass(frozen=True, eq=False)
class Traced:
    """Holds for every moment after `since`, up to and with `upto`: none of the rows came or went in between.

    By lot code and a last one for code -1: `row` of lots (-1: not there then), `product`, `produced_at`, `tells` (it
    names a known material). By supplier lot code and a last one: `supply` (row of supplier_lots, -1: none known),
    `material`. `names`: lot * materials + material, `takes`: product * materials + material, both ascending, each once.
    `tellers`: lots of a product that tell, a last one for code -1. `materials`: their names.
    """

    since: int
    upto: int
    row: Array
    product: Array
    produced_at: Array
    tells: Array
    supply: Array
    material: Array
    names: Array
    takes: Array
    tellers: Array
    materials: list[str]
    _sources: dict[str, Source] = field(default_factory=dict, repr=False)
    _takers: dict[int, Array] = field(default_factory=dict, repr=False)

    def holds(self, as_of: int) -> bool:
        return bool(before(self.since, as_of) and not before(self.upto, as_of))

    def source(self, histories: Histories, name: str) -> Source:
        """What is known of a supplier lot, whether anybody knows it or not."""
        found = self._sources.get(name)
        if found is None:
            found = self._sources[name] = _source(self, histories, name)
        return found

    def takers(self, material: int) -> Array:
        """Whether each product takes the material: at least one lot of it does; bool, the last for code -1."""
        found = self._takers.get(material)
        if found is None:
            many = max(len(self.materials), 1)
            found = np.zeros(len(self.tellers), dtype=bool)
            found[self.takes[self.takes % many == material] // many] = True
            self._takers[material] = found
        return found


@dataclass(frozen=True)
class Questions:
    """Lots that may hold something; shape (lots,). `lot` code, -1: a record's own; `product` code, `produced_at`.

    `named`: place * materials + material of what the own genealogy names, ascending, each once.
    """

    lot: Array
    product: Array
    produced_at: Array
    named: Array


def traced(histories: Histories, as_of: int) -> Traced:
    """Genealogy as known strictly before `as_of`; kept, as hardly anything is asked of any moment but now."""
    kept: list[Traced] = histories.once("traced", list)
    for one in kept:
        if one.holds(as_of):
            return one
    made = _traced(histories, as_of)
    kept.insert(0, made)
    del kept[KEPT:]
    return made


def cannot_exclude(told: Traced, source: Source, lots: Questions) -> Array:
    """Whether each lot may hold the supplier lot though nothing says so; bool, shape (lots,).

    It was produced when the supplier lot was there, its product takes such material (where the product is new: any
    does), and its genealogy names no supplier lot of it. Of a supplier lot without a row any material may be missing.
    """
    many = max(len(told.materials), 1)
    new = told.tellers[lots.product] - told.tells[lots.lot] <= 0
    in_time = ~before(lots.produced_at, source.received_at) & ~before(source.until, lots.produced_at)
    if source.material >= 0:
        takers = told.takers(source.material)
        missing = (takers[lots.product] | (new & takers.any())) & in_time
        place = np.flatnonzero(missing)
        missing[place] = ~_in(lots.named, place * many + source.material)
    else:
        anybody = np.zeros(many, dtype=bool)
        anybody[told.takes % many] = True
        kinds = np.bincount(told.takes // many, minlength=len(told.tellers))
        place, material = lots.named // many, lots.named % many
        usual = np.where(new[place], anybody[material], _in(told.takes, lots.product[place] * many + material))
        named = np.bincount(place[usual], minlength=len(lots.lot))
        missing = (np.where(new, anybody.sum(), kinds[lots.product]) > named) & in_time
    return np.asarray(missing)


def users(told: Traced, histories: Histories, source: Source) -> Array:
    """Rows of genealogy that name a supplier lot and stand, of lots that are there."""
    if source.code < 0 or "genealogy" not in histories:
        return np.empty(0, dtype=np.int64)
    table, row = histories["genealogy"], rows_naming(histories, source.code)
    good = stands(table.known[row], table.superseded[row], told.upto) & (told.row[table["lot_id"][row]] >= 0)
    used: Array = row[good]
    return used


def rows_naming(histories: Histories, supplier_lot: int) -> Array:
    """Rows of genealogy that name a supplier lot, a code, at whatever time."""
    table = histories["genealogy"]
    by = histories.once(
        "genealogy by supplier lot",
        lambda: RowsBy(table["supplier_lot_id"], order=(table["lot_id"],)),
        of=("genealogy",),
    )
    row: Array = by.pairs(np.array([supplier_lot]))[1]
    return row


def _traced(histories: Histories, as_of: int) -> Traced:
    lots, products = histories["lots"], len(histories.ids["product"])
    since, upto = _unchanged(histories, as_of)
    row = _row_by_code(lots, "lot_id", len(histories.ids["lot"]), as_of)
    there = row >= 0
    product = np.where(there, lots["product_id"][row], -1) if len(lots) else row
    produced = np.where(there, lots["produced_at"][row], NO_TIME) if len(lots) else np.full(len(row), NO_TIME)
    supply, material, materials = _supplies(histories, as_of)
    lot, used = _standing_uses(histories, as_of, there)
    many = max(len(materials), 1)
    known = material[used] >= 0
    names = each_once(lot[known] * many + material[used[known]])
    tells = np.zeros(len(row), dtype=bool)
    tells[names // many] = True
    tells[-1] = False
    of = product[names // many]
    takes = each_once(of[of >= 0] * many + names[of >= 0] % many)
    tellers = np.bincount(product[tells & (product >= 0)], minlength=products + 1)
    tellers[-1] = 0  # a product that nobody knows is new
    return Traced(since, upto, row, product, produced, tells, supply, material, names, takes, tellers, materials)


def _unchanged(histories: Histories, as_of: int) -> tuple[int, int]:
    """(the last change strictly before `as_of`, the first one not before it) of what genealogy hangs on."""
    since, upto = NO_TIME, FOREVER
    for name in ("lots", "genealogy", "supplier_lots"):
        if name in histories:
            for moments in (histories[name].known, histories[name].superseded):
                gone = before(moments, as_of)
                since = max(since, int(np.where(gone, moments, NO_TIME).max(initial=NO_TIME)))
                upto = min(upto, int(np.where(gone, FOREVER, moments).min(initial=FOREVER)))
    return since, upto


def _supplies(histories: Histories, as_of: int) -> tuple[Array, Array, list[str]]:
    """(row of supplier_lots, material) by supplier lot code, and the materials: groups, else materials, by name."""
    size = len(histories.ids["supplier_lot"]) if "supplier_lot" in histories.ids else 0
    if "supplier_lots" not in histories:
        none = np.full(size + 1, -1, dtype=np.int64)
        return none, none, []
    row = _row_by_code(histories["supplier_lots"], "supplier_lot_id", size, as_of)
    labels, texts = group_labels(histories)
    materials = sorted(set(texts))
    place = {text: number for number, text in enumerate(materials)}
    by_label = np.array([place[text] for text in texts], dtype=np.int64)
    return row, np.where(row >= 0, by_label[labels[row]], -1), materials


def _row_by_code(table: Table, column: str, size: int, as_of: int) -> Array:
    """The row of each code that stood strictly before `as_of`, -1: none, and so for the last, that of code -1."""
    row = np.full(size + 1, -1, dtype=np.int64)
    standing = np.flatnonzero(stands(table.known, table.superseded, as_of))
    row[table[column][standing]] = standing
    return row


def _standing_uses(histories: Histories, as_of: int, there: Array) -> tuple[Array, Array]:
    """(lot, supplier lot) of the genealogy that stood, of lots that were there."""
    if "genealogy" not in histories:
        none = np.empty(0, dtype=np.int64)
        return none, none
    table = histories["genealogy"]
    good = stands(table.known, table.superseded, as_of) & there[table["lot_id"]]
    return table["lot_id"][good], table["supplier_lot_id"][good]


def _source(told: Traced, histories: Histories, name: str) -> Source:
    code = histories.ids["supplier_lot"].code(name) if "supplier_lot" in histories.ids else -1
    row = int(told.supply[code])
    if row < 0:
        return Source(name, code)
    table = histories["supplier_lots"]
    quantity = float(table["quantity"][row]) if table.has("quantity") else float("nan")
    source = Source(name, code, int(told.material[code]), int(table["received_at"][row]), quantity)
    rows = users(told, histories, source)
    if not len(rows):
        return source
    uses = histories["genealogy"]
    amount = uses["quantity"][rows] if uses.has("quantity") else np.full(len(rows), np.nan)
    produced = told.produced_at[uses["lot_id"][rows]]
    consumed = uses["consumed_at"][rows] if uses.has("consumed_at") else np.full(len(rows), NO_TIME)
    last = int(np.where(consumed == NO_TIME, produced, consumed).max())
    unsaid, total = int(np.isnan(amount).sum()), float(np.nansum(np.sort(amount)))
    used_up = unsaid == 0 and quantity > 0 and total >= ACCOUNTED * quantity
    return Source(
        name, code, source.material, source.received_at, quantity, total, unsaid, last if used_up else FOREVER
    )


def _in(ascending: Array, wanted: Array) -> Array:
    """Whether each wanted number is among ascending ones."""
    if not len(ascending):
        return np.zeros(len(wanted), dtype=bool)
    place = np.minimum(ascending.searchsorted(wanted), len(ascending) - 1)
    return np.asarray(ascending[place] == wanted)


def distinct(of: Array, material: Array, materials: Sequence[str]) -> Array:
    """What `Questions.named` is, from places and materials; -1: of none."""
    known = material >= 0
    return each_once(of[known] * max(len(materials), 1) + material[known])
