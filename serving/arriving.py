"""Rows of the histories that callers send: read, held against what is known, kept with an entry in the audit log."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from pydantic_core import from_json

from features.arrivals import ACCEPTED, DIFFERS, KNOWN, Arrival, keep, last_arrival, read_arrivals
from features.contracts import TABLES
from features.database import writing
from features.errors import DatabaseUnreachable
from features.gate_settings import RulesSettings
from features.held_rows import said_of
from features.histories import Histories
from features.layout import written_number
from features.period import nearest
from features.site import Site
from serving import once
from serving.audit import append, salted_each
from serving.bodies import parsed
from serving.erasure import FREE_TEXT, key_of
from serving.problems import Problem

MOST_ROWS = 10_000
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
ROUTE = "/v1/histories"
_WORDS = ("true", "false")


@dataclass(frozen=True)
class Sent:
    """Rows as they were sent, each with its place; what of them is no JSON is refused already."""

    rows: list[tuple[int, Any]]
    refused: list[dict[str, Any]]


class Arriving:
    """Keeps rows that callers send. `histories`: what is loaded, None: nothing yet."""

    def __init__(self, site: Site, engine: sa.Engine, *, histories: Callable[[], Histories | None]) -> None:
        self._site, self._engine, self._histories = site, engine, histories

    def take(
        self, table: str, body: bytes, *, media_type: str, key: str | None, actor: str, now: int
    ) -> dict[str, Any]:
        """The answer to a body of `POST /v1/histories/{table}`, durable. `key`: that of idempotency.

        Problem where nothing of it can be taken, or nothing can be kept: then nothing is.
        """
        if table not in TABLES:
            raise Problem("not_found", f"there is no table {table[:100]}{nearest(table, TABLES)}")
        sent = read_rows(body, media_type)
        histories = self._histories()
        if histories is None:
            raise Problem("not_ready", "the histories have not been read yet; try again in a moment")
        request = once.request_hash(table.encode() + b"\n" + body)
        scope = f"POST {ROUTE} {actor}"
        arrivals, refused = self.read(table, sent, histories, now=now)
        held = said_of(histories, table, [arrival for _, arrival in arrivals], timezone=self._site.timezone)
        try:
            with writing(self._engine) as connection:
                if key is not None and (answer := once.given(connection, scope, key, request)) is not None:
                    return answer
                answer = self._keep(connection, table, arrivals, held, refused, histories, actor=actor, now=now)
                if key is not None:
                    once.keep_answer(connection, scope, key, request, answer, at=now)
        except DatabaseUnreachable as fault:
            raise Problem("not_recorded", f"no row was kept: {fault}") from None
        return answer

    def read(
        self, table: str, sent: Sent, histories: Histories, *, now: int
    ) -> tuple[list[tuple[int, Arrival]], list[dict[str, Any]]]:
        """Rows by the contract, and those that what is known speaks against, each with its place as sent."""
        places = [place for place, _ in sent.rows]
        read, refused = read_arrivals(
            table,
            [row for _, row in sent.rows],
            known_attributes=known_attributes(table, histories, self._site.gate.rules),
            timezone=self._site.timezone,
            now=now,
        )
        refused = [*sent.refused, *({**one, "row": places[one["row"]]} for one in refused)]
        taken = []
        for place, arrival in read:
            if why := no_number(arrival, histories):
                refused.append({"row": places[place], "reason": why})
            else:
                taken.append((places[place], arrival))
        return taken, refused

    def _keep(
        self,
        connection: sa.Connection,
        table: str,
        arrivals: list[tuple[int, Arrival]],
        held: list[str | None],
        refused: list[dict[str, Any]],
        histories: Histories,
        *,
        actor: str,
        now: int,
    ) -> dict[str, Any]:
        before = last_arrival(connection)
        fresh = [one for one, said in zip(arrivals, held, strict=True) if said is None]
        said = keep(connection, [arrival for _, arrival in fresh], received_at=now)
        accepted = [arrival for (_, arrival), word in zip(fresh, said, strict=True) if word == ACCEPTED]
        known = said.count(KNOWN) + held.count(KNOWN)
        refused = refused + [
            {"row": place, "reason": word}
            for (place, _), word in zip(fresh, said, strict=True)
            if word not in (ACCEPTED, KNOWN)
        ]
        refused += [
            {"row": place, "reason": f"{table}: the row {DIFFERS}"}
            for (place, _), word in zip(arrivals, held, strict=True)
            if word == DIFFERS
        ]
        refused.sort(key=lambda one: one["row"])
        if accepted:
            counts = {"accepted": len(accepted), "already_known": known, "refused": len(refused)}
            recorded = entry_body(connection, table, accepted, first=before + 1) | counts
            append(connection, kind="arrivals", actor=actor, body=recorded, at=now)
        return {
            "accepted": len(accepted),
            "already_known": known,
            "refused": refused,
            "waiting": waiting(accepted, histories),
        }


def entry_body(connection: sa.Connection, table: str, accepted: Sequence[Arrival], *, first: int) -> dict[str, Any]:
    """What the audit log says of rows that were just kept: their ids, a hash of what they say, salted texts.

    `first`: the least id that they can have. People's own words are in no hash that could be guessed.
    """
    words = FREE_TEXT.get(table, ())
    plain = [{name: value for name, value in arrival.row.items() if name not in words} for arrival in accepted]
    digest = hashlib.sha256("\n".join(json.dumps(row, sort_keys=True) for row in plain).encode()).hexdigest()
    said = [
        (str(arrival.row[name]), key_of(table, arrival.row))
        for arrival in accepted
        for name in words
        if name in arrival.row
    ]
    texts: dict[str, list[str]] = {}
    for (_, key), stands in zip(said, salted_each(connection, said, table=table), strict=True):
        texts.setdefault(key, []).append(stands)
    body = {"table": table, "first": first, "last": last_arrival(connection), "sha256": digest}
    return body | ({"texts": texts} if texts else {})


def read_rows(body: bytes, media_type: str) -> Sent:
    """The rows of `{"rows": […]}` or of NDJSON, a row a line. Problem where the body as a whole is neither."""
    if media_type not in NDJSON and not _several(body):
        sent = parsed(body)
        if not isinstance(sent, dict) or set(sent) != {"rows"} or not isinstance(sent["rows"], list):
            raise Problem("invalid_request", 'the body must be {"rows": [{…}, …]}, or NDJSON: a row a line')
        rows = list(enumerate(sent["rows"]))
        return _few(Sent(rows, []))
    found = Sent([], [])
    for place, line in enumerate(line for line in body.split(b"\n") if line.strip()):
        try:
            found.rows.append((place, from_json(line, allow_inf_nan=False)))
        except ValueError as wrong:
            found.refused.append({"row": place, "reason": f"the line is not JSON: {wrong}"})
    return _few(found)


def known_attributes(table: str, histories: Histories, rules: RulesSettings) -> Collection[str] | None:
    """Names that rows may have beside the contract's: those of the table and of the gate's rules; None: any."""
    if table not in histories:
        return None
    asked = (rules.blocked_supplier_lot.column, rules.customer_hold.column)
    return {*histories[table].attributes, *(asked if TABLES[table].open_ended else ())}


def waiting(arrivals: Iterable[Arrival], histories: Histories) -> int:
    """How many rows are of a lot that is not known yet: they count as soon as it is."""
    lots, count = histories.ids["lot"], 0
    there: dict[str, bool] = {}
    for arrival in arrivals:
        if arrival.table == "lots" or "lot_id" not in arrival.row or arrival.row.get("deleted"):
            continue
        lot = str(arrival.row["lot_id"])
        if lot not in there:
            code = lots.code(lot)
            there[lot] = code >= 0 and bool((histories["lots"]["lot_id"] == code).any())
        count += not there[lot]
    return count


def _several(body: bytes) -> bool:
    """Whether the body is several JSON values, a line each."""
    first, _, rest = body.strip().partition(b"\n")
    if not rest.strip():
        return False
    try:
        return isinstance(from_json(first, allow_inf_nan=False), dict)
    except ValueError:
        return False


def _few(sent: Sent) -> Sent:
    count = len(sent.rows) + len(sent.refused)
    if count > MOST_ROWS:
        raise Problem("too_many_rows", f"{count} rows in one call; send at most {MOST_ROWS}")
    return sent


def no_number(arrival: Arrival, histories: Histories) -> str:
    """Why an attribute that is a number in the histories cannot be what the row says; "": it can."""
    if arrival.table not in histories or arrival.row.get("deleted"):
        return ""
    table = histories[arrival.table]
    for name in table.attributes:
        value = arrival.row.get(name)
        if value is None or name in table.texts or value in _WORDS:
            continue
        if np.isnan(written_number(str(value))):
            return f"{arrival.table}.{name} must be a number, as it is in the other rows"
    return ""
