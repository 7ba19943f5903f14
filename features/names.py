"""Names of features: from a family such as `{group}_defect_share` and what stands in it."""

import re

from features.card import FeatureSpec

_NOT_IN_NAMES = re.compile(r'[\s"\[\]{}:,]+')  # LightGBM refuses JSON's own characters and rewrites blanks


def slug(text: str) -> str:
    """`text` as it may stand in a feature's name."""
    return _NOT_IN_NAMES.sub("_", text.strip())


def distinct(texts: list[str]) -> list[str]:
    """Slugs of the texts, in order, told apart by a number where two would be the same."""
    taken: set[str] = set()
    names = []
    for text in texts:
        name, turn = slug(text), 2
        while name in taken:
            name, turn = f"{slug(text)}_{turn}", turn + 1
        taken.add(name)
        names.append(name)
    return names


def column(family: str, *, unit: str = "", levels: tuple[str, ...] | None = None, **about: str) -> FeatureSpec:
    """One column of a family; `about` fills its placeholders."""
    name = family.format(**about)
    if levels is None:
        return FeatureSpec(name, unit=unit, family=family, about=about)
    return FeatureSpec(name, type="category", unit=unit, levels=list(levels), family=family, about=about)
