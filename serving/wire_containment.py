"""The wire shapes of containment, as the OpenAPI document tells them."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from serving import wire
from serving.containing import STATES
from serving.suspicion import MOST_NAMED
from serving.wire_parts import ID, MOMENT, REASON, WRITES, answers, fields, here, link, posted, query

Place = Literal["in_house", "shipped", "returned"]
Why = Literal["returned", "uses", "shares", "cannot_exclude", "withdrawn"]


class Where(BaseModel):
    """Units of a lot in one place; shipped: less those that came back. `at`, `last_at`: the first and the last went."""

    place: Place
    customer_id: str | None
    units: int
    at: str | None
    last_at: str | None


class Suspect(BaseModel):
    """A suspect lot. `supplier_lots` it uses, `not_excluded` it may, `withdrawn` it no longer names.

    `scored`: null where there is no score. `contained`: an open containment holds it; null: nobody can say now.
    """

    lot_id: str
    product_id: str | None
    line_id: str | None
    produced_at: str | None
    quantity: int | None
    where: list[Where]
    why: Why
    supplier_lots: list[str]
    not_excluded: list[str]
    withdrawn: list[str]
    contained: bool | None
    risk: float | None
    risk_low: float | None
    risk_high: float | None
    decision: wire.Decision | None
    scored: Literal["stored", "now"] | None


class Followed(BaseModel):
    """A supplier lot that is followed, and how many lots are on the list for it."""

    supplier_lot_id: str
    supplier_id: str | None
    material: str | None
    received_at: str | None
    quantity: float | None
    consumed: float
    uses_without_quantity: int
    used_up_at: str | None
    counts: dict[str, int]


class BoundaryReason(BaseModel):
    """Why the list ends there, or does not end: a code, a sentence, and the figures in it."""

    code: str
    detail: str
    values: dict[str, Any]


class Boundary(BaseModel):
    """Lots produced in this time may be suspect though nothing says so. `complete`: none outside of the list can be."""

    model_config = {"populate_by_name": True}

    complete: bool
    from_: str | None = Field(alias="from")
    until: str | None
    reasons: list[BoundaryReason]


class ContainmentAnswer(BaseModel):
    """Suspect lots, the riskiest first. `about`: supplier_lot, or return and its lot_id."""

    about: dict[str, str | None]
    as_of: str
    supplier_lots: list[Followed]
    boundary: Boundary
    counts: dict[str, Any]
    lots: list[Suspect]


class Containment(BaseModel):
    """One that was opened. `held`: how many lots it holds now; null: it is closed, or nobody can say now."""

    id: int
    state: Literal["open", "closed"]
    about: dict[str, Any]
    supplier_lots: list[str]
    lots: list[str]
    reason: str
    opened_at: str
    opened_by: str
    closed_at: str | None
    closed_by: str | None
    closed_reason: str | None
    held: dict[str, int] | None


class RecordedContainment(Containment):
    """With the entry of the audit log that records it."""

    audit_id: str


class ContainmentsAnswer(BaseModel):
    """The newest first, at most a thousand."""

    containments: list[Containment]


SUSPECTS = {
    "parameters": [
        query("supplier_lot", "the supplier lot at fault; exactly one of this and return", ID),
        query("return", "the return to start from; exactly one of this and supplier_lot", ID),
        query("as_of", "what was known strictly before, not in the future; absent: now", MOMENT),
    ]
}
LIST = {"parameters": [query("state", "which", {"type": "string", "enum": list(STATES), "default": "open"})]}
_LOTS = {"type": "array", "minItems": 1, "maxItems": MOST_NAMED, "uniqueItems": True, "items": ID}
_EXPECTED = {"type": "boolean", "default": False, "description": "announced and not here yet: no table names it"}
OPEN = posted(
    {
        "oneOf": [
            fields("supplier_lot", "reason", supplier_lot=ID, expected=_EXPECTED, reason=REASON),
            fields("return", "reason", **{"return": ID}, reason=REASON),
            fields("lots", "reason", lots=_LOTS, reason=REASON),
        ]
    }
)
CLOSE = posted(fields("reason", reason=REASON), example={"reason": "the welds hold, see 8D-2211"})
_UNKNOWN = ("unknown_supplier_lot", "unknown_return")
_OPENED = {"closed": link("closed", {"containment_id": "/id"})}
_LISTED = {"closed": link("closed", {"containment_id": "/containments/0/id"})}
_FOLLOWED = {
    "opened": link("opened", body={"supplier_lot": here("/supplier_lots/0/supplier_lot_id"), "reason": "a call"}),
    "lot": link("lot", {"lot_id": "/lots/0/lot_id"}),
}
SUSPECTED = answers(ContainmentAnswer, "invalid_request", "future_as_of", "not_ready", *_UNKNOWN, links=_FOLLOWED)
LISTED = answers(ContainmentsAnswer, "invalid_request", "not_recorded", links=_LISTED)
OPENED = answers(RecordedContainment, *WRITES, *_UNKNOWN, "unknown_lot", "not_ready", links=_OPENED)
CLOSED = answers(RecordedContainment, *WRITES, "unknown_containment", "containment_closed")
