"""What the keeper reads: with each arrival only what changed is made again, and it is what a fresh reading makes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.asof import SECOND
from features.card import iso
from features.champion import read_scorer
from features.content_hash import content_hash
from features.database import open_database
from features.errors import DatabaseUnreachable
from features.histories import Histories
from features.reading import read_histories
from features.score import Policy, Scored, question, score
from features.site import Site, read_site
from serving.intake import Intake
from serving.loaded import warm
from tests.serving.fitted import copied
from tests.stored_site import arrived, clock, ingested


@pytest.fixture
def site(factory: Path, tmp_path: Path) -> Site:
    return read_site(copied(factory, tmp_path / "valves"), {})


@pytest.fixture
def intake(site: Site) -> Iterator[Intake]:
    engine = open_database(site.database_url)
    yield Intake(site, engine)
    engine.dispose()


def scores(site: Site, histories: Histories, now: int) -> Scored:
    lots = np.arange(0, len(histories.ids["lot"]) - 1, 3)
    asked = question(histories, lots, np.full(len(lots), now))
    return score(read_scorer(site.state_dir), histories, Policy.of(site), asked)


def rows(number: int, now: int) -> list[tuple[str, dict[str, Any]]]:
    lot = {"lot_id": f"N{number}", "product_id": "P01", "produced_at": iso(now - 9 * SECOND), "quantity": 5}
    back = {"return_id": f"N{number}", "lot_id": "L000300", "occurred_at": "2026-08-20", "reported_at": "2026-08-24"}
    use = {"lot_id": "L000300", "supplier_lot_id": f"new supplier lot {number}", "consumed_at": "2026-05-01"}
    return [
        ("returns", back),
        ("lots", lot),
        ("returns", {**back, "return_id": f"M{number}", "lot_id": f"later {number}"}),
        ("genealogy", use),
        ("returns", {"return_id": f"N{number}", "deleted": True}),
    ]


def test_each_arrival_makes_what_a_fresh_reading_makes(site: Site, intake: Intake) -> None:
    now = clock()
    warm(read_scorer(site.state_dir), intake.refresh(now).histories, Policy.of(site), now=now)
    assert intake.look(now) is None
    for number in range(2):
        for table, row in rows(number, now):
            now += SECOND
            assert arrived(site, table, row, now=now, names=()) == ["accepted"]
            reading = intake.look(now)
            assert reading is not None
            fresh = read_histories(site, now=now)
            assert content_hash(reading.histories) == content_hash(fresh.histories)
            ours, theirs = scores(site, reading.histories, now), scores(site, fresh.histories, now)
            assert ours.risk.tobytes() == theirs.risk.tobytes() and ours.warnings == theirs.warnings
            assert np.array_equal(ours.vectors, theirs.vectors, equal_nan=True)
            assert (reading.state, reading.report["returns"].read) == (fresh.state, fresh.report["returns"].read)
    ingested(site, now=now + SECOND)
    folded = intake.look(now + SECOND)
    assert folded is not None and content_hash(folded.histories) == content_hash(fresh.histories)


def test_only_what_was_made_of_tables_that_are_the_same_is_taken_over(site: Site, intake: Intake) -> None:
    now = clock()
    first = intake.refresh(now).histories
    warm(read_scorer(site.state_dir), first, Policy.of(site), now=now)
    arrived(site, "returns", rows(0, now)[0][1], now=now)
    second = intake.look(now)
    assert second is not None and second.histories["lots"] is first["lots"]
    assert "lots" in second.histories._made and "units by lot" not in second.histories._made
    went = {key for key in first._made if key[0] == "shipped"}
    assert went and all(second.histories._made[key] is first._made[key] for key in went)
    assert not [key for key in second.histories._made if key[0] == "came back"]
    stranger = replace(first["lots"])
    other = Histories({**first.tables, "lots": stranger}, first.ids)
    other.take_over(first)
    assert "lots" not in other._made


def test_who_starts_while_the_database_is_gone_takes_nothing_from_what_is_served(site: Site, intake: Intake) -> None:
    now = clock()
    intake.refresh(now)
    aside = (site.state_dir / "lotrisk.db").rename(site.state_dir / "away.db")
    engine = open_database(site.database_url)
    started = Intake(site, engine, served=True)
    with pytest.raises(DatabaseUnreachable):
        started.refresh(now + SECOND)
    aside.rename(site.state_dir / "lotrisk.db")
    assert started.refresh(now + 2 * SECOND).state.segments > 0
    engine.dispose()


def test_a_database_that_is_gone_leaves_what_was_read_of_it(site: Site, intake: Intake) -> None:
    now = clock()
    intake.refresh(now)
    arrived(site, "returns", rows(0, now)[0][1], now=now)
    reading = intake.look(now)
    assert reading is not None
    aside = (site.state_dir / "lotrisk.db").rename(site.state_dir / "away.db")
    gone = intake.refresh(now + SECOND)
    assert content_hash(gone.histories) == content_hash(reading.histories)
    assert "sources alone" in intake.fault and gone.state.segments == 0
    assert intake.look(now) is None
    aside.rename(site.state_dir / "lotrisk.db")
    assert intake.look(now) is None
    healed = intake.refresh(now + 2 * SECOND)
    assert (healed.state.arrivals, intake.fault) == (1, "")
    assert content_hash(healed.histories) == content_hash(reading.histories)


def test_sources_that_were_read_without_the_database_are_stored_when_it_is_back(site: Site, intake: Intake) -> None:
    now = clock()
    intake.refresh(now)
    aside = (site.state_dir / "lotrisk.db").rename(site.state_dir / "away.db")
    with (site.data[0] / "returns.csv").open("a", encoding="utf-8") as file:
        file.write("R9,L000300,C01,2026-08-20,2026-08-24T10:00:00+02:00,50,weak_pull,Weak,high,,\n")
    gone = intake.refresh(now + SECOND)
    assert not intake.healed
    aside.rename(site.state_dir / "lotrisk.db")
    arrived(site, "returns", rows(0, now)[0][1], now=now)
    assert intake.look(now + 2 * SECOND) is not None and intake.healed  # an arrival alone does not store them
    healed = intake.refresh(now + 3 * SECOND)
    assert len(healed.histories["returns"].known) == len(gone.histories["returns"].known) + 1
    assert not intake.healed
