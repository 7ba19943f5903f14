"""Why a lot has its risk: the features that moved the model most, in the words of the dictionary."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from features.bundle import Bundle
from features.card import FeatureSpec
from features.dictionary import family_of, in_language, named
from features.dictionary_words import SENTENCE, UNITS, UNKNOWN, UNSEEN, USUALLY
from features.histories import Array

DIGITS = {"percent": 3, "count": 3, "signed": 3, "ratio": 3, "plain": 5}
TOO_RARE = 0.5  # of the reference's rows; where fewer have a value, none is usual


def reasons(bundle: Bundle, matrix: Array, *, language: str, most: int) -> list[list[dict[str, object]]]:
    """For each row the `most` features of largest |SHAP contribution|, that first, ties by name.

    A reason is {"feature", "text", "value": number | category | None, "contribution": in the margin}; a feature that
    contributes exactly 0 is none. `matrix`: float64, shape (rows, features), columns in the card's order.
    """
    if most <= 0 or not len(matrix):
        return [[] for _ in range(len(matrix))]
    words = _words(bundle, language)
    contribution = bundle.contributions(matrix)[:, :-1]
    size = np.abs(contribution[:, words.by_name])
    place = words.by_name[np.argsort(-size, axis=1, kind="stable")[:, :most]]
    chosen = zip(
        place.tolist(),
        np.take_along_axis(contribution, place, axis=1).tolist(),
        np.take_along_axis(matrix, place, axis=1).tolist(),
        strict=True,
    )
    return [
        [words.reason(at, value, moved) for at, moved, value in zip(*row, strict=True) if moved != 0] for row in chosen
    ]


def explain(spec: FeatureSpec, value: float, *, language: str, usual: float = math.nan) -> str:
    """A feature's value as a sentence for people; `usual`: what it is as a rule, NaN: not said."""
    return _sentence(spec, named(spec, language=language), value, _usual(spec, usual, language), language)


class _Usual(NamedTuple):
    """The usual value in words, as it stands after a value in the same unit and after none; "": not said."""

    after_value: str
    after_null: str


@dataclass(frozen=True)
class _Words:
    """What does not change from row to row. `by_name`: places of the features in the order of their names."""

    specs: list[FeatureSpec]
    names: list[str]
    usual: list[_Usual]
    by_name: Array
    language: str

    def reason(self, at: int, value: float, contribution: float) -> dict[str, object]:
        spec = self.specs[at]
        shown = _level(spec, value) if spec.type == "category" else value if math.isfinite(value) else None
        text = _sentence(spec, self.names[at], value, self.usual[at], self.language)
        return {"feature": spec.name, "text": text, "value": shown, "contribution": contribution}


@lru_cache(maxsize=4)  # the bundle in use and the one before it, in two languages
def _words(bundle: Bundle, language: str) -> _Words:
    specs = bundle.card.features
    return _Words(
        specs,
        [named(spec, language=language) for spec in specs],
        [_usual(spec, _median(bundle.reference, spec), language) for spec in specs],
        np.array(sorted(range(len(specs)), key=lambda place: specs[place].name), dtype=np.int64),
        language,
    )


def _median(reference: "pa.Table", spec: FeatureSpec) -> float:
    """The usual value of a number; NaN where the reference cannot tell."""
    if spec.type != "number" or spec.name not in reference.column_names or not reference.num_rows:
        return math.nan
    column = reference[spec.name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        return math.nan
    values = column.to_numpy().astype(np.float64)
    there = values[np.isfinite(values)]
    return float(np.median(there)) if len(there) >= TOO_RARE * len(values) else math.nan


def _usual(spec: FeatureSpec, value: float, language: str) -> _Usual:
    if spec.type == "category" or math.isnan(value):
        return _Usual("", "")
    percent = " %" if spec.unit in UNITS and UNITS[spec.unit].number == "percent" else ""
    return _Usual(_number(spec.unit, value) + percent, _amount(spec.unit, value, language))


def _sentence(spec: FeatureSpec, name: str, value: float, usual: _Usual, language: str) -> str:
    if spec.type == "category":
        level = _level(spec, value)
        said, usually = _missing(spec, language) if level is None else level, ""
    elif math.isfinite(value):
        said, usually = _amount(spec.unit, value, language), usual.after_value
    else:
        said, usually = _missing(spec, language), usual.after_null
    if usually:
        said = in_language(USUALLY, language).format(said, usually)
    return in_language(SENTENCE, language).format(name, said)


def _level(spec: FeatureSpec, value: float) -> str | None:
    """The category's text; None where it is null or was not seen in training."""
    return spec.levels[int(value)] if 0 <= value < len(spec.levels) else None


def _missing(spec: FeatureSpec, language: str) -> str:
    family = family_of(spec)
    said = in_language(UNKNOWN if family is None or family.null is None else family.null, language)
    return in_language(UNSEEN, language).format(said) if spec.type == "category" else said


def _amount(unit: str, value: float, language: str) -> str:
    """A number with its unit as people write it."""
    number = _number(unit, value)
    if unit not in UNITS:
        return f"{number} {unit}"
    entry = UNITS[unit]
    if language == "en" and entry.one and number == "1":
        return entry.one.format(number)
    return in_language(entry.value, language).format(number)


def _number(unit: str, value: float) -> str:
    """The number alone: shares times 100, of logarithms the ratio."""
    kind = UNITS[unit].number if unit in UNITS else "plain"
    match kind:
        case "percent":
            return _digits(100 * value, DIGITS[kind])
        case "ratio":
            return _digits(math.exp(min(value, 700.0)), DIGITS[kind])
        case "signed":
            return ("+" if value > 0 else "") + _digits(value, DIGITS[kind])
        case "count":
            return _digits(value, DIGITS[kind], separator=",")
    return _digits(value, DIGITS[kind])


def _digits(value: float, digits: int, *, separator: str = "") -> str:
    """The number to so many digits, its whole part never cut; below 0.0001 as 1.2e-05."""
    rounded = float(f"{value:.{digits}g}") + 0.0
    if 10 ** (digits - 1) <= abs(rounded) < 1e15:
        return f"{value:{separator}.0f}"
    return f"{rounded:.{digits}g}"
