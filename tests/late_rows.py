"""Copies of a site without the rows known at or after a moment, and with those rows made absurd.

Written from the contract's table of columns, and reads times by itself: it shares no code with what it guards.
"""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

Row = dict[str, Any]

KNOWN = {
    "lots": "produced_at",
    "shipments": "shipped_at",
    "measurements": "measured_at",
    "supplier_lots": "received_at",
    "inspections": "inspected_at",
    "genealogy": "consumed_at",
    "returns": "reported_at",
    "outcomes": "known_at",
    "dispositions": "decided_at",
    "actions": "opened_at",
    "surveys": "answered_at",
}
KEY = {
    "lots": ("lot_id",),
    "shipments": ("shipment_id",),
    "measurements": ("lot_id", "characteristic", "measured_at", "sample"),
    "supplier_lots": ("supplier_lot_id",),
    "inspections": ("supplier_lot_id", "inspected_at", "characteristic", "sample"),
    "genealogy": ("lot_id", "supplier_lot_id", "consumed_at"),
    "returns": ("return_id",),
    "outcomes": ("lot_id",),
    "dispositions": ("lot_id", "decided_at"),
    "actions": ("action_id",),
    "customers": ("customer_id",),
    "surveys": ("answered_at", "customer_id", "product_id", "kind"),
}
OTHER_TABLES = {"lot_id": "lots", "supplier_lot_id": "supplier_lots", "scope": "actions"}
LONG_AGO = datetime(2001, 5, 6, 7, tzinfo=UTC)


def read_tables(data: Path) -> dict[str, pa.Table]:
    """The tables of a folder by name: CSV as text, value by value; Parquet with its own types."""
    tables = {file.stem: pa.parquet.read_table(file) for file in data.glob("*.parquet")}
    for file in data.glob("*.csv"):
        names = pa.csv.read_csv(file).column_names
        text = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
        tables[file.stem] = pa.csv.read_csv(file, convert_options=text)
    return tables


def write_copy(site: Path, folder: Path, tables: dict[str, pa.Table]) -> Path:
    """The site with other tables, each in the format it had."""
    (folder / "data").mkdir(parents=True)
    shutil.copy(site / "lotrisk.toml", folder)
    for name, table in tables.items():
        if (site / "data" / f"{name}.parquet").exists():
            pa.parquet.write_table(table, folder / "data" / f"{name}.parquet")
        else:
            pa.csv.write_csv(table, folder / "data" / f"{name}.csv")
    return folder


def known_times(name: str, tables: dict[str, pa.Table], zone: str) -> list[datetime | None]:
    """When each row was known; None for a row that has no such time, which is never late."""
    table = tables[name]
    nothing = [None] * table.num_rows
    happened = table[KNOWN[name]].to_pylist() if KNOWN.get(name) in table.column_names else nothing
    stated = table["known_at"].to_pylist() if "known_at" in table.column_names else nothing
    known = [_moment(a, zone) or _moment(b, zone) for a, b in zip(stated, happened, strict=True)]
    if name == "genealogy":
        lots = tables["lots"]["lot_id"].to_pylist()
        made: dict[str, datetime] = {}
        for lot, moment in zip(lots, known_times("lots", tables, zone), strict=True):
            if moment is not None:
                made[lot] = min(moment, made.get(lot, moment))
        lots_of = table["lot_id"].to_pylist()
        known = [moment or made.get(lot) for moment, lot in zip(known, lots_of, strict=True)]
    return known


def without_late_rows(tables: dict[str, pa.Table], moment: datetime, zone: str) -> dict[str, pa.Table]:
    """What an export just before the moment would have held; a table of which nothing was known is absent."""
    kept = {name: table.filter(_early(name, tables, moment, zone)) for name, table in tables.items()}
    kept["lots"] = _plans(kept["lots"], moment, zone, lambda told: None)
    return {name: table for name, table in kept.items() if table.num_rows}


def with_absurd_late_rows(tables: dict[str, pa.Table], moment: datetime, zone: str) -> dict[str, pa.Table]:
    """Late rows carry absurd values, and every third early row is corrected or deleted by a late one as absurd.

    The corrections are known at the moment itself: a look-up that takes what is known at `as_of` meets them all.
    """
    made = {}
    for name, table in tables.items():
        early = _early(name, tables, moment, zone)
        if name == "lots":
            table = _plans(table, moment, zone, lambda told: _like(told, moment + timedelta(days=3650)))
        known = known_times(name, tables, zone)
        rows = table.to_pylist()
        late = list(_late_rows(name, rows, known, early.to_pylist(), moment))
        made[name] = _with_rows(table.filter(early), late)
    return made


def _early(name: str, tables: dict[str, pa.Table], moment: datetime, zone: str) -> "pa.Array":
    known = known_times(name, tables, zone)
    return pa.array([told is None or told < moment for told in known], pa.bool_())


def _plans(lots: "pa.Table", moment: datetime, zone: str, say: Callable[[Any], Any]) -> "pa.Table":
    """Lots known early that ship at the moment or later: then, their shipment was at most a plan."""
    if "shipped_at" not in lots.column_names:
        return lots
    place = lots.column_names.index("shipped_at")
    told = [
        say(value) if (time := _moment(value, zone)) is not None and time >= moment else value
        for value in lots["shipped_at"].to_pylist()
    ]
    return lots.set_column(place, "shipped_at", pa.array(told, lots["shipped_at"].type))


def _like(value: Any, moment: datetime) -> Any:
    return moment.isoformat() if isinstance(value, str) else moment


def _late_rows(
    name: str, rows: list[Row], known: list[datetime | None], early: list[bool], moment: datetime
) -> Iterator[Row]:
    """One late row a key and known time: two that differ would put each other into quarantine."""
    corrected: set[tuple[Any, ...]] = set()
    for number, (row, told) in enumerate(zip(rows, known, strict=True)):
        if told is None and name != "customers":  # beyond repair, while customers are known from the start
            continue
        if told is not None and not early[number]:
            yield {**absurd(name, row, number), "known_at": told.isoformat(), "deleted": row.get("deleted")}
        elif number % 3 == 0 and (key := tuple(row.get(column) for column in KEY[name])) not in corrected:
            corrected.add(key)
            gone = "true" if number % 9 == 0 else None
            yield {**absurd(name, row, number), "known_at": moment.isoformat(), "deleted": gone}


def absurd(name: str, row: Row, number: int) -> Row:
    """The row with wild values in all that is not its key: huge, negative, of others, of nobody, text for numbers."""
    wild = dict(row)
    for place, (column, value) in enumerate(row.items()):
        if column in KEY[name] or column in OTHER_TABLES or column in ("known_at", "deleted"):
            continue
        way = (number // 3 + place) % 5
        if column.endswith("_at"):
            wild[column] = [LONG_AGO.isoformat(), LONG_AGO.isoformat(), value, value, value][way]
        elif column in ("failed", "found"):
            wild[column] = ["1", "0", "1", "2", "perhaps"][way]
        elif _is_number(value):
            wild[column] = [1_000_000, -77, "plenty", 1e300, None][way]
        else:
            wild[column] = ["!nobody", "P01", None, "12345", value][way]
    return wild


def _with_rows(table: "pa.Table", late: list[Row]) -> "pa.Table":
    """The late rows first. A column that they give other types is text, each early value in its shortest form."""
    names = [*table.column_names, *(n for n in ("known_at", "deleted") if n not in table.column_names)]
    columns = []
    for column in names if late else table.column_names:
        old = table[column] if column in table.column_names else pa.nulls(table.num_rows, pa.string())
        new = [row.get(column) for row in late]
        if any(isinstance(value, str) for value in new) or pa.types.is_string(old.type):
            text = [None if value is None else _text(value) for value in [*new, *old.to_pylist()]]
            columns.append(pa.array(text, pa.string()))
        else:
            columns.append(pa.array([*new, *old.to_pylist()]))
    return pa.table(columns, names=names if late else table.column_names)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _moment(value: Any, zone: str) -> datetime | None:
    """A value of a known-time column: a date without a time was known at its end, a local hour twice at its later."""
    if isinstance(value, str):
        try:
            dated = len(value) == 10
            value = datetime.fromisoformat(value) + timedelta(days=dated)
        except ValueError:
            return None
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day) + timedelta(days=1)  # noqa: DTZ001
    if not isinstance(value, datetime):
        return None
    local = value if value.tzinfo is not None else value.replace(tzinfo=ZoneInfo(zone), fold=1)
    return local.astimezone(UTC)


def moments_of(name: str, tables: dict[str, pa.Table], zone: str) -> list[datetime]:
    """The known times of a table's rows, ascending."""
    return sorted(told for told in known_times(name, tables, zone) if told is not None)


__all__ = ["absurd", "known_times", "moments_of", "read_tables", "with_absurd_late_rows", "without_late_rows"]
