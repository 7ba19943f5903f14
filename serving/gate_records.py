"""What a record that comes with a call of the gate adds to the histories."""

from collections.abc import Mapping
from typing import Any

from features.arrivals import KNOWN, Arrival, read_arrivals
from features.held import own_row
from features.held_rows import said_of
from features.histories import Histories
from features.site import Site
from serving.arriving import known_attributes

_TABLES = ("lots", "measurements", "genealogy")


def rows_of_record(
    record: Mapping[str, Any], lot_id: str, histories: Histories, site: Site, *, now: int
) -> tuple[list[Arrival], list[str]]:
    """The rows that the histories do not hold yet, also those of a clock that runs ahead, and why some are none.

    A record may leave out what is known: a row that says a part of a held one adds nothing. One that says something
    else at the same known time speaks against it, also where the question is about a moment before either was known.
    """
    told: list[Arrival] = []
    faults: list[str] = []
    code = histories.ids["lot"].code(lot_id)
    for table in _TABLES:
        if table == "lots":
            rows = [record["lot"]] if own_row(histories, code, now) is None else []
        else:
            rows = [{"lot_id": lot_id, **row} for row in record.get(table) or ()]
        known = known_attributes(table, histories, site.gate.rules)
        read, refused = read_arrivals(table, rows, known_attributes=known, timezone=site.timezone, now=now, early=None)
        fresh = [arrival for _, arrival in read]
        if code >= 0:
            said = said_of(histories, table, fresh, timezone=site.timezone, in_part=True)
            faults += [f"{table}: the row {why}" for why in said if why not in (None, KNOWN)]
            fresh = [arrival for arrival, word in zip(fresh, said, strict=True) if word is None]
        told += fresh
        faults += [str(one["reason"]) for one in refused]
    return told, faults
