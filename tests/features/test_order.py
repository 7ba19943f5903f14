"""Putting rows in order gives what NumPy's own, slower ways give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.order import Array, each_once, in_order

LEAST, MOST = -(2**63), 2**63 - 1
SPREADS = [1, 200, 2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**48 - 1, 2**48, MOST]
"""The widest that so many digits tell apart, and the narrowest that they do not."""


def keys(size: int, spread: int, *, least: int = 0, seed: int = 0) -> Array:
    """With both ends among them, and each number more than once."""
    drawn = np.random.default_rng(seed).integers(least, least + spread, size, endpoint=True)
    drawn[: size // 3] = drawn[-(size // 3) :]
    drawn[[0, -1]] = least, least + spread
    return drawn


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("least", [0, -1, -(2**40)])
@pytest.mark.parametrize("size", [12, 5000])
def test_rows_are_in_the_order_of_their_key_and_equal_ones_as_they_stand(size: int, least: int, spread: int) -> None:
    if least < 0 and spread == MOST:
        spread += least
    key = keys(size, spread, least=least)
    np.testing.assert_array_equal(in_order(key), np.argsort(key, kind="stable"))


def test_keys_as_far_apart_as_they_can_be_are_in_order() -> None:
    key = keys(5000, 100)
    key[::7], key[::11] = LEAST, MOST
    np.testing.assert_array_equal(in_order(key), np.argsort(key, kind="stable"))


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
def test_times_in_whole_units_are_in_order(unit: int) -> None:
    key = 1_700_000_000_000_000 + unit * keys(5000, 2**40 // unit)
    np.testing.assert_array_equal(in_order(key), np.argsort(key, kind="stable"))


@pytest.mark.parametrize("key", [np.zeros(5000, dtype=np.int64), np.arange(5000), np.repeat(np.arange(100), 50)])
def test_rows_that_are_in_order_stay_as_they_are(key: Array) -> None:
    np.testing.assert_array_equal(in_order(key), np.arange(5000))


@given(st.lists(st.tuples(st.integers(-2, 3), st.integers(LEAST, MOST), st.integers(0, 2)), max_size=30))
def test_the_first_key_is_the_strongest(rows: list[tuple[int, int, int]]) -> None:
    strong, middle, weak = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    np.testing.assert_array_equal(in_order(strong, middle, weak), np.lexsort((weak, middle, strong)))


@pytest.mark.parametrize("spread", SPREADS)
def test_many_rows_by_several_keys_are_as_lexsort_has_them(spread: int) -> None:
    strong, weak = keys(5000, 3), keys(5000, spread, seed=1)
    np.testing.assert_array_equal(in_order(strong, weak), np.lexsort((weak, strong)))


@given(st.lists(st.integers(LEAST, MOST) | st.integers(-3, 3)))
def test_each_value_comes_once(values: list[int]) -> None:
    np.testing.assert_array_equal(each_once(np.array(values, dtype=np.int64)), sorted(set(values)))
