"""Records sent with a call: a lot's own row, its measurements and its genealogy, held to the contracts of the tables.

A record of a lot that the histories hold must say what they say: its rows there are taken, and only rows that they do
not hold are added to the question. Everything is read as the tables are: a blank text is null, a date known at its end.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from features.asof import NO_TIME, before, within
from features.attributes import OwnRow, as_text
from features.card import iso
from features.contracts import TABLES
from features.held import Row, own_row, rows_of_lot
from features.histories import Histories
from features.period import nearest
from features.record_rows import MOST_UNITS, BadRecord, kind_of, row_reader
from features.times import FIRST, LAST
from features.told import Measured, Told, Used

SECTIONS = ("lot", "measurements", "genealogy")
_KEYS = {name: itemgetter(*contract.key) for name, contract in TABLES.items()}


@dataclass(frozen=True)
class Record:
    """One record read: what it adds to the question.

    `code` of the lot, -1: nobody's. `own`: its row where the histories have none. `measured`: (characteristic, value,
    lower, upper), `used`: (supplier lot, quantity, consumed, known); code -1: the histories know none of that name.
    `late`, `late_uses`: measurements and genealogy rows not known before as_of; `unknown`: names of what is not known;
    `foreign`: the supplier lots among these.
    """

    lot_id: str
    code: int
    own: OwnRow | None
    measured: list[tuple[int, float, float, float]]
    used: list[tuple[int, float, int, int]]
    late: int
    late_uses: int
    unknown: list[str]
    foreign: list[str]


def read_record(sent: Mapping[str, Any], histories: Histories, *, as_of: int, timezone: str) -> Record:
    """BadRecord says what is wrong; its code is `invalid_record`, `conflicts_with_history` or `not_produced`."""
    for name in sent:
        if name not in SECTIONS:
            raise BadRecord("invalid_record", f"unknown field {name[:100]}{nearest(name, SECTIONS)}")
    lot = sent.get("lot")
    if not isinstance(lot, dict):
        raise BadRecord("invalid_record", f"lot must be an object, found {kind_of(lot)}")
    row = row_reader("lots", timezone).read(lot, where="lot", extras=_attributes(histories))
    if row["quantity"] is None:
        row["quantity"] = 1
    if before(as_of, row["produced_at"]):
        raise BadRecord("not_produced", f"lot.produced_at is {iso(row['produced_at'])}, later than as_of")
    if not before(row["shipped_at"], as_of):
        row["shipped_at"] = NO_TIME
    measurements = _rows("measurements", sent, row["lot_id"], timezone)
    genealogy = _rows("genealogy", sent, row["lot_id"], timezone)
    code = histories.ids["lot"].code(row["lot_id"])
    held = own_row(histories, code, as_of)
    if held is None:
        if _gone(histories, code, as_of):
            raise BadRecord("conflicts_with_history", f"lot {row['lot_id']} was deleted; the histories hold it no more")
        code = -1  # what becomes known of it later is nothing yet
    else:
        _agree(lot, row, held)
    in_time = [one for one in measurements if before(one["known_at"], as_of)]
    known = _not_held("measurements", in_time, _held(histories, "measurements", code, as_of))
    uses = [one for one in genealogy if before(one["known_at"], as_of)]
    used = _not_held("genealogy", uses, _held(histories, "genealogy", code, as_of))
    characteristic, supply = _codes(histories, "characteristic"), _codes(histories, "supplier_lot")
    unknown = [f"characteristic {name}" for one in known if characteristic(name := one["characteristic"]) < 0]
    foreign = [name for one in used if supply(name := one["supplier_lot_id"]) < 0]
    return Record(
        row["lot_id"],
        code,
        row if held is None else None,
        [(characteristic(one["characteristic"]), one["value"], one["lower_spec"], one["upper_spec"]) for one in known],
        [(supply(one["supplier_lot_id"]), one["quantity"], one["consumed_at"], one["known_at"]) for one in used],
        len(measurements) - len(in_time),
        len(genealogy) - len(uses),
        unknown + [f"supplier lot {name}" for name in foreign],
        foreign,
    )


def _gone(histories: Histories, lot: int, as_of: int) -> bool:
    """Whether the lot was known before `as_of`, and has been deleted by then."""
    return bool(lot >= 0 and rows_of_lot(histories, "lots", lot, as_of=as_of, replaced=True))


def told_of(records: Iterable[tuple[int, Record]]) -> Told:
    """What records tell, by their place among the questions; places ascending."""
    own: dict[int, OwnRow] = {}
    measured: list[tuple[Any, ...]] = []
    used: list[tuple[Any, ...]] = []
    foreign: dict[int, list[str]] = {}
    for place, record in records:
        if record.own is not None:
            own[place] = record.own
        measured += [(place, *one) for one in record.measured]
        used += [(place, *one) for one in record.used]
        if record.foreign:
            foreign[place] = record.foreign
    return Told(
        own,
        Measured(*_columns(measured, (np.int64, np.int64, np.float64, np.float64, np.float64))),
        Used(*_columns(used, (np.int64, np.int64, np.float64, np.int64, np.int64))),
        foreign,
    )


def _columns(rows: Sequence[tuple[Any, ...]], kinds: tuple[type, ...]) -> list[Any]:
    parts = zip(*rows, strict=True) if rows else ((),) * len(kinds)
    return [np.array(part, dtype=kind) for part, kind in zip(parts, kinds, strict=True)]


def _attributes(histories: Histories) -> Collection[str]:
    if "lots" not in histories:
        return ()
    return histories.once("attributes of lots", lambda: dict.fromkeys(histories["lots"].attributes))


def _rows(table: str, sent: Mapping[str, Any], lot_id: str, timezone: str) -> list[dict[str, Any]]:
    """The rows of a section, equal ones once; several with one key are versions if they tell when each was known."""
    rows = sent.get(table)
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise BadRecord("invalid_record", f"{table} must be a list of objects, found {kind_of(rows)}")
    read, key_of = row_reader(table, timezone).read, _KEYS[table]
    own, by_key = {"lot_id": lot_id}, dict[Any, dict[str, Any]]()
    for number, each in enumerate(rows):
        where = f"{table}[{number}]"
        if not isinstance(each, dict):
            raise BadRecord("invalid_record", f"{where} must be an object, found {kind_of(each)}")
        row = read(own | each, where=where, extras=())
        if row["lot_id"] != lot_id:
            raise BadRecord("invalid_record", f"{where}.lot_id is {row['lot_id']!r}, the record is of {lot_id!r}")
        version = key_of(row), row["known_at"]
        if version in by_key and not _same(table, by_key[version], row):
            raise BadRecord("invalid_record", f"{where} has the key of an earlier row and says something else")
        by_key[version] = row
    return list(by_key.values())


def _codes(histories: Histories, kind: str) -> Callable[[str], int]:
    """The code of an id of that kind, -1: unknown."""
    known = histories.ids.get(kind)
    return (lambda _: -1) if known is None else known.code


def _held(histories: Histories, table: str, lot: int, as_of: int) -> list[Row]:
    """What the histories held before `as_of`, also what was corrected by then: the sender may have it as it was."""
    return rows_of_lot(histories, table, lot, as_of=as_of, replaced=True)


def _not_held(table: str, rows: list[Row], held: list[Row]) -> list[Row]:
    """Rows that the histories do not hold, of versions the last; BadRecord where they hold the key and say otherwise.

    A record need not say all: what it leaves out, of the key too, is no contradiction.
    """
    keys, fresh = TABLES[table].key, dict[Any, Row]()
    rows = sorted(rows, key=itemgetter("known_at"))
    for row in rows:
        same_key = [each for each in held if _says(row, each, keys)]
        if not same_key:
            fresh[_KEYS[table](row)] = row
        elif not any(_says(row, each, tuple(row)) for each in same_key):
            raise BadRecord(
                "conflicts_with_history",
                f"{table} holds {_shown(same_key[0], row)} where the record says {_shown(row, row)}",
            )
    return list(fresh.values())


def _says(mine: Row, theirs: Row, names: Iterable[str]) -> bool:
    """Whether the histories say all that the record says of these."""
    return all(
        value is None or value == _plain(theirs.get(name))
        for name in names
        if name != "known_at"
        for value in (_plain(mine.get(name)),)
    )


def _shown(row: Row, like: Row) -> str:
    """The fields that the record states."""
    stated = [name for name in like if name != "known_at" and _plain(like[name]) is not None]
    return ", ".join(f"{name} {_said(_plain(row.get(name)))}" for name in stated)


def _agree(sent: Mapping[str, Any], row: Row, held: Row) -> None:
    for name in sent:
        mine, theirs = _plain(row.get(name)), _plain(held.get(name))
        if name in ("known_at", "deleted") or mine is None or mine == theirs or as_text(mine) == as_text(theirs):
            continue
        raise BadRecord(
            "conflicts_with_history", f"lot.{name} is {_said(mine)}; the histories know the lot with {_said(theirs)}"
        )


def _same(table: str, mine: Row, theirs: Row) -> bool:
    return all(_plain(mine.get(c.name)) == _plain(theirs.get(c.name)) for c in TABLES[table].columns)


def _plain(value: Any) -> Any:
    """Null is None, whether it stands in a record or in a table."""
    return None if value is None or value != value or (isinstance(value, int) and value == NO_TIME) else value


def _said(value: Any) -> str:
    within_reach = isinstance(value, int) and within(value, FIRST, LAST) and abs(value) > MOST_UNITS
    return iso(value) if within_reach else repr(_plain(value))
