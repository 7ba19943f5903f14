"""One row of a record, by the contract of its table; what is wrong with it is said by name."""

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import lru_cache, partial
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa

from features.asof import DAY, NO_TIME, SECOND, before, within
from features.attributes import as_text
from features.contracts import TABLES, Column
from features.errors import LotRiskError
from features.period import nearest
from features.times import FIRST, LAST, read_times

LONGEST = 1000  # characters of an id or a category
LONGEST_TEXT = 20_000  # of what somebody wrote: a complaint, a comment
MOST_UNITS = 1e12  # as in tables: running totals stay within 64 bits
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DD = "[0-9][0-9]"  # three times as fast as \d in a group that is kept
_EXACT = re.compile(rf"{_DD}{_DD}-{_DD}-{_DD}[T ]{_DD}:{_DD}(?::{_DD}(?:\.[0-9]{{1,6}})?)?(?:Z|[+-]{_DD}:{_DD})")
_NULLS = {"number": np.nan, "time": (NO_TIME, NO_TIME)}


class BadRecord(LotRiskError):
    """A record that cannot be scored. `code` says in which way."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class RowReader:
    """Reads rows of one table: every canonical column, `known_at`, and the attributes as sent; times as microseconds.

    What the contract says of each column is looked up once, not for each of the hundred values of a record.
    """

    def __init__(self, table: str, timezone: str) -> None:
        contract = TABLES[table]
        self._readers = {column.name: _reader(column, timezone) for column in contract.columns}
        self._required = tuple(column.name for column in contract.columns if column.required)
        self._times = tuple(c.name for c in contract.columns if c.kind == "time" and c.name != "known_at")
        nulls = {c.name: None if c.required else _NULLS.get(c.kind) for c in contract.columns}
        self._empty: dict[str, Any] = {"known_at": None} | nulls
        self._key, self._happened, self._known = contract.key, contract.happened, contract.known
        self._ships = table == "lots"
        self.time = partial(_time, timezone)

    def read(self, sent: dict[str, Any], *, where: str, extras: Collection[str]) -> dict[str, Any]:
        """BadRecord says the first fault in the order of the contract; `extras`: attributes that the row may have.

        `where`: what messages call the row.
        """
        try:
            return self._read(sent, where, extras)
        except BadRecord:
            return self._read(dict.fromkeys(self._readers) | sent, where, extras)

    def read_deletion(self, sent: dict[str, Any], *, where: str) -> dict[str, Any]:
        """Key and `known_at` (NO_TIME: not said) of a row that says a fact is gone, whatever else it says."""
        row: dict[str, Any] = {"known_at": NO_TIME}
        name = ""
        try:
            for name in self._key:
                value = sent.get(name)
                row[name] = self._empty[name] if value is None else self._readers[name](value)
                if row[name] is None and name in self._required:
                    raise _Wrong("is missing")
                if name in self._times:
                    row[name] = row[name][0]
            name = "known_at"
            if sent.get(name) is not None:
                row[name] = self.time(sent[name])[1]
        except _Wrong as wrong:
            raise BadRecord("invalid_record", f"{where}.{name} {wrong}") from None
        return row

    def _read(self, sent: dict[str, Any], where: str, extras: Collection[str]) -> dict[str, Any]:
        """BadRecord says the first fault in the order sent; a column that is not sent comes last."""
        row = self._empty.copy()
        name = ""
        try:
            for name, value in sent.items():
                read = self._readers.get(name)
                if read is not None:
                    found = None if value is None else read(value)
                    if found is not None:
                        row[name] = found
                    elif name in self._required:
                        raise _Wrong("is missing")
                elif name in extras:
                    row[name] = _attribute(value)
                else:
                    self._put_other(row, name, value, where, extras)
            for name in self._required:
                if row[name] is None:
                    raise _Wrong("is missing")
        except _Wrong as wrong:
            raise BadRecord("invalid_record", f"{where}.{name} {wrong}") from None
        if self._ships and before(row["shipped_at"][1], row["produced_at"][0]) and row["shipped_at"][1] != NO_TIME:
            raise BadRecord("invalid_record", f"{where}.shipped_at is before produced_at: no lot ships unmade")
        self._part_times(row)
        if row["known_at"] != NO_TIME and before(row["known_at"], row.get(self._happened, NO_TIME)):
            raise BadRecord("invalid_record", f"{where}.known_at is before {self._happened}: known before it happened")
        return row

    def _part_times(self, row: dict[str, Any]) -> None:
        """Times as read, when it happened and when it was known, become columns and, unless it was sent, known_at."""
        said = row["known_at"]
        row["known_at"] = NO_TIME if said is None else said[1]
        for name in self._times:
            row[name], known = row[name]
            if said is None and name == self._known:
                row["known_at"] = known

    def _put_other(self, row: dict[str, Any], name: str, value: Any, where: str, extras: Collection[str]) -> None:
        """What any row may say, and what none may."""
        if name == "known_at":
            row["known_at"] = None if value is None else self.time(value)
        elif name != "deleted":
            names = (*self._readers, *extras)
            raise BadRecord("invalid_record", f"unknown field {where}.{name[:100]}{nearest(name, names)}")
        elif value is True:
            raise BadRecord("invalid_record", f"{where}.deleted: a record says what is, not what is gone")
        elif value is not None and value is not False:
            raise BadRecord("invalid_record", f"{where}.deleted must be true or false, found {kind_of(value)}")


@lru_cache
def row_reader(table: str, timezone: str) -> RowReader:
    """The reader of a table's rows, made once."""
    return RowReader(table, timezone)


class _Wrong(ValueError):
    """What is wrong with a value; the reader of its row says whose it is."""


def _reader(column: Column, timezone: str) -> Callable[[Any], Any]:
    if column.kind == "id":
        return _text
    if column.kind == "text":
        return partial(_text, longest=LONGEST_TEXT)
    if column.kind == "time":
        return partial(_time, timezone)
    if column.kind == "flag":
        return _flag
    number = _number if column.signed else _positive
    return partial(_units, number) if column.kind in ("units", "count") else number


def _number(value: Any) -> float:
    if type(value) is float and isfinite(value):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong(f"must be a number, found {kind_of(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    if not isfinite(number):
        raise _Wrong("must be a finite number")
    return number


def _positive(value: Any) -> float:
    number = _number(value)
    if number < 0:
        raise _Wrong(f"is {number:g}: it cannot be negative")
    return number


def _units(read: Callable[[Any], float], value: Any) -> int:
    number = read(value)
    if number > MOST_UNITS:
        raise _Wrong(f"is {number:g}: more than {MOST_UNITS:g} units")
    return round(number)


def _flag(value: Any) -> int:
    if isinstance(value, bool):
        return int(value)
    number = _number(value)
    if number not in (0, 1):
        raise _Wrong(f"is {number:g}: it must be 0 or 1")
    return int(number)


def _attribute(value: Any) -> Any:
    if isinstance(value, float):
        return _number(value)
    if value is None or isinstance(value, bool):
        return as_text(value)
    return _number(value) if isinstance(value, int) else _text(value)


def _text(value: Any, *, longest: int = LONGEST) -> str | None:
    if type(value) is str and len(value) <= LONGEST and value.isprintable():
        return value if value.strip() else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _Wrong(f"must be a text, found {kind_of(value)}")
    text = str(value)
    if not text.isprintable() and ("\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise _Wrong("holds a character that is none")
    if len(text) > longest:
        raise _Wrong(f"has {len(text)} characters, more than {longest}")
    return text if text.strip() else None


def _time(timezone: str, value: Any) -> tuple[int, int]:
    """When it happened and when it was known."""
    if not isinstance(value, str):
        raise _Wrong(f"must be a time like 2026-03-05T14:00:00Z, found {kind_of(value)}")
    if _EXACT.fullmatch(value):
        try:
            since = datetime.fromisoformat(value) - _EPOCH
            moment = since.days * DAY + since.seconds * SECOND + since.microseconds
        except ValueError:
            moment = NO_TIME
        if within(moment, FIRST, LAST):
            return moment, moment
    happened, known = _as_in_tables(value[:LONGEST], timezone)
    if happened == NO_TIME:
        raise _Wrong(f"is no time like 2026-03-05T14:00:00Z, found {value[:40]!r}")
    return happened, known


@lru_cache(maxsize=256)
def _as_in_tables(text: str, timezone: str) -> tuple[int, int]:
    """A time in any form that tables may have; a millisecond for each, and a record has the same date many times."""
    try:
        read = read_times(pa.array([text], pa.string()), timezone)
    except UnicodeEncodeError:  # half of a surrogate pair
        return NO_TIME, NO_TIME
    return int(read.happened[0]), int(read.known[0])


def kind_of(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "nothing"}
    return names.get(type(value), "a number")
