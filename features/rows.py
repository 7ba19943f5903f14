"""The rows of one table: from what a source gave to standing rows, by the table's contract."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from features.asof import NO_TIME, before
from features.columns import Read, is_number, read_flags, read_numbers, read_text, read_whole
from features.contracts import Column, TableContract
from features.errors import ContractViolation
from features.histories import Array, Table, Vocabulary
from features.limits import ARRIVED
from features.quarantine import Faults
from features.report import Notes, TableReport
from features.stored import ARRIVAL
from features.times import Times, read_times
from features.versions import Homes, standing

_ANYWHERE = ("known_at", "deleted", ARRIVAL)
_ABOUT = ("lot_id", "supplier_lot_id", "customer_id")


@dataclass(frozen=True)
class Lots:
    """What other tables have to know of `lots`, by lot code: whether it is there, and when it was first known."""

    exists: Array
    first: Array


@dataclass
class _Draft:
    """A table on its way in; arrays of shape (rows,)."""

    contract: TableContract
    raw: "pa.Table"
    timezone: str
    faults: Faults
    deleted: Array
    values: dict[str, Array] = field(default_factory=dict)
    texts: dict[str, Vocabulary] = field(default_factory=dict)
    times: dict[str, Times] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    notes: Notes = field(default_factory=Notes)

    @property
    def names(self) -> list[str]:
        return list(self.raw.column_names)


def require_columns(contract: TableContract, raw: "pa.Table") -> None:
    """ContractViolation where a required column is missing, or one has a type that nothing can be read from."""
    names = raw.column_names
    for column in contract.columns:
        if column.required and column.name not in names:
            raise ContractViolation(
                f"{contract.name}.{column.name}: the column is missing, {len(names)} found: {', '.join(names)}; "
                f"give it this name in the source, or by `as {column.name}` in [tables.{contract.name}] query"
            )
    if contract.name == "inspections" and not ({"sample_size", "defects"} <= set(names) or "value" in names):
        raise ContractViolation(
            f"inspections: neither sample_size with defects nor value among {len(names)} columns: {', '.join(names)}; "
            "an inspection needs its result"
        )
    nothing = raw.schema.empty_table()
    for name in names:
        if contract.column(name) is not None or contract.open_ended or name in _ANYWHERE:
            try:
                read_text(nothing[name])
            except ContractViolation as error:
                raise ContractViolation(f"{contract.name}.{name}: {error}") from None


def read_rows(
    contract: TableContract,
    raw: "pa.Table",
    *,
    ids: Mapping[str, Vocabulary],
    lots: Lots | None,
    timezone: str,
    now: int,
) -> tuple[Table, TableReport]:
    """Standing rows and their report. `lots` is None for the table of lots itself; `now` bounds its `shipped_at`."""
    draft = _Draft(contract, raw, timezone, Faults(raw.num_rows), np.zeros(raw.num_rows, dtype=bool))
    _read_deleted(draft)
    for column in contract.columns:
        _read_column(draft, column, ids)
        if column.of == "lot" and lots is not None:
            codes = draft.values[column.name]
            draft.faults.mark(~draft.deleted & (codes >= 0) & ~lots.exists[codes], "unknown lot")
    if contract.open_ended:
        _read_attributes(draft)
    known = _read_known(draft, lots)
    if contract.happened in draft.values:
        happened = draft.values[contract.happened]
        early = (happened != NO_TIME) & before(known, happened)
        draft.faults.mark(~draft.deleted & early, "known before it happened")
    if contract.name == "inspections":
        draft.faults.mark(~draft.deleted & ~_has_result(draft), "missing sample_size and defects, or value")
    if contract.name == "lots":
        _set_plans_aside(draft, now)
    return _stand(draft, known, lots)


def _read_deleted(draft: _Draft) -> None:
    if "deleted" in draft.names:
        flag = read_flags(draft.raw["deleted"])
        draft.faults.mark(flag.bad, "neither true nor false in deleted")
        draft.deleted = flag.values == 1


def _read_column(draft: _Draft, column: Column, ids: Mapping[str, Vocabulary]) -> None:
    """Reads one canonical column and marks its faults. Of a deletion only key and known time are asked for."""
    name = column.name
    if name not in draft.names:
        if column.default is not None:
            draft.values[name] = np.full(draft.raw.num_rows, column.default, dtype=np.int64)
            draft.notes.defaulted[name] = draft.raw.num_rows
        return
    source = draft.raw[name]
    is_key = name in draft.contract.key
    asked = np.ones(draft.raw.num_rows, dtype=bool) if is_key else ~draft.deleted
    missing_reason = "no key" if is_key else f"missing {name}"
    if column.kind == "id":
        draft.values[name] = ids[column.of].encode(source)
        missing = draft.values[name] < 0
    elif column.kind == "text":
        draft.values[name] = _encode(draft, name)
        missing = draft.values[name] < 0
    elif column.kind == "time":
        read = draft.times[name] = read_times(source, draft.timezone)
        draft.values[name] = read.happened
        draft.faults.mark(asked & read.impossible, f"impossible time in {name}")
        missing, missing_reason = read.happened == NO_TIME, f"impossible time in {name}"
        _note_hours(draft, read)
    else:
        number = _read_number(column, source, draft.notes)
        draft.values[name] = number.values
        draft.faults.mark(asked & number.bad, f"no number in {name}")
        if not column.signed:
            draft.faults.mark(asked & ~number.null & ~number.bad & (number.values < 0), f"negative {name}")
        missing = number.null
    if column.required:
        draft.faults.mark(asked & missing, missing_reason)


def _read_number(column: Column, source: Any, notes: Notes) -> Read:
    if column.kind == "number":
        return read_numbers(source)
    if column.kind == "flag":
        return read_flags(source)
    read = read_whole(source)
    if read.rounded.any():
        notes.rounded[column.name] = int(read.rounded.sum())
    if column.kind == "count":
        read.values[read.null] = -1
    elif column.default is not None and read.null.any():
        read.values[read.null] = column.default
        notes.defaulted[column.name] = int(read.null.sum())
    return read


def _read_attributes(draft: _Draft) -> None:
    names = sorted(n for n in draft.names if draft.contract.column(n) is None and n not in _ANYWHERE)
    for name in names:
        if is_number(draft.raw[name].type):
            read = read_numbers(draft.raw[name])
            draft.values[name] = read.values
            if read.bad.any():
                draft.notes.unusable_attributes[name] = int(read.bad.sum())
        else:
            draft.values[name] = _encode(draft, name)
    draft.attributes = tuple(names)


def _encode(draft: _Draft, name: str) -> Array:
    text = read_text(draft.raw[name])
    vocabulary = Vocabulary([one for one in text.unique().to_pylist() if one is not None])
    draft.texts[name] = vocabulary
    return vocabulary.encode(text)


def _read_known(draft: _Draft, lots: Lots | None) -> Array:
    """When each row was known: `known_at`, else the contract's column, else (genealogy) when its lot was."""
    contract = draft.contract
    known = np.full(draft.raw.num_rows, NO_TIME, dtype=np.int64)
    dates = np.zeros(draft.raw.num_rows, dtype=bool)
    if contract.known in draft.times:
        known, dates = draft.times[contract.known].known.copy(), draft.times[contract.known].dates
    if contract.name == "genealogy" and lots is not None:
        undated = (known == NO_TIME) & (draft.values["lot_id"] >= 0)
        known[undated] = lots.first[draft.values["lot_id"][undated]]
    if "known_at" in draft.names and contract.known != "known_at":
        given = read_times(draft.raw["known_at"], draft.timezone)
        draft.faults.mark(given.impossible, "impossible time in known_at")
        stated = given.known != NO_TIME
        known = np.where(stated, given.known, known)
        dates = np.where(stated, given.dates, dates)
        _note_hours(draft, given)
    if contract.known:
        draft.faults.mark(known == NO_TIME, f"impossible time in {contract.known}")
    draft.notes.dates_as_ends = int(dates.sum())
    return known


def _note_hours(draft: _Draft, read: Times) -> None:
    draft.notes.ambiguous += int(read.ambiguous.sum())
    draft.notes.skipped += int(read.skipped.sum())


def _has_result(draft: _Draft) -> Array:
    result = np.zeros(draft.raw.num_rows, dtype=bool)
    values = draft.values
    if "sample_size" in values and "defects" in values:
        result |= (values["sample_size"] >= 0) & (values["defects"] >= 0)
    if "value" in values:
        result |= ~np.isnan(values["value"])
    return result


def _set_plans_aside(draft: _Draft, now: int) -> None:
    """A shipment still to come is a plan, not a fact. `shipped_known` is `shipped_at` on the known clock."""
    never = np.full(draft.raw.num_rows, NO_TIME, dtype=np.int64)
    times = draft.times.get("shipped_at")
    shipped, known = (times.happened, times.known) if times is not None else (never, never)
    planned = before(now, shipped)
    draft.notes.future_shipped = int(planned.sum())
    draft.values["shipped_at"] = np.where(planned, NO_TIME, shipped)
    draft.values["shipped_at known"] = np.where(planned, NO_TIME, known)


def _stand(draft: _Draft, known: Array, lots: Lots | None) -> tuple[Table, TableReport]:
    contract, faults = draft.contract, draft.faults
    usable, arrived = np.flatnonzero(~faults.any), None
    if ARRIVAL in draft.names:
        arrived = ~np.asarray(draft.raw[ARRIVAL].is_null())
        usable = usable[np.argsort(arrived[usable], kind="stable")]  # what a source says too is the source's
    homes = None
    if lots is not None and "lot_id" in draft.values and "lot_id" not in contract.key:
        lot = draft.values["lot_id"][usable]
        homes = Homes(lot, lots.first[lot])
    stood = standing(
        [draft.values[name][usable] for name in contract.key if name in draft.values],
        known[usable],
        draft.deleted[usable],
        [values[usable] for values in draft.values.values()],
        homes=homes,
        arrived=None if arrived is None else arrived[usable],
    )
    faults.mark_rows(usable[stood.contradictions], "differs from another row with the same key and known time")
    rows = usable[stood.rows]
    torn = stood.contradictions if arrived is None else stood.contradictions[~arrived[usable[stood.contradictions]]]
    settled = stood.settled if arrived is None else stood.settled[~arrived[usable[stood.contradictions]]]
    table = Table(
        contract.name,
        columns={name: values[rows] for name, values in draft.values.items()}
        | ({ARRIVED: arrived[rows]} if arrived is not None and contract.name == "measurements" else {}),
        first=stood.first,
        known=known[rows],
        superseded=stood.superseded,
        texts=draft.texts,
        attributes=draft.attributes,
        contradicted={
            "known": known[usable[torn]],
            "superseded": settled,
            **{name: draft.values[name][usable[torn]] for name in _ABOUT if name in draft.values},
        },
    )
    report = TableReport(
        table=contract.name,
        read=draft.raw.num_rows,
        standing=len(rows),
        versions=stood.versions,
        deletions=stood.deletions,
        duplicates=stood.duplicates,
        quarantine=faults.quarantine(draft.raw, contract.key),
        known_from="known_at" if "known_at" in draft.names else contract.known,
        attributes=draft.attributes,
        ignored=tuple(
            n for n in draft.names if contract.column(n) is None and n not in (*_ANYWHERE, *draft.attributes)
        ),
        **vars(draft.notes),
    )
    return table, report
