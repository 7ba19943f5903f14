"""What an experiment stands on, written when it begins: a later run goes on only with the same question and data."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.card import code_fingerprint, iso
from features.errors import SettingsError
from features.output import write_text
from training.experiment_file import ExperimentFile
from training.known import Known

_LATER = ("trials", "stop_after", "workers")
"""Of `[experiment]`: what may differ when it goes on."""


@dataclass(frozen=True)
class Pinned:
    """`until`: microseconds UTC; `begun`: whether an earlier run was there."""

    folder: Path
    until: int
    begun: bool


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


def hold(pinned: Pinned, asked: ExperimentFile, known: Known, data: dict[str, dict[str, Any]]) -> None:
    """Writes the pin, or SettingsError where the data or the code are not those that the experiment began with."""
    file = pinned.folder / "pinned.json"
    if pinned.begun:
        kept = json.loads(file.read_text(encoding="utf-8"))
        for table in sorted({*data, *kept["data"]}):
            before, now = kept["data"].get(table), data.get(table)
            if before != now:
                rows = " and ".join("none" if one is None else f"{one['rows']:,} rows" for one in (before, now))
                raise SettingsError(_other(pinned.folder, f"began with other data: {table} had {rows}, now"))
        if kept["code"] != code_fingerprint():
            raise SettingsError(_other(pinned.folder, "began with another version of the features"))
        return
    said = {
        "until": pinned.until,
        "until_iso": iso(pinned.until),
        "cut_iso": iso(known.labels.cut),
        "asked": _asked(asked),
        "data": data,
        "code": code_fingerprint(),
    }
    write_text(file, json.dumps(said, indent=1, ensure_ascii=False) + "\n")


def _asked(asked: ExperimentFile) -> dict[str, Any]:
    stated: dict[str, Any] = json.loads(asked.model_dump_json())
    for name in _LATER:
        del stated["experiment"][name]
    return stated


def _other(folder: Path, what: str) -> str:
    return f"the experiment in {folder} {what}. Give --restart to begin anew, or another name in [experiment]"
