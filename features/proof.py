"""What a model was made of, proved: the segments and arrivals that its histories stood on, and one hash over all."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa

from features.card import iso
from features.catalogue import ARRIVALS
from features.database import reached
from features.site import Site
from features.stored import ARRIVAL, Stored, open_store

_AT_ONCE = 50_000  # rows


def proof_of(site: Site, stored: Stored) -> dict[str, Any]:
    """For a card; {}: nothing is stored. DatabaseUnreachable.

    `segments`: those read; `arrivals`: the highest id among the rows that arrived, how many there were; `ingested_by`:
    by when all had come in, None: no bound was set. `sha256`: over the segments of sources and what each row that
    arrived says, wherever it is kept by now: the same day gives the same hash, until a text is erased.
    """
    if stored.nothing:
        return {}
    own = [_named(segment) for segment in stored.segments if segment.origin == "source"]
    digest = hashlib.sha256(json.dumps(own, separators=(",", ":")).encode())
    kept = [*stored.folded.values(), *stored.unfolded.values()]
    ids = np.sort(np.concatenate([np.empty(0, np.int64), *(np.asarray(rows[ARRIVAL]) for rows in kept)]))
    for number, said in _digests(site, ids.tolist()):
        digest.update(number.to_bytes(8, "big") + said)
    return {
        "ingested_by": None if stored.ingested_by is None else iso(stored.ingested_by),
        "segments": [_named(segment) for segment in stored.segments],
        "arrivals": {"last": stored.last_arrival, "rows": len(ids)},
        "sha256": digest.hexdigest(),
    }


def _named(segment: Any) -> Mapping[str, Any]:
    return {"table": segment.table, "file": segment.file, "rows": segment.rows, "sha256": segment.sha256}


def _digests(site: Site, ids: list[int]) -> list[tuple[int, bytes]]:
    """(id, digest) of rows that arrived, in order of ids."""
    wanted, found = set(ids), []
    with open_store(site) as store, reached(store.engine), store.engine.connect() as connection:
        for start in range(0, len(ids), _AT_ONCE):
            first, last = ids[start], ids[min(start + _AT_ONCE, len(ids)) - 1]
            asked = sa.select(ARRIVALS.c.id, ARRIVALS.c.digest).where(ARRIVALS.c.id.between(first, last))
            rows = connection.execute(asked.order_by(ARRIVALS.c.id)).all()
            found += [(row.id, bytes(row.digest)) for row in rows if row.id in wanted]
    return found
