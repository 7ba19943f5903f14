"""Trees changed in their own text: a mean of fits is a mean, after every round."""

import lightgbm
import numpy as np
import pytest

from training.merge import averaged, raised

RANDOM = np.random.default_rng(0)
MATRIX = np.column_stack([RANDOM.normal(size=(400, 3)), RANDOM.integers(0, 6, 400)])
MATRIX[::7, 1] = np.nan
TARGET = (MATRIX[:, 0] + MATRIX[:, 3] + RANDOM.normal(size=400) > 2.5).astype(float)


def fitted(seed: int, *, rounds: int = 12, leaf: int = 20) -> lightgbm.Booster:
    data = lightgbm.Dataset(MATRIX, TARGET, categorical_feature=[3])
    chosen = {"objective": "binary", "extra_trees": True, "min_data_per_group": 5, "min_data_in_leaf": leaf}
    return lightgbm.train({**chosen, "seed": seed, "verbosity": -1, "num_threads": 1}, data, num_boost_round=rounds)


def score(booster: lightgbm.Booster, trees: int = -1) -> np.ndarray:
    return np.asarray(booster.predict(MATRIX, raw_score=True, num_iteration=trees, num_threads=1))


@pytest.mark.parametrize("rounds", [1, 5, 12])
def test_the_mean_of_fits_holds_after_every_round(rounds: int) -> None:
    fits = [fitted(seed) for seed in range(3)]
    assert not np.allclose(score(fits[0]), score(fits[1]))
    mean = np.mean([score(fit, rounds) for fit in fits], axis=0)
    assert np.abs(score(averaged(fits), 3 * rounds) - mean).max() < 1e-12


def test_reasons_add_up_to_the_mean() -> None:
    fits = [fitted(seed) for seed in range(3)]
    contribution = np.asarray(averaged(fits).predict(MATRIX, pred_contrib=True))
    assert np.abs(contribution.sum(axis=1) - np.mean([score(fit) for fit in fits], axis=0)).max() < 1e-9


def test_a_fit_that_found_nothing_more_adds_nothing_in_later_rounds() -> None:
    short, long = fitted(0, rounds=3), fitted(1, rounds=8)
    merged = averaged([short, long])
    assert merged.num_trees() == 16
    assert np.abs(score(merged) - (score(short) + score(long)) / 2).max() < 1e-12


def test_a_level_is_there_from_the_first_round_on_and_in_the_text() -> None:
    fit = fitted(0)
    higher = lightgbm.Booster(model_str=raised(fit, -4.25).model_to_string())
    for rounds in (1, 12):
        assert np.abs(score(higher, rounds) - score(fit, rounds) + 4.25).max() < 1e-12


def test_a_level_is_there_where_no_split_was_found() -> None:
    still = fitted(0, rounds=2, leaf=399)
    assert np.abs(score(raised(still, 1.5)) - score(still) - 1.5).max() < 1e-12
