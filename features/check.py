"""What a data owner has to know of a site's tables before anything is trained on them."""

from typing import Any

import numpy as np

from features.asof import DAY, FOREVER, NO_TIME, before
from features.contracts import ACTIONS, TABLES, action_of
from features.gate_rules import without_column
from features.histories import Array, Histories, Table
from features.reading import Reading
from features.report import TableReport
from features.site import Site
from features.times import written

_BACK_LOAD = 30 * DAY


def check_site(reading: Reading, site: Site) -> dict[str, Any]:
    """The findings, ready for JSON: per table, the reporting delay, what is taken on trust, warnings.

    `ok` is false when a table with rows has no usable one.
    """
    tables = {name: _table(reading, report) for name, report in reading.report.items()}
    unusable = [name for name, found in tables.items() if found["standing"] == 0]
    return {
        "ok": not unusable,
        "site": site.name,
        "tables": tables,
        "reporting_delay_days": _delay(reading.histories),
        "on_trust": _on_trust(reading, site),
        "warnings": [
            *reading.warnings,
            *(f"{name}: {warning}" for name, report in reading.report.items() for warning in report.warnings),
            *_strange_actions(reading.histories),
        ],
    }


def _table(reading: Reading, report: TableReport) -> dict[str, Any]:
    table = reading.histories.tables.get(report.table)
    quarantine = report.quarantine
    return {
        "read": report.read,
        "kept": report.kept,
        "standing": report.standing,
        "versions": report.versions,
        "deletions": report.deletions,
        "duplicates": report.duplicates,
        "quarantined": {
            reason: {"count": count, "example": quarantine.example(reason)}
            for reason, count in report.quarantined.items()
        },
        "from": None if table is None else _earliest(table),
        "to": None if table is None else written(int(table.known.max())),
        "share_of_lots": None if table is None else _share_of_lots(reading.histories, table),
        "back_loads": None if table is None else _back_loads(reading.histories, table),
        "known_from": report.known_from,
        "dates_as_ends": report.dates_as_ends,
        "ambiguous_hours": report.ambiguous,
        "skipped_hours": report.skipped,
        "future_shipped": report.future_shipped,
        "rounded": report.rounded,
        "defaulted": report.defaulted,
        "unusable_attributes": report.unusable_attributes,
        "attributes": list(report.attributes),
        "ignored": list(report.ignored),
    }


def _earliest(table: Table) -> str | None:
    happened = TABLES[table.name].happened
    times = table[happened] if table.has(happened) else table.known
    dated = times[times != NO_TIME]
    return written(int(dated.min())) if len(dated) else None


def _share_of_lots(histories: Histories, table: Table) -> float | None:
    """The share of lots that have at least one row in the table; None for a table that no lot leads to."""
    lots = histories["lots"]
    if table.has("lot_id"):
        reached = table["lot_id"]
    elif table.has("supplier_lot_id") and "genealogy" in histories:
        genealogy = histories["genealogy"]
        there = _codes_in(histories, "supplier_lot", table["supplier_lot_id"])
        reached = genealogy["lot_id"][there[genealogy["supplier_lot_id"]]]
    elif table.name == "customers" and lots.has("customer_id"):
        there = _codes_in(histories, "customer", table["customer_id"])
        reached = lots["lot_id"][(lots["customer_id"] >= 0) & there[lots["customer_id"]]]
    else:
        return None
    return round(
        float(_codes_in(histories, "lot", reached).sum() / _codes_in(histories, "lot", lots["lot_id"]).sum()), 4
    )


def _codes_in(histories: Histories, kind: str, codes: Array) -> Array:
    """Mask over the vocabulary of `kind`: which codes occur."""
    there = np.zeros(len(histories.ids[kind]), dtype=bool)
    there[codes] = True
    return there


def _back_loads(histories: Histories, table: Table) -> dict[str, Any] | None:
    """Facts first known more than 30 days after they happened."""
    contract = TABLES[table.name]
    if not table.has(contract.happened):
        return None
    happened = table[contract.happened]
    rows = np.flatnonzero((happened != NO_TIME) & before(happened + _BACK_LOAD, table.first))
    if not len(rows):
        return None
    # Versions repeat their fact's first known time, so the fact is counted once.
    facts = np.unique(np.stack([table[name][rows] for name in contract.key if table.has(name)]), axis=1).shape[1]
    late = table.first[rows] - happened[rows]
    worst = rows[np.argmax(late)]
    return {"count": facts, "worst_days": round(float(late.max() / DAY), 1), "example": _key(histories, table, worst)}


def _key(histories: Histories, table: Table, row: int) -> str:
    """The key of one standing row, in words."""
    parts = []
    for name in TABLES[table.name].key:
        column = TABLES[table.name].column(name)
        if column is None or not table.has(name):
            continue
        code = table[name][row : row + 1]
        if column.kind == "time":
            text = written(int(code[0]))
        else:
            text = (histories.ids[column.of] if column.kind == "id" else table.texts[name]).decode(code)[0]
        parts.append(f"{name} {text}")
    return ", ".join(parts)


def _delay(histories: Histories) -> dict[str, Any] | None:
    """Days from failure to report of the returns that stand; those still to be reported are not in it."""
    if "returns" not in histories:
        return None
    returns = histories["returns"]
    stand = returns.superseded == FOREVER
    days: Array = (returns.first[stand] - returns["occurred_at"][stand]) / DAY
    if not len(days):
        return None
    median, late = np.quantile(days, (0.5, 0.95))
    return {"returns": len(days), "median": round(float(median), 1), "p95": round(float(late), 1)}


def _on_trust(reading: Reading, site: Site) -> list[str]:
    """What the data cannot show and is believed."""
    said = []
    for name, report in reading.report.items():
        happened = TABLES[name].happened
        if report.known_from and report.known_from == happened:
            said.append(f"{name}: a row counts as known at its {happened}; if it came later, give known_at")
        if report.dates_as_ends:
            said.append(
                f"{name}: {report.dates_as_ends} of {report.read} rows have a date without a time "
                "and count as known from the next midnight"
            )
        for column, count in report.defaulted.items():
            default = getattr(TABLES[name].column(column), "default", None)
            said.append(f"{name}.{column}: {count} of {report.read} rows have none and count as {default}")
    said += _rules_off(reading, site)
    if site.defaults:
        said.append(f"decision: nobody stated {', '.join(site.defaults)}; the defaults decide")
    if site.timezone == "UTC":
        said.append("site: times without an offset count as UTC; if they are local, state timezone")
    return said


def _strange_actions(histories: Histories) -> list[str]:
    """Dispositions of which nobody knows what was done."""
    if "dispositions" not in histories:
        return []
    table = histories["dispositions"]
    said = table.texts["action"].decode(table["action"])
    strange = [text for text in said if text is None or action_of(text) not in ACTIONS]
    if not strange:
        return []
    return [
        f"dispositions: {len(strange)} of {len(said)} rows have an action that is none of {', '.join(ACTIONS)}, "
        f"like {strange[0]}; where it is a lot's last, the gate takes the lot for not_open"
    ]


def _rules_off(reading: Reading, site: Site) -> list[str]:
    """Rules of the gate of which what they look at is not there."""
    rules, tables, said = site.gate.rules, reading.histories.tables, []
    for one in without_column(rules, tables):
        follows = "lets no lot be assessed" if one.named else "holds no lot"
        said.append(
            f"gate: {one.rule} {follows}, as {one.table} has no column {one.column}; "
            f'name another in [gate.rules.{one.rule}], or say action = "off"'
        )
    if rules.overdue_inspection.action != "off" and rules.overdue_inspection.after is None:
        said.append("gate: overdue_inspection holds no lot, as nobody stated [gate.rules.overdue_inspection] after")
    return said
