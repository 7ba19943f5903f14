"""The wire shapes of rows that arrive, as the OpenAPI document tells them."""

from pydantic import BaseModel

from features.contracts import TABLES
from serving.arriving import MOST_ROWS
from serving.wire_parts import WRITES, Told, answers, fields, posted


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


_ROWS: Told = {
    "type": "array",
    "maxItems": MOST_ROWS,
    "items": {
        "anyOf": [
            {"type": "object", "description": "A row, by the canonical columns of its table."},
            {"description": "Anything else is refused in its place, and the good rows go in."},
        ]
    },
}
_BODY = posted(fields("rows", rows=_ROWS), example={"rows": [{"lot_id": "L000120", "shipped_at": "2026-11-01"}]})
HISTORIES: Told = {
    "parameters": [
        {
            "name": "table",
            "in": "path",
            "required": True,
            "description": "a canonical table",
            "schema": {"type": "string", "enum": list(TABLES)},
        },
        *_BODY["parameters"],
    ],
    "requestBody": {
        "required": True,
        "content": {
            **_BODY["requestBody"]["content"],
            "application/x-ndjson": {"schema": {"type": "string", "description": "a row a line"}},
        },
    },
}
TAKEN = answers(HistoriesAnswer, *WRITES, "not_found", "too_many_rows", "not_ready")
