"""The tables in memory, as arrays: what the as-of kernel, training and the gate share.

A table holds *standing rows*: every version of every fact with the span of time in which it was the
known one. Version 2 of a return stands from the moment it was known; version 1 stands until then.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, TypeVar, cast, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import FOREVER, NO_TIME, before, within

Array = np.ndarray[Any, np.dtype[Any]]
T = TypeVar("T")

_BLOCK = 4096  # texts unpacked at a time
REMEMBERED = 50_000  # codes of texts, about 5 MB a vocabulary
_NEVER_ABSENT = ("lots", "returns", "outcomes")  # what is judged and what came of it; other empty tables are absent


class PackedTexts(Sequence[str]):
    """Distinct texts in ascending order as bytes one after another, so that several processes can map them.

    `data`: uint8, UTF-8, which keeps the order of code points (a lone surrogate as if it were a character).
    `starts`: int64, shape (texts + 1,), where each text begins in `data` and the last one ends.
    """

    def __init__(self, data: Array, starts: Array) -> None:
        self.data, self.starts = data, starts
        self._bytes, self._starts = data.data, starts.data  # one value: four times as fast as out of an array

    @classmethod
    def of(cls, texts: Sequence[str]) -> "PackedTexts":
        """The same texts, packed if they are not yet."""
        if isinstance(texts, cls):
            return texts
        encoded = [_encoded(text) for text in texts]
        starts = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in encoded], out=starts[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), starts)

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        places = range(len(self))[place]  # negative and missing places as in a list
        if isinstance(places, range):
            return [self[each] for each in places]
        return self._at(places).decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BLOCK):
            ends = self._starts[start : start + _BLOCK + 1].tolist()
            block = self._bytes[ends[0] : ends[-1]].tobytes()
            for low, high in pairwise(ends):
                yield block[low - ends[0] : high - ends[0]].decode("utf-8", "surrogatepass")

    def find(self, text: str) -> int:
        """The place of a text, -1: it is not there."""
        wanted = _encoded(text)
        place = bisect_left(range(len(self)), wanted, key=self._at)
        return place if place < len(self) and self._at(place) == wanted else -1

    def arrow(self) -> "pa.Array[Any]":
        """The texts as an Arrow column of large strings, over the same bytes."""
        buffers = [None, pa.py_buffer(self.starts), pa.py_buffer(self.data)]
        return pa.Array.from_buffers(pa.large_string(), len(self), buffers)

    def _at(self, place: int) -> bytes:
        return self._bytes[self._starts[place] : self._starts[place + 1]].tobytes()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class Vocabulary:
    """Distinct texts in ascending order; a code is a text's place. Unknown and null are -1.

    Packed texts stay as they are: no text of theirs is a Python object until it is asked for, and only so many of those
    that were asked for are remembered: the search takes 8 microseconds, a third of what a lot in a large call takes.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts: Sequence[str] = texts if isinstance(texts, PackedTexts) else sorted(set(texts))
        self._codes: dict[str, int] | None = None
        self._asked: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.texts)

    def code(self, text: str | None) -> int:
        if self._codes is None:
            if isinstance(self.texts, PackedTexts):
                return -1 if text is None else self._found(text)
            self._codes = {known: place for place, known in enumerate(self.texts)}
        return -1 if text is None else self._codes.get(text, -1)

    def _found(self, text: str) -> int:
        code = self._asked.get(text)
        if code is None:
            code = cast(PackedTexts, self.texts).find(text)
            if len(self._asked) >= REMEMBERED:
                self._asked.clear()
            self._asked[text] = code
        return code

    def encode(self, column: "pa.Array[Any] | pa.ChunkedArray[Any]") -> Array:
        """Codes (int64, shape (rows,)) of an Arrow text column."""
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        coded = cast("pa.DictionaryArray[Any, Any]", column.dictionary_encode())
        texts = coded.dictionary
        if len(texts) < len(self) // 8:  # one lot: do not index a million texts for it
            found = pa.array([self.code(text) for text in texts.to_pylist()], pa.int64())
        else:
            own = self.texts
            known = own.arrow() if isinstance(own, PackedTexts) else pa.array(own, texts.type)
            found = pc.index_in(texts.cast(known.type), value_set=known).fill_null(-1)
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
    contradicted: Mapping[str, Array] = field(default_factory=dict)
    """Rows in quarantine, for others of a source say otherwise with their key and known time: what they are about, by
    the name of an id, `known`, and `superseded`, when a later version of their fact was known."""

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
    _of: dict[object, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)
    _earlier: list[tuple[dict[object, Any], set[str]]] = field(default_factory=list, repr=False, compare=False)

    def __contains__(self, table: str) -> bool:
        return table in self.tables

    def __getitem__(self, table: str) -> Table:
        return self.tables[table]

    def once(self, what: object, make: Callable[[], T], *, of: tuple[str, ...] = ()) -> T:
        """What `make` returns, made the first time `what` is asked for and kept: sorted arrays are costly.

        `of`: the only tables, with their vocabularies, that it is made of; (): nobody says so.
        """
        if what not in self._made:
            self._made[what] = make()
            if of:
                self._of[what] = of
        return cast(T, self._made[what])

    def take_over(self, earlier: "Histories") -> None:
        """What was made earlier of tables that are the same objects here; so their vocabularies have to be, too.

        The rest can be asked for by `earlier` until `let_go`.
        """
        names = {*self.tables, *earlier.tables}
        changed = {name for name in names if self.tables.get(name) is not earlier.tables.get(name)}
        for what, tables in earlier._of.items():
            if changed.isdisjoint(tables):
                self._made.setdefault(what, earlier._made[what])
                self._of[what] = tables
        earlier.let_go()
        self._earlier.append((earlier._made, changed))

    def earlier(self, what: object, *, of: tuple[str, ...]) -> Any | None:
        """What was made earlier under this name, of these tables, which are the same, and of others; None: nothing."""
        return next((made.get(what) for made, changed in self._earlier if changed.isdisjoint(of)), None)

    def let_go(self) -> None:
        """Of what was earlier, as soon as all is made that could be made of it."""
        self._earlier.clear()

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


__all__ = ["FOREVER", "NO_TIME", "Array", "Histories", "PackedTexts", "Table", "Vocabulary"]
