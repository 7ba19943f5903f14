"""What decisions of one worker stand on, and what the gate would decide about a lot, for people who look."""

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from features.card import iso
from features.containment import Scope
from features.database import reached
from features.errors import DatabaseUnreachable
from features.gate import Ground
from features.score import Policy
from features.site import Site
from serving.answers import Answer, Call
from serving.containments import open_scopes
from serving.gate_answers import decide
from serving.loaded import Loaded
from serving.pending import about, pending
from serving.problems import Problem, not_read
from serving.published import out_of_date


def ground_of(loaded: Loaded, site: Site, policy: Policy, *, now: int, scopes: Sequence[Scope] = ()) -> Ground:
    """Problem `not_ready` while there is nothing to decide by, or nothing that could be looked at again."""
    scorer, histories, published = loaded.scorer, loaded.histories, loaded.published
    if scorer is None or histories is None:
        why = loaded.refused if scorer is None else published.fault
        raise not_read(why)
    if not (loaded.stored.segments or loaded.stored.arrivals):
        why = "the histories are not stored yet, so that no decision could be looked at again"
        raise Problem("not_ready", f"{why}: {published.fault}" if published.fault else why)
    old = ""
    if out_of_date(published, refresh_every=site.refresh_every, now=now):
        old = published.fault or f"the sources were last looked at at {iso(published.checked_at)}"
    return Ground(scorer, histories, policy, site.gate, scopes, old)


def previewed(lot_id: str, *, loaded: Loaded, site: Site, policy: Policy, engine: sa.Engine, now: int) -> Answer:
    """The result that the gate would give of a lot now; nothing is recorded, kept or logged, and nothing waited for.

    Without the database there is none, as at the gate: nobody knows what is contained, or has arrived.
    """
    ground, call = ground_of(loaded, site, policy, now=now), Call([lot_id])
    try:
        with reached(engine), engine.connect() as connection:
            scopes, rows = open_scopes(connection), pending(connection, loaded.stored.arrivals)
    except DatabaseUnreachable as fault:
        raise Problem("not_recorded", str(fault)) from None
    late = about(rows, call, ground.histories, timezone=site.timezone, now=now)
    ground = replace(ground, scopes=scopes, pending=frozenset(late))
    (answer,) = decide([call], ground, timezone=site.timezone, now=now).answers
    result: Answer = answer["results"][0]
    return result
