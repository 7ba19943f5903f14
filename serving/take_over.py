"""Another registry's version of a number that serves here: its bundle is taken over with an entry, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from features.champion import CHALLENGER, CHAMPION
from serving.fetched import fetch
from serving.record import Record, recorded, said

if TYPE_CHECKING:
    from mlflow import MlflowClient

_REASON = "another registry gave this number to another model"


def take_over(client: "MlflowClient", name: str, version: str, *, state_dir: Path, reason: str, record: Record) -> Path:
    """As `fetch`. Where the bundle takes the place of one that serves or challenges, that is an entry too.

    DatabaseUnreachable where it cannot be recorded: nothing was taken over then.
    """
    alias = next((alias for alias in (CHAMPION, CHALLENGER) if said(state_dir, alias) == version), None)

    @contextmanager
    def taking(bundle: Path) -> Iterator[None]:
        if alias is None:
            yield
            return
        record.check()
        how = {"before": version, "reason": reason or _REASON}
        with recorded(record, alias, version, state_dir=state_dir, bundle=bundle, **how):
            yield

    return fetch(client, name, version, state_dir=state_dir, taking=taking)
