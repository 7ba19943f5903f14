"""Which version serves: the registry's versions, and the one place that moves the alias `champion`.

Two places hold the champion: MLflow's alias, which other tools see, and `state_dir/champion`, which this service
follows, so that it starts and scores with the registry gone. A promotion first does all that can fail (read the
bundle, write the file aside), then moves the alias, then puts the file in its place. Where that last step fails the
alias is moved back; where the machine stops between the two, promoting the same version again mends it.

A version's tag `replaced` holds the champions before it, latest first, so that rolling back twice goes back twice.
"""

import hashlib
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from features.bundle import read_bundle
from features.card import ModelCard, iso
from features.errors import BundleRefused, UnknownVersion
from features.output import write_text
from serving.tracking import ALIAS, aliased, client_of, existing, known, registered, told

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

REMEMBERED = 100  # champions in the tag `replaced`; a registry's tag holds 5,000 characters
CARD = "card_sha256"
"""The tag by which a version knows its bundle: another registry may have given the same number to another model."""


@dataclass(frozen=True)
class VersionInfo:
    """A registered version. What the card says is empty where `problem` says why there is no card."""

    number: str
    made_at: datetime
    champion: bool
    trained_until: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    promote: bool | None = None
    """Whether the champion rule was met when it was trained; `reasons` say why."""
    reasons: list[str] = field(default_factory=list)
    problem: str = ""


@told()
def versions(name: str, *, tracking_uri: str, state_dir: Path) -> list[VersionInfo]:
    """All versions of a site's model, the latest first."""
    client = client_of(tracking_uri, state_dir)
    alias = aliased(client, name)
    found = []
    for version in registered(client, name):
        made_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=version.creation_timestamp)
        number = str(version.version)
        try:
            card = _card(state_dir / "bundles" / number, version)
        except BundleRefused as refused:
            found.append(VersionInfo(number, made_at, number == alias, problem=str(refused)))
            continue
        found.append(
            VersionInfo(
                number,
                made_at,
                number == alias,
                trained_until=iso(card.trained_until),
                figures=card.figures,
                promote=card.champion.get("promote"),
                reasons=list(card.champion.get("reasons", [])),
            )
        )
    return found


def versions_table(name: str, found: "list[VersionInfo]") -> Table:
    """The versions for reading, with the figures they were judged by."""
    table = Table("version", "", "trained until", "log loss", "average precision", "why", title=name, box=SIMPLE_HEAD)
    for version in found:
        figures = version.figures.get("model", {})
        mark = "champion" if version.champion else ""
        why = version.problem or " ".join(version.reasons)
        numbers = [_figure(figures, key) for key in ("log_loss", "average_precision")]
        table.add_row(version.number, mark, version.trained_until, *numbers, why)
    return table


@told()
def promote(name: str, version: str, *, tracking_uri: str, state_dir: Path, reason: str = "") -> str | None:
    """Make a version the champion; returns the one it replaced, None if there was none.

    Promoting the champion again changes nothing but mends `state_dir/champion`. A bundle that is not on this
    machine is taken from the registry. UnknownVersion and BundleRefused leave everything as it was.
    """
    client = client_of(tracking_uri, state_dir)
    known(client, name, version)
    present = aliased(client, name)
    if present == version:
        _move(client, name, version, present=present, state_dir=state_dir, tags={})
        return None
    replaced = [] if present is None else [present, *_replaced(client, name, present)]
    tags = {"replaced": " ".join(replaced[:REMEMBERED]), "promoted_because": reason}
    _move(client, name, version, present=present, state_dir=state_dir, tags=tags)
    return present


@told()
def rollback(name: str, *, tracking_uri: str, state_dir: Path) -> str:
    """Make the version that the champion replaced the champion again; returns its number.

    UnknownVersion when there is no champion or it replaced none.
    """
    client = client_of(tracking_uri, state_dir)
    present = aliased(client, name)
    if present is None:
        raise UnknownVersion(f"{name!r} has no champion to roll back from. {existing(client, name)}")
    earlier = _replaced(client, name, present)
    if not earlier:
        raise UnknownVersion(
            f"version {present} of {name!r} replaced no other: nothing to roll back to. "
            f"{existing(client, name)} Promote one of them."
        )
    known(client, name, earlier[0])
    tags = {"replaced": " ".join(earlier[1:]), "promoted_because": f"rolled back from version {present}"}
    _move(client, name, earlier[0], present=present, state_dir=state_dir, tags=tags)
    return earlier[0]


def champion(state_dir: Path) -> str | None:
    """The version that serves here, by `state_dir/champion`; None before the first promotion."""
    try:
        return (state_dir / ALIAS).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


@told()
def fetch(name: str, version: str, *, tracking_uri: str, state_dir: Path) -> Path:
    """The folder of a version's bundle, taken from the registry when it is not on this machine.

    A bundle that another registry made under this number is put aside. UnknownVersion for a number the registry does
    not hold, BundleRefused for one without a whole bundle.
    """
    folder = state_dir / "bundles" / version
    client = client_of(tracking_uri, state_dir)
    wanted = known(client, name, version)
    if _is_of(folder, wanted):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder.parent))
    try:
        if not any(item.path == "bundle/card.json" for item in client.list_artifacts(wanted.run_id, "bundle")):
            raise BundleRefused(
                f"version {version} of {name!r} has no bundle: its training did not finish. Train again."
            )
        client.download_artifacts(wanted.run_id, "bundle", str(made))
        if not _is_of(made / "bundle", wanted):
            raise BundleRefused(f"the registry's bundle of version {version} of {name!r} was changed. Train again.")
        _read(made / "bundle", version)
        if folder.exists():
            aside = folder.with_name(f".{version}-of-another-registry")
            shutil.rmtree(aside, ignore_errors=True)
            log.warning("%s is none of this registry's: it is put aside as %s", folder, aside.name)
            folder.replace(aside)
        (made / "bundle").replace(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


@told()
def follow(name: str, *, tracking_uri: str, state_dir: Path, refused: dict[str, str] | None = None) -> str | None:
    """Take over the registry's champion where this machine has another; returns it, None: there is none.

    `refused`: empty at first; kept by the caller from call to call. A bundle that was refused once is refused again
    without being fetched, until another version is champion.
    """
    client = client_of(tracking_uri, state_dir)
    refused = {} if refused is None else refused
    number = aliased(client, name)
    if number is None:
        return None
    wanted = client.get_model_version(name, number)
    folder = state_dir / "bundles" / number
    if number != champion(state_dir) or not _is_of(folder, wanted):
        key = f"{number} of {wanted.run_id}"
        if key in refused:
            raise BundleRefused(refused[key])
        refused.clear()
        try:
            fetch(name, number, tracking_uri=tracking_uri, state_dir=state_dir)
        except BundleRefused as why:
            refused[key] = str(why)
            raise
        _read(folder, number)
        write_text(state_dir / ALIAS, f"{number}\n")
    refused.clear()
    return number


def _move(
    client: "MlflowClient", name: str, version: str, *, present: str | None, state_dir: Path, tags: dict[str, str]
) -> None:
    """Alias and file to `version`, both or none. `tags` are set before: they speak only of a champion."""
    folder = fetch(name, version, tracking_uri=client.tracking_uri, state_dir=state_dir)
    _read(folder, version)
    aside = state_dir / f".{ALIAS}-{os.getpid()}"
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(version + "\n")
            file.flush()
            os.fsync(file.fileno())
        for tag, said in tags.items():
            client.set_model_version_tag(name, version, tag, said)
        client.set_registered_model_alias(name, ALIAS, version)
        try:
            aside.replace(state_dir / ALIAS)
        except OSError:
            if present is None:
                client.delete_registered_model_alias(name, ALIAS)
            else:
                client.set_registered_model_alias(name, ALIAS, present)
            raise
    finally:
        aside.unlink(missing_ok=True)


def _read(folder: Path, version: str) -> None:
    stated = read_bundle(folder).card.version
    if stated != version:
        raise BundleRefused(
            f"{folder} is the bundle of version {stated or '-'}, not {version}. Give the right one back."
        )


def _is_of(folder: Path, version: Any) -> bool:
    """Whether a bundle is there and, as far as the registry can tell, this version's."""
    try:
        card = (folder / "card.json").read_bytes()
    except OSError:
        return False
    return bool(version.tags.get(CARD, said := hashlib.sha256(card).hexdigest()) == said)


def _card(folder: Path, version: Any) -> ModelCard:
    if not _is_of(folder, version):
        raise BundleRefused(f"no bundle of it in {folder}. Promoting the version looks for it in the registry.")
    return ModelCard.from_json((folder / "card.json").read_text(encoding="utf-8", errors="replace"))


def _replaced(client: "MlflowClient", name: str, version: str) -> list[str]:
    return str(client.get_model_version(name, version).tags.get("replaced", "")).split()


def _figure(figures: dict[str, Any], key: str) -> str:
    """A stored figure with its interval, in words."""
    value, low, high = (figures.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else "")
