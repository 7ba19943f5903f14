"""The gate's rules: what holds a lot whatever its risk is. No low score overrules one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from features.asked import Asked
from features.asof import DAY, FOREVER, Array, before, stands
from features.attributes import as_text
from features.containment import Held, Scope, held
from features.customers import customer_rows, customers_of
from features.dictionary import in_language
from features.gate_settings import USUAL, VALUED, GateSettings, RulesSettings, ValueRule
from features.gate_words import (
    A_MEASUREMENT,
    ANY,
    CANNOT_EXCLUDE,
    CONTAINMENT,
    IS,
    LIMITS,
    LISTED,
    OVERDUE,
    RULES,
    USES,
)
from features.histories import Histories, Table
from features.order import RowsBy
from features.period import duration
from features.supplies import rows_of_supplies

_WHY = {"uses": USES, "listed": LISTED, "cannot_exclude": CANNOT_EXCLUDE}
_SHOWN = 5  # of what makes one rule hold a lot; the count says the rest


@dataclass(frozen=True)
class Fired:
    """A rule that holds a lot: its name, what it asks for, and what makes it hold, a text each."""

    rule: str
    action: str
    what: tuple[str, ...]


@dataclass(frozen=True)
class Ruled:
    """`fired`: of each asked lot, in the order of `RULES`. `until`: when a rule will hold that does not yet, int64,
    shape (lots,), FOREVER: none will by itself."""

    fired: list[list[Fired]]
    until: Array


def ruled(
    asked: Asked,
    lot_ids: Sequence[str],
    histories: Histories,
    gate: GateSettings,
    scopes: Sequence[Scope],
    language: str,
) -> Ruled:
    """The rules that hold each asked lot by what was known strictly before its `as_of`. `scopes`: open containments."""
    supplies = _supplies(asked, histories)
    rules, every = gate.rules, range(len(asked))
    overdue, until = _overdue(supplies, asked, histories, rules.overdue_inspection.after, language)
    found = {
        "out_of_specification": _out_of_specification(asked, histories, language),
        "blocked_supplier_lot": _blocked(supplies, histories, rules.blocked_supplier_lot, language),
        "open_containment": _contained(asked, lot_ids, histories, scopes, language),
        "customer_hold": _customers_on_hold(asked, histories, rules.customer_hold, language),
        "overdue_inspection": overdue,
    }
    actions = {name: getattr(rules, name).action for name in RULES}
    fired = [
        [
            Fired(name, actions[name], _shown(what))
            for name in RULES
            if (what := found[name].get(place)) and actions[name] != "off"
        ]
        for place in every
    ]
    if actions["overdue_inspection"] == "off":
        until = np.full(len(asked), FOREVER)
    return Ruled(fired, until)


class NoColumn(NamedTuple):
    """A rule whose column its table does not have. `named`: not the usual one, so the site means that there is one."""

    rule: str
    table: str
    column: str
    named: bool


def without_column(rules: RulesSettings, tables: Mapping[str, Table]) -> list[NoColumn]:
    """Rules that look at an attribute which is not there; those that are off look at nothing."""
    return [
        NoColumn(name, table, looks.column, looks.column != getattr(USUAL, name).column)
        for name, table in VALUED.items()
        if (looks := getattr(rules, name)).action != "off" and not (table in tables and tables[table].has(looks.column))
    ]


def listed(lot_id: str, gate: GateSettings, scopes: Sequence[Scope], language: str) -> list[Fired]:
    """The rule `open_containment` for a lot that no table holds: by what the open containments list."""
    action = gate.rules.open_containment.action
    those = [Held(scope.id, "listed", lot_id) for scope in scopes if lot_id in scope.listed]
    return [Fired("open_containment", action, _shown(_told(those, language)))] if those and action != "off" else []


Found = dict[int, list[str]]
"""By place of the asked lot: what makes a rule hold it."""


@dataclass(frozen=True)
class _Supplies:
    """The supplier lots that went into asked lots: `of` whose, `code`, `row` of supplier_lots (-1: not known then)."""

    of: Array
    code: Array
    row: Array
    as_of: Array


def _supplies(asked: Asked, histories: Histories) -> _Supplies:
    used = asked.used
    as_of = asked.as_of[used.of]
    return _Supplies(used.of, used.supplier_lot, rows_of_supplies(histories, used.supplier_lot, as_of), as_of)


def _out_of_specification(asked: Asked, histories: Histories, language: str) -> Found:
    """Every measurement that stands counts: measuring again until a value fits mends nothing."""
    own = asked.measured
    with np.errstate(invalid="ignore"):
        out = np.flatnonzero((own.value < own.lower) | (own.value > own.upper))
    found: Found = {}
    for row in out.tolist():
        code = int(own.characteristic[row])
        name = histories.ids["characteristic"].texts[code] if code >= 0 else in_language(A_MEASUREMENT, language)
        told = in_language(LIMITS, language).format(
            characteristic=name,
            value=f"{own.value[row]:.6g}",
            lower=_limit(own.lower[row], language),
            upper=_limit(own.upper[row], language),
        )
        found.setdefault(int(own.of[row]), []).append(told)
    return found


def _limit(value: float, language: str) -> str:
    return in_language(ANY, language) if np.isnan(value) else f"{value:.6g}"


def _blocked(supplies: _Supplies, histories: Histories, rule: ValueRule, language: str) -> Found:
    found: Found = {}
    for place, value in valued(histories, "supplier_lots", supplies.row, rule):
        name = histories.ids["supplier_lot"].texts[int(supplies.code[place])]
        told = in_language(IS, language).format(what=name, column=rule.column, value=value)
        found.setdefault(int(supplies.of[place]), []).append(told)
    return found


def _customers_on_hold(asked: Asked, histories: Histories, rule: ValueRule, language: str) -> Found:
    found: Found = {}
    who, customer = customers_of(histories, asked.lot, asked.own.codes("customer_id"), asked.as_of)
    rows = customer_rows(histories, customer, asked.as_of[who])
    for place, value in valued(histories, "customers", rows, rule):
        name = histories.ids["customer"].texts[int(customer[place])]
        told = in_language(IS, language).format(what=name, column=rule.column, value=value)
        if told not in found.setdefault(int(who[place]), []):
            found[int(who[place])].append(told)
    return found


def valued(histories: Histories, table: str, rows: Array, rule: ValueRule) -> list[tuple[int, str]]:
    """(place, value as text) of the rows of a table, -1 for none, whose attribute has one of the rule's values."""
    if rule.action == "off" or table not in histories or not histories[table].has(rule.column):
        return []
    held, wanted = histories[table], {value.strip().casefold() for value in rule.values}
    there = np.flatnonzero(rows >= 0)
    values = held[rule.column][rows[there]]
    if rule.column in held.texts or rule.column.removesuffix("_id") in histories.ids:
        vocabulary = held.texts.get(rule.column) or histories.ids[rule.column.removesuffix("_id")]
        texts = vocabulary.decode(values)
    else:
        texts = [None if np.isnan(value) else as_text(float(value)) for value in values]
    return [
        (place, text)
        for place, text in zip(there.tolist(), texts, strict=True)
        if text is not None and text.strip().casefold() in wanted
    ]


def _contained(
    asked: Asked, lot_ids: Sequence[str], histories: Histories, scopes: Sequence[Scope], language: str
) -> Found:
    if not scopes:
        return {}
    every = enumerate(held(asked, lot_ids, histories, scopes))
    return {place: _told(those, language) for place, those in every if those}


def _told(those: Sequence[Held], language: str) -> list[str]:
    whys = [(one.scope_id, in_language(_WHY[one.why], language).format(what=one.what)) for one in those]
    return [in_language(CONTAINMENT, language).format(number=number, why=why) for number, why in whys]


def _overdue(
    supplies: _Supplies, asked: Asked, histories: Histories, after: str | None, language: str
) -> tuple[Found, Array]:
    """And when the next one will be overdue, of each asked lot."""
    until, found = np.full(len(asked), FOREVER), Found()
    rows = np.flatnonzero(supplies.row >= 0)
    if after is None or not len(rows):
        return found, until
    of, code, as_of = supplies.of[rows], supplies.code[rows], supplies.as_of[rows]
    received = histories["supplier_lots"]["received_at"][supplies.row[rows]]
    due = received + duration(after)
    waiting = ~_inspected(histories, code, as_of)
    late = waiting & before(due, as_of)
    np.minimum.at(until, of[waiting & ~late], due[waiting & ~late])
    for place in np.flatnonzero(late).tolist():
        name = histories.ids["supplier_lot"].texts[int(code[place])]
        told = in_language(OVERDUE, language).format(what=name, days=int((as_of[place] - received[place]) // DAY))
        found.setdefault(int(of[place]), []).append(told)
    return found, until


def _inspected(histories: Histories, code: Array, as_of: Array) -> Array:
    """Whether any inspection of each supplier lot was known strictly before `as_of`; bool."""
    inspected = np.zeros(len(code), dtype=bool)
    if "inspections" in histories:
        table = histories["inspections"]
        index = histories.once("inspections by supplier lot", lambda: RowsBy(table["supplier_lot_id"]))
        question, row = index.pairs(code)
        inspected[question[stands(table.known[row], table.superseded[row], as_of[question])]] = True
    return inspected


def _shown(what: list[str]) -> tuple[str, ...]:
    return tuple(what) if len(what) <= _SHOWN else (*what[:_SHOWN], f"+ {len(what) - _SHOWN}")
