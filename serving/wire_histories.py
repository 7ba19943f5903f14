"""The wire shapes of rows that arrive, as the OpenAPI document tells them."""

from typing import Any

from pydantic import BaseModel

from features.contracts import TABLES
from serving.arriving import MOST_ROWS


class RefusedRow(BaseModel):
    """A row that was not taken: its place in the call, from 0, and why."""

    row: int
    reason: str


class HistoriesAnswer(BaseModel):
    """What became of the rows. `waiting`: of those accepted, how many are of a lot that is not known yet."""

    accepted: int
    already_known: int
    refused: list[RefusedRow]
    waiting: int


HISTORIES: dict[str, Any] = {
    "parameters": [
        {
            "name": "table",
            "in": "path",
            "required": True,
            "description": "a canonical table",
            "schema": {"type": "string", "enum": list(TABLES)},
        },
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "the same key and body: the same answer, and nothing is done twice",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["rows"],
                    "additionalProperties": False,
                    "properties": {"rows": {"type": "array", "maxItems": MOST_ROWS, "items": {"type": "object"}}},
                }
            },
            "application/x-ndjson": {"schema": {"type": "string", "description": "a row a line"}},
        },
    },
}
