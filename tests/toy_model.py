"""A small model with a category and missing values, and all that goes into its bundle."""

from dataclasses import dataclass, field
from functools import cache

import lightgbm
import numpy as np
import pyarrow as pa
import pytest

from features.card import FeatureSpec, ModelCard
from features.familiar import Familiar
from features.histories import Array

LEVELS = ["Ljubljana", "Maribor", "上海"]
FEATURES = [
    FeatureSpec("oven_temp_max", unit="degC"),
    FeatureSpec("supplier_reject_share_90d"),
    FeatureSpec("plant", "category", levels=LEVELS),
]
FAMILIAR = Familiar(
    limit=100_000,
    weights=(50_000, 49_999, 1_000_000),
    low=(-3.0, -3.0, None),
    high=(3.0, 3.0, None),
    seen=(None, None, (0, 1, 2)),
    missing=(True, True, True),
    lowest=(-60.0, None, None),
    highest=(60.0, None, None),
)
CARD = ModelCard(
    site="tablets",
    trained_until=1_744_848_000_000_000,
    cut=1_744_761_600_000_000,
    features=FEATURES,
    layout={"plant": LEVELS, "grid": {"hardness": 2**-10}},
    label={"source": "returns", "returned_ppm": 8000.0},
    decision={"cost_of_escape": 9000.0},
    calibration={"kind": "platt", "slope": 0.9, "intercept": -0.1 / 3},
    rounds=30,
    parameters={"num_leaves": 7, "learning_rate": 0.1},
    figures={"log_loss": 0.1 + 0.2, "log_loss_low": 0.25, "log_loss_high": 0.35},
    champion={"promote": True, "reasons": ["log loss below the base rate and the trailing rate"]},
    data={"lots": {"rows": 3000, "sha256": "ab"}},
    code="cd",
    familiar=FAMILIAR.as_dict(),
)

MLFLOW_WARNS = [  # of itself, while it is imported
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*type hint is inferred as AnyType:UserWarning"),
]


def rows(count: int, *, seed: int = 0) -> Array:
    """A matrix of shape (count, 3): a tenth of the values missing, categories as codes."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(count, 3))
    matrix[:, 2] = random.integers(0, len(LEVELS), count)
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    return matrix


@cache
def model_text(rounds: int = 30) -> str:
    matrix = rows(3000)
    odds = np.nan_to_num(matrix[:, 0]) + 2 * (matrix[:, 2] == 2) + np.random.default_rng(1).normal(size=3000)
    names = CARD.names
    data = lightgbm.Dataset(matrix, odds > 1, feature_name=names, categorical_feature=[2])
    settings = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1, "seed": 0}
    return lightgbm.train(settings, data, rounds).model_to_string()


@dataclass(frozen=True)
class Parts:
    """What `write_bundle` takes."""

    model_text: str = field(default_factory=model_text)
    card: ModelCard = CARD
    reference: pa.Table = field(default_factory=lambda: pa.table({"plant": rows(50)[:, 2]}))
    golden: Array = field(default_factory=lambda: rows(20, seed=2))
