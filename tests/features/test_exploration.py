"""Lots released by chance: which may be, how many are, and that the same draw comes everywhere."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.decision import CANNOT_ASSESS, HOLD, INSPECT, RELEASE, Decisions, decide, thresholds
from features.exploration import Explored, chance, explore
from features.rules import Costs, DecisionRule
from tests.tiny_site import rules

SITE, A = (
    Costs(400, 9000, 0, 1500),
    Costs(400, 40_000, 0, 1500),
)  # inspected from 0.059 and 0.0115, held from 0.49, 0.21
RULE = replace(rules().decision, costs=SITE, explore_share=0.2, explore_band=0.5)


def explored(
    risk: list[float], said: DecisionRule, tiers: list[list[bool]] | None = None, *, lots: list[str] | None = None
) -> Explored:
    """The draw among lots of one unit, by default of the site's own costs."""
    risks, units = np.array(risk), np.ones(len(risk))
    counts = np.array([[True]] * len(risk) if tiers is None else tiers)
    names = [f"L{place}" for place in range(len(risk))] if lots is None else lots
    decided = decide(risks, units, counts, said)
    return explore(decided, risks, units, counts, said, lot_id=names.__getitem__, version="1", site="tablets")


def test_nothing_is_drawn_unless_it_is_asked_for() -> None:
    said = replace(RULE, explore_share=0.0)
    found = explored([0.01, 0.06, 0.3, 0.9], said)
    assert found.decisions.action == [RELEASE, INSPECT, INSPECT, HOLD]
    assert not found.released.any() and (found.propensity == 1.0).all()
    assert rules().decision.explore_share == 0.0


def test_of_the_lots_just_above_the_threshold_the_share_is_released_and_of_no_others_any() -> None:
    risk = np.tile([0.05, 0.06, 0.08, 0.09, 0.3, 0.6], 3000)
    found = explored(risk.tolist(), RULE)
    band = (risk > 0.059) & (risk < 0.0889)
    assert found.released[~band].sum() == 0 and (found.propensity[~band] == 1.0).all()
    assert abs(found.released[band].mean() - 0.2) < 0.02  # 6,000 lots: four standard errors
    assert set(found.propensity[found.released]) == {0.2}
    assert set(found.propensity[band & ~found.released]) == {0.8}
    action = np.array(found.decisions.action)
    assert (action[found.released] == RELEASE).all() and (action[band & ~found.released] == INSPECT).all()
    assert (found.decisions.expected_saving[found.released] == 0).all()


def test_the_strictest_of_the_tiers_draws_the_band() -> None:
    said = replace(RULE, tiers={"A": A}, explore_share=0.2)
    risk = np.repeat([0.013, 0.06, 0.3], 500).tolist()

    def released(*counts: bool) -> list[bool]:
        found = explored(risk, said, [list(counts)] * len(risk)).released.reshape(3, 500)
        return found.any(axis=1).tolist()

    assert released(True, False) == [False, True, False]
    assert released(False, True) == [True, False, False]
    assert released(True, True) == [True, False, False]


def test_a_lot_that_one_tier_would_hold_is_never_released() -> None:
    # Inspected by the site's costs and in its band; held by A's, where inspecting hardly pays.
    said = replace(RULE, tiers={"A": Costs(1400, 25_000, 0, 1500)})
    found = explored([0.07] * 500, said, [[True, True]] * 500)
    assert found.decisions.action == [HOLD] * 500 and not found.released.any()
    assert explored([0.07] * 500, said, [[True, False]] * 500).released.any()


def test_what_cannot_be_assessed_is_never_released() -> None:
    risk = np.full(500, 0.06)
    decided = Decisions([CANNOT_ASSESS] * 500, risk, risk)
    counts = np.ones((500, 1), dtype=bool)
    found = explore(decided, risk, risk, counts, RULE, lot_id=str, version="1", site="")
    assert found.decisions.action == [CANNOT_ASSESS] * 500 and (found.propensity == 1.0).all()


@given(st.permutations(range(60)), st.integers(1, 60))
def test_a_lot_alone_is_drawn_as_among_others(order: list[int], most: int) -> None:
    risk = np.linspace(0.05, 0.1, 60)
    whole = explored(risk.tolist(), RULE)
    some = order[:most]
    part = explored(risk[some].tolist(), RULE, lots=[f"L{place}" for place in some])
    assert part.decisions.action == [whole.decisions.action[place] for place in some]
    assert part.propensity.tolist() == whole.propensity[some].tolist()


def test_another_model_and_another_site_draw_anew() -> None:
    lots = [f"L{place}" for place in range(4000)]
    first, model, site = (
        np.array([chance(lot, *of) for lot in lots]) < 0.2 for of in (("1", "x"), ("2", "x"), ("1", "y"))
    )
    for other in (model, site):
        assert abs((first & other).mean() - 0.04) < 0.015  # as often as of two draws that know nothing of each other
    assert chance("L1", "1", "x") == 0.8627882538889118  # of any release: who was drawn once stays so


@settings(max_examples=300)
@given(
    risk=st.floats(0, 1),
    escape=st.integers(0, 100_000),
    by=st.integers(0, 1_000_000),
    band=st.floats(0.01, 1),
    lot=st.integers(0, 20),
)
def test_a_dearer_escape_never_turns_hold_or_inspect_into_release_where_some_are_drawn(risk, escape, by, band, lot):
    def action(cost: int) -> str:
        said = replace(RULE, costs=replace(SITE, escape=cost), explore_band=band)
        return explored([risk], said, lots=[f"L{lot}"]).decisions.action[0]

    before, after = action(escape), action(escape + by)
    assert before == RELEASE or after != RELEASE


@given(st.floats(0, 1), st.floats(0.01, 1), st.integers(0, 50))
def test_no_lot_at_or_above_where_it_is_held_is_released(risk: float, band: float, lot: int) -> None:
    said = replace(RULE, explore_band=band)
    _, hold_from = thresholds(said, np.ones(1))
    assume(abs(risk - hold_from[0, 0]) > 1e-9)
    found = explored([risk], said, lots=[f"L{lot}"])
    assert not found.released[0] or risk < hold_from[0, 0]


@pytest.mark.parametrize("lot", ["L1", "没有", "\ud800", ""])
def test_any_id_can_be_drawn(lot: str) -> None:
    assert 0 <= chance(lot, "1", "site") < 1
