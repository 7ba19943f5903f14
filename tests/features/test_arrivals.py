"""Rows that come in one by one: what is taken, what is refused and why, and that each is kept once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from features.arrivals import ACCEPTED, KNOWN, Arrival, keep, last_arrival, read_arrivals
from features.catalogue import ARRIVALS
from features.contracts import TABLES
from features.database import open_database, writing
from features.times import read_moment
from serving.migrate import migrate
from tests.serving.unsteady import postgres_schema

NOW = read_moment("2026-11-28T10:00:00Z", "UTC")
RETURN = {
    "return_id": "R1",
    "lot_id": "L1",
    "occurred_at": "2026-11-01T08:00:00+01:00",
    "reported_at": "2026-11-03",
    "quantity": 2.0,
}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    if request.param == "sqlite":
        yield from opened(f"sqlite:///{tmp_path / 'lotrisk.db'}")
    else:
        with postgres_schema() as url:
            yield from opened(url)


def opened(url: str) -> Iterator[sa.Engine]:
    migrate(url)
    engine = open_database(url)
    yield engine
    engine.dispose()


def read(table: str, *rows: Any, names: Any = (), zone: str = "UTC") -> tuple[list[Arrival], list[dict[str, Any]]]:
    taken, refused = read_arrivals(table, rows, known_attributes=names, timezone=zone, now=NOW)
    return [arrival for _, arrival in taken], refused


def one(table: str, row: dict[str, Any], *, names: Any = ()) -> Arrival:
    taken, refused = read(table, row, names=names)
    assert not refused, refused
    return taken[0]


def reason(table: str, row: Any, *, names: Any = ()) -> str:
    taken, refused = read(table, row, names=names)
    assert not taken and refused[0]["row"] == 0
    return str(refused[0]["reason"])


def test_times_become_iso_with_z_and_a_date_stays_one() -> None:
    row = one("returns", {**RETURN, "description": None}).row
    assert row == {
        "return_id": "R1",
        "lot_id": "L1",
        "occurred_at": "2026-11-01T07:00:00Z",
        "reported_at": "2026-11-03",
        "quantity": 2,
    }
    assert one("returns", RETURN).known == read_moment("2026-11-04", "UTC")


def test_a_naive_time_is_local() -> None:
    row = {**RETURN, "occurred_at": "2026-11-01 08:00"}
    (taken,), _ = read("returns", row, zone="Europe/Ljubljana")
    assert taken.row["occurred_at"] == "2026-11-01T07:00:00Z"


def test_what_is_said_in_other_words_is_the_same_row() -> None:
    lot = {"lot_id": "5", "product_id": "P1", "produced_at": "2026-11-01T08:00:00Z", "press": 1.0}
    other = {"press": "1", "produced_at": "2026-11-01T09:00:00+01:00", "product_id": "P1", "lot_id": 5, "line_id": " "}
    a, b = one("lots", lot, names={"press"}), one("lots", other, names={"press"})
    assert (a.version, a.digest) == (b.version, b.digest)
    moved = one("lots", {**lot, "product_id": "P2"}, names={"press"})
    assert moved.version == a.version and moved.digest != a.digest
    later = one("lots", {**lot, "known_at": "2026-11-02T08:00:00Z"}, names={"press"})
    assert later.version != a.version


@pytest.mark.parametrize("reported", ["2026-11-03", "2026-11-03T14:00:00+02:00"])
@pytest.mark.parametrize("more", [{"quantity": 1}, {"quantity": None}, {"known_at": "as it says itself"}], ids=str)
def test_what_goes_without_saying_may_be_said(reported: str, more: dict[str, Any]) -> None:
    plain = {name: value for name, value in RETURN.items() if name != "quantity"} | {"reported_at": reported}
    said = {name: reported if name == "known_at" else value for name, value in more.items()}
    a, b = one("returns", plain), one("returns", {**plain, **said})
    assert (a.version, a.digest, a.row["quantity"]) == (b.version, b.digest, 1)
    later = one("returns", {**plain, **said, "known_at": "2026-11-05"})
    assert later.version != a.version and later.row["known_at"] == "2026-11-05"


def test_attributes_are_what_the_histories_know_and_anything_where_the_table_is_not_there_yet() -> None:
    lot = {"lot_id": "L9", "product_id": "P1", "produced_at": "2026-11-01", "pres": True}
    assert "did you mean press" in reason("lots", lot, names={"press"})
    assert one("lots", lot, names=None).row["pres"] == "true"
    assert "unknown field lots._ingested_at" in reason("lots", {**lot, "_ingested_at": 5}, names=None)
    assert "unknown field returns.pres" in reason("returns", {**RETURN, "pres": 1}, names=None)


@pytest.mark.parametrize(
    ("table", "row", "why"),
    [
        ("returns", {**RETURN, "lot_id": None}, "returns.lot_id is missing"),
        ("returns", {**RETURN, "reported_at": "soon"}, "returns.reported_at is no time"),
        ("returns", {**RETURN, "quantity": -1}, "cannot be negative"),
        ("returns", {**RETURN, "occurred_at": "2026-11-05"}, "known before it happened"),
        ("returns", {**RETURN, "reported_at": "2026-11-28T10:05:01Z"}, "lies in the future"),
        ("returns", {**RETURN, "known_at": "2026-11-29"}, "lies in the future"),
        ("returns", {**RETURN, "deleted": 1}, "deleted must be true or false, found a number"),
        ("returns", {**RETURN, "deleted": 0}, "deleted must be true or false, found a number"),
        ("returns", {**RETURN, "deleted": "yes"}, "deleted must be true or false, found a text"),
        ("returns", [], "must be an object"),
        ("inspections", {"supplier_lot_id": "S1", "inspected_at": "2026-11-01", "defects": 1}, "neither sample_size"),
        ("outcomes", {"lot_id": "L1", "failed": 2, "known_at": "2026-11-01"}, "must be 0 or 1"),
        ("returns", {"deleted": True, "known_at": "2026-11-01"}, "returns.return_id is missing"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_reason(table: str, row: Any, why: str) -> None:
    assert why in reason(table, row)


def test_today_is_no_future_and_clocks_may_be_minutes_off() -> None:
    assert one("returns", {**RETURN, "reported_at": "2026-11-28"}).known == read_moment("2026-11-29", "UTC")
    one("returns", {**RETURN, "reported_at": "2026-11-28T10:04:59Z"})


def test_a_deletion_needs_only_its_key_and_is_known_when_it_came() -> None:
    gone = one("returns", {"return_id": "R1", "deleted": True})
    assert gone.row == {"return_id": "R1", "deleted": True, "known_at": "2026-11-28T10:00:00Z"}
    told = one("measurements", {"lot_id": "L1", "characteristic": "c", "measured_at": "2026-11-01", "deleted": True})
    assert told.key == ("L1", "c", "2026-11-01", None)


def test_good_rows_are_read_while_bad_ones_are_refused_in_their_places() -> None:
    rows = [RETURN, {"return_id": "R2"}, {**RETURN, "return_id": "R3"}]
    taken, refused = read_arrivals("returns", rows, known_attributes=(), timezone="UTC", now=NOW)
    assert [place for place, _ in taken] == [0, 2] and [one["row"] for one in refused] == [1]


def test_a_row_is_kept_once_and_one_that_differs_is_told_the_way_out(engine: sa.Engine) -> None:
    first, other = one("returns", RETURN), one("returns", {**RETURN, "quantity": 3})
    with writing(engine) as connection:
        assert keep(connection, [first, first], received_at=NOW) == [ACCEPTED, KNOWN]
    with writing(engine) as connection:
        said = keep(connection, [other, one("returns", {**RETURN, "return_id": "R2"}), first], received_at=NOW + 1)
        assert "send known_at" in said[0] and said[1:] == [ACCEPTED, KNOWN]
        assert last_arrival(connection) == 2
    with engine.connect() as connection:
        kept = connection.execute(sa.select(ARRIVALS.c.id, ARRIVALS.c.received_at).order_by(ARRIVALS.c.id)).all()
    assert [tuple(row) for row in kept] == [(1, NOW), (2, NOW + 1)]


def test_rows_of_a_clock_that_stepped_back_came_when_the_last_one_did(engine: sa.Engine) -> None:
    for number, moment in enumerate((NOW, NOW - 5, NOW + 1)):
        with writing(engine) as connection:
            keep(connection, [one("returns", {**RETURN, "return_id": f"R{number}"})], received_at=moment)
    with engine.connect() as connection:
        kept = connection.execute(sa.select(ARRIVALS.c.received_at).order_by(ARRIVALS.c.id)).scalars().all()
    assert kept == [NOW, NOW, NOW + 1]


def test_many_rows_are_kept_in_the_order_sent(engine: sa.Engine) -> None:
    taken, _ = read("returns", *({**RETURN, "return_id": f"R{number}"} for number in range(1200)))
    with writing(engine) as connection:
        keep(connection, taken, received_at=NOW)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(ARRIVALS.c.row).order_by(ARRIVALS.c.id)).scalars().all()
    assert [f'"R{number}"' in row for number, row in enumerate(rows)] == [True] * 1200


def test_every_table_of_the_contract_takes_rows() -> None:
    kinds = {"id": "X", "text": "t", "number": 1.5, "units": 2, "count": 3, "flag": True, "time": "2026-11-01"}
    words = {"action": "held"}
    for table, contract in TABLES.items():
        row = one(table, {column.name: words.get(column.name, kinds[column.kind]) for column in contract.columns})
        assert set(row.row) == {column.name for column in contract.columns}


@pytest.mark.parametrize(("action", "good"), [("scrapped", True), ("Scrapped ", True), ("scraped", False)])
def test_a_disposition_says_one_of_what_can_be_done_with_a_lot(action: str, good: bool) -> None:
    taken, refused = read("dispositions", {"lot_id": "L1", "decided_at": "2026-11-01T00:00:00Z", "action": action})
    assert bool(taken) == good
    assert ["released, inspected, reworked, held, scrapped" in one["reason"] for one in refused] == [True] * (not good)


@pytest.mark.parametrize(
    ("shipped", "good"),
    [("2026-11-01T10:00:00Z", True), ("2026-11-01T07:59:59Z", False), ("2026-11-01", True), ("2026-10-31", False)],
)
def test_a_lot_is_not_shipped_before_it_is_made_and_a_day_is_its_end(shipped: str, good: bool) -> None:
    row = {"lot_id": "L1", "product_id": "P1", "produced_at": "2026-11-01T08:00:00Z", "quantity": 1}
    taken, refused = read("lots", {**row, "shipped_at": shipped})
    assert bool(taken) == good
    assert ["shipped_at is before produced_at" in one["reason"] for one in refused] == [True] * (not good)
