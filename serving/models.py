"""The model versions on this machine, by their cards: what `/v1/models` says with the registry gone."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from features.card import ModelCard, iso
from features.errors import BundleRefused
from serving.because import kept, why
from serving.loaded import Loaded
from serving.problems import Problem


def model_versions(state_dir: Path, *, site: str, now: Loaded, fault: str) -> dict[str, Any]:
    """The wire shape, by what a worker has loaded. `fault`: why its challenger fails to score, "": it does not."""
    scorer = now.scorer
    serving = None if scorer is None or scorer.bundle is None else scorer.version
    reasons = kept(state_dir)
    folder = state_dir / "bundles"
    found = [path for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []
    versions = []
    for path in sorted(found, key=lambda path: -int(path.name)):
        said = _card(path / "card.json", _changed(path / "card.json"))
        marks = {"champion": path.name == now.champion, "serving": path.name == serving}
        marks["challenger"] = path.name == now.challenger.version
        marks["card"] = _card_file(state_dir, path.name).is_file()
        given = {name: reason or None for name, reason in why(reasons.get(path.name, {})).items()}
        versions.append({"version": path.name, **marks, **said, **given})
    return {
        "site": site,
        "champion": now.champion or None,
        "challenger": now.challenger.version or None,
        "serving": serving,
        "rate": None if scorer is None else scorer.rate,
        "problem": now.refused or None,
        "challenger_problem": now.challenger.refused or fault or None,
        "versions": versions,
    }


def _card_file(state_dir: Path, version: str) -> Path:
    return state_dir / "cards" / f"{version}.html"


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=200)
def _card(path: Path, changed: int) -> dict[str, Any]:  # noqa: ARG001 - a card that changed is read again
    try:
        card = ModelCard.from_json(path.read_text(encoding="utf-8"))
    except (BundleRefused, OSError, UnicodeDecodeError) as problem:
        return {"figures": {}, "promote": None, "reasons": [], "problem": str(problem)}
    return {
        "trained_until": iso(card.trained_until),
        "cut": iso(card.cut),
        "figures": card.figures,
        "promote": card.champion.get("promote"),
        "reasons": list(card.champion.get("reasons", [])),
        "features": len(card.features),
        "rounds": card.rounds,
        "problem": None,
    }


def card_of(state_dir: Path, version: str) -> bytes:
    """The page that training made of a version; problem `unknown_version` where it is not on this machine."""
    try:
        return _card_file(state_dir, str(int(version))).read_bytes()
    except (OSError, ValueError):
        raise Problem("unknown_version", f"no model card of version {version[:40]} is on this machine") from None
