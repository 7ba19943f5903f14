"""Bodies of requests: read up to a limit, parsed strictly, held to their shape."""

from collections.abc import AsyncIterator, Mapping
from math import isinf
from typing import Any
from urllib.parse import parse_qs

from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from features.asof import before
from features.period import nearest
from features.times import read_moment
from serving.answers import Call
from serving.problems import Problem

MOST_LOTS = 10_000
MOST_REASONS = 20
MOST_BYTES = 64 * 1024 * 1024  # 10,000 records of 250 values
FIELDS = ("lots", "as_of", "reasons")
_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
_HUGE = (b"0e000", b"0" * 200)
"""In a text so shaped, and without plus signs, what each number has that no float can hold: the largest is 1.8e308."""


async def read_body(request: Request) -> bytes:
    """The whole body; Problem `body_too_large` as soon as it is known to be."""
    try:
        return await read_stream(request.headers.get("content-length", ""), request.stream())
    except ClientDisconnect:
        raise Problem("invalid_json", "the body ended before it was whole") from None


async def read_stream(said_length: str, stream: AsyncIterator[bytes]) -> bytes:
    """The same of a body in parts. `said_length`: of the header, "": it does not say."""
    if said_length.isdigit() and int(said_length) > MOST_BYTES:
        raise _too_large()
    parts, size = [], 0
    async for part in stream:
        size += len(part)
        if size > MOST_BYTES:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


async def read_form(request: Request, *, longest: int) -> dict[str, str]:
    """The fields that a form sent, each once; none of what is too long for one."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > longest:
            return {}
    fields = parse_qs(body.decode("utf-8", errors="replace"), max_num_fields=10)
    return {name: values[0] for name, values in fields.items()}


def parsed(body: bytes) -> Any:
    """The body's value. Problem `invalid_json` for anything that RFC 8259 does not allow, NaN and infinities too."""
    try:
        return value_of(body)
    except ValueError as wrong:
        raise Problem("invalid_json", f"the body is not JSON: {wrong}") from None


def value_of(text: bytes) -> Any:
    """What a JSON text says; ValueError where it is none, and for a number that no float can hold, such as 1e999.

    The parser reads such a number as infinite. Each value is looked at only where the text may hold one: that would
    take as long as to read it, and to look at the text takes half of that.
    """
    value = from_json(text, allow_inf_nan=False)
    shape = text.translate(_SHAPE, b"+")
    if any(huge in shape for huge in _HUGE) and _holds_infinity(value):
        raise ValueError("a number is too large")
    return value


def _holds_infinity(value: Any) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, float) and isinf(one):
            return True
    return False


def read_call(body: bytes, *, now: int, timezone: str) -> Call:
    """The call of `POST /v1/scores`. Problem says what is wrong with it as a whole; lots are looked at one by one."""
    return call_of(parsed(body), now=now, timezone=timezone)


def call_of(sent: Any, *, now: int, timezone: str) -> Call:
    """The same of a body that is parsed."""
    if not isinstance(sent, dict):
        raise Problem("invalid_request", "the body must be an object with the field lots")
    for name in sent:
        if name not in FIELDS:
            raise Problem("invalid_request", f"unknown field {name[:100]}{nearest(name, FIELDS)}")
    return Call(_lots(sent), _as_of(sent, now=now, timezone=timezone), _reasons(sent))


def _lots(sent: Mapping[str, Any]) -> list[Any]:
    lots = sent.get("lots")
    if not isinstance(lots, list):
        raise Problem("invalid_request", "lots must be a list of ids and records")
    if len(lots) > MOST_LOTS:
        raise Problem("too_many_lots", f"{len(lots)} lots in one call; send at most {MOST_LOTS}")
    return lots


def _as_of(sent: Mapping[str, Any], *, now: int, timezone: str) -> int | None:
    text = sent.get("as_of")
    if text is None:
        return None
    if not isinstance(text, str) or len(text) > 100:
        raise Problem("invalid_request", "as_of must be a time like 2026-03-05T14:00:00Z")
    return moment(text, now=now, timezone=timezone)


def moment(text: str, *, now: int, timezone: str) -> int:
    """A moment that is not in the future; Problem if it is, or is none."""
    try:
        as_of = read_moment(text, timezone)
    except ValueError as wrong:
        raise Problem("invalid_request", f"as_of: {wrong}") from None
    if before(now, as_of):  # nothing is known then
        raise Problem("future_as_of", f"as_of {text} lies in the future; give a past moment or none")
    return as_of


def _reasons(sent: Mapping[str, Any]) -> int:
    reasons = sent.get("reasons", 0)
    whole = whole_number(reasons)
    if whole is None or not 0 <= whole <= MOST_REASONS:
        raise Problem("invalid_request", f"reasons must be a whole number from 0 to {MOST_REASONS}")
    return whole


def whole_number(value: Any) -> int | None:
    """What JSON calls an integer, 1.0 too; None: it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value)


def _too_large() -> Problem:
    return Problem("body_too_large", f"more than {MOST_BYTES // 2**20} MiB; send fewer lots in a call")
