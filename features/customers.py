"""Customers as known at a moment."""

import numpy as np

from features.asof import Array, Latest
from features.histories import Histories
from features.shipments import spans_of


def customer_rows(histories: Histories, customer: Array, as_of: Array) -> Array:
    """The row of `customers` known strictly before `as_of`, int64, shape (questions,); -1: none."""
    if "customers" not in histories:
        return np.full(len(customer), -1)
    table = histories["customers"]
    latest = histories.once(
        "customers", lambda: Latest(table["customer_id"], spans_of(table), key=table["customer_id"])
    )
    return latest.before(customer, as_of)
