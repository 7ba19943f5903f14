"""The gate's wire shapes, as the OpenAPI document tells them."""

from typing import Any

from pydantic import BaseModel

from features.contracts import ACTIONS
from features.decision import HOLD, INSPECT, RELEASE
from serving import wire
from serving.gate_calls import MOST
from serving.wire_parts import ID, REASON, WRITES, Told, answers, fields, link, posted
from serving.wire_scores import CALL, LOTS_OF_CALL

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


_MANY: Told = {**CALL, "properties": {**CALL["properties"], "lots": {**LOTS_OF_CALL, "minItems": 1, "maxItems": MOST}}}
GATE = posted({"oneOf": [fields("lot_id", lot_id=ID), _MANY]}, example={"lot_id": "L000700"})
OVERRIDE = posted(
    fields(
        "decision", "reason", decision={"type": "string", "enum": [RELEASE, INSPECT, HOLD]}, reason=REASON, lot_id=ID
    ),
    example={"decision": "release", "reason": "measured again by two people: the gauge was wrong"},
)
CARRIED_OUT = posted(
    fields(
        action={"type": "string", "enum": list(ACTIONS)},
        found={
            "enum": [0, 1, None],
            "description": "of an inspection, and of nothing else: 1: it found the lot failing",
        },
        lot_id=ID,
    ),
    example={"action": "inspected", "found": 0},
)
_FOLLOWS = (*WRITES, "unknown_decision", "unknown_lot")
_NAMED = {name: link(name, {"audit_id": "/audit_id"}) for name in ("decision", "override", "carried_out")}
_OF = {"decision": link("decision", {"audit_id": "/of"}), "carried_out": link("carried_out", {"audit_id": "/of"})}
GATED = answers(GateAnswer, *WRITES, "too_many_lots", "future_as_of", "not_ready", links=_NAMED)
DECIDED = answers(DecisionAnswer, "invalid_request", "unknown_decision", "not_ready")
OVERRIDDEN = answers(FollowedAnswer, *_FOLLOWS, "not_authorised", "not_decided", "not_ready", links=_OF)
DONE = answers(FollowedAnswer, *_FOLLOWS, "not_decided", "not_ready", links=_OF)
