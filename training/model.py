"""A model as of a cut: rounds and calibration from out-of-time scores, then one refit on all that is mature."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.asof import DAY, Array
from features.build import build_features
from features.calibration import Calibration
from features.histories import Histories
from features.judgements import Judgements
from features.link import Link
from training.fit import Trees, fit_trees, trees_of
from training.forecast import Contender, Forecast, Margins, OutOfTime, strongest_rate
from training.known import Known
from training.recipe import Recipe
from training.sample import Sample
from training.tables import Progress, block_tables
from training.walk import Apart
from training.weights import surplus_of, weighs_failures

ROUNDS = (10, 20, 35, 50, 75, 100, 150, 200, 300, 400, 600)
DEFAULT_ROUNDS = 100  # while no out-of-time scores are there to choose by


@dataclass(frozen=True)
class Model:
    """What a bundle is made of. `beside`: out-of-time scores of those it is compared with, by name."""

    known: Known
    recipe: Recipe
    trees: Trees
    rounds: int
    link: Link
    calibration: Calibration
    rate: str
    out_of_time: OutOfTime
    beside: Mapping[str, OutOfTime]

    def risk(self, judgements: Judgements, histories: Histories) -> Array:
        """Calibrated probability of failing, float64, shape (judgements,)."""
        matrix = build_features(judgements, histories, self.trees.layout).columns(self.trees.sample.names)
        if not len(matrix):
            return np.empty(0)
        raw = self.trees.margins(matrix, (self.rounds,))[:, 0]
        return self.calibration.apply(self.link.apply(raw, judgements.units))


def fit_model(
    known: Known,
    recipe: Recipe | None = None,
    *,
    beside: Mapping[str, Contender] | None = None,
    progress: Progress = lambda *_: None,
) -> Model:
    """Learns from what is known. CannotTrain where too little is mature."""
    recipe = recipe or Recipe()
    ours = Forecast(trees_as(recipe))
    others = {name: Forecast(contender) for name, contender in (beside or {}).items()}
    for table in block_tables(known, recipe, progress=progress):
        for forecast in (ours, *others.values()):
            forecast.add(table)
    scored = ours.scored
    mature = np.flatnonzero(np.isin(scored.rows, known.labels.usable))
    failed = known.labels.failed[scored.rows[mature]] == 1
    chosen = ours.choose(scored.margin[mature], failed, scored.block[mature])
    rate = strongest_rate({name: values[mature] for name, values in scored.rates.items()}, failed)
    progress("refit", 1, 1)
    trees = fit_trees(known, rounds=chosen.choice, recipe=recipe)
    surplus = surplus_of(trees.margins(trees.matrix, (chosen.choice,)), trees.sample, recipe)
    calibration = chosen.calibration.moved(float(surplus[0]))
    compared = {name: forecast.scored for name, forecast in others.items()}
    return Model(known, recipe, trees, chosen.choice, chosen.link, calibration, rate, scored, compared)


def score_out_of_time(
    known: Known, recipe: Recipe | None = None, *, apart: Apart | None = None, progress: Progress = lambda *_: None
) -> OutOfTime:
    """Walks forward over the mature judgements, each block scored, calibrated and compared by what came before it."""
    recipe = recipe or Recipe()
    ours = Forecast(trees_as(recipe))
    for table in block_tables(known, recipe, apart=apart, progress=progress):
        ours.add(table)
    return ours.scored


def trees_as(recipe: Recipe) -> Contender:
    """Our trees, by number of rounds."""

    def learn(sample: Sample) -> Margins:
        trees = trees_of(sample, rounds=max(ROUNDS), recipe=recipe)
        if not weighs_failures(recipe):
            return lambda matrix: trees.margins(matrix, ROUNDS)
        surplus = surplus_of(trees.margins(sample.matrix, ROUNDS), sample, recipe)
        return lambda matrix: trees.margins(matrix, ROUNDS) - surplus

    return Contender(learn, ROUNDS, DEFAULT_ROUNDS, weighted=weighs_failures(recipe), linked=True)


def time_blocks(as_of: Array) -> Array:
    """Spans of time that judgements are drawn with in a bootstrap: months, or shorter ones so that there are twelve."""
    if not len(as_of):
        return np.empty(0, dtype=np.int64)
    length = min(30 * DAY, max(int((as_of.max() - as_of.min()) // 12), DAY))
    return np.asarray((as_of - as_of.min()) // length)
