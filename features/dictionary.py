"""The dictionary of features: what each family of columns means, in English and Chinese.

`python -m features.dictionary` prints docs/features.md; a test holds the two to each other and to `features.build`.
"""

import sys
from collections.abc import Iterable

from features.card import FeatureSpec
from features.dictionary_field import ACTIONS, FIELD, OWN, SURVEYS
from features.dictionary_made import PRODUCTION, SUPPLIER
from features.dictionary_words import ENTITIES, UNITS, WORDS, Family, Text

LANGUAGES = ("en", "zh")
FAMILIES = {
    "production": PRODUCTION,
    "supplier": SUPPLIER,
    "field": FIELD,
    "own": OWN,
    "actions": ACTIONS,
    "surveys": SURVEYS,
}
"""The rows of each feature group, in the order of its columns."""

_BY_NAME = {family.name: family for families in FAMILIES.values() for family in families}
_DIRECTIONS = {1: "higher is riskier", -1: "lower is riskier", 0: ""}
_TITLES = {
    "production": "Production: the lot's attributes and measurements",
    "supplier": "Supplier: what went into the lot",
    "field": "Field: how plant, products, lines, customers and suppliers have done",
    "own": "Own: the lot since its first judgement, where lots are judged again",
    "actions": "Actions: corrective actions under way",
    "surveys": "Surveys: what customers have answered",
}
_HEAD = """\
# Dictionary of features

Written by `python -m features.dictionary`; a test holds it to the code, so change the code, not this file.

A row is a family of columns; which columns a model has, its card says. `{group}` is a material group, or the material
where it has none, rare ones together as `other`; `{characteristic}` and `{attribute}` are the site's own names;
`{entity}` is one of:
{entities}.

Everything is as known strictly before the judgement, and "last 365 days" counts from when a fact became known, not from
when it happened. A category that training had not seen is null too. The direction is engineering's, where it has one,
and models follow it: along such a column the risk never goes the other way. Shares are fractions: 0.124 is shown to
people as 12.4 %.
"""
_COLUMNS = ("name", "meaning (en)", "meaning (zh)", "unit", "source", "null", "direction")


def family_of(spec: FeatureSpec) -> Family | None:
    """A column's row; None for a column of an older or another lot-risk."""
    return _BY_NAME.get(spec.family)


def named(spec: FeatureSpec, *, language: str) -> str:
    """The column in words, the beginning of a sentence; its bare name where the dictionary has no row of it."""
    family = family_of(spec)
    if family is None:
        return spec.name
    about = {
        what: in_language(WORDS[what][value], language) if value in WORDS.get(what, {}) else value
        for what, value in spec.about.items()
    }
    return in_language(family.says, language).format(**about)


def in_language(text: Text, language: str) -> str:
    """ValueError for a language the dictionary does not have."""
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r}: the dictionary has {' and '.join(LANGUAGES)}.")
    return text.zh if language == "zh" else text.en


def document() -> str:
    """docs/features.md."""
    entities = ", ".join(f"{text.en} ({text.zh})" for text in ENTITIES.values())
    parts = [_HEAD.replace("{entities}", entities)]
    for group, families in FAMILIES.items():
        rows = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_row, families)]
        parts.append(f"## {_TITLES[group]}\n\n" + "\n".join(_line(cells) for cells in rows) + "\n")
    return "\n".join(parts)


def _row(family: Family) -> tuple[str, ...]:
    return (
        f"`{family.name}`",
        f"{family.says.en}. {family.counts.en}".strip(),
        f"{family.says.zh}。{family.counts.zh}",
        " / ".join(UNITS[family.unit].name),
        family.source,
        "never" if family.null is None else " / ".join(family.null),
        _DIRECTIONS[family.direction],
    )


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(document())
