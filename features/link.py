"""From what a model's trees say of a lot to the log odds that it fails."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np

from features import exact
from features.histories import Array

LARGEST = 30.0  # of a log rate, either way
SURE = 1e-9  # a tail nearer to 0 or 1 is lost in the rounding of its sum
DISPERSIONS = (0.25, 0.5, 1.0, 2.0, 4.0)  # their powers are square roots and products, the same bits everywhere


@dataclass(frozen=True)
class Link:
    """`log_odds`: the trees say them. `count`: they say the log of units to come back a unit at risk.

    Then a lot fails when as many come back as its label's rule asks for, the count being negative binomial of that mean
    and of variance mean + `dispersion` * mean**2 (lots of one mean are not alike). ValueError for other numbers.
    """

    kind: Literal["log_odds", "count"] = "log_odds"
    returned_ppm: float = 0.0
    dispersion: float = 0.0

    def __post_init__(self) -> None:
        counted = self.kind == "count" and self.returned_ppm > 0 and self.dispersion in DISPERSIONS
        if not (counted or (self.kind, self.returned_ppm, self.dispersion) == ("log_odds", 0.0, 0.0)):
            raise ValueError(f"link: {asdict(self)} is none that is known. Train again or restore the card.")

    def apply(self, raw: Array, units: Array | None) -> Array:
        """Log odds, float64, shape of `raw`; `units` at risk, same shape. A lot alone gives its bits in a batch."""
        if self.kind == "log_odds":
            return raw
        if units is None:
            raise ValueError("a model of counts needs the units at risk of each lot. Give them beside the matrix.")
        below = self._below(np.clip(raw, -LARGEST, LARGEST), np.maximum(units, 1).astype(np.float64))
        held = np.minimum(np.maximum(below, SURE), 1.0 - SURE)
        return np.array([exact.log((1.0 - share) / share) for share in held.tolist()]).reshape(np.shape(raw))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Link":
        """What `as_dict` gave; nothing: log odds. ValueError for anything else."""
        try:
            return cls(**stored)
        except TypeError as wrong:
            raise ValueError(f"link: {dict(stored)!r} is none ({wrong}). Restore the card.") from wrong

    def _below(self, raw: Array, units: Array) -> Array:
        """The chance that fewer come back than fail the lot: the terms' sum, each from the one before it."""
        mean = np.array([exact.exp(rate) for rate in raw.tolist()]) * units
        needed = units_that_fail(units, self.returned_ppm)
        spread = 1.0 + self.dispersion * mean
        size, kept = 1.0 / self.dispersion, self.dispersion * mean / spread
        term = _power(spread, size)
        total = np.where(needed > 0, term, 0.0)
        for number in range(1, int(needed.max(initial=0))):
            term = term * ((size + number - 1.0) / number * kept)
            total = total + np.where(number < needed, term, 0.0)
        return total


def units_that_fail(units: Array, returned_ppm: float) -> Array:
    """The least number of returned units that fails a lot, float64."""
    return cast(Array, np.ceil(returned_ppm * units / 1e6))


def _power(base: Array, size: float) -> Array:
    """base ** -size for the sizes of DISPERSIONS, by square roots and products alone."""
    if size < 1.0:
        return _power(np.sqrt(base), 2.0 * size)
    return cast(Array, 1.0 / base if size == 1.0 else _power(base * base, size / 2.0))


LOG_ODDS = Link()


def links_of_counts(returned_ppm: float) -> tuple[Link, ...]:
    """The links a model of counts may have, by dispersion."""
    return tuple(Link("count", returned_ppm, dispersion) for dispersion in DISPERSIONS)
