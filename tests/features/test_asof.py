"""The kernel against an oracle that reads every row for every question."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import FOREVER, Latest, Spans, Totals, hours, stands, within
from features.order import RowsBy

TIMES = st.integers(0, 12)  # few distinct times: ties and window edges are the rule, not the exception
ENTITIES = st.integers(-1, 3)


@st.composite
def facts(draw):
    """Versions of facts: each version ends where the next begins; the last stands or is deleted."""
    rows = []
    for key in range(draw(st.integers(0, 8))):
        known = sorted(draw(st.sets(TIMES, min_size=1, max_size=4)))
        deleted = draw(st.booleans()) and len(known) > 1
        versions = known[:-1] if deleted else known
        for place, moment in enumerate(versions):
            ends = known[place + 1] if place + 1 < len(known) else FOREVER
            row = (draw(ENTITIES), known[0], moment, ends, draw(st.integers(-5, 9)), draw(st.integers(0, 2)), key)
            rows.append(row)
    rows = draw(st.permutations(rows))
    return [np.array(column, dtype=np.int64) for column in (zip(*rows, strict=True) if rows else [[]] * 7)]


questions = st.lists(st.tuples(ENTITIES, TIMES, st.integers(0, 2)), min_size=1, max_size=6)


def columns(asked):
    return [np.array(column, dtype=np.int64) for column in zip(*asked, strict=True)]


def oracle_total(rows, entity, as_of, window, without):
    total = 0
    for of, first, known, superseded, value, owner, _ in zip(*rows, strict=True):
        counts = of == entity >= 0 and known < as_of <= superseded and owner != without
        if counts and (window is None or as_of - window <= first):
            total += value
    return total


@settings(max_examples=300, deadline=None)
@given(rows=facts(), asked=questions, window=st.one_of(st.none(), st.integers(1, 9)), leave_out=st.booleans())
def test_totals_equal_reading_every_row(rows, asked, window, leave_out):
    entity, first, known, superseded, value, owner, _ = rows
    asked_entity, as_of, who = columns(asked)
    totals = Totals(entity, Spans(first, known, superseded), np.stack([value, value * 2], axis=1), owner=owner)
    got = totals.before(asked_entity, as_of, (window,), without=who if leave_out else None)
    for place in range(len(asked)):
        skipped = who[place] if leave_out else None
        expected = oracle_total(rows, asked_entity[place], as_of[place], window, skipped)
        assert got[0, place].tolist() == [expected, 2 * expected]


@settings(max_examples=300, deadline=None)
@given(rows=facts(), asked=questions, leave_out=st.booleans())
def test_the_latest_row_equals_reading_every_row(rows, asked, leave_out):
    entity, first, known, superseded, _, owner, key = rows
    asked_entity, as_of, who = columns(asked)
    latest = Latest(entity, Spans(first, known, superseded), key=key, owner=owner)
    got = latest.before(asked_entity, as_of, without=who if leave_out else None)
    for place in range(len(asked)):
        standing = [
            (first[row], key[row], known[row], row)
            for row in range(len(entity))
            if entity[row] == asked_entity[place] >= 0
            and known[row] < as_of[place] <= superseded[row]
            and not (leave_out and owner[row] == who[place])
        ]
        assert got[place] == (max(standing)[3] if standing else -1)


@settings(max_examples=100, deadline=None)
@given(rows=facts(), asked=questions, window=st.integers(1, 9), seed=st.integers(0, 9))
def test_row_order_and_rows_not_yet_known_change_no_bit(rows, asked, window, seed):
    asked_entity, as_of, _ = columns(asked)
    as_of = np.minimum(as_of, 6)
    entity, first, known, superseded, value, _, _ = rows
    seen = np.flatnonzero(known < 6)
    seen = np.random.default_rng(seed).permutation(seen)
    whole = Totals(entity, Spans(first, known, superseded), value[:, None])
    ended = np.where(superseded[seen] < 6, superseded[seen], FOREVER)
    cut = Totals(entity[seen], Spans(first[seen], known[seen], ended), value[seen][:, None])
    asking = (asked_entity, as_of, (window, None))
    assert np.array_equal(whole.before(*asking), cut.before(*asking))


def test_the_oracle_catches_a_kernel_that_counts_what_is_known_at_the_moment_itself():
    rows = [np.array([number]) for number in (0, 5, 5, FOREVER, 7, 0, 0)]
    totals = Totals(rows[0], Spans(rows[1], rows[2], rows[3]), rows[4][:, None])
    peeking = totals.before(np.array([0]), np.array([5]) + 1)[0, 0, 0]
    assert peeking == 7 != oracle_total(rows, 0, 5, None, None)


def test_one_question_alone_gets_the_answer_it_gets_in_a_batch():
    random = np.random.default_rng(0)
    rows = 2_000
    first = random.integers(0, 500, rows)
    known = first + random.integers(0, 2, rows) * random.integers(0, 50, rows)
    spans = Spans(first, known, np.where(random.random(rows) < 0.2, known + 30, FOREVER))
    totals = Totals(random.integers(0, 20, rows), spans, random.integers(0, 9, (rows, 1)))
    entity, as_of = random.integers(-1, 21, 300), random.integers(0, 600, 300)
    batch = totals.before(entity, as_of, (40, None))
    alone = [totals.before(entity[[i]], as_of[[i]], (40, None))[:, 0] for i in range(300)]
    assert np.array_equal(batch, np.stack(alone, axis=1))


def test_facts_joined_stand_while_both_stand():
    left = Spans(np.array([1, 1]), np.array([1, 6]), np.array([6, FOREVER]))
    right = Spans(np.array([3, 3]), np.array([3, 3]), np.array([9, 5]))
    joined = left.both(right)
    assert joined.known.tolist() == [3, 6]
    assert joined.superseded.tolist() == [6, 5]
    assert joined.ever.tolist() == [0]


def test_rows_of_an_entity_come_in_the_order_asked_for():
    index = RowsBy(np.array([1, 0, 1, -1, 1]), order=(np.array([3, 0, 1, 0, 2]),))
    question, row = index.pairs(np.array([1, 7, 0, -1]))
    assert (question.tolist(), row.tolist()) == ([0, 0, 0, 2], [2, 4, 0, 1])


def test_no_rows_at_all_answer_with_nothing():
    none = np.array([], dtype=np.int64)
    totals = Totals(none, Spans(none, none, none), none.reshape(0, 2), owner=none)
    assert totals.before(np.array([0, -1]), np.array([5, 5]), (3, None), without=np.array([0, 0])).sum() == 0
    assert Latest(none, Spans(none, none, none), key=none).before(np.array([0]), np.array([5])).tolist() == [-1]
    assert RowsBy(none).pairs(np.array([0]))[0].tolist() == []


def test_edges_are_strict_before_and_inclusive_at_a_windows_start():
    assert within(np.array([4, 5, 9]), 5, 9).tolist() == [False, True, False]
    assert stands(np.array([5, 4]), np.array([FOREVER, 5]), 5).tolist() == [False, True]
    assert hours(np.array([946_684_800_000_000 + 3_600_000_000 * 5 + 1])).tolist() == [5]
