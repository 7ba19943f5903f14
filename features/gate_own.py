"""States of a lot by its own rows: news still to come, limits left out or widened, names and customers that nobody
knows, put away."""

from collections.abc import Iterator

import numpy as np

from features.asked import Asked, rows_by_lot
from features.asof import Array, before, stands
from features.contracts import action_of
from features.customers import customer_rows, customers_of
from features.gate_settings import GateSettings
from features.histories import Histories
from features.limits import known_limits
from features.named import only_lots

Told = dict[int, str]
"""Detail by place of the asked lot."""
_OPEN = ("released", "reworked", "inspected")


def own_states(asked: Asked, histories: Histories, gate: GateSettings) -> dict[str, Told]:
    """By state, the lots that are in it."""
    return {
        "not_open": _put_away(asked, histories),
        "unknown_customer": _customers(asked, histories, gate),
        "unknown_name": _named_by_nobody_else(asked, histories),
        "missing_limits": _without_limits(asked, histories),
        "wider_limits": _with_wider_limits(asked, histories),
        "measured_after_as_of": _still_to_come(asked, histories),
    }


def _put_away(asked: Asked, histories: Histories) -> Told:
    """Lots of which what was said last does not say that they are good: a disposition that is none of `_OPEN` or found
    them failing without releasing them, or an outcome that they failed."""
    last: dict[int, str] = {}
    for _, place, why in sorted([*_disposed(asked, histories), *_failed(asked, histories)]):
        last[place] = why
    return {place: why for place, why in last.items() if why}


Event = tuple[int, int, str]
"""When, the place of the asked lot, and why it is not to be released; "": it is good."""


def _disposed(asked: Asked, histories: Histories) -> Iterator[Event]:
    """An inspection of which nobody said what it found changes nothing: a lot that was held stays so."""
    if "dispositions" not in histories:
        return
    table = histories["dispositions"]
    texts = table.texts["action"].texts
    for place, row in _standing(asked, histories, "dispositions"):
        action = action_of(texts[int(table["action"][row])])
        found = int(table["found"][row]) if table.has("found") else -1
        if found == 1 and action != "released":
            yield int(table["decided_at"][row]), place, "it was found failing"
        elif action not in _OPEN:
            yield int(table["decided_at"][row]), place, f"its last disposition is {action}"
        elif action != "inspected" or found == 0:
            yield int(table["decided_at"][row]), place, ""


def _failed(asked: Asked, histories: Histories) -> Iterator[Event]:
    if "outcomes" in histories:
        table = histories["outcomes"]
        for place, row in _standing(asked, histories, "outcomes"):
            if table["failed"][row] == 1:
                yield int(table.known[row]), place, "an outcome says that it failed"


def _standing(asked: Asked, histories: Histories, name: str) -> list[tuple[int, int]]:
    """(place of the asked lot, row) of the rows about it that stand at its `as_of`."""
    table = histories[name]
    question, row = rows_by_lot(histories, name).pairs(asked.lot)
    known = stands(table.known[row], table.superseded[row], asked.as_of[question])
    return list(zip(question[known].tolist(), row[known].tolist(), strict=True))


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


def _still_to_come(asked: Asked, histories: Histories) -> Told:
    """Rows of a lot that the histories hold and that become known only later: a clock that runs ahead, a plain date."""
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
    return found
