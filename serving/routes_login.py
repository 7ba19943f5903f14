"""The page on which a person logs in with a key, and the way out."""

from time import time_ns
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from serving.access import held
from serving.answering import same_origin
from serving.bodies import read_form
from serving.page_frame import read_frame
from serving.problems import Problem
from serving.service import Service
from serving.sessions import COOKIE, LASTS

_LONGEST = 10_000  # bytes of the form
_SECOND = 1_000_000


def add_login(app: FastAPI, service: Service) -> None:
    """`GET` and `POST /login`, `POST /logout`, none in the OpenAPI document."""
    frame = read_frame()

    def page(request: Request, *, to: str, fault: str = "", status: int = 200) -> Response:
        values = {"to": to, "fault": fault, "keys": service.keys.made}
        return frame.page(request, service, "login.html", values, status=status)

    @app.get("/login", include_in_schema=False)
    async def login_page(request: Request) -> Response:
        return page(request, to=_local(request.query_params.get("next", "")))

    @app.post("/login", include_in_schema=False)
    async def login(request: Request) -> Response:
        sent = await read_form(request, longest=_LONGEST)
        to = _local(sent.get("next", ""))
        if not same_origin(request):
            return page(request, to=to, fault="not_allowed", status=403)
        now = time_ns() // 1000
        try:
            key = held(f"Bearer {sent.get('key', '').strip()}", service.keys.now, now)
        except Problem as refused:
            return page(request, to=to, fault=refused.code, status=refused.status)
        service.keys.used(key.id, now)
        return _led(request, to, session=service.sessions.begin(key, now))

    @app.post("/logout", include_in_schema=False)
    async def logout(request: Request) -> Response:
        if not same_origin(request):
            return page(request, to="/", fault="not_allowed", status=403)
        return _led(request, "/login", session="")


def _led(request: Request, to: str, *, session: str) -> Response:
    """On to a page, with a session or, "", without one."""
    root = str(request.scope.get("root_path", "")).rstrip("/")
    response = RedirectResponse(root + to, status_code=303)
    cookie: dict[str, Any] = {"path": "/", "httponly": True, "samesite": "strict"}
    lasts = LASTS // _SECOND if session else 0
    response.set_cookie(COOKIE, session, max_age=lasts, secure=request.url.scheme == "https", **cookie)
    return response


def _local(path: str) -> str:
    """A path on this service and nowhere else: browsers read // and /\\ as another host, and drop tabs."""
    safe = path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable() and path.isascii()
    return path if safe else "/"
