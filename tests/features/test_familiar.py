"""How far a lot lies outside: counted exactly, a row alone as in a batch, and kept in the card."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.card import ModelCard
from features.familiar import FULL, MOST_STEPS, Familiar
from tests.toy_model import CARD, FAMILIAR

NAN, INF = float("nan"), float("inf")
TEMPERATURE, SHARE, PLANT, UNUSED = range(4)
SPANS = Familiar(
    limit=200,
    weights=(100, 70, FULL, 0),
    low=(150.0, 0.0, None, None),
    high=(160.0, 0.0, None, None),
    seen=(None, None, (0, 2), None),
    missing=(False, True, False, False),
    lowest=(55.0, None, None, None),
    highest=(255.0, None, None, None),
)
USUAL = (155.0, 0.0, 2.0, 7.0)

values = st.floats(allow_nan=True, allow_infinity=True)
rows = st.tuples(values, values, st.sampled_from([0.0, 1.0, 2.0, 3.0, NAN]), values)


def lot(**other: float) -> np.ndarray:
    """One row, usual but for what is said."""
    places = {"temperature": TEMPERATURE, "share": SHARE, "plant": PLANT, "unused": UNUSED}
    row = np.array(USUAL)
    for name, value in other.items():
        row[places[name]] = value
    return row


def distance(**other: float) -> int:
    return int(SPANS.distance(lot(**other)[None, :])[0])


def test_a_lot_within_the_sample_has_no_distance() -> None:
    assert distance() == 0
    assert [distance(temperature=150.0), distance(temperature=160.0)] == [0, 0]
    assert SPANS.outside(lot()) == []


def test_a_number_counts_a_step_outside_and_one_for_each_half_of_the_range_further_out() -> None:
    steps = {160.1: 1, 164.9: 1, 165.0: 2, 149.9: 1, 145.0: 2, 140.0: 3, 100.0: 10, 1e9: 10, INF: 10, -INF: 10}
    assert {value: distance(temperature=value) // 100 for value in steps} == steps
    assert max(steps.values()) == MOST_STEPS


def test_of_a_feature_that_was_always_zero_a_half_counts() -> None:
    assert [distance(share=0.4), distance(share=0.5), distance(share=-1.0)] == [70, 140, 210]


def test_a_category_that_the_sample_does_not_have_is_beyond_every_limit() -> None:
    assert [distance(plant=0.0), distance(plant=1.0), distance(plant=3.0), distance(plant=NAN)] == [0, FULL, FULL, FULL]


def test_a_null_counts_where_the_sample_has_none() -> None:
    assert [distance(temperature=NAN), distance(share=NAN)] == [100, 0]
    usual = replace(SPANS, missing=(True, True, True, True))
    assert usual.distance(lot(temperature=NAN, plant=NAN)[None, :]).tolist() == [0]
    assert usual.distance(lot(plant=3.0)[None, :]).tolist() == [FULL]


def test_a_feature_without_weight_does_not_count() -> None:
    assert distance(unused=1e300) == 0


def test_what_lies_outside_is_named_heaviest_first() -> None:
    assert SPANS.outside(lot(share=0.9, temperature=161.0, plant=1.0)) == [PLANT, SHARE, TEMPERATURE]
    even = replace(SPANS, weights=(100, 100, 100, 0))
    assert even.outside(lot(share=0.1, temperature=161.0, plant=1.0)) == [TEMPERATURE, SHARE, PLANT]


def test_a_value_that_can_only_be_a_mistake_is_told() -> None:
    matrix = np.stack([lot(), lot(temperature=256.0), lot(temperature=54.0, share=9e9), lot(temperature=NAN), lot()])
    found = SPANS.impossible(matrix)
    assert found.shape == matrix.shape
    assert np.argwhere(found).tolist() == [[1, TEMPERATURE], [2, TEMPERATURE]]


@given(batch=st.lists(rows, min_size=1, max_size=30))
def test_a_row_alone_gives_what_it_gives_in_a_batch(batch: list[tuple[float, ...]]) -> None:
    matrix = np.array(batch)
    together = SPANS.distance(matrix)
    assert together.dtype == np.int64
    assert together.tolist() == [int(SPANS.distance(row[None, :])[0]) for row in matrix]
    assert together.tolist() == SPANS.distance(np.asfortranarray(matrix)).tolist()
    mistakes = SPANS.impossible(matrix)
    assert all(
        np.array_equal(SPANS.impossible(row[None, :])[0], told) for row, told in zip(matrix, mistakes, strict=True)
    )


@given(row=rows)
def test_the_places_named_are_those_that_weigh(row: tuple[float, ...]) -> None:
    matrix = np.array([row])
    whole = int(SPANS.distance(matrix)[0])
    for place in SPANS.outside(matrix[0]):
        inside = matrix.copy()
        inside[0, place] = USUAL[place]
        assert SPANS.distance(inside)[0] < whole
    assert bool(SPANS.outside(matrix[0])) == (whole > 0)


def test_no_rows_have_no_distance() -> None:
    none = np.empty((0, 4))
    assert SPANS.distance(none).shape == (0,)
    assert SPANS.impossible(none).shape == (0, 4)


def test_where_nothing_counts_every_lot_is_familiar() -> None:
    nothing = replace(SPANS, weights=(0, 0, 0, 0), lowest=(None,) * 4, highest=(None,) * 4)
    wild = np.full((2, 4), 1e300)
    assert nothing.distance(wild).tolist() == [0, 0]
    assert not nothing.impossible(wild).any()


def test_it_comes_back_from_the_card() -> None:
    text = replace(CARD, familiar=SPANS.as_dict()).to_json()
    assert Familiar.from_dict(ModelCard.from_json(text).familiar) == SPANS
    assert Familiar.from_dict(json.loads(json.dumps(SPANS.as_dict()))) == SPANS
    assert Familiar.from_dict(CARD.familiar) == FAMILIAR


@pytest.mark.parametrize(
    ("garbled", "said"),
    [
        ({}, "lacks or garbles 'limit'"),
        ({**SPANS.as_dict(), "weights": [1]}, "different lengths"),
        ({**SPANS.as_dict(), "low": None}, "lacks or garbles"),
        ({**SPANS.as_dict(), "limit": None}, "lacks or garbles"),
    ],
)
def test_what_is_garbled_is_refused(garbled: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Familiar.from_dict(garbled)


def test_a_matrix_of_other_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="3 columns: the card has 4 features"):
        SPANS.distance(np.zeros((1, 3)))
