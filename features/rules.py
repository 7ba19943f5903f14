"""What a site asks: when a lot is judged, what failing means, what a wrong decision costs.

Durations are microseconds, like all times; money is in the site's own currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from features.errors import SettingsError


@dataclass(frozen=True)
class LabelRule:
    """When a judged lot counts as failed."""

    source: Literal["returns", "outcomes"]
    returned_ppm: float
    within: int
    reporting: int
    treatment: str = "leave_out"
    """Of judgements too young to be mature: leave_out, weight, correct or count, see `training.maturity`."""

    def __post_init__(self) -> None:
        if self.source == "outcomes" and self.treatment != "leave_out":
            raise SettingsError(
                f'treatment "{self.treatment}" reads returns as they come in: with outcomes nothing is told of a lot '
                'before its outcome, so "leave_out" is the only one'
            )


@dataclass(frozen=True)
class Costs:
    """Of one lot. `escape` and `escape_per_unit` are of one failing lot that was released."""

    inspection: float
    escape: float
    escape_per_unit: float
    hold: float


@dataclass(frozen=True)
class DecisionRule:
    """When lots are judged and what follows from a risk.

    `explore_share`, `explore_band`: see `features.exploration`. `certify`: the share of failing lots that may be
    released, `confidence`: how sure that has to be, both between 0 and 1.
    """

    at: Literal["shipped_at", "produced_at"]
    again_every: int | None
    until_age: int
    min_units: int
    costs: Costs
    inspection_finds: float
    inspections_per_day: float | None
    tiers: dict[str, Costs] = field(default_factory=dict)
    explore_share: float = 0.0
    explore_band: float = 0.25
    certify: float = 0.05
    confidence: float = 0.95


@dataclass(frozen=True)
class Rules:
    """One site's question."""

    label: LabelRule
    decision: DecisionRule
    known_until: int | None


def rules_from(stored: Mapping[str, Any]) -> Rules:
    """What `dataclasses.asdict` gave of rules, also after a trip through JSON."""
    decision = dict(stored["decision"])
    decision["costs"] = Costs(**decision["costs"])
    decision["tiers"] = {tier: Costs(**costs) for tier, costs in decision["tiers"].items()}
    return Rules(LabelRule(**stored["label"]), DecisionRule(**decision), stored["known_until"])


@dataclass(frozen=True)
class ModelRule:
    """How a site's models are made; what is not stated is training's own.

    `groups`: the feature groups in use, (): those that ship switched on; `parameters`: LightGBM's; `boosters`: fits
    that are averaged.
    `keep_apart`: what must not be on both sides of a block's start in a second evaluation, "": none is made.
    `protected`: segments, like "tier:A", that a new champion must not serve worse.
    """

    groups: tuple[str, ...] = ()
    parameters: dict[str, float | int | str | bool] = field(default_factory=dict)
    boosters: int = 1
    keep_apart: str = ""
    protected: tuple[str, ...] = ()
