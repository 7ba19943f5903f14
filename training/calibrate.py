"""Chooses and fits the map from out-of-time margins to risks, by how many failures there are to learn from.

Counted is the rarer of failed and not failed: under 200 Platt's sigmoid is fitted, from 1,000 on isotonic
regression, between whichever of the two predicted later blocks better from earlier ones. Either is kept only where,
learned from earlier blocks, it has told later ones clearly better than the margins as they are: trees fitted on
log loss are near calibrated, and a map learned from the failures of another time often spoils them.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from features.calibration import Calibration
from features.histories import Array

MIN_FOR_SLOPE = 10  # about ten events a fitted parameter (Peduzzi et al. 1996); Platt's smoothing carries the second
MIN_FOR_ISOTONIC = 200  # isotonic overfits below 200 to 1,000 cases (Niculescu-Mizil & Caruana 2005)
ALWAYS_ISOTONIC = 1_000
TIME_FOLDS = 5
PROOF_FOLDS = 12
STANDARD_ERRORS = 2.0  # by which a calibration has to be better; with 0 or 1 the mean of six sets is worse
AS_IT_IS = Calibration("platt", 1.0, 0.0)


Fit = Callable[[Array, Array], Calibration]


def fit_calibration(margin: Array, failed: Array, *, block: Array, must: bool = False) -> Calibration:
    """The calibration of a model whose out-of-time margins are `margin`.

    `margin`: float64, log odds, shape (judgements,); `failed`: bool or 0/1, same shape; `block`: int64, same
    shape, rising with time (blocks are kept whole when earlier ones predict later ones).
    Not proven: Platt's with slope 1 and intercept 0, unless a map `must` be fitted, as where failures were weighed
    more than they are and the margins as they are can be no log odds. Deterministic; row order changes at most the last
    bits. Raises ValueError for other shapes, values that are not finite and labels that are neither 0 nor 1.
    """
    margin, failed = np.asarray(margin, dtype=np.float64), np.asarray(failed, dtype=np.float64)
    if margin.ndim != 1 or not margin.shape == failed.shape == np.shape(block):
        raise ValueError(
            f"margin, failed and block have shapes {margin.shape}, {failed.shape} and {np.shape(block)}. "
            "Give one value of each a judgement."
        )
    if not np.isfinite(margin).all() or not np.isin(failed, (0.0, 1.0)).all():
        raise ValueError("margin must be finite and failed 0 or 1. Leave judgements without a label out.")
    fit = kind_of_map(margin, failed, block=np.asarray(block))
    return fit(margin, failed) if must or _proven(fit, margin, failed, np.asarray(block)) else AS_IT_IS


def kind_of_map(margin: Array, failed: Array, *, block: Array) -> Fit:
    """How a map would be fitted to so many failures: `platt` or `isotonic`."""
    rarer = _rarer(failed)
    if rarer >= ALWAYS_ISOTONIC:
        return isotonic
    return isotonic if rarer >= MIN_FOR_ISOTONIC and _isotonic_predicts_better(margin, failed, block) else platt


def _rarer(failed: Array) -> int:
    return int(min(failed.sum(), len(failed) - failed.sum()))


def _smoothed(failures: float, of: float) -> float:
    """A share that is never 0 or 1: half a failure more in one judgement more (Krichevsky & Trofimov 1981)."""
    return (failures + 0.5) / (of + 1.0)


def platt(margin: Array, failed: Array) -> Calibration:
    """Platt's sigmoid with his smoothed targets (Platt 1999), which keep it finite where the classes part cleanly.

    A target t is a failure of weight t and a non-failure of weight 1 - t. Where the margin orders the
    judgements the wrong way round (slope not above 0), every judgement gets the smoothed rate.
    """
    failures = failed.sum()
    targets = np.where(failed == 1.0, (failures + 1.0) / (failures + 2.0), 1.0 / (len(failed) - failures + 2.0))
    centre, spread = float(margin.mean()), float(margin.std())
    if spread > 1e-9 * max(1.0, abs(centre)):
        standard = (margin - centre) / spread
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(
            np.concatenate((standard, standard))[:, None],
            np.repeat((1, 0), len(margin)),
            sample_weight=np.concatenate((targets, 1.0 - targets)),
        )
        slope = float(model.coef_[0, 0]) / spread
        if slope > 0.0:
            return Calibration("platt", slope, float(model.intercept_[0]) - slope * centre)
    return Calibration("platt", 0.0, float(logit(targets.mean())))


def isotonic(margin: Array, failed: Array) -> Calibration:
    """Pooled neighbours (Zadrozny & Elkan 2002), joined at the pools' mean margins (Oron & Flournoy 2017).

    Joining centres keeps the order within a pool, which steps would turn into ties. A lowest pool without
    failures gets its smoothed share, at most the next pool's, and the highest likewise: log loss stays finite.
    """
    margins, place, cases = np.unique(margin, return_inverse=True, return_counts=True)
    failures = np.bincount(place, weights=failed)
    pools = isotonic_regression(failures / cases, weights=cases).blocks[:-1]
    size = np.add.reduceat(cases, pools)
    shares = np.add.reduceat(failures, pools) / size
    if shares[0] == 0.0:
        shares[0] = min([_smoothed(0.0, size[0]), *shares[1:2]])
    if shares[-1] == 1.0:
        shares[-1] = max([_smoothed(size[-1], size[-1]), *shares[-2:-1]])
    centres, kept = np.unique(np.add.reduceat(margins * cases, pools) / size, return_index=True)
    rising = np.maximum.accumulate(shares[kept])
    return Calibration("isotonic", knots=tuple(zip(centres.tolist(), rising.tolist(), strict=True)))


def _proven(fit: Fit, margin: Array, failed: Array, block: Array) -> bool:
    """Whether the log loss of later blocks falls clearly when each is told by what was fitted before it."""
    fold, gains = _time_folds(block, PROOF_FOLDS), []
    for later in range(1, int(fold.max(initial=0)) + 1):
        past, now = fold < later, fold == later
        if _rarer(failed[past]) >= MIN_FOR_SLOPE:
            told = fit(margin[past], failed[past]).apply(margin[now])
            gains.append(_loss(AS_IT_IS.apply(margin[now]), failed[now]) - _loss(told, failed[now]))
    return sum(gains) > STANDARD_ERRORS * float(np.sqrt(np.square(gains).sum()))


def _loss(risk: Array, failed: Array) -> float:
    return -float(np.log(np.where(failed == 1.0, risk, 1.0 - risk)).sum())


def _isotonic_predicts_better(margin: Array, failed: Array, block: Array) -> bool:
    """Whether, each of up to five spans of time predicted from those before it, isotonic's log loss is lower."""
    fold = _time_folds(block, TIME_FOLDS)
    losses = {platt: 0.0, isotonic: 0.0}
    for later in range(1, int(fold.max()) + 1):
        past, now = fold < later, fold == later
        if _rarer(failed[past]) < MIN_FOR_SLOPE:
            continue
        for fit in losses:
            risk = fit(margin[past], failed[past]).apply(margin[now])
            losses[fit] += _loss(risk, failed[now])
    return losses[isotonic] < losses[platt]


def _time_folds(block: Array, most: int) -> Array:
    """The fold of each judgement, 0 the earliest: whole blocks, about equally many judgements a fold."""
    _, place, size = np.unique(block, return_inverse=True, return_counts=True)
    before = np.cumsum(size) - size
    _, fold = np.unique(before * most // len(block), return_inverse=True)
    return np.asarray(fold[place])
