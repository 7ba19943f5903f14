"""What is kept of a model beside its trees: the card, the reference sample, parameters, metrics, tags and plots."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from features.asof import Array
from features.card import ModelCard, code_fingerprint, iso
from features.familiar import Familiar
from features.site import Site
from training import plots
from training.champion import Verdict
from training.evaluate import figures_rows
from training.evaluation import Evaluation
from training.familiar import measure_familiar
from training.fingerprint import fingerprints
from training.fit import PARAMETERS
from training.model import Model
from training.reliability import reliability_bins

REFERENCE_ROWS = 10_000  # with 2,000 and as many lots a month only 14 % of unchanged sites are found to be so


def card_of(site: Site, model: Model, evaluation: Evaluation, verdict: Verdict) -> ModelCard:
    """The card, without a version yet."""
    known, rules = model.known, site.rules
    return ModelCard(
        site=site.name,
        trained_until=known.until,
        cut=known.labels.cut,
        features=model.trees.features,
        layout=model.trees.layout.as_dict(),
        label={**asdict(rules.label), **known.labels.describe()},
        decision=asdict(rules.decision),
        calibration=model.calibration.as_dict(),
        rounds=model.rounds,
        parameters={**PARAMETERS, **model.recipe.parameters},
        figures={str(row["name"]): row for row in figures_rows(evaluation.figures)}
        | {"reliability": _reliability(evaluation)},
        champion={"promote": verdict.promote, "reasons": [*verdict.reasons, *verdict.void]},
        data=fingerprints(known.histories),
        code=code_fingerprint(),
        familiar=_familiar(model).as_dict(),
    )


def _familiar(model: Model) -> Familiar:
    trees = model.trees
    gains = trees.booster.feature_importance("gain")
    return measure_familiar(trees.features, trees.matrix, gains, model.known.judgements.as_of[trees.rows])


def _reliability(evaluation: Evaluation) -> dict[str, Any]:
    risk, failed = evaluation.risks["model"], evaluation.failed
    return {"judgements": len(risk), "failures": int(failed.sum()), "bins": reliability_bins(risk, failed)}


def reference_of(model: Model) -> "pa.Table":
    """Lots that were trained on, spread over time, with when they were judged: what later lots are compared with.

    Their risk is the one they were given out of time: the model knows what it was fitted on better than later lots.
    Lots of before the first out-of-time block are left out, unless there are no others.
    """
    trees, scored = model.trees, model.out_of_time
    rows = np.flatnonzero(np.isin(trees.rows, scored.rows))
    if len(rows):
        risk = scored.risk[np.argsort(scored.rows)][np.searchsorted(np.sort(scored.rows), trees.rows[rows])]
    else:
        rows = np.arange(len(trees.rows))
        margin = trees.booster.predict(trees.matrix, raw_score=True)
        risk = model.calibration.apply(np.asarray(margin))
    chosen = spread(len(rows), REFERENCE_ROWS)
    matrix = trees.matrix[rows[chosen]]
    columns = {spec.name: matrix[:, place] for place, spec in enumerate(trees.features)}
    as_of = model.known.judgements.as_of[trees.rows[rows[chosen]]]
    return pa.table({**columns, "risk": risk[chosen], "as_of": as_of})


def spread(size: int, most: int) -> Array:
    """At most so many places of `size`, evenly spread, ascending."""
    return np.unique(np.linspace(0, size - 1, min(size, most)).round().astype(np.int64))


def parameters_of(model: Model) -> dict[str, Any]:
    """What a run in the registry is searched by."""
    label = {f"label_{name}": value for name, value in asdict(model.known.rules.label).items()}
    recipe = model.recipe
    chosen = {
        "groups": " ".join(recipe.parts),
        "boosters": recipe.boosters,
        "rounds": model.rounds,
        "seed": recipe.seed,
    }
    return {**PARAMETERS, **recipe.parameters, **label, **chosen}


def metrics_of(evaluation: Evaluation, model: Model) -> dict[str, float]:
    """The figures as numbers by name; those of others carry their name before a slash."""
    metrics: dict[str, float] = {"judgements": len(evaluation.rows), "failures": float(evaluation.failed.sum())}
    for row in figures_rows(evaluation.figures):
        prefix = "" if row["name"] == "model" else f"{row['name']}/".replace(" ", "_")
        metrics |= {f"{prefix}{key}": float(value) for key, value in row.items() if isinstance(value, float)}
    described = model.known.labels.describe()
    return metrics | {key: float(described[key]) for key in ("immature_share", "delay_days")}


def tags_of(card: ModelCard, verdict: Verdict) -> dict[str, str]:
    """What it was made of, and whether and why it may be champion."""
    tags = {"until": iso(card.trained_until), "cut": iso(card.cut), "code": card.code}
    tags |= {"promotable": str(verdict.promote).lower(), "reason": " ".join([*verdict.reasons, *verdict.void])}
    for table, print_ in card.data.items():
        tags |= {f"data.{table}.rows": str(print_["rows"]), f"data.{table}.sha256": print_["sha256"]}
    return tags


def plots_of(model: Model, evaluation: Evaluation) -> dict[str, Any]:
    """Pictures by name."""
    gain, parts = model.trees.booster.feature_importance("gain"), np.array(model.trees.sample.parts)
    shares = {part: float(gain[parts == part].sum() / max(gain.sum(), 1e-12)) for part in dict.fromkeys(parts.tolist())}
    drawn: dict[str, Any] = {"gain_by_group": plots.gain_by_group(shares)}
    if evaluation.failed.any() and not evaluation.failed.all():
        drawn["precision_recall"] = plots.precision_recall(evaluation.risks, evaluation.failed)
        drawn["reliability"] = plots.reliability(evaluation.risks["model"], evaluation.failed)
    return drawn
