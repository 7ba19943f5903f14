"""No peeking, from outside: what was not known at a moment changes no feature, no layout and no judgement up to it."""

from random import Random

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from features.build import build_features, choose_layout
from features.histories import Histories
from features.judgements import judge
from tests import oracle
from tests.tiny_site import Rows, asked, day, histories, rules, tiny_site

RULES = st.builds(
    rules,
    label=st.sampled_from(["returns", "returns", "outcomes"]),
    within=st.sampled_from([1, 30]),
    reporting=st.sampled_from([0, 10]),
    at=st.sampled_from(["shipped_at", "produced_at"]),
    again_every=st.sampled_from([None, 20, 45]),
)


def matrix(told: Histories, lots: list[str], as_of: list[int], layout) -> np.ndarray:
    return build_features(asked(told, lots, as_of), told, layout).matrix


def assert_no_peeking(rows: Rows, rule, *, chosen: int, moment: int, build=matrix) -> None:
    """Features of all judgements up to the moment, from the whole site and from two that end there."""
    whole = histories(rows, rule)
    exported = histories(oracle.as_it_was(rows, moment), rule)
    layout = choose_layout(exported, chosen, rules=rule)
    assert choose_layout(whole, chosen, rules=rule) == layout, "the layout peeks"
    judged = judge(exported, rule, until=moment)
    lots = [
        *exported.ids["lot"].decode(judged.lot),
        *sorted({row["lot_id"] for row in oracle.as_it_was(rows, moment)["lots"]}),
    ]
    as_of = [*judged.as_of.tolist(), *[moment] * (len(lots) - len(judged))]
    then = build(exported, lots, as_of, layout)
    for what, told in (("the whole site", whole), ("the histories cut in memory", whole.known_before(moment))):
        now = build(told, lots, as_of, layout)
        same = (now == then) | (np.isnan(now) & np.isnan(then))
        names = np.array(build_features(asked(told, [], []), told, layout).names)
        assert same.all(), f"{what} peeks: {sorted(set(names[~same.all(axis=0)].tolist()))}"


@settings(max_examples=25, deadline=None, phases=[Phase.generate])
@given(
    seed=st.integers(0, 2**32 - 1),
    rule=RULES,
    ships=st.sampled_from(["lots", "shipments", "both"]),
    chosen=st.integers(120, 300),
    later=st.integers(0, 200),
)
def test_what_was_not_known_changes_nothing(seed, rule, ships, chosen, later):
    rows = tiny_site(Random(seed), lots=8, label=rule.label.source, ships=ships)
    assume(oracle.as_it_was(rows, day(chosen)).get(rule.label.source))
    assert_no_peeking(rows, rule, chosen=day(chosen), moment=day(chosen + later))


def test_peeking_is_caught():
    def with_all_returns(told, lots, as_of, layout):
        built = matrix(told, lots, as_of, layout)
        built[:, 0] = len(told["returns"])
        return built

    with pytest.raises(AssertionError, match=r"peeks: \['quantity'\]"):
        assert_no_peeking(tiny_site(Random(1)), rules(), chosen=day(200), moment=day(250), build=with_all_returns)
