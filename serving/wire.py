"""The wire shapes as the OpenAPI document tells them, and what is read from queries. No answer is built from them."""

from importlib import metadata
from typing import Any, Literal

from pydantic import BaseModel
from starlette.requests import Request

from features.period import nearest
from serving.problems import Problem
from serving.standing import OF_LOTS

LONGEST_REASON = 1000  # characters, of a promotion
Decision = Literal["release", "inspect", "hold", "cannot_assess"]
CSV_COLUMNS = (
    "lot_id", *OF_LOTS, "quantity", "produced_at", "shipped_at", "risk", "expected_cost", "decision", "warnings",
    "model_version", "as_of", "features_as_of", "expected_saving", "within_capacity", "risk_low", "risk_high",
)  # fmt: skip


class ProblemDetails(BaseModel):
    """RFC 9457. `code` is the last part of `type`."""

    type: str
    title: str
    status: int
    detail: str
    code: str


class Reason(BaseModel):
    """A SHAP contribution, in the model's margin (log odds)."""

    feature: str
    text: str
    value: float | str | None
    contribution: float


class Rests(BaseModel):
    """What a score rests on."""

    code: str
    detail: str


class Told(BaseModel):
    """A lot by its score. `risk`: probability of failing; between `risk_low` and `risk_high` lies the own probability
    of nine in ten lots of this risk. `expected_cost`: of releasing, `expected_saving`: by not."""

    lot_id: str
    risk: float
    risk_low: float | None
    risk_high: float | None
    expected_cost: float
    expected_saving: float
    decision: Decision
    model_version: str
    as_of: str
    features_as_of: str | None


class Result(Told):
    """A lot scored now."""

    reasons: list[Reason]
    warnings: list[Rests]


class Unscored(BaseModel):
    """A lot that could not be scored, in its place."""

    lot_id: str | None
    problem: ProblemDetails


class ScoresAnswer(BaseModel):
    """In the order and of the length sent."""

    as_of: str
    model_version: str
    results: list[Result | Unscored]


class ListedLot(Told):
    """An open lot by its stored score. `within_capacity`: of a lot to be inspected, whether it fits into the day."""

    product_id: str | None
    line_id: str | None
    customer_id: str | None
    quantity: int
    produced_at: str
    shipped_at: str | None
    within_capacity: bool | None
    warnings: list[str]


class LotsAnswer(BaseModel):
    """A page. `next`: cursor of the following one; `total`: of all pages."""

    items: list[ListedLot]
    next: str | None
    total: int
    as_of: str | None
    model_version: str | None
    features_as_of: str | None


class LotAnswer(BaseModel):
    """What is known of a lot."""

    lot_id: str
    lot: dict[str, Any]
    score: Result | None
    problem: ProblemDetails | None
    history: list[dict[str, Any]]
    history_problem: str | None
    genealogy: list[dict[str, Any]]
    measurements: list[dict[str, Any]]
    shipments: list[dict[str, Any]]
    returns: list[dict[str, Any]]
    dispositions: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]


class ModelsAnswer(BaseModel):
    """Versions, the latest first. `serving`: what scores now; `problem`: why a newer champion does not.

    `challenger`: what is tried beside it, answering nobody; `challenger_problem`: why it does not score.
    """

    site: str
    champion: str | None
    challenger: str | None
    serving: str | None
    rate: str | None
    problem: str | None
    challenger_problem: str | None
    versions: list[dict[str, Any]]


class PromoteAnswer(BaseModel):
    """`replaced`: the champion before; null: none, or the version was champion already."""

    champion: str
    replaced: str | None


class ReportAnswer(BaseModel):
    """What `lotrisk monitor` wrote last; `verdict` is `not_run` before that."""

    model_config = {"extra": "allow"}

    verdict: str
    detail: str


class HealthAnswer(BaseModel):
    """The process lives."""

    alive: bool


class ReadyAnswer(BaseModel):
    """`checks`: bundle, histories and database, each {"ok", "detail"}."""

    ready: bool
    checks: dict[str, dict[str, Any]]


def version() -> str:
    """Of the distribution."""
    return metadata.version("lot-risk")


def query_of(request: Request, names: tuple[str, ...]) -> dict[str, str]:
    """The query's parameters; Problem `invalid_request` for one that is not of `names` or stands there twice."""
    asked: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in names:
            raise Problem(
                "invalid_request",
                f"unknown parameter {name[:100]}{nearest(name, names) if names else '; this route has none'}",
            )
        if name in asked:
            raise Problem("invalid_request", f"parameter {name} stands in the query twice")
        asked[name] = value
    return asked


def whole(name: str, text: str, *, least: int, most: int) -> int:
    """A whole number of a query."""
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not least <= int(text) <= most:
        raise Problem("invalid_request", f"{name} must be a whole number from {least} to {most}, found {text[:100]}")
    return int(text)


def reason_of(sent: Any) -> str:
    """Why a version is promoted, from the body."""
    if not isinstance(sent, dict) or set(sent) - {"reason"} or not isinstance(sent.get("reason", ""), str):
        raise Problem("invalid_request", 'the body must be nothing or {"reason": text}')
    if len(reason := str(sent.get("reason", ""))) > LONGEST_REASON:
        raise Problem("invalid_request", f"reason has {len(reason)} characters; it may have {LONGEST_REASON}")
    return reason
