"""The routes of containment."""

from enum import Enum

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from serving import wire, wire_containment
from serving.access import caller_of
from serving.answering import as_json
from serving.bodies import moment, read_body
from serving.gate_calls import Once, fields_of
from serving.once import key_of, request_hash
from serving.problems import Problem
from serving.service import Service
from serving.suspicion import FIELDS


def add_containment(app: FastAPI, service: Service) -> None:
    """Which lots are suspect; containments opened, listed and closed."""
    suspicion = service.suspicion
    tags: list[str | Enum] = ["containment"]

    @app.get(
        "/v1/containment",
        tags=tags,
        openapi_extra=wire_containment.SUSPECTS,
        responses=wire_containment.SUSPECTED,
    )
    async def suspects(request: Request) -> Response:
        """Lots that a supplier lot went into or may have, or that share one with a returned lot; where each is."""
        asked = wire.query_of(request, ("supplier_lot", "return", "as_of"))
        supplier_lot, returned = asked.get("supplier_lot"), asked.get("return")
        if (supplier_lot is None) == (returned is None) or "" in (supplier_lot, returned):
            raise Problem("invalid_request", "give exactly one of supplier_lot and return")
        now, text = service.gate.now(), asked.get("as_of")
        as_of = None if text is None else moment(text, now=now, timezone=service.timezone)
        return as_json(await suspicion.suspects(supplier_lot=supplier_lot, returned=returned, as_of=as_of))

    @app.get(
        "/v1/containments",
        tags=tags,
        openapi_extra=wire_containment.LIST,
        responses=wire_containment.LISTED,
    )
    async def listed(request: Request) -> Response:
        """Containments: who opened each, when and why, and how many lots it holds now."""
        asked = wire.query_of(request, ("state",))
        return as_json(await run_in_threadpool(suspicion.listed, asked.get("state", "open")))

    @app.post(
        "/v1/containments",
        tags=tags,
        openapi_extra=wire_containment.OPEN,
        responses=wire_containment.OPENED,
    )
    async def opened(request: Request) -> Response:
        """Opens a containment: the lots that it holds fail the gate from then on."""
        wire.query_of(request, ())
        body, actor = await read_body(request), caller_of(request).actor
        once = _once(request, f"containment {actor}", body)
        return as_json(await run_in_threadpool(suspicion.open, fields_of(body, FIELDS), actor=actor, once=once))

    @app.post(
        "/v1/containments/{containment_id}/close",
        tags=tags,
        openapi_extra=wire_containment.CLOSE,
        responses=wire_containment.CLOSED,
    )
    async def closed(request: Request, containment_id: str) -> Response:
        """Closes a containment, with why: what only it held is no longer held."""
        wire.query_of(request, ())
        body, actor = await read_body(request), caller_of(request).actor
        once = _once(request, f"close containment {containment_id[:40]} {actor}", body)
        sent = fields_of(body, ("reason",))
        return as_json(await run_in_threadpool(suspicion.close, containment_id, sent, actor=actor, once=once))


def _once(request: Request, scope: str, body: bytes) -> Once:
    return Once(scope, key_of(request.headers.get("idempotency-key")), request_hash(body))
