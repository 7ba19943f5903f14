"""Features of judged lots: one function, whether for a million lots or for one at the gate."""

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from features.asked import Asked, ask
from features.asof import Array
from features.card import FeatureSpec
from features.choose import choose_layout as _choose_layout
from features.errors import ContractViolation
from features.groups import actions, field, own, production, supplier, surveys
from features.histories import Histories
from features.judgements import Judgements
from features.layout import Layout, Prior
from features.missing import with_what_is_missing
from features.rules import Rules

GROUPS = (production, supplier, field, own, actions, surveys)
CHUNK = 50_000  # judgements at a time: what lies between histories and matrix stays near 250 MB, and is sooner done
PARTS = tuple(group.__name__.rsplit(".", 1)[1] for group in GROUPS)


@dataclass(frozen=True)
class Features:
    """`matrix`: float64, shape (judgements, columns); `names` of its columns."""

    names: list[str]
    matrix: Array

    def columns(self, names: list[str]) -> Array:
        """The matrix of these columns in this order."""
        if names == self.names:
            return self.matrix
        at = {name: place for place, name in enumerate(self.names)}
        return self.matrix[:, [at[name] for name in names]]

    def column(self, name: str) -> Array:
        return self.matrix[:, self.names.index(name)]


def choose_layout(histories: Histories, until: int, *, rules: Rules, parts: tuple[str, ...] = PARTS) -> Layout:
    """All that is chosen from data, from rows known strictly before `until`. `parts`: the feature groups in use."""
    return _choose_layout(histories, until, rules=rules, parts=parts, priors=_priors)


def columns(layout: Layout) -> list[FeatureSpec]:
    """The matrix's columns in order. ContractViolation where names in the data make two columns one."""
    specs = [spec for group in groups_of(layout) for spec in group.columns(layout)]
    names = [spec.name for spec in specs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ContractViolation(
            f"two features would be called {twice}; rename the attribute or characteristic behind it"
        )
    return specs


def groups_of(layout: Layout) -> list[ModuleType]:
    """The feature groups in use."""
    return [group for part, group in zip(PARTS, GROUPS, strict=True) if part in layout.parts]


def build_features(judgements: Judgements, histories: Histories, layout: Layout) -> Features:
    """What was known about each judged lot strictly before its `as_of`."""
    matrix = np.empty((len(judgements), len(_names(layout))), order="F")  # LightGBM bins it column by column
    for start in range(0, len(judgements), CHUNK):
        part = judgements
        if len(judgements) > CHUNK:
            part = judgements.take(np.arange(start, min(start + CHUNK, len(judgements))))
        matrix[start : start + CHUNK] = features_of(ask(part, histories, layout.rules), histories, layout).matrix
    return Features(_names(layout), matrix)


def features_of(asked: Asked, histories: Histories, layout: Layout) -> Features:
    """The same of questions that are asked already, all at once."""
    histories = with_what_is_missing(histories, layout)
    names = _names(layout)
    built = [group.build(asked, histories, layout) for group in groups_of(layout)]
    values = {name: column for group in built for name, column in group.items()}
    columns = np.concatenate([np.empty(0), *(values[name] for name in names)])
    return Features(names, columns.reshape(len(names), len(asked)).T)


def _names(layout: Layout) -> list[str]:
    """Names of the columns, kept with the layout as a cached property would be: a lot is looked up in less time."""
    kept = vars(layout)
    if "_names" not in kept:
        kept["_names"] = [spec.name for spec in columns(layout)]
    return list(kept["_names"])


def _priors(histories: Histories, layout: Layout) -> dict[str, Prior]:
    return {**field.priors(histories, layout), **supplier.priors(histories, layout)}
