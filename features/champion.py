"""What scores: the champion's bundle, or while there is none a shrunk trailing rate; and who challenges it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.asof import Array
from features.build import Features
from features.bundle import Bundle, read_bundle
from features.errors import BundleRefused, UnknownVersion
from features.groups.field import RATES

CHAMPION, CHALLENGER = "champion", "challenger"
"""The files in `state_dir` that name versions, and the registry's aliases."""
PRODUCT_RATE = "shrunk_product"
PLANT = "plant_fail_share_365d"


@dataclass(frozen=True)
class Scorer:
    """A bundle, or without one the shrunk trailing rate called `rate`."""

    bundle: Bundle | None
    rate: str = PRODUCT_RATE

    @property
    def version(self) -> str:
        """What scores say they come from."""
        return self.rate if self.bundle is None else self.bundle.card.version


def shrunk_rates(features: Features) -> dict[str, Array]:
    """The shrunk trailing rates that a site has, by name; a lot without a history of its own takes its product's.

    Where no product is known yet the plant's stands for it. Empty for features without the field's.
    """
    wider = next((column for column in (RATES[PRODUCT_RATE], PLANT) if column in features.names), None)
    if wider is None:
        return {}
    product = features.column(wider)
    there = {name: features.column(column) for name, column in RATES.items() if column in features.names}
    return {PRODUCT_RATE: product} | {n: np.where(np.isnan(values), product, values) for n, values in there.items()}


def read_scorer(state_dir: Path) -> Scorer:
    """What serves here, by the files `champion` and `rate`. UnknownVersion, BundleRefused for a lost or bad bundle."""
    version, rate = _said(state_dir / CHAMPION), _said(state_dir / "rate")
    rate = rate if rate in RATES else PRODUCT_RATE
    return Scorer(_named(state_dir, version, by=CHAMPION) if version else None, rate)


def read_challenger(state_dir: Path) -> Scorer | None:
    """What is tried beside the champion, by the file `challenger`; None: nothing is. Faults as of `read_scorer`."""
    version = challenger(state_dir)
    return Scorer(_named(state_dir, version, by=CHALLENGER)) if version else None


def challenger(state_dir: Path) -> str:
    """The version that the file `challenger` names; "" where it names none, or the champion itself."""
    version = _said(state_dir / CHALLENGER)
    return "" if version == _said(state_dir / CHAMPION) else version


def scorer_state(state_dir: Path) -> tuple[object, ...]:
    """What `read_scorer` would read, cheaply: names, sizes and times of files. Equal: nothing has changed.

    BundleRefused where even that cannot be told.
    """
    version = _said(state_dir / CHAMPION)
    return (version, _said(state_dir / "rate"), *_files(state_dir, version))


def challenger_state(state_dir: Path) -> tuple[object, ...]:
    """The same for `read_challenger`."""
    version = challenger(state_dir)
    return (version, *_files(state_dir, version))


def _named(state_dir: Path, version: str, *, by: str) -> Bundle:
    folder = state_dir / "bundles" / version
    if not version.isdigit() or not folder.is_dir():
        what = "Promote another." if by == CHAMPION else "Name another challenger, or none."
        raise UnknownVersion(f"{state_dir / by} names version {version}, but {folder} is not there. {what}")
    return read_bundle(folder)


def _files(state_dir: Path, version: str) -> list[tuple[str, int, int]]:
    files: list[tuple[str, int, int]] = []
    if version.isdigit():
        with suppress(OSError):  # being written or gone: the next look sees another state
            for file in sorted((state_dir / "bundles" / version).iterdir()):
                found = file.stat()
                files.append((file.name, found.st_size, found.st_mtime_ns))
    return files


def _said(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise BundleRefused(f"{file} cannot be read ({error}). Promote a version.") from error
