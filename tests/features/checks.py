"""What every feature group must hold to, whatever it computes. Each check takes a group and fails with a sentence.

A group is anything with `columns(layout)` and `build(asked, histories, layout)`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

import numpy as np

from features.asked import ask
from features.build import choose_layout
from features.contracts import TABLES
from features.histories import Histories
from features.judgements import judge
from features.layout import Layout
from features.missing import with_what_is_missing
from features.rules import Rules
from tests import oracle
from tests.tiny_site import Rows, asked, day, histories, rules, shuffled, tiny_site

Values = dict[str, np.ndarray]

OPTIONAL = (
    "measurements",
    "supplier_lots",
    "inspections",
    "genealogy",
    "dispositions",
    "customers",
    "actions",
    "surveys",
)


@dataclass(frozen=True, eq=False)
class Case:
    """A site as it was at a moment, judgements up to it, and a layout chosen earlier."""

    rows: Rows
    rule: Rules
    told: Histories
    layout: Layout
    moment: int
    lots: tuple[str, ...]
    as_of: tuple[int, ...]


RULES = (
    (rules(within=30), "both"),
    (rules(within=30, again_every=45), "shipments"),
    (rules(within=30, at="produced_at", again_every=60), "lots"),
    (rules(label="outcomes"), "both"),
)


@cache
def cases() -> tuple[Case, ...]:
    return tuple(case(seed, rule, ships) for seed, (rule, ships) in enumerate(RULES))


def case(seed: int, rule: Rules, ships: str, *, lots: int = 20, chosen: float = 260, moment: float = 330) -> Case:
    until = day(moment)
    rows = oracle.as_it_was(tiny_site(Random(seed), lots=lots, label=rule.label.source, ships=ships), until)
    told = histories(rows, rule)
    layout = choose_layout(told, day(chosen), rules=rule)
    judged = judge(told.known_before(until), rule, until=until)
    # Every judgement there was, and every lot as a request at the moment would find it.
    lots_asked = [*told.ids["lot"].decode(judged.lot), *sorted({row["lot_id"] for row in rows["lots"]})]
    as_of = [*judged.as_of.tolist(), *[until] * (len(lots_asked) - len(judged))]
    return Case(rows, rule, told, layout, until, tuple(lots_asked), tuple(as_of))


def values(group: Any, case: Case, told: Histories | None = None, places: Sequence[int] | None = None) -> Values:
    """The group's columns for a case, on other histories or for some of its judgements."""
    told = with_what_is_missing(case.told if told is None else told, case.layout)
    places = range(len(case.lots)) if places is None else places
    judged = asked(told, [case.lots[place] for place in places], [case.as_of[place] for place in places])
    return group.build(ask(judged, told, case.layout.rules), told, case.layout)


def late_rows_change_nothing(group: Any) -> None:
    for one, late in zip(cases(), late_histories(), strict=True):
        assert_same(values(group, one, late), values(group, one), "rows known at or after as_of changed")


def row_order_changes_nothing(group: Any) -> None:
    for one, (rows, standing) in zip(cases(), _mixed(), strict=True):
        assert_same(values(group, one, rows), values(group, one), "the order of the source's rows changed")
        assert_same(values(group, one, standing), values(group, one), "the order of the standing rows changed")


def one_lot_alone_is_the_same_lot_in_a_batch(group: Any) -> None:
    for one in cases():
        batch = values(group, one)
        for place in range(0, len(one.lots), 4):
            alone = values(group, one, places=[place])
            assert_same(alone, {name: column[[place]] for name, column in batch.items()}, "a batch changed")


def absent_tables_say_no_more_than_late_ones(group: Any) -> None:
    """No table is the same as one whose rows all come too late; neither is an error."""
    for one, name, absent, late in _without_tables():
        assert_same(values(group, one, absent), values(group, one, late), f"a missing table {name} changed")


def absent_columns_are_null(group: Any) -> None:
    for one, name, absent, null in _without_columns():
        assert_same(values(group, one, absent), values(group, one, null), f"a missing {name} changed")


@cache
def late_histories() -> list[Histories]:
    return [histories(with_absurd_late_rows(one.rows, one.moment), one.rule) for one in cases()]


@cache
def _mixed() -> list[tuple[Histories, Histories]]:
    random, order, mixed = Random(0), np.random.default_rng(0), []
    for one in cases():
        rows = histories({name: shuffled(random, table) for name, table in one.rows.items()}, one.rule)
        tables = {name: table.take(order.permutation(len(table))) for name, table in one.told.tables.items()}
        mixed.append((rows, Histories(tables, one.told.ids)))
    return mixed


@cache
def _without_tables() -> list[tuple[Case, str, Histories, Histories]]:
    made = []
    for one in cases():
        for name in OPTIONAL:
            absent = {table: rows for table, rows in one.rows.items() if table != name}
            late = [row | {"known_at": one.moment} for row in one.rows.get(name, []) if row.get("known_at") is None]
            if name == "customers":
                late = []  # has no known time
            if name == "genealogy":
                late = [row for row in late if row["consumed_at"] is not None]  # the others are usable always
            made.append((one, name, histories(absent, one.rule), histories({**absent, name: late}, one.rule)))
    return made


@cache
def _without_columns() -> list[tuple[Case, str, Histories, Histories]]:
    made = []
    for one in cases()[:2]:
        for table, name in optional_columns(one.rows):
            rows = [{column: value for column, value in row.items() if column != name} for row in one.rows[table]]
            null = [{**row, name: None} for row in rows]
            without = histories({**one.rows, table: rows}, one.rule)
            made.append((one, f"{table}.{name}", without, histories({**one.rows, table: null}, one.rule)))
    return made


def optional_columns(rows: Rows) -> Iterator[tuple[str, str]]:
    for table, told in rows.items():
        names = {name for row in told for name in row} - {"known_at", "deleted"}
        key = set(TABLES[table].key)
        required = {column.name for column in TABLES[table].columns if column.required}
        # Of sample_size, defects and value each is a result, and a correction may need the one that is left.
        results = {"sample_size", "defects", "value"}
        for name in sorted(names - required - key - results):
            yield table, name


def columns_are_as_declared(group: Any) -> None:
    for one in cases():
        names = [column.name for column in group.columns(one.layout)]
        assert len(set(names)) == len(names), "a column is declared twice"
        built = values(group, one)
        assert set(built) >= set(names), f"declared and not built: {sorted(set(names) - set(built))}"
        for name in names:
            column = built[name]
            assert column.dtype == np.float64, f"{name} is {column.dtype}, not float64"
            assert column.shape == (len(one.lots),), f"{name} has shape {column.shape}"
            assert not np.isinf(column).any(), f"{name} is infinite"
        for column in group.columns(one.layout):
            if column.type == "category":
                codes = built[column.name][~np.isnan(built[column.name])]
                assert np.isin(codes, np.arange(len(column.levels))).all(), f"{column.name} has codes without a level"


def unseen_entities_are_no_error(group: Any) -> None:
    """A lot all of whose entities are new: categories are null, nothing else fails."""
    for one in cases():
        rows, name = with_an_unseen_lot(one)
        told = histories(rows, one.rule)
        new = replace(one, lots=(name, *one.lots), as_of=(one.moment, *one.as_of))
        built = values(group, new, told)
        assert_same(
            {n: c[1:] for n, c in built.items()}, values(group, one), "a lot of new entities changed the others"
        )
        for column in group.columns(one.layout):
            first = built[column.name][0]
            assert column.type != "category" or np.isnan(first), f"{column.name} has a code for what it never saw"
            assert not np.isinf(first), f"{column.name} is infinite"


def with_an_unseen_lot(one: Case) -> tuple[Rows, str]:
    now = one.moment - day(1) + day(0)
    lot = {"lot_id": "!new", "product_id": "!new", "line_id": "!new", "customer_id": "!new", "quantity": 3}
    lot |= {"produced_at": now, "colour": "!new", "temperature": None}
    supply = {"supplier_lot_id": "!new", "supplier_id": "!new", "material_id": "!new", "material_group": "!new"}
    supply |= {"received_at": now, "origin": "!new", "purity": "95"}
    used = {"lot_id": "!new", "supplier_lot_id": "!new"}
    found = {"supplier_lot_id": "!new", "inspected_at": now, "characteristic": "!new", "value": 1.0}
    measured = {"lot_id": "!new", "characteristic": "!new", "measured_at": now, "value": 1.0}
    new = {"lots": lot, "supplier_lots": supply, "genealogy": used, "inspections": found, "measurements": measured}
    return {name: [*table, *([new[name]] if name in new else [])] for name, table in one.rows.items()}, "!new"


def with_absurd_late_rows(rows: Rows, moment: int) -> Rows:
    """Every row gets a correction or a deletion, and a twin, known at the moment or after it, with absurd values."""
    late: Rows = {}
    for name, table in rows.items():
        late[name] = list(table)
        if TABLES[name].known == "":
            continue
        seen: set[Any] = set()
        for number, row in enumerate(table):
            known = moment + (number % 2) * 3_600_000_000
            column = "reported_at" if name == "returns" else "known_at"
            fact = oracle.key(name, row)
            if fact not in seen and known > (oracle.known(name, row, rows) or 0):
                seen.add(fact)
                late[name].append({**absurd(name, row), column: known, "deleted": number % 3 == 0})
            if name == "outcomes" or (name == "genealogy" and row.get("consumed_at") is None):
                continue  # its key leaves no room for a twin
            late[name].append({**absurd(name, row), **renamed(name, row, number), column: known, "deleted": None})
    return late


def absurd(table: str, row: dict[str, Any]) -> dict[str, Any]:
    wild: dict[str, Any] = {}
    for name, value in row.items():
        if name in TABLES[table].key or name.endswith("_at"):
            continue
        if name in ("quantity", "defects", "sample_size"):
            wild[name] = 1_000_000
        elif name in ("value", "temperature", "lower_spec", "upper_spec"):
            wild[name] = -1e9
        elif name in ("failed", "found"):
            wild[name] = 1
        elif name.endswith("_id") and name not in ("lot_id", "supplier_lot_id"):
            wild[name] = {"product_id": "P0", "supplier_id": "S0", "line_id": "N0"}.get(name, "!absurd")
        elif isinstance(value, str) and name not in ("lot_id", "supplier_lot_id", "scope", "characteristic"):
            wild[name] = "scrapped" if name == "action" else "!absurd"
    if table == "lots" and row.get("shipped_at") is not None:
        wild["shipped_at"] = row["produced_at"]
    return {**row, **wild}


def renamed(table: str, row: dict[str, Any], number: int) -> dict[str, Any]:
    """Another key beside the row's, of the same lot or supplier lot where it has one."""
    key = TABLES[table].key
    if len(key) == 1:
        return {key[0]: f"!{number}"}
    if "sample" in key:
        return {"sample": f"!{number}"}
    moment = next((name for name in key if name.endswith("_at")), None)
    return {} if moment is None or row.get(moment) is None else {moment: row[moment] - 1 - number}


def assert_same(got: Values, expected: Values, what: str) -> None:
    for name, column in expected.items():
        same = np.array_equal(got[name], column, equal_nan=True)
        if not same:
            place = np.flatnonzero(~((got[name] == column) | (np.isnan(got[name]) & np.isnan(column))))[0]
            raise AssertionError(f"{what} {name}: {got[name][place]!r}, not {column[place]!r} (judgement {place})")


ALL: tuple[Callable[[Any], None], ...] = (
    late_rows_change_nothing,
    row_order_changes_nothing,
    one_lot_alone_is_the_same_lot_in_a_batch,
    absent_tables_say_no_more_than_late_ones,
    absent_columns_are_null,
    columns_are_as_declared,
    unseen_entities_are_no_error,
)
