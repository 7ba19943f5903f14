"""What a customer wrote and had erased: where it stood, nobody reads it or tries it out, whatever went on meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from features import ingest
from features.arrivals import read_arrivals
from features.catalogue import ARRIVALS
from features.database import writing
from features.errors import LotRiskError, SourceUnreachable
from features.ingest import ASIDE
from features.output import to_json
from features.site import Site
from features.stored import ARRIVAL, FOLDER, open_store
from serving import erasure
from serving.audit import append, entry_of, salted
from serving.audit_check import Checked, check_audit
from serving.erasure import FREE_TEXT, erase
from serving.migrate import migrate
from tests.command import done
from tests.serving.unsteady import postgres_schema
from tests.small_site import NOW, write_site
from tests.stored_site import arrived, ingested, segments

TEXT = "Ms Novak says it hisses"
ROW = {"return_id": "R8", "lot_id": "L1", "occurred_at": "2024-04-02", "reported_at": "2024-04-05T08:00:00Z"}
ROW |= {"quantity": 3}
SAID = ROW | {"description": TEXT}
OTHER = ROW | {"return_id": "R9", "description": "It leaks"}


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = write_site(tmp_path / "site")
    if request.param == "sqlite":
        yield made
    else:
        with postgres_schema() as url:
            yield replace(made, database_url=url)


def erased(site: Site, table: str = "returns", key: str = "R8") -> dict[str, Any]:
    with open_store(site) as store:
        return erase(store, table=table, key=key, reason="asked for", actor="me", at=NOW)


def digests(site: Site) -> list[bytes]:
    with open_store(site) as store, store.engine.connect() as connection:
        return list(connection.execute(sa.select(ARRIVALS.c.digest).order_by(ARRIVALS.c.id)).scalars())


def digest(row: dict[str, Any], table: str = "returns") -> bytes:
    """As a guess at what somebody wrote is tried out."""
    ((_, arrival),), _ = read_arrivals(table, [row], known_attributes=None, timezone="UTC", now=NOW)
    return arrival.digest


def folded(site: Site) -> list[tuple[str, str | None]]:
    """Each return that arrived and stands in a segment, with its description."""
    rows = [row for path in segments(site) for row in pq.read_table(path).to_pylist() if ARRIVAL in row]
    return sorted((row["return_id"], row.get("description")) for row in rows)


@contextmanager
def once_before_a_fold_is_entered(do: Callable[[], Any]) -> Iterator[list[Any]]:
    """`do` is done between a fold's file and its row; what came of it."""
    written, came = ingest._written, list[Any]()

    def meanwhile(folder: Path, name: str, rows: Any) -> Any:
        made = written(folder, name, rows)
        if ARRIVAL in rows.column_names and not came:
            came.append(None)
            came[0] = do()
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "_written", meanwhile)
        yield came


def test_what_is_erased_while_rows_are_folded_stands_in_no_segment(site: Site) -> None:
    arrived(site, "returns", SAID, OTHER, now=NOW)
    with once_before_a_fold_is_entered(lambda: erased(site)) as came:
        assert ingested(site, now=NOW + 1)["returns"] == (1, 0, 2)
    assert came[0]["rows"] == 1
    assert folded(site) == [("R8", None), ("R9", "It leaks")]
    assert not (site.state_dir / FOLDER / ASIDE).exists()


def test_rows_that_two_fold_at_once_are_in_one_segment(site: Site) -> None:
    """As another machine would, which a lock in a folder does not keep away."""
    arrived(site, "returns", OTHER, now=NOW)

    def other() -> dict[str, int]:
        with open_store(site) as store:
            return ingest._fold(store, site.state_dir / FOLDER, NOW)

    with once_before_a_fold_is_entered(other) as came:
        assert ingested(site, now=NOW + 1)["returns"] == (1, 0, 0)
    assert came == [{"returns": 1}]
    assert folded(site) == [("R9", "It leaks")]


def test_erasing_leaves_the_log_good_and_the_hash_of_nothing(site: Site) -> None:
    migrate(site.database_url)
    with open_store(site) as store:
        with writing(store.engine) as connection:
            stands = salted(connection, TEXT, table="returns", key="R8")
            other = salted(connection, "Another", table="returns", key="R9")
            append(connection, kind="arrivals", actor="me", body={"texts": [stands, other]}, at=NOW)
        assert erased(site) == {"audit_id": 2, "salts": 1, "rows": 0, "digests": 0}
        assert check_audit(store.engine, site.state_dir) == Checked(2, 2, 0, 1)
        entry = entry_of(store.engine, 2)
    assert entry is not None and entry.kind == "erasure" and entry.body["erased"] == [stands]
    assert entry.body["reason"] == "asked for"
    with pytest.raises(LotRiskError, match=r"returns R8: neither a salt .* Not reached: what the sources say"):
        erased(site)


@pytest.mark.parametrize("is_folded", [False, True], ids=["waiting", "folded"])
def test_a_text_that_was_erased_cannot_be_tried_out_against_its_row(is_folded: bool, site: Site) -> None:
    corrected = {"known_at": "2024-05-01", "quantity": 4}
    arrived(site, "returns", SAID, OTHER, SAID | corrected, now=NOW)
    if is_folded:
        ingested(site, now=NOW + 1)
    before = digests(site)
    assert before == [digest(SAID), digest(OTHER), digest(SAID | corrected)]
    done = erased(site)
    assert (done["rows"], done["digests"]) == (0 if is_folded else 2, 2)
    assert digests(site) == [digest(ROW), digest(OTHER), digest(ROW | corrected)]
    assert arrived(site, "returns", ROW, OTHER, now=NOW + 2) == ["already_known"] * 2
    assert "says something else" in arrived(site, "returns", SAID, now=NOW + 2)[0]
    with pytest.raises(LotRiskError, match="neither a salt"):
        erased(site)


def test_rows_that_are_folded_while_an_erasure_looks_for_them_are_reached(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived(site, "returns", OTHER, now=NOW)
    ingested(site, now=NOW + 1)
    arrived(site, "returns", SAID, now=NOW + 2)

    @contextmanager
    def after_a_fold(engine: sa.Engine) -> Iterator[sa.Connection]:
        ingested(site, now=NOW + 3)
        with writing(engine) as connection:
            yield connection

    monkeypatch.setattr(erasure, "writing", after_a_fold)
    done = erased(site)
    assert (done["rows"], done["digests"]) == (0, 1)
    assert digests(site) == [digest(OTHER), digest(ROW)]


def test_what_a_version_of_before_erased_is_made_good_by_erasing_again(site: Site) -> None:
    arrived(site, "returns", SAID, now=NOW)
    with open_store(site) as store, writing(store.engine) as connection:
        connection.execute(ARRIVALS.update().values(row=to_json(ROW | {"description": None})))
    done = erased(site)
    assert (done["rows"], done["digests"], digests(site)) == (0, 1, [digest(ROW)])


WHOLE = {
    "returns": ROW | {"customer_id": "C1", "failure_mode": "leak", "severity": "high"},
    "actions": {
        "action_id": "A1",
        "scope": "P1",
        "opened_at": "2024-04-02T08:00:00+02:00",
        "effective_at": "2024-05-01",
    }
    | {"closed_at": "2024-06-01 10:00"},
    "surveys": {"answered_at": "2024-04-02", "customer_id": "C/1", "product_id": 7, "kind": "nps", "score": 9},
}
KEYS = {"returns": "R8", "actions": "A1", "surveys": "2024-04-02/C/1/7/nps"}
WORDS = {"returns": "description", "actions": "title", "surveys": "comment"}


@pytest.mark.parametrize("table", FREE_TEXT)
def test_a_folded_row_is_found_as_it_was_sent(table: str, site: Site) -> None:
    assert FREE_TEXT[table] == (WORDS[table],)
    more = {"known_at": "2024-07-01"}
    arrived(site, table, WHOLE[table], WHOLE[table] | more | {WORDS[table]: TEXT}, now=NOW)
    ingested(site, now=NOW + 1)
    assert erased(site, table, KEYS[table])["digests"] == 1
    assert digests(site) == [digest(WHOLE[table], table), digest(WHOLE[table] | more, table)]


def test_with_a_segment_gone_nothing_is_erased_and_it_is_told(site: Site) -> None:
    arrived(site, "returns", SAID, now=NOW)
    ingested(site, now=NOW + 1)
    for path in segments(site):
        path.unlink()
    with pytest.raises(SourceUnreachable, match="put it back from a backup"):
        erased(site)
    assert digests(site) == [digest(SAID)]


def test_the_command_says_what_it_erased_and_what_it_does_not_reach(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    arrived(site, "returns", SAID, now=NOW)
    ingested(site, now=NOW + 1)
    arrived(site, "returns", SAID | {"known_at": "2024-05-01"}, now=NOW + 2)
    told = done("audit", "erase", site.folder, "--table", "returns", "--key", "R8", "--reason", "asked for").out
    assert "text of 1 rows not folded, 2 hashes of rows with their text" in told and "Not reached: " in told


def test_a_reader_that_goes_on_reads_no_erased_text_again(site: Site) -> None:
    arrived(site, "returns", SAID, now=NOW)
    with open_store(site) as store:
        assert store.all().unfolded["returns"]["description"].to_pylist() == [TEXT]
        erased(site)
        assert TEXT not in str(store.all().unfolded["returns"].to_pylist())
