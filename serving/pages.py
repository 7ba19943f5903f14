"""The pages: Lots, Lot, Model, Check a lot, and the API's own page, rendered here and whole without a script."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from serving.access import CALLER, Caller
from serving.limits import TooMany
from serving.page_docs import routes_of, schemas_of
from serving.page_frame import Site, read_frame
from serving.problems import PROBLEMS, Problem, problem
from serving.roles import ROLE_NAMES, ROLES, route_of

Wire = Mapping[str, Any]

PAGE = 100
DECISIONS = ("hold", "inspect", "cannot_assess", "release")
SORTS = (
    "-risk",
    "risk",
    "-expected_cost",
    "expected_cost",
    "-expected_saving",
    "expected_saving",
    "-shipped_at",
    "shipped_at",
    "-produced_at",
    "produced_at",
    "-quantity",
    "quantity",
    "lot_id",
    "-lot_id",
)
FILTERS = ("product", "line", "customer", "supplier_lot", "decision", "min_percent", "shipped_from", "shipped_to")
_SILENT: dict[str, Any] = {
    "decision": "cannot_assess",
    "says": "",
    "rules": [],
    "unknown": [],
    "problem": None,
    "risk": None,
}
"""Of the gate, as long as it has said nothing else of a lot."""
RECORDS = ("history", "genealogy", "measurements", "shipments", "returns", "dispositions", "outcomes")


class Previews(Protocol):
    """What the gate would answer about a lot, as a result of its own wire shape; `Problem` is raised as there."""

    async def preview(self, lot_id: str, *, language: str) -> Wire: ...


class PageSource(Site, Protocol):
    """Where the pages take what the API answers, in the API's own wire shapes; `Problem` is raised as there.

    `lots` gets the API's filters as texts, only those given: `min_risk` is a share, days are YYYY-MM-DD, [from, to).
    `lot` gives its reasons in `language`. `timezone`: an IANA name, that pages show times in.
    """

    @property
    def gate(self) -> Previews: ...
    async def lots(self, filters: Mapping[str, str], *, sort: str, cursor: str | None, limit: int) -> Wire: ...
    async def lot(self, lot_id: str, *, language: str) -> Wire: ...
    async def models(self) -> Wire: ...
    async def drift(self) -> Wire: ...
    async def performance(self) -> Wire: ...


@dataclass(frozen=True)
class _Shown:
    """A template and what it shows."""

    template: str
    values: Mapping[str, Any]
    status: int = 200


def refusals(source: Site) -> Callable[[Request, Problem], Response]:
    """What a browser gets that asks for a page which the caller may not open, or that asks too often."""
    frame = read_frame()

    def refused(request: Request, fault: Problem) -> Response:
        caller: Caller | None = request.scope.get(CALLER)
        root = str(request.scope.get("root_path", "")).rstrip("/")
        route = route_of(request.method, request.url.path.removeprefix(root)) or ""
        roles = ROLES.get(("GET" if request.method == "HEAD" else request.method, route), frozenset())
        if fault.code != "not_allowed" or caller is None or caller.role in roles:
            values: dict[str, Any] = {"title": PROBLEMS[fault.code][1], "detail": fault.detail}
            page = frame.page(request, source, "problem.html", values, status=fault.status)
            if isinstance(fault, TooMany):
                page.headers["retry-after"] = str(fault.seconds)
            return page
        values = {"role": caller.role, "roles": [role for role in ROLE_NAMES if role in roles]}
        return frame.page(request, source, "not_allowed.html", values, status=fault.status)

    return refused


def pages(source: PageSource) -> APIRouter:
    """The routes `/`, `/lots/{lot_id}`, `/model`, `/check`, `/docs` and `/static/{name}`, none in the OpenAPI document.

    The app that includes them is made with `docs_url=None, redoc_url=None`: FastAPI's own pages load from other hosts.
    """
    router, frame = APIRouter(include_in_schema=False), read_frame()

    async def page(request: Request, ready: Awaitable[_Shown]) -> Response:
        """Rendered in a thread: a page with plots takes a tenth of a second."""
        try:
            shown = await ready
        except Problem as fault:
            title = PROBLEMS[fault.code][1]
            shown = _Shown("problem.html", {"title": title, "detail": fault.detail}, fault.status)
        return await run_in_threadpool(frame.page, request, source, shown.template, shown.values, status=shown.status)

    @router.get("/")
    async def lots_page(request: Request) -> Response:
        return await page(request, _lots(source, request.query_params))

    @router.get("/lots/{lot_id:path}")
    async def lot_page(request: Request, lot_id: str) -> Response:
        return await page(request, _lot(source, lot_id, frame.language(request, source.language)))

    @router.get("/check")
    async def check_page(request: Request) -> Response:
        lot_id = request.query_params.get("lot", "").strip()
        return await page(request, _check(source, lot_id, frame.language(request, source.language)))

    @router.get("/model")
    async def model_page(request: Request) -> Response:
        return await page(request, _model(source))

    @router.get("/docs")
    async def docs_page(request: Request) -> Response:
        return await page(request, _docs(request.app.openapi()))

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        return frame.static_file(name)

    return router


async def _lots(source: PageSource, query: Mapping[str, str]) -> _Shown:
    asked = {name: query.get(name, "").strip() for name in FILTERS}
    filters, sort, cursor = _filters(asked), query.get("sort") or SORTS[0], query.get("cursor") or None
    answer = await source.lots(filters, sort=sort, cursor=cursor, limit=PAGE)
    values = {
        "asked": asked,
        "filtered": bool(filters),
        "sort": sort,
        "sorts": SORTS,
        "decisions": DECISIONS,
        "answer": answer,
        "items": answer["items"],
        "cursor": cursor,
        "csv": urlencode({**filters, "sort": sort, "format": "csv"}),
    }
    return _Shown("lots.html", values)


async def _lot(source: PageSource, lot_id: str, language: str) -> _Shown:
    try:
        answer = await source.lot(lot_id, language=language)
    except Problem as fault:
        if fault.code != "unknown_lot":
            raise
        return _Shown("unknown_lot.html", {"lot_id": lot_id}, fault.status)
    gate, _ = await _gate(source, lot_id, language)
    values: dict[str, Any] = {"lot_id": lot_id, "gate": gate}
    values |= {name: answer.get(name) for name in ("lot", "score", "problem", "history_problem")}
    return _Shown("lot.html", values | {name: answer.get(name, []) for name in RECORDS})


async def _check(source: PageSource, lot_id: str, language: str) -> _Shown:
    """Whatever goes wrong is an answer as large as any other, and never looks like a release."""
    values: dict[str, Any] = {"lot_id": lot_id, "score": None, "problem": None, "unknown": False, "gate": _SILENT}
    status = 200
    if lot_id:
        try:
            answer = await source.lot(lot_id, language=language)
            values |= {"score": answer["score"], "problem": answer["problem"]}
            values["gate"], status = await _gate(source, lot_id, language)
        except Problem as fault:
            status = fault.status
            values |= {"problem": {"detail": fault.detail}, "unknown": fault.code == "unknown_lot"}
    return _Shown("check.html", values, status)


async def _gate(source: PageSource, lot_id: str, language: str) -> tuple[Wire, int]:
    """What the gate would answer now, and the status of that; where it would answer nothing that is no release."""
    try:
        return {**_SILENT, **await source.gate.preview(lot_id, language=language)}, 200
    except Problem as fault:
        return _SILENT | {"problem": problem(fault.code, fault.detail)}, fault.status


async def _model(source: PageSource) -> _Shown:
    values = {"models": await source.models(), "drift": await source.drift()}
    return _Shown("model.html", values | {"performance": await source.performance()})


async def _docs(openapi: Wire) -> _Shown:
    values = {"routes": routes_of(openapi), "schemas": schemas_of(openapi), "info": openapi["info"]}
    return _Shown("docs.html", values)


def _filters(asked: Mapping[str, str]) -> dict[str, str]:
    """The API's filters: a share of 1 for one of 100, and for a last day the moment it ends.

    What is no number or no day is left for the API to refuse.
    """
    filters = {name: value for name, value in asked.items() if value and name != "min_percent"}
    if percent := asked["min_percent"].rstrip("%").strip().replace(",", "."):
        try:
            filters["min_risk"] = repr(round(float(percent) / 100, 12))
        except ValueError:
            filters["min_risk"] = percent
    if last := filters.get("shipped_to"):
        with suppress(ValueError, OverflowError):
            filters["shipped_to"] = (date.fromisoformat(last) + timedelta(days=1)).isoformat()
    return filters
