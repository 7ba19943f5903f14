"""Who calls, and whether the caller may: one layer before every route.

While no key was ever made, by the audit log either, whoever sits at this machine may do everything, and nobody else
anything. From the first key on every caller sends one, as `Authorization: Bearer lr_…` or in the session of a page.
"""

import hmac
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import time_ns
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from pydantic_core import to_json
from starlette.routing import Match

from serving.answering import from_here, is_loopback, same_origin
from serving.keys import hash_of_secret, parts_of
from serving.known_keys import Known, KnownKeys
from serving.limits import Limits, TooMany, limited
from serving.problems import MEDIA_TYPE, Problem, problem
from serving.roles import ANYBODY, FORMS, PAGES, ROLES, route_of
from serving.sessions import Sessions, cookie_of

CALLER = "lotrisk.caller"
_NOBODY = "0" * 64  # compared with where there is no such key: an unknown id takes as long as a known one
_READS = ("GET", "HEAD")
SCORES = "/v1/scores"
"""Changes nothing but the score log, so that any page may ask."""
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Caller:
    """A key's id, name and role."""

    id: str
    name: str
    role: str

    @property
    def actor(self) -> str:
        """What the audit log calls the caller."""
        return f"key:{self.id} {self.name}" if self.id else self.name


LOCAL = Caller("", "local", "admin")
"""Every caller on loopback while there are no keys."""


def caller_of(request: Request) -> Caller:
    """Who calls."""
    found: Caller = request.scope[CALLER]
    return found


def is_nobody(request: Request) -> bool:
    """Whether somebody without a key asks where there are keys: of a route that answers anybody."""
    return CALLER not in request.scope


class Access:
    """ASGI middleware. `router`: the app, asked whether a path that stands in no table of roles is a route; `page`: a
    refusal as a page, for who asked for one."""

    def __init__(
        self,
        app: Any,
        *,
        keys: KnownKeys,
        sessions: Sessions,
        limits: Limits,
        router: Any,
        page: Callable[[Request, Problem], Response],
    ) -> None:
        self._app, self._keys, self._sessions, self._limits, self._router = app, keys, sessions, limits, router
        self._page = page

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            known = self._admit(scope)
            if known is not None and known.body_bytes is not None:
                receive = limited(receive, scope["headers"], known.body_bytes)
        except Problem as fault:
            if fault.status != 401 and _reads_pages(scope):
                await self._page(Request(scope), fault)(scope, receive, send)
            else:
                await _answer(scope, send, fault)
            return
        await self._app(scope, receive, send)

    def _admit(self, scope: Any) -> Known | None:
        """Notes the caller in `scope`; Problem for one who may not."""
        method, path, now = scope["method"], _path(scope), time_ns() // 1000
        route = route_of(method, path)
        roles = ROLES["GET" if method == "HEAD" else method, route] if route is not None else None
        if not self._keys.made:
            self._admit_local(scope, roles, method, path)
            return None
        if roles is ANYBODY:
            with suppress(Problem):  # whoever sends no key that holds is answered too, with less
                scope[CALLER] = _caller(self._known(scope, now))
            return None
        if not self._keys.now:
            raise Problem("no_key", self._keys.lost)
        known = self._known(scope, now)
        if roles is None:
            self._check_no_route(scope)
        scope[CALLER] = _caller(known)
        if roles is not None and known.role not in roles:
            raise Problem("not_allowed", f"{method} {route} is not for the role {known.role}")
        self._limits.take(known.id, known.calls_per_second)
        self._keys.used(known.id, now)
        return known

    def _admit_local(self, scope: Any, roles: Any, method: str, path: str) -> None:
        """Without any key: this machine only, and what changes something no page of another origin."""
        scope[CALLER] = LOCAL
        if roles is ANYBODY:
            return
        if method not in _READS and path != SCORES:
            from_here(Request(scope))
        client = scope.get("client")
        if client is None or not is_loopback(client[0]):
            raise Problem(
                "no_key", "there are no keys yet, so only this machine may ask; make one: lotrisk keys create"
            )
        if roles is None:
            self._check_no_route(scope)

    def _known(self, scope: Any, now: int) -> Known:
        """The key that is sent, or that of a session; Problem where none holds."""
        headers = scope["headers"]
        sent = next((value for name, value in headers if name == b"authorization"), None)
        if sent is None:
            cookies = "; ".join(value.decode("latin-1") for name, value in headers if name == b"cookie")
            session = self._sessions.key_of(cookie_of(cookies), self._keys.now, now) if cookies else None
            if session is None:
                raise Problem("no_key", "send a key: Authorization: Bearer lr_…")
            if scope["method"] not in _READS and not same_origin(Request(scope)):
                raise Problem("not_allowed", "a session changes something only from a page of this service")
            return session
        return held(sent.decode("latin-1"), self._keys.now, now)

    def _check_no_route(self, scope: Any) -> None:
        """A route without roles answers nobody; what is no route is told as such further in."""
        if any(route.matches(scope)[0] is Match.FULL for route in self._router.routes):
            raise Problem("not_allowed", "nobody has said who may use this route")


def _caller(known: Known) -> Caller:
    return Caller(known.id, known.name, known.role)


def held(sent: str, keys: Mapping[str, Known], now: int) -> Known:
    """The key of a header's value. Problem `key_refused`, or for one that is right but no longer holds why."""
    scheme, _, text = sent.partition(" ")
    key_id, secret = parts_of(text.strip()) if scheme.lower() == "bearer" else ("", "")
    known = keys.get(key_id)
    same = hmac.compare_digest(hash_of_secret(secret), _NOBODY if known is None else known.hash)
    if known is None or not same:
        raise Problem("key_refused", "this is no key of this service")
    if known.revoked_at is not None:
        raise Problem("key_revoked", f"key {known.id} was revoked; ask for another")
    if not known.usable(now):
        raise Problem("key_expired", f"key {known.id} has expired; ask for another")
    return known


def _path(scope: Any) -> str:
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _reads_pages(scope: Any) -> bool:
    """Whether a browser asks for a page, or sends the form of one."""
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return route_of(scope["method"], _path(scope)) in PAGES | FORMS and b"text/html" in accept


async def _answer(scope: Any, send: Any, fault: Problem) -> None:
    """The problem; a person without a session is led to the page where one begins."""
    status, headers, body = (
        fault.status,
        [(b"content-type", MEDIA_TYPE.encode())],
        to_json(problem(fault.code, fault.detail)),
    )
    path = _path(scope)
    if status == 401 and scope["method"] in _READS and route_of("GET", path) in PAGES:
        query = scope["query_string"].decode("latin-1")
        raw = _path({**scope, "path": scope.get("raw_path", b"/").decode("latin-1")})  # as it was sent, names encoded
        asked = quote(raw + (f"?{query}" if query else ""), safe="")
        to = f"{scope.get('root_path', '')}/login?next={asked}"
        status, headers, body = 303, [(b"location", to.encode("ascii"))], b""
    elif status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="lot-risk"'))
    if isinstance(fault, TooMany):
        headers.append((b"retry-after", str(fault.seconds).encode()))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
