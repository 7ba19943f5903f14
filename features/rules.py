"""What a site asks: when a lot is judged, what failing means, what a wrong decision costs.

Durations are microseconds, like all times; money is in the site's own currency.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LabelRule:
    """When a judged lot counts as failed."""

    source: Literal["returns", "outcomes"]
    returned_ppm: float
    within: int
    reporting: int
    treatment: str = "leave_out"


@dataclass(frozen=True)
class Costs:
    """Of one lot. `escape` and `escape_per_unit` are of one failing lot that was released."""

    inspection: float
    escape: float
    escape_per_unit: float
    hold: float


@dataclass(frozen=True)
class DecisionRule:
    """When lots are judged and what follows from a risk."""

    at: Literal["shipped_at", "produced_at"]
    again_every: int | None
    until_age: int
    min_units: int
    costs: Costs
    inspection_finds: float
    inspections_per_day: float | None
    tiers: dict[str, Costs] = field(default_factory=dict)


@dataclass(frozen=True)
class Rules:
    """One site's question."""

    label: LabelRule
    decision: DecisionRule
    known_until: int | None
