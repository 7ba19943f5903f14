"""What a line may not say: it tells what is new, and neither changes nor takes back what is known of a lot.

By its customer and its product rules and limits hold a lot, by its measurements and its genealogy rules do.
"""

from collections.abc import Sequence

import numpy as np

from features.arrivals import KNOWN, Arrival
from features.held import readable
from features.held_rows import said_of
from features.histories import Histories
from features.order import RowsBy

_STAYS = ("product_id", "customer_id")


def refused_to_line(
    table: str, arrivals: Sequence[Arrival], histories: Histories, *, timezone: str
) -> list[str | None]:
    """For each row of a line why it is refused; None: it is not. A lot that no table holds may be anything, and what is
    not known of one may be told."""
    held: list[str | None] = [None] * len(arrivals)
    if table != "lots":
        held = said_of(histories, table, arrivals, timezone=timezone, ever=True)
    return [_refused(one, histories, word) for one, word in zip(arrivals, held, strict=True)]


def _refused(arrival: Arrival, histories: Histories, held: str | None) -> str | None:
    """`held`: as `said_of` has it."""
    if arrival.row.get("deleted"):
        return f"takes back a row of {arrival.table}, which a line does not do"
    if held not in (None, KNOWN):
        return f"changes a row of {arrival.table} that is known, which a line does not do"
    return _changed_lot(arrival, histories) if arrival.table == "lots" else None


def _changed_lot(arrival: Arrival, histories: Histories) -> str | None:
    lots = histories["lots"]
    rows_by = histories.once(("rows by", "lots", "lot_id"), lambda: RowsBy(lots["lot_id"]))
    rows = rows_by.pairs(np.array([histories.ids["lot"].code(str(arrival.row["lot_id"]))]))[1]
    if not len(rows):
        return None
    known = readable(histories, "lots", int(rows[lots.known[rows].argmax()]))  # a lot that was deleted is known too
    for name in _STAYS:
        said, was = arrival.row.get(name), known.get(name)
        if was is not None and said != was:
            return f"says {name} {said}, of a lot that is known with {was}, which a line does not change"
    return None
