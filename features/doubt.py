"""How far a lot's own probability of failing may lie from its risk: a few numbers in the card, applied as they stand.

Lots of one risk are not alike: the model sees a part of what makes them fail. Between `risk_low` and `risk_high` lies
the own probability of nine in ten lots of that risk, as far as training could tell (`training/doubt.py`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from features.histories import Array

WITHIN = 0.9  # of the lots of one risk have their own probability between the two ends


@dataclass(frozen=True)
class Doubt:
    """`knots`: (risk, low, high), rising in all three, from risk 0 to risk 1; straight lines between them.

    Without knots nothing is known of it. `how`: what told. ValueError where the numbers cannot be such ends.
    """

    knots: tuple[tuple[float, float, float], ...] = ()
    how: str = ""

    def __post_init__(self) -> None:
        within = all(math.isfinite(risk) and 0.0 <= low <= high <= 1.0 for risk, low, high in self.knots)
        rising = all(a[0] < b[0] and a[1] <= b[1] and a[2] <= b[2] for a, b in pairwise(self.knots))
        whole = not self.knots or (self.knots[0][0], self.knots[-1][0]) == (0.0, 1.0)
        if not (within and rising and whole):
            raise ValueError(
                "doubt: knots are (risk, low, high), rising from risk 0 to risk 1, with low <= high in [0, 1]. "
                "Train again or restore the card."
            )

    def around(self, risk: Array) -> tuple[Array, Array]:
        """Low and high of each risk, float64, same shape: low <= risk <= high; NaN where nothing is known.

        `risk`: float64 in [0, 1]. One alone gives the bits it gives in a batch: sums, products and comparisons only.
        """
        if not self.knots:
            nothing = np.full(risk.shape, np.nan)
            return nothing, nothing
        start, low, low_slope, high, high_slope = self._lines[:, self._risks.searchsorted(risk, side="right") - 1]
        further = risk - start
        return np.minimum(low + further * low_slope, risk), np.maximum(
            np.minimum(high + further * high_slope, 1.0), risk
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"how": self.how, "within": WITHIN, "knots": [list(knot) for knot in self.knots]}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Doubt":
        """What `as_dict` gave; of nothing, nothing known. ValueError for anything else."""
        try:
            knots = tuple((float(risk), float(low), float(high)) for risk, low, high in stored.get("knots", ()))
            return cls(knots, str(stored.get("how", "")))
        except TypeError as wrong:
            raise ValueError(f"doubt: {dict(stored)!r} is garbled ({wrong}). Restore the card.") from wrong

    @cached_property
    def _risks(self) -> Array:
        return np.array([risk for risk, _, _ in self.knots])

    @cached_property
    def _lines(self) -> Array:
        """Of each line where it starts (risk), its low end and slope, its high end and slope; shape (5, knots)."""
        risk, low, high = np.array(self.knots, dtype=np.float64).T
        steps = np.diff(risk)
        low_slope, high_slope = (np.append(np.diff(end) / steps, 0.0) for end in (low, high))
        return np.stack([risk, low, low_slope, high, high_slope])
