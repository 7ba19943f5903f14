"""Who may do what: the roles of every route, in one place. A route that stands not here answers nobody."""

import re
from collections.abc import Mapping
from functools import lru_cache

from starlette.routing import compile_path

ROLE_NAMES = ("line", "planner", "engineer", "quality", "admin")
ANYBODY = frozenset({"anybody"})
"""Also without a key."""
ALL = frozenset(ROLE_NAMES)
_LINES = frozenset({"line", "quality", "admin"})
_OFFICE = ALL - {"line"}
_QUALITY = frozenset({"quality", "admin"})
_ENGINEERS = frozenset({"engineer", "admin"})

FREEING = ("supplier_lots", "inspections", "customers", "shipments", "dispositions", "outcomes")
"""Tables whose rows free lots that a rule or what became of them holds back: a line sends none."""

ROLES: Mapping[tuple[str, str], frozenset[str]] = {
    ("POST", "/v1/scores"): ALL,
    ("GET", "/v1/lots"): ALL,
    ("GET", "/v1/lots/{lot_id:path}"): ALL,
    ("POST", "/v1/gate"): _LINES,
    ("GET", "/v1/gate/{audit_id}"): _LINES,
    ("POST", "/v1/gate/{audit_id}/override"): ALL,  # whom the site grants it: [gate.authority], which the desk asks
    ("POST", "/v1/gate/{audit_id}/carried_out"): _LINES,
    ("POST", "/v1/histories/{table}"): _LINES | {"engineer"},
    **{("POST", f"/v1/histories/{table}"): _QUALITY | {"engineer"} for table in FREEING},
    ("GET", "/v1/containment"): _OFFICE,
    ("GET", "/v1/containments"): _OFFICE,
    ("POST", "/v1/containments"): _QUALITY,
    ("POST", "/v1/containments/{containment_id}/close"): _QUALITY,
    ("GET", "/v1/models"): _OFFICE,
    ("GET", "/v1/models/{version}/card"): _OFFICE,
    ("POST", "/v1/models/{version}/promote"): _ENGINEERS,
    ("GET", "/v1/drift"): _OFFICE,
    ("GET", "/v1/performance"): _OFFICE,
    ("GET", "/metrics"): _ENGINEERS,
    ("GET", "/openapi.json"): ALL,
    ("GET", "/healthz"): ANYBODY,
    ("GET", "/readyz"): ANYBODY,
    ("GET", "/static/{name}"): ANYBODY,
    ("GET", "/login"): ANYBODY,
    ("POST", "/login"): ANYBODY,
    ("POST", "/logout"): ANYBODY,
    ("GET", "/"): ALL,
    ("GET", "/lots/{lot_id:path}"): ALL,
    ("GET", "/check"): ALL,
    ("GET", "/model"): _OFFICE,
    ("GET", "/containment"): _OFFICE,
    ("POST", "/containment/open"): _QUALITY,
    ("POST", "/containment/{containment_id}/close"): _QUALITY,
    ("GET", "/docs"): ALL,
}

PAGES = frozenset({"/", "/lots/{lot_id:path}", "/check", "/model", "/containment", "/docs"})
"""Where a person without a session is led to the log-in page."""
FORMS = frozenset({"/containment/open", "/containment/{containment_id}/close"})
"""Where forms of pages are sent to: a page answers."""


def route_of(method: str, path: str) -> str | None:
    """The path of the table's route that answers; None: there is none here, so nobody may."""
    method = "GET" if method == "HEAD" else method
    if (method, path) in ROLES:
        return path
    for pattern, route in _patterns(method):
        if pattern.match(path):
            return route
    return None


def may_open(role: str, path: str) -> bool:
    """Whether a role may see a page."""
    return role in ROLES.get(("GET", route_of("GET", path) or ""), ())


def methods_of(path: str) -> list[str]:
    """What may be asked of a path."""
    return sorted({method for method, _ in ROLES if route_of(method, path) is not None})


@lru_cache
def _patterns(method: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """As the framework reads them, of the routes with a name in their path."""
    return tuple((compile_path(path)[0], path) for of, path in ROLES if of == method and "{" in path)
