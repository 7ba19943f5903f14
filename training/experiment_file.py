"""The TOML file of `lotrisk experiment`: what is tried, on what, and how long."""

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from features.build import PARTS
from features.dictionary import FAMILIES
from features.errors import SettingsError
from features.period import duration, nearest
from features.settings import SEARCHED, Treatment, fault


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Section):
    """From `low` to `high`, both included; whole numbers where both are, evenly spread in the logarithm on request."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low} has no logarithm")
        return self


Searched = Range | list[bool | int | float | str]


class ExperimentSettings(_Section):
    """`[experiment]`"""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,80}$")
    until: str | None = None
    trials: int = Field(default=30, ge=1, le=10_000)
    stop_after: str | None = None
    seeds: list[int] = Field(default=[0], min_length=1)
    treatments: list[Treatment] = []
    held_back: float = Field(default=1 / 3, gt=0, lt=0.9)
    metric: Literal["log_loss", "average_precision"] = "log_loss"
    workers: int | None = Field(default=None, ge=1, le=256)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.stop_after is not None:
            duration(self.stop_after)
        for what in (self.seeds, self.treatments):
            if len(set(map(str, what))) < len(what):
                raise ValueError(f"{what} names one twice")
        return self


class AblationSettings(_Section):
    """`[ablation]`: what each of is left out in turn. `families`: of features, by their name in the dictionary."""

    groups: bool | list[str] = False
    families: list[str] = []

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for group in self.groups if isinstance(self.groups, list) else []:
            if group not in PARTS:
                raise ValueError(f"unknown group {group}{nearest(group, PARTS)}")
        names = [family.name for families in FAMILIES.values() for family in families]
        for name in self.families:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                way_out = f"did you mean {near[0]}?" if near else "see docs/features.md"
                raise ValueError(f"unknown family {name}; {way_out}")
        return self


class ExperimentFile(_Section):
    """A whole file."""

    experiment: ExperimentSettings = ExperimentSettings()
    search: dict[str, Searched] = {}
    ablation: AblationSettings = AblationSettings()

    @model_validator(mode="after")
    def _known_parameters(self) -> Self:
        for name, values in self.search.items():
            if name not in SEARCHED:
                raise ValueError(f"search: unknown parameter {name}{nearest(name, SEARCHED)}")
            if isinstance(values, list) and not values:
                raise ValueError(f"search.{name}: no values to choose from")
        return self


def read_experiment(file: Path) -> tuple[str, ExperimentFile]:
    """The experiment's name (the file's own where it states none) and what it asks; SettingsError in one line."""
    try:
        stated: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"{file}: is not there; see docs/experiments.md for what it may say") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read ({error})") from None
    try:
        asked = ExperimentFile.model_validate(stated)
    except ValidationError as error:
        raise SettingsError(f"{file}: {fault(error, _names_in)}") from None
    name = asked.experiment.name or file.stem
    if not name.strip("."):  # "..toml": the experiment's folder would be one that holds others
        raise SettingsError(f"{file}: a file of this name needs a name in [experiment]")
    return name, asked


def _names_in(section: tuple[int | str, ...]) -> list[str]:
    models: dict[tuple[int | str, ...], type[BaseModel]] = {
        (): ExperimentFile,
        ("experiment",): ExperimentSettings,
        ("ablation",): AblationSettings,
    }
    return list(models.get(section, Range).model_fields)
