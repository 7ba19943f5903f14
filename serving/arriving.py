"""Rows of the histories that callers send: read, held against what is known, kept with an entry in the audit log."""

import hashlib
import json
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import sqlalchemy as sa

from features.arrivals import ACCEPTED, KNOWN, Arrival, keep, last_arrival, read_arrivals
from features.contracts import TABLES
from features.database import add_rows, writing
from features.errors import DatabaseUnreachable
from features.gate_settings import VALUED, RulesSettings
from features.held_rows import said_of
from features.histories import Histories
from features.layout import written_number
from features.period import nearest
from features.site import Site
from serving import once
from serving.access import Caller
from serving.alone import turn
from serving.answers import Answer
from serving.audit import append, salt_of
from serving.bodies import parsed, value_of
from serving.erasure import FREE_TEXT, key_of, without_text
from serving.lane import Lane
from serving.line_rows import refused_to_line
from serving.problems import Problem, not_read
from serving.tables import SALTS

MOST_ROWS = 10_000
FEW = 64 * 1024  # bytes of a body, some 300 rows: they do not wait behind the ten thousand of other calls
_PAUSE = 0.1  # seconds at most between two calls' writing: who waits for SQLite looks again within them
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
ROUTE = "/v1/histories"
_WORDS = ("true", "false")


@dataclass(frozen=True)
class Sent:
    """Rows as they were sent, each with its place; what of them is no JSON is refused already."""

    rows: list[tuple[int, Any]]
    refused: list[dict[str, Any]]


@dataclass(frozen=True)
class Told:
    """What the audit log tells of a row: it without people's own words, and the salts of those."""

    plain: str
    salts: list[dict[str, Any]]


class Arriving:
    """Keeps rows that callers send: the many of one call after those of another, with a pause in which others write.

    `histories`: what is loaded, None: nothing yet.
    """

    def __init__(
        self, site: Site, engine: sa.Engine, *, histories: Callable[[], Histories | None], clock: Callable[[], int]
    ) -> None:
        self._site, self._engine, self._histories, self._clock = site, engine, histories, clock
        self._few: Lane[Callable[[], Answer], Answer] = Lane(_called, size=lambda _: 1, most=1)
        self._many: Lane[Callable[[], Answer], Answer] = Lane(_called, size=lambda _: 1, most=1)

    async def ask(self, table: str, body: bytes, *, media_type: str, key: str | None, caller: Caller) -> Answer:
        """What `take` says, when the call's turn has come."""
        lane = self._few if len(body) <= FEW else self._many
        return await lane.ask(partial(self.take, table, body, media_type=media_type, key=key, caller=caller))

    def close(self) -> None:
        """Ends after what is being kept."""
        self._few.close()
        self._many.close()

    def take(self, table: str, body: bytes, *, media_type: str, key: str | None, caller: Caller) -> Answer:
        """The answer to a body of `POST /v1/histories/{table}`, durable. `key`: that of idempotency.

        Problem where nothing of it can be taken, or nothing can be kept: then nothing is.
        """
        now, actor = self._clock(), caller.actor
        if table not in TABLES:
            raise Problem("not_found", f"there is no table {table[:100]}{nearest(table, TABLES)}")
        sent = read_rows(body, media_type)
        histories = self._histories()
        if histories is None:
            raise not_read()
        request = once.request_hash(table.encode() + b"\n" + body)
        scope = f"POST {ROUTE} {actor}"
        arrivals, refused = self.read(table, sent, histories, now=now)
        sent_rows = [arrival for _, arrival in arrivals]
        held = said_of(histories, table, sent_rows, timezone=self._site.timezone)
        if caller.role == "line":
            why = refused_to_line(table, sent_rows, histories, timezone=self._site.timezone)
            held = [said or word for said, word in zip(held, why, strict=True)]
        told = told_in_log(table, sent_rows)
        try:
            with self._turn(), writing(self._engine) as connection:
                if key is not None and (answer := once.given(connection, scope, key, request)) is not None:
                    return answer
                answer = self._keep(connection, table, arrivals, held, told, refused, histories, actor=actor, now=now)
                if key is not None:
                    once.keep_answer(connection, scope, key, request, answer, at=now)
        except DatabaseUnreachable as fault:
            raise Problem("not_recorded", f"no row was kept: {fault}") from None
        return answer

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One call of all workers at a time, and after it a pause as long as it took."""
        with turn(self._site.state_dir, "arriving"):
            begun = time.monotonic()
            yield
            time.sleep(min(time.monotonic() - begun, _PAUSE))

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
        told: list[Told],
        refused: list[dict[str, Any]],
        histories: Histories,
        *,
        actor: str,
        now: int,
    ) -> dict[str, Any]:
        before = last_arrival(connection)
        fresh = [(*one, its) for one, said, its in zip(arrivals, held, told, strict=True) if said is None]
        said = keep(connection, [arrival for _, arrival, _ in fresh], received_at=now)
        accepted = [(arrival, its) for (_, arrival, its), word in zip(fresh, said, strict=True) if word == ACCEPTED]
        known = said.count(KNOWN) + held.count(KNOWN)
        refused = refused + [
            {"row": place, "reason": word}
            for (place, _, _), word in zip(fresh, said, strict=True)
            if word not in (ACCEPTED, KNOWN)
        ]
        refused += [
            {"row": place, "reason": f"{table}: the row {word}"}
            for (place, _), word in zip(arrivals, held, strict=True)
            if word not in (None, KNOWN)
        ]
        refused.sort(key=lambda one: one["row"])
        if accepted:
            counts = {"accepted": len(accepted), "already_known": known, "refused": len(refused)}
            recorded = entry_body(connection, table, [its for _, its in accepted], first=before + 1) | counts
            append(connection, kind="arrivals", actor=actor, body=recorded, at=now)
        return {
            "accepted": len(accepted),
            "already_known": known,
            "refused": refused,
            "waiting": waiting([arrival for arrival, _ in accepted], histories),
        }


def _called(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    return [call() for call in calls]


def told_in_log(table: str, arrivals: Iterable[Arrival]) -> list[Told]:
    """What takes time to say is said before anybody else has to wait."""
    words, told = FREE_TEXT.get(table, ()), []
    for arrival in arrivals:
        row = arrival.row
        plain = json.dumps(without_text(table, row), sort_keys=True)
        texts = [str(row[name]) for name in words if name in row]
        told.append(Told(plain, [salt_of(text, table=table, key=key_of(table, row)) for text in texts]))
    return told


def entry_body(connection: sa.Connection, table: str, accepted: Sequence[Told], *, first: int) -> dict[str, Any]:
    """What the audit log says of rows that were just kept: their ids, a hash of what they say, salted texts.

    `first`: the least id that they can have. People's own words are in no hash that could be guessed.
    """
    digest = hashlib.sha256("\n".join(one.plain for one in accepted).encode()).hexdigest()
    salts = [salt for one in accepted for salt in one.salts]
    add_rows(connection, SALTS, salts)
    texts: dict[str, list[str]] = {}
    for salt in salts:
        texts.setdefault(salt["key"], []).append(salt["hash"])
    body = {"table": table, "first": first, "last": last_arrival(connection), "sha256": digest}
    return body | ({"texts": texts} if texts else {})


def read_rows(body: bytes, media_type: str) -> Sent:
    """The rows of `{"rows": […]}` or of NDJSON, a row a line. Problem where the body as a whole is neither.

    A mark of UTF-8 before the first row, as spreadsheets and Windows write it, is none of it.
    """
    body = body.removeprefix(BOM_UTF8)
    if media_type not in NDJSON and not _several(body):
        sent = parsed(body)
        if not isinstance(sent, dict) or set(sent) != {"rows"} or not isinstance(sent["rows"], list):
            raise Problem("invalid_request", 'the body must be {"rows": [{…}, …]}, or NDJSON: a row a line')
        rows = list(enumerate(sent["rows"]))
        return _few(Sent(rows, []))
    found = Sent([], [])
    for place, line in enumerate(line for line in body.split(b"\n") if line.strip()):
        try:
            found.rows.append((place, value_of(line)))
        except ValueError as wrong:
            found.refused.append({"row": place, "reason": f"the line is not JSON: {wrong}"})
    return _few(found)


def known_attributes(table: str, histories: Histories, rules: RulesSettings) -> Collection[str] | None:
    """Names that rows may have beside the contract's: those of the table and of the gate's rules; None: any."""
    if table not in histories:
        return None
    asked = [getattr(rules, rule).column for rule, of in VALUED.items() if of == table]
    return {*histories[table].attributes, *asked}


def waiting(arrivals: Iterable[Arrival], histories: Histories) -> int:
    """How many rows are of a lot that is not known yet: they count as soon as it is."""
    of_lots = (one.row["lot_id"] for one in arrivals if _of_a_lot(one))
    codes = np.array([histories.ids["lot"].code(str(lot)) for lot in of_lots], dtype=np.int64)
    return int(np.isin(codes, histories["lots"]["lot_id"], invert=True).sum())


def _of_a_lot(arrival: Arrival) -> bool:
    return arrival.table != "lots" and "lot_id" in arrival.row and not arrival.row.get("deleted")


def _several(body: bytes) -> bool:
    """Whether the body is several JSON values, a line each."""
    first, _, rest = body.strip().partition(b"\n")
    if not rest.strip():
        return False
    try:
        return isinstance(value_of(first), dict)
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
