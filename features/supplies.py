"""The supplier lots that went into judged lots, with their share of the material."""

from dataclasses import dataclass

import numpy as np

from features.asked import Asked
from features.asof import Array, Latest
from features.histories import Histories
from features.layout import Layout, group_of
from features.shipments import spans_of


@dataclass(frozen=True)
class Supplies:
    """One row a supplier lot used whose own row was known then, in order of (judgement, supplier lot).

    `of` judgement, `row` of supplier_lots, `group` place in the layout's groups, `weight`: the share within its
    material, materials of one group alike. `judgements`, `groups`: how many there are.
    """

    of: Array
    row: Array
    group: Array
    weight: Array
    judgements: int
    groups: int

    def mean(self, values: Array) -> Array:
        """Weighted mean by judgement and group of the rows that have a value; (judgements, groups), NaN: none."""
        there = np.flatnonzero(~np.isnan(values) & (self.group >= 0))
        weight = self.weight[there]
        total, weights = self._sum(there, weight * values[there]), self._sum(there, weight)
        return np.divide(total, weights, out=np.full_like(total, np.nan), where=weights > 0)

    def share(self, events: Array, trials: Array) -> Array:
        """Weighted events over weighted trials by judgement and group; NaN where there were no trials."""
        there = np.flatnonzero((trials > 0) & (self.group >= 0))
        weight = self.weight[there]
        total, tried = self._sum(there, weight * events[there]), self._sum(there, weight * trials[there])
        return np.divide(total, tried, out=np.full_like(total, np.nan), where=tried > 0)

    def count(self) -> Array:
        """Distinct supplier lots by judgement and group, float64."""
        new = np.ones(len(self.of), dtype=bool)
        new[1:] = (self.of[1:] != self.of[:-1]) | (self.row[1:] != self.row[:-1])
        rows = np.flatnonzero(new & (self.group >= 0))
        return self._sum(rows, np.ones(len(rows)))

    def largest(self, codes: Array) -> Array:
        """The code of the row with the greatest weight by judgement and group, the first of equals; -1: none."""
        answer = np.full((self.judgements, self.groups), -1, dtype=np.int64)
        rows = np.flatnonzero(self.group >= 0)
        rows = rows[np.argsort(self.weight[rows], kind="stable")[::-1]] if len(rows) else rows
        order = np.lexsort((np.arange(len(self.of))[rows], -self.weight[rows]))[::-1]
        answer[self.of[rows[order]], self.group[rows[order]]] = codes[rows[order]]
        return answer

    def _sum(self, rows: Array, values: Array) -> Array:
        place = self.of[rows] * self.groups + self.group[rows]
        sums = np.bincount(place, values, self.judgements * self.groups).astype(np.float64)  # of no rows: integers
        return sums.reshape(self.judgements, self.groups)


def supplies_used(asked: Asked, histories: Histories, layout: Layout) -> Supplies:
    """Joins the genealogy of the judged lots with supplier_lots as known strictly before `as_of`."""
    table = histories["supplier_lots"]
    latest = histories.once(
        "supplier lots", lambda: Latest(table["supplier_lot_id"], spans_of(table), key=table["supplier_lot_id"])
    )
    group = histories.once(("groups", layout.group_names), lambda: group_of(histories, layout.group_names))
    used = asked.used
    row = latest.before(used.supplier_lot, asked.as_of[used.of])
    known = np.flatnonzero(row >= 0)
    of, row, quantity = used.of[known], row[known], used.quantity[known]
    weight = _weights(of, table["material_id"][row], group[row], quantity, len(layout.groups))
    return Supplies(of, row, group[row], weight, len(asked), len(layout.groups))


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
