"""Why versions were promoted or challenged: the registry's tags, kept here too for when it is gone."""

import json
from collections.abc import Mapping
from pathlib import Path

from features.output import write_text

PROMOTED, CHALLENGED = "promoted_because", "challenged_because"
FILE = "reasons.json"


def why(tags: Mapping[str, str]) -> dict[str, str]:
    """Both reasons by name, "" where none was given."""
    return {name: str(tags.get(name, "")) for name in (PROMOTED, CHALLENGED)}


def kept(state_dir: Path) -> dict[str, dict[str, str]]:
    """Reasons by version; none where the file is lost or spoilt."""
    try:
        found = json.loads((state_dir / FILE).read_text(encoding="utf-8"))
        return {version: why(tags) for version, tags in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def keep(state_dir: Path, version: str, tags: Mapping[str, str]) -> None:
    """Adds what `tags` say of a version to the file, in place of what it said before."""
    before = kept(state_dir)
    now = before | {version: why({**before.get(version, {}), **tags})}
    if any(now[version].values()) or version in before:
        write_text(state_dir / FILE, json.dumps(now, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
