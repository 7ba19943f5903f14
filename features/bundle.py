"""A model bundle: a folder of data, checked when it is read, and the scores it gives.

    model.txt          LightGBM's own text
    card.json          features.card.ModelCard, with the hashes of the other three
    reference.parquet  rows to compare drift with
    golden.json        rows with their margin and risk, scored again at each read

LightGBM takes seconds to import (scikit-learn and pandas come along), so it is imported with the first model.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.calibration import Calibration
from features.card import ModelCard
from features.doubt import Doubt
from features.errors import BundleRefused
from features.familiar import Familiar
from features.histories import Array
from features.layout import Attribute, Layout
from features.link import Link

if TYPE_CHECKING:
    from lightgbm import Booster

GOLDEN_UNITS = 1_000  # at risk of each golden row, where the link asks for them
SMALL = 64  # rows; up to here waking LightGBM's other threads costs more than they save
_FILES = ("model.txt", "reference.parquet", "golden.json")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model that can score. Matrices are float64 of shape (rows, features) with columns in the card's order."""

    folder: Path
    card: ModelCard
    reference: pa.Table
    booster: "Booster"
    calibration: Calibration
    threads: int = 0
    """Of LightGBM for more than a few rows; 0: one a core."""
    card_sha256: str = ""
    """Of card.json as it was read, which tells this bundle from any other, also of the same number."""

    @cached_property
    def layout(self) -> Layout:
        """What training chose and scoring follows."""
        return Layout.from_dict(self.card.layout)

    @cached_property
    def familiar(self) -> Familiar:
        """What the training sample spans."""
        return Familiar.from_dict(self.card.familiar)

    @cached_property
    def doubt(self) -> Doubt:
        """How far a lot's own probability may lie from its risk."""
        return Doubt.from_dict(self.card.doubt)

    @cached_property
    def link(self) -> Link:
        """From the trees' score to log odds."""
        return Link.from_dict(self.card.link)

    @cached_property
    def own_categories(self) -> list[tuple[int, Attribute]]:
        """Categories that a lot's own row says, with their place among the card's features."""
        place = {name: number for number, name in enumerate(self.card.names)}
        own = [a for a in self.layout.attributes if a.table == "lots" and a.kind == "category"]
        return [(place[name], a) for a in own if (name := f"lot_{a.label}") in place]

    def columns(self, names: Sequence[str], matrix: Array) -> Array:
        """The card's columns, in its order, out of a matrix whose columns have `names`. BundleRefused if one lacks."""
        if list(names) == self.card.names:
            return matrix
        at = {name: place for place, name in enumerate(names)}
        missing = [name for name in self.card.names if name not in at]
        if missing:
            raise BundleRefused(
                f"{len(missing)} of the {len(self.card.names)} features of version {self.card.version or '-'} are not "
                f"among the {len(names)} columns built (first: {missing[0]}). Train again with this code."
            )
        return matrix[:, [at[name] for name in self.card.names]]

    def margin(self, matrix: Array) -> Array:
        """The trees' raw score, float64 of shape (rows,): log odds, or what the card's link makes them of.

        A row's bits do not depend on the others.
        """
        return self._predict(matrix, raw_score=True)

    def risk(self, matrix: Array, units: Array | None = None) -> Array:
        """Calibrated probability of failing, float64 of shape (rows,).

        `units` at risk of each row: a model of counts needs them, and ValueError says so.
        """
        return self.calibration.apply(self.link.apply(self.margin(matrix), units))

    def contributions(self, matrix: Array) -> Array:
        """SHAP values in the margin, float64 of shape (rows, features + 1); the last is the model's mean.

        A row adds up to its margin. About 10 ms a row at 500 trees of 63 leaves: for who asks, not for every score.
        """
        if not len(matrix):
            return np.zeros((0, len(self.card.features) + 1))  # LightGBM divides by the number of rows
        return self._predict(matrix, pred_contrib=True)

    def _predict(self, matrix: Array, **what: bool) -> Array:
        if matrix.ndim != 2 or matrix.shape[1] != len(self.card.features):
            raise ValueError(
                f"a matrix of shape {matrix.shape}: (rows, {len(self.card.features)}) is what the card says."
            )
        threads = 1 if len(matrix) <= SMALL else self.threads
        return np.asarray(self.booster.predict(matrix, num_threads=threads, **what), dtype=np.float64)


def write_bundle(folder: Path, *, model_text: str, card: ModelCard, reference: pa.Table, golden: Array) -> ModelCard:
    """Write a bundle whole or not at all; returns the card with the hashes of its files.

    `golden`: at least one row of the matrix, float64 of shape (rows, features); their scores are taken here.
    FileExistsError when `folder` is there: a version never changes. ValueError without golden rows.
    """
    if not len(golden):
        raise ValueError("a bundle without golden rows could not be checked. Give at least one row of the matrix.")
    if folder.exists():
        raise FileExistsError(f"{folder}: a bundle is written once; this one exists.")
    booster = _booster(model_text)
    calibration = Calibration.from_dict(card.calibration)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        (made / "model.txt").write_text(model_text, encoding="utf-8", newline="")
        pq.write_table(reference, made / "reference.parquet")
        bundle = Bundle(made, card, reference, booster, calibration)
        (made / "golden.json").write_text(_golden(bundle, golden), encoding="utf-8")
        card = replace(card, hashes={name: _sha256(made / name) for name in _FILES})
        (made / "card.json").write_text(card.to_json(), encoding="utf-8")
        made.chmod(0o755)
        made.replace(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return card


def read_bundle(folder: Path) -> Bundle:
    """A bundle that is what its card says. BundleRefused names the file, feature or golden row that is not."""
    told = _text(folder / "card.json")
    card = ModelCard.from_json(told)
    for name in _FILES:
        if not (folder / name).is_file():
            raise BundleRefused(f"{folder / name} is missing. Promote another version, or train again.")
        if _sha256(folder / name) != card.hashes.get(name):
            raise BundleRefused(
                f"{folder / name} is not the file that card.json names by its sha256. Promote another version."
            )
    booster = _booster(_text(folder / "model.txt"))
    if booster.feature_name() != card.names:
        raise BundleRefused(f"{folder / 'model.txt'}: {_first_difference(booster.feature_name(), card.names)}")
    reference = pq.read_table(folder / "reference.parquet")
    try:
        calibration, card_sha256 = Calibration.from_dict(card.calibration), hashlib.sha256(told.encode()).hexdigest()
        bundle = Bundle(folder, card, reference, booster, calibration, card_sha256=card_sha256)
        measured = len(bundle.familiar.weights)
        _ = bundle.doubt, bundle.link
    except ValueError as error:
        raise BundleRefused(f"{folder / 'card.json'}: {error}") from error
    if measured != len(card.features):
        raise BundleRefused(f"{folder / 'card.json'}: familiar tells of {measured} features, not {len(card.features)}.")
    _check_golden(bundle, json.loads(_text(folder / "golden.json")))
    return bundle


def _golden(bundle: Bundle, matrix: Array) -> str:
    """JSON of rows by feature name with their scores; floats are exact, NaN is null."""
    names, margins, risks = bundle.card.names, bundle.margin(matrix).tolist(), _golden_risk(bundle, matrix).tolist()
    rows = [
        {"values": {n: None if v != v else v for n, v in zip(names, row, strict=True)}, "margin": margin, "risk": risk}
        for row, margin, risk in zip(matrix.tolist(), margins, risks, strict=True)
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _check_golden(bundle: Bundle, rows: list[dict[str, Any]]) -> None:
    """The scores must be equal bit for bit: margins are sums, `Link` and `Calibration` keep to exact operations."""
    values = [[row["values"][name] for name in bundle.card.names] for row in rows]
    matrix = np.array(values, dtype=np.float64)
    for what, found in (("margin", bundle.margin(matrix)), ("risk", _golden_risk(bundle, matrix))):
        for place, (row, score) in enumerate(zip(rows, found.tolist(), strict=True)):
            if score != row[what]:
                raise BundleRefused(
                    f"{bundle.folder / 'golden.json'}: row {place} of {len(rows)} has {what} {row[what]!r}, "
                    f"this machine gives {score!r}. Check the version of LightGBM, or train again here."
                )


def _golden_risk(bundle: Bundle, matrix: Array) -> Array:
    return bundle.risk(matrix, np.full(len(matrix), GOLDEN_UNITS))


def _booster(model_text: str) -> "Booster":
    from lightgbm import Booster
    from lightgbm.basic import LightGBMError

    try:
        return Booster(model_str=model_text)
    except LightGBMError as error:
        raise BundleRefused(f"model.txt is no LightGBM model ({error}). Promote another version.") from error


def _first_difference(found: list[str], stated: list[str]) -> str:
    for place, (mine, theirs) in enumerate(zip(found, stated, strict=False)):
        if mine != theirs:
            return f"column {place} is {mine!r}, card.json says {theirs!r}. Promote another version."
    return f"{len(found)} columns, card.json says {len(stated)}. Promote another version."


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleRefused(f"{path} cannot be read ({error}). Promote another version, or train again.") from error


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BundleRefused(f"{path} cannot be read ({error}). Promote another version, or train again.") from error
