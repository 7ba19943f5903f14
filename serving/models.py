"""The model versions on this machine, by their cards: what `/v1/models` says with the registry gone."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from features.card import ModelCard, iso
from features.champion import Scorer
from features.errors import BundleRefused


def model_versions(state_dir: Path, *, site: str, champion: str, scorer: Scorer | None, refused: str) -> dict[str, Any]:
    """The wire shape. `champion`: what the file says, "": none; `scorer`: what scores, `refused`: why not that one."""
    serving = None if scorer is None or scorer.bundle is None else scorer.version
    folder = state_dir / "bundles"
    found = [path for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []
    versions = []
    for path in sorted(found, key=lambda path: -int(path.name)):
        said = _card(path / "card.json", _changed(path / "card.json"))
        marks = {"champion": path.name == champion, "serving": path.name == serving}
        versions.append({"version": path.name, **marks, **said})
    return {
        "site": site,
        "champion": champion or None,
        "serving": serving,
        "rate": None if scorer is None else scorer.rate,
        "problem": refused or None,
        "versions": versions,
    }


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
