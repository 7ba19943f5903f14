"""What the OpenAPI document says of several routes: pieces of requests, and the problems and links of answers."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from features.record_rows import LONGEST
from serving.once import LONGEST as LONGEST_KEY

Told = dict[str, Any]
Answers = dict[int | str, dict[str, Any]]

PROBLEMS_OF = "x-problems"
BODY = ("invalid_json", "invalid_request", "body_too_large")
"""Problems of a route that reads a body."""
WRITES = (*BODY, "idempotency_conflict", "not_recorded")
"""Of one that writes what is read, once."""

ID: Told = {"type": "string", "minLength": 1, "maxLength": LONGEST}
MOMENT: Told = {
    "type": "string",
    "maxLength": 100,
    "description": "of the years 1900 to 2200; without an offset, and a date as its start, in the site's time zone",
    "anyOf": [
        {"format": "date-time"},
        {"format": "date"},
        {"format": "date-time-local"},
    ],
}
REASON: Told = {
    "type": "string",
    "minLength": 1,
    "maxLength": 2000,
    "pattern": r"^[^\x00]*[^\s\x00-\x1f][^\x00]*$",
    "description": "not of blanks alone, without null characters",
    "example": "8D-2211: cracks at the weld",
}
ONCE: Told = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "the same key and body: the same answer, and what it did is done once",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}


def query(name: str, description: str, schema: Told) -> Told:
    """A parameter of a query that may be left out."""
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def fields(*required: str, **properties: Any) -> Told:
    """An object with these fields and no others."""
    return {"type": "object", "required": list(required), "additionalProperties": False, "properties": properties}


def posted(schema: Told, *, example: Any = None, once: bool = True, required: bool = True) -> Told:
    """A body of JSON."""
    media = {"schema": schema} | ({} if example is None else {"example": example})
    told: Told = {"requestBody": {"required": required, "content": {"application/json": media}}}
    return told | ({"parameters": [ONCE]} if once else {})


def answers(model: type[BaseModel] | None, *codes: str, **more: Any) -> Answers:
    """For FastAPI: what a route answers, and by which codes it tells problems; `serving.document` adds those of all.

    `more`: of the answer that is no problem, like its links.
    """
    return {200: {**({} if model is None else {"model": model}), **more, PROBLEMS_OF: codes}}


def link(operation: str, parameters: Mapping[str, str] | None = None, *, body: Told | None = None) -> Told:
    """A link to an operation. `parameters`: where each stands in the answer that has the link, a JSON pointer."""
    told: Told = {"operationId": operation}
    if parameters:
        told["parameters"] = {name: here(pointer) for name, pointer in parameters.items()}
    return told | ({} if body is None else {"requestBody": body})


def here(pointer: str) -> str:
    """What stands there in the answer that has the link."""
    return f"$response.body#{pointer}"
