"""A model as of a cut: rounds and calibration from out-of-time scores, then one refit on all that is mature."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.asof import DAY, Array
from features.build import PARTS, build_features
from features.calibration import Calibration
from features.champion import PRODUCT_RATE, shrunk_rates
from features.histories import Histories
from features.judgements import Judgements
from training.calibrate import fit_calibration
from training.evaluate import log_losses
from training.fit import ONE_THREAD, Known, Trees, fit_trees
from training.labels import label
from training.walk import block_starts, walk_forward

ROUNDS = (10, 20, 35, 50, 75, 100, 150, 200, 300, 400, 600)
DEFAULT_ROUNDS = 100  # while no out-of-time scores are there to choose by
MIN_FAILURES_TO_CHOOSE = 10  # among earlier scores; before that nothing is chosen by them

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class OutOfTime:
    """Scores of judgements by models that were learned before them; float64, shape (scored,) unless said otherwise.

    `rows` of the judgements; `margin` by number of rounds, (scored, len(ROUNDS)). All the rest comes from what was
    known at the start of the judgement's block: `risk` with the rounds and the calibration chosen then, `base_rate`,
    `rates` the shrunk trailing rates by name, `strongest` the one of them chosen then. `block` of the walk.
    """

    rows: Array
    margin: Array
    risk: Array
    base_rate: Array
    rates: dict[str, Array]
    strongest: Array
    block: Array


@dataclass(frozen=True)
class Model:
    """What a bundle is made of."""

    known: Known
    trees: Trees
    rounds: int
    calibration: Calibration
    rate: str
    out_of_time: OutOfTime

    def risk(self, judgements: Judgements, histories: Histories) -> Array:
        """Calibrated probability of failing, float64, shape (judgements,)."""
        matrix = build_features(judgements, histories, self.trees.layout).matrix
        if not len(matrix):
            return np.empty(0)
        return self.calibration.apply(_margins(self.trees, matrix, (self.rounds,))[:, 0])


def fit_model(
    known: Known,
    *,
    seed: int = 0,
    parameters: dict[str, Any] | None = None,
    progress: Progress = lambda *_: None,
) -> Model:
    """Learns from what is known. CannotTrain where too little is mature."""
    out_of_time = score_out_of_time(known, seed=seed, parameters=parameters, progress=progress)
    mature = np.flatnonzero(np.isin(out_of_time.rows, known.labels.usable))
    failed = known.labels.failed[out_of_time.rows[mature]] == 1
    rounds, calibration = _choose(out_of_time.margin[mature], failed, out_of_time.block[mature])
    rate = strongest_rate({name: values[mature] for name, values in out_of_time.rates.items()}, failed)
    progress("refit", 1, 1)
    trees = fit_trees(known, rounds=rounds, seed=seed, parameters=parameters)
    return Model(known, trees, rounds, calibration, rate, out_of_time)


def score_out_of_time(
    known: Known,
    *,
    seed: int,
    parts: tuple[str, ...] = PARTS,
    parameters: dict[str, Any] | None = None,
    progress: Progress = lambda *_: None,
) -> OutOfTime:
    """Walks forward over the mature judgements, each block scored, calibrated and compared by what came before it."""
    judged, rules = known.judgements, known.rules
    starts = block_starts(judged.as_of[known.labels.usable])
    walk = walk_forward(
        judged,
        known.histories,
        rules,
        starts=starts,
        fit=lambda past: fit_trees(past, rounds=max(ROUNDS), seed=seed, parts=parts, parameters=parameters),
    )
    done = _nothing()
    for number, block in enumerate(walk):
        progress("walk forward", number + 1, len(starts))
        if block.model is None:
            continue
        features = build_features(judged.take(block.rows), known.histories, block.model.layout)
        margin = _margins(block.model, features.matrix, ROUNDS)
        rates, base = shrunk_rates(features), np.full(len(block.rows), block.model.base_rate)
        by_then = label(judged.take(done.rows), block.known.histories, rules, until=block.start)
        seen, failed = by_then.usable, by_then.failed[by_then.usable] == 1
        rounds, calibration = _choose(done.margin[seen], failed, done.block[seen])
        rate = strongest_rate({name: values[seen] for name, values in done.rates.items()}, failed)
        scored = OutOfTime(
            rows=block.rows,
            margin=margin,
            risk=calibration.apply(margin[:, ROUNDS.index(rounds)]),
            base_rate=base,
            rates=rates,
            strongest=rates.get(rate, base),
            block=np.full(len(block.rows), number),
        )
        done = _joined(done, scored)
    return done


def strongest_rate(rates: dict[str, Array], failed: Array) -> str:
    """The name of the rate with the least log loss; the product's while there are too few failures to choose by."""
    if failed.sum() < MIN_FAILURES_TO_CHOOSE or not rates:
        return PRODUCT_RATE
    return min(sorted(rates), key=lambda name: float(log_losses(rates[name], failed).mean()))


def time_blocks(as_of: Array) -> Array:
    """Spans of time that judgements are drawn with in a bootstrap: months, or shorter ones so that there are twelve."""
    if not len(as_of):
        return np.empty(0, dtype=np.int64)
    length = min(30 * DAY, max(int((as_of.max() - as_of.min()) // 12), DAY))
    return np.asarray((as_of - as_of.min()) // length)


def _choose(margin: Array, failed: Array, block: Array) -> tuple[int, Calibration]:
    """The number of rounds with the least log loss, and the calibration of its margins."""
    if failed.sum() < MIN_FAILURES_TO_CHOOSE:
        return DEFAULT_ROUNDS, Calibration("identity")
    sigmoid = Calibration("identity")
    losses = [log_losses(sigmoid.apply(margin[:, place]), failed).mean() for place in range(len(ROUNDS))]
    best = int(np.argmin(losses))
    return ROUNDS[best], fit_calibration(margin[:, best], failed, block=block)


def _margins(trees: Trees, matrix: Array, rounds: tuple[int, ...]) -> Array:
    threads = 1 if matrix.size < ONE_THREAD else 0
    scores = [
        trees.booster.predict(matrix, raw_score=True, num_iteration=number, num_threads=threads) for number in rounds
    ]
    return np.stack([np.asarray(score) for score in scores], axis=1)


def _nothing() -> OutOfTime:
    none = np.empty(0)
    places = np.empty(0, dtype=np.int64)
    return OutOfTime(places, np.empty((0, len(ROUNDS))), none, none, {}, none, places)


def _joined(done: OutOfTime, more: OutOfTime) -> OutOfTime:
    if not len(done.rows):
        return more
    parts = {
        name: np.concatenate([value, getattr(more, name)]) for name, value in vars(done).items() if name != "rates"
    }
    shared = [name for name in done.rates if name in more.rates]
    return OutOfTime(rates={n: np.concatenate([done.rates[n], more.rates[n]]) for n in shared}, **parts)
