"""What lines wait for, answered before the framework's routing, which takes longer than scoring a lot.

FastAPI solves dependencies and opens exit stacks for each request: 80 of its 175 microseconds, where a score takes two
hundred in all and a decision of the gate, among others, a thousand. The routes in `serving.app` and
`serving.routes_gate` say the same to the OpenAPI document, and answer where this layer is not used.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from serving.bodies import read_stream
from serving.problems import MEDIA_TYPE, Problem, problem

log = logging.getLogger(__name__)

Answering = Callable[[Any, bytes], Awaitable[Any]]
"""From the scope of a request, which has its caller, and its body to what is answered as JSON."""
_JSON = b"application/json"


@dataclass(frozen=True)
class _Route:
    """What requests are counted by."""

    path: str


class Quick:
    """ASGI middleware. `routes`: by path, what answers a POST to it."""

    def __init__(self, app: Any, routes: Mapping[str, Answering]) -> None:
        self._app = app
        self._routes = {path: (_Route(path), answering) for path, answering in routes.items()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        found = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["route"], answering = found
        status, media_type = 200, _JSON
        try:
            if scope["query_string"]:
                raise Problem("invalid_request", "this route has no parameters; everything stands in the body")
            body = await read_stream(header(scope, b"content-length") or "", _parts(receive))
            answer: Any = await answering(scope, body)
        except Problem as fault:
            status, media_type, answer = fault.status, MEDIA_TYPE.encode(), problem(fault.code, fault.detail)
        except Exception as fault:  # told like any other problem, and logged whole
            log.exception("a call of %s failed", scope["path"])
            status, media_type = 500, MEDIA_TYPE.encode()
            answer = problem("internal_error", type(fault).__name__)
        told = to_json(answer, inf_nan_mode="null")
        headers = [(b"content-type", media_type), (b"content-length", str(len(told)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": told})


def header(scope: Any, name: bytes) -> str | None:
    """Of a request, by its name in lower case."""
    return next((value.decode("latin-1") for sent, value in scope["headers"] if sent == name), None)


async def _parts(receive: Any) -> AsyncIterator[bytes]:
    """The body as it comes; Problem where its sender went away."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem("invalid_json", "the body ended before it was whole")
        yield message.get("body", b"")
        more = message.get("more_body", False)
