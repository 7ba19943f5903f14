"""What lots too young to know teach all the same, by what is known of them at the cut.

A young judgement's failure may still be unseen. How many are seen by an age is known from the mature judgements that
failed, and a treatment (`[label] treatment`) makes of it what trees can learn from:

- weight: seen to have failed counts 1 / share seen, not seen 1 - the chance to fail yet (Yasui et al. 2020);
- correct: not seen enters twice, as failed with the chance to fail yet and as held up with the rest (Wang et al. 2023);
- count: the units that came back so far, for units at risk times the share of returns that is told by that age.
"""

from dataclasses import dataclass, replace

import numpy as np

from features.asof import Array
from features.link import Link, links_of_counts, units_that_fail
from features.verdicts import FAILED, NO_LABEL, returned_units, verdicts
from training.known import Known

STEPS = 32  # of an age grid from 0 to where lots are mature
FLOOR = 0.2  # of what is seen at an age; where less is, one failure would count for more than five
PRIOR = 10.0  # failures' worth of the mature judgements' rate in that of the young ones


@dataclass(frozen=True)
class Young:
    """More to learn: `matrix` (more, features), and float64 of shape (more,) for each row its `target` and `weight`.

    `exposure`: the log of the units at risk that a count is for; 0 where failures are learned.
    """

    matrix: Array
    target: Array
    weight: Array
    exposure: Array


@dataclass(frozen=True)
class Counted:
    """Of all judgements, float64, shape (judgements,): units `returned` in the window so far, `units` at risk."""

    returned: Array
    units: Array
    returned_ppm: float

    @property
    def links(self) -> tuple[Link, ...]:
        """Ways from a count to a chance to fail."""
        return links_of_counts(self.returned_ppm)


@dataclass(frozen=True)
class Curve:
    """Shares told by age, rising: `age` in microseconds since the window's start, float64, shape (steps,)."""

    age: Array
    share: Array

    def at(self, age: Array) -> Array:
        """The share at each age, float64, same shape; 0 before the first."""
        return np.interp(age, self.age, self.share, left=0.0)


def young_rows(known: Known) -> tuple[Array, Array]:
    """Judgements too young to be mature of which enough is told by their age, ascending, and the share that is."""
    rows = np.flatnonzero(~known.labels.mature & (known.labels.failed != NO_LABEL))
    curve = returns_told(known) if known.rules.label.treatment == "count" else failures_told(known)
    told = curve.at((known.labels.cut - known.judgements.start[rows]).astype(np.float64))
    enough = told >= FLOOR
    return rows[enough], told[enough]


def lessons(known: Known, rows: Array, told: Array, matrix: Array, *, base_rate: float) -> Young:
    """What the young judgements `rows` teach by the site's treatment. `told` and `matrix`: of these, (rows, …)."""
    failed = (known.labels.failed[rows] == FAILED).astype(np.float64)
    nothing = np.zeros(len(rows))
    if known.rules.label.treatment == "count":
        counted = counts(known)
        exposure = np.log(counted.units[rows] * told)
        return Young(matrix, counted.returned[rows], np.ones(len(rows)), exposure)
    rate = (failed.sum() + PRIOR * base_rate) / (told.sum() + PRIOR)
    yet = np.clip(rate * (1.0 - told) / np.maximum(1.0 - rate * told, 1e-9), 0.0, 1.0)
    if known.rules.label.treatment == "weight":
        return Young(matrix, failed, np.where(failed == 1.0, 1.0 / told, 1.0 - yet), nothing)
    again = np.flatnonzero((failed == 0.0) & (yet > 0.0))
    return Young(
        np.concatenate([matrix, matrix[again]]),
        np.concatenate([failed, np.ones(len(again))]),
        np.concatenate([np.where(failed == 1.0, 1.0, 1.0 - yet), yet[again]]),
        np.concatenate([nothing, nothing[again]]),
    )


def counts(known: Known) -> Counted:
    """Units returned by what was known before `until`; of a lot found failing in the house, as many as fail one."""
    judged, rule = known.judgements, known.rules.label
    back = returned_units(judged, known.histories, rule, np.full(len(judged), known.until)).astype(np.float64)
    units = judged.units.astype(np.float64)
    enough = units_that_fail(units, rule.returned_ppm)
    return Counted(np.where(known.labels.failed == FAILED, np.maximum(back, enough), back), units, rule.returned_ppm)


def failures_told(known: Known) -> Curve:
    """Of the mature judgements that failed the share that was seen to have failed, by age."""
    rows = known.labels.usable[known.labels.failed[known.labels.usable] == FAILED]
    failing, grid = known.judgements.take(rows), _grid(known)
    rule = known.rules.label
    seen = [verdicts(failing, known.histories, rule, failing.start + age).failed == FAILED for age in grid.tolist()]
    return _rising(grid, np.array([int(told.sum()) for told in seen]), len(rows))


def returns_told(known: Known) -> Curve:
    """Of the units that came back of mature judgements the share that was known, by age."""
    mature, grid = known.judgements.take(known.labels.usable), _grid(known)
    rule = known.rules.label
    units = [int(returned_units(mature, known.histories, rule, mature.start + age).sum()) for age in grid.tolist()]
    return _rising(grid, np.array(units), units[-1])


def by_columns(young: Young, places: Array) -> Young:
    """The same by some of the columns."""
    return replace(young, matrix=young.matrix[:, places])


def _grid(known: Known) -> Array:
    return np.linspace(0, known.rules.label.within + known.labels.delay, STEPS + 1).astype(np.int64)


def _rising(grid: Array, told: Array, of: int) -> Curve:
    """A correction may take back what was told; a share that fell would make an age worth less than a younger one."""
    return Curve(grid.astype(np.float64), np.minimum(np.maximum.accumulate(told) / max(of, 1), 1.0))
