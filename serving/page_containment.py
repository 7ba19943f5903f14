"""The Containment page: suspects of a supplier lot or a return by where they are; containments opened and closed."""

from collections.abc import Mapping
from typing import Any, Protocol

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from serving.access import caller_of
from serving.answering import same_origin
from serving.bodies import read_form
from serving.gate_calls import Once
from serving.page_frame import Site, read_frame
from serving.page_numbers import figure, minute
from serving.problems import Problem
from serving.roles import ROLES

SHOWN = 200  # lots of one place; nobody reads further, and the list as JSON has them all
CLOSED = 20  # containments that are over
PLACES = ("shipped", "returned", "in_house")
_LONGEST = 2**20  # bytes of a form: ten thousand lot ids
_NEVER_TWICE = Once("", None, "")


class Suspicion(Protocol):
    """Where the page takes what the API answers, in its wire shapes; `Problem` is raised as there."""

    async def suspects(self, *, supplier_lot: str | None, returned: str | None, as_of: int | None) -> Any: ...
    def listed(self, state: str) -> Any: ...
    def open(self, sent: Mapping[str, Any], *, actor: str, once: Once) -> Any: ...
    def close(self, number: str, sent: Mapping[str, Any], *, actor: str, once: Once) -> Any: ...


class Source(Site, Protocol):
    @property
    def suspicion(self) -> Suspicion: ...


def containment_pages(source: Source) -> APIRouter:
    """`GET /containment`, and what its forms post to; none in the OpenAPI document."""
    router, frame = APIRouter(include_in_schema=False), read_frame()

    async def page(request: Request, asked: Mapping[str, str], *, fault: Problem | None = None) -> Response:
        """`asked`: what was named, and the words of a form that was refused, so that nobody has to write them anew."""
        values = await _shown(source, asked)
        fault = fault or values["wrong"]
        role = caller_of(request).role
        values |= {"fault": fault, "may": role in ROLES["POST", "/v1/containments"], "asked": asked}
        status = 200 if fault is None else fault.status
        return await run_in_threadpool(frame.page, request, source, "containment.html", values, status=status)

    @router.get("/containment")
    async def shown(request: Request) -> Response:
        return await page(request, _asked(request.query_params))

    @router.post("/containment/open")
    async def opened(request: Request) -> Response:
        form = await read_form(request, longest=_LONGEST)
        asked = _asked(form)
        try:
            _check_origin(request)
            sent: dict[str, Any] = {name: asked[name] for name in ("supplier_lot", "return") if asked[name]}
            lots = [lot.strip() for lot in form.get("lots", "").splitlines() if lot.strip()]
            sent |= {"lots": lots} if lots else {}
            sent |= {"expected": True} if form.get("expected") else {}
            await _done(source.suspicion.open, sent | {"reason": form.get("reason")}, request)
        except Problem as fault:
            return await page(request, asked, fault=fault)
        return _back(request)

    @router.post("/containment/{containment_id}/close")
    async def closed(request: Request, containment_id: str) -> Response:
        form = await read_form(request, longest=_LONGEST)
        try:
            _check_origin(request)

            def close(sent: Mapping[str, Any], *, actor: str, once: Once) -> Any:
                return source.suspicion.close(containment_id, sent, actor=actor, once=once)

            await _done(close, {"reason": form.get("reason")}, request)
        except Problem as fault:
            return await page(request, _asked({}), fault=fault)
        return _back(request)

    return router


async def _done(what: Any, sent: Mapping[str, Any], request: Request) -> None:
    await run_in_threadpool(what, sent, actor=caller_of(request).actor, once=_NEVER_TWICE)


def _check_origin(request: Request) -> None:
    if not same_origin(request):
        raise Problem("not_allowed", "a containment is opened and closed from this service's own page")


def _back(request: Request) -> Response:
    """To the page itself: to load it again does nothing twice."""
    root = str(request.scope.get("root_path", "")).rstrip("/")
    return RedirectResponse(f"{root}/containment#open", status_code=303)


def _asked(sent: Mapping[str, str]) -> dict[str, str]:
    return {name: sent.get(name, "").strip() for name in ("supplier_lot", "return", "lots", "reason")}


async def _shown(source: Source, asked: Mapping[str, str]) -> dict[str, Any]:
    """Suspects, where some were asked for, and the containments; what cannot be said is said as such."""
    values: dict[str, Any] = {"answer": None, "groups": [], "wrong": None, "open": None, "closed": [], "reasons": []}
    named = {name: asked[name] for name in ("supplier_lot", "return") if asked[name]}
    if named:
        try:
            if len(named) > 1:
                raise Problem("invalid_request", "name a supplier lot or a return, not both")
            answer = await source.suspicion.suspects(
                supplier_lot=named.get("supplier_lot"), returned=named.get("return"), as_of=None
            )
            values |= {"answer": answer, "groups": _groups(answer), "reasons": _reasons(answer, source.timezone)}
        except Problem as fault:
            values["wrong"] = fault
    try:
        every = (await run_in_threadpool(source.suspicion.listed, "all"))["containments"]
    except Problem:
        return values
    values["open"] = [one for one in every if one["state"] == "open"]
    values["closed"] = [one for one in every if one["state"] == "closed"][:CLOSED]
    return values


def _groups(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """By place the lots that have units there, the riskiest first, each with its entries of that place."""
    groups = []
    for place in PLACES:
        lots: list[Any] = []
        total = answer["counts"]["lots_by_place"][place]
        for lot in answer["lots"]:
            entries = [entry for entry in lot["where"] if entry["place"] == place]
            if entries and len(lots) < SHOWN:
                lots.append(lot | {"entries": entries})
        units = answer["counts"]["units_by_place"][place]
        groups.append({"place": place, "lots": lots, "total": total, "units": units})
    nowhere = [lot | {"entries": []} for lot in answer["lots"] if not lot["where"]]
    groups.append({"place": "nowhere", "lots": nowhere[:SHOWN], "total": len(nowhere), "units": 0})
    return [group for group in groups if group["total"]]


def _reasons(answer: Mapping[str, Any], zone: str) -> list[dict[str, Any]]:
    """Codes of the boundary's reasons, with figures and times as the page writes them."""
    return [
        {"code": reason["code"], "values": {name: _said(name, value, zone) for name, value in reason["values"].items()}}
        for reason in answer["boundary"]["reasons"]
    ]


def _said(name: str, value: Any, zone: str) -> str:
    if name == "until":
        return minute(value, zone)
    return value if isinstance(value, str) else figure(value)
