"""What a `lotrisk.toml` may say. Every setting that has a good default has it here, once."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from features.contracts import TABLES
from features.gate_settings import GateSettings
from features.period import duration, nearest

STEADY = ("lots", "shipments", "measurements", "supplier_lots", "inspections", "genealogy", "returns", "outcomes")
"""Tables that a running factory adds to all the time."""
Treatment = Literal["leave_out", "weight", "correct", "count"]
"""Of judgements too young to be mature."""
TREATMENT: Treatment = "correct"
"""Where returns say which lots failed: clearly better than to leave them out on most sets, see experiments/maturity."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteSettings(_Section):
    """`[site]`"""

    name: str | None = None
    timezone: str = "UTC"
    data: str | list[str] = Field(default=["data", "."])
    language: Literal["en", "zh"] = "en"
    extends: str | None = None
    state_dir: str = ".lotrisk"
    database: str | None = None
    known_until: datetime | date | str | None = None


class SqlSettings(_Section):
    """`[sql]`"""

    prelude: str = ""


class Source(_Section):
    """`[tables.<name>]`: where one table comes from; nothing said: a file of its name in `data`."""

    path: str | None = Field(default=None, min_length=1)
    sheet: str | None = None
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    query: str | None = Field(default=None, min_length=1)
    database: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.path is not None and self.query is not None:
            raise ValueError("path and query exclude each other")
        if self.database is not None and self.query is None:
            raise ValueError("database needs a query")
        if self.sheet is not None and self.path is None:
            raise ValueError("sheet needs a path")
        if self.query is not None and {"encoding", "delimiter"} & self.model_fields_set:
            raise ValueError("encoding and delimiter go with path, not with query")
        return self


class LabelSettings(_Section):
    """`[label]`"""

    source: Literal["returns", "outcomes"] | None = Field(default=None, alias="from")
    returned_ppm: float | None = Field(default=None, gt=0, le=1_000_000)
    within_days: float | None = Field(default=None, gt=0)
    reporting_days: float = Field(default=30, ge=0)
    treatment: Treatment | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        stated = [name for name in ("returned_ppm", "within_days") if getattr(self, name) is not None]
        if self.source == "outcomes" and stated:
            raise ValueError(f'{stated[0]} has no meaning with from = "outcomes"')
        if self.source == "outcomes" and self.treatment not in (None, "leave_out"):
            raise ValueError(
                f'treatment: "{self.treatment}" reads returns as they come in; with from = "outcomes" nothing is told '
                'of a lot before its outcome: take it out, or state "leave_out"'
            )
        return self


class CostSettings(_Section):
    """Money per lot, in the site's own currency; a tier's that are absent are the decision's."""

    cost_of_inspection: float | None = Field(default=None, ge=0)
    cost_of_escape: float | None = Field(default=None, ge=0)
    cost_of_escape_per_unit: float | None = Field(default=None, ge=0)
    cost_of_hold: float | None = Field(default=None, ge=0)


class DecisionSettings(_Section):
    """`[decision]`"""

    at: Literal["shipped_at", "produced_at"] = "shipped_at"
    again_every: str | None = None
    until_age_days: float = Field(default=1095, gt=0)
    min_units: int = Field(default=1, ge=1)
    cost_of_inspection: float = Field(default=400.0, ge=0)
    cost_of_escape: float = Field(default=9000.0, ge=0)
    cost_of_escape_per_unit: float = Field(default=0.0, ge=0)
    cost_of_hold: float = Field(default=1500.0, ge=0)
    inspection_finds: float = Field(default=0.9, ge=0, le=1)
    inspections_per_day: float | None = Field(default=None, gt=0)
    explore_share: float = Field(default=0.0, ge=0, le=0.2)
    explore_band: float = Field(default=0.25, gt=0, le=1)
    certify: float = Field(default=0.05, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    tier: dict[str, CostSettings] = {}

    @model_validator(mode="after")
    def _readable_duration(self) -> Self:
        if self.again_every is not None and duration(self.again_every) <= 0:
            raise ValueError("again_every must be longer than nothing")
        return self


SEARCHED = (
    "bagging_fraction",
    "bagging_freq",
    "cat_l2",
    "cat_smooth",
    "extra_trees",
    "feature_fraction",
    "feature_fraction_bynode",
    "lambda_l1",
    "lambda_l2",
    "learning_rate",
    "max_bin",
    "max_depth",
    "min_data_in_leaf",
    "min_data_per_group",
    "min_gain_to_split",
    "num_leaves",
    "path_smooth",
    "scale_pos_weight",
)
"""LightGBM's parameters that an experiment may search. Those that change what a risk means are not among them."""

STATED = (
    *SEARCHED,
    *("is_unbalance", "neg_bagging_fraction", "pos_bagging_fraction"),
    *("data_sample_strategy", "other_rate", "top_rate"),
    *("max_cat_threshold", "max_cat_to_onehot", "max_delta_step", "min_sum_hessian_in_leaf", "num_threads"),
)
"""Those that a site may state. LightGBM takes no notice of a name that it does not know."""


class ModelSettings(_Section):
    """`[model]`"""

    groups: list[Literal["production", "supplier", "field", "own", "actions", "surveys"]] = []
    parameters: dict[str, float | int | str | bool] = {}
    boosters: int = Field(default=1, ge=1, le=20)
    keep_apart: Literal["", "lot", "supplier_lot", "supplier", "product", "customer", "line"] = ""
    protected: list[str] = []

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for name in self.parameters:
            if name not in STATED:
                raise ValueError(f"unknown parameters.{name}{nearest(name, STATED)}")
        for name in self.protected:
            if name.partition(":")[0] not in ("product", "supplier", "tier") or not name.partition(":")[2]:
                raise ValueError(f'protected: "{name}" is not a segment like "product:P3", "supplier:V01" or "tier:A"')
        return self


class ServingSettings(_Section):
    """`[serving]`"""

    refresh_every: str = "1min"
    rescore_every: str = "1h"
    stale_after: str = "45d"
    stale_tables: dict[str, str] = {}
    calls_per_second: float = Field(default=1000, gt=0)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for name in ("refresh_every", "rescore_every", "stale_after"):
            if duration(getattr(self, name)) <= 0:
                raise ValueError(f"{name} must be longer than nothing")
        for name, limit in self.stale_tables.items():
            if name not in TABLES:
                raise ValueError(f"unknown table stale_tables.{name}{nearest(name, TABLES)}")
            duration(limit)
        return self

    @property
    def stale(self) -> dict[str, int]:
        """By table, the age in microseconds from which it is stale. Where nothing may have happened for long, only
        what is stated counts."""
        usual = {name: duration(self.stale_after) for name in STEADY}
        return usual | {name: duration(limit) for name, limit in self.stale_tables.items()}


class Settings(_Section):
    """A whole `lotrisk.toml`."""

    site: SiteSettings = SiteSettings()
    sql: SqlSettings = SqlSettings()
    databases: dict[str, str] = {}
    tables: dict[str, Source] = {}
    label: LabelSettings = LabelSettings()
    decision: DecisionSettings = DecisionSettings()
    model: ModelSettings = ModelSettings()
    serving: ServingSettings = ServingSettings()
    gate: GateSettings = GateSettings()

    @model_validator(mode="after")
    def _known_tables(self) -> Self:
        for name in self.tables:
            if name not in TABLES:
                raise ValueError(f"unknown table tables.{name}{nearest(name, TABLES)}")
        return self


def fault(error: ValidationError, names_in: "Callable[[tuple[int | str, ...]], Iterable[str]] | None" = None) -> str:
    """The first thing wrong, in one line. The value is not repeated: it may be a password.

    `names_in`: the settings there are in a section, by its place.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting {place}{nearest(str(first['loc'][-1]), (names_in or _names_in)(first['loc'][:-1]))}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _names_in(section: tuple[int | str, ...]) -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "site": SiteSettings,
        "sql": SqlSettings,
        "tables": Source,
        "label": LabelSettings,
        "model": ModelSettings,
        "serving": ServingSettings,
        "gate": GateSettings,
        "decision": CostSettings if len(section) > 1 else DecisionSettings,
    }
    model = models[str(section[0])] if section else Settings
    for part in section[1:]:
        inner = model.model_fields.get(str(part))
        if inner is not None and isinstance(inner.annotation, type) and issubclass(inner.annotation, BaseModel):
            model = inner.annotation
    return [field.alias or name for name, field in model.model_fields.items()]
