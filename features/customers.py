"""Customers as known at a moment."""

import numpy as np

from features.asof import Array, Latest, stands
from features.histories import Histories
from features.shipments import by_lot, shipments_of, spans_of


def customer_rows(histories: Histories, customer: Array, as_of: Array) -> Array:
    """The row of `customers` known strictly before `as_of`, int64, shape (questions,); -1: none."""
    if "customers" not in histories:
        return np.full(len(customer), -1)
    table = histories["customers"]
    latest = histories.once(
        "customers",
        lambda: Latest(table["customer_id"], spans_of(table), key=table["customer_id"]),
        of=("customers",),
    )
    return latest.before(customer, as_of)


def customers_of(histories: Histories, lot: Array, own: Array, as_of: Array) -> tuple[Array, Array]:
    """(place of the question, code of the customer): of its own row, then of its shipments as known before `as_of`.

    `own`: code of the customer that the lot's own row names, -1: none.
    """
    shipped = shipments_of(histories)
    question, shipment = by_lot(histories).pairs(lot)
    seen = stands(shipped.spans.known[shipment], shipped.spans.superseded[shipment], as_of[question])
    seen &= shipped.customer[shipment] >= 0
    named = np.flatnonzero(own >= 0)
    return np.concatenate([named, question[seen]]), np.concatenate([own[named], shipped.customer[shipment[seen]]])
