"""Every feature group, found by introspection, against the shared checks; each check shown to bite."""

from types import SimpleNamespace

import numpy as np
import pytest

from features.build import GROUPS
from features.card import FeatureSpec
from tests.features import checks


def named(thing) -> str:
    return thing.__name__.rsplit(".", 1)[-1]


@pytest.mark.parametrize("check", checks.ALL, ids=named)
@pytest.mark.parametrize("group", GROUPS, ids=named)
def test_group(group, check):
    check(group)


def bad_group(column_of, *, name: str = "bad", levels=None):
    """A group of one column, which `column_of(asked, histories)` gives."""

    def columns(layout):
        return [FeatureSpec(name, type="number" if levels is None else "category", levels=levels or [])]

    def build(asked, histories, layout):
        return {name: column_of(asked, histories)}

    return SimpleNamespace(columns=columns, build=build)


def with_all_returns(asked, histories):
    return np.bincount(histories["returns"]["lot_id"], minlength=2**16)[asked.lot].astype(float)


def of_the_first_row(asked, histories):
    return np.full(len(asked), histories["returns"]["quantity"][:3] @ np.array([1.0, 10.0, 100.0]))


def of_the_batch(asked, histories):
    return asked.as_of - asked.as_of.mean()


def with_an_error_on_nothing(asked, histories):
    newest = [histories[name].known.max() for name in ("measurements", "inspections") if name in histories]
    return np.full(len(asked), float(max(newest, default=0) > 0))


def of_a_column_there_or_not(asked, histories):
    return histories["lots"]["colour"][np.zeros(len(asked), dtype=int)].astype(float)


def whole_numbers(asked, histories):
    return np.ones(len(asked), dtype=np.int64)


def infinite(asked, histories):
    return np.full(len(asked), np.inf)


def the_code_itself(asked, histories):
    return asked.own.codes("product_id").astype(float)


BAD = [
    (checks.late_rows_change_nothing, bad_group(with_all_returns), AssertionError, "known at or after as_of"),
    (checks.row_order_changes_nothing, bad_group(of_the_first_row), AssertionError, "order of the standing rows"),
    (checks.one_lot_alone_is_the_same_lot_in_a_batch, bad_group(of_the_batch), AssertionError, "a batch changed"),
    (checks.absent_tables_say_no_more_than_late_ones, bad_group(with_an_error_on_nothing), ValueError, "zero-size"),
    (checks.absent_columns_are_null, bad_group(of_a_column_there_or_not), KeyError, "colour"),
    (checks.columns_are_as_declared, bad_group(whole_numbers), AssertionError, "not float64"),
    (checks.columns_are_as_declared, bad_group(infinite), AssertionError, "infinite"),
    (checks.columns_are_as_declared, bad_group(the_code_itself, levels=["P0"]), AssertionError, "without a level"),
    (
        checks.unseen_entities_are_no_error,
        bad_group(the_code_itself, levels=["P0"]),
        AssertionError,
        "never saw|changed",
    ),
]


@pytest.mark.parametrize(("check", "group", "error", "words"), BAD, ids=lambda one: getattr(one, "__name__", ""))
def test_a_bad_group_is_caught(check, group, error, words):
    with pytest.raises(error, match=words):
        check(group)


def test_every_check_is_shown_to_bite():
    assert {check for check, *_ in BAD} == set(checks.ALL)


def test_every_group_has_columns_in_the_cases():
    assert all(any(group.columns(one.layout) for one in checks.cases()) for group in GROUPS)


def test_the_cases_hold_something_to_peek_at():
    for one, late in zip(checks.cases(), checks.late_histories(), strict=True):
        for name in one.told.tables:
            if name != "customers":
                assert len(late[name]) > len(one.told[name]), name
