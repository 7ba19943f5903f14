"""How far a lot's own probability may lie from its risk: what the card's numbers are applied to."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.doubt import Doubt

KNOTS = ((0.0, 0.0, 0.1), (0.2, 0.05, 0.6), (0.5, 0.1, 0.95), (1.0, 0.9, 1.0))
DOUBT = Doubt(KNOTS, "counts of returns")


def ends(*risks: float) -> list[tuple[float, float]]:
    return list(zip(*(end.tolist() for end in DOUBT.around(np.array(risks))), strict=True))


def test_between_knots_the_ends_lie_on_straight_lines() -> None:
    assert np.allclose(ends(0.0, 0.1, 0.2, 0.35), [(0.0, 0.1), (0.025, 0.35), (0.05, 0.6), (0.075, 0.775)])
    assert ends(1.0) == [(0.9, 1.0)]


def test_a_risk_lies_between_its_ends_also_where_the_knots_leave_it_out() -> None:
    beside = Doubt(((0.0, 0.0, 0.0), (0.5, 0.6, 0.7), (1.0, 0.9, 1.0)))
    low, high = beside.around(np.array([0.3, 0.5, 0.95]))
    assert (low <= [0.3, 0.5, 0.95]).all() and (high >= [0.3, 0.5, 0.95]).all()


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_one_risk_alone_has_the_bits_it_has_among_others(risks: list[float]) -> None:
    found = ends(*risks)
    assert found == [ends(risk)[0] for risk in risks]
    assert all(0.0 <= low <= risk <= high <= 1.0 for risk, (low, high) in zip(risks, found, strict=True))


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_higher_risk_has_no_lower_ends(one: float, other: float) -> None:
    below, above = ends(min(one, other))[0], ends(max(one, other))[0]
    assert below[0] <= above[0] + 1e-15 and below[1] <= above[1] + 1e-15


def test_without_knots_nothing_is_known() -> None:
    assert all(np.isnan(end).all() for end in Doubt().around(np.array([0.1, 0.9])))
    assert Doubt.from_dict({}) == Doubt()


def test_it_reads_back_from_json_as_it_was() -> None:
    assert Doubt.from_dict(json.loads(json.dumps(DOUBT.as_dict()))) == DOUBT


@pytest.mark.parametrize(
    "knots",
    [
        ((0.0, 0.0, 0.1), (0.5, 0.2, 0.1), (1.0, 0.9, 1.0)),
        ((0.0, 0.0, 0.1), (0.5, 0.2, 0.6), (0.5, 0.3, 0.7), (1.0, 0.9, 1.0)),
        ((0.0, 0.0, 0.1), (0.5, 0.2, 0.6), (1.0, 0.1, 1.0)),
        ((0.0, 0.0, 0.1), (1.0, 0.9, 1.1)),
        ((0.1, 0.0, 0.2), (1.0, 0.9, 1.0)),
        ((0.0, 0.0, float("nan")), (1.0, 0.9, 1.0)),
    ],
)
def test_numbers_that_can_be_no_ends_are_refused(knots: tuple[tuple[float, float, float], ...]) -> None:
    with pytest.raises(ValueError, match="Train again or restore the card"):
        Doubt(knots)


def test_what_is_no_list_of_knots_is_refused() -> None:
    with pytest.raises(ValueError, match="garbled"):
        Doubt.from_dict({"knots": [1.0, 2.0]})
