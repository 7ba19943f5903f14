"""The FastAPI app of one worker: routes translate, `Service` answers."""

import csv
import io
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import time_ns
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from features.site import read_site
from serving import wire, wire_scores
from serving.access import SCORES, Access, caller_of, is_nobody
from serving.answering import as_json, as_problem
from serving.bodies import moment, parsed, read_body
from serving.document import operation_id, tell
from serving.limits import Limits
from serving.metrics import Counted, Metrics
from serving.page_containment import containment_pages
from serving.pages import pages, refusals
from serving.problems import MEDIA_TYPE, Problem, problem
from serving.queries import FILTERS
from serving.quick import Quick
from serving.roles import methods_of
from serving.routes_containment import add_containment
from serving.routes_gate import PATH as GATE
from serving.routes_gate import add_gate, gate_of
from serving.routes_histories import add_histories
from serving.routes_login import add_login
from serving.security_headers import SAFE, SecurityHeaders
from serving.service import Service

PAGE, MOST = 100, 1000
CSV_PAGE = 10_000
_PATIENCE = 15.0  # seconds: until then a new worker lets callers wait rather than telling them that it is not ready
CARD_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
}
"""A model card carries its style and its pictures in itself, and runs nothing."""
_HTTP = {404: "not_found", 405: "method_not_allowed"}


def create_app(folder: Path, *, workers: int = 1, loaded: Callable[[], object] = lambda: None) -> FastAPI:
    """The app of the site in `folder`, one of so many workers'; SettingsError where it cannot be used.

    `loaded` is called once, before the first answer, when there is something to score with or it takes too long.
    """
    site = read_site(folder, os.environ)
    metrics = Metrics()
    service = Service(site, metrics)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        await service.wait(_PATIENCE)
        loaded()
        yield
        service.close()

    app = FastAPI(
        title=f"lot-risk: {site.name}",
        description="May this lot ship? Risk, decision and reasons of production lots, as of what was known.",
        version=wire.version(),
        lifespan=running,
        generate_unique_id_function=operation_id,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Quick, routes={SCORES: lambda _, body: service.scores_of(body), GATE: gate_of(service)})
    limits = Limits(site.calls_per_second, share=1 / workers)
    access: dict[str, Any] = {"keys": service.keys, "sessions": service.sessions, "limits": limits, "router": app}
    app.add_middleware(Access, **access, page=refusals(service))
    app.add_middleware(Counted, metrics=metrics)
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_fault)
    tell(app, keys=lambda: service.keys.made)
    _add_scores(app, service)
    _add_lots(app, service)
    _add_models(app, service)
    _add_health(app, service, metrics)
    add_gate(app, service)
    add_containment(app, service)
    add_histories(app, service)
    add_login(app, service)
    app.include_router(pages(service))
    app.include_router(containment_pages(service))
    return app


def _add_scores(app: FastAPI, service: Service) -> None:
    @app.post(SCORES, tags=["scores"], openapi_extra=wire_scores.SCORES, responses=wire_scores.SCORED)
    async def scores(request: Request) -> Response:
        """Scores lots by id or by a record sent with the call; one result or problem each, in the order sent."""
        return as_json(await service.scores_of(await read_body(request)))


def _add_lots(app: FastAPI, service: Service) -> None:
    @app.get("/v1/lots", tags=["lots"], openapi_extra=wire_scores.LOTS, responses=wire_scores.LISTED)
    async def lots(request: Request) -> Response:
        """Open lots by their stored scores: filtered, sorted, page by page; as CSV all of them."""
        asked = wire.query_of(request, (*FILTERS, "sort", "limit", "cursor", "format"))
        filters = {name: value for name, value in asked.items() if name in FILTERS}
        sort = asked.get("sort") or "-risk"
        if _as_csv(asked.get("format", ""), request.headers.get("accept", "")):
            if asked.get("limit") or asked.get("cursor"):
                raise Problem("invalid_request", "CSV has all lots: leave limit and cursor out")
            return await _csv(service, filters, sort)
        limit = wire.whole("limit", asked.get("limit") or str(PAGE), least=1, most=MOST)
        return as_json(await service.lots(filters, sort=sort, cursor=asked.get("cursor") or None, limit=limit))

    @app.get("/v1/lots/{lot_id:path}", tags=["lots"], openapi_extra=wire_scores.LOT, responses=wire_scores.TOLD)
    async def lot(request: Request, lot_id: str) -> Response:
        """Risk over time, reasons, genealogy, and what is known of a lot; `as_of`: what was known then."""
        asked = wire.query_of(request, ("as_of",))
        as_of = moment(asked["as_of"], now=_now(), timezone=service.timezone) if "as_of" in asked else None
        return as_json(await service.lot(lot_id, as_of=as_of))


def _add_models(app: FastAPI, service: Service) -> None:
    @app.get("/v1/models", tags=["models"], responses=wire_scores.VERSIONS)
    async def models(request: Request) -> Response:
        """The versions on this machine, which one scores, and why each was or was not promoted."""
        wire.query_of(request, ())
        return as_json(await service.models())

    @app.get("/v1/models/{version}/card", tags=["models"], responses=wire_scores.CARD)
    async def model_card(request: Request, version: str) -> Response:
        """The model card of a version as a page."""
        wire.query_of(request, ())
        return Response(await service.card(version), media_type="text/html", headers=CARD_HEADERS)

    @app.post(
        "/v1/models/{version}/promote",
        tags=["models"],
        openapi_extra=wire_scores.PROMOTE,
        responses=wire_scores.PROMOTED,
    )
    async def promote(request: Request, version: str) -> Response:
        """Makes a version the champion; while there are no keys from the machine itself only."""
        wire.query_of(request, ())
        body = await read_body(request)
        reason, actor = wire.reason_of(parsed(body) if body else {}), caller_of(request).actor
        return as_json(await service.promote(version, reason=reason, actor=actor))

    @app.get("/v1/drift", tags=["monitoring"], responses=wire_scores.REPORTED)
    async def drift(request: Request) -> Response:
        """Whether lots still look as they did in training, as `lotrisk monitor` last found."""
        wire.query_of(request, ())
        return as_json(await service.drift())

    @app.get("/v1/performance", tags=["monitoring"], responses=wire_scores.REPORTED)
    async def performance(request: Request) -> Response:
        """What came true of what was predicted, month by month, as `lotrisk monitor` last found."""
        wire.query_of(request, ())
        return as_json(await service.performance())


def _add_health(app: FastAPI, service: Service, metrics: Metrics) -> None:
    @app.get("/healthz", tags=["operation"], responses=wire_scores.ALIVE)
    async def healthz() -> Response:
        """This process lives."""
        return as_json({"alive": True})

    @app.get("/readyz", tags=["operation"], responses=wire_scores.READINESS)
    async def readyz(request: Request) -> Response:
        """Bundle, histories and database, each with what is wrong; 503 while one is. Why is told to who has a key."""
        said = service.ready(_now(), why=not is_nobody(request))
        return as_json(said, status=200 if said["ready"] else 503)

    @app.get("/metrics", tags=["operation"], responses=wire_scores.FIGURES)
    def measured() -> Response:
        """Figures of all workers for Prometheus."""
        text, media_type = metrics.text(service.log)
        return Response(text, headers={"content-type": media_type})


def _as_csv(form: str, accept: str) -> bool:
    """By the query, else by the header Accept."""
    if form not in ("", "json", "csv"):
        raise Problem("invalid_request", f"format must be json or csv, found {form[:100]}")
    return form == "csv" or (not form and "text/csv" in accept)


async def _csv(service: Service, filters: Mapping[str, str], sort: str) -> Response:
    """All lots of one run as CSV, a page of the list at a time."""
    first = await service.lots(filters, sort=sort, cursor=None, limit=CSV_PAGE)

    async def pieces() -> AsyncIterator[str]:
        page = first
        yield ",".join(wire.CSV_COLUMNS) + "\r\n"
        while True:
            for piece in _rows(page["items"]):
                yield piece
            if page["next"] is None:
                return
            page = await service.lots(filters, sort=sort, cursor=page["next"], limit=CSV_PAGE)

    headers = {"content-disposition": 'attachment; filename="lots.csv"'}
    return StreamingResponse(pieces(), media_type="text/csv; charset=utf-8", headers=headers)


def _rows(items: list[dict[str, Any]]) -> Iterator[str]:
    written = io.StringIO()
    rows = csv.writer(written)
    for item in items:
        rows.writerow([" ".join(v) if isinstance(v := item[name], list) else v for name in wire.CSV_COLUMNS])
    yield written.getvalue()


def _now() -> int:
    return time_ns() // 1000


def _of_problem(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, Problem)  # noqa: S101 - registered for nothing else
    return as_problem(fault.code, fault.detail)


def _of_http(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)  # noqa: S101 - registered for nothing else
    code = _HTTP.get(fault.status_code, "invalid_request")
    said = problem(code, f"{request.method} {request.url.path}: {fault.detail}") | {"status": fault.status_code}
    headers = dict(fault.headers or {})
    if fault.status_code == 405:  # the framework names the methods of one route, and a path may have several
        headers["Allow"] = ", ".join(methods_of(request.url.path)) or headers.get("Allow", "")
    return Response(to_json(said), fault.status_code, headers=headers, media_type=MEDIA_TYPE)


def _of_fault(_: Request, fault: Exception) -> Response:
    said = as_problem("internal_error", type(fault).__name__)
    said.headers.update(SAFE)  # made outside of the layer that adds them
    return said
