"""How far the data reach and how late they tell: against the oracle in exact numbers, and sentence by sentence."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import DAY
from features.delay import data_cut, reporting_delay, truncated_quantile
from tests import oracle
from tests.tiny_site import day, histories, rules

REPORTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40)
NONE = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


@settings(max_examples=200, deadline=None)
@given(reports=REPORTS, share=st.sampled_from([Fraction(1, 2), Fraction(9, 10), Fraction(19, 20)]))
def test_the_quantile_is_that_of_the_reverse_time_kaplan_meier_estimate(reports, share):
    seen = [(delay, delay + slack) for delay, slack in reports]
    delay, room = (np.array(column, dtype=np.int64) for column in zip(*seen, strict=True))
    assert truncated_quantile(delay, room, float(share)) == oracle.reverse_kaplan_meier(seen, share)


def test_without_truncation_it_is_the_plain_quantile():
    delay = np.arange(1, 101)
    assert truncated_quantile(delay, np.full(100, 1000), 0.95) == 95


def test_truncation_is_corrected_for():
    # Two cohorts of 100: the old one is seen whole, half of it late; of the young one only the early half can be seen.
    delay = np.array([1] * 50 + [9] * 50 + [1] * 50)
    room = np.array([100] * 100 + [5] * 50)
    assert truncated_quantile(delay, room, 0.6) == 9
    assert np.quantile(delay, 0.6) == 1


def reports(count: int, late: int = 3) -> list[dict]:
    row = {"lot_id": "L", "quantity": 1}
    return [row | {"return_id": str(n), "occurred_at": day(n), "reported_at": day(n + late)} for n in range(count)]


LOT = {"lot_id": "L", "product_id": "P", "produced_at": day(-1), "shipped_at": day(0), "quantity": 1}


def delay_of(returns: list[dict], *, until: float = 1000, rule=None) -> float:
    """Days."""
    rule = rule or rules(reporting=10)
    told = histories({"lots": [LOT], "returns": returns}, rule).known_before(day(until))
    cut = data_cut(told, rule, until=day(until))
    return reporting_delay(told, rule.label, cut=cut, judged=NONE) / DAY


def test_the_setting_is_used_below_thirty_reports():
    assert delay_of(reports(29)) == 10
    assert delay_of(reports(30)) == 3


def test_reports_not_known_before_until_are_not_among_the_thirty():
    assert delay_of(reports(60), until=32) == 10
    assert delay_of(reports(60), until=32.5) == 3


def test_a_correction_does_not_make_a_report_late():
    corrected = [row | {"reported_at": day(500), "quantity": 2} for row in reports(10)]
    assert delay_of([*reports(40), *corrected]) == 3


def test_a_deleted_report_tells_no_delay():
    gone = [row | {"reported_at": day(600), "deleted": True} for row in reports(11)]
    assert delay_of([*reports(40), *gone]) == 10


def test_units_do_not_make_reports():
    assert delay_of([row | {"quantity": 50} for row in reports(29)]) == 10


def test_reports_later_than_known_until_are_not_seen():
    assert delay_of(reports(40), rule=rules(known_until=31)) == 10
    assert delay_of(reports(40), rule=rules(known_until=32)) == 3


def test_outcomes_are_late_by_the_time_from_judgement():
    rule = rules(label="outcomes")
    lots = [LOT | {"lot_id": str(n), "shipped_at": day(n)} for n in range(30)]
    outcomes = [{"lot_id": str(n), "failed": 0, "known_at": day(n + 4)} for n in range(30)]
    told = histories({"lots": lots, "outcomes": outcomes}, rule)
    codes = np.array([told.ids["lot"].code(str(n)) for n in range(30)])
    judged = (codes, np.array([day(n) for n in range(30)]))
    cut = data_cut(told, rule, until=day(1000))
    assert cut == day(33)
    assert reporting_delay(told, rule.label, cut=cut, judged=judged) == 4 * DAY
    assert reporting_delay(told, rule.label, cut=cut, judged=(judged[0][1:], judged[1][1:])) == rule.label.reporting


def test_the_reach_is_the_latest_news_and_until_bounds_it():
    told = histories({"lots": [LOT], "returns": reports(5)}, rules())
    assert data_cut(told, rules(), until=day(1000)) == day(7)
    assert data_cut(told.known_before(day(7)), rules(), until=day(7)) == day(6)
    assert data_cut(told, rules(known_until=50), until=day(1000)) == day(50)
    assert data_cut(told, rules(known_until=50), until=day(20)) == day(20)
