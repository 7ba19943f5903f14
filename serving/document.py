"""The OpenAPI document: what the framework reads off the routes, and what no route says of itself.

The layer of access answers before every route: that a key is wanted, and its problems, are told here, by the roles.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from serving.problems import MEDIA_TYPE, PROBLEMS
from serving.roles import ANYBODY, ROLES, route_of
from serving.wire import ProblemDetails
from serving.wire_parts import PROBLEMS_OF

_SCHEME = "bearerAuth"
_ACCESS = ("no_key", "key_refused", "key_expired", "key_revoked", "not_allowed", "too_many_requests")
_ALWAYS = ("internal_error",)
_HEADERS: Mapping[int, dict[str, Any]] = {
    401: {
        "WWW-Authenticate": {
            "description": "how to send a key",
            "required": True,
            "schema": {"type": "string", "pattern": "^Bearer "},
        }
    },
    429: {
        "Retry-After": {
            "description": "seconds until the key may call again",
            "required": True,
            "schema": {"type": "integer", "minimum": 1},
        }
    },
}
_METHODS = ("get", "post")


def tell(app: FastAPI, *, keys: Callable[[], bool]) -> None:
    """Lets the app tell its document. `keys`: whether any key was ever made, without which none is wanted."""
    told = app.openapi

    def document() -> dict[str, Any]:
        made = app.openapi_schema or _completed(told())
        app.openapi_schema = made
        return made if keys() else {**made, "paths": _open(made["paths"])}

    app.openapi = document  # type: ignore[method-assign]


def operation_id(route: APIRoute) -> str:
    """Links name operations by it."""
    return route.name


def _completed(made: dict[str, Any]) -> dict[str, Any]:
    parts = made.setdefault("components", {})
    parts["securitySchemes"] = {
        _SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "lr_…",
            "description": "A key of this service. While none was ever made, the machine itself needs none.",
        }
    }
    schemas = parts.setdefault("schemas", {})
    schemas["ProblemDetails"] = ProblemDetails.model_json_schema()
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for _, (method, path, operation) in operations_of(made):
        _complete(operation, method, path)
    return made


def operations_of(document: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str, dict[str, Any]]]]:
    """By id: method, path, and what is said of it."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield item[method]["operationId"], (method.upper(), path, item[method])


def _complete(operation: dict[str, Any], method: str, path: str) -> None:
    own = operation["responses"]["200"].pop(PROBLEMS_OF, ())
    operation["responses"].pop("422", None)  # the framework's own: no route lets it read parameters
    route = route_of(method, path)
    wanted = route is not None and ROLES[method, route] is not ANYBODY
    codes = [*own, *_ALWAYS]
    if wanted:
        operation["security"] = [{_SCHEME: []}]
        codes += [*_ACCESS, *(["loopback_only"] if method != "GET" else [])]
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(PROBLEMS[code][0], []).append(code)
    for status, those in sorted(by_status.items()):
        operation["responses"].setdefault(str(status), _problem(status, those))
    parameters = {(one["in"], one["name"]): one for one in operation.get("parameters", ())}
    if parameters:  # what a route tells of a parameter stands after what the framework reads off it
        operation["parameters"] = list(parameters.values())


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    schema = {
        "allOf": [{"$ref": "#/components/schemas/ProblemDetails"}],
        "properties": {"code": {"enum": codes}, "status": {"const": status}},
    }
    told = {"description": "; ".join(PROBLEMS[code][1] for code in codes), "content": {MEDIA_TYPE: {"schema": schema}}}
    return told | ({"headers": _HEADERS[status]} if status in _HEADERS else {})


def _open(paths: Mapping[str, Any]) -> dict[str, Any]:
    """The same with no key wanted of any operation."""
    return {
        path: {
            method: {name: value for name, value in operation.items() if name != "security"}
            if method in _METHODS
            else operation
            for method, operation in item.items()
        }
        for path, item in paths.items()
    }
