"""States of a lot by its own rows: news still to come, limits left out or widened, names and customers that nobody
knows, put away."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from features.asked import Asked, rows_by_lot
from features.asof import FOREVER, NO_TIME, Array, before, stands
from features.contracts import action_of
from features.customers import customer_rows, customers_of
from features.gate_rules import valued
from features.gate_settings import GateSettings
from features.histories import Histories
from features.limits import known_limits
from features.named import only_lots
from features.supplies import rows_of_supplies

Told = dict[int, str]
"""Detail by place of the asked lot."""
_OPEN = ("released", "reworked", "inspected")
_OF_LOTS = ("lots", "measurements", "genealogy", "shipments", "dispositions", "outcomes")
_OF_SUPPLIER_LOTS = ("supplier_lots", "inspections")


def own_states(asked: Asked, histories: Histories, gate: GateSettings) -> dict[str, Told]:
    """By state, the lots that are in it."""
    return {
        "not_open": _put_away(asked, histories),
        "contradicting_rows": _contradicted(asked, histories),
        "unknown_customer": _customers(asked, histories, gate),
        "unknown_name": _named_by_nobody_else(asked, histories),
        "missing_limits": _without_limits(asked, histories),
        "wider_limits": _with_wider_limits(asked, histories),
        "measured_after_as_of": _still_to_come(asked, histories, gate),
    }


def _put_away(asked: Asked, histories: Histories) -> Told:
    """Lots of which a disposition that is none of `_OPEN`, one that found them failing without releasing them, or an
    outcome says that they are not good, and no disposition of after that says that they are."""
    said = [*_disposed(asked, histories), *_failed(asked, histories)]
    return {event.place: event.why for event in unmended(said)}


def _after(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether a decision is the later one by when it was made and by when it was known, as far as they differ.

    A plain date counts as its start by the first and as its end by the second: of a day nobody knows which hour.
    """
    return one != other and not before(one[0], other[0]) and not before(one[1], other[1])


class Event(NamedTuple):
    """When it was decided and known, the place of the asked lot, why it is not to be released; "": it is good."""

    decided: int
    known: int
    place: int
    why: str


def unmended(said: Iterable[Event]) -> list[Event]:
    """What is bad and what no disposition of after it says otherwise of, in order."""
    good: dict[int, list[tuple[int, int]]] = {}
    bad: list[Event] = []
    for event in said:
        if event.why:
            bad.append(event)
        else:
            good.setdefault(event.place, []).append((event.decided, event.known))
    return [
        event
        for event in sorted(bad)
        if not any(_after(one, (event.decided, event.known)) for one in good.get(event.place, ()))
    ]


def said_of(asked: Asked, histories: Histories) -> list[Event]:
    """What dispositions and outcomes say of the lots, and what is bad of it that becomes known only after `as_of`."""
    later = [*_disposed(asked, histories, later=True), *_failed(asked, histories, later=True)]
    return [*_disposed(asked, histories), *_failed(asked, histories), *(event for event in later if event.why)]


def said_by(action: str, found: int | None) -> str | None:
    """Why a lot of which a disposition says this is not to be released; "": it is good; None: it changes nothing.

    An inspection of which nobody said what it found changes nothing: a lot that was held stays so.
    """
    action = action_of(action)
    if found == 1 and action != "released":
        return "it was found failing"
    if action not in _OPEN:
        return f"its last disposition is {action}"
    return "" if action != "inspected" or found == 0 else None


def _disposed(asked: Asked, histories: Histories, *, later: bool = False) -> Iterator[Event]:
    """`later`: what becomes known only after `as_of`."""
    if "dispositions" not in histories:
        return
    table = histories["dispositions"]
    texts = table.texts["action"].texts
    for place, row in _rows(asked, histories, "dispositions", later=later):
        found = int(table["found"][row]) if table.has("found") else -1
        if (why := said_by(texts[int(table["action"][row])], found)) is not None:
            yield Event(int(table["decided_at"][row]), int(table.known[row]), place, why)


def _failed(asked: Asked, histories: Histories, *, later: bool = False) -> Iterator[Event]:
    if "outcomes" in histories:
        table = histories["outcomes"]
        for place, row in _rows(asked, histories, "outcomes", later=later):
            if table["failed"][row] == 1:
                known = int(table.known[row])
                yield Event(known, known, place, "an outcome says that it failed")


def _rows(asked: Asked, histories: Histories, name: str, *, later: bool) -> list[tuple[int, int]]:
    """(place of the asked lot, row) of the rows about it that stand at its `as_of`, or that become known `later`."""
    table = histories[name]
    question, row = rows_by_lot(histories, name).pairs(asked.lot)
    as_of = asked.as_of[question]
    some = ~before(table.known[row], as_of) if later else stands(table.known[row], table.superseded[row], as_of)
    return list(zip(question[some].tolist(), row[some].tolist(), strict=True))


def _contradicted(asked: Asked, histories: Histories) -> Told:
    """Lots about which rows of a source say otherwise than others of their key and known time, so that none counts."""
    found: Told = {}
    every, used = np.arange(len(asked)), asked.used
    for name in _OF_LOTS:
        found |= _torn(histories, name, "lot_id", asked.lot, every, asked.as_of)
    for name in _OF_SUPPLIER_LOTS:
        found |= _torn(histories, name, "supplier_lot_id", used.supplier_lot, used.of, asked.as_of)
    if "customers" in histories and len(histories["customers"].contradicted.get("known", ())):
        who, customer = customers_of(histories, asked.lot, asked.own.codes("customer_id"), asked.as_of)
        found |= _torn(histories, "customers", "customer_id", customer, who, asked.as_of)
    return found


def _torn(histories: Histories, name: str, about: str, code: Array, of: Array, as_of: Array) -> Told:
    """`code`: what the rows are about, `of`: the place of whose lot that is, shape (pairs,); `as_of`, (lots,)."""
    torn = histories[name].contradicted if name in histories else {}
    if not len(torn.get("known", ())):
        return {}
    rows = np.flatnonzero(np.isin(torn[about], code) & (torn[about] >= 0))
    some = np.flatnonzero(np.isin(code, torn[about][rows]))
    moment = as_of[of[some]][:, None]
    at_odds = (torn[about][rows] == code[some][:, None]) & stands(torn["known"][rows], torn["superseded"][rows], moment)
    text = f"rows of {name} with one key and one known time differ"
    return dict.fromkeys(of[some][at_odds.any(axis=1)].tolist(), text)


def _customers(asked: Asked, histories: Histories, gate: GateSettings) -> Told:
    """Where customers can be on hold, lots of which no customer is known."""
    rule = gate.rules.customer_hold
    if rule.action == "off" or "customers" not in histories or not histories["customers"].has(rule.column):
        return {}
    who, customer = customers_of(histories, asked.lot, asked.own.codes("customer_id"), asked.as_of)
    known = np.zeros(len(asked), dtype=bool)
    known[who[customer_rows(histories, customer, asked.as_of[who]) >= 0]] = True
    return dict.fromkeys(np.flatnonzero(~known).tolist(), "no customer that the table customers holds")


def _named_by_nobody_else(asked: Asked, histories: Histories) -> Told:
    """Measurements, kept from an earlier call, of a characteristic that no source and no other lot has."""
    own = asked.measured
    if not len(own.of):
        return {}
    lot = asked.lot[own.of]
    alone = (lot >= 0) & (only_lots(histories)[own.characteristic] == lot)
    names = histories.ids["characteristic"].texts if alone.any() else ()
    return {
        int(own.of[row]): f"no source and no other lot has characteristic {names[int(own.characteristic[row])]}"
        for row in np.flatnonzero(alone).tolist()
    }


def _without_limits(asked: Asked, histories: Histories) -> Told:
    """Measurements without limits of a characteristic that has always had some."""
    if "measurements" not in histories:
        return {}
    own = asked.measured
    always = histories.once("characteristics with limits", lambda: _limited(histories))
    bare = np.isnan(own.lower) & np.isnan(own.upper) & always[own.characteristic]
    names = histories.ids["characteristic"].texts
    return {
        int(own.of[row]): f"{names[int(own.characteristic[row])]} comes without limits"
        for row in np.flatnonzero(bare).tolist()
    }


def _with_wider_limits(asked: Asked, histories: Histories) -> Told:
    """Measurements out of the limits last known of their product, which state wider ones."""
    own = asked.measured
    if not len(own.of):
        return {}
    product = asked.own.codes("product_id")[own.of]
    lower, upper = known_limits(histories, product, own.characteristic, asked.as_of[own.of], without=asked.lot[own.of])
    with np.errstate(invalid="ignore"):
        below = (own.value < lower) & ~(own.lower >= lower)
        above = (own.value > upper) & ~(own.upper <= upper)
    found: Told = {}
    for row in np.flatnonzero(below | above).tolist():
        name = histories.ids["characteristic"].texts[int(own.characteristic[row])]
        stated, known = (_range(*ends) for ends in ((own.lower[row], own.upper[row]), (lower[row], upper[row])))
        told = f"{name} is {own.value[row]:.6g}: it states {stated}, the limits last known are {known}"
        found.setdefault(int(own.of[row]), told)
    return found


def _range(lower: float, upper: float) -> str:
    low, high = ("any" if np.isnan(limit) else f"{limit:.6g}" for limit in (lower, upper))
    return f"{low} to {high}"


def _limited(histories: Histories) -> Array:
    """By code of a characteristic, and a last one for none: nine in ten of its rows have a limit; bool."""
    table = histories["measurements"]
    limited = np.zeros(len(table), dtype=bool)
    for column in ("lower_spec", "upper_spec"):
        if table.has(column):
            limited |= ~np.isnan(table[column])
    size, code = len(histories.ids["characteristic"]), table["characteristic"]
    every, some = np.bincount(code, minlength=size), np.bincount(code[limited], minlength=size)
    return np.append((some * 10 >= every * 9) & (every > 0), False)


def _still_to_come(asked: Asked, histories: Histories, gate: GateSettings) -> Told:
    """Rows of a lot that the histories hold and that become known only later: a clock that runs ahead, a plain date.

    Of what others say of it, or of its material and its customer, bad news only: each day's good ones are dates too.
    """
    found: Told = {}
    for name in ("measurements", "genealogy"):
        if name in histories:
            table = histories[name]
            question, row = rows_by_lot(histories, name).pairs(asked.lot)
            later = ~before(table.known[row], asked.as_of[question])
            if name == "genealogy" and table.has("consumed_at"):
                later &= ~before(table["consumed_at"][row], asked.as_of[question])
            for place in np.unique(question[later]).tolist():
                found.setdefault(place, f"{name} of this lot is known only after as_of")
    for event in [*_disposed(asked, histories, later=True), *_failed(asked, histories, later=True)]:
        if event.why:
            found.setdefault(event.place, f"{event.why}, which is known only after as_of")
    for place, why in _held_later(asked, histories, gate):
        found.setdefault(place, f"{why}, which is known only after as_of")
    return found


def _held_later(asked: Asked, histories: Histories, gate: GateSettings) -> Iterator[tuple[int, str]]:
    """(place of the asked lot, why) where the last row of a supplier lot or customer of it holds it, and is to come."""
    used, rules = asked.used, gate.rules
    if _may_come(asked, histories, "supplier_lots"):
        as_of = asked.as_of[used.of]
        rows = rows_of_supplies(histories, used.supplier_lot, np.full(len(as_of), FOREVER))
        rows = np.where(before(histories["supplier_lots"].known[rows], as_of), -1, rows)
        for place, value in valued(histories, "supplier_lots", rows, rules.blocked_supplier_lot):
            name = histories.ids["supplier_lot"].texts[int(used.supplier_lot[place])]
            yield int(used.of[place]), f"{name}: {rules.blocked_supplier_lot.column} {value}"
    if _may_come(asked, histories, "customers"):
        who, customer = customers_of(histories, asked.lot, asked.own.codes("customer_id"), asked.as_of)
        rows = customer_rows(histories, customer, np.full(len(who), FOREVER))
        rows = np.where(before(histories["customers"].known[rows], asked.as_of[who]), -1, rows)
        for place, value in valued(histories, "customers", rows, rules.customer_hold):
            name = histories.ids["customer"].texts[int(customer[place])]
            yield int(who[place]), f"{name}: {rules.customer_hold.column} {value}"


def _may_come(asked: Asked, histories: Histories, name: str) -> bool:
    """Whether any row of the table becomes known after any of the questions."""
    if name not in histories:
        return False
    last = histories.once(("last known", name), lambda: histories[name].known.max(initial=NO_TIME), of=(name,))
    return bool((~before(last, asked.as_of)).any())
