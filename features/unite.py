"""Rows of one table that came in several parts, as one table: what each part says is read as it would be alone.

Types that differ are brought to one that both are read from alike: numbers to the wider number, times to UTC, all else
to text as a CSV would have it. A column that a part does not have is null there.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Column, is_number, read_numbers, read_text
from features.contracts import TABLES
from features.errors import ContractViolation
from features.times import read_times

_UTC = pa.timestamp("us", "UTC")
_KINDS = {"known_at": "time", "deleted": "flag"}
_AWARE = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)? ?(Z|[+-]\d{2}(:?\d{2})?)$"


def unite(name: str, parts: Sequence["pa.Table"]) -> "pa.Table":
    """The rows of all parts in order; `name`: of the table in the contract."""
    if len(parts) == 1:
        return parts[0]
    names = dict.fromkeys(column for part in parts for column in part.column_names)
    columns = {
        column: _united(
            kind_of(name, column),
            [part[column] if column in part.column_names else pa.nulls(part.num_rows) for part in parts],
        )
        for column in names
    }
    return pa.table(columns)


def kind_of(table: str, column: str) -> str:
    """The kind of a column by the contract; "": of an attribute or one that nobody uses."""
    known = TABLES[table].column(column)
    return _KINDS.get(column, "") if known is None else known.kind


def as_written(column: Column) -> "pa.Array[Any]":
    """The text of any column, also of a type that no canonical column has."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)  # as times are read
    try:
        return read_text(column)
    except ContractViolation:
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())


def _united(kind: str, chunks: list[Any]) -> "pa.ChunkedArray[Any]":
    plain = [_decoded(chunk) for chunk in chunks]
    told = [chunk for chunk in plain if chunk.null_count < len(chunk)]
    kinds = {chunk.type for chunk in told or plain if not pa.types.is_null(chunk.type)}
    if len(kinds) > 1:
        made = iter(_same(kind, told))
        plain = [next(made) if chunk.null_count < len(chunk) else chunk for chunk in plain]
        kinds = {chunk.type for chunk in plain if chunk.null_count < len(chunk)}
    wanted = kinds.pop() if kinds else pa.null()
    parts = [pa.nulls(len(chunk), wanted) if chunk.type != wanted else chunk for chunk in plain]
    flat = [one for part in parts for one in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
    return pa.chunked_array(flat, type=wanted)


def _decoded(chunk: Any) -> Any:
    if pa.types.is_dictionary(chunk.type):
        return chunk.cast(chunk.type.value_type)
    return chunk


def _same(kind: str, chunks: list[Any]) -> list[Any]:
    """Chunks with values, of several types, brought to one."""
    if kind == "time":
        moments = [_moments(chunk) for chunk in chunks]
        if all(moment is not None for moment in moments):
            return moments
    elif kind not in ("id", "text"):
        if kind == "" and any(is_number(chunk.type) for chunk in chunks):
            chunks = [_numbers(chunk) for chunk in chunks]
        if all(is_number(chunk.type) for chunk in chunks):
            return _promoted(chunks)
        # A number of half the width is another one when it is read back from its shortest text.
        chunks = [chunk.cast(pa.float64()) if pa.types.is_floating(chunk.type) else chunk for chunk in chunks]
    return [as_written(chunk) for chunk in chunks]


def _moments(chunk: Any) -> Any:
    """Times that say their offset, in UTC; None where one is a date, local or impossible."""
    if pa.types.is_timestamp(chunk.type):
        return None if chunk.type.tz is None else chunk.cast(pa.timestamp("us", chunk.type.tz), safe=False).cast(_UTC)
    if not (pa.types.is_string(chunk.type) or pa.types.is_large_string(chunk.type)):
        return None
    text = read_text(chunk)
    if not pc.all(pc.match_substring_regex(pc.utf8_trim_whitespace(text), _AWARE).fill_null(True)).as_py():
        return None
    read = read_times(text, "UTC")
    return None if read.impossible.any() else pa.array(read.happened, _UTC, mask=np.asarray(text.is_null()))


def _numbers(chunk: Any) -> Any:
    """Texts that all write a number, as numbers."""
    if is_number(chunk.type):
        return chunk
    text = as_written(chunk)
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    for word, digit in (("true", "1"), ("false", "0")):
        lower = pc.if_else(pc.equal(lower, word), digit, lower)
    read = read_numbers(lower)
    return text if read.bad.any() else pa.array(read.values, pa.float64(), mask=read.null)


def _promoted(chunks: list[Any]) -> list[Any]:
    kinds = [chunk.type for chunk in chunks]
    wide = any(not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)) for kind in kinds)
    wanted = pa.float64() if wide or pa.uint64() in kinds else pa.int64()
    narrow = [chunk.cast(pa.int8()) if pa.types.is_boolean(chunk.type) else chunk for chunk in chunks]
    return [chunk.cast(wanted, safe=False) for chunk in narrow]
