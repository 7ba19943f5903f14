"""A site has one keeper at a time."""

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
