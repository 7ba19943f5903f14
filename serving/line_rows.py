"""What a line may not say of a lot that is known: by its customer and its product rules and limits hold it."""

import numpy as np

from features.arrivals import Arrival
from features.held import readable
from features.histories import Histories
from features.order import RowsBy

_STAYS = ("product_id", "customer_id")


def refused_to_line(arrival: Arrival, histories: Histories) -> str | None:
    """Why a row of a line is refused; None: it is not. A lot that no table holds may be anything, and what is not known
    of one may be told."""
    if arrival.table != "lots":
        return None
    if arrival.row.get("deleted"):
        return "deletes a lot, which a line does not do"
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
