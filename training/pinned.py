"""What an experiment stands on, written when it begins: a later run goes on only with the same question and data."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from features.card import code_fingerprint, iso
from features.errors import SettingsError
from features.output import write_text
from features.site import Site
from training.experiment_file import ExperimentFile
from training.known import Known
from training.recipe import Recipe

_LATER = ("trials", "stop_after", "workers")
"""Of `[experiment]`: what may differ when it goes on."""


@dataclass(frozen=True)
class Pinned:
    """`until`: microseconds UTC; `begun`: whether an earlier run was there."""

    folder: Path
    until: int
    begun: bool


def folder_of(site: Site, name: str) -> Path:
    """Where an experiment keeps what it has done."""
    return site.state_dir / "experiments" / name


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """SettingsError where another process is at this experiment: two would register its winner twice."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as file:  # beside it: --restart removes the folder
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"the experiment in {folder} is running in another process. Wait for it, or give another name in "
                "[experiment]"
            ) from None
        yield


def pin(folder: Path, asked: ExperimentFile, *, until: int, stated: bool, restart: bool) -> Pinned:
    """The moment the experiment learns until: that of its first run. SettingsError where another was stated since."""
    if restart and folder.exists():
        shutil.rmtree(folder)
    file = folder / "pinned.json"
    if not file.is_file():
        return Pinned(folder, until, False)
    kept = json.loads(file.read_text(encoding="utf-8"))
    if stated and kept["until"] != until:
        raise SettingsError(_other(folder, f"learned until {kept['until_iso']}, the file says {iso(until)}"))
    if kept["asked"] != _asked(asked):
        raise SettingsError(_other(folder, "asked something else: the file was changed"))
    return Pinned(folder, kept["until"], True)


def hold(pinned: Pinned, asked: ExperimentFile, known: Known, recipe: Recipe, data: dict[str, dict[str, Any]]) -> None:
    """Writes the pin, or SettingsError where data, site or code are not those that the experiment began with."""
    file = pinned.folder / "pinned.json"
    if pinned.begun:
        kept = json.loads(file.read_text(encoding="utf-8"))
        for table in sorted({*data, *kept["data"]}):
            before, now = kept["data"].get(table), data.get(table)
            if before != now:
                rows = " and ".join("none" if one is None else f"{one['rows']:,} rows" for one in (before, now))
                raise SettingsError(_other(pinned.folder, f"began with other data: {table} had {rows}, now"))
        site = _site(known, recipe)
        if changed := [name for name in site if kept.get("site", {}).get(name) != site[name]]:
            raise SettingsError(_other(pinned.folder, f"began with another {changed[0]} in the site's lotrisk.toml"))
        if kept["code"] != _code():
            raise SettingsError(_other(pinned.folder, "began with another version of lot-risk or LightGBM"))
        return
    said = {
        "until": pinned.until,
        "until_iso": iso(pinned.until),
        "cut_iso": iso(known.labels.cut),
        "asked": _asked(asked),
        "data": data,
        "site": _site(known, recipe),
        "code": _code(),
    }
    write_text(file, json.dumps(said, indent=1, ensure_ascii=False) + "\n")


def _site(known: Known, recipe: Recipe) -> dict[str, Any]:
    """What trials hang on beside the file, by its place there; costs only price the report."""
    rules = known.rules
    judged = {name: getattr(rules.decision, name) for name in ("at", "again_every", "until_age", "min_units")}
    said = {"[label]": asdict(rules.label), "[decision]": judged, "known_until": rules.known_until}
    plain: dict[str, Any] = json.loads(json.dumps({**said, "[model]": asdict(recipe)}))
    return plain


def _code() -> str:
    """sha256 over the sources that trials hang on, and LightGBM's version."""
    digest = hashlib.sha256(f"{code_fingerprint()} {metadata.version('lightgbm')}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(f"\n{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _asked(asked: ExperimentFile) -> dict[str, Any]:
    stated: dict[str, Any] = json.loads(asked.model_dump_json())
    for name in _LATER:
        del stated["experiment"][name]
    return stated


def _other(folder: Path, what: str) -> str:
    return f"the experiment in {folder} {what}. Give --restart to begin anew, or another name in [experiment]"
