"""How far a lot lies outside what the model was trained on, and which of its numbers can only be a mistake.

Comparisons and whole numbers only: a row alone has the bits it has in a batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np

from features.histories import Array

FULL = 1_000_000  # all numbers as far out as is counted; a product, line, site or supplier never seen, by itself
MOST_STEPS = 10

_LISTS = ("weights", "low", "high", "seen", "missing", "lowest", "highest")


class _Numbers(NamedTuple):
    """What is asked of the number columns that count: each of shape (columns,)."""

    places: Array
    low: Array
    high: Array
    steps: Array
    missing: Array


class _Categories(NamedTuple):
    """`known` says of `start + code` whether the sample has it; after a column's codes come null and all others."""

    places: Array
    start: Array
    levels: Array
    known: Array


@dataclass(frozen=True)
class Familiar:
    """What the training sample spans; every list has one entry a feature, in the order of the card's.

    `limit`: a lot with a longer distance is unlike any seen. `weights`: millionths a step outside, 0 where the feature
    does not count. `low`, `high`: the sample's range of a number. `seen`: the codes of a category that it has.
    `missing`: whether nulls are usual. `lowest`, `highest`: beyond them a number is a mistake. None: not asked.
    """

    limit: int
    weights: tuple[int, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    seen: tuple[tuple[int, ...] | None, ...]
    missing: tuple[bool, ...]
    lowest: tuple[float | None, ...]
    highest: tuple[float | None, ...]

    def __post_init__(self) -> None:
        sizes = {name: len(getattr(self, name)) for name in _LISTS}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"familiar: lists of different lengths, {sizes}. Measure again or restore the card.")

    def distance(self, matrix: Array) -> Array:
        """Weight of all that lies outside, int64, shape (rows,). `matrix`: float64, columns in the card's order.

        A number counts a step for lying outside and one more for each half of the sample's range it lies further out,
        ten at most; an unseen category counts one, as does a null where the sample has none.
        """
        return cast(Array, self._steps(matrix) @ self._weights)

    def outside(self, row: Array) -> list[int]:
        """Places of the features on which a row, of shape (features,), lies outside; the heaviest first."""
        weighed = self._steps(row[None, :])[0] * self._weights
        places = np.concatenate([self._numbers.places, self._categories.places])
        order = np.lexsort((places, -weighed))
        return [int(places[place]) for place in order if weighed[place]]

    def impossible(self, matrix: Array) -> Array:
        """Whether a value lies so far out that it must be a mistake: bool, shape (rows, features)."""
        found = np.zeros(matrix.shape, dtype=bool)
        places, lowest, highest = self._bounds
        values = matrix[:, places]
        found[:, places] = (values < lowest) | (values > highest)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; floats read back as the same floats."""
        seen = [None if codes is None else list(codes) for codes in self.seen]
        lists = {name: list(value) for name, value in vars(self).items() if name in _LISTS}
        return {"limit": self.limit, **lists, "seen": seen}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Familiar":
        """What `as_dict` gave, also after a trip through JSON. ValueError for anything else."""
        try:
            return cls(
                limit=int(stored["limit"]),
                weights=tuple(int(weight) for weight in stored["weights"]),
                low=_floats(stored["low"]),
                high=_floats(stored["high"]),
                seen=tuple(None if codes is None else tuple(int(code) for code in codes) for codes in stored["seen"]),
                missing=tuple(bool(usual) for usual in stored["missing"]),
                lowest=_floats(stored["lowest"]),
                highest=_floats(stored["highest"]),
            )
        except (KeyError, TypeError) as wrong:
            raise ValueError(f"familiar: lacks or garbles {wrong}. Measure again or restore the card.") from wrong

    def _steps(self, matrix: Array) -> Array:
        """How many steps outside, int64, shape (rows, columns that count): numbers first, then categories."""
        if matrix.shape[1] != len(self.weights):
            raise ValueError(f"{matrix.shape[1]} columns: the card has {len(self.weights)} features.")
        numbers, categories = self._numbers, self._categories
        values = matrix[:, numbers.places]
        with np.errstate(all="ignore"):  # what overflows or is null compares as it should
            far = np.maximum(numbers.low - values, values - numbers.high)
            more = np.minimum(far * numbers.steps, MOST_STEPS - 1).astype(np.int64)
        steps = np.where(far > 0, more + 1, np.isnan(values) & ~numbers.missing)
        values = matrix[:, categories.places]
        other = np.where(np.isnan(values), categories.levels, categories.levels + 1)
        code = np.where((values >= 0) & (values < categories.levels), values, other).astype(np.int64)
        return np.concatenate([steps, ~categories.known[code + categories.start]], axis=1)

    @cached_property
    def _weights(self) -> Array:
        places = np.concatenate([self._numbers.places, self._categories.places])
        return np.array(self.weights, dtype=np.int64).take(places)

    @cached_property
    def _numbers(self) -> _Numbers:
        places = [n for n, low in enumerate(self.low) if low is not None and self.weights[n]]
        at = np.array(places, dtype=np.int64)
        low, high = (np.array([ends[n] for n in places], dtype=np.float64) for ends in (self.low, self.high))
        missing = np.array([self.missing[n] for n in places], dtype=bool)
        return _Numbers(at, low, high, 2 / _range(low, high), missing)

    @cached_property
    def _categories(self) -> _Categories:
        counted = {n: codes for n, codes in enumerate(self.seen) if codes is not None and self.weights[n]}
        levels = np.array([max(codes, default=-1) + 1 for codes in counted.values()], dtype=np.int64)
        start = np.concatenate([[0], np.cumsum(levels + 2)]).astype(np.int64)
        known = np.zeros(start[-1], dtype=bool)
        for (place, codes), first, size in zip(counted.items(), start.tolist(), levels.tolist(), strict=False):
            known[[first + code for code in codes]] = True
            known[first + size] = self.missing[place]
        return _Categories(np.array(list(counted), dtype=np.int64), start[:-1], levels, known)

    @cached_property
    def _bounds(self) -> tuple[Array, Array, Array]:
        places = [place for place, end in enumerate(self.lowest) if end is not None]
        lowest, highest = (
            np.array([ends[n] for n in places], dtype=np.float64) for ends in (self.lowest, self.highest)
        )
        return np.array(places, dtype=np.int64), lowest, highest


def _range(low: Array, high: Array) -> Array:
    """How wide the sample is; of a constant its own size, of a constant zero 1."""
    with np.errstate(over="ignore"):
        width = high - low
    width = np.where(width > 0, width, np.abs(low))
    return cast(Array, np.where(width > 0, width, 1.0))


def _floats(values: list[float | None]) -> tuple[float | None, ...]:
    return tuple(None if value is None else float(value) for value in values)
