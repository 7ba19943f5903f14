"""Headers that every answer has, unless it has its own: what a browser may not do with it. CORS stays closed."""

from typing import Any

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_OVER_TLS = ((b"strict-transport-security", b"max-age=31536000"),)
SAFE = {name.decode(): value.decode() for name, value in _ALWAYS}


class SecurityHeaders:
    """ASGI middleware."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = _ALWAYS + _OVER_TLS if scope.get("scheme") == "https" else _ALWAYS

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                said = list(message.get("headers", ()))
                there = {name for name, _ in said}
                message = {**message, "headers": [*said, *(one for one in wanted if one[0] not in there)]}
            await send(message)

        await self._app(scope, receive, with_headers)
