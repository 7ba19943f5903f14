"""The card of a model bundle: what was trained, on what, until when, and what it is worth.

The same data gives the same card apart from `version`; nothing in it comes from the wall clock.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np

from features.errors import BundleRefused

CARD_FORMAT = 1
_TIMES = ("trained_until", "cut")


@dataclass(frozen=True)
class FeatureSpec:
    """One column of the matrix. A category is a place in `levels`, as float64; null and unseen are NaN.

    `family`, `about`: its row in the dictionary, and what stands for the row's {placeholders}.
    """

    name: str
    type: Literal["number", "category"] = "number"
    unit: str = ""
    levels: list[str] = field(default_factory=list)
    family: str = ""
    about: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelCard:
    """Everything serving has to know beside the trees.

    `version`: the registry's number, "" until registered. `trained_until`, `cut`: microseconds UTC.
    `features`: in the order of the model's columns. `layout`: owned by `features.layout`. `label`, `decision`,
    `calibration`, `parameters`: as the site, the costs, the calibrator and LightGBM take them. `figures`: metrics
    with `_low` and `_high` beside them. `champion`: {"promote": bool, "reasons": [str]}. `data`:
    {table: {"rows": int, "sha256": str}}. `code`: see `code_fingerprint`. `familiar`: what the sample spans, owned by
    `features.familiar`. `doubt`: how far lots' own probabilities lie from their risk, owned by `features.doubt`.
    `link`: from the trees' score to log odds, owned by `features.link`; {}: they are that. `stored`: which segments and
    arrivals the data stood on, and a hash that proves it, made by `features.proof`; {}: the sources alone.
    `hashes`: sha256 of the bundle's other files by name, filled by `features.bundle.write_bundle`.
    """

    site: str
    trained_until: int
    cut: int
    features: list[FeatureSpec]
    layout: dict[str, Any]
    label: dict[str, Any]
    decision: dict[str, Any]
    calibration: dict[str, Any]
    rounds: int
    parameters: dict[str, Any]
    figures: dict[str, Any]
    champion: dict[str, Any]
    data: dict[str, Any]
    code: str
    familiar: dict[str, Any]
    doubt: dict[str, Any] = field(default_factory=dict)
    link: dict[str, Any] = field(default_factory=dict)
    stored: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Feature names in the order of the model's columns."""
        return [feature.name for feature in self.features]

    def to_json(self) -> str:
        """The card as JSON: fields in the order above, floats exact, NaN as null, closed by a sha256 of the rest.

        ValueError for an infinite number, TypeError for what JSON has no word for; both say where.
        """
        content: dict[str, Any] = {"format": CARD_FORMAT}
        for name, value in asdict(self).items():
            content[name] = _plain(value, name)
            if name in _TIMES:
                content[f"{name}_iso"] = iso(value)
        content["sha256"] = _digest(content)
        return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """The card that `to_json` wrote. BundleRefused for another format, a changed byte, a missing field."""
        try:
            content = json.loads(text)
        except ValueError as error:
            raise BundleRefused(f"card.json is no JSON ({error}). Promote another version.") from error
        found = content.get("format") if isinstance(content, dict) else None
        if found != CARD_FORMAT:
            raise BundleRefused(
                f"card.json has format {found!r}, this lot-risk reads format {CARD_FORMAT}. "
                "Train again, or run the lot-risk that wrote it."
            )
        stated = content.pop("sha256", None)
        if stated != _digest(content):
            raise BundleRefused(
                "card.json was changed after it was written: its sha256 differs. Promote another version."
            )
        for name in ("format", *(f"{time}_iso" for time in _TIMES)):
            content.pop(name, None)
        named = {known.name for known in fields(cls)}
        later = {known.name for known in fields(cls) if known.default_factory is not MISSING}  # older cards lack them
        if odd := sorted(set(content) ^ named - (later - set(content))):
            raise BundleRefused(f"card.json has missing or unknown fields: {', '.join(odd)}. Train again.")
        try:
            content["features"] = [FeatureSpec(**feature) for feature in content["features"]]
        except TypeError as error:
            raise BundleRefused(f"card.json describes a feature in other words ({error}). Train again.") from error
        return cls(**content)


@lru_cache(maxsize=4096)  # answers say the same moments again and again: eight in each decision, 6 us a moment
def iso(time: int) -> str:
    """Microseconds UTC as ISO 8601 with Z."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)
    return moment.isoformat().replace("+00:00", "Z")


@cache
def code_fingerprint() -> str:
    """sha256 over the sources of `features` and lot-risk's version: what decides how a lot becomes a row."""
    try:
        version = metadata.version("lot-risk")
    except metadata.PackageNotFoundError:
        version = ""
    folder = Path(__file__).parent
    digest = hashlib.sha256(version.encode())
    for path in sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).as_posix()):
        source = path.read_bytes()
        digest.update(f"\n{path.relative_to(folder).as_posix()} {len(source)}\n".encode() + source)
    return digest.hexdigest()


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, allow_nan=False).encode()).hexdigest()


def _plain(value: Any, where: str) -> Any:
    """`value` in JSON's own types; dictionaries keep their order."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{place}]") for place, item in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError(f"the card's {where} is infinite: JSON has no word for it. Say null or a finite number.")
        return None if math.isnan(value) else value
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"the card's {where} is a {type(value).__name__}: only JSON's types are kept.")
