"""Scores of suspect lots: the stored ones of open lots, and of others as many as are scored while somebody waits."""

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serving.answers import Answer, Call
from serving.containment import WHYS
from serving.standing import Standing

MOST_SCORED = 5000  # lots: a second of one core with forty trees, and some seconds with large models
_AT_ONCE = 1000
_COLUMNS = ("risk", "risk_low", "risk_high", "decision")
_NOTHING: Answer = dict.fromkeys((*_COLUMNS, "scored"))


async def scored(
    items: list[Answer],
    *,
    standing: Standing | None,
    as_of: int | None,
    score: Callable[[Call], Awaitable[Answer]],
) -> int:
    """Adds each lot's risk and decision to its item; how many are left without, as there are too many to score.

    `standing`: stored scores, which are of now. Those that a lot was named for are scored before those that nothing
    excludes.
    """
    for item in items:
        item |= _NOTHING
    if standing is not None and as_of is None:
        _add_stored(items, standing)
    rest = [item for item in items if item["scored"] is None]
    rest.sort(key=lambda item: WHYS.index(item["why"]))
    for start in range(0, min(len(rest), MOST_SCORED), _AT_ONCE):
        some = rest[start : min(start + _AT_ONCE, MOST_SCORED)]
        said = await score(Call([item["lot_id"] for item in some], as_of, logged=False))
        for item, result in zip(some, said["results"], strict=True):
            if "problem" not in result:
                item |= {name: result[name] for name in _COLUMNS} | {"scored": "now"}
    return max(len(rest) - MOST_SCORED, 0)


def _add_stored(items: list[Answer], standing: Standing) -> None:
    names = pa.array([item["lot_id"] for item in items], pa.string())
    place = pc.index_in(names, value_set=standing.column("lot_id").cast(pa.string())).fill_null(-1).to_numpy()
    there = np.flatnonzero(place >= 0)
    rows = pa.array(place[there])
    columns: list[list[Any]] = [standing.column(name).take(rows).to_pylist() for name in _COLUMNS]
    for at, *values in zip(there.tolist(), *columns, strict=True):
        items[at] |= dict(zip(_COLUMNS, values, strict=True)) | {"scored": "stored"}
