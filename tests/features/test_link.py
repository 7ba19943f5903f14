"""From a count to the chance that a lot fails: what a table of the distribution says, the same bits everywhere."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom

from features import exact
from features.link import DISPERSIONS, LOG_ODDS, SURE, Link, links_of_counts, units_that_fail

PPM = 8000.0


@given(st.floats(-30.0, 30.0))
def test_exp_and_log_are_those_of_the_library_to_the_last_bits(x: float) -> None:
    assert exact.exp(x) == pytest.approx(math.exp(x), rel=1e-15)
    assert exact.log(math.exp(x)) == pytest.approx(math.log(math.exp(x)), rel=1e-15, abs=1e-17)


@given(st.sampled_from(DISPERSIONS), st.floats(-12.0, 0.0), st.integers(1, 5_000))
def test_a_lot_fails_when_as_many_come_back_as_the_rule_asks_for(dispersion: float, rate: float, units: int) -> None:
    mean, needed = math.exp(rate) * units, math.ceil(PPM * units / 1e6)
    size = 1.0 / dispersion
    expected = float(nbinom.sf(needed - 1, size, 1.0 / (1.0 + dispersion * mean)))
    (odds,) = Link("count", PPM, dispersion).apply(np.array([rate]), np.array([units]))
    assert 1.0 / (1.0 + math.exp(-odds)) == pytest.approx(min(max(expected, SURE), 1.0 - SURE), abs=1e-12)


def test_one_lot_alone_has_the_bits_it_has_in_a_batch() -> None:
    rate, units = np.linspace(-9.0, -2.0, 50), np.arange(1, 5_001, 100)
    for link in links_of_counts(PPM):
        alone = [link.apply(rate[place : place + 1], units[place : place + 1])[0] for place in range(50)]
        assert link.apply(rate, units).tolist() == alone


def test_the_least_number_that_fails_a_lot_is_that_of_the_label() -> None:
    units = np.arange(1, 3_000)
    needed = units_that_fail(units.astype(np.float64), PPM)
    assert (needed * 1e6 >= PPM * units).all()
    assert ((needed - 1) * 1e6 < PPM * units).all()


def test_log_odds_stay_as_they_are() -> None:
    raw = np.array([-1.5, 0.25])
    assert LOG_ODDS.apply(raw, None) is raw


def test_counts_without_units_are_refused() -> None:
    with pytest.raises(ValueError, match="needs the units at risk"):
        Link("count", PPM, 1.0).apply(np.zeros(1), None)


def test_a_link_reads_back_and_a_garbled_one_is_refused() -> None:
    link = Link("count", PPM, 0.5)
    assert Link.from_dict(link.as_dict()) == link
    assert Link.from_dict({}) == LOG_ODDS
    garbled = (
        {"kind": "count"},
        {"kind": "probit"},
        {"kind": "count", "returned_ppm": 1.0, "dispersion": 0.3},
        {"a": 1},
    )
    for stored in garbled:
        with pytest.raises(ValueError, match="link"):
            Link.from_dict(stored)
