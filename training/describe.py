"""What is kept of a model beside its trees: the card, the reference sample, parameters, metrics, tags and plots."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from features.asof import Array
from features.card import ModelCard, code_fingerprint, iso
from features.doubt import Doubt
from features.familiar import Familiar
from features.groups.field import RATES
from features.rules import DecisionRule
from features.site import Site
from training import plots
from training.certify import ripe_from
from training.champion import Verdict
from training.decision_plots import decision_curve
from training.doubt import measure_doubt
from training.evaluate import figures_rows
from training.evaluation import Evaluation
from training.familiar import measure_familiar
from training.fingerprint import fingerprints
from training.fit import PARAMETERS, direction_of, objective_of
from training.leaks import Leak
from training.model import Model
from training.policy import policy_sentences, report_on
from training.reliability import reliability_bins
from training.segments import LESS, MORE, Segment, calibration_of, segments_of, told_of
from training.stability import stability_of

REFERENCE_ROWS = 10_000  # with 2,000 and as many lots a month only 14 % of unchanged sites are found to be so


def card_of(
    site: Site,
    model: Model,
    evaluation: Evaluation,
    verdict: Verdict,
    *,
    leaks: Sequence[Leak] = (),
    stored: Mapping[str, Any] = MappingProxyType({}),
) -> ModelCard:
    """The card, without a version yet. `stored`: what `features.proof` makes of what the histories stood on."""
    known, rules = model.known, model.known.rules
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
        parameters={**PARAMETERS, **objective_of(model.trees.sample), **model.recipe.parameters},
        figures={str(row["name"]): row for row in figures_rows(evaluation.figures, evaluation.counts)}
        | {"reliability": _reliability(evaluation), "leaks": [leak.as_dict() for leak in leaks]}
        | _looked_closer(model, evaluation)
        | {"policy": _policy(model, evaluation, rules.decision)},
        champion={"promote": verdict.promote, "reasons": [*verdict.reasons, *verdict.void]},
        data=fingerprints(known.histories),
        code=code_fingerprint(),
        familiar=_familiar(model).as_dict(),
        doubt=doubt_of(model, evaluation).as_dict(),
        link=model.link.as_dict(),
        stored=dict(stored),
    )


def _looked_closer(model: Model, evaluation: Evaluation) -> dict[str, Any]:
    """By segment, whether reasons stay, and of how many features a higher value can move the risk to one side only."""
    judged, layout = model.known.judgements.take(evaluation.rows), model.trees.layout
    segments = calibration_of(
        segments_of(model.known, judged, layout), evaluation.risks["model"], evaluation.failed, evaluation.block
    )
    stability = stability_of(model)
    return {
        "segments": told_of(segments),
        "stability": None if stability is None else stability.as_dict(),
        "monotone": sum(direction_of(feature) != 0 for feature in model.trees.features),
    }


def notes_of(card: ModelCard) -> list[str]:
    """What a person should know of a model beside its figures, a sentence each."""
    segments, stability = card.figures["segments"], card.figures["stability"]
    off = [Segment(**one) for one in segments["segments"] if one["verdict"] in (MORE, LESS)]
    counts = ", ".join(f"{verdict}: {count:,}" for verdict, count in segments["counts"].items())
    found = [f"Products, suppliers and customer tiers ({counts}).", *(one.told for one in off)] if off else []
    return [*found, *([] if stability is None else [stability["told"]]), *policy_sentences(card.figures["policy"])]


def doubt_of(model: Model, evaluation: Evaluation) -> Doubt:
    """From the out-of-time risks."""
    risk, failed = evaluation.risks["model"], evaluation.failed
    return measure_doubt(model.known, evaluation.rows, risk, failed, evaluation.block)


def _familiar(model: Model) -> Familiar:
    trees = model.trees
    return measure_familiar(trees.features, trees.matrix, trees.gain_shares, model.known.judgements.as_of[trees.rows])


def _policy(model: Model, evaluation: Evaluation, rule: DecisionRule) -> dict[str, Any]:
    """What the site's costs would have made of the out-of-time risks."""
    judged, histories = model.known.judgements.take(evaluation.rows), model.known.histories
    risk, failed, block = evaluation.risks["model"], evaluation.failed, evaluation.block
    ripe = ripe_from(model.known, evaluation.rows, block)
    return report_on(risk, failed, block, judged, histories, rule, seed=model.recipe.seed, ripe=ripe)


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
        units = model.known.judgements.units[trees.rows]
        risk = model.calibration.apply(model.link.apply(np.asarray(margin), units))
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
    return {**PARAMETERS, **objective_of(model.trees.sample), **recipe.parameters, **label, **chosen}


def metrics_of(evaluation: Evaluation, model: Model) -> dict[str, float]:
    """The figures as numbers by name; those of others carry their name before a slash."""
    metrics: dict[str, float] = {"judgements": len(evaluation.rows), "failures": float(evaluation.failed.sum())}
    for row in figures_rows(evaluation.figures, evaluation.counts):
        prefix = "" if row["name"] == "model" else f"{row['name']}/".replace(" ", "_")
        metrics |= {f"{prefix}{key}": float(value) for key, value in row.items() if isinstance(value, float)}
    described = model.known.labels.describe()
    return metrics | {key: float(described[key]) for key in ("immature_share", "delay_days")}


def tags_of(card: ModelCard, verdict: Verdict) -> dict[str, str]:
    """What it was made of, and whether and why it may be champion."""
    tags = {"until": iso(card.trained_until), "cut": iso(card.cut), "code": card.code}
    tags |= {"promotable": str(verdict.promote).lower(), "reason": " ".join([*verdict.reasons, *verdict.void])}
    tags |= {"leaks": " ".join(leak["says"] for leak in card.figures["leaks"])}
    for table, print_ in card.data.items():
        tags |= {f"data.{table}.rows": str(print_["rows"]), f"data.{table}.sha256": print_["sha256"]}
    return tags


def drawn_with(evaluation: Evaluation) -> dict[str, Array]:
    """Risks that stand in one picture: single rates lie on each other, and what did not score all has no place."""
    left_out = ("base rate", *RATES)
    return {n: risk for n, risk in evaluation.risks.items() if n not in left_out and not np.isnan(risk).any()}


def gains_of(model: Model) -> dict[str, float]:
    """Each feature's share of the trees' gain, 0 to 1."""
    return dict(zip(model.trees.sample.names, model.trees.gain_shares.tolist(), strict=True))


def plots_of(model: Model, evaluation: Evaluation, card: ModelCard) -> dict[str, Any]:
    """Pictures by name."""
    parts = model.trees.sample.parts
    shares = dict.fromkeys(parts, 0.0)
    for part, share in zip(parts, gains_of(model).values(), strict=True):
        shares[part] += share
    drawn: dict[str, Any] = {"gain_by_group": plots.gain_by_group(shares)}
    if evaluation.failed.any() and not evaluation.failed.all():
        drawn["precision_recall"] = plots.precision_recall(drawn_with(evaluation), evaluation.failed)
        drawn["reliability"] = plots.reliability(evaluation.risks["model"], evaluation.failed)
    curve = card.figures["policy"]["decision_curve"]
    return drawn | ({"decision_curve": decision_curve(curve)} if curve["points"] else {})
