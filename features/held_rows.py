"""Whether the histories hold what rows that arrive say: the same, or something else that was known at the same time."""

from collections.abc import Sequence

import numpy as np

from features.arrivals import DIFFERS, KNOWN, Arrival
from features.asof import NO_TIME
from features.attributes import as_text
from features.contracts import TABLES
from features.held import readable
from features.histories import Histories
from features.in_place import Side
from features.order import RowsBy
from features.stored import ARRIVAL, INGESTED, arrivals_table


def said_of(
    histories: Histories,
    table: str,
    arrivals: Sequence[Arrival],
    *,
    timezone: str,
    in_part: bool = False,
    ever: bool = False,
) -> list[str | None]:
    """For each row KNOWN, DIFFERS, or None: the histories hold no row of its key and its known time.

    `in_part`: KNOWN too where they say more than the row does. `ever`: the last row of its key, whenever it was known.
    """
    if not arrivals or table not in histories:
        return [None] * len(arrivals)
    held, contract = histories[table], TABLES[table]
    rows = arrivals_table(table, [(0, arrival.row, 0) for arrival in arrivals]).drop_columns([INGESTED, ARRIVAL])
    side = Side.of(table, rows, timezone)
    told: list[str | None] = []
    ids = [one for one in contract.columns if one.name in contract.key and one.kind == "id" and held.has(one.name)]
    if not ids:
        return [None] * len(arrivals)
    rows_by = histories.once(("rows by", table, ids[0].name), lambda: RowsBy(held[ids[0].name]))
    place = contract.key.index(ids[0].name)
    codes = np.array([histories.ids[ids[0].of].code(key[place]) for key in side.key], dtype=np.int64)
    question, row = rows_by.pairs(codes)
    candidates: dict[int, list[int]] = {}
    for asked, one in zip(question.tolist(), row.tolist(), strict=True):
        known = held.first[one] if arrivals[asked].known == NO_TIME else arrivals[asked].known
        if ever or held.known[one] == known:
            candidates.setdefault(asked, []).append(one)
    for asked, (key, said) in enumerate(zip(side.key, side.said, strict=True)):
        word: str | None = None
        for one in sorted(candidates.get(asked, ()), key=lambda row: int(held.known[row])):
            shown = readable(histories, table, one)
            if tuple(shown.get(name) for name in contract.key) != key:
                continue
            shown.pop("known_at", None)
            plain = {
                name: as_text(value) if name in held.attributes else value
                for name, value in shown.items()
                if value is not None
            }
            same = said is not None and said.items() <= plain.items() if in_part else plain == said
            word = KNOWN if same else DIFFERS
        told.append(word)
    return told
