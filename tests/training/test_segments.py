"""Whether products, suppliers and tiers fail as often as they were told to."""

import numpy as np
import pytest

from features.histories import Array
from tests.tiny_site import day, histories, rules
from training.known import known_by
from training.recipe import Recipe
from training.sample import sample_of
from training.segments import (
    LESS,
    LISTED,
    MORE,
    NOTHING,
    TOO_FEW,
    calibration_of,
    holm,
    p_value,
    segments_of,
    told_of,
)

LOTS = 2_000
BLOCK = np.arange(LOTS) // 100
RISK = np.full(LOTS, 0.1)


def halves() -> dict[str, Array]:
    return {"product:A": np.arange(0, LOTS, 2), "product:B": np.arange(1, LOTS, 2)}


def fails(share: Array | float, *, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random(LOTS) < share


def test_a_segment_that_fails_as_told_is_calibrated_and_one_that_does_not_is_named() -> None:
    worse = np.where(np.arange(LOTS) % 2 == 0, 0.2, 0.1)
    found = calibration_of(halves(), RISK, fails(worse), BLOCK)
    assert [(one.name, one.verdict) for one in found] == [("product:A", MORE), ("product:B", NOTHING)]
    assert found[0].told.startswith("product:A fails more than predicted: 2")
    assert "of 1,000, expected 100.0 (p = " in found[0].told
    low, high = found[0].share_low, found[0].share_high
    assert low is not None and high is not None and low < 0.2 < high and low > 0.1


def test_a_segment_that_fails_less_is_named_as_well() -> None:
    better = np.where(np.arange(LOTS) % 2 == 0, 0.04, 0.1)
    found = calibration_of(halves(), RISK, fails(better), BLOCK)
    assert (found[0].name, found[0].verdict) == ("product:A", LESS)


@pytest.mark.parametrize(("failures", "verdict"), [(19, TOO_FEW), (20, MORE)])
def test_under_twenty_failures_nothing_is_said(failures: int, verdict: str) -> None:
    failed = np.isin(np.arange(LOTS), np.linspace(0, 99, failures).astype(int) * 20)
    found = calibration_of({"tier:A": np.arange(0, LOTS, 20)}, RISK * 0.5, failed, BLOCK)
    assert [(one.failures, one.verdict) for one in found] == [(failures, verdict)]
    assert (found[0].p is None) == (verdict == TOO_FEW)


def test_one_bad_month_is_no_bad_segment() -> None:
    """All its failures beyond the risk lie in one span of time: taken as independent lots they would be a proof."""
    month = (BLOCK == 3) & (np.arange(LOTS) % 2 == 0)
    failed = fails(0.1) | month
    rows = halves()["product:A"]
    assert calibration_of({"product:A": rows}, RISK, failed, BLOCK)[0].verdict == NOTHING
    alone = p_value((failed - RISK)[rows], np.arange(len(rows)))
    assert alone is not None and alone < 0.01


def test_where_nothing_is_off_few_of_many_are_called_so() -> None:
    segments = {f"product:{number:02}": np.arange(number, LOTS, 10) for number in range(10)}
    named = 0
    for seed in range(60):
        week = np.random.default_rng(1_000 + seed).normal(0.0, 0.5, 20)[BLOCK]
        own = 1.0 / (1.0 + np.exp(1.5 - week))
        risk = np.full(LOTS, own.mean())
        named += any(
            one.verdict in (MORE, LESS) for one in calibration_of(segments, risk, fails(own, seed=seed), BLOCK)
        )
    assert named <= 8  # 3 are expected at 5 %


def test_holm_multiplies_the_smallest_by_how_many_there_are() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}


def test_under_six_spans_of_time_there_is_no_p_value() -> None:
    gap = np.random.default_rng(0).normal(size=100)
    assert p_value(gap, np.arange(100) % 5) is None
    assert p_value(gap, np.arange(100) % 6) is not None


def test_the_card_lists_the_decided_first_and_counts_all() -> None:
    many = {f"product:{number}": np.arange(number, number + 3) for number in range(LISTED + 50)}
    told = told_of(calibration_of({**many, **halves()}, RISK, fails(0.1), BLOCK))
    assert len(told["segments"]) == LISTED
    assert {one["name"] for one in told["segments"][:2]} == {"product:A", "product:B"}
    assert told["counts"] == {NOTHING: 2, TOO_FEW: LISTED + 50}


def test_a_lot_is_in_the_segments_that_were_known_of_it_then() -> None:
    made = {
        "lots": [
            {"lot_id": f"L{n:02}", "product_id": f"P{n % 2}", "customer_id": f"C{n % 3}", "quantity": 10}
            | {"produced_at": day(n), "shipped_at": day(n + 1)}
            for n in range(40)
        ],
        "supplier_lots": [
            {"supplier_lot_id": f"S{n}", "supplier_id": f"V{n}", "material_id": "m", "received_at": day(20 * n - 1)}
            for n in range(2)
        ],
        "genealogy": [{"lot_id": f"L{n:02}", "supplier_lot_id": f"S{n // 20}"} for n in range(40)],
        "returns": [
            {"return_id": f"R{n}", "lot_id": f"L{n:02}", "quantity": 5}
            | {"occurred_at": day(n + 5), "reported_at": day(n + 6)}
            for n in range(0, 40, 3)
        ],
        "customers": [{"customer_id": f"C{n}", "tier": "AB"[n % 2]} for n in range(3)],
    }
    rule = rules(ppm=100_000, within=10, reporting=2)
    known = known_by(histories(made, rule), rule, until=day(80))
    layout = sample_of(known, Recipe()).layout
    found = segments_of(known, known.judgements, layout)
    assert set(found) == {"product:P0", "product:P1", "supplier:V0", "supplier:V1", "tier:A", "tier:B"}
    lots = np.array(known.histories.ids["lot"].decode(known.judgements.lot))
    assert set(lots[found["product:P1"]]) == {f"L{n:02}" for n in range(1, 40, 2)}
    assert set(lots[found["supplier:V1"]]) == {f"L{n:02}" for n in range(20, 40)}
    assert set(lots[found["tier:B"]]) == {f"L{n:02}" for n in range(1, 40, 3)}
