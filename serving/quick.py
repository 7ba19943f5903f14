"""`POST /v1/scores` answered before the framework's routing, which takes longer than scoring a lot.

FastAPI solves dependencies and opens exit stacks for each request: 80 of its 175 microseconds, of two hundred in all.
The route in `serving.app` says the same to the OpenAPI document, and answers where this layer is not used.
"""

import logging
from collections.abc import AsyncIterator
from typing import Any

from pydantic_core import to_json

from serving.bodies import read_stream
from serving.problems import MEDIA_TYPE, Problem, problem
from serving.service import Service

log = logging.getLogger(__name__)

PATH = "/v1/scores"
_JSON = b"application/json"


class QuickScores:
    """ASGI middleware: the one route that lines wait for."""

    def __init__(self, app: Any, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = self  # its path is what requests are counted by
        status, media_type = 200, _JSON
        try:
            if scope["query_string"]:
                raise Problem("invalid_request", "this route has no parameters; everything stands in the body")
            body = await read_stream(_said_length(scope), _parts(receive))
            answer: Any = await self._service.scores_of(body)
        except Problem as fault:
            status, media_type, answer = fault.status, MEDIA_TYPE.encode(), problem(fault.code, fault.detail)
        except Exception as fault:  # told like any other problem, and logged whole
            log.exception("a call of %s failed", PATH)
            status, media_type = 500, MEDIA_TYPE.encode()
            answer = problem("internal_error", type(fault).__name__)
        told = to_json(answer, inf_nan_mode="null")
        headers = [(b"content-type", media_type), (b"content-length", str(len(told)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": told})

    @property
    def path(self) -> str:
        """Of the route."""
        return PATH


def _said_length(scope: Any) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"content-length"), "")


async def _parts(receive: Any) -> AsyncIterator[bytes]:
    """The body as it comes; Problem where its sender went away."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem("invalid_json", "the body ended before it was whole")
        yield message.get("body", b"")
        more = message.get("more_body", False)
