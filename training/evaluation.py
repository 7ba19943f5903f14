"""How a model did on mature judgements it had not seen, beside what it has to beat."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.asof import DAY, Array
from features.site import Site
from training.beside import there
from training.bootstrap import paired_difference
from training.evaluate import LESS, Capacity, Count, Figures, evaluate, log_losses
from training.forecast import OutOfTime
from training.model import Model, time_blocks


@dataclass(frozen=True)
class Evaluation:
    """Mature judgements with out-of-time scores: `rows` of the judgements, what each would have been told.

    `risks` by name, the model's first, float64, shape (judgements,); NaN where one could not be learned in time to
    say anything. `figures` and `counts` rest on those that each could say something of.
    """

    rows: Array
    failed: Array
    block: Array
    risks: dict[str, Array]
    strongest: Array
    figures: Mapping[str, Figures]
    counts: Mapping[str, Count]


def evaluate_model(model: Model, site: Site, *, more: Mapping[str, OutOfTime] | None = None) -> Evaluation:
    """The figures of the model and of what stands beside it, on mature judgements scored before their time.

    `more`: further scores by name, of other walks over the same judgements.
    """
    known, scored = model.known, model.out_of_time
    place = np.flatnonzero(np.isin(scored.rows, known.labels.usable))
    rows = scored.rows[place]
    as_of = known.judgements.as_of[rows]
    failed, block = known.labels.failed[rows] == 1, time_blocks(as_of)
    risks = {
        "model": scored.risk[place],
        "base rate": scored.base_rate[place],
        "strongest rate": scored.strongest[place],
    }
    risks |= {name: values[place] for name, values in scored.rates.items()}
    beside = {name: model.beside[name] for name in there(model.beside, model.trees.sample.parts)}
    risks |= {name: risk_at(rows, other) for name, other in (beside | dict(more or {})).items()}
    per_day = site.rules.decision.inspections_per_day
    figures, counts = {}, {}
    for name, risk in risks.items():
        some = np.flatnonzero(~np.isnan(risk))
        capacity = None if per_day is None else Capacity(day=as_of[some] // DAY, per_day=per_day)
        found = evaluate(risk[some], failed[some], block[some], capacity=capacity)
        if name != "model" and len(some):
            losses = [log_losses(each[some], failed[some]) for each in (risks["model"], risk)]
            found[LESS] = paired_difference(losses[0], losses[1], block[some], seed=0)
        figures[name], counts[name] = found, Count(len(some), int(failed[some].sum()))
    return Evaluation(rows, failed, block, risks, scored.strongest[place], figures, counts)


def risk_at(rows: Array, scored: OutOfTime) -> Array:
    """The risks of these rows of the judgements, ascending; NaN where there is none."""
    risk = np.full(len(rows), np.nan)
    shared, mine, theirs = np.intersect1d(rows, scored.rows, return_indices=True)
    if len(shared):
        risk[mine] = scored.risk[theirs]
    return risk
