"""Attributes as features: extra columns of `lots`, `supplier_lots` and `customers`, and the lots' own rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from features.asof import Array
from features.histories import Histories, Table
from features.layout import Attribute, Layout, numbers_of, written_number

OwnRow = Mapping[str, Any]
"""A lot's own row as it came with a question: canonical columns, ids as text; attributes: number or text or None."""


def attributes_of(layout: Layout, table: str) -> list[Attribute]:
    """The attributes of a table, in the layout's order."""
    return layout.of_table.get(table, [])


def attribute_values(histories: Histories, layout: Layout, table: str, row: Array) -> Array:
    """The layout's attributes of rows of a table: numbers, or the category's place in its levels; NaN else.

    Row -1 is none. Returns float64, shape (rows, attributes).
    """
    held, coded, starts, places = histories.once(
        ("attributes", table, layout.key),
        lambda: _held_and_places(histories, table, attributes_of(layout, table)),
        of=(table,),
    )
    values = held.take(row, axis=0)
    if len(coded):
        values[:, coded] = places[values[:, coded].astype(np.int64) + starts]
    return values


def _held_and_places(
    histories: Histories, table: str, attributes: list[Attribute]
) -> tuple[Array, Array, Array, Array]:
    """What `_held` gives; which of its columns are codes, where the places of each one's begin, and the places."""
    columns = tuple((attribute.column, attribute.kind) for attribute in attributes)
    held = histories.once(("held", table, columns), lambda: _held(histories.tables.get(table), attributes), of=(table,))
    coded = np.array([place for place, a in enumerate(attributes) if a.kind == "category"], dtype=np.int64)
    places = [_places(histories, attributes[place]) for place in coded.tolist()]
    starts = np.cumsum([1, *map(len, places)])[:-1]
    return held, coded, starts, np.concatenate([np.empty(0), *places])


def _held(table: Table | None, attributes: list[Attribute]) -> Array:
    """Numbers and codes as one matrix: a row for each of the table, looked up at once, and a last one for none."""
    held = np.empty((1 if table is None else len(table) + 1, len(attributes)))
    for place, attribute in enumerate(attributes):
        number = attribute.kind == "number"
        held[:, place] = np.nan if number else -1
        if table is not None and table.has(attribute.column):
            held[:-1, place] = numbers_of(table, attribute.column) if number else table[attribute.column]
    return held


class OwnRows:
    """The question itself: each lot's own row of `lots`, from the histories or as it came with the question.

    `row`: of `lots`, -1 where there is none; `told`: the rows that came, by their place among the questions.
    """

    def __init__(self, histories: Histories, row: Array, told: Mapping[int, OwnRow]) -> None:
        self._histories, self._row, self._told = histories, row, told
        self._places = np.fromiter(told, dtype=np.int64, count=len(told))
        self._codes: dict[str, Array] = {}

    def codes(self, column: str) -> Array:
        """Codes of an id column, int64; -1: null, or not known to the histories."""
        if column not in self._codes:
            self._codes[column] = self._coded(column)
        return self._codes[column]

    def units(self) -> Array:
        """`quantity`, int64."""
        return self._whole("quantity")

    def times(self, column: str) -> Array:
        """A time column of the contract, int64; NO_TIME: null."""
        return self._whole(column)

    def values(self, layout: Layout) -> Array:
        """The layout's attributes of `lots`, as `attribute_values` gives them."""
        values = attribute_values(self._histories, layout, "lots", self._row)
        if self._told:
            for place, attribute in enumerate(attributes_of(layout, "lots")):
                told = [row.get(attribute.column) for row in self._told.values()]
                values[self._places, place] = _told_values(attribute, told)
        return values

    def stated(self, attribute: Attribute) -> Array:
        """Whether an attribute has a value, known to training or not; bool."""
        lots = self._histories["lots"]
        if not lots.has(attribute.column):
            stated = np.zeros(len(self._row), dtype=bool)
        elif lots[attribute.column].dtype == np.float64:
            stated = (self._row >= 0) & ~np.isnan(lots[attribute.column][self._row])
        else:
            stated = (self._row >= 0) & (lots[attribute.column][self._row] >= 0)
        if self._told:
            stated[self._places] = [row.get(attribute.column) is not None for row in self._told.values()]
        return stated

    def _coded(self, column: str) -> Array:
        lots, vocabulary = self._histories["lots"], self._histories.ids.get(column.removesuffix("_id"))
        codes = lots[column][self._row] if lots.has(column) else np.full(len(self._row), -1)
        codes[self._row < 0] = -1
        if vocabulary is not None and self._told:
            codes[self._places] = [vocabulary.code(row.get(column)) for row in self._told.values()]
        return codes

    def _whole(self, column: str) -> Array:
        values = self._histories["lots"][column][self._row]
        if self._told:
            values[self._places] = [row[column] for row in self._told.values()]
        return values


def _places(histories: Histories, attribute: Attribute) -> Array:
    """The place in the levels of code -1 and of each code after it."""
    table = histories.tables.get(attribute.table)
    if table is None or not table.has(attribute.column):
        return np.array([np.nan])
    vocabulary = table.texts.get(attribute.column)
    if vocabulary is None:
        vocabulary = histories.ids[attribute.column.removesuffix("_id")]
    place = {level: float(code) for code, level in enumerate(attribute.levels)}
    return np.array([np.nan, *(place.get(text, np.nan) for text in vocabulary.texts)])


def _told_values(attribute: Attribute, told: Sequence[Any]) -> list[float]:
    """The same of values that came with a question."""
    if attribute.kind == "number":
        return [
            np.nan if value is None else written_number(value) if isinstance(value, str) else float(value)
            for value in told
        ]
    place: dict[str | None, float] = {level: float(code) for code, level in enumerate(attribute.levels)}
    return [place.get(value if isinstance(value, str) else as_text(value), np.nan) for value in told]


def as_text(value: Any) -> str | None:
    """A number or truth value as the reader of tables writes it: whole numbers have no decimal point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return None if value is None else str(value)
