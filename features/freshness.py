"""How far the histories reach at a moment, table by table."""

from collections.abc import Mapping

import numpy as np

from features.asof import FOREVER, NO_TIME, Array, before, last_before
from features.histories import Histories
from features.order import each_once


def features_as_of(histories: Histories, as_of: Array) -> Array:
    """The latest known time strictly before each `as_of` of any row of any table; NO_TIME where nothing was known."""
    return newest(histories, tuple(histories.tables), as_of)


def newest(histories: Histories, tables: tuple[str, ...], as_of: Array) -> Array:
    """The same of some tables."""
    latest: Array = last_before(_told(histories, tables), as_of)
    return latest


def stale(histories: Histories, limits: Mapping[str, int], as_of: Array) -> dict[str, tuple[Array, Array]]:
    """By table that is stale for any question: (mask, age): its newest row is older than its limit, microseconds."""
    found = {}
    for table, limit in limits.items():
        if table in histories:
            latest = newest(histories, (table,), as_of)
            silent = before(latest + limit, as_of) & (latest != NO_TIME)
            if silent.any():
                found[table] = (silent, as_of - latest)
    return found


def _told(histories: Histories, tables: tuple[str, ...]) -> Array:
    """NO_TIME, then the moments at which any row was told or replaced, ascending."""
    make = _told_of_one if len(tables) == 1 else _told_of_several
    return histories.once(("told", tables), lambda: make(histories, *tables), of=("lots", *tables))


def _told_of_several(histories: Histories, *tables: str) -> Array:
    return each_once(np.concatenate([np.array([NO_TIME]), *(_told(histories, (name,)) for name in tables)]))


def _told_of_one(histories: Histories, name: str) -> Array:
    lots, table = histories["lots"], histories[name]
    made = np.full(len(histories.ids["lot"]) + 1, FOREVER)
    made[lots["lot_id"]] = lots.first
    own = made[table["lot_id"]] if table.has("lot_id") else NO_TIME  # before it, the row is of an unknown lot
    moments = [np.array([NO_TIME]), np.maximum(table.known, own), np.maximum(table.superseded, own)]
    told = each_once(np.concatenate(moments))
    until_now: Array = told[before(told, FOREVER)]
    return until_now
