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
from features.link import LOG_ODDS, Link
from training.calibrate import fit_calibration
from training.evaluate import log_losses
from training.sample import Sample
from training.tables import BlockTable

MIN_FAILURES_TO_CHOOSE = 10  # among earlier scores; before that nothing is chosen by them

Margins = Callable[[Array], Array]
"""From a matrix to log odds, float64, shape (rows, choices)."""


@dataclass(frozen=True)
class Contender:
    """A way to learn. `choices` name the columns of the margins; `usual` is the one taken while nothing can choose.

    `linked`: the margins are what a model's trees say, and become log odds by the links of what was learned from.
    `weighted`: failures count for more than one lot, so that margins always have to be calibrated.
    """

    learn: Callable[[Sample], Margins]
    choices: tuple[int, ...]
    usual: int
    weighted: bool = False
    linked: bool = False

    def places(self, links: int) -> list[tuple[int, int]]:
        """What each column of the log odds is by: place of the link, choice."""
        return [(link, choice) for link in range(links) for choice in self.choices]


@dataclass(frozen=True)
class OutOfTime:
    """Scores of judgements by what was learned before them; float64, shape (scored,) unless said otherwise.

    `rows` of the judgements, ascending; `margin` in log odds by link and choice, (scored, links * choices). The rest
    is what was known at the start of the judgement's block: `risk` with the choice and the calibration made then,
    `base_rate`, `rates` the shrunk trailing rates by name, `strongest` the one chosen then. `block` of the walk.
    """

    rows: Array
    margin: Array
    risk: Array
    base_rate: Array
    rates: dict[str, Array]
    strongest: Array
    block: Array


@dataclass(frozen=True)
class Chosen:
    """By scores of earlier blocks: a `column` of the log odds, the choice and link it is by, its calibration."""

    column: int
    choice: int
    link: Link
    calibration: Calibration


class Forecast:
    """One contender's scores, block by block."""

    def __init__(self, contender: Contender) -> None:
        none, places = np.empty(0), np.empty(0, dtype=np.int64)
        self.contender = contender
        self.links: tuple[Link, ...] = (LOG_ODDS,)
        self.scored = OutOfTime(places, np.empty((0, len(contender.choices))), none, none, {}, none, places)

    def add(self, table: BlockTable, *, margin: Array | None = None) -> None:
        """Learns what the block may and scores it; `margin`: where that was done already."""
        margin = self.contender.learn(table.sample)(table.matrix) if margin is None else margin
        if self.contender.linked:
            self.links = table.sample.links
        margin = np.concatenate([linked_by(link, margin, table.units) for link in self.links], axis=1)
        done = self.scored
        base = np.full(len(table.rows), table.sample.base_rate)
        place = np.searchsorted(done.rows, table.seen)
        chosen = self.choose(done.margin[place], table.seen_failed, done.block[place])
        earlier = {name: values[place] for name, values in done.rates.items()}
        strongest = table.rates.get(strongest_rate(earlier, table.seen_failed), base)
        risk = chosen.calibration.apply(margin[:, chosen.column])
        block = np.full(len(table.rows), table.number)
        self.scored = _joined(done, OutOfTime(table.rows, margin, risk, base, table.rates, strongest, block))

    def choose(self, margin: Array, failed: Array, block: Array) -> Chosen:
        """The column with the least log loss, and the calibration of its margins."""
        places, usual = self.contender.places(len(self.links)), (len(self.links) // 2, self.contender.usual)
        sigmoid = Calibration("identity")
        if failed.sum() < MIN_FAILURES_TO_CHOOSE:
            best, calibration = places.index(usual), sigmoid
        else:
            best = int(np.argmin([log_losses(sigmoid.apply(column), failed).mean() for column in margin.T]))
            calibration = fit_calibration(margin[:, best], failed, block=block, must=self.contender.weighted)
        link, choice = places[best]
        return Chosen(best, choice, self.links[link], calibration)


def linked_by(link: Link, margin: Array, units: Array) -> Array:
    """What trees say, (rows, choices), as log odds; `units` at risk, shape (rows,)."""
    return np.stack([link.apply(column, units) for column in margin.T], axis=1)


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
