"""What one reading made that the next one takes over where nothing under it has changed."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import NO_TIME, before
from features.columns import read_text
from features.contracts import TABLES
from features.histories import PackedTexts, Table, Vocabulary
from features.report import TableReport
from features.rows import Lots, read_rows

Dictionaries = dict[str, list[Any]]
"""The texts of id columns as Arrow arrays, by the kind of id."""


class Kept:
    """For one reading, or for readings of one site one after the other: tables that are the same objects as before are
    not read again. `packed`: vocabularies are packed at once, as mapped histories have them.
    """

    def __init__(self, *, packed: bool = False) -> None:
        self._packed = packed
        self._encoded: dict[str, tuple[pa.Table, pa.Table, Dictionaries]] = {}
        self._ids: dict[str, tuple[Any, Vocabulary]] = {}
        self._read: dict[str, tuple[Any, int, Table, TableReport]] = {}
        self._lots: tuple[Table, Lots] | None = None

    def encode(self, raw: "dict[str, pa.Table]") -> dict[str, Vocabulary]:
        """Turns id columns into dictionary-encoded text, in place, and gathers the vocabulary of each kind of id."""
        found: Dictionaries = {}
        for name, table in raw.items():
            held = self._encoded.get(name)
            if held is None or held[0] is not table:
                held = self._encoded[name] = (table, *_encoded(name, table))
            raw[name] = held[1]
            for kind, parts in held[2].items():
                found.setdefault(kind, []).extend(parts)
        return {kind: self._vocabulary(kind, parts) for kind, parts in found.items()}

    def read(
        self, name: str, raw: "pa.Table", *, ids: dict[str, Vocabulary], lots: Lots | None, timezone: str, now: int
    ) -> tuple[Table, TableReport]:
        """What `read_rows` gives."""
        rests_on = (raw, lots, *(ids.get(column.of) for column in TABLES[name].columns))
        if (held := self._read.get(name)) is not None:
            same = len(held[0]) == len(rests_on) and all(a is b for a, b in zip(held[0], rests_on, strict=True))
            # A plan becomes a shipment as time goes by; what has happened stays.
            if same and not held[3].future_shipped and not before(now, held[1]):
                return held[2], held[3]
        table, report = read_rows(TABLES[name], raw, ids=ids, lots=lots, timezone=timezone, now=now)
        self._read[name] = (rests_on, now, table, report)
        return table, report

    def lots(self, table: Table, codes: int) -> Lots:
        """What other tables have to know of `lots`; the same object for the same table."""
        if self._lots is None or self._lots[0] is not table or len(self._lots[1].exists) != codes:
            first = np.full(codes, NO_TIME, dtype=np.int64)
            exists = np.zeros(codes, dtype=bool)
            first[table["lot_id"]] = table.first
            exists[table["lot_id"]] = True
            self._lots = table, Lots(exists, first)
        return self._lots[1]

    def _vocabulary(self, kind: str, parts: list[Any]) -> Vocabulary:
        texts = pa.chunked_array(parts).unique()
        if kind in self._ids:
            known, vocabulary = self._ids[kind]
            if len(known) == len(texts) and pc.all(pc.is_in(texts, value_set=known)).as_py():
                return vocabulary
        made = _packed(texts) if self._packed else Vocabulary(texts.to_pylist())
        self._ids[kind] = texts, made
        return made


def _encoded(name: str, table: "pa.Table") -> "tuple[pa.Table, Dictionaries]":
    found: Dictionaries = {}
    for column in TABLES[name].columns:
        if column.kind == "id" and column.name in table.column_names:
            place = table.column_names.index(column.name)
            text = read_text(table[column.name]).dictionary_encode()
            table = table.set_column(place, column.name, text)
            found.setdefault(column.of, []).append(text.dictionary)
    return table, found


def _packed(texts: Any) -> Vocabulary:
    """In the order of bytes, which is that of code points."""
    plain = texts.drop_null().cast(pa.large_string())
    _, starts, data = plain.take(pc.sort_indices(plain)).buffers()
    bounds = np.frombuffer(starts, np.int64)[: len(plain) + 1]
    held = np.frombuffer(b"" if data is None else data, np.uint8)
    return Vocabulary(PackedTexts(held[bounds[0] : bounds[-1]], bounds - bounds[0]))
