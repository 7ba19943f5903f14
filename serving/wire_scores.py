"""What the routes of scores, lots, models and operation ask and answer, for the OpenAPI document."""

from serving import wire
from serving.bodies import MOST_LOTS, MOST_REASONS
from serving.queries import DECISIONS, FILTERS
from serving.standing import SORTS
from serving.wire_parts import BODY, ID, MOMENT, Answers, Told, answers, fields, here, link, posted, query

_ROW: Told = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}
RECORD: Told = {
    **fields(
        "lot",
        lot={
            **_ROW,
            "required": ["lot_id", "product_id", "produced_at"],
            "properties": {"lot_id": ID, "product_id": ID, "produced_at": MOMENT},
        },
        measurements={"type": "array", "items": _ROW},
        genealogy={"type": "array", "items": _ROW},
    ),
    "description": "A lot told with the call, by the canonical columns; further fields of lot are its attributes.",
}
_IN_PLACE: Told = {"description": "Anything else has a problem in its place, and the other lots their answer."}
LOTS_OF_CALL: Told = {"type": "array", "items": {"anyOf": [ID, RECORD, _IN_PLACE]}}
CALL = fields(
    "lots",
    lots={**LOTS_OF_CALL, "maxItems": MOST_LOTS},
    as_of={"anyOf": [MOMENT, {"type": "null"}], "description": "not in the future; null, or absent: now"},
    reasons={"type": "integer", "minimum": 0, "maximum": MOST_REASONS, "default": 0},
)
SCORES = posted(CALL, once=False, example={"lots": ["L000700"], "reasons": 3})
_PROMOTION = fields(
    reason={"type": "string", "maxLength": wire.LONGEST_REASON, "example": "better since the new resin"}
)
PROMOTE = posted(_PROMOTION, once=False, required=False)

_TEXT: Told = {"type": "string"}
_FILTERED: dict[str, Told] = {
    "decision": {"type": "string", "enum": list(DECISIONS)},
    "min_risk": {"type": "number", "minimum": 0, "maximum": 1},
    "shipped_from": MOMENT,
    "shipped_to": MOMENT,
}
_SORTED: Told = {"type": "string", "enum": [*(f"-{name}" for name in SORTS), *SORTS], "default": "-risk"}
_LIMIT: Told = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
LOTS = {
    "parameters": [
        {**one, "allowEmptyValue": True}
        for one in (
            *(query(name, f"only lots of this {name}", _FILTERED.get(name, _TEXT)) for name in FILTERS),
            query("sort", "- before the name: the greatest first", _SORTED),
            query("limit", "lots a page", _LIMIT),
            query("cursor", "`next` of the page before, with the same filters and sort", _TEXT),
            query("format", "csv: all lots as CSV, like Accept: text/csv", {"type": "string", "enum": ["json", "csv"]}),
        )
    ]
}
LOT = {"parameters": [query("as_of", "what was known strictly before, not in the future; absent: now", MOMENT)]}

_FIRST = here("/items/0/lot_id")
_OF_LOTS = {
    "lot": link("lot", {"lot_id": "/items/0/lot_id"}),
    "scores": link("scores", body={"lots": [_FIRST]}),
    "gate": link("gate", body={"lot_id": _FIRST}),
}
_OF_LOT = {
    "suspects": link("suspects", {"supplier_lot": "/genealogy/0/supplier_lot_id"}),
    "returned": link("suspects", {"return": "/returns/0/return_id"}),
    "opened": link("opened", body={"lots": [here("/lot_id")], "reason": "a complaint"}),
}
_OF_MODELS = {name: link(name, {"version": "/versions/0/version"}) for name in ("model_card", "promote")}
_CSV = {"text/csv": {"schema": {"type": "string"}}}
SCORED = answers(wire.ScoresAnswer, *BODY, "too_many_lots", "future_as_of", "not_ready")
LISTED = answers(wire.LotsAnswer, "invalid_request", "cursor_expired", "not_ready", content=_CSV, links=_OF_LOTS)
TOLD = answers(wire.LotAnswer, "invalid_request", "unknown_lot", "future_as_of", "not_ready", links=_OF_LOT)
VERSIONS = answers(wire.ModelsAnswer, "invalid_request", links=_OF_MODELS)
CARD = answers(None, "invalid_request", "unknown_version", content={"text/html": {"schema": {"type": "string"}}})
PROMOTED = answers(wire.PromoteAnswer, *BODY, "unknown_version", "bundle_refused", "registry_fault", "not_recorded")
REPORTED = answers(wire.ReportAnswer, "invalid_request")
ALIVE = answers(wire.HealthAnswer)
FIGURES = answers(None, content={"text/plain": {"schema": {"type": "string"}}})
READINESS: Answers = {**answers(wire.ReadyAnswer), 503: {"model": wire.ReadyAnswer, "description": "Something is not"}}
