"""`lotrisk experiment`: what is tried walks forward over the same blocks; the winner becomes a version."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import time_ns
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from rich.table import Table

from features.bundle import Bundle
from features.card import ModelCard, iso
from features.histories import Histories
from features.output import write_table, write_text
from features.period import duration
from features.site import Site
from training import experiment_plots
from training.experiment_file import ExperimentFile
from training.experiment_runs import ExperimentRuns, experiment_runs
from training.fingerprint import fingerprints
from training.ground import Ground, lay_ground
from training.known import known_by
from training.leaderboard import BETTER, Line, board, board_table, line, winner_of
from training.model import fit_model
from training.pinned import folder_of, hold, pin
from training.policy import report_on
from training.recipe import Recipe
from training.search import importances, propose
from training.tables import Progress
from training.train import keep
from training.trials import Asked, Trial, read_trials, timed_trial, write_trial


@dataclass(frozen=True)
class Experiment:
    """What came of it: trials by the search's own order, what leaving something out does, and the winner's version."""

    folder: Path
    ground: Ground
    lines: list[Line]
    ablations: list[Line]
    winner: Line
    version: str
    promote: bool
    reasons: list[str]

    @property
    def facts(self) -> dict[str, Any]:
        """For machines."""
        return {
            "folder": str(self.folder),
            "version": self.version,
            "winner": self.winner.facts(),
            "parameters": self.winner.trial.asked.parameters,
            "treatment": self.winner.trial.asked.treatment,
            "leaderboard": [each.facts() for each in self.lines],
            "ablation": [each.facts() for each in self.ablations],
            "reasons": self.reasons,
        }

    @property
    def tables(self) -> list[Table]:
        """For reading."""
        own = "the site's own recipe"
        found = [board_table(self.ground, self.lines, title="Leaderboard, by the search", beside=own)]
        if self.ablations:
            found.append(board_table(self.ground, self.ablations, title="Left out in turn", beside="with all"))
        return found

    def told(self, site: Path) -> list[str]:
        """What to do with it."""
        winner = self.winner
        asked, less = winner.trial.asked, winner.less
        if less is None:
            first = self.lines[0].trial.number == winner.trial.number
            why = "nothing did better in the search"
            if not first:
                why = "what did better in the search did worse beyond noise afterwards"
            said = [f"the winner is the site's own recipe: {why}"]
        else:
            said = [
                f"the winner is trial {winner.trial.number} ({asked.name(winner.beside)}): where the search did not "
                f"look, its log loss less that of the site's own recipe is {less}, {winner.said}"
            ]
            if winner.said != BETTER:
                said.append("that does not prove it better than the site's own recipe")
        stated = ", ".join(f"{name} = {_toml(value)}" for name, value in asked.parameters.items())
        settings = [f"[model] parameters = {{ {stated} }}"] if stated else []
        settings += [f'[label] treatment = "{asked.treatment}"'] if asked.treatment != winner.beside.treatment else []
        return [
            *said,
            f"it is version {self.version}, which {'may' if self.promote else 'by the rule may not'} be champion:",
            *(f"- {reason}" for reason in self.reasons),
            *([] if less is None else ["- these figures rest on what the search was chosen on too, and flatter it"]),
            f"to promote it: lotrisk promote {site} {self.version}",
            *(f"to train so from now on: {setting} in {site / 'lotrisk.toml'}" for setting in settings),
            f"pictures and tables: {self.folder / 'report'}",
        ]


def experiment(
    site: Site,
    histories: Histories,
    name: str,
    asked: ExperimentFile,
    *,
    until: int,
    stated: bool,
    champion: Bundle | None,
    restart: bool,
    stored: Mapping[str, Any] = MappingProxyType({}),
    progress: Progress,
) -> Experiment:
    """Goes on where an earlier run of the same name stopped. `until` counts for the first run, `stated` if by the file.

    `stored`: what `features.proof` makes of what the histories stood on, for the winner's card. SettingsError where the
    question, the data or the code are others than an earlier run's; CannotTrain.
    """
    pinned = pin(folder_of(site, name), asked, until=until, stated=stated, restart=restart)
    known = known_by(histories, site.rules, until=pinned.until)
    data = fingerprints(known.histories)
    settings, recipe = asked.experiment, Recipe.of(site)
    hold(pinned, asked, known, recipe, data)
    own = site.rules.label.treatment
    treatments = [own, *(other for other in settings.treatments if other != own)]
    ground = lay_ground(known, recipe, treatments=treatments, held_back=settings.held_back, progress=progress)
    tags = {"until": iso(pinned.until), "cut": iso(known.labels.cut), "kind": "experiment"}
    tags |= {f"data.{table}.sha256": said["sha256"] for table, said in data.items()}
    runs = experiment_runs(site, name, kept=pinned.folder / "parent_run", tags=tags.items())
    work = _Work(pinned.folder, ground, recipe, asked, runs, progress)

    with runs.going_on():
        trials = work.search(treatments)
        best = winner_of(ground, trials, own=trials[0])
        winner = best.trial
        ablations = work.ablate(winner)

        lines = board(ground, trials, own=trials[0])
        without = [line(ground, trial, beside=winner) for trial in ablations]
        version = work.registered(winner)
        if version is None:
            made = recipe.but(parameters={**recipe.parameters, **winner.asked.parameters}, seed=settings.seeds[0])
            model = fit_model(ground.known[winner.asked.treatment], made, progress=progress)
            version = keep(site, model, champion=champion, stored=stored, progress=progress).version
            work.register(winner, version)
        card = ModelCard.from_json((site.state_dir / "bundles" / version / "card.json").read_text(encoding="utf-8"))
        rule = card.champion
        found = Experiment(pinned.folder, ground, lines, without, best, version, rule["promote"], rule["reasons"])
        _report(found, trials, asked, treatments)
        metrics = {"winner": float(winner.number), "value": winner.value, "trials": float(len(trials))}
        runs.close(pinned.folder / "report", metrics=metrics, tags={"version": version})
    return found


@dataclass(frozen=True)
class _Work:
    """Runs trials, or takes those that an earlier run kept."""

    folder: Path
    ground: Ground
    recipe: Recipe
    asked: ExperimentFile
    runs: ExperimentRuns
    progress: Progress

    def search(self, treatments: Sequence[str]) -> list[Trial]:
        """The site's own recipe under each treatment first, then what the search proposes."""
        settings = self.asked.experiment
        fixed = [Asked({}, treatment) for treatment in treatments]
        wanted = max(settings.trials, len(fixed)) if self.asked.search else len(fixed)
        done = read_trials(self.folder / "search")[:wanted]
        known_runs = self.runs.logged()
        for trial in done:
            self._log(trial, "search", known_runs, fixed[0])
        most = None if settings.stop_after is None else duration(settings.stop_after)
        began = time_ns() // 1000
        for number in range(len(done), wanted):
            if most is not None and number >= len(fixed) and time_ns() // 1000 - began >= most:
                break
            self.progress("trials", number + 1, wanted)
            if number < len(fixed):
                asked = fixed[number]
            else:
                asked = propose(self.asked.search, treatments, done[len(fixed) :], number=number)
            done.append(self._run(number, asked, "search", fixed[0]))
        return done

    def ablate(self, winner: Trial) -> list[Trial]:
        """The winner without each group and family that the file names."""
        ablation = self.asked.ablation
        samples = [table.sample for tables in self.ground.tables.values() for table in tables]
        parts = {part for sample in samples for part in sample.parts}
        families = {spec.family for sample in samples for spec in sample.features}
        groups = ablation.groups if isinstance(ablation.groups, list) else sorted(parts) if ablation.groups else []
        asked = [
            Asked(winner.asked.parameters, winner.asked.treatment, (group,)) for group in groups if parts > {group}
        ]
        named = [name for name in ablation.families if families > {name}]
        asked += [Asked(winner.asked.parameters, winner.asked.treatment, (), (name,)) for name in named]
        kept = {trial.number: trial for trial in read_trials(self.folder / "ablation")}
        known_runs, found = self.runs.logged(), []
        for number, each in enumerate(asked):
            self.progress("left out in turn", number + 1, len(asked))
            trial = kept.get(number)
            if trial is None or trial.asked != each:
                trial = self._run(number, each, "ablation", winner.asked)
            else:
                self._log(trial, "ablation", known_runs, winner.asked)
            found.append(trial)
        return found

    def registered(self, winner: Trial) -> str | None:
        """The version that an earlier run made of the same winner."""
        file = self.folder / "version.json"
        kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return str(kept["version"]) if kept.get("asked") == json.loads(json.dumps(asdict(winner.asked))) else None

    def register(self, winner: Trial, version: str) -> None:
        """Remembers what became of the winner."""
        write_text(self.folder / "version.json", json.dumps({"version": version, "asked": asdict(winner.asked)}) + "\n")

    def _run(self, number: int, asked: Asked, kind: str, beside: Asked) -> Trial:
        settings = self.asked.experiment
        trial = timed_trial(
            number,
            asked,
            self.ground.tables[asked.treatment],
            self.recipe,
            seeds=settings.seeds,
            workers=settings.workers or os.cpu_count() or 1,
            value=self.ground.value(asked.treatment, settings.metric),
        )
        write_trial(self.folder / kind, trial)
        self.runs.log(trial, kind=kind, beside=beside)
        return trial

    def _log(self, trial: Trial, kind: str, there: set[str], beside: Asked) -> None:
        """A run that was cut off between keeping a trial and logging it is mended."""
        if f"{kind} {trial.number}" not in there:
            self.runs.log(trial, kind=kind, beside=beside)


def _report(found: Experiment, trials: Sequence[Trial], asked: ExperimentFile, treatments: Sequence[str]) -> None:
    """The leaderboard and the pictures, in the experiment's folder."""
    folder, ground, winner = found.folder / "report", found.ground, found.winner.trial
    write_table(pa.Table.from_pylist([each.facts() for each in found.lines]), folder / "leaderboard.csv")
    if found.ablations:
        write_table(pa.Table.from_pylist([each.facts() for each in found.ablations]), folder / "ablation.csv")
    held = ~ground.searched
    risks = {
        name: ground.risk(trial.asked.treatment, trial.risk)[held]
        for name, trial in {"winner": winner, "the site's own": trials[0]}.items()
    }
    known, rule = ground.known[winner.asked.treatment], ground.known[winner.asked.treatment].rules.decision
    judged, risk = known.judgements.take(ground.rows[held]), risks["winner"]
    policy = report_on(risk, ground.failed[held], ground.block[held], judged, known.histories, rule, seed=0)
    searched = trials[len(treatments) :]
    experiment_plots.draw(
        folder,
        values=[trial.value for trial in trials],
        metric="Log loss" if asked.experiment.metric == "log_loss" else "Less average precision",
        importances=importances(asked.search, treatments, searched) if asked.search else {},
        risks=risks,
        failed=ground.failed[held],
        curve=policy["decision_curve"],
    )


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')
