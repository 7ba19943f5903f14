"""The wire shapes of containment, as the OpenAPI document tells them."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from features.record_rows import LONGEST
from serving import wire
from serving.containing import STATES
from serving.once import LONGEST as LONGEST_KEY
from serving.suspicion import MOST_NAMED

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


def _query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


_ID: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": LONGEST}
SUSPECTS = {
    "parameters": [
        _query("supplier_lot", "the supplier lot at fault; this or return", **_ID),
        _query("return", "the return to start from; this or supplier_lot", **_ID),
        _query("as_of", "what was known strictly before; absent: now", type="string"),
    ]
}
LIST = {"parameters": [_query("state", "which", type="string", enum=list(STATES), default="open")]}
_ONCE = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "the same key gets the same answer, and what it did is done once",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"},
}
_REASON = {"type": "string", "minLength": 1, "maxLength": 2000, "pattern": r"\S"}


def _body(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


def _posted(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "parameters": [_ONCE],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }


_LOTS = {"type": "array", "minItems": 1, "maxItems": MOST_NAMED, "items": {"type": "string"}}
OPEN = _posted(
    {
        "oneOf": [
            _body("supplier_lot", "reason", supplier_lot=_ID, reason=_REASON),
            _body("return", "reason", **{"return": _ID}, reason=_REASON),
            _body("lots", "reason", lots=_LOTS, reason=_REASON),
        ]
    }
)
CLOSE = _posted(_body("reason", reason=_REASON))
