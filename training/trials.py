"""One trial of an experiment: a recipe walked forward over tables that are there, kept so that it is done once."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from features.asof import Array
from features.output import write_table
from training.forecast import Forecast
from training.model import trees_as
from training.recipe import Recipe
from training.tables import BlockTable


@dataclass(frozen=True)
class Asked:
    """What is tried: LightGBM's `parameters` over the site's, a label `treatment`, and what is left out."""

    parameters: dict[str, Any]
    treatment: str
    without_groups: tuple[str, ...] = ()
    without_families: tuple[str, ...] = ()

    def name(self, beside: "Asked") -> str:
        """In a few words, for tables: how it differs from another."""
        left_out = {*self.without_groups, *self.without_families} - {*beside.without_groups, *beside.without_families}
        changed = {k: v for k, v in self.parameters.items() if k not in beside.parameters or beside.parameters[k] != v}
        said = [self.treatment] if self.treatment != beside.treatment else []
        said += [f"{name} {_short(value)}" for name, value in changed.items()]
        return ", ".join([*said, *(f"without {name}" for name in sorted(left_out))]) or "nothing changed"


@dataclass(frozen=True)
class Trial:
    """A finished trial. `risk`: out-of-time, float64, shape (seeds, scored); `value`: what the search makes least."""

    number: int
    asked: Asked
    value: float
    seconds: float
    risk: Array


def forecast_all(
    tables: Sequence[BlockTable], recipe: Recipe, asked: Asked, *, seeds: Sequence[int], workers: int
) -> Array:
    """Out-of-time risks by each seed, float64, shape (seeds, scored), in the order of the tables' rows.

    Blocks and seeds are fitted side by side, each on one thread: LightGBM lets go of Python's lock, and neither the
    scores nor the order of trials depend on how many workers there are.
    """

    tried = recipe.but(parameters={**recipe.parameters, **asked.parameters})

    def margin(job: tuple[int, BlockTable]) -> Array:
        seed, table = job
        chosen = tried.but(seed=seed, parameters={**tried.parameters, "num_threads": 1})
        kept = columns_of(table, asked)
        return trees_as(chosen).learn(table.sample.columns(kept))(table.matrix[:, kept])

    jobs = [(seed, table) for seed in seeds for table in reversed(tables)]  # the longest first
    with ThreadPoolExecutor(workers) as pool:
        margins = list(pool.map(margin, jobs))
    risks = []
    for place in range(len(seeds)):
        of_seed = margins[place * len(tables) : (place + 1) * len(tables)][::-1]
        forecast = Forecast(trees_as(tried))
        for table, found in zip(tables, of_seed, strict=True):
            forecast.add(table, margin=found)
        risks.append(forecast.scored.risk)
    return np.stack(risks)


def columns_of(table: BlockTable, asked: Asked) -> Array:
    """Places of the columns that are learned from."""
    sample = table.sample
    kept = [
        part not in asked.without_groups and spec.family not in asked.without_families
        for part, spec in zip(sample.parts, sample.features, strict=True)
    ]
    return np.flatnonzero(kept)


def timed_trial(
    number: int,
    asked: Asked,
    tables: Sequence[BlockTable],
    recipe: Recipe,
    *,
    seeds: Sequence[int],
    workers: int,
    value: Callable[[Array], float],
) -> Trial:
    """Runs a trial; `value` makes of its risks the number that the search makes least."""
    start = perf_counter()
    risk = forecast_all(tables, recipe, asked, seeds=seeds, workers=workers)
    return Trial(number, asked, value(risk), perf_counter() - start, risk)


def write_trial(folder: Path, trial: Trial) -> None:
    """Keeps a trial in a file of its own: what was asked beside its risks, a column a seed."""
    said = {"asked": asdict(trial.asked), "value": trial.value, "seconds": trial.seconds}
    table = pa.table({f"risk_{place}": risk for place, risk in enumerate(trial.risk)})
    folder.mkdir(parents=True, exist_ok=True)
    write_table(table.replace_schema_metadata({"trial": json.dumps(said)}), folder / f"{trial.number}.parquet")


def read_trials(folder: Path) -> list[Trial]:
    """The trials that are kept there, up to the first that is missing."""
    found: list[Trial] = []
    while (file := folder / f"{len(found)}.parquet").is_file():
        table = pyarrow.parquet.read_table(file)
        said = json.loads(table.schema.metadata[b"trial"])
        stated: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said["asked"].items()}
        risk = np.stack([column.to_numpy() for column in table.columns])
        found.append(Trial(len(found), Asked(**stated), said["value"], said["seconds"], risk))
    return found


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
