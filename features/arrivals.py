"""Rows that come in one by one: read by the contract of their table, and kept until they are folded into a segment.

A row is kept as it was sent, but for its form: ids and attributes are text, numbers are numbers, a time is ISO 8601
with Z, a date stays a date, what is null is left out unless the contract says what it then is. So it reads as if it
had stood in the source, and says the same however it was spelled.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from features.asof import MINUTE, NO_TIME, before
from features.attributes import as_text
from features.card import iso
from features.catalogue import ARRIVALS
from features.contracts import ACTIONS, TABLES, Column, TableContract, action_of
from features.output import to_json
from features.record_rows import BadRecord, RowReader, kind_of, row_reader

ACCEPTED, KNOWN = "accepted", "already_known"
DIFFERS = (
    "says something else than a row of this key that was known at the same time; send known_at, when this became known"
)
EARLY = 5 * MINUTE  # clocks of other machines go wrong by less
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME = re.compile(r"[^\W_][\w .:/%()-]{0,99}")
_ASKED = 500  # versions in one statement
_ANYWHERE = ("known_at", "deleted")


@dataclass(frozen=True)
class Arrival:
    """A row read. `version`: sha256 of table, key and known time, `digest`: of all it says; `known` NO_TIME: always."""

    table: str
    version: bytes
    digest: bytes
    row: Mapping[str, Any]
    known: int = NO_TIME

    @property
    def key(self) -> tuple[Any, ...]:
        """The values of the key, as the row has them."""
        return tuple(self.row.get(name) for name in TABLES[self.table].key)


def read_arrivals(
    table: str,
    rows: Sequence[Any],
    *,
    known_attributes: Collection[str] | None,
    timezone: str,
    now: int,
    early: int | None = EARLY,
) -> tuple[list[tuple[int, Arrival]], list[dict[str, Any]]]:
    """(rows with their place, what is refused as {"row": place, "reason": text}); places from 0.

    `known_attributes`: names that rows of an open-ended table may have beside the contract's; None: any.
    `now`: when they came, which a deletion was known at unless it says so. `early`: how long after it a row may say
    that it was known, microseconds; None: as long as it likes.
    """
    contract, reader = TABLES[table], row_reader(table, timezone)
    names: Collection[str] = ()
    if contract.open_ended:
        names = _AnyName() if known_attributes is None else known_attributes
    read, refused = [], []
    for place, sent in enumerate(rows):
        try:
            arrival = _read(contract, reader, sent, names, now)
            if early is not None and before(now + early, _said_known(contract, reader, sent)):
                said = str(sent.get("known_at") or sent.get(contract.known))[:40]
                raise BadRecord("invalid_record", f"{table}: known at {said}, which lies in the future")
            read.append((place, arrival))
        except BadRecord as bad:
            refused.append({"row": place, "reason": str(bad)})
    return read, refused


def keep(connection: sa.Connection, arrivals: Iterable[Arrival], *, received_at: int) -> list[str]:
    """Adds the rows, inside `features.database.writing`. For each ACCEPTED, KNOWN, or the reason why it is refused.

    Where the clock stepped back they came when the last one did: what had come in by a moment stays what it was.
    """
    told = list(arrivals)
    held = _held(connection, [arrival.version for arrival in told])
    said, new = [], []
    for arrival in told:
        digest = held.get(arrival.version)
        if digest is None:
            held[arrival.version] = arrival.digest
            new.append(arrival)
            said.append(ACCEPTED)
        else:
            said.append(KNOWN if digest == arrival.digest else f"{arrival.table}: the row {DIFFERS}")
    if new:
        last = connection.execute(sa.select(ARRIVALS.c.received_at).order_by(ARRIVALS.c.id.desc()).limit(1)).scalar()
        received_at = received_at if last is None else max(received_at, last)
        made = [
            {
                "table": arrival.table,
                "version": arrival.version,
                "digest": arrival.digest,
                "row": to_json(arrival.row),
                "received_at": received_at,
            }
            for arrival in new
        ]
        connection.execute(ARRIVALS.insert(), made)
    return said


def last_arrival(connection: sa.Connection) -> int:
    """The highest id there is; 0: none."""
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(ARRIVALS.c.id), 0))).scalar_one())


def digest_of(said: Any) -> bytes:
    """sha256 of what a row says."""
    text = json.dumps(said, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).digest()


class _AnyName(Collection[str]):
    """Every name that an attribute may have."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name not in _ANYWHERE and _NAME.fullmatch(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _read(contract: TableContract, reader: RowReader, sent: Any, names: Collection[str], now: int) -> Arrival:
    if not isinstance(sent, dict):
        raise BadRecord("invalid_record", f"{contract.name}: a row must be an object, found {kind_of(sent)}")
    if sent.get("deleted") is True:
        return _deletion(contract, reader, sent, now)
    read = reader.read(sent, where=contract.name, extras=names)
    if contract.name == "inspections" and not _has_result(read):
        raise BadRecord("invalid_record", "inspections: neither sample_size with defects nor value is said")
    if contract.name == "dispositions" and action_of(read["action"]) not in ACTIONS:
        raise BadRecord("invalid_record", f"dispositions.action must be one of {', '.join(ACTIONS)}")
    row = {column.name: value for column in contract.columns if (value := _value(column, sent, read)) is not None}
    for name in sorted(set(sent) - set(row)):
        if contract.column(name) is None and name not in _ANYWHERE and read[name] is not None:
            row[name] = as_text(read[name])
    of_itself = sent.get(contract.known)  # says when the row was known, unless known_at says otherwise
    if of_itself is not None and reader.time(of_itself)[1] == read["known_at"]:
        sent = {**sent, "known_at": None}
    return _arrival(contract, row, sent, read)


def _deletion(contract: TableContract, reader: RowReader, sent: dict[str, Any], now: int) -> Arrival:
    read = reader.read_deletion(sent, where=contract.name)
    if read["known_at"] == NO_TIME:
        sent, read["known_at"] = {**sent, "known_at": iso(now)}, now
    of_key = [column for column in contract.columns if column.name in contract.key]
    row = {column.name: value for column in of_key if (value := _value(column, sent, read)) is not None}
    return _arrival(contract, {**row, "deleted": True}, sent, read)


def _arrival(contract: TableContract, row: dict[str, Any], sent: Mapping[str, Any], read: Mapping[str, Any]) -> Arrival:
    known = read["known_at"]
    if sent.get("known_at") is not None:
        row["known_at"] = _written(sent["known_at"], known)
    key = [None if read[name] == NO_TIME else read[name] for name in contract.key]
    version = digest_of([contract.name, key, None if known == NO_TIME else known])
    return Arrival(contract.name, version, digest_of(row), row, known)


def _said_known(contract: TableContract, reader: RowReader, sent: Mapping[str, Any]) -> int:
    """Not its end, where it is a day: that of today is no fault."""
    said = sent.get("known_at") or sent.get(contract.known)
    return NO_TIME if said is None else reader.time(said)[0]


def _value(column: Column, sent: Mapping[str, Any], read: Mapping[str, Any]) -> Any:
    """A canonical value as it is kept; None: null."""
    value = read[column.name]
    if column.kind == "time":
        return None if value == NO_TIME else _written(sent[column.name], value)
    return column.default if value is None or value != value else value  # NaN: a number that was not sent


def _has_result(read: Mapping[str, Any]) -> bool:
    counted = read["sample_size"] is not None and read["defects"] is not None
    return counted or not np.isnan(read["value"])


def _written(said: str, moment: int) -> str:
    return said.strip() if _DATE.fullmatch(said.strip()) else iso(moment)


def _held(connection: sa.Connection, versions: Sequence[bytes]) -> dict[bytes, bytes]:
    """The digests of those versions that were kept before."""
    found: dict[bytes, bytes] = {}
    for start in range(0, len(versions), _ASKED):
        some = versions[start : start + _ASKED]
        asked = sa.select(ARRIVALS.c.version, ARRIVALS.c.digest).where(ARRIVALS.c.version.in_(some))
        found |= {row.version: row.digest for row in connection.execute(asked)}
    return found
