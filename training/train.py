"""`lotrisk train`: from histories to a registered version, with the figures it has to be believed by."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from rich.table import Table

from features.asof import DAY, Array, before
from features.build import build_features, groups_of
from features.bundle import Bundle
from features.card import ModelCard, code_fingerprint, iso
from features.familiar import Familiar
from features.histories import Histories
from features.layout import Layout
from features.output import write_text
from features.site import Site
from training import plots
from training.champion import SharedJudgements, Verdict, may_promote
from training.evaluate import Capacity, Figures, evaluate, figures_rows, figures_table, log_losses
from training.familiar import measure_familiar
from training.fingerprint import fingerprints
from training.fit import PARAMETERS, known_by
from training.model import Model, Progress, fit_model, time_blocks
from training.register import register
from training.reliability import reliability_bins

REFERENCE_ROWS = 10_000  # with 2,000 and as many lots a month only 14 % of unchanged sites are found to be so
GOLDEN_ROWS = 8


@dataclass(frozen=True)
class Trained:
    """A registered version: whether the rule lets it be promoted and why, its figures as rows and as a table."""

    version: str
    verdict: Verdict
    rows: list[dict[str, Any]]
    table: Table
    label: dict[str, Any]
    rounds: int
    rate: str
    model: Model
    evaluation: "Evaluation"

    @property
    def facts(self) -> dict[str, Any]:
        """The outcome for machines."""
        return {
            "version": self.version,
            "reasons": [*self.verdict.reasons, *self.verdict.void],
            "label": self.label,
            "rounds": self.rounds,
            "rate": self.rate,
            "figures": self.rows,
        }

    @property
    def told(self) -> list[str]:
        """The outcome in sentences."""
        facts = [
            f"{k.replace('_', ' ')} {v:,}" if isinstance(v, int) else f"{k.replace('_', ' ')} {v:.3g}"
            for k, v in self.label.items()
        ]
        word = "may be champion" if self.verdict.promote else "may not be champion"
        first = f"version {self.version}, {self.rounds} trees: {word}"
        return [", ".join(facts), first, *(f"- {reason}" for reason in (*self.verdict.reasons, *self.verdict.void))]


@dataclass(frozen=True)
class Evaluation:
    """Mature judgements with out-of-time scores: `rows` of the judgements, what each would have been told."""

    rows: Array
    failed: Array
    block: Array
    risks: dict[str, Array]
    strongest: Array
    figures: Mapping[str, Figures]


def train(
    site: Site, histories: Histories, *, until: int, champion: Bundle | None, seed: int = 0, progress: Progress
) -> Trained:
    """Learns from what was known strictly before `until` and registers the version; promotes nothing.

    CannotTrain where too little is mature.
    """
    known = known_by(histories, site.rules, until=until)
    model = fit_model(known, seed=seed, progress=progress)
    progress("evaluate", 1, 1)
    evaluation = evaluate_model(model, site)
    verdict = _verdict(model, evaluation, champion, seed=seed)
    card = _card(site, model, evaluation, verdict)
    progress("register", 1, 1)
    version = register(
        site.name,
        tracking_uri=site.tracking_uri,
        state_dir=site.state_dir,
        model_text=model.trees.booster.model_to_string(),
        card=card,
        reference=_reference(model),
        golden=model.trees.matrix[_spread(len(model.trees.matrix), GOLDEN_ROWS)],
        parameters=_parameters(model, seed),
        metrics=_metrics(evaluation, model),
        tags=_tags(card, verdict),
        figures=_plots(model, evaluation),
        tables={"figures": pa.Table.from_pylist(figures_rows(evaluation.figures))},
    )
    write_text(site.state_dir / "rate", model.rate + "\n")
    table = figures_table(evaluation.figures, judgements=len(evaluation.rows), failures=int(evaluation.failed.sum()))
    rows = figures_rows(evaluation.figures)
    return Trained(version, verdict, rows, table, known.labels.describe(), model.rounds, model.rate, model, evaluation)


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


def _verdict(model: Model, evaluation: Evaluation, champion: Bundle | None, *, seed: int) -> Verdict:
    failed, risks = evaluation.failed, evaluation.risks
    shared = None
    if champion is not None:
        judged = model.known.judgements.take(evaluation.rows)
        later = np.flatnonzero(~before(judged.as_of, champion.card.cut))
        layout = Layout.from_dict(champion.card.layout)
        features = build_features(judged.take(later), model.known.histories, layout)
        theirs = champion.risk(champion.columns(features.names, features.matrix)) if len(later) else np.empty(0)
        ours = risks["model"][later]
        shared = SharedJudgements(
            champion_loss=log_losses(theirs, failed[later]),
            candidate_loss=log_losses(ours, failed[later]),
            failed=failed[later],
            block=evaluation.block[later],
        )
    return may_promote(
        model_loss=log_losses(risks["model"], failed),
        base_rate_loss=log_losses(risks["base rate"], failed),
        rate_loss=log_losses(evaluation.strongest, failed),
        rate_name=f"the strongest shrunk rate of each time (lastly {model.rate})",
        failed=failed,
        block=evaluation.block,
        champion=shared,
        seed=seed,
    )


def _card(site: Site, model: Model, evaluation: Evaluation, verdict: Verdict) -> ModelCard:
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
        parameters=dict(PARAMETERS),
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


def _reference(model: Model) -> "pa.Table":
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
    chosen = _spread(len(rows), REFERENCE_ROWS)
    matrix = trees.matrix[rows[chosen]]
    columns = {spec.name: matrix[:, place] for place, spec in enumerate(trees.features)}
    as_of = model.known.judgements.as_of[trees.rows[rows[chosen]]]
    return pa.table({**columns, "risk": risk[chosen], "as_of": as_of})


def _spread(size: int, most: int) -> Array:
    return np.unique(np.linspace(0, size - 1, min(size, most)).round().astype(np.int64))


def _parameters(model: Model, seed: int) -> dict[str, Any]:
    label = {f"label_{name}": value for name, value in asdict(model.known.rules.label).items()}
    return {**PARAMETERS, **label, "rounds": model.rounds, "seed": seed, "calibration": model.calibration.kind}


def _metrics(evaluation: Evaluation, model: Model) -> dict[str, float]:
    metrics: dict[str, float] = {"judgements": len(evaluation.rows), "failures": float(evaluation.failed.sum())}
    for row in figures_rows(evaluation.figures):
        prefix = "" if row["name"] == "model" else f"{row['name']}/".replace(" ", "_")
        metrics |= {f"{prefix}{key}": float(value) for key, value in row.items() if isinstance(value, float)}
    described = model.known.labels.describe()
    return metrics | {key: float(described[key]) for key in ("immature_share", "delay_days")}


def _tags(card: ModelCard, verdict: Verdict) -> dict[str, str]:
    tags = {"until": iso(card.trained_until), "cut": iso(card.cut), "code": card.code}
    tags |= {"promotable": str(verdict.promote).lower(), "reason": " ".join([*verdict.reasons, *verdict.void])}
    for table, print_ in card.data.items():
        tags |= {f"data.{table}.rows": str(print_["rows"]), f"data.{table}.sha256": print_["sha256"]}
    return tags


def _plots(model: Model, evaluation: Evaluation) -> dict[str, Any]:
    gain = model.trees.booster.feature_importance("gain")
    shares: dict[str, float] = {}
    start = 0
    for group in groups_of(model.trees.layout):
        size = len(group.columns(model.trees.layout))
        shares[group.__name__.rsplit(".", 1)[1]] = float(gain[start : start + size].sum() / max(gain.sum(), 1e-12))
        start += size
    drawn: dict[str, Any] = {"gain_by_group": plots.gain_by_group(shares)}
    if evaluation.failed.any() and not evaluation.failed.all():
        drawn["precision_recall"] = plots.precision_recall(evaluation.risks, evaluation.failed)
        drawn["reliability"] = plots.reliability(evaluation.risks["model"], evaluation.failed)
    return drawn
