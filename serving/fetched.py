"""A registered version's bundle on this machine, taken from the registry where it is not here."""

import logging
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.bundle import read_bundle
from features.errors import BundleRefused
from serving.record import card_hash
from serving.tracking import known

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

CARD = "card_sha256"
"""The tag by which a version knows its bundle: another registry may have given the same number to another model."""


def fetch(
    client: "MlflowClient",
    name: str,
    version: str,
    *,
    state_dir: Path,
    taking: Callable[[Path], AbstractContextManager[None]],
) -> Path:
    """The folder of a version's bundle, taken from the registry when it is not on this machine.

    A bundle that another registry made under this number is put aside within `taking`, which gets the new one; what
    fails there puts it back. UnknownVersion for a number the registry does not hold, BundleRefused for one without a
    whole bundle.
    """
    folder = state_dir / "bundles" / version
    wanted = known(client, name, version)
    if is_of(folder, wanted):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder.parent))
    try:
        if not any(item.path == "bundle/card.json" for item in client.list_artifacts(wanted.run_id, "bundle")):
            raise BundleRefused(
                f"version {version} of {name!r} has no bundle: its training did not finish. Train again."
            )
        client.download_artifacts(wanted.run_id, "bundle", str(made))
        if not is_of(made / "bundle", wanted):
            raise BundleRefused(f"the registry's bundle of version {version} of {name!r} was changed. Train again.")
        read_as(made / "bundle", version)
        if folder.exists():
            _swap(folder, made, taking)
        else:
            (made / "bundle").replace(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def put_aside(folder: Path) -> list[Path]:
    """Bundles of other registries that had the number of this one."""
    return sorted(folder.parent.glob(f".{folder.name}-*"))


def _swap(folder: Path, made: Path, taking: Callable[[Path], AbstractContextManager[None]]) -> None:
    """The bundle in `made` takes the folder's place, or all is as it was."""
    aside = folder.with_name(f".{folder.name}-{(card_hash(folder) or 'without-card')[:12]}")
    kept = made / "aside" if aside.exists() else aside  # by its card it is there already
    try:
        with taking(made / "bundle"):
            folder.replace(kept)
            (made / "bundle").replace(folder)
    except BaseException:
        if kept.exists():
            if folder.exists():
                folder.replace(made / "bundle")
            kept.replace(folder)
        raise
    log.warning("%s was none of this registry's: it is put aside as %s", folder, aside.name)


def read_as(folder: Path, version: str) -> None:
    """BundleRefused for a bundle that does not read, or is another version's."""
    stated = read_bundle(folder).card.version
    if stated != version:
        raise BundleRefused(
            f"{folder} is the bundle of version {stated or '-'}, not {version}. Give the right one back."
        )


def is_of(folder: Path, version: Any) -> bool:
    """Whether a bundle is there and, as far as the registry can tell, this version's."""
    found = card_hash(folder)
    return found is not None and bool(version.tags.get(CARD, found) == found)
