"""The supplier lots that went into judged lots, with their share of the material."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.asked import Asked
from features.asof import Array, Latest
from features.histories import Histories
from features.layout import Layout, group_of
from features.shipments import spans_of


@dataclass(frozen=True)
class Supplies:
    """One row a supplier lot used whose own row was known then, in order of (judgement, supplier lot).

    `of` judgement, `row` of supplier_lots, `group` place in the layout's groups (-1: none), `weight`: the share within
    its material, materials of one group alike. `judgements`, `groups`: how many there are.
    """

    of: Array
    row: Array
    group: Array
    weight: Array
    judgements: int
    groups: int

    def mean(self, values: Array) -> Array:
        """Weighted mean by judgement and group of the rows that have a value; (judgements, groups), NaN: none."""
        told = ~np.isnan(values)
        if told.all():
            return _ratio(self._sum(self.weight * values), self._all)
        return _ratio(self._sum(np.where(told, self.weight * values, 0.0)), self._sum(np.where(told, self.weight, 0.0)))

    def share(self, events: Array, trials: Array) -> Array:
        """Weighted events over weighted trials by judgement and group; NaN where there were no trials."""
        tried = np.where(trials > 0, self.weight, 0.0)
        return _ratio(self._sum(tried * events), self._sum(tried * trials))

    def count(self) -> Array:
        """Distinct supplier lots by judgement and group, float64."""
        new = np.ones(len(self.of))
        new[1:] = (self.of[1:] != self.of[:-1]) | (self.row[1:] != self.row[:-1])
        return self._sum(new)

    def largest(self, values: Array) -> Array:
        """The value of the row with the greatest weight by judgement and group, the first of equals; NaN: none."""
        return np.append(values, np.nan)[self._largest]

    @cached_property
    def _largest(self) -> Array:
        most = np.zeros((self.groups + 1) * self.judgements)
        np.maximum.at(most, self._cell, self.weight)
        rows = np.flatnonzero(self.weight == most[self._cell])[::-1]
        place = np.full(len(most), -1, dtype=np.int64)
        place[self._cell[rows]] = rows
        return self._by_group(place)

    @cached_property
    def _all(self) -> Array:
        return self._sum(self.weight)

    @cached_property
    def _cell(self) -> Array:
        return np.where(self.group >= 0, self.group, self.groups) * self.judgements + self.of

    def _sum(self, values: Array) -> Array:
        sums = np.bincount(self._cell, values, (self.groups + 1) * self.judgements)
        return self._by_group(sums.astype(np.float64, copy=False))  # of no rows: integers

    def _by_group(self, values: Array) -> Array:
        """By judgement and group, from values by cell; the last cells are of rows without a group."""
        return values[: self.groups * self.judgements].reshape(self.groups, self.judgements).T


def supplies_used(asked: Asked, histories: Histories, layout: Layout) -> Supplies:
    """Joins the genealogy of the judged lots with supplier_lots as known strictly before `as_of`."""
    return asked.once(("supplies", layout.group_names), lambda: _joined(asked, histories, layout))


def rows_of_supplies(histories: Histories, code: Array, as_of: Array) -> Array:
    """The row of supplier_lots of each code as known strictly before `as_of`; -1: none."""
    if "supplier_lots" not in histories:
        return np.full(len(code), -1, dtype=np.int64)
    table = histories["supplier_lots"]
    latest: Latest = histories.once(
        "supplier lots",
        lambda: Latest(table["supplier_lot_id"], spans_of(table), key=table["supplier_lot_id"]),
        of=("supplier_lots",),
    )
    return latest.before(code, as_of)


def _joined(asked: Asked, histories: Histories, layout: Layout) -> Supplies:
    table = histories["supplier_lots"]
    group = histories.once(("groups", layout.group_names), lambda: group_of(histories, layout.group_names))
    used = asked.used
    row = rows_of_supplies(histories, used.supplier_lot, asked.as_of[used.of])
    known = np.flatnonzero(row >= 0)
    of, row, quantity = used.of[known], row[known], used.quantity[known]
    weight = _weights(of, table["material_id"][row], group[row], quantity, len(layout.groups))
    return Supplies(of, row, group[row], weight, len(asked), len(layout.groups))


def _ratio(total: Array, weight: Array) -> Array:
    with np.errstate(invalid="ignore"):  # no rows: 0 / 0 is NaN
        return total / weight


def _weights(of: Array, material: Array, group: Array, quantity: Array, groups: int) -> Array:
    """Shares within one material of one lot; a missing quantity makes that material's shares equal."""
    if not len(of):
        return np.empty(0)
    mixes, mix = np.unique(of * (material.max() + 1) + material, return_inverse=True)
    amount = np.bincount(mix, np.where(np.isnan(quantity), 0.0, quantity))
    rows = np.bincount(mix)
    unsaid = (np.bincount(mix, np.isnan(quantity)) > 0) | (amount <= 0)
    share = np.where(unsaid[mix], 1.0 / rows[mix], quantity / np.where(unsaid, 1.0, amount)[mix])
    first = np.zeros(len(mixes), dtype=np.int64)
    first[mix[::-1]] = np.arange(len(of))[::-1]
    materials = np.bincount(of[first] * (groups + 1) + group[first] + 1)
    weight: Array = share / materials[of * (groups + 1) + group + 1]
    return weight
