"""`lotrisk train`: from histories to a registered version, with the figures it has to be believed by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Group

from features.asof import before
from features.build import build_features
from features.bundle import Bundle
from features.histories import Histories
from features.layout import Layout
from features.output import write_text
from features.site import Site
from training.apart import apart_by
from training.beside import beside
from training.card_page import card_page
from training.champion import SharedJudgements, Verdict, may_promote
from training.compare import OUT_OF_TIME, out_of_time_of
from training.describe import (
    card_of,
    gains_of,
    metrics_of,
    notes_of,
    parameters_of,
    plots_of,
    reference_of,
    spread,
    tags_of,
)
from training.evaluate import figures_rows, figures_tables, log_losses
from training.evaluation import Evaluation, evaluate_model
from training.forecast import OutOfTime
from training.known import known_by
from training.leaks import Leak, find_leaks
from training.model import Model, fit_model, score_out_of_time
from training.recipe import Recipe
from training.register import register
from training.segments import segments_of
from training.tables import Progress

GOLDEN_ROWS = 8


@dataclass(frozen=True)
class Trained:
    """A registered version: whether the rule lets it be promoted and why, its figures as rows and as a table."""

    version: str
    verdict: Verdict
    rows: list[dict[str, Any]]
    table: Group
    label: dict[str, Any]
    rounds: int
    rate: str
    model: Model
    evaluation: Evaluation
    leaks: list[Leak]
    notes: list[str]

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
            "leaks": [leak.as_dict() for leak in self.leaks],
            "notes": self.notes,
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
        reasons = [f"- {reason}" for reason in (*self.verdict.reasons, *self.verdict.void)]
        return [", ".join(facts), *(f"suspicious: {leak}" for leak in self.leaks), first, *reasons, *self.notes]


def train(
    site: Site,
    histories: Histories,
    *,
    until: int,
    champion: Bundle | None,
    recipe: Recipe | None = None,
    stored: Mapping[str, Any] = MappingProxyType({}),
    progress: Progress,
) -> Trained:
    """Learns from what was known strictly before `until` and registers the version; promotes nothing.

    `stored`: what `features.proof` makes of what the histories stood on. CannotTrain where too little is mature.
    """
    known = known_by(histories, site.rules, until=until)
    recipe = recipe or Recipe.of(site)
    model = fit_model(known, recipe, beside=beside(recipe), progress=progress)
    return keep(site, model, champion=champion, stored=stored, progress=progress)


def keep(
    site: Site,
    model: Model,
    *,
    champion: Bundle | None,
    stored: Mapping[str, Any] = MappingProxyType({}),
    progress: Progress,
) -> Trained:
    """Evaluates a model and registers it with all that it has to be believed by."""
    progress("evaluate", 1, 1)
    evaluation = evaluate_model(model, site, more=_kept_apart(site, model, progress))
    leaks = find_leaks(model, evaluation, lambda recipe: score_out_of_time(model.known, recipe, progress=progress))
    verdict = verdict_on(model, evaluation, champion, protected=site.model.protected)
    card = card_of(site, model, evaluation, verdict, leaks=leaks, stored=stored)
    rows, pictures = figures_rows(evaluation.figures, evaluation.counts), plots_of(model, evaluation, card)
    progress("register", 1, 1)
    version = register(
        site.name,
        tracking_uri=site.tracking_uri,
        state_dir=site.state_dir,
        model_text=model.trees.booster.model_to_string(),
        card=card,
        reference=reference_of(model),
        golden=model.trees.matrix[spread(len(model.trees.matrix), GOLDEN_ROWS)],
        parameters=parameters_of(model),
        metrics=metrics_of(evaluation, model),
        tags=tags_of(card, verdict),
        figures=pictures,
        tables={"figures": pa.Table.from_pylist(rows), OUT_OF_TIME: out_of_time_of(model, evaluation)},
        page=partial(card_page, pictures=pictures, gains=gains_of(model), parts=model.trees.sample.parts),
    )
    write_text(site.state_dir / "rate", model.rate + "\n")
    table = figures_tables(evaluation.figures, evaluation.counts)
    label, notes = model.known.labels.describe(), notes_of(card)
    return Trained(version, verdict, rows, table, label, model.rounds, model.rate, model, evaluation, leaks, notes)


def _kept_apart(site: Site, model: Model, progress: Progress) -> dict[str, OutOfTime]:
    """A second walk, where the site asks for one, that learns nothing from lots that share with the block's."""
    entity = site.model.keep_apart
    if not entity:
        return {}
    apart = apart_by(entity, model.known.histories)
    return {f"{entity} kept apart": score_out_of_time(model.known, model.recipe, apart=apart, progress=progress)}


def verdict_on(
    model: Model, evaluation: Evaluation, champion: Bundle | None, *, protected: Sequence[str] = ()
) -> Verdict:
    """Whether the rule lets it be promoted, and why. `protected`: segments that it must not serve worse."""
    failed, risks = evaluation.failed, evaluation.risks
    shared = None
    if champion is not None:
        judged = model.known.judgements.take(evaluation.rows)
        later = np.flatnonzero(~before(judged.as_of, champion.card.cut))
        layout = Layout.from_dict(champion.card.layout)
        features = build_features(judged.take(later), model.known.histories, layout)
        matrix, units = champion.columns(features.names, features.matrix), judged.units[later]
        theirs = champion.risk(matrix, units) if len(later) else np.empty(0)
        ours = risks["model"][later]
        there = segments_of(model.known, judged.take(later), model.trees.layout) if protected else {}
        guarded = {name: there.get(name, np.empty(0, dtype=np.int64)) for name in protected}
        shared = SharedJudgements(theirs, ours, failed[later], evaluation.block[later], guarded)
    return may_promote(
        model_loss=log_losses(risks["model"], failed),
        base_rate_loss=log_losses(risks["base rate"], failed),
        rate_loss=log_losses(evaluation.strongest, failed),
        rate_name=f"the strongest shrunk rate of each time (lastly {model.rate})",
        failed=failed,
        block=evaluation.block,
        champion=shared,
        seed=model.recipe.seed,
    )
