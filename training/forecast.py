"""Out-of-time scores: whoever learns, block after block, from what was known before, and what chooses among its scores.

A way to learn gives margins by some choice of its own (rounds of trees, strength of a penalty). The choice, and the
calibration of its margins, are made at each block by the scores that were given to earlier blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.asof import Array
from features.calibration import Calibration
from features.champion import PRODUCT_RATE
from training.calibrate import fit_calibration
from training.evaluate import log_losses
from training.sample import Sample
from training.tables import BlockTable

MIN_FAILURES_TO_CHOOSE = 10  # among earlier scores; before that nothing is chosen by them

Margins = Callable[[Array], Array]
"""From a matrix to log odds, float64, shape (rows, choices)."""


@dataclass(frozen=True)
class Contender:
    """A way to learn. `choices` name the columns of the margins; `usual` is the one taken while nothing can choose."""

    learn: Callable[[Sample], Margins]
    choices: tuple[int, ...]
    usual: int


@dataclass(frozen=True)
class OutOfTime:
    """Scores of judgements by what was learned before them; float64, shape (scored,) unless said otherwise.

    `rows` of the judgements, ascending; `margin` by choice, (scored, choices). All the rest comes from what was known
    at the start of the judgement's block: `risk` with the choice and the calibration made then, `base_rate`, `rates`
    the shrunk trailing rates by name, `strongest` the one of them chosen then. `block` of the walk.
    """

    rows: Array
    margin: Array
    risk: Array
    base_rate: Array
    rates: dict[str, Array]
    strongest: Array
    block: Array


class Forecast:
    """One contender's scores, block by block."""

    def __init__(self, contender: Contender) -> None:
        none, places = np.empty(0), np.empty(0, dtype=np.int64)
        self.contender = contender
        self.scored = OutOfTime(places, np.empty((0, len(contender.choices))), none, none, {}, none, places)

    def add(self, table: BlockTable, *, margin: Array | None = None) -> None:
        """Learns what the block may and scores it; `margin`: where that was done already."""
        margin, done = self.contender.learn(table.sample)(table.matrix) if margin is None else margin, self.scored
        base = np.full(len(table.rows), table.sample.base_rate)
        place = np.searchsorted(done.rows, table.seen)
        choice, calibration = self.choose(done.margin[place], table.seen_failed, done.block[place])
        earlier = {name: values[place] for name, values in done.rates.items()}
        strongest = table.rates.get(strongest_rate(earlier, table.seen_failed), base)
        risk = calibration.apply(margin[:, self.contender.choices.index(choice)])
        block = np.full(len(table.rows), table.number)
        self.scored = _joined(done, OutOfTime(table.rows, margin, risk, base, table.rates, strongest, block))

    def choose(self, margin: Array, failed: Array, block: Array) -> tuple[int, Calibration]:
        """The choice with the least log loss, and the calibration of its margins."""
        if failed.sum() < MIN_FAILURES_TO_CHOOSE:
            return self.contender.usual, Calibration("identity")
        sigmoid = Calibration("identity")
        losses = [log_losses(sigmoid.apply(column), failed).mean() for column in margin.T]
        best = int(np.argmin(losses))
        return self.contender.choices[best], fit_calibration(margin[:, best], failed, block=block)


def strongest_rate(rates: dict[str, Array], failed: Array) -> str:
    """The name of the rate with the least log loss; the product's while there are too few failures to choose by."""
    if failed.sum() < MIN_FAILURES_TO_CHOOSE or not rates:
        return PRODUCT_RATE
    return min(sorted(rates), key=lambda name: float(log_losses(rates[name], failed).mean()))


def _joined(done: OutOfTime, more: OutOfTime) -> OutOfTime:
    if not len(done.rows):
        return more
    parts = {
        name: np.concatenate([value, getattr(more, name)]) for name, value in vars(done).items() if name != "rates"
    }
    shared = [name for name in done.rates if name in more.rates]
    return OutOfTime(rates={n: np.concatenate([done.rates[n], more.rates[n]]) for n in shared}, **parts)
