"""Stored histories: what an ingest stores, and that reading them is reading all versions there ever were."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features import stored
from features.asof import DAY, SECOND
from features.card import iso
from features.content_hash import content_hash
from features.errors import DatabaseUnreachable, SettingsError, SourceUnreachable
from features.ingest import ASIDE
from features.reading import Reading, histories_of, read_histories, read_histories_at
from features.site import Site
from features.stored import FOLDER, open_store
from features.times import written
from tests.serving.unsteady import postgres_schema
from tests.small_site import LABEL, LOTS, NOW, csv, ids, write_site
from tests.stored_site import arrived, ingested, segments

HEADER = "return_id,lot_id,occurred_at,reported_at,quantity,failure_mode"
R1 = "R1,L1,2024-04-01 10:00,2024-04-03 12:00,1,leak"
R2 = "R2,L1,2024-04-01 10:00,2024-04-04 12:00,2,leak"


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = write_site(tmp_path / "site", returns="\n".join([HEADER, R1]))
    if request.param == "sqlite":
        yield made
    else:
        with postgres_schema() as url:
            yield replace(made, database_url=url)


def say(site: Site, table: str, *lines: str) -> None:
    (site.folder / f"{table}.csv").write_text(csv("\n".join(lines)), encoding="utf-8")


def read(site: Site, *, now: int = NOW) -> Reading:
    return read_histories(site, now=now)


def returned(reading: Reading) -> list[tuple[str | None, int, str | None]]:
    """Each standing row of returns by id, quantity and when it was known."""
    table = reading.histories["returns"]
    known = [written(int(moment)) for moment in table.known]
    return sorted(zip(ids(reading, "returns", "return_id", "return"), table["quantity"].tolist(), known, strict=True))


def test_a_site_that_never_stored_anything_is_read_as_ever_and_gets_no_database(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    read(site)
    assert not site.state_dir.exists()


def test_a_second_ingest_changes_nothing(site: Site) -> None:
    before = content_hash(read(site).histories)
    assert ingested(site, now=NOW) == {"lots": (2, 0, 0), "returns": (1, 0, 0)}
    assert ingested(site, now=NOW + 1) == {}
    assert len(segments(site)) == 2
    assert content_hash(read(site).histories) == before


def test_what_a_source_says_anew_counts_at_once_and_is_stored_by_the_next_ingest(site: Site) -> None:
    ingested(site, now=NOW)
    say(site, "returns", HEADER, R1, R2, R2)
    counted = read(site)
    assert [name for name, *_ in returned(counted)] == ["R1", "R2"]
    assert ingested(site, now=NOW + SECOND) == {"returns": (1, 0, 0)}
    assert content_hash(read(site).histories) == content_hash(counted.histories)


def test_rows_that_vanish_from_a_source_stay(site: Site) -> None:
    say(site, "returns", HEADER, R1, R2)
    ingested(site, now=NOW)
    say(site, "returns", HEADER, R2)
    assert ingested(site, now=NOW + SECOND) == {}
    assert [name for name, *_ in returned(read(site))] == ["R1", "R2"]


def test_a_source_that_is_gone_is_told_and_what_was_stored_of_it_stays(site: Site) -> None:
    ingested(site, now=NOW)
    (site.folder / "returns.csv").unlink()
    reading = read(site)
    assert [name for name, *_ in returned(reading)] == ["R1"]
    assert "returns: the source of its 1 stored rows is gone" in reading.warnings[0]


def test_a_row_changed_in_place_is_a_version_from_the_moment_it_was_seen(site: Site) -> None:
    ingested(site, now=NOW)
    say(site, "returns", HEADER, R1.replace(",1,leak", ",5,leak"))
    assert ingested(site, now=NOW + SECOND) == {"returns": (0, 1, 0)}
    changed = ("R1", 5, written(NOW + SECOND))
    assert returned(read(site)) == [("R1", 1, "2024-04-03T12:00:00Z"), changed]
    assert ingested(site, now=NOW + 2 * SECOND) == {}
    say(site, "returns", HEADER, R1)
    assert ingested(site, now=NOW + 3 * SECOND) == {"returns": (0, 1, 0)}
    assert returned(read(site))[1:] == [("R1", 1, written(NOW + 3 * SECOND)), changed]
    assert ingested(site, now=NOW + 4 * SECOND) == {}


def test_a_row_with_a_later_known_time_of_its_own_is_a_version_as_it_says(site: Site) -> None:
    ingested(site, now=NOW)
    say(site, "returns", HEADER, R1.replace("2024-04-03 12:00,1", "2024-05-03 12:00,5"))
    assert ingested(site, now=NOW + SECOND) == {"returns": (1, 0, 0)}
    assert returned(read(site)) == [("R1", 1, "2024-04-03T12:00:00Z"), ("R1", 5, "2024-05-03T12:00:00Z")]


def test_a_source_that_writes_the_same_in_another_form_changed_nothing(site: Site) -> None:
    ingested(site, now=NOW)
    before = content_hash(read(site).histories)
    say(site, "returns", HEADER, R1.replace("2024-04-03 12:00,1", "2024-04-03T12:00:00Z,1.0"))
    assert ingested(site, now=NOW + SECOND) == {"returns": (1, 0, 0)}
    assert content_hash(read(site).histories) == before


def test_a_source_that_contradicts_itself_is_set_aside_as_ever(site: Site) -> None:
    ingested(site, now=NOW)
    say(site, "returns", HEADER, R1, R1.replace(",1,leak", ",5,leak"), R2)
    ingested(site, now=NOW + SECOND)
    reading = read(site)
    assert [name for name, *_ in returned(reading)] == ["R2"]
    assert len(reading.report["returns"].quarantine) == 2


def test_what_arrived_counts_before_and_after_it_is_folded(site: Site) -> None:
    ingested(site, now=NOW)
    row = {"return_id": "R9", "lot_id": "L1", "occurred_at": "2024-05-01", "reported_at": "2024-05-02", "quantity": 3}
    assert arrived(site, "returns", row, now=NOW + 1) == ["accepted"]
    waiting = read(site)
    assert returned(waiting)[1] == ("R9", 3, "2024-05-03T00:00:00Z")
    assert ingested(site, now=NOW + SECOND) == {"returns": (0, 0, 1)}
    assert content_hash(read(site).histories) == content_hash(waiting.histories)
    assert arrived(site, "returns", row, now=NOW + 2) == ["already_known"]
    assert ingested(site, now=NOW + 2 * SECOND) == {}
    again = read_histories_at(site, waiting.state, now=NOW)
    assert content_hash(again.histories) == content_hash(waiting.histories)


def test_a_row_that_arrived_and_is_then_in_the_source_counts_once(site: Site) -> None:
    ingested(site, now=NOW)
    row = {"return_id": "R2", "lot_id": "L1", "occurred_at": "2024-04-01T10:00:00Z"}
    row |= {"reported_at": "2024-04-04T12:00:00Z", "quantity": 2, "failure_mode": "leak"}
    arrived(site, "returns", row, now=NOW + 1)
    say(site, "returns", HEADER, R1, R2)
    assert ingested(site, now=NOW + SECOND) == {"returns": (1, 0, 1)}
    assert [name for name, *_ in returned(read(site))] == ["R1", "R2"]
    assert not len(read(site).report["returns"].quarantine)


def test_a_source_that_says_more_than_what_arrived_is_a_version_and_no_contradiction(site: Site) -> None:
    ingested(site, now=NOW)
    lot = {"lot_id": "L3", "product_id": "P1", "produced_at": "2024-03-03 08:00"}
    arrived(site, "lots", lot, now=NOW + 1)
    say(site, "lots", *LOTS.strip().splitlines(), "L3,P2,2024-03-03 08:00")
    assert ingested(site, now=NOW + SECOND) == {"lots": (0, 1, 1)}
    lots = read(site).histories["lots"]
    assert sorted(lots["lot_id"].tolist()) == [0, 1, 2, 2]


def test_only_what_was_stored_by_a_moment_is_read_whatever_came_in_since(site: Site) -> None:
    ingested(site, now=NOW)
    arrived(site, "returns", {"return_id": "R8", "lot_id": "L1", "deleted": True}, now=NOW + 1)
    row = {"return_id": "R9", "lot_id": "L1", "occurred_at": "2024-05-01", "reported_at": "2024-05-02"}
    arrived(site, "returns", row, now=NOW + 2)
    day = NOW + 3
    then = read(site, now=day)
    arrived(site, "returns", {"return_id": "R1", "deleted": True, "known_at": "2024-06-01"}, now=NOW + 4)
    say(site, "returns", HEADER, R1.replace(",1,leak", ",5,leak"), R2)
    ingested(site, now=NOW + SECOND)
    say(site, "returns", HEADER)
    reading = read_histories(site, now=NOW + DAY, ingested_by=day)
    assert content_hash(reading.histories) == content_hash(then.histories)
    assert content_hash(reading.histories) != content_hash(read(site).histories)


def test_a_reader_that_ignores_when_rows_came_in_is_caught(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.stored._came_before", lambda rows, moment: rows)
    with pytest.raises(AssertionError):
        test_only_what_was_stored_by_a_moment_is_read_whatever_came_in_since(site)


def test_a_day_before_anything_was_stored_is_told(site: Site) -> None:
    ingested(site, now=NOW)
    with pytest.raises(SettingsError, match="nothing had been stored by then"):
        read_histories(site, now=NOW, ingested_by=NOW)


def test_parquet_keeps_its_types_and_what_arrives_is_read_as_if_it_stood_there(tmp_path: Path) -> None:
    own = {
        "lot_id": pa.array(["L1", "L2"]),
        "product_id": pa.array(["P1", "P1"]).dictionary_encode(),
        "produced_at": pa.array([NOW - DAY, NOW - 2 * DAY], pa.timestamp("us", "Europe/Ljubljana")),
        "quantity": pa.array([5, 6], pa.int32()),
        "speed": pa.array([0.1, 2.5], pa.float32()),
        "press": pa.array(["A", None]),
        "night": pa.array([True, False]),
        "odd": pa.array(["x", "y"]),
    }
    sent = {"lot_id": "L3", "product_id": "P2", "produced_at": iso(NOW - 3 * DAY), "quantity": 7}
    sent |= {"speed": 0.30000000000000004, "press": "B", "night": True, "odd": "z"}
    read_in = {**sent, "produced_at": NOW - 3 * DAY, "night": 1}
    makes = {"speed": pa.float64(), "quantity": pa.int64(), "produced_at": pa.timestamp("us", "UTC")}
    flat = {
        name: pa.array(
            [*column.cast(makes[name]).to_pylist(), read_in[name]]
            if name in makes
            else [*column.to_pylist(), read_in[name]],
            makes.get(name, pa.bool_() if name == "night" else pa.string()),
        )
        for name, column in own.items()
        if name != "night"
    } | {"night": pa.array([1, 0, 1])}
    returns = pa.table(
        {"return_id": ["R1"], "lot_id": ["L1"], "occurred_at": ["2026-12-01"], "reported_at": pa.array(["2026-12-02"])}
    )
    site = write_site(tmp_path / "site", LABEL, lots="", returns="")
    pq.write_table(pa.table(own), site.folder / "lots.parquet")
    pq.write_table(returns, site.folder / "returns.parquet")
    ingested(site, now=NOW)
    arrived(site, "lots", sent, now=NOW + 1)
    expected = histories_of({"lots": pa.table(flat), "returns": returns}, site, now=NOW)
    assert content_hash(read(site).histories) == content_hash(expected.histories)
    ingested(site, now=NOW + SECOND)
    assert content_hash(read(site).histories) == content_hash(expected.histories)


def test_a_file_that_no_ingest_entered_is_put_aside_and_a_changed_one_is_told(site: Site) -> None:
    ingested(site, now=NOW)
    folder = site.state_dir / FOLDER
    (folder / "returns-0.parquet").write_bytes(b"half")
    (folder / ".new-0.parquet").write_bytes(b"ha")
    assert ingested(site, now=NOW + 1) == {}
    assert len(segments(site)) == 2 and (folder / ASIDE / "returns-0.parquet").exists()
    segments(site)[0].write_bytes(b"spoilt")
    with pytest.raises(SourceUnreachable, match="sha256"):
        read(site)


def test_a_database_that_does_not_answer_is_told(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    ingested(site, now=NOW)
    (site.state_dir / "lotrisk.db").write_bytes(b"no database at all, " * 100)
    with pytest.raises(DatabaseUnreachable):
        read(site)


class Told:
    """What is said to a site, and the flat table of all versions that it has to come to."""

    def __init__(self, folder: Path) -> None:
        self.site = write_site(folder, returns="\n".join([HEADER, R1]))
        self.now = NOW
        self.source: dict[str, dict[str, Any]] = {}
        self.seen: dict[str, dict[str, Any]] = {}
        self.known: dict[str, int] = {}
        self.flat: list[dict[str, Any]] = []
        self.minute = 0
        self.edit("R1x", 1)  # stays as it is

    def tick(self) -> str:
        """A moment in 2024 that was not taken before."""
        self.minute += 1
        return f"2024-06-{1 + self.minute // 1440:02}T{self.minute // 60 % 24:02}:{self.minute % 60:02}:00Z"

    def edit(self, name: str, quantity: int, *, later: bool = False) -> None:
        row = self.source.get(name) or {"return_id": name, "lot_id": f"L{name[1]}", "reported_at": self.tick()}
        self.source[name] = {**row, "quantity": quantity} | ({"reported_at": self.tick()} if later else {})
        self.write()

    def vanish(self, name: str) -> None:
        self.source.pop(name, None)
        self.write()

    def write(self) -> None:
        rows = [
            f"{r['return_id']},{r['lot_id']},2024-04-01,{r['reported_at']},{r['quantity']},leak"
            for r in self.source.values()
        ]
        say(self.site, "returns", HEADER, *rows)

    def arrive(self, name: str, quantity: int) -> None:
        self.now += SECOND
        row = {"return_id": name, "lot_id": f"L{name[1]}", "occurred_at": "2024-04-01", "reported_at": self.tick()}
        row |= {"failure_mode": "leak", "quantity": quantity}
        arrived(self.site, "returns", row, now=self.now)
        self.flat.append(row)

    def ingest(self) -> None:
        self.now += SECOND
        ingested(self.site, now=self.now)
        self.flat += self.pending(self.now)
        self.seen |= self.source

    def pending(self, moment: int) -> list[dict[str, Any]]:
        """Versions that the source adds to what was seen of it."""
        found = []
        for name, row in self.source.items():
            if self.seen.get(name) == row:
                continue
            full = {**row, "occurred_at": "2024-04-01", "failure_mode": "leak"}
            changed = name in self.seen and not row["reported_at"] > self.known.get(
                name, self.seen[name]["reported_at"]
            )
            if changed:
                full["known_at"] = iso(moment)
                self.known[name] = "9"
            found.append(full)
        return found

    def expected(self) -> str:
        rows = [*self.flat, *self.pending(self.now)]
        names = sorted({name for row in rows for name in row})
        returns = pa.table(
            {n: pa.array([None if (v := r.get(n)) is None else str(v) for r in rows], pa.string()) for n in names}
        )
        lots = pa.table(
            {n: [v, w] for n, v, w in zip(*(line.split(",") for line in csv(LOTS).strip().splitlines()), strict=True)}
        )
        return content_hash(histories_of({"lots": lots, "returns": returns}, self.site, now=NOW).histories)


NAMES = st.sampled_from(["R1", "R2", "R1b", "R9"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), NAMES, st.integers(1, 3)),
        st.tuples(st.just("later"), NAMES, st.integers(1, 3)),
        st.tuples(st.just("arrive"), NAMES, st.integers(1, 3)),
        st.tuples(st.just("vanish"), NAMES),
        st.tuples(st.just("ingest")),
        st.tuples(st.just("look")),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_any_order_of_edits_ingests_and_arrivals_is_one_flat_table_of_all_versions(
    steps: list[tuple[Any, ...]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        told = Told(Path(folder) / "site")
        looked: list[tuple[int, str]] = []
        states = []
        for step in [("ingest",), *steps, ("ingest",)]:
            match step:
                case ("edit", name, quantity):
                    told.edit(name, quantity)
                case ("later", name, quantity):
                    told.edit(name, quantity, later=True)
                case ("arrive", name, quantity):
                    told.arrive(name, quantity)
                case ("vanish", name):
                    told.vanish(name)
                case ("look",):
                    told.ingest()
                    reading = read_histories(told.site, now=told.now + 1)
                    looked.append((told.now + 1, content_hash(reading.histories)))
                    states.append(reading.state)
                case _:
                    told.ingest()
            if step[0] in ("ingest", "look"):
                assert content_hash(read_histories(told.site, now=told.now).histories) == told.expected()
        for (moment, seen), state in zip(looked, states, strict=True):
            assert content_hash(read_histories(told.site, now=NOW + DAY, ingested_by=moment).histories) == seen
            assert content_hash(read_histories_at(told.site, state, now=moment).histories) == seen


def test_a_store_that_reads_on_gives_what_one_that_begins_gives(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_PIECES", 2)
    ingested(site, now=NOW)
    with open_store(site) as store:
        before = store.all()
        for number in range(1, 6):
            say(site, "returns", HEADER, R1, *(R2.replace("R2", f"S{n}") for n in range(number)))
            row = {"return_id": f"A{number}", "lot_id": "L1", "occurred_at": "2024-04-01", "reported_at": "2024-04-03"}
            arrived(site, "returns", row, now=NOW + number * SECOND)
            ingested(site, now=NOW + number * SECOND)
            told = store.all()
            with open_store(site) as other:
                fresh = other.all()
            assert told == fresh and told.source["returns"].num_rows == 1 + number
            assert told.folded["returns"].num_rows == number
            assert (
                told.source["lots"] is before.source["lots"] and told.source["returns"] is not before.source["returns"]
            )
            assert store.all().source["returns"] is told.source["returns"]
            earlier = store.all(ingested_by=NOW + number * SECOND)
            assert earlier.source["returns"].num_rows == number
            before = store.all()
            assert before == told
