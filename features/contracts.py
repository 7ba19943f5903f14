"""The canonical tables: columns, keys and the two clocks of every history row.

Times are microseconds since 1970-01-01T00:00Z in int64. A column with clock "happened" reads a date
without a time as its start, one with clock "known" as its end (the next local midnight); "both" gives
the column its start and the row's known time its end.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Kind = Literal["id", "text", "number", "units", "count", "time", "flag"]


ACTIONS = ("released", "inspected", "reworked", "held", "scrapped")
"""What a disposition says was done, whatever its capitals; rows of a source may say something else."""


def action_of(text: str) -> str:
    """A disposition's action as `ACTIONS` spell it, if it is one of them."""
    return text.strip().casefold()


@dataclass(frozen=True)
class Column:
    """One canonical column.

    `kind`: "id" (text, one vocabulary per `of` over all tables), "text", "number" (float64),
    "units" and "count" (whole numbers, int64), "time" (int64 microseconds UTC), "flag" (0 or 1, int64).
    `default` fills nulls of "units"; other nulls stay: -1, NaN or NO_TIME.
    """

    name: str
    kind: Kind
    of: str = ""
    required: bool = True
    clock: Literal["", "happened", "known", "both"] = ""
    default: int | None = None
    signed: bool = False


@dataclass(frozen=True)
class TableContract:
    """A canonical table: `key` names one fact; rows with the same key are versions of it."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    open_ended: bool = False
    """Extra columns are attributes."""

    def column(self, name: str) -> Column | None:
        return self._by_name.get(name)

    @cached_property
    def happened(self) -> str:
        """The column that says when, or "" for a timeless table."""
        return next((c.name for c in self.columns if c.clock in ("happened", "both")), "")

    @cached_property
    def known(self) -> str:
        """The column that says when the row was known unless `known_at` is given, or ""."""
        return next((c.name for c in self.columns if c.clock in ("known", "both")), "")

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}


def _id(name: str, of: str, *, required: bool = True) -> Column:
    return Column(name, "id", of=of, required=required)


def _time(name: str, clock: Literal["", "happened", "known", "both"], *, required: bool = True) -> Column:
    return Column(name, "time", clock=clock, required=required)


def _text(name: str) -> Column:
    return Column(name, "text", required=False)


TABLES: dict[str, TableContract] = {
    contract.name: contract
    for contract in (
        TableContract(
            "lots",
            ("lot_id",),
            (
                _id("lot_id", "lot"),
                _id("product_id", "product"),
                _id("line_id", "line", required=False),
                _id("site_id", "site", required=False),
                _id("customer_id", "customer", required=False),
                Column("quantity", "units", required=False, default=1),
                _time("produced_at", "both"),
                _time("shipped_at", "", required=False),
            ),
            open_ended=True,
        ),
        TableContract(
            "shipments",
            ("shipment_id",),
            (
                _id("shipment_id", "shipment"),
                _id("lot_id", "lot"),
                _id("customer_id", "customer", required=False),
                _time("shipped_at", "both"),
                Column("quantity", "units", default=None, signed=True),
            ),
        ),
        TableContract(
            "measurements",
            ("lot_id", "characteristic", "measured_at", "sample"),
            (
                _id("lot_id", "lot"),
                _id("characteristic", "characteristic"),
                _time("measured_at", "both"),
                _text("sample"),
                Column("value", "number", signed=True),
                Column("lower_spec", "number", required=False, signed=True),
                Column("upper_spec", "number", required=False, signed=True),
            ),
        ),
        TableContract(
            "supplier_lots",
            ("supplier_lot_id",),
            (
                _id("supplier_lot_id", "supplier_lot"),
                _id("supplier_id", "supplier"),
                _id("material_id", "material"),
                _id("material_group", "material_group", required=False),
                _time("received_at", "both"),
                Column("quantity", "number", required=False),
            ),
            open_ended=True,
        ),
        TableContract(
            "inspections",
            ("supplier_lot_id", "inspected_at", "characteristic", "sample"),
            (
                _id("supplier_lot_id", "supplier_lot"),
                _time("inspected_at", "both"),
                _id("characteristic", "inspected", required=False),
                _text("sample"),
                Column("sample_size", "count", required=False),
                Column("defects", "count", required=False),
                Column("value", "number", required=False, signed=True),
            ),
        ),
        TableContract(
            "genealogy",
            ("lot_id", "supplier_lot_id", "consumed_at"),
            (
                _id("lot_id", "lot"),
                _id("supplier_lot_id", "supplier_lot"),
                _time("consumed_at", "both", required=False),
                Column("quantity", "number", required=False),
            ),
        ),
        TableContract(
            "returns",
            ("return_id",),
            (
                _id("return_id", "return"),
                _id("lot_id", "lot"),
                _id("customer_id", "customer", required=False),
                _time("occurred_at", "happened"),
                _time("reported_at", "known"),
                Column("quantity", "units", required=False, default=1),
                _text("failure_mode"),
                _text("description"),
                _text("severity"),
            ),
        ),
        TableContract(
            "outcomes",
            ("lot_id",),
            (_id("lot_id", "lot"), Column("failed", "flag"), _time("known_at", "known")),
        ),
        TableContract(
            "dispositions",
            ("lot_id", "decided_at"),
            (
                _id("lot_id", "lot"),
                _time("decided_at", "both"),
                Column("action", "text"),
                Column("found", "flag", required=False),
            ),
        ),
        TableContract("customers", ("customer_id",), (_id("customer_id", "customer"), _text("tier")), open_ended=True),
        TableContract(
            "actions",
            ("action_id",),
            (
                _id("action_id", "action"),
                Column("scope", "text"),
                _time("opened_at", "both"),
                _time("effective_at", "", required=False),
                _time("closed_at", "", required=False),
                _text("title"),
            ),
        ),
        TableContract(
            "surveys",
            ("answered_at", "customer_id", "product_id", "kind"),
            (
                _time("answered_at", "both"),
                _id("customer_id", "customer", required=False),
                _id("product_id", "product", required=False),
                _text("kind"),
                Column("score", "number", signed=True),
                _text("comment"),
            ),
        ),
    )
}
