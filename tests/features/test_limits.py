"""The limits last known of a product's characteristic, against an oracle that reads every row for every question."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import FOREVER
from features.contracts import TABLES
from features.histories import Histories, Table, Vocabulary
from features.limits import ARRIVED, known_limits
from features.rows import Lots, read_rows
from features.stored import ARRIVAL
from tests.tiny_site import arrow, day

TIMES = st.integers(0, 9)
LIMITS = st.sampled_from([np.nan, 1.0, 2.0, 3.0])
IDS = {"lot": Vocabulary(list("abc")), "product": Vocabulary(list("pq")), "characteristic": Vocabulary(list("xy"))}


@st.composite
def versions(draw, facts, **kinds):
    """Rows of a table as columns: several versions of each fact, the last of which stands or is deleted."""
    rows = []
    for number in range(draw(st.integers(0, facts))):
        known = sorted(draw(st.sets(TIMES, min_size=1, max_size=3)))
        ends = [*known[1:], FOREVER if draw(st.booleans()) or len(known) == 1 else known[-1]]
        same = {name: number if kind is None else draw(kind) for name, kind in kinds.items()}
        for moment, end in zip(known, ends, strict=True):
            if moment < end:
                varied = {
                    name: draw(kinds[name]) for name in ("product_id", "lower_spec", "upper_spec") if name in kinds
                }
                rows.append({"first": known[0], "known": moment, "superseded": end, **same, **varied})
    rows = draw(st.permutations(rows))
    return {name: np.array([row[name] for row in rows]) for name in ("first", "known", "superseded", *kinds)}


def table(name, columns, dtypes):
    made = {column: values.astype(dtypes.get(column, np.int64)) for column, values in columns.items()}
    spans = {column: made.pop(column) for column in ("first", "known", "superseded")}
    return Table(name, made, **spans)


MEASURED = {
    "lot_id": st.integers(0, 2),
    "characteristic": st.integers(0, 1),
    "lower_spec": LIMITS,
    "upper_spec": LIMITS,
    ARRIVED: st.booleans(),
}
QUESTIONS = st.lists(
    st.tuples(st.integers(-1, 1), st.integers(-1, 1), st.integers(0, 11), st.integers(-1, 2)), min_size=1, max_size=6
)


def oracle(lots, rows, product, characteristic, as_of, without):
    """The last row of every other lot that a source says, else of those that arrived."""
    found = []
    for n in range(len(rows["known"])):
        lower, upper, arrived, lot = (rows[name][n] for name in ("lower_spec", "upper_spec", ARRIVED, "lot_id"))
        for m in range(len(lots["known"])):
            together = lots["lot_id"][m] == lot and lots["product_id"][m] == product
            stood = all(of["known"][k] < as_of <= of["superseded"][k] for of, k in ((rows, n), (lots, m)))
            bare = np.isnan(lower) and np.isnan(upper)
            if together and stood and lot != without and rows["characteristic"][n] == characteristic and not bare:
                width = np.inf if np.isnan(lower) or np.isnan(upper) else upper - lower
                first = max(rows["first"][n], lots["first"][m])
                found.append((not arrived, first, -width, _last(lower), _last(-upper), (lower, upper)))
    return max(found)[-1] if found else (np.nan, np.nan)


def _last(limit):
    return np.inf if np.isnan(limit) else limit


def same(got, expected):
    return np.array_equal(np.stack(got, axis=1), np.array(expected), equal_nan=True)


@settings(max_examples=400, deadline=None)
@given(lots=versions(3, lot_id=None, product_id=st.integers(0, 1)), rows=versions(9, **MEASURED), asked=QUESTIONS)
def test_the_limits_last_known_equal_reading_every_row(lots, rows, asked):
    told = _histories(lots, rows)
    product, characteristic, as_of, without = (np.array(column) for column in zip(*asked, strict=True))
    got = known_limits(told, product, characteristic, as_of, without=without)
    assert same(got, [oracle(lots, rows, *one) for one in asked])


def _histories(lots, rows):
    dtypes = {"lower_spec": np.float64, "upper_spec": np.float64, ARRIVED: np.bool_}
    return Histories({"lots": table("lots", lots, {}), "measurements": table("measurements", rows, dtypes)}, IDS)


def of_lots(*said):
    """Lots a, b and c of product p, and measurements of x as (lot, known, lower, upper, arrived)."""
    lots = {"lot_id": np.arange(3), "product_id": np.zeros(3, int), "superseded": np.full(3, FOREVER)}
    lot, known, lower, upper, arrived = (np.array(column) for column in zip(*said, strict=True))
    rows = {"lot_id": lot, "lower_spec": lower, "upper_spec": upper, ARRIVED: arrived, "first": known, "known": known}
    rows |= {"characteristic": np.zeros(len(lot)), "superseded": np.full(len(lot), FOREVER)}
    return _histories({**lots, "first": np.zeros(3), "known": np.zeros(3)}, rows)


def asked_of(told, as_of, without=2):
    question = (np.array([value]) for value in (0, 0, as_of))
    lower, upper = known_limits(told, *question, without=np.array([without]))
    return lower[0], upper[0]


def test_what_arrives_does_not_widen_what_a_source_says():
    told = of_lots((0, 1, 1.0, 2.0, False), (1, 2, 0.0, 9.0, True), (1, 3, 0.0, 9.0, True))
    assert asked_of(told, 9) == (1.0, 2.0)
    assert asked_of(of_lots((0, 1, 1.0, 2.0, True), (1, 2, 0.0, 9.0, True)), 9) == (0.0, 9.0)


def test_limits_count_strictly_after_they_are_known_and_not_for_their_own_lot():
    told = of_lots((0, 1, 1.0, 2.0, False), (1, 5, 0.0, 9.0, False))
    assert [asked_of(told, as_of) for as_of in (5, 6)] == [(1.0, 2.0), (0.0, 9.0)]
    assert asked_of(told, 6, without=1) == (1.0, 2.0)


def test_of_several_lots_with_the_same_limits_two_are_looked_at():
    rows = [(number % 3, number, 1.0, 2.0, False) for number in range(1, 900)]
    told = of_lots(*rows, (0, 1_000, 0.0, 9.0, False))
    assert [asked_of(told, as_of, without=1) for as_of in (3, 900, 2_000)] == [(1.0, 2.0), (1.0, 2.0), (0.0, 9.0)]
    (_, lower, _), _ = told._made["limits"]
    assert len(lower) == 3


def test_a_row_that_arrived_and_that_a_source_says_too_is_the_sources():
    said = {"lot_id": "a", "characteristic": "x", "measured_at": day(1), "value": 1.0, "upper_spec": 2.0}
    other = {**said, "lot_id": "b"}
    for order in ((5, None, 6), (None, 5, 6)):
        raw = arrow([said, said, other]).append_column(ARRIVAL, pa.array(order, pa.int64()))
        lots = Lots(np.ones(3, dtype=bool), np.zeros(3, dtype=np.int64))
        read, report = read_rows(TABLES["measurements"], raw, ids=IDS, lots=lots, timezone="UTC", now=day(9))
        assert (read["lot_id"].tolist(), read[ARRIVED].tolist()) == ([0, 1], [False, True])
        assert (report.duplicates, report.ignored) == (1, ())
