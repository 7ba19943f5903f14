"""Versions, deletions, repetitions and contradictions of facts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import FOREVER
from features.versions import Homes, Standing, standing


def stood(*rows: tuple[int, int, int, int]) -> Standing:
    """Of rows (key, known, deleted, content)."""
    key, known, deleted, content = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return standing([key], known, deleted.astype(bool), [key, content])


def came(*rows: tuple[int, int, int, int]) -> Standing:
    """Of rows (key, content, deleted, whether it arrived), all known at one time."""
    key, content, deleted, arrived = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    known = np.full(len(rows), 10)
    return standing([key], known, deleted.astype(bool), [key, content], arrived=arrived.astype(bool))


def spans(found: Standing) -> list[tuple[int, int, int]]:
    """Row, first known, superseded."""
    return list(zip(found.rows.tolist(), found.first.tolist(), found.superseded.tolist(), strict=True))


def test_a_later_version_ends_the_earlier_one() -> None:
    found = stood((1, 20, 0, 8), (1, 10, 0, 7), (2, 15, 0, 9))
    assert spans(found) == [(1, 10, 20), (0, 10, FOREVER), (2, 15, FOREVER)]
    assert found.versions == 1


def test_a_deletion_ends_a_version_and_leaves_no_row() -> None:
    found = stood((1, 10, 0, 7), (1, 20, 1, 0))
    assert spans(found) == [(0, 10, 20)]
    assert (found.deletions, found.versions) == (1, 0)


def test_a_fact_that_comes_back_was_first_known_when_it_first_was() -> None:
    assert spans(stood((1, 10, 0, 7), (1, 20, 1, 0), (1, 30, 0, 8))) == [(0, 10, 20), (2, 10, FOREVER)]


def test_a_deletion_of_what_was_not_known_yet_does_nothing() -> None:
    assert spans(stood((1, 10, 0, 7), (1, 5, 1, 0))) == [(0, 10, FOREVER)]


def moved(*rows: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Spans of one fact's versions (known, lot, when that lot was first known)."""
    known, lot, made = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    key = np.zeros(len(rows), dtype=np.int64)
    return spans(standing([key], known, key.astype(bool), [lot], homes=Homes(lot, made)))


def test_a_version_of_a_lot_not_yet_known_ends_the_earlier_one_only_when_the_lot_is_known() -> None:
    assert moved((10, 1, 0), (20, 2, 50)) == [(0, 10, 50), (1, 10, FOREVER)]
    assert moved((10, 1, 0), (20, 2, 50), (30, 3, 0)) == [(0, 10, 30), (1, 10, 30), (2, 10, FOREVER)]


def test_a_version_replaced_before_its_lot_was_known_never_stood() -> None:
    assert moved((10, 1, 50), (20, 2, 0)) == [(0, 20, 20), (1, 20, FOREVER)]
    assert moved((10, 1, 15), (20, 2, 0)) == [(0, 10, 20), (1, 10, FOREVER)]


def test_a_lots_own_versions_follow_each_other_before_the_lot_is_known() -> None:
    assert moved((10, 1, 50), (20, 1, 50)) == [(0, 20, 20), (1, 20, FOREVER)]


def test_repetitions_collapse() -> None:
    found = stood((1, 10, 0, 7), (1, 10, 0, 7), (1, 10, 0, 7), (1, 20, 1, 0), (1, 20, 1, 5))
    assert (len(found.rows), found.duplicates, found.deletions) == (1, 3, 1)
    assert len(found.contradictions) == 0


def test_all_rows_of_a_contradiction_are_named_and_the_others_stand() -> None:
    found = stood((1, 10, 0, 7), (1, 10, 0, 7), (1, 10, 0, 8), (1, 5, 0, 6), (2, 10, 0, 1))
    assert found.contradictions.tolist() == [0, 1, 2]
    assert spans(found) == [(3, 5, FOREVER), (4, 10, FOREVER)]


def test_a_deletion_contradicts_a_version_of_the_same_moment() -> None:
    assert stood((1, 10, 0, 7), (1, 10, 1, 7)).contradictions.tolist() == [0, 1]


def test_missing_numbers_are_alike() -> None:
    nothing = np.full(2, np.nan)
    same = np.zeros(2, dtype=np.int64)
    assert standing([same], same, np.zeros(2, dtype=bool), [nothing]).duplicates == 1


def test_no_rows_stand_for_nothing() -> None:
    none = np.empty(0, dtype=np.int64)
    assert len(standing([none], none, none.astype(bool), [none]).rows) == 0


def test_keys_too_wide_for_one_number_are_told_apart() -> None:
    wide = np.array([2**61, 2**61 + 1, 2**61, -(2**63)])
    narrow = np.array([2**31, 2**31, -1, 0])
    known = np.array([1, 1, 2, 3])
    found = standing([narrow, wide, wide], known, np.zeros(4, dtype=bool), [wide])
    assert sorted(spans(found)) == [(row, moment, FOREVER) for row, moment in enumerate(known.tolist())]


ROWS = st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 3), st.integers(0, 1), st.integers(0, 1)), min_size=1)


@settings(deadline=None)
@given(ROWS, st.data())
def test_spans_are_what_reading_the_rows_one_by_one_gives(
    rows: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(rows))
    expected = {}
    for key in {row[0] for row in rows}:
        moments = sorted({row[1] for row in rows if row[0] == key})
        told = {at: {row[2:] if not row[2] else (1,) for row in rows if row[:2] == (key, at)} for at in moments}
        clear = [(at, next(iter(told[at]))) for at in moments if len(told[at]) == 1]
        lives = [at for at, said in clear if said != (1,)]
        for place, (at, said) in enumerate(clear):
            if said != (1,):
                expected[key, at, said[1]] = (min(lives), clear[place + 1][0] if place + 1 < len(clear) else FOREVER)
    found = stood(*shuffled)
    got = {
        (shuffled[row][0], shuffled[row][1], shuffled[row][3]): (first, superseded)
        for row, first, superseded in spans(found)
    }
    assert got == expected
    assert len(rows) == len(found.rows) + found.deletions + found.duplicates + len(found.contradictions)


def test_rows_of_sources_that_differ_all_go() -> None:
    found = came((1, 7, 0, 0), (1, 8, 0, 0), (1, 7, 0, 1))
    assert (found.rows.tolist(), found.contradictions.tolist()) == ([], [0, 1, 2])


def test_a_row_that_arrived_and_differs_goes_and_what_a_source_says_stays() -> None:
    found = came((1, 7, 0, 0), (1, 8, 0, 1), (1, 7, 0, 1), (1, 0, 1, 1))
    assert (found.rows.tolist(), found.contradictions.tolist(), found.duplicates) == ([0], [1, 3], 1)


def test_of_rows_that_arrived_the_first_stays() -> None:
    found = came((2, 5, 0, 0), (1, 7, 0, 1), (1, 8, 0, 1), (1, 7, 0, 1))
    assert (found.rows.tolist(), found.contradictions.tolist(), found.duplicates) == ([1, 0], [2], 1)


def test_a_contradiction_holds_until_a_later_version_of_its_fact_is_known() -> None:
    found = stood((1, 10, 0, 7), (1, 10, 0, 8), (1, 20, 0, 9), (2, 5, 0, 3), (2, 5, 0, 4), (3, 1, 0, 1), (3, 1, 0, 1))
    assert found.contradictions.tolist() == [0, 1, 3, 4]
    assert found.settled.tolist() == [20, 20, FOREVER, FOREVER]
    assert stood((1, 10, 0, 7), (1, 10, 0, 8), (1, 30, 1, 0)).settled.tolist() == [30, 30]
