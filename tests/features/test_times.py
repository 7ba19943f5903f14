"""Times as sources write them."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.asof import DAY, NO_TIME
from features.times import read_moment, read_times, written

LJUBLJANA = "Europe/Ljubljana"


def happened(*values: Any, timezone: str = LJUBLJANA) -> list[str | None]:
    return [written(int(moment)) for moment in read_times(pa.array(values), timezone).happened]


def known(*values: Any, timezone: str = LJUBLJANA) -> list[str | None]:
    return [written(int(moment)) for moment in read_times(pa.array(values), timezone).known]


@pytest.mark.parametrize("day", ["2024-03-05", date(2024, 3, 5)])
def test_a_date_happened_from_its_start_and_is_known_at_its_end(day: Any) -> None:
    assert happened(day) == ["2024-03-04T23:00:00Z"]
    assert known(day) == ["2024-03-05T23:00:00Z"]
    assert read_times(pa.array([day]), LJUBLJANA).dates.tolist() == [True]


def test_a_timestamp_at_midnight_is_a_time_and_not_a_date() -> None:
    midnight = datetime(2024, 3, 5)  # noqa: DTZ001
    assert happened(midnight) == known(midnight) == ["2024-03-04T23:00:00Z"]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-03-05 10:00", "2024-03-05T09:00:00Z"),
        ("2024-03-05T10:00:30", "2024-03-05T09:00:30Z"),
        (" 2024-03-05 10:00:30.123456 ", "2024-03-05T09:00:30Z"),
        ("2024-03-05T10:00Z", "2024-03-05T10:00:00Z"),
        ("2024-03-05 10:00:00+0530", "2024-03-05T04:30:00Z"),
        ("2024-03-05 10:00:00-05:00", "2024-03-05T15:00:00Z"),
    ],
)
def test_text_is_read_value_by_value(text: str, utc: str) -> None:
    assert happened(text, "2024-03-05", None) == [utc, "2024-03-04T23:00:00Z", None]


def test_an_offset_in_the_type_is_kept() -> None:
    assert happened(datetime(2024, 3, 5, 10, tzinfo=timezone(timedelta(hours=2)))) == ["2024-03-05T08:00:00Z"]


def test_microseconds_are_kept() -> None:
    assert read_times(pa.array(["1970-01-01 00:00:00.123456"]), "UTC").happened.tolist() == [123456]


def test_an_hour_that_came_twice_takes_the_later_reading() -> None:
    read = read_times(pa.array(["2024-10-27 02:30", "2024-10-27 03:30"]), LJUBLJANA)
    assert [written(int(moment)) for moment in read.happened] == ["2024-10-27T01:30:00Z", "2024-10-27T02:30:00Z"]
    assert read.ambiguous.tolist() == [True, False]
    assert read.skipped.tolist() == [False, False]


def test_an_hour_that_never_was_moves_to_the_end_of_the_gap() -> None:
    read = read_times(pa.array(["2024-03-31 02:30", "2024-03-31 01:30"]), LJUBLJANA)
    assert [written(int(moment)) for moment in read.happened] == ["2024-03-31T01:00:00Z", "2024-03-31T00:30:00Z"]
    assert read.skipped.tolist() == [True, False]
    assert read.ambiguous.tolist() == [False, False]


def test_a_day_is_as_long_as_its_clock_says() -> None:
    read = read_times(pa.array(["2024-03-31", "2024-10-27"]), LJUBLJANA)
    assert ((read.known - read.happened) / (DAY / 24)).tolist() == [23, 25]


@pytest.mark.parametrize(
    "text",
    ["05.03.2024", "20240305", "2024-13-01", "2024-02-30 10:00", "2024-03-05 25:00", "soon", "0001-01-01",
     "1899-12-31", "2201-01-01", "9999-12-31", "2024-03-05T10:00:00+99:00"],
)  # fmt: skip
def test_what_is_no_time_is_impossible_and_no_null(text: str) -> None:
    read = read_times(pa.array([text, "", None]), "UTC")
    assert read.impossible.tolist() == [True, False, False]
    assert read.happened.tolist() == read.known.tolist() == [NO_TIME] * 3


def test_a_column_of_few_distinct_texts_is_read_like_any_text() -> None:
    read = read_times(pa.array(["2024-03-05 10:00", None]).dictionary_encode(), "UTC")
    assert written(int(read.happened[0])) == "2024-03-05T10:00:00Z"


@pytest.mark.parametrize("column", [pa.array([20240305]), pa.array([date(9999, 12, 31)]), pa.array([4.5])])
def test_numbers_and_distant_years_are_impossible(column: Any) -> None:
    assert read_times(column, LJUBLJANA).impossible.tolist() == [True]


def test_a_moment_given_by_hand_is_the_start_of_its_day() -> None:
    assert written(read_moment("2024-03-05", LJUBLJANA)) == "2024-03-04T23:00:00Z"
    with pytest.raises(ValueError, match='"tomorrow" is not a time'):
        read_moment("tomorrow", LJUBLJANA)


@settings(deadline=None)
@given(st.lists(st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)), max_size=20))  # noqa: DTZ001
def test_text_and_timestamps_of_the_same_moments_are_read_alike(moments: list[datetime]) -> None:
    stamps = read_times(pa.array(moments, pa.timestamp("us")), "America/New_York")
    text = read_times(pa.array([moment.isoformat() for moment in moments], pa.string()), "America/New_York")
    assert stamps.happened.tolist() == text.happened.tolist()
    aware = read_times(pa.array([moment.replace(tzinfo=UTC).isoformat() for moment in moments], pa.string()), "UTC")
    assert aware.happened.tolist() == read_times(pa.array(moments, pa.timestamp("us")), "UTC").happened.tolist()
