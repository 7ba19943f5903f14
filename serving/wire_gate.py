"""The gate's wire shapes, as the OpenAPI document tells them."""

from typing import Any

from pydantic import BaseModel

from features.decision import HOLD, INSPECT, RELEASE
from features.record_rows import LONGEST
from serving import wire
from serving.followed import ACTIONS
from serving.gate_calls import MOST
from serving.once import LONGEST as LONGEST_KEY

FIELDS = {"override": ("decision", "reason", "lot_id"), "carried_out": ("action", "found", "lot_id")}
"""What bodies may have."""


class Rule(BaseModel):
    """A rule that holds the lot, whatever its risk."""

    rule: str
    action: str
    text: str
    what: list[str]


class State(BaseModel):
    """Why the model cannot answer, and what follows."""

    state: str
    outcome: str
    text: str
    detail: str


class Decision(BaseModel):
    """Of one lot. `risk` and costs are null of a lot that nobody knows. `says`: what to do and why, "" to release."""

    lot_id: str
    risk: float | None
    risk_low: float | None
    risk_high: float | None
    expected_cost: float | None
    expected_saving: float | None
    decision: wire.Decision
    reasons: list[wire.Reason]
    model_version: str
    as_of: str
    features_as_of: str | None
    warnings: list[wire.Rests]
    rules: list[Rule]
    unknown: list[State]
    says: str
    stands_until: str


class Undecided(BaseModel):
    """A lot that could not be decided about, in its place; its decision is `cannot_assess`."""

    lot_id: str | None
    problem: wire.ProblemDetails
    decision: wire.Decision


class GateAnswer(BaseModel):
    """`histories`: by table, the latest known time of a row before `as_of`."""

    audit_id: str
    as_of: str
    model_version: str
    results: list[Decision | Undecided]
    histories: dict[str, str | None]


class What(BaseModel):
    """What became of a lot's decision: the one that stands `now`, what was done, what an inspection found."""

    lot_id: str
    now: str
    action: str | None
    found: int | None


class DecisionAnswer(GateAnswer):
    """A decision as it stands in the audit log."""

    at: str
    actor: str
    hash: str
    followed: list[What]


class FollowedAnswer(BaseModel):
    """`audit_id` of the new entry, `of` the decision. `disposition`: the row that was written; null: none."""

    audit_id: str
    of: str
    lot_id: str
    decision: str
    previous: str | None
    disposition: dict[str, Any] | None


_ID = {"type": "string", "minLength": 1, "maxLength": LONGEST}
_LOTS = wire.SCORES["requestBody"]["content"]["application/json"]["schema"]  # type: ignore[index]
_ONCE = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "the same key gets the same answer, and what it did is done once",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"},
}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "parameters": [_ONCE],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


_SEVERAL = {**_LOTS, "properties": {**_LOTS["properties"]}}
_SEVERAL["properties"]["lots"] = {**_LOTS["properties"]["lots"], "minItems": 1, "maxItems": MOST}
GATE = _body({"oneOf": [_object(["lot_id"], lot_id=_ID), _SEVERAL]})
_REASON = {"type": "string", "minLength": 1, "maxLength": 2000}
OVERRIDE = _body(
    _object(
        ["decision", "reason"],
        decision={"type": "string", "enum": [RELEASE, INSPECT, HOLD]},
        reason=_REASON,
        lot_id=_ID,
    )
)
CARRIED_OUT = _body(
    _object([], action={"type": "string", "enum": list(ACTIONS)}, found={"enum": [0, 1, None]}, lot_id=_ID)
)
