"""What is asked: judged lots with their own rows, as far as these may be used at the moment of judgement."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from features.asof import NO_TIME, Array, RowsBy, before, stands
from features.histories import Histories, Table
from features.judgements import Judgements, first_moment, lot_rows
from features.rules import Rules

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """The lots' own facts. Codes and times int64, values float64; shape (judgements,) unless said otherwise.

    `row`: of `lots`. `judged_first`: the lot's first judgement where it lies behind, else NO_TIME.
    `measured` and `used` are one row a measurement and a genealogy entry; their `of` says whose, ascending.
    """

    lot: Array
    as_of: Array
    units: Array
    row: Array
    produced_at: Array
    judged_first: Array
    measured: "Measured"
    used: "Used"
    _made: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.lot)

    def once(self, what: object, make: Callable[[], T]) -> T:
        """What `make` returns, made the first time `what` is asked for and kept: several groups want it."""
        if what not in self._made:
            self._made[what] = make()
        return cast(T, self._made[what])


@dataclass(frozen=True)
class Measured:
    """Own measurements known strictly before `as_of`: codes of characteristics, values and limits (NaN: none)."""

    of: Array
    characteristic: Array
    value: Array
    lower: Array
    upper: Array


@dataclass(frozen=True)
class Used:
    """Own genealogy: supplier lots used, quantity (NaN: not said), float64, shape (entries,)."""

    of: Array
    supplier_lot: Array
    quantity: Array


def ask(judgements: Judgements, histories: Histories, rules: Rules) -> Asked:
    """Collects the own rows of each judged lot."""
    lot, as_of = judgements.lot, judgements.as_of
    row = lot_rows(histories, lot, as_of)
    lots = histories["lots"]
    return Asked(
        lot=lot,
        as_of=as_of,
        units=judgements.units,
        row=row,
        produced_at=np.where(row >= 0, lots["produced_at"][row], NO_TIME),
        judged_first=first_moment(histories, rules, lot, as_of),
        measured=_measured(histories, lot, as_of),
        used=_used(histories, lot, as_of),
    )


def _measured(histories: Histories, lot: Array, as_of: Array) -> Measured:
    if "measurements" not in histories:
        none = np.empty(0, dtype=np.int64)
        return Measured(none, none, none.astype(float), none.astype(float), none.astype(float))
    table = histories["measurements"]
    index = histories.once("measurements by lot", lambda: RowsBy(table["lot_id"]))
    of, row = index.pairs(lot)
    known = stands(table.known[row], table.superseded[row], as_of[of])
    of, row = of[known], row[known]
    return Measured(
        of,
        table["characteristic"][row],
        table["value"][row],
        _number(table, "lower_spec", row),
        _number(table, "upper_spec", row),
    )


def _used(histories: Histories, lot: Array, as_of: Array) -> Used:
    """Rows without a time of consumption that came with the lot are always usable, in their first version at least."""
    if "genealogy" not in histories:
        none = np.empty(0, dtype=np.int64)
        return Used(none, none, none.astype(float))
    table = histories["genealogy"]
    of, row = uses_by_lot(histories).pairs(lot)
    consumed = table["consumed_at"][row] if table.has("consumed_at") else np.full(len(row), NO_TIME)
    usable = stands(table.known[row], table.superseded[row], as_of[of])
    always = (consumed == NO_TIME) & (table.known[row] == table.first[row])
    always &= ~before(_first_known(histories)[lot[of]], table.known[row])
    usable |= always & ~before(table.superseded[row], as_of[of])
    of, row = of[usable], row[usable]
    return Used(of, table["supplier_lot_id"][row], _number(table, "quantity", row))


def _first_known(histories: Histories) -> Array:
    """When each lot was first known, by its code."""
    return histories.once("lots first known", lambda: _lots_first(histories))


def _lots_first(histories: Histories) -> Array:
    first = np.full(len(histories.ids["lot"]), NO_TIME)
    first[histories["lots"]["lot_id"]] = histories["lots"].first
    return first


def uses_by_lot(histories: Histories) -> RowsBy:
    """Genealogy rows of each lot, in an order that does not hang on the source's."""
    table = histories["genealogy"]
    order = [table[column] for column in ("supplier_lot_id", "consumed_at") if table.has(column)]
    return histories.once("genealogy by lot", lambda: RowsBy(table["lot_id"], order=(*order, table.known)))


def _number(table: Table, column: str, row: Array) -> Array:
    return table[column][row] if table.has(column) else np.full(len(row), np.nan)
