import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.calibration import Calibration

IDENTITY = Calibration("identity")
PLATT = Calibration("platt", slope=0.7, intercept=-1.3)
ISOTONIC = Calibration("isotonic", knots=((-4.0, 0.002), (-1.5, 0.03), (0.25, 0.03), (2.0, 0.6)))
ALL = pytest.mark.parametrize("calibration", [IDENTITY, PLATT, ISOTONIC], ids=lambda c: c.kind)

margins = st.floats(-60, 60, allow_nan=False)


@ALL
@given(batch=st.lists(margins, min_size=1, max_size=40))
def test_one_margin_alone_gives_the_bits_it_gives_in_a_batch(calibration, batch):
    together = calibration.apply(np.array(batch))
    alone = [calibration.apply(np.array([margin]))[0] for margin in batch]
    strided = calibration.apply(np.repeat(np.array(batch), 3)[::3])
    assert together.tolist() == alone == strided.tolist()


@ALL
@given(batch=st.lists(margins, min_size=2, max_size=40))
def test_risk_lies_strictly_between_0_and_1_and_never_falls_with_the_margin(calibration, batch):
    risk = calibration.apply(np.sort(np.array(batch)))
    assert ((risk > 0) & (risk < 1)).all()
    assert (np.diff(risk) >= -1e-15).all()


@given(log_odds=st.floats(-30, 30))
def test_identity_is_the_sigmoid_to_the_last_bits(log_odds):
    exact = 1.0 / (1.0 + math.exp(-log_odds)) if log_odds >= 0 else math.exp(log_odds) / (1.0 + math.exp(log_odds))
    assert IDENTITY.apply(np.array([log_odds]))[0] == pytest.approx(exact, rel=1e-15)


def test_known_risks_are_equal_on_every_machine():
    found = IDENTITY.apply(np.array([-7.3, -1.0, 0.0, 0.1, 5.5]))
    assert [risk.hex() for risk in found.tolist()] == [
        "0x1.61f0120055275p-11",
        "0x1.136561454ba86p-2",
        "0x1.0000000000000p-1",
        "0x1.0cca12729afb8p-1",
        "0x1.fdea84d73d720p-1",
    ]


@ALL
def test_json_keeps_every_bit(calibration):
    again = Calibration.from_dict(json.loads(json.dumps(calibration.as_dict())))
    assert again == calibration


@given(slope=st.floats(0, 1e6), intercept=st.floats(-1e6, 1e6))
def test_json_keeps_any_float(slope, intercept):
    calibration = Calibration("platt", slope, intercept)
    assert Calibration.from_dict(json.loads(json.dumps(calibration.as_dict()))) == calibration


def test_isotonic_joins_its_knots_and_is_flat_beyond_them():
    risk = ISOTONIC.apply(np.array([-100.0, -4.0, -2.75, 0.0, 2.0, 100.0]))
    assert risk.tolist() == pytest.approx([0.002, 0.002, 0.016, 0.03, 0.6, 0.6])


def test_isotonic_is_numpys_interpolation():
    margin = np.linspace(-6, 4, 1_001)
    assert ISOTONIC.apply(margin) == pytest.approx(np.interp(margin, *np.array(ISOTONIC.knots).T), rel=1e-14)


def test_one_knot_is_a_constant_and_the_closest_knots_are_told_apart():
    assert Calibration("isotonic", knots=((1.0, 0.2),)).apply(np.array([-9.0, 1.0, 9.0])).tolist() == [0.2] * 3
    closest = Calibration("isotonic", knots=((0.0, 0.1), (5e-324, 0.9)))
    assert closest.apply(np.array([0.0, 5e-324])).tolist() == [0.1, 0.9]


def test_no_margins_give_no_risks():
    assert PLATT.apply(np.empty(0)).shape == (0,)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@ALL
def test_a_margin_that_is_no_number_is_refused(calibration, wrong):
    with pytest.raises(ValueError, match="1 of 2 are not finite"):
        calibration.apply(np.array([0.0, wrong]))


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        ({"kind": "platt", "slope": -1.0, "intercept": 0.0}, "not negative"),
        ({"kind": "platt", "slope": 1.0, "intercept": math.inf}, "finite"),
        ({"kind": "platt", "slope": 1.0}, "intercept"),
        ({"kind": "identity", "slope": 2.0, "intercept": 0.0}, "no slope"),
        ({"kind": "isotonic", "knots": []}, "at least one"),
        ({"kind": "isotonic", "knots": [[0.0, 0.2], [1.0, 0.1]]}, "rise"),
        ({"kind": "isotonic", "knots": [[0.0, 0.1], [0.0, 0.2]]}, "rise"),
        ({"kind": "isotonic", "knots": [[0.0, 0.0]]}, "strictly between"),
        ({"kind": "isotonic", "knots": [0.0]}, "garbles"),
        ({"kind": "spline", "slope": 1.0, "intercept": 0.0}, "known are"),
        ({}, "kind"),
    ],
)
def test_numbers_that_are_no_rising_map_are_refused(stored, problem):
    with pytest.raises(ValueError, match=problem):
        Calibration.from_dict(stored)
