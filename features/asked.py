"""What is asked: judged lots with their own rows, as far as these may be used at the moment of judgement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from features.asof import NO_TIME, Array, before, stands
from features.attributes import OwnRows
from features.histories import Histories, Table
from features.judgements import Judgements, first_moment, lot_rows
from features.order import RowsBy
from features.rules import Rules
from features.told import Measured, Told, Used

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """The lots' own facts. Codes and times int64, values float64; shape (judgements,) unless said otherwise.

    `judged_first`: the lot's first judgement where it lies behind, else NO_TIME. `foreign`: by place, the supplier lots
    that a record names and the histories do not know.
    """

    lot: Array
    as_of: Array
    units: Array
    own: OwnRows
    produced_at: Array
    judged_first: Array
    measured: Measured
    used: Used
    foreign: Mapping[int, Sequence[str]] = field(default_factory=dict)
    _made: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.lot)

    def once(self, what: object, make: Callable[[], T]) -> T:
        """What `make` returns, made the first time `what` is asked for and kept: several groups want it."""
        if what not in self._made:
            self._made[what] = make()
        return cast(T, self._made[what])


def ask(judgements: Judgements, histories: Histories, rules: Rules) -> Asked:
    """Collects the own rows of each judged lot: those of the histories and those that came with the question."""
    lot, as_of, told = judgements.lot, judgements.as_of, judgements.told
    row = lot_rows(histories, lot, as_of)
    lots = histories["lots"]
    own = OwnRows(histories, row, {} if told is None else told.own)
    produced_at = np.where(row >= 0, lots["produced_at"][row], NO_TIME)
    judged_first = first_moment(histories, rules, lot, as_of, row=row)
    measured, used = _measured(histories, lot, as_of), _used(histories, lot, as_of)
    if told is not None:
        measured, used = measured.and_(told.measured), used.and_(told.used)
        if told.own:
            produced_at = own.times("produced_at")
            judged_first = _told_first(judged_first, told, rules, as_of)
    foreign = {} if told is None else told.foreign
    return Asked(lot, as_of, judgements.units, own, produced_at, judged_first, measured, used, foreign)


def _told_first(moment: Array, told: Told, rules: Rules, as_of: Array) -> Array:
    """First judgements, those of lots told with the question by their own rows."""
    moment = moment.copy()
    for place, row in told.own.items():
        first = row[rules.decision.at]
        moment[place] = first if before(first, as_of[place]) else NO_TIME
    return moment


def _measured(histories: Histories, lot: Array, as_of: Array) -> Measured:
    if "measurements" not in histories:
        none = np.empty(0, dtype=np.int64)
        return Measured(none, none, none.astype(float), none.astype(float), none.astype(float))
    table = histories["measurements"]
    of, row = rows_by_lot(histories, "measurements").pairs(lot)
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
    if "genealogy" not in histories:
        none = np.empty(0, dtype=np.int64)
        return Used(none, none, none.astype(float), none, none)
    table = histories["genealogy"]
    of, row = usable_uses(histories, lot, as_of)
    consumed = table["consumed_at"][row] if table.has("consumed_at") else np.full(len(row), NO_TIME)
    return Used(of, table["supplier_lot_id"][row], _number(table, "quantity", row), consumed, table.known[row])


def usable_uses(histories: Histories, lot: Array, as_of: Array) -> tuple[Array, Array]:
    """(question, row of genealogy) of what may be used.

    Rows without a time of consumption that came with the lot are always usable, in their first version at least.
    """
    table = histories["genealogy"]
    of, row = uses_by_lot(histories).pairs(lot)
    consumed = table["consumed_at"][row] if table.has("consumed_at") else np.full(len(row), NO_TIME)
    usable = stands(table.known[row], table.superseded[row], as_of[of])
    always = (consumed == NO_TIME) & (table.known[row] == table.first[row])
    always &= ~before(_first_known(histories)[lot[of]], table.known[row])
    usable |= always & ~before(table.superseded[row], as_of[of])
    return of[usable], row[usable]


def _first_known(histories: Histories) -> Array:
    """When each lot was first known, by its code."""
    return histories.once("lots first known", lambda: _lots_first(histories), of=("lots",))


def _lots_first(histories: Histories) -> Array:
    first = np.full(len(histories.ids["lot"]), NO_TIME)
    first[histories["lots"]["lot_id"]] = histories["lots"].first
    return first


def rows_by_lot(histories: Histories, table: str) -> RowsBy:
    """Rows of each lot in a table."""
    if table == "genealogy":
        return uses_by_lot(histories)
    return histories.once(f"{table} by lot", lambda: RowsBy(histories[table]["lot_id"]), of=(table,))


def uses_by_lot(histories: Histories) -> RowsBy:
    """Genealogy rows of each lot, in an order that does not hang on the source's."""
    table = histories["genealogy"]
    order = [table[column] for column in ("supplier_lot_id", "consumed_at") if table.has(column)]
    return histories.once(
        "genealogy by lot", lambda: RowsBy(table["lot_id"], order=(*order, table.known)), of=("genealogy",)
    )


def _number(table: Table, column: str, row: Array) -> Array:
    return table[column][row] if table.has(column) else np.full(len(row), np.nan)
