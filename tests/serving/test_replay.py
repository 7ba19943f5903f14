"""A decision is made once more by the bundle that made it, whatever has its number now."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from features.bundle import read_bundle, write_bundle
from features.doubt import Doubt
from features.errors import BundleRefused
from features.site import Site
from serving.actors import REGISTRY
from serving.audit import entries
from serving.record import Record
from serving.registry import follow
from serving.replay import replay
from tests.serving.counter import LOT, Counter, counter_over
from tests.serving.fitted import copied
from tests.serving.gate_desk import NOW


class Page(list[Any]):
    token = None


class Elsewhere:
    """A registry that gives the number 1, its champion, to the bundle in a folder."""

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle
        self._version = SimpleNamespace(
            version="1", run_id="run", tags={"card_sha256": read_bundle(bundle).card_sha256}
        )

    def get_registered_model(self, _name: str) -> Any:
        return SimpleNamespace(aliases={"champion": "1"})

    def search_model_versions(self, _filter: str, page_token: str | None = None) -> Page:
        return Page([self._version])

    def get_model_version(self, _name: str, _number: str) -> Any:
        return self._version

    def list_artifacts(self, _run_id: str, path: str) -> list[Any]:
        return [SimpleNamespace(path=f"{path}/card.json")]

    def download_artifacts(self, _run_id: str, path: str, to: str) -> None:
        shutil.copytree(self._bundle, Path(to) / path)


@pytest.fixture
def counter(factory: Path, tmp_path: Path) -> Iterator[Counter]:
    yield from counter_over("sqlite", copied(factory, tmp_path / "valves"))


def of_the_same_number(site: Site, folder: Path, **changed: Any) -> Path:
    """Another bundle of version 1."""
    bundle = read_bundle(site.state_dir / "bundles" / "1")
    golden = np.column_stack([bundle.reference[name].to_numpy() for name in bundle.card.names])[:8]
    card = replace(bundle.card, **changed)
    text = (bundle.folder / "model.txt").read_text(encoding="utf-8")
    write_bundle(folder, model_text=text, card=card, reference=bundle.reference, golden=golden)
    return folder


def taken_over(counter: Counter, bundle: Path) -> None:
    site, record = counter.site, Record(counter.site.database_url, REGISTRY, NOW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.registry.client_of", lambda *_: Elsewhere(bundle))
        assert follow(site.name, tracking_uri="http://there", state_dir=site.state_dir, record=record) == "1"
    counter.load()


@pytest.mark.parametrize(
    "changed",
    [
        {"calibration": {"kind": "platt", "slope": 0.7, "intercept": 0.5}},
        {"doubt": Doubt(((0.0, 0.0, 0.2), (1.0, 0.5, 1.0)), "another").as_dict()},
    ],
    ids=["another risk", "the same files but for the card"],
)
def test_a_decision_of_a_bundle_whose_number_another_registry_took_is_made_again(
    changed: dict[str, Any], counter: Counter, tmp_path: Path
) -> None:
    before = counter.ask({"lot_id": LOT})
    own = read_bundle(counter.site.state_dir / "bundles" / "1")
    other = of_the_same_number(counter.site, tmp_path / "other", **changed)
    taken_over(counter, other)
    after = counter.ask({"lot_id": LOT})
    assert before["results"] != after["results"]
    for answer in (before, after):
        assert answer["model_version"] == "1"
        assert replay(counter.site, counter.service.engine, answer["audit_id"]).differs == []
    models = [entry.body["model"]["card_sha256"] for entry in entries(counter.service.engine, kind="decision")]
    (moved,) = entries(counter.service.engine, kind="promotion")
    assert (moved.actor, moved.body["version"], moved.body["previous"]) == (REGISTRY, "1", "1")
    assert [moved.body["previous_card_sha256"], moved.body["card_sha256"]] == models
    assert models == [own.card_sha256, read_bundle(other).card_sha256]


def test_a_decision_whose_bundle_is_gone_is_not_made_again_by_another(counter: Counter, tmp_path: Path) -> None:
    answer = counter.ask({"lot_id": LOT})
    taken_over(counter, of_the_same_number(counter.site, tmp_path / "other", figures={"told": 1}))
    (aside,) = (counter.site.state_dir / "bundles").glob(".1-*")
    (aside / "model.txt").write_text("spoilt")
    with pytest.raises(BundleRefused, match=r"no bundle of version 1 .* decided; .*model\.txt is not the file"):
        replay(counter.site, counter.service.engine, answer["audit_id"])
