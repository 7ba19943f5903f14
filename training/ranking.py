"""Average precision and ROC AUC of weighted judgements, for many weightings from one sort.

A bootstrap of blocks only changes how often a judgement counts, never the order of the risks.
"""

from dataclasses import dataclass

import numpy as np

from features.histories import Array
from training.bootstrap import Figure, figure_of, places_of, resamples, share


@dataclass(frozen=True)
class Ranking:
    """Judgements from the highest risk down, in groups of equal risk that hold a failure at all.

    `order`: places of the judgements, shape (judgements,); `failures`: which of the ordered ones failed;
    `of`: the group each failure lies in; `start`, `end`: where each group lies, end excluded, shape (groups,).
    """

    order: Array
    failures: Array
    of: Array
    start: Array
    end: Array


def rank(risk: Array, failed: Array) -> Ranking:
    """The ranking of `risk` (float64, shape (judgements,)) against `failed` (bool, same shape)."""
    order = np.argsort(-risk, kind="stable")
    falls = np.flatnonzero(np.diff(risk[order])) + 1
    starts, ends = np.append(0, falls), np.append(falls, len(risk))
    failures = np.flatnonzero(failed[order])
    groups, of = np.unique(np.searchsorted(ends, failures, side="right"), return_inverse=True)
    return Ranking(order, failures, np.asarray(of), starts[groups], ends[groups])


def precision_and_auc(ranking: Ranking, weight: Array) -> tuple[Array, Array]:
    """Average precision and ROC AUC under each weighting: two arrays of shape (weightings,), NaN where undefined.

    `weight`: int64, shape (weightings, judgements), the judgements in the ranking's order. Ties are one
    step of the curve, as in scikit-learn's `average_precision_score` and `roc_auc_score`.
    """
    judged = np.zeros((len(weight), weight.shape[1] + 1), dtype=np.int64)
    np.cumsum(weight, axis=1, out=judged[:, 1:])
    above, through, everyone = judged[:, ranking.start], judged[:, ranking.end], judged[:, -1]
    first = np.flatnonzero(np.diff(ranking.of, prepend=-1))  # of each group among the failures
    failing = np.add.reduceat(weight[:, ranking.failures], first, axis=1) if len(first) else above
    failed_through = np.cumsum(failing, axis=1)
    failed = failing.sum(axis=1)
    others, others_above = everyone - failed, above - (failed_through - failing)
    others_tied = through - above - failing
    precision = np.divide(failed_through, through, out=np.zeros(through.shape), where=through > 0)
    beaten = others[:, None] - others_above - 0.5 * others_tied
    return (
        share((failing * precision).sum(axis=1), failed),
        share((failing * beaten).sum(axis=1), failed.astype(np.float64) * others),
    )


def ranking_figures(risk: Array, failed: Array, block: Array, *, seed: int) -> tuple[Figure | None, Figure | None]:
    """Average precision and ROC AUC with block-bootstrap intervals; None where undefined."""
    ranking = rank(risk, failed)
    values = precision_and_auc(ranking, np.ones((1, len(risk)), dtype=np.int64))
    place, blocks = places_of(block)
    placed = place[ranking.order]
    drawn = [
        precision_and_auc(ranking, np.take(counts, placed, axis=1))
        for counts in resamples(blocks, judgements=len(risk), seed=seed)
    ]
    precision, auc = (
        None if np.isnan(value[0]) else figure_of(float(value[0]), np.concatenate(replicates), blocks=blocks)
        for value, replicates in zip(values, zip(*drawn, strict=True), strict=True)
    )
    return precision, auc
