"""One row of a record, by the contract of its table; what is wrong with it is said by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from features.asof import NO_TIME, before, within
from features.attributes import as_text
from features.contracts import TABLES, Column
from features.errors import LotRiskError
from features.settings import nearest
from features.times import FIRST, LAST, read_times

LONGEST = 1000  # characters of an id or a category
MOST_UNITS = 1e12  # as in tables: running totals stay within 64 bits
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)")
_NULLS = {"number": np.nan, "time": NO_TIME}


class BadRecord(LotRiskError):
    """A record that cannot be scored. `code` says in which way."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def read_row(
    table: str, sent: Mapping[str, Any], timezone: str, *, where: str, extras: Mapping[str, None]
) -> dict[str, Any]:
    """One row by its contract: every canonical column, and the attributes as sent; times as microseconds."""
    row: dict[str, Any] = {"known": NO_TIME}
    contract = TABLES[table]
    for column in contract.columns:
        value = _value(column, sent.get(column.name), timezone, where)
        if isinstance(value, _Moment):
            if column.name == contract.known:
                row["known"] = value.known
            value = value.happened
        if value is None and column.required:
            raise BadRecord("invalid_record", f"{where}.{column.name} is missing")
        row[column.name] = _NULLS.get(column.kind) if value is None else value
    for name, value in sent.items():
        if contract.column(name) is not None:
            continue
        if name == "known_at":
            row["known"] = row["known"] if value is None else _time(value, timezone, f"{where}.known_at").known
        elif name == "deleted":
            if value not in (None, False):
                raise BadRecord("invalid_record", f"{where}.deleted: a record says what is, not what is gone")
        elif name in extras:
            row[name] = _attribute(value, f"{where}.{name}")
        else:
            names = (*(column.name for column in contract.columns), *extras)
            raise BadRecord("invalid_record", f"unknown field {where}.{name}{nearest(name, names)}")
    if row["known"] != NO_TIME and before(row["known"], row[contract.happened]):
        raise BadRecord("invalid_record", f"{where}.known_at is before {contract.happened}: known before it happened")
    return row


def _value(column: Column, value: Any, timezone: str, where: str) -> Any:
    where = f"{where}.{column.name}"
    if value is None:
        return None
    if column.kind in ("id", "text"):
        return _text(value, where)
    if column.kind == "time":
        return _time(value, timezone, where)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecord("invalid_record", f"{where} must be a number, found {kind_of(value)}")
    number = _finite(value, where)
    if number < 0 and not column.signed:
        raise BadRecord("invalid_record", f"{where} is {number:g}: it cannot be negative")
    if column.kind != "units":
        return number
    if number > MOST_UNITS:
        raise BadRecord("invalid_record", f"{where} is {number:g}: more than {MOST_UNITS:g} units")
    return round(number)


def _finite(value: float, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        raise BadRecord("invalid_record", f"{where} must be a finite number")
    return number


def _attribute(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool):
        return as_text(value)
    return _finite(value, where) if isinstance(value, int | float) else _text(value, where)


def _text(value: Any, where: str) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadRecord("invalid_record", f"{where} must be a text, found {kind_of(value)}")
    text = str(value)
    if "\x00" in text or (not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise BadRecord("invalid_record", f"{where} holds a character that is none")
    if len(text) > LONGEST:
        raise BadRecord("invalid_record", f"{where} has {len(text)} characters, more than {LONGEST}")
    return text if text.strip() else None


@dataclass(frozen=True)
class _Moment:
    happened: int
    known: int


def _time(value: Any, timezone: str, where: str) -> _Moment:
    if not isinstance(value, str):
        raise BadRecord("invalid_record", f"{where} must be a time like 2026-03-05T14:00:00Z, found {kind_of(value)}")
    if _EXACT.fullmatch(value):
        try:
            moment = (datetime.fromisoformat(value) - _EPOCH) // timedelta(microseconds=1)
        except ValueError:
            moment = NO_TIME
        if within(moment, FIRST, LAST):
            return _Moment(moment, moment)
    read = read_times(pa.array([value[:LONGEST]], pa.string()), timezone)
    if read.happened[0] == NO_TIME:
        raise BadRecord("invalid_record", f"{where} is no time like 2026-03-05T14:00:00Z, found {value[:40]!r}")
    return _Moment(int(read.happened[0]), int(read.known[0]))


def kind_of(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "nothing"}
    return names.get(type(value), "a number")
