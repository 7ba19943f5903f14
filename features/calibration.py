"""From a model's margin to a calibrated risk: a few numbers in the card, applied alike in training and at the gate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np

from features import exact
from features.histories import Array

Kind = Literal["identity", "platt", "isotonic"]

LARGEST_LOG_ODDS = 30.0  # a risk within 1e-13 of 0 or 1 is a claim no history supports, and keeps log loss finite


@dataclass(frozen=True)
class Calibration:
    """A rising map from margin (log odds, any float64) to risk, strictly between 0 and 1.

    "identity" and "platt" are the sigmoid of slope * margin + intercept (Platt 1999; identity: 1 and 0).
    "isotonic" joins `knots`, pairs (margin, risk) that rise in both, by straight lines and is flat beyond
    the outer ones (Zadrozny & Elkan 2002; knots at the pools' centres, Oron & Flournoy 2017).

    Raises ValueError where the numbers cannot be such a map.
    """

    kind: Kind
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise ValueError(f"calibration of kind {self.kind!r}: {problem}. Fit it again or restore the card.")

    def apply(self, margin: Array) -> Array:
        """Risk of each margin: float64 of the same shape. One margin alone gives the bits it gives in a batch.

        Raises ValueError for a margin that is not a finite number.
        """
        margin = np.asarray(margin, dtype=np.float64)
        if not np.isfinite(margin).all():
            raise ValueError(f"margin: {int((~np.isfinite(margin)).sum())} of {margin.size} are not finite numbers.")
        if self.kind != "isotonic":
            log_odds = self.slope * margin + self.intercept
            return np.array([_sigmoid(value) for value in log_odds.ravel().tolist()]).reshape(margin.shape)
        margins, risks, margin_steps, risk_steps = self._lines
        within = np.minimum(np.maximum(margin, margins[0]), margins[-1])
        line = np.searchsorted(margins, within, side="right") - 1
        return cast(Array, risks[line] + (within - margins[line]) / margin_steps[line] * risk_steps[line])

    def moved(self, by: float) -> "Calibration":
        """The map that says of a margin higher by so much what this one says: for a model whose margins are."""
        if by == 0.0:
            return self
        if self.kind == "isotonic":
            return Calibration("isotonic", knots=tuple((margin + by, risk) for margin, risk in self.knots))
        return Calibration("platt", self.slope, self.intercept - self.slope * by)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON. A float's shortest decimal form reads back as the same float."""
        if self.kind == "isotonic":
            return {"kind": self.kind, "knots": [[margin, risk] for margin, risk in self.knots]}
        return {"kind": self.kind, "slope": self.slope, "intercept": self.intercept}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Calibration":
        """What `as_dict` gave. Raises ValueError for anything else."""
        try:
            if stored["kind"] == "isotonic":
                return cls("isotonic", knots=tuple((float(margin), float(risk)) for margin, risk in stored["knots"]))
            return cls(stored["kind"], slope=float(stored["slope"]), intercept=float(stored["intercept"]))
        except (KeyError, TypeError) as wrong:
            raise ValueError(f"calibration: {dict(stored)!r} lacks or garbles {wrong}. Restore the card.") from wrong

    @cached_property
    def _lines(self) -> tuple[Array, Array, Array, Array]:
        """Where each line starts (margin, risk) and how far it goes; the last is flat. Each of shape (knots,)."""
        margins, risks = np.array(self.knots, dtype=np.float64).T
        return margins, risks, np.append(np.diff(margins), 1.0), np.append(np.diff(risks), 0.0)


def _problem(calibration: Calibration) -> str:
    """What is wrong with the numbers, or ""."""
    kind, slope, intercept, knots = calibration.kind, calibration.slope, calibration.intercept, calibration.knots
    if kind not in ("identity", "platt", "isotonic"):
        return "known are identity, platt and isotonic"
    if not (math.isfinite(slope) and math.isfinite(intercept)) or slope < 0:
        return f"slope {slope} and intercept {intercept} must be finite and the slope not negative"
    if kind != "platt" and (slope, intercept) != (1.0, 0.0):
        return f"it has no slope and intercept of its own, found {slope} and {intercept}"
    if (kind == "isotonic") != bool(knots):
        return f"found {len(knots)} knots; isotonic has at least one, the others none"
    if not all(math.isfinite(margin) and 0.0 < risk < 1.0 for margin, risk in knots):
        return "knots must be finite margins with risks strictly between 0 and 1"
    rising = all(left[0] < right[0] and left[1] <= right[1] for left, right in pairwise(knots))
    return "" if rising else "knots must rise"


def _sigmoid(log_odds: float) -> float:
    """1 / (1 + exp(-log_odds)), the same bits on every machine."""
    log_odds = min(max(log_odds, -LARGEST_LOG_ODDS), LARGEST_LOG_ODDS)
    odds = exact.exp(-abs(log_odds))
    return (odds if log_odds < 0 else 1.0) / (1.0 + odds)
