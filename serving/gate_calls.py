"""Calls of the gate: what they ask, who asks, and under which key the answer is given once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features.period import nearest
from features.record_rows import LONGEST
from serving.answers import Call
from serving.bodies import call_of, parsed
from serving.once import request_hash
from serving.problems import Problem

MOST = 1000  # lots in a call: a decision is recorded whole, with all that it stands on
_MOST_WORDS = 2000  # characters of a reason


@dataclass(frozen=True)
class Once:
    """Where an answer is kept to be given again. `scope`: route and caller; `key`: None where it is not."""

    scope: str
    key: str | None
    request: str


@dataclass(frozen=True)
class GateCall:
    """A call, and who made it. `patient`: it can wait until rows about its lots that have arrived count."""

    call: Call
    actor: str
    once: Once
    patient: bool = True


def read_gate_call(body: bytes, *, actor: str, key: str | None, now: int, timezone: str) -> GateCall:
    """The call of `POST /v1/gate`: one lot by its id, or what `POST /v1/scores` takes. Problem: it is neither."""
    sent = parsed(body)
    if isinstance(sent, dict) and "lot_id" in sent:
        for name in sent:
            if name != "lot_id":
                raise Problem("invalid_request", f"unknown field {name[:100]} beside lot_id; send lots instead")
        lot_id = sent["lot_id"]
        if not isinstance(lot_id, str) or not 1 <= len(lot_id) <= LONGEST:
            raise Problem("invalid_request", f"lot_id must be a text of 1 to {LONGEST} characters")
        call = Call([lot_id])
    else:
        call = call_of(sent, now=now, timezone=timezone)
        if not call.lots:
            raise Problem("invalid_request", "lots is empty: there is nothing to decide")
        if len(call.lots) > MOST:
            raise Problem("too_many_lots", f"{len(call.lots)} lots in one call; the gate takes at most {MOST}")
    return GateCall(call, actor, Once(f"gate {actor}", key, request_hash(body)))


def words_of(sent: Mapping[str, Any], name: str) -> str:
    """A text that must say something."""
    text = sent.get(name)
    if not isinstance(text, str) or not _says(text) or len(text) > _MOST_WORDS or "\0" in text:
        raise Problem(
            "invalid_request",
            f"{name} must be a text of 1 to {_MOST_WORDS} characters that says why, none of them null",
        )
    return text.strip()


def fields_of(body: bytes, names: tuple[str, ...]) -> dict[str, Any]:
    """An object with these fields and no others."""
    sent = parsed(body)
    if not isinstance(sent, dict):
        raise Problem("invalid_request", f"the body must be an object with {', '.join(names)}")
    for name in sent:
        if name not in names:
            raise Problem("invalid_request", f"unknown field {name[:100]}{nearest(name, names)}")
    return sent


def _says(text: str) -> bool:
    """Whether anything of it can be seen."""
    return not all(letter.isspace() or letter < " " for letter in text)
