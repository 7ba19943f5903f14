"""What all routes share: an answer as JSON, a problem, and who may change something."""

from ipaddress import ip_address
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

from serving.problems import MEDIA_TYPE, Problem, problem


def as_json(said: Any, *, status: int = 200) -> Response:
    """An answer; NaN is null."""
    return Response(to_json(said, inf_nan_mode="null"), status_code=status, media_type="application/json")


def as_problem(code: str, detail: str) -> Response:
    """An answer that is a problem."""
    said = problem(code, detail)
    return Response(to_json(said), status_code=said["status"], media_type=MEDIA_TYPE)


def from_here(request: Request) -> None:
    """Problem `loopback_only` for a caller elsewhere, and for a page of another origin in a browser here.

    A page may come by a name that its owner lets lead here: only an origin on this machine is one of ours.
    """
    here = request.client is not None and is_loopback(request.client.host)
    origin = request.headers.get("origin")
    if origin is not None:
        _, _, place = origin.partition("://")
        here &= place == request.headers.get("host") and is_loopback(place.rpartition(":")[0] or place)
    if not here:
        raise Problem(
            "loopback_only", "this route changes something; without any key made it answers this machine only"
        )


def same_origin(request: Request) -> bool:
    """Whether a browser says that a page of this very address asks."""
    _, _, place = request.headers.get("origin", "").partition("://")
    return bool(place) and place == request.headers.get("host")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its address or as localhost."""
    try:
        return host == "localhost" or ip_address(host.strip("[]").removeprefix("::ffff:")).is_loopback
    except ValueError:
        return False
