"""`lotrisk train`: from histories to a registered version, with the figures it has to be believed by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from rich.table import Table

from features.asof import before
from features.build import build_features
from features.bundle import Bundle
from features.histories import Histories
from features.layout import Layout
from features.output import write_text
from features.site import Site
from training.champion import SharedJudgements, Verdict, may_promote
from training.describe import card_of, metrics_of, parameters_of, plots_of, reference_of, spread, tags_of
from training.evaluate import figures_rows, figures_table, log_losses
from training.evaluation import Evaluation, evaluate_model
from training.known import known_by
from training.model import Model, fit_model
from training.recipe import Recipe
from training.register import register
from training.tables import Progress

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
    evaluation: Evaluation

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


def train(
    site: Site,
    histories: Histories,
    *,
    until: int,
    champion: Bundle | None,
    recipe: Recipe | None = None,
    progress: Progress,
) -> Trained:
    """Learns from what was known strictly before `until` and registers the version; promotes nothing.

    CannotTrain where too little is mature.
    """
    known = known_by(histories, site.rules, until=until)
    model = fit_model(known, recipe or Recipe.of(site), progress=progress)
    return keep(site, model, champion=champion, progress=progress)


def keep(site: Site, model: Model, *, champion: Bundle | None, progress: Progress) -> Trained:
    """Evaluates a model and registers it with all that it has to be believed by."""
    progress("evaluate", 1, 1)
    evaluation = evaluate_model(model, site)
    verdict = verdict_on(model, evaluation, champion)
    card = card_of(site, model, evaluation, verdict)
    rows = figures_rows(evaluation.figures)
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
        figures=plots_of(model, evaluation),
        tables={"figures": pa.Table.from_pylist(rows)},
    )
    write_text(site.state_dir / "rate", model.rate + "\n")
    table = figures_table(evaluation.figures, judgements=len(evaluation.rows), failures=int(evaluation.failed.sum()))
    label = model.known.labels.describe()
    return Trained(version, verdict, rows, table, label, model.rounds, model.rate, model, evaluation)


def verdict_on(model: Model, evaluation: Evaluation, champion: Bundle | None) -> Verdict:
    """Whether the rule lets it be promoted, and why."""
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
        seed=model.recipe.seed,
    )
