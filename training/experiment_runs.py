"""An experiment in MLflow: a parent run, a child run a trial."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import RegistryFault
from features.output import write_text
from features.site import Site
from training.register import refuse_pickles
from training.runs import client_of, experiment_of, log_run, told
from training.trials import Asked, Trial

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PARENT, _NAME, _TRIAL = "mlflow.parentRunId", "mlflow.runName", "trial"


@dataclass(frozen=True)
class ExperimentRuns:
    """The parent run and where its children go."""

    client: "MlflowClient"
    experiment_id: str
    parent: str

    @told()
    def log(self, trial: Trial, *, kind: str, beside: Asked) -> None:
        """A child run of a trial, named by how it differs; `kind`: "search" or "ablation"."""
        number, asked = f"{kind} {trial.number}", trial.asked
        tags = {_PARENT: self.parent, _NAME: f"{number}: {asked.name(beside)}"[:250], _TRIAL: number}
        run = self.client.create_run(self.experiment_id, tags=tags)
        left_out = " ".join([*asked.without_groups, *asked.without_families])
        parameters = {**asked.parameters, "label_treatment": asked.treatment, "without": left_out}
        log_run(self.client, run, parameters, {"value": trial.value, "seconds": trial.seconds}, {})
        self.client.set_terminated(run.info.run_id, "FINISHED")

    @told()
    def logged(self) -> set[str]:
        """The trials that have a child run."""
        found: set[str] = set()
        page = None
        while True:
            runs = self.client.search_runs(
                [self.experiment_id], f"tags.`{_PARENT}` = '{self.parent}'", max_results=1000, page_token=page
            )
            found |= {run.data.tags.get(_TRIAL, "") for run in runs}
            page = runs.token
            if not page:
                return found

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Whatever ends it before its time, the parent run says that it does not go on."""
        try:
            yield
        except BaseException:
            with suppress(RegistryFault), told():
                self.client.set_terminated(self.parent, "KILLED")
            raise

    @told()
    def close(self, folder: Path, *, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """The parent's figures, and the files of `folder` as its artifacts."""
        refuse_pickles(folder)
        log_run(self.client, self.client.get_run(self.parent), {}, metrics, tags)
        self.client.log_artifacts(self.parent, str(folder))
        self.client.set_terminated(self.parent, "FINISHED")


@told()
def experiment_runs(site: Site, name: str, *, kept: Path, tags: Iterable[tuple[str, Any]]) -> ExperimentRuns:
    """The experiment's runs; the file `kept` remembers the parent from an earlier run."""
    client = client_of(site.tracking_uri)
    experiment_id = experiment_of(client, site.name, site.tracking_uri, site.state_dir)
    if kept.is_file():
        parent = kept.read_text(encoding="utf-8").strip()
        client.update_run(parent, status="RUNNING")
        return ExperimentRuns(client, experiment_id, parent)
    run = client.create_run(experiment_id, tags={_NAME: f"experiment {name}"})
    log_run(client, run, {}, {}, {key: str(said) for key, said in tags})
    write_text(kept, run.info.run_id)
    return ExperimentRuns(client, experiment_id, str(run.info.run_id))
