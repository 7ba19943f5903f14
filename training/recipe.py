"""How a model is made of what is known: everything that an experiment may vary and that the card states."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from features.build import PARTS
from features.site import Site

SWITCHED_OFF = ("surveys",)
"""Feature groups whose worth has an interval that covers zero on every set (`experiments/groups`)."""
USUAL = tuple(part for part in PARTS if part not in SWITCHED_OFF)


@dataclass(frozen=True)
class Recipe:
    """`parts`: the feature groups in use; `without`: features left out, by name; `parameters`: LightGBM's, over ours.

    `boosters`: fits with seeds of their own whose margins are averaged. What is learned from young lots is the label
    rule's `treatment`, since it says what a failure is.
    """

    seed: int = 0
    parts: tuple[str, ...] = USUAL
    without: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    boosters: int = 1

    @classmethod
    def of(cls, site: Site, *, seed: int = 0) -> "Recipe":
        """The site's own."""
        model = site.model
        return cls(seed, model.groups or USUAL, (), model.parameters, model.boosters)

    def but(self, **changes: Any) -> "Recipe":
        """The same with some of it changed."""
        return replace(self, **changes)
