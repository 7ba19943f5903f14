"""What one process of a site does at a time: it has one keeper, and its workers take turns."""

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from features.site import Site
from serving.published import FOLDER

log = logging.getLogger(__name__)


@contextmanager
def alone(site: Site) -> Iterator[Callable[[], bool]]:
    """A question: whether this process is the site's only keeper from now on. A second service waits for the first."""
    path = site.state_dir / FOLDER / "keeper.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = False
    with path.open("w") as file:

        def lock() -> bool:
            nonlocal told
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    log.warning(
                        "another service keeps %s; this one waits and serves what that one publishes", site.name
                    )
                told = True
                return False
            return True

        yield lock


@contextmanager
def turn(state_dir: Path, name: str) -> Iterator[None]:
    """What is done inside is done by one thread of all processes at a time; by all where no file can be locked."""
    path = state_dir / FOLDER / f"{name}.lock"
    with ExitStack() as held:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(held.enter_context(path.open("w")), fcntl.LOCK_EX)
        yield
