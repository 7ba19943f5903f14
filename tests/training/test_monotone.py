"""Where engineering gives a direction, no value moves a risk against it: proved on the model file over a grid."""

from datetime import date
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from features.asof import DAY
from features.card import FeatureSpec
from features.histories import Array
from features.reading import read_histories
from features.site import read_site
from tests.tiny_site import day, histories
from tests.training.learnable import learnable
from training.factory import make_factory
from training.fit import Trees, boost, direction_of, trees_of
from training.known import Known, known_by
from training.recipe import Recipe
from training.sample import Sample, sample_of

ROWS = 60
GRID = 25


def demo(folder: Path) -> Known:
    site = read_site(make_factory(folder / "valves", seed=0, today=date(2026, 9, 1), lots=1_200), {})
    until = 20_688 * DAY
    return known_by(read_histories(site, now=until).histories, site.rules, until=until)


def small() -> Known:
    rows, rule = learnable(400, again_every=40)
    return known_by(histories(rows, rule), rule, until=day(450))


@pytest.fixture(scope="module", params=["demo", "small"])
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    known = demo(tmp_path_factory.mktemp("demo")) if request.param == "demo" else small()
    return sample_of(known, Recipe())


def against(text: str, features: list[FeatureSpec], matrix: Array) -> list[str]:
    """The features by which some row's margin moves against the dictionary, each moved over all its values' range.

    The other columns are as they are in rows of the sample; beyond the ends of what was seen lie two values more.
    """
    booster = lightgbm.Booster(model_str=text)
    rows = matrix[np.linspace(0, len(matrix) - 1, ROWS).astype(np.int64)]
    moved = []
    for place, feature in enumerate(features):
        seen = matrix[~np.isnan(matrix[:, place]), place]
        if not direction_of(feature) or not len(seen):
            continue
        inner = np.quantile(seen, np.linspace(0.0, 1.0, GRID))
        grid = np.concatenate([[inner[0] - 1.0 - abs(inner[0])], inner, [inner[-1] + 1.0 + abs(inner[-1])]])
        tried = np.repeat(rows, len(grid), axis=0)
        tried[:, place] = np.tile(grid, len(rows))
        margin = np.asarray(booster.predict(tried, raw_score=True, num_threads=1)).reshape(len(rows), -1)
        if (direction_of(feature) * np.diff(margin, axis=1) < -1e-12).any():
            moved.append(feature.name)
    return moved


def test_no_value_moves_a_risk_against_the_dictionarys_direction(sample: Sample) -> None:
    directed = [feature.name for feature in sample.features if direction_of(feature)]
    text = trees_of(sample, rounds=150, recipe=Recipe()).booster.model_to_string()
    used = set(directed) & set(_used(text))
    assert len(used) >= 3, "constraints of features that no tree uses prove nothing"
    assert against(text, sample.features, sample.matrix) == []


def test_trees_without_constraints_are_caught(sample: Sample) -> None:
    free = {"monotone_constraints": [0] * len(sample.features)}
    text = boost(sample, rounds=150, recipe=Recipe(parameters=free)).model_to_string()
    assert against(text, sample.features, sample.matrix) != []


def test_several_boosters_in_one_keep_the_directions(sample: Sample) -> None:
    trees: Trees = trees_of(sample, rounds=40, recipe=Recipe(boosters=3))
    assert against(trees.booster.model_to_string(), sample.features, sample.matrix) == []


def _used(text: str) -> list[str]:
    booster = lightgbm.Booster(model_str=text)
    gains = booster.feature_importance("gain").tolist()
    return [name for name, gain in zip(booster.feature_name(), gains, strict=True) if gain > 0]
