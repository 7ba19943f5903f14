"""The gate's routes."""

from time import time_ns
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from serving import wire, wire_gate
from serving.access import CALLER, Caller, caller_of
from serving.answering import as_json
from serving.bodies import read_body
from serving.gate_calls import Once, fields_of, read_gate_call
from serving.once import key_of, request_hash
from serving.quick import Answering, header
from serving.service import Service

PATH = "/v1/gate"
_KEY = "idempotency-key"


def gate_of(service: Service) -> Answering:
    """`POST /v1/gate` as it is answered before the framework."""

    async def answered(scope: Any, body: bytes) -> Any:
        return await _ask(service, scope[CALLER], header(scope, _KEY.encode()), body)

    return answered


def add_gate(app: FastAPI, service: Service) -> None:
    """May this lot ship; what was said; who said otherwise; what was done."""

    @app.post(PATH, tags=["gate"], openapi_extra=wire_gate.GATE, responses=wire_gate.GATED)
    async def gate(request: Request) -> Response:
        """Decides about lots, by id or by a record, which is kept as history first; recorded, or not given."""
        wire.query_of(request, ())
        return as_json(await _ask(service, caller_of(request), request.headers.get(_KEY), await read_body(request)))

    @app.get("/v1/gate/{audit_id}", tags=["gate"], responses=wire_gate.DECIDED)
    async def decision(request: Request, audit_id: str) -> Response:
        """A decision as it was recorded, and what has followed."""
        wire.query_of(request, ())
        return as_json(await run_in_threadpool(service.followed.decision, audit_id))

    @app.post(
        "/v1/gate/{audit_id}/override",
        tags=["gate"],
        openapi_extra=wire_gate.OVERRIDE,
        responses=wire_gate.OVERRIDDEN,
    )
    async def override(request: Request, audit_id: str) -> Response:
        """Puts another decision in its place, by whom the site grants it, with why."""
        return await _follow(request, audit_id, "override")

    @app.post(
        "/v1/gate/{audit_id}/carried_out",
        tags=["gate"],
        openapi_extra=wire_gate.CARRIED_OUT,
        responses=wire_gate.DONE,
    )
    async def carried_out(request: Request, audit_id: str) -> Response:
        """Notes that the decision was carried out; a disposition row follows."""
        return await _follow(request, audit_id, "carried_out")

    async def _follow(request: Request, audit_id: str, what: str) -> Response:
        wire.query_of(request, ())
        body, caller = await read_body(request), caller_of(request)
        key = key_of(request.headers.get(_KEY))
        once = Once(f"{what} {audit_id[:40]} {caller.actor}", key, request_hash(body))
        sent = fields_of(body, wire_gate.FIELDS[what])
        follow = getattr(service.followed, what)
        said = await run_in_threadpool(follow, audit_id, sent, caller=caller, once=once, now=service.gate.now())
        return as_json(said)


async def _ask(service: Service, caller: Caller, key: str | None, body: bytes) -> Any:
    call = read_gate_call(body, actor=caller.actor, key=key_of(key), now=_now(), timezone=service.site.timezone)
    return await service.gate.ask(call)


def _now() -> int:
    return time_ns() // 1000
