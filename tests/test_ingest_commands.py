"""`lotrisk ingest` and `lotrisk train --ingested-by` as they are called: the training table of a day, whatever came."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from features.card import iso
from features.content_hash import content_hash
from features.errors import LotRiskError
from features.reading import read_histories
from features.site import read_site
from tests.command import done, few_trees, lotrisk, registry, with_registry
from tests.stored_site import arrived, clock
from tests.toy_model import MLFLOW_WARNS
from training.factory import make_factory
from training.fingerprint import fingerprints

pytestmark = MLFLOW_WARNS
__all__ = ["few_trees", "registry"]

UNTIL = "2026-05-01T06:30:00Z"


@pytest.fixture(scope="module")
def site(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A factory whose histories are stored."""
    made = make_factory(tmp_path_factory.mktemp("site") / "valves", seed=0, today=date(2026, 9, 1), lots=400)
    with_registry(made, registry)
    told = json.loads(done("ingest", made, "--json").out)["tables"]
    assert {one["table"] for one in told if one["new"]} >= {"lots", "returns", "genealogy"}
    return made


def counts(site: Path) -> list[dict[str, Any]]:
    told = json.loads(done("ingest", site, "--json").out)["tables"]
    return [one for one in told if one["new"] or one["changed"] or one["folded"]]


def trained(site: Path, *options: Any) -> dict[str, Any]:
    version = json.loads(done("train", site, "--until", UNTIL, *options, "--json").out)["version"]
    text = (site / ".lotrisk" / "bundles" / version / "card.json").read_text(encoding="utf-8")
    return {**json.loads(text), "model": (site / ".lotrisk" / "bundles" / version / "model.txt").read_bytes()}


def change_everything(site: Path) -> None:
    """A complaint changed in place, one more, a correction and a deletion that arrive."""
    returns = site / "data" / "returns.csv"
    lines = returns.read_text(encoding="utf-8").splitlines()
    fields = lines[1].split(",")
    quantity = lines[0].split(",").index("quantity")
    lines[1] = ",".join([*fields[:quantity], str(int(fields[quantity] or 1) + 900), *fields[quantity + 1 :]])
    lines.append(lines[2].replace(lines[2].split(",")[0], "R-NEW"))
    returns.write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = read_site(site, {})
    row = {"return_id": lines[3].split(",")[0], "deleted": True, "known_at": "2025-01-01"}
    assert arrived(settings, "returns", row, now=clock()) == ["accepted"]


def test_a_second_run_changes_nothing_and_check_score_and_train_read_what_is_stored(site: Path) -> None:
    assert counts(site) == []
    assert "0 new" in done("ingest", site).out
    card = trained(site)
    assert len(card["stored"]["segments"]) >= 5 and card["stored"]["ingested_by"] is None
    page = site / ".lotrisk" / "bundles" / card["version"] / "card.html"
    assert not page.exists() or card["stored"]["sha256"] in page.read_text(encoding="utf-8")


def test_the_training_table_of_a_day_is_the_same_whatever_came_in_since(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "valves"
    shutil.copytree(site, own)
    settings = read_site(own, {})
    arrived(settings, "returns", {"return_id": "R-DAY", "deleted": True}, now=clock())
    day = clock() + 1
    then = trained(own, "--ingested-by", iso(day))
    table = content_hash(read_histories(settings, now=day).histories)
    change_everything(own)
    assert {one["table"]: one["changed"] for one in counts(own)} == {"returns": 1}
    shutil.rmtree(own / "data")
    again = trained(own, "--ingested-by", iso(day))
    same = ("data", "model", "label", "figures", "layout")
    assert {name: then[name] for name in same} == {name: again[name] for name in same}
    assert then["stored"]["sha256"] == again["stored"]["sha256"]
    assert again["stored"]["arrivals"] == {"last": 1, "rows": 1}
    assert content_hash(read_histories(settings, now=clock(), ingested_by=day).histories) == table
    now = read_histories(settings, now=clock())
    assert fingerprints(now.histories)["returns"] != fingerprints(read_then(settings, day))["returns"]
    monkeypatch.setattr("features.stored._came_before", lambda rows, moment: rows)
    assert content_hash(read_then(settings, day)) != table  # a reader that ignores when rows came in is caught


def read_then(settings: Any, day: int) -> Any:
    return read_histories(settings, now=clock(), ingested_by=day).histories


def test_a_day_that_nobody_can_know_yet_is_told(site: Path) -> None:
    ran = lotrisk("train", site, "--until", UNTIL, "--ingested-by", "2100-01-01")
    assert ran.status == 2 and "lies in the future" in ran.err
    ran = lotrisk("train", site, "--until", UNTIL, "--ingested-by", "2020-01-01")
    assert ran.status == 2 and "nothing had been stored by then" in ran.err


def test_a_site_without_stored_histories_has_none_on_its_card(registry: Path, tmp_path: Path) -> None:
    site = make_factory(tmp_path / "valves", seed=0, today=date(2026, 9, 1), lots=400)
    with_registry(site, registry)
    assert trained(site)["stored"] == {}
    with pytest.raises(LotRiskError, match="nothing had been stored"):
        read_then(read_site(site, {}), clock())
