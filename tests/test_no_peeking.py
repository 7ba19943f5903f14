"""No peeking, from outside: what was not known by a moment changes no byte of what is trained or said as of it.

A site, a copy without the rows known at or after the moment, and one where those rows are absurd go through the real
commands. The moment is the known time of a row, and the corrections in the absurd copy are known at just that time.
"""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.csv
import pytest

from features.asof import Totals
from features.histories import Histories
from tests.command import done, few_trees, registry, with_registry
from tests.late_rows import (
    known_times,
    moments_of,
    read_tables,
    with_absurd_late_rows,
    without_late_rows,
    write_copy,
)
from tests.toy_model import MLFLOW_WARNS
from training.factory import TIMEZONE, make_factory

pytestmark = MLFLOW_WARNS
__all__ = ["few_trees", "registry"]

LOTS = 400
TODAY = date(2026, 9, 1)
ABOUT = datetime(2026, 5, 1, tzinfo=UTC)
AGAIN = '[decision]\nat = "shipped_at"\nagain_every = "120d"\n'
OUTCOMES = '[label]\nfrom = "outcomes"\n[decision]\nat = "produced_at"\n'


class Place:
    """Where the site, its two copies and all files of one question lie."""

    def __init__(self, folder: Path, moment: datetime, lots: list[str]) -> None:
        self.folder, self.moment = folder, moment.isoformat()
        (folder / "lots.txt").write_text("\n".join(lots), encoding="utf-8")

    def scores(self, name: str, kinds: tuple[str, ...] = ("csv", "parquet")) -> dict[str, bytes]:
        """All files of `lotrisk score`: the default list and named lots."""
        files = {}
        for kind in kinds:
            for chosen in ([], ["--lots", self.folder / "lots.txt"]):
                out = self.folder / f"scores.{kind}"
                done("score", self.folder / name, "--as-of", self.moment, "--out", out, *chosen)
                files["of lots." * bool(chosen) + out.name] = out.read_bytes()
        return files

    def models(self, name: str) -> dict[str, bytes]:
        """What `lotrisk train` says and writes, but for the fingerprints: those of the data include plans."""
        site = self.folder / name
        told = done("train", site, "--until", self.moment, "--json")
        bundle = site / ".lotrisk" / "bundles" / json.loads(told.out)["version"]
        card = json.loads((bundle / "card.json").read_text(encoding="utf-8"))
        said = {key: value for key, value in card.items() if key not in ("data", "code", "sha256")}
        files = {file: (bundle / file).read_bytes() for file in ("model.txt", "reference.parquet", "golden.json")}
        rate = (site / ".lotrisk" / "rate").read_bytes()
        return {**files, "card.json": json.dumps(said).encode(), "rate": rate, "train --json": told.out.encode()}

    def backtest(self, name: str) -> dict[str, bytes]:
        out = self.folder / "backtest.csv"
        start, site = "2025-10-01", self.folder / name
        done("backtest", site, "--from", start, "--until", self.moment, "--step", "400d", "--out", out)
        return {"backtest.csv": out.read_bytes()}

    def everything(self, name: str) -> dict[str, bytes]:
        """Scores by the shrunk rate, then the model, then scores by it, then the backtest."""
        by_rate = {f"{file} by the rate": content for file, content in self.scores(name, ("csv",)).items()}
        model = self.models(name)
        done("promote", self.folder / name, "1")
        return by_rate | model | self.scores(name) | self.backtest(name)


def assert_same(told: dict[str, bytes], expected: dict[str, bytes], copy: str) -> None:
    unlike = [name for name, content in expected.items() if told[name] != content]
    assert not unlike, f"{copy}: peeks in {', '.join(unlike)}"


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_factory(tmp_path_factory.mktemp("no peeking") / "factory", seed=0, today=TODAY, lots=LOTS)


def judged_again(factory: Path, folder: Path) -> Path:
    """The factory with lots that are judged again while they are at risk."""
    shutil.copytree(factory, folder)
    toml = (folder / "lotrisk.toml").read_text(encoding="utf-8")
    (folder / "lotrisk.toml").write_text(toml.replace('[decision]\nat = "shipped_at"', AGAIN), encoding="utf-8")
    return folder


def by_treatment(treatment: str) -> Callable[[Path, Path], Path]:
    """The factory, its young lots learned from in some way."""

    def made(factory: Path, folder: Path) -> Path:
        shutil.copytree(factory, folder)
        toml = (folder / "lotrisk.toml").read_text(encoding="utf-8")
        stated = toml.replace("[label]", f'[label]\ntreatment = "{treatment}"')
        (folder / "lotrisk.toml").write_text(stated, encoding="utf-8")
        return folder

    made.__name__ = treatment
    return made


def with_outcomes(factory: Path, folder: Path) -> Path:
    """The factory as one that tests its lots: outcomes in place of returns, one in ten corrected, and no shipments."""
    shutil.copytree(factory, folder)
    tables = read_tables(factory / "data")
    back = set(tables["returns"]["lot_id"].to_pylist())
    lots = tables["lots"].to_pylist()
    rows = [(lot["lot_id"], int(lot["lot_id"] in back), lot["produced_at"] + timedelta(days=60)) for lot in lots]
    rows += [(lot, 1 - failed, known + timedelta(days=45)) for lot, failed, known in rows[::10]]
    columns = dict(zip(("lot_id", "failed", "known_at"), map(list, zip(*rows, strict=True)), strict=True))
    pa.csv.write_csv(pa.table(columns), folder / "data" / "outcomes.csv")
    for name in ("returns", "shipments"):
        (folder / "data" / f"{name}.csv").unlink()
    site = f'[site]\nname = "tests"\ntimezone = "{TIMEZONE}"\ndata = "data"\n'
    toml = f"{site}{OUTCOMES}[decision.tier.A]\ncost_of_escape = 30000\n"
    (folder / "lotrisk.toml").write_text(toml, encoding="utf-8")
    return folder


def as_it_is(factory: Path, folder: Path) -> Path:
    shutil.copytree(factory, folder)
    return folder


def placed(factory: Path, folder: Path, registry: Path, make: Callable[[Path, Path], Path] = as_it_is) -> Place:
    """The site and its copies; named are lots of all ages, unknown ones too, but none that is known at the moment."""
    site = make(factory, folder / "whole")
    tables = read_tables(site / "data")
    news = moments_of("returns" if "returns" in tables else "inspections", tables, TIMEZONE)
    moment = next(told for told in news if told >= ABOUT)
    made = dict(zip(tables["lots"]["lot_id"].to_pylist(), known_times("lots", tables, TIMEZONE), strict=True))
    write_copy(site, folder / "without", without_late_rows(tables, moment, TIMEZONE))
    write_copy(site, folder / "absurd", with_absurd_late_rows(tables, moment, TIMEZONE))
    for name in ("whole", "without", "absurd"):
        with_registry(folder / name, registry)
    return Place(folder, moment, [*(lot for lot in list(made)[::4] if made[lot] != moment), "TEST-RUN", "nobody's"])


WAYS = [as_it_is, judged_again, with_outcomes, *map(by_treatment, ("weight", "count"))]


@pytest.mark.parametrize("make", WAYS, ids=lambda make: make.__name__)
def test_what_is_not_known_by_a_moment_changes_nothing(
    factory: Path, registry: Path, tmp_path: Path, make: Callable[[Path, Path], Path]
) -> None:
    place = placed(factory, tmp_path, registry, make)
    expected = place.everything("whole")
    assert expected["scores.csv"].count(b"\n") > 5
    assert expected["backtest.csv"].count(b"lightgbm") > 20
    for copy in ("without", "absurd"):
        assert_same(place.everything(copy), expected, copy)


def test_the_copies_are_what_they_are_called(factory: Path, tmp_path: Path) -> None:
    tables = read_tables(factory / "data")
    moment = next(told for told in moments_of("returns", tables, TIMEZONE) if told >= ABOUT)
    without, wild = (make(tables, moment, TIMEZONE) for make in (without_late_rows, with_absurd_late_rows))
    for name, table in tables.items():
        known = known_times(name, tables, TIMEZONE)
        late = [place for place, told in enumerate(known) if told is not None and told >= moment]
        assert without[name].num_rows == table.num_rows - len(late)
        assert max((m for m in known_times(name, without, TIMEZONE) if m), default=ABOUT) < moment
        corrections = wild[name].num_rows - table.num_rows
        assert corrections > 0
        assert known_times(name, wild, TIMEZONE).count(moment) >= corrections
    assert len(without["returns"]) < len(tables["returns"])


@pytest.fixture(scope="module")
def trained(factory: Path, registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A site and its copies that all score with one model."""
    place = placed(factory, tmp_path_factory.mktemp("trained"), registry)
    place.models("whole")
    done("promote", place.folder / "whole", "1")
    for copy in ("without", "absurd"):
        shutil.copytree(place.folder / "whole" / ".lotrisk", place.folder / copy / ".lotrisk", dirs_exist_ok=True)
    return place


def test_a_look_up_that_takes_what_is_known_at_as_of_is_caught(trained: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    strictly = Totals.before
    monkeypatch.setattr(Totals, "before", lambda self, who, as_of, *a, **k: strictly(self, who, as_of + 1, *a, **k))
    with pytest.raises(AssertionError, match=r"absurd: peeks in scores\.csv"):
        assert_same(trained.scores("absurd"), trained.scores("whole"), "absurd")


def test_training_on_what_is_known_at_until_is_caught(trained: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    strictly = Histories.known_before
    monkeypatch.setattr(Histories, "known_before", lambda self, moment: strictly(self, moment + 1))
    with pytest.raises(AssertionError, match=r"absurd: peeks in model\.txt"):
        assert_same(trained.models("absurd"), trained.models("whole"), "absurd")


def test_a_site_that_claims_to_have_known_of_its_returns_at_once_is_caught(trained: Place, tmp_path: Path) -> None:
    for name in ("whole", "without"):
        shutil.copytree(trained.folder / name, tmp_path / name)
        with (tmp_path / name / "lotrisk.toml").open("a", encoding="utf-8") as toml:
            toml.write("[tables.returns]\n")
            toml.write("query = \"select * replace (occurred_at as reported_at) from read_csv('returns.csv')\"\n")
    shutil.copy(trained.folder / "lots.txt", tmp_path)
    place = Place(tmp_path, datetime.fromisoformat(trained.moment), ["L000001"])
    with pytest.raises(AssertionError, match=r"without: peeks in scores\.csv"):
        assert_same(place.scores("without"), place.scores("whole"), "without")


def test_a_return_moved_from_a_lot_not_yet_made_is_as_if_it_came_when_it_was_moved(
    factory: Path, registry: Path, tmp_path: Path
) -> None:
    """The first booking is of an unknown lot, as known then: the later making of that lot must not date it back."""
    tables = read_tables(factory / "data")
    made = sorted(zip(known_times("lots", tables, TIMEZONE), tables["lots"]["lot_id"].to_pylist(), strict=True))
    (_, early), (_, late) = made[len(made) // 2], made[-1]
    moved = {
        "return_id": ["R-MOVED"] * 2,
        "lot_id": [late, early],
        "occurred_at": ["2026-01-10"] * 2,
        "reported_at": ["2026-01-12T09:00:00Z"] * 2,
        "quantity": ["400"] * 2,
        "known_at": ["2026-01-12T09:00:00Z", "2026-03-03T09:00:00Z"],
    }
    tables["returns"] = pa.concat_tables([tables["returns"], pa.table(moved)], promote_options="default")
    site = write_copy(factory, tmp_path / "moved", tables)
    place = placed(site, tmp_path, registry)
    assert_same(place.models("without"), place.models("whole"), "without")


def test_a_lot_made_at_the_moment_but_known_later_is_not_there_yet(factory: Path, tmp_path: Path) -> None:
    tables = read_tables(factory / "data")
    lots = tables["lots"]
    local = datetime(2026, 4, 1, 10)  # noqa: DTZ001
    told = [None] * lots.num_rows
    row = next(place for place, value in enumerate(lots["produced_at"].to_pylist()) if value > local)
    produced, told[row] = lots["produced_at"].to_pylist(), "2026-06-01T00:00:00Z"
    produced[row] = local
    place_of = lots.column_names.index("produced_at")
    lots = lots.set_column(place_of, "produced_at", pa.array(produced, lots["produced_at"].type))
    tables["lots"] = lots.append_column("known_at", pa.array(told))
    site = write_copy(factory, tmp_path / "site", tables)
    (tmp_path / "lots.txt").write_text(lots["lot_id"][row].as_py(), encoding="utf-8")
    as_of, out = local.replace(tzinfo=ZoneInfo(TIMEZONE)).isoformat(), tmp_path / "out.csv"
    done("score", site, "--as-of", as_of, "--lots", tmp_path / "lots.txt", "--out", out)
    assert pa.csv.read_csv(out).to_pylist()[0]["risk"] is None
