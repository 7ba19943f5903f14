"""How a model did on mature judgements it had not seen, beside what it has to beat."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.asof import DAY, Array
from features.site import Site
from training.evaluate import Capacity, Figures, evaluate
from training.model import Model, time_blocks


@dataclass(frozen=True)
class Evaluation:
    """Mature judgements with out-of-time scores: `rows` of the judgements, what each would have been told."""

    rows: Array
    failed: Array
    block: Array
    risks: dict[str, Array]
    strongest: Array
    figures: Mapping[str, Figures]


def evaluate_model(model: Model, site: Site) -> Evaluation:
    """The figures of the model and of what it has to beat, on mature judgements scored before their time."""
    known, scored = model.known, model.out_of_time
    place = np.flatnonzero(np.isin(scored.rows, known.labels.usable))
    rows = scored.rows[place]
    as_of = known.judgements.as_of[rows]
    failed, block = known.labels.failed[rows] == 1, time_blocks(as_of)
    per_day = site.rules.decision.inspections_per_day
    capacity = None if per_day is None else Capacity(day=as_of // DAY, per_day=per_day)
    risks = {"model": scored.risk[place], "base rate": scored.base_rate[place]}
    risks |= {name: values[place] for name, values in scored.rates.items()}
    figures = {name: evaluate(risk, failed, block, capacity=capacity) for name, risk in risks.items()}
    return Evaluation(rows, failed, block, risks, scored.strongest[place], figures)
