"""What a customer wrote and had erased: where it stood, nobody reads it or tries it out, whatever went on meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from features import ingest
from features.ingest import ASIDE
from features.site import Site
from features.stored import ARRIVAL, FOLDER, open_store
from serving.erasure import erase
from tests.serving.unsteady import postgres_schema
from tests.small_site import NOW, write_site
from tests.stored_site import arrived, ingested, segments

TEXT = "Ms Novak says it hisses"
ROW = {"return_id": "R8", "lot_id": "L1", "occurred_at": "2024-04-02", "reported_at": "2024-04-05T08:00:00Z"}
ROW |= {"quantity": 3}
OTHER = ROW | {"return_id": "R9", "description": "It leaks"}


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = write_site(tmp_path / "site")
    if request.param == "sqlite":
        yield made
    else:
        with postgres_schema() as url:
            yield replace(made, database_url=url)


def erased(site: Site) -> dict[str, Any]:
    with open_store(site) as store:
        return erase(store.engine, table="returns", key="R8", reason="asked for", actor="me", at=NOW)


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
    arrived(site, "returns", ROW | {"description": TEXT}, OTHER, now=NOW)
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


def test_a_reader_that_goes_on_reads_no_erased_text_again(site: Site) -> None:
    arrived(site, "returns", ROW | {"description": TEXT}, now=NOW)
    with open_store(site) as store:
        assert store.all().unfolded["returns"]["description"].to_pylist() == [TEXT]
        erased(site)
        assert TEXT not in str(store.all().unfolded["returns"].to_pylist())
