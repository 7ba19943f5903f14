"""The answer of `GET /v1/containment`: lots that may hold what is at fault, where their units are, what is not known.

Scores come later, from `serving.suspect_scores`: the list is made in a moment, and scoring is not.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from features.asof import FOREVER, NO_TIME, SECOND, Array, stands
from features.card import iso
from features.containment import Scope
from features.histories import Histories
from features.order import RowsBy
from features.suspects import (
    Reason,
    Suspects,
    boundary_reasons,
    lots_held,
    missing_materials,
    strongest,
    supplier_lots_of,
    suspects,
)
from features.traced import traced
from features.whereabouts import PLACES, Whereabouts, whereabouts
from serving.answers import Answer
from serving.boundary import detail_of
from serving.problems import Problem

WHYS = ("returned", "uses", "shares", "cannot_exclude", "withdrawn")
"""Why a lot is on the list, the strongest first: it came back, it uses the supplier lot that was asked about, it shares
one with a lot that came back, its genealogy does not exclude it, or named the supplier lot once and no longer does."""


_KINDS = ("uses", "cannot_exclude", "withdrawn")


@dataclass(frozen=True)
class About:
    """What is asked about: a supplier lot, or a return of a lot. `sources`: the supplier lots that are followed."""

    supplier_lot: str | None
    returned: str | None
    lot: int = -1
    sources: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """Suspect lots by code, ascending; `wire` is the answer without what follows from scores."""

    lot: Array
    names: list[str]
    wire: Answer
    items: list[Answer] = field(default_factory=list)


def about_of(histories: Histories, *, supplier_lot: str | None, returned: str | None, as_of: int) -> About:
    """Problem `unknown_supplier_lot` for one that no table names, `unknown_return` for one not known by `as_of`."""
    if supplier_lot is not None:
        ids = histories.ids.get("supplier_lot")
        if ids is None or ids.code(supplier_lot) < 0:
            raise Problem(
                "unknown_supplier_lot",
                f"no table names supplier lot {supplier_lot[:100]}; check its spelling, or book it first",
            )
        return About(supplier_lot, None, sources=(supplier_lot,))
    name = str(returned)
    lot = _lot_of_return(histories, name, as_of)
    if lot < 0:
        raise Problem("unknown_return", f"no return {name[:100]} was known by {iso(as_of)}; check its spelling")
    return About(None, name, lot, supplier_lots_of(histories, lot, as_of))


def containment(histories: Histories, about: About, *, as_of: int, scopes: Sequence[Scope] | None) -> Found:
    """As known strictly before `as_of`. `scopes`: open containments, None: nobody can say."""
    found = [suspects(histories, name, as_of) for name in about.sources]
    lot = strongest(found)[0]
    if about.lot >= 0:
        lot = np.union1d(lot, [about.lot])
    whys = _whys(lot, found)
    names = [str(name) for name in histories.ids["lot"].decode(lot)]
    why = _why(lot, whys, about)
    held = None if scopes is None else _held(histories, scopes, lot, as_of)
    row = traced(histories, as_of).row[lot]
    quantity = np.where(row >= 0, histories["lots"]["quantity"][row], 0)
    where = whereabouts(histories, lot, quantity, as_of)
    items = _items(histories, row, names, where)
    by_lot = {kind: _by_lot(lot, found, kind) for kind in _KINDS}
    contained = [None] * len(items) if held is None else held.tolist()
    for place, item in enumerate(items):
        item["why"] = why[place]
        item["supplier_lots"] = by_lot["uses"].get(place, [])
        item["not_excluded"] = by_lot["cannot_exclude"].get(place, [])
        item["withdrawn"] = by_lot["withdrawn"].get(place, [])
        item["contained"] = contained[place]
    sources = [_source(histories, one, as_of) for one in found]
    wire: Answer = {
        "about": _about(histories, about),
        "as_of": iso(as_of),
        "supplier_lots": sources,
        "boundary": _boundary(histories, about, found, sources, as_of),
        "counts": _counts(why, where) | {"contained": contained.count(True)},
    }
    return Found(lot, names, wire, items)


def _lot_of_return(histories: Histories, name: str, as_of: int) -> int:
    """The code of the lot that a return is of, as it stood; -1: no such return."""
    if "returns" not in histories or (code := histories.ids["return"].code(name)) < 0:
        return -1
    table = histories["returns"]
    by_return: RowsBy = histories.once("returns by id", lambda: RowsBy(table["return_id"]))
    row = by_return.pairs(np.array([code]))[1]
    row = row[stands(table.known[row], table.superseded[row], as_of)]
    return int(table["lot_id"][row[0]]) if len(row) else -1


def _whys(lot: Array, found: Sequence[Suspects]) -> dict[str, Array]:
    none = np.empty(0, dtype=np.int64)
    return {kind: np.isin(lot, np.concatenate([none, *(getattr(one, kind) for one in found)])) for kind in _KINDS}


def _why(lot: Array, whys: Mapping[str, Array], about: About) -> list[str]:
    uses = "uses" if about.supplier_lot is not None else "shares"
    told = np.where(whys["uses"], uses, np.where(whys["cannot_exclude"], "cannot_exclude", "withdrawn"))
    return [str(one) for one in np.where(lot == about.lot, "returned", told)]


def _by_lot(lot: Array, found: Sequence[Suspects], kind: str) -> dict[int, list[str]]:
    """By place among the lots, the supplier lots for which it is on the list."""
    told: dict[int, list[str]] = {}
    for one in found:
        for place in np.searchsorted(lot, getattr(one, kind)).tolist():
            told.setdefault(place, []).append(one.source.name)
    return told


def _held(histories: Histories, scopes: Sequence[Scope], lot: Array, as_of: int) -> Array:
    held = np.zeros(len(lot), dtype=bool)
    for scope in scopes:
        for codes in lots_held(histories, scope, as_of).values():
            held |= np.isin(lot, codes)
    return held


def _items(histories: Histories, row: Array, names: list[str], found: Whereabouts) -> list[Answer]:
    """What is known of each lot, by its row of `lots` (-1: it is no longer there), and where its units are."""
    table, there = histories["lots"], row >= 0
    quantity = table["quantity"][row]
    columns = [_texts(histories, kind, np.where(there, told_of, -1)) for kind, told_of in _ids(histories, row)]
    where = _where(histories, found)
    produced = _isos(np.where(there, table["produced_at"][row], NO_TIME))
    return [
        {
            "lot_id": name,
            "product_id": product,
            "line_id": line,
            "produced_at": moment,
            "quantity": units if known else None,
            "where": where.get(place, []),
        }
        for place, (name, product, line, moment, units, known) in enumerate(
            zip(names, *columns, produced, quantity.tolist(), there.tolist(), strict=True)
        )
    ]


def _ids(histories: Histories, row: Array) -> Iterator[tuple[str, Array]]:
    table = histories["lots"]
    for kind in ("product", "line"):
        column = f"{kind}_id"
        yield kind, table[column][row] if table.has(column) else np.full(len(row), -1)


def _texts(histories: Histories, kind: str, codes: Array) -> list[str | None]:
    return histories.ids[kind].decode(codes) if kind in histories.ids else [None] * len(codes)


def _isos(moments: Array) -> list[str | None]:
    """What `iso` writes of each, of a hundred thousand in a moment where they are whole seconds."""
    told: list[str | None] = [f"{text}Z" for text in np.datetime_as_string((moments // SECOND).view("datetime64[s]"))]
    for place in np.flatnonzero((moments % SECOND != 0) | (moments == NO_TIME)).tolist():
        told[place] = None if moments[place] == NO_TIME else iso(int(moments[place]))
    return told


def _where(histories: Histories, found: Whereabouts) -> dict[int, list[Answer]]:
    """By place of the lot: places with units there, and when the first and the last of them went."""
    customers, places = _texts(histories, "customer", found.customer), [PLACES[at] for at in found.place.tolist()]
    told: dict[int, list[Answer]] = {}
    columns = (found.of.tolist(), places, customers, found.units.tolist(), _isos(found.at), _isos(found.last))
    for of, place, customer, units, at, last in zip(*columns, strict=True):
        entry = {"place": place, "customer_id": customer, "units": units, "at": at, "last_at": last}
        told.setdefault(of, []).append(entry)
    return told


def _about(histories: Histories, about: About) -> Answer:
    lot = None if about.lot < 0 else histories.ids["lot"].texts[about.lot]
    return {"supplier_lot": about.supplier_lot, "return": about.returned, "lot_id": lot}


def _source(histories: Histories, found: Suspects, as_of: int) -> Answer:
    """A supplier lot that is followed."""
    source, told = found.source, traced(histories, as_of)
    row = int(told.supply[source.code])
    supplier = None
    if row >= 0:
        supplier = _texts(histories, "supplier", histories["supplier_lots"]["supplier_id"][[row]])[0]
    return {
        "supplier_lot_id": source.name,
        "supplier_id": supplier,
        "material": told.materials[source.material] if source.material >= 0 else None,
        "received_at": None if source.received_at == NO_TIME else iso(source.received_at),
        "quantity": source.quantity if source.quantity == source.quantity else None,
        "consumed": source.consumed,
        "uses_without_quantity": source.unsaid,
        "used_up_at": None if source.until == FOREVER else iso(source.until),
        "counts": {
            "uses": len(found.uses),
            "cannot_exclude": len(found.cannot_exclude),
            "withdrawn": len(found.withdrawn),
        },
    }


def _boundary(
    histories: Histories, about: About, found: Sequence[Suspects], sources: Sequence[Answer], as_of: int
) -> Answer:
    """How far the list has to reach, and why."""
    reasons = [reason for one in found for reason in boundary_reasons(histories, one, as_of)]
    missing = missing_materials(histories, about.lot, as_of) if about.lot >= 0 else []
    if about.lot >= 0:
        lot = histories.ids["lot"].texts[about.lot]
        if not about.sources:
            reasons.append(Reason("nothing_traced", {"lot_id": lot}))
        elif missing:
            reasons.append(Reason("genealogy_incomplete", {"lot_id": lot, "materials": ", ".join(missing)}))
    starts = [source["received_at"] for source in sources]
    ends = [source["used_up_at"] for source in sources]
    complete = bool(found) and not missing and all(one.complete for one in found)
    return {
        "complete": complete,
        "from": min(starts) if starts and None not in starts else None,
        "until": max(ends) if complete else iso(as_of),
        "reasons": [
            {"code": reason.code, "detail": detail_of(reason), "values": _plain(reason.values)} for reason in reasons
        ],
    }


def _plain(values: Mapping[str, Any]) -> Answer:
    return {name: iso(value) if name == "until" else value for name, value in values.items()}


def _counts(why: Sequence[str], found: Whereabouts) -> Answer:
    """Lots by why and by place, and units by place; a lot may be in several places."""
    whys = Counter(why)
    there = [found.place == number for number in range(len(PLACES))]
    return {
        "lots": len(why),
        "why": {one: whys[one] for one in WHYS},
        "lots_by_place": {place: len(np.unique(found.of[at])) for place, at in zip(PLACES, there, strict=True)},
        "units_by_place": {place: int(found.units[at].sum()) for place, at in zip(PLACES, there, strict=True)},
    }
