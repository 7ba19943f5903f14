"""Times as sources write them, read as microseconds since 1970-01-01T00:00Z.

A source's time is read twice: as when something happened and as when it was known. They differ for a date
without a time, which happened from its start on and was known only at its end, the next local midnight.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import DAY, NO_TIME, within
from features.columns import read_text

Array = np.ndarray[Any, np.dtype[Any]]

# Outside it a year is a typing error or a stand-in for "never" (0001, 9999).
FIRST = int(np.datetime64("1900-01-01", "us").astype(np.int64))
LAST = int(np.datetime64("2201-01-01", "us").astype(np.int64))

_DATE = r"^\d{4}-\d{2}-\d{2}$"
_NAIVE = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?$"
_AWARE = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)? ?(Z|[+-]\d{2}(:?\d{2})?)$"


@dataclass(frozen=True)
class Times:
    """One column's times, int64 microseconds UTC, shape (rows,); NO_TIME where null or impossible."""

    happened: Array
    known: Array
    impossible: Array
    """Mask: neither null nor a time of the years 1900 to 2200."""
    dates: Array
    """Mask: a date without a time."""
    ambiguous: Array
    """Mask: in a local hour that came twice; the later reading was taken."""
    skipped: Array
    """Mask: in a local hour that never was; moved to the end of the gap."""


def read_times(column: "pa.ChunkedArray[Any] | pa.Array[Any]", timezone: str) -> Times:
    """Reads dates, timestamps and ISO 8601 text, each value by its own form; naive ones are local to `timezone`."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    rows = len(column)
    given = column.is_valid().to_numpy(zero_copy_only=False)
    wall = np.full(rows, NO_TIME, dtype=np.int64)
    local = np.zeros(rows, dtype=bool)
    dates = np.zeros(rows, dtype=bool)
    kind = column.type
    if pa.types.is_date(kind):
        days = _numbers(column.drop_null().cast(pa.date32()).cast(pa.int32()))
        wall[given] = np.clip(days, -1_000_000, 1_000_000) * DAY
        local, dates = given, given.copy()
    elif pa.types.is_timestamp(kind):
        wall[given] = _numbers(column.drop_null().cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64()))
        local = given if kind.tz is None else local
    else:
        wall, local, dates, given = _read_written(read_text(column))
    sane = given & within(wall, FIRST - DAY, LAST + DAY)
    happened, ambiguous, skipped = _to_utc(wall, sane & local, timezone)
    sane &= within(happened, FIRST, LAST)
    happened[~sane] = NO_TIME
    known = happened.copy()
    ends = sane & dates
    known[ends] = _to_utc(wall[ends] + DAY, np.ones(int(ends.sum()), dtype=bool), timezone)[0]
    return Times(happened, known, given & ~sane, ends, ambiguous & sane, skipped & sane)


def read_moment(text: str, timezone: str) -> int:
    """One moment given by hand, microseconds UTC: a date is its START in `timezone`. ValueError if it is none."""
    read = read_times(pa.array([text]), timezone)
    if read.impossible[0] or not text.strip():
        raise ValueError(f'"{text}" is not a time: write 2026-03-05, "2026-03-05 14:00" or 2026-03-05T14:00:00Z')
    return int(read.happened[0])


def written(moment: int) -> str | None:
    """A moment in ISO 8601 with Z; None for NO_TIME."""
    return None if moment == NO_TIME else f"{np.datetime64(moment, 'us').astype('M8[s]')}Z"


def _read_written(text: "pa.Array[Any]") -> tuple[Array, Array, Array, Array]:
    """Wall time (UTC where an offset is written), and masks: local, date only, given at all."""
    text = pc.utf8_trim_whitespace(text)
    given = text.is_valid().to_numpy(zero_copy_only=False)
    wall = np.full(len(text), NO_TIME, dtype=np.int64)
    masks = []
    for form in (_DATE, _NAIVE, _AWARE):
        matches = pc.match_substring_regex(text, form).fill_null(False).to_numpy(zero_copy_only=False)
        masks.append(matches)
        if matches.any():
            written = text.filter(pa.array(matches)).to_pandas()
            parsed = pd.to_datetime(written, format="ISO8601", errors="coerce", utc=True)
            wall[matches] = parsed.dt.as_unit("us").astype("int64").to_numpy()
    dates, naive, _ = masks
    return wall, dates | naive, dates, given


def _to_utc(wall: Array, local: Array, timezone: str) -> tuple[Array, Array, Array]:
    """UTC of wall times where `local`, the others as they are; masks of ambiguous and of skipped hours."""
    utc = wall.copy()
    ambiguous = np.zeros(len(wall), dtype=bool)
    skipped = np.zeros(len(wall), dtype=bool)
    if timezone == "UTC" or not local.any():
        return utc, ambiguous, skipped
    index = pd.DatetimeIndex(wall[local].view("M8[us]"))
    placed = index.tz_localize(timezone, ambiguous="NaT", nonexistent="shift_forward")
    stamps: Array = placed.asi8.copy()
    twice = stamps == NO_TIME
    stamps[twice] = np.maximum(
        *(index[twice].tz_localize(timezone, ambiguous=np.full(twice.sum(), dst)).asi8 for dst in (True, False))
    )
    utc[local] = stamps
    ambiguous[local] = twice
    skipped[local] = ~twice & (placed.tz_localize(None).asi8 != index.asi8)
    return utc, ambiguous, skipped


def _numbers(column: "pa.Array[Any]") -> Array:
    numbers: Array = column.to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers
