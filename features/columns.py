"""One column as its source gives it, read as the contract's kind: text, number, whole number or flag.

A null is a value that is not there: SQL's null, an empty or blank text, a float that is NaN.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import ContractViolation

Array = np.ndarray[Any, np.dtype[Any]]
Column = Any
"""An Arrow array or chunked array; pyarrow has no types to check against."""

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
# Running totals of this many units, times hours of three centuries, stay within 64 bits.
_MOST_UNITS = 1e12


@dataclass(frozen=True)
class Read:
    """Values with masks, all of shape (rows,); a bad value is neither null nor of the column's kind."""

    values: Array
    null: Array
    bad: Array
    rounded: Array


def is_number(kind: "pa.DataType") -> bool:
    """Whether a source's type is a number or a truth value."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind))


def read_text(column: Column) -> Column:
    """Text of any plain column; whole numbers have no decimal point, so that id 5.0 is "5"; blank is null."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = column.type
    types = pa.types
    if types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if types.is_null(kind):
        return column.cast(pa.string())
    if types.is_floating(kind):
        column = _float_text(column)
    elif types.is_decimal(kind):
        plain = pc.cast(column, pa.string())
        column = pc.replace_substring_regex(plain, r"^([+-]?\d+)\.0+$", r"\1") if kind.scale > 0 else plain
    try:
        text = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ContractViolation(
            f"its type {kind} is neither text, number nor time; cast it to text in the query"
        ) from None
    blank = pc.equal(pc.utf8_trim_whitespace(text), "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), text) if pc.any(blank).as_py() else text


def read_numbers(column: Column) -> Read:
    """Float64; NaN where null or bad. Infinite is bad."""
    kind = column.type
    if is_number(kind):
        source = column.cast(pa.int8()) if pa.types.is_boolean(kind) else column
        values = _float64(source.cast(pa.float64(), safe=False))
        null = np.isnan(values)
        bad = np.isinf(values)
    else:
        text = pc.utf8_trim_whitespace(read_text(column))
        null = np.asarray(text.is_null())
        written = pc.match_substring_regex(text, _NUMBER).fill_null(False)
        plain = pc.if_else(written, pc.utf8_ltrim(text, "+"), pa.scalar(None, pa.string()))
        values = _float64(plain.cast(pa.float64()))
        bad = ~null & ~np.isfinite(values)
    values[bad] = np.nan
    return Read(values, null, bad, np.zeros(len(values), dtype=bool))


def read_whole(column: Column) -> Read:
    """Int64, fractions rounded half to even; 0 where null or bad."""
    read = read_numbers(column)
    whole = np.rint(read.values)
    rounded = ~np.isnan(whole) & (whole != read.values)
    huge = np.abs(whole) > _MOST_UNITS
    bad = read.bad | huge
    return Read(np.where(read.null | bad, 0, whole).astype(np.int64), read.null, bad, rounded & ~bad)


def read_flags(column: Column) -> Read:
    """1 for 1 and true, 0 for 0 and false, -1 where null or bad."""
    text = pc.utf8_lower(pc.utf8_trim_whitespace(read_text(column)))
    for word, digit in (("true", "1"), ("false", "0")):
        text = pc.if_else(pc.equal(text, word), digit, text)
    read = read_numbers(text)
    bad = read.bad | (~read.null & ~np.isin(read.values, (0.0, 1.0)))
    return Read(np.where(read.null | bad, -1, read.values).astype(np.int64), read.null, bad, read.rounded)


def _float_text(column: Column) -> Column:
    values = _float64(column.cast(pa.float64()))
    whole = (np.rint(values) == values) & (np.abs(values) < 2**53)
    integers = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string())
    # The cast writes the shortest text of the column's own width: a float32 0.1 is "0.1".
    text = pc.if_else(pa.array(whole), integers, column.cast(pa.string()))
    return pc.if_else(pa.array(np.isnan(values)), pa.scalar(None, pa.string()), text)


def _float64(column: Column) -> Array:
    """A writable copy; NaN where null."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return np.array(column.fill_null(np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)
