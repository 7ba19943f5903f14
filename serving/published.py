"""What the keeper has made ready and the workers follow: a small file that is replaced whole.

serving/current.json          which of the following hold, and how the last refresh went
serving/histories/<name>/     mapped histories
serving/open/<number>.arrow   stored scores of the open lots
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from features.asof import MINUTE, before
from features.output import write_text

FOLDER = "serving"
_MISSED = 10  # refreshes in a row before the histories count as out of date


@dataclass(frozen=True)
class Published:
    """Times in microseconds UTC, 0: never. Names are of files and folders beside `current.json`; "": none yet."""

    histories: str = ""
    read_at: int = 0
    """When the histories were read from the sources."""
    checked_at: int = 0
    """When the sources were last found unchanged, or read."""
    open: str = ""
    scored_at: int = 0
    fault: str = ""
    """Why the last refresh failed; "": it did not."""
    segments: int = 0
    """Highest number of a stored segment that the histories stand on, 0: they stand on the sources alone."""
    arrivals: int = 0
    """The same of an arrival."""
    read_now: int = 0
    """The moment that they were read as of: a shipment planned for later is none."""
    log_waiting: int = 0
    """Scores that wait in the keeper's own score log."""
    log_dropped: int = 0
    """Scores that it refused since the keeper started."""


def read_published(state_dir: Path) -> Published:
    """What holds now; nothing where nothing was published, or what was is not readable by this code."""
    nothing = Published()
    try:
        found = Published(**json.loads((state_dir / FOLDER / "current.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return nothing
    of_kind = all(type(getattr(found, name)) is type(value) for name, value in asdict(nothing).items())
    return found if of_kind else nothing


def publish(state_dir: Path, published: Published) -> None:
    """Replaces what holds."""
    write_text(state_dir / FOLDER / "current.json", json.dumps(asdict(published), indent=1) + "\n")


def out_of_date(published: Published, *, refresh_every: int, now: int) -> bool:
    """Whether the sources have not been looked at for ten refreshes, ten minutes at least."""
    return bool(before(published.checked_at + _MISSED * max(refresh_every, MINUTE), now))


def histories_folder(state_dir: Path, name: str) -> Path:
    return state_dir / FOLDER / "histories" / name


def spill_folder(state_dir: Path) -> Path:
    """Where scores wait that no database took before a stop: of every process of the site."""
    return state_dir / FOLDER / "unlogged"


def open_file(state_dir: Path, name: str) -> Path:
    return state_dir / FOLDER / "open" / name
