"""The route that takes rows of the histories."""

from fastapi import FastAPI, Request, Response

from serving import wire
from serving.access import caller_of
from serving.answering import as_json
from serving.bodies import read_body
from serving.once import key_of
from serving.service import Service
from serving.wire_histories import HISTORIES, TAKEN


def add_histories(app: FastAPI, service: Service) -> None:
    """`POST /v1/histories/{table}`."""

    @app.post(
        "/v1/histories/{table}",
        tags=["histories"],
        openapi_extra=HISTORIES,
        responses=TAKEN,
    )
    async def histories(request: Request, table: str) -> Response:
        """Keeps rows of a table: good ones go in while bad ones are refused; durable before it answers."""
        wire.query_of(request, ())
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        key, caller = key_of(request.headers.get("idempotency-key")), caller_of(request)
        body = await read_body(request)
        return as_json(await service.arriving.ask(table, body, media_type=media_type, key=key, caller=caller))
