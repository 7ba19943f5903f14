"""The tables in memory, as arrays: what the as-of kernel, training and the gate share.

A table holds *standing rows*: every version of every fact with the span of time in which it was the
known one. Version 2 of a return stands from the moment it was known; version 1 stands until then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import FOREVER, NO_TIME, before, within

Array = np.ndarray[Any, np.dtype[Any]]
T = TypeVar("T")

_NEVER_ABSENT = ("lots", "returns", "outcomes")  # what is judged and what came of it; other empty tables are absent


class Vocabulary:
    """Distinct texts in ascending order; a code is a text's place. Unknown and null are -1."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts: list[str] = sorted(set(texts))
        self._codes: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def code(self, text: str | None) -> int:
        if self._codes is None:
            self._codes = {known: place for place, known in enumerate(self.texts)}
        return -1 if text is None else self._codes.get(text, -1)

    def encode(self, column: "pa.Array[Any] | pa.ChunkedArray[Any]") -> Array:
        """Codes (int64, shape (rows,)) of an Arrow text column."""
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        coded = cast("pa.DictionaryArray[Any, Any]", column.dictionary_encode())
        texts = coded.dictionary
        if len(texts) < len(self) // 8:  # one lot: do not index a million texts for it
            found = pa.array([self.code(text) for text in texts.to_pylist()], pa.int64())
        else:
            found = pc.index_in(texts, value_set=pa.array(self.texts, texts.type)).fill_null(-1)
        places = np.append(found.to_numpy(zero_copy_only=False).astype(np.int64), -1)
        at = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return cast(Array, places[at])

    def decode(self, codes: Array) -> list[str | None]:
        return [None if code < 0 else self.texts[code] for code in codes.tolist()]


@dataclass(frozen=True)
class Table:
    """Standing rows of one table, in no particular order.

    `columns`: arrays of shape (rows,): ids and texts as int64 codes (vocabularies: `Histories.ids` by the
    contract's `of`, else `texts`), units, counts and flags int64 (null: -1 for counts and flags), numbers
    float64 (null: NaN), times int64 microseconds (null: NO_TIME).
    `first`: when any version of the row's fact was first known; `known`: when this version was;
    `superseded`: when the next one was, or it was deleted (FOREVER: it stands).
    """

    name: str
    columns: Mapping[str, Array]
    first: Array
    known: Array
    superseded: Array
    texts: Mapping[str, Vocabulary] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    """Extra columns: a text code column where `texts` has the name; numbers are read from the texts by the layout."""

    def __len__(self) -> int:
        return len(self.known)

    def __getitem__(self, column: str) -> Array:
        return self.columns[column]

    def has(self, column: str) -> bool:
        return column in self.columns

    def take(self, rows: Array) -> "Table":
        return replace(
            self,
            columns={name: values[rows] for name, values in self.columns.items()},
            first=self.first[rows],
            known=self.known[rows],
            superseded=self.superseded[rows],
        )


@dataclass(frozen=True)
class Histories:
    """All tables of a site by name, with the shared vocabularies of ids. Absent tables are absent here."""

    tables: Mapping[str, Table]
    ids: Mapping[str, Vocabulary]
    _made: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)

    def __contains__(self, table: str) -> bool:
        return table in self.tables

    def __getitem__(self, table: str) -> Table:
        return self.tables[table]

    def once(self, what: object, make: Callable[[], T]) -> T:
        """What `make` returns, made the first time `what` is asked for and kept: sorted arrays are costly."""
        if what not in self._made:
            self._made[what] = make()
        return cast(T, self._made[what])

    def known_before(self, moment: int) -> "Histories":
        """Only the rows known strictly before `moment`; a version superseded later stands for ever."""
        if all(
            before(table.known, moment).all() and not within(table.superseded, moment, FOREVER).any()
            for table in self.tables.values()
        ):
            return self
        tables = {}
        for name, table in self.tables.items():
            kept = table.take(np.flatnonzero(before(table.known, moment)))
            still = before(kept.superseded, moment)
            tables[name] = replace(kept, superseded=np.where(still, kept.superseded, FOREVER))
        made = np.zeros(len(self.ids["lot"]) + 1, dtype=bool)
        made[tables["lots"]["lot_id"]] = True
        for name, table in tables.items():  # a row is of an unknown lot until the lot's own row is known
            if table.has("lot_id"):
                tables[name] = table.take(np.flatnonzero(made[table["lot_id"]]))
        there = {name: table for name, table in tables.items() if len(table) or name in _NEVER_ABSENT}
        return Histories(there, self.ids)


__all__ = ["FOREVER", "NO_TIME", "Array", "Histories", "Table", "Vocabulary"]
