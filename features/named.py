"""Characteristics that only one lot has, and only by rows that arrived: nobody else has said that there are such.

A record of a call of the gate is kept as history, and its misspelt names with it. Asked about again, the lot would
name what the tables hold.
"""

import numpy as np

from features.asof import FOREVER, Array
from features.histories import Histories
from features.limits import ARRIVED


def only_lots(histories: Histories) -> Array:
    """By code of a characteristic, and a last one for none: the only lot that has it, -1: a source or several lots do.

    int64, shape (characteristics + 1,).
    """
    return histories.once("characteristics of one lot", lambda: _only_lots(histories), of=("measurements",))


def _only_lots(histories: Histories) -> Array:
    size = len(histories.ids["characteristic"]) + 1 if "measurements" in histories else 1
    only = np.full(size, -1)
    if size == 1 or not histories["measurements"].has(ARRIVED):
        return only
    table = histories["measurements"]
    code, arrived, stands = table["characteristic"], table[ARRIVED], table.superseded == FOREVER
    told = np.zeros(size, dtype=bool)
    told[code[~arrived & stands]] = True
    rows = np.flatnonzero(arrived & stands & ~told[code])  # a name that was taken back is nobody's
    code, lot = code[rows], table["lot_id"][rows]
    only[code] = lot  # of several lots any
    several = code[only[code] != lot]
    only[several] = -1
    only[-1] = -1
    return only
