"""Stored scores of the open lots: one immutable Arrow file a scoring run, mapped by every worker.

A page is read out of one run, which its cursor names: paging on while new scores come neither skips nor repeats a lot.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import NO_TIME, Array, before
from features.card import iso
from features.output import write_whole
from serving.problems import Problem

SORTS = ("risk", "expected_cost", "expected_saving", "lot_id", "produced_at", "shipped_at", "quantity")
"""What lots can be sorted by; `-` before it: the greatest first."""
OF_LOTS = ("product_id", "line_id", "customer_id")


@dataclass(frozen=True)
class Filter:
    """What a lot has to be; None: anything. Ids as text, times in microseconds, [from, to)."""

    product: str | None = None
    line: str | None = None
    customer: str | None = None
    decision: str | None = None
    lots: frozenset[str] | None = None
    min_risk: float | None = None
    shipped_from: int | None = None
    shipped_to: int | None = None


def write_standing(path: Path, table: "pa.Table", *, said: Mapping[str, Any]) -> None:
    """Writes scores of lots, with the orders they can be read in; `said`: of the whole run.

    Columns: lot_id, those of `OF_LOTS`, quantity, produced_at and shipped_at (int64), risk, risk_low and
    risk_high (or null), expected_cost, expected_saving, within_capacity (bool or null), decision, warnings (codes,
    blank between).
    """
    by_lot = pc.sort_indices(table, sort_keys=[("lot_id", "ascending")])
    table = table.take(by_lot)
    for name in (*OF_LOTS, "decision", "warnings"):
        place = table.column_names.index(name)
        table = table.set_column(place, name, table[name].combine_chunks().dictionary_encode())
    for name in SORTS:
        values = np.arange(table.num_rows) if name == "lot_id" else table[name].to_numpy()
        order = np.argsort(values, kind="stable").astype(np.int32)
        table = table.append_column(f"by {name}", pa.array(order))
    table = table.combine_chunks().replace_schema_metadata({"said": json.dumps(dict(said))})

    def write(temporary: str) -> None:
        with pa.OSFile(temporary, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    write_whole(path, write)


class Standing:
    """One scoring run, mapped. OSError, ArrowInvalid: it is not there, no whole file, or of an older make."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        wanted = {*(f"by {name}" for name in SORTS), "within_capacity", "risk_high"}
        if missing := wanted - set(self._table.column_names):
            raise pa.ArrowInvalid(f"{path.name} lacks {', '.join(sorted(missing))}")
        self.said: dict[str, Any] = json.loads(self._table.schema.metadata[b"said"])

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def column(self, name: str) -> "pa.Array[Any]":
        """A column as it is stored, lots by id."""
        return self._table[name].combine_chunks()

    def page(self, asked: Filter, *, sort: str, start: int, limit: int | None) -> tuple[list[dict[str, Any]], int]:
        """(items, how many there are in all): `limit` items from `start` on, or all of them."""
        order = self._column(f"by {sort.removeprefix('-')}")
        if sort.startswith("-"):
            order = order[::-1]
        keep = self._keep(asked)
        if keep is not None:
            order = order[keep[order]]
        stop = len(order) if limit is None else start + limit
        return self._items(order[start:stop]), len(order)

    def _keep(self, asked: Filter) -> Array | None:
        masks = []
        for name, value in zip(
            (*OF_LOTS, "decision"), (asked.product, asked.line, asked.customer, asked.decision), strict=True
        ):
            if value is not None:
                masks.append(self._is(name, value))
        if asked.lots is not None:
            masks.append(
                np.asarray(pc.is_in(self._table["lot_id"], value_set=pa.array(sorted(asked.lots), pa.string())))
            )
        if asked.min_risk is not None:
            masks.append(self._column("risk") >= asked.min_risk)
        shipped = self._column("shipped_at")
        if asked.shipped_from is not None:
            masks.append(~before(shipped, asked.shipped_from))
        if asked.shipped_to is not None:
            masks.append((shipped != NO_TIME) & before(shipped, asked.shipped_to))
        return np.logical_and.reduce(masks) if masks else None

    def _is(self, name: str, value: str) -> Array:
        column = self._table[name].chunk(0) if len(self) else None
        if column is None:
            return np.zeros(0, dtype=bool)
        code = column.dictionary.index(value).as_py()
        return np.asarray(column.indices.fill_null(-1).to_numpy(zero_copy_only=False) == (code if code >= 0 else -2))

    def _items(self, rows: Array) -> list[dict[str, Any]]:
        taken = self._table.select(self._shown).take(pa.array(rows)).to_pylist()
        for item in taken:
            for name in ("produced_at", "shipped_at"):
                item[name] = None if item[name] == NO_TIME else iso(item[name])
            item["warnings"] = item["warnings"].split()
            item |= {name: self.said[name] for name in ("model_version", "as_of", "features_as_of")}
        return list(taken)

    @cached_property
    def _shown(self) -> list[str]:
        return [name for name in self._table.column_names if not name.startswith("by ") and name != "logged_at"]

    def _column(self, name: str) -> Array:
        values: Array = self._table[name].to_numpy()
        return values


def cursor_of(standing: Standing, place: int, asked: Mapping[str, str]) -> str:
    """Where the next page starts: the run, the place, and what was asked for."""
    return base64.urlsafe_b64encode(json.dumps([standing.name, place, dict(asked)]).encode()).decode()


def read_cursor(cursor: str, asked: Mapping[str, str]) -> tuple[str, int]:
    """(run, place). Problem `invalid_request` for what is no cursor, or one of another question."""
    try:
        name, place, of = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        if isinstance(name, str) and type(place) is int and place >= 0 and of == dict(asked):
            return name, place
    except (ValueError, TypeError, binascii.Error, UnicodeError, RecursionError):
        raise Problem("invalid_request", "cursor: not one that this route gave; start again without it") from None
    raise Problem("invalid_request", "cursor: it belongs to other filters or another sort; start again without it")


def names_of(rows: Iterable[Path]) -> list[str]:
    """Runs by age, the oldest first."""
    return sorted((row.name for row in rows), key=lambda name: int(name.split(".")[0]))
