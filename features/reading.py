"""All tables of a site, from their sources to `Histories`, with a report of what became of each row."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from features.asof import before
from features.card import iso
from features.contracts import TABLES
from features.errors import ContractViolation, SettingsError
from features.histories import Histories, Table
from features.ingest import added_to, gone, read_sources
from features.kept import Kept
from features.report import TableReport
from features.rows import Lots, require_columns
from features.site import Site
from features.stored import FOLDER, State, Stored, as_read, open_store
from features.unite import unite


@dataclass(frozen=True)
class Reading:
    """What was read, and how it went: `report` has every table that a source gave with at least one row.

    `state`: of the stored histories that it stands on, `stored`: what was read of them.
    """

    histories: Histories
    report: Mapping[str, TableReport]
    warnings: tuple[str, ...] = ()
    state: State = field(default_factory=State)
    stored: Stored = field(default_factory=Stored)


def read_histories(site: Site, *, now: int, ingested_by: int | None = None) -> Reading:
    """Reads what is stored of the site, and what its sources say beyond it.

    `now` (microseconds UTC): a lot shipped later is a plan, not yet shipped. `ingested_by`: only what was stored
    strictly before it, as it was read then, and no sources. SourceUnreachable, SettingsError and ContractViolation say
    in one line why a table cannot be used, DatabaseUnreachable that nobody can tell what is stored.
    """
    if ingested_by is not None and before(now, ingested_by):
        raise SettingsError(f"--ingested-by {iso(ingested_by)}: lies in the future; who knows what comes in until then")
    with open_store(site) as store:
        stored = store.all(ingested_by=ingested_by)
    if ingested_by is not None:
        if stored.nothing:
            raise SettingsError(
                f"--ingested-by {iso(ingested_by)}: nothing had been stored by then; lotrisk ingest stores, see "
                f"{site.state_dir / FOLDER} for what and since when"
            )
        return _of_stored(stored, {}, site, now=ingested_by)
    sources = read_sources(site)
    reading = _of_stored(stored, sources, site, now=now)
    return replace(reading, warnings=(*gone(stored, sources), *reading.warnings))


def read_histories_at(site: Site, state: State, *, now: int) -> Reading:
    """What a reading stood on that said `state`, read again: what came in since is left out, and so are the sources.

    `now`: of that reading.
    """
    with open_store(site) as store:
        stored = store.all(upto=state)
    return _of_stored(stored, {}, site, now=now)


def _of_stored(stored: Stored, sources: "Mapping[str, pa.Table]", site: Site, *, now: int) -> Reading:
    raw = stored_and_new(stored, sources, site, now=now)
    return replace(histories_of(raw, site, now=now), state=stored.state, stored=stored)


def stored_and_new(stored: Stored, sources: "Mapping[str, pa.Table]", site: Site, *, now: int) -> "dict[str, pa.Table]":
    """The raw tables: what is stored, and what an ingest `now` would add to it from the sources."""
    raw = {}
    for name in TABLES:
        parts = [part for part in (stored.source.get(name), stored.arrived(name)) if part is not None]
        if name in sources:
            if not parts:
                raw[name] = sources[name]
                continue
            parts.append(added_to(stored, name, sources[name], site, now=now).rows)
        if parts:
            raw[name] = as_read(unite(name, parts))
    return raw


def histories_of(raw: "Mapping[str, pa.Table]", site: Site, *, now: int, kept: Kept | None = None) -> Reading:
    """The same for tables already at hand, by name. `kept`: from the reading before."""
    kept = Kept() if kept is None else kept
    required = ("lots", site.rules.label.source)
    for name in required:
        if name not in raw:
            looked = ", ".join(str(folder) for folder in site.data)
            raise ContractViolation(
                f"{name}: the table is missing (no {name}.parquet, {name}.csv or folder {name} in {looked}); "
                f"put it there or say where it is in [tables.{name}]"
            )
        if raw[name].num_rows == 0:
            raise ContractViolation(
                f"{name}: the table has 0 rows, columns: {', '.join(raw[name].column_names)}; "
                f"correct [tables.{name}] or the file"
            )
    warnings = [f"{name} is empty and was left out" for name, table in raw.items() if table.num_rows == 0]
    filled = {name: table for name, table in raw.items() if table.num_rows}
    for name, table in filled.items():
        require_columns(TABLES[name], table)
    ids = kept.encode(filled)
    tables: dict[str, Table] = {}
    report: dict[str, TableReport] = {}
    lots: Lots | None = None
    for name in [name for name in TABLES if name in filled]:  # lots first: the others are held against it
        tables[name], report[name] = kept.read(
            name, filled.pop(name), ids=ids, lots=lots, timezone=site.timezone, now=now
        )
        if name == "lots":
            lots = kept.lots(tables[name], len(ids["lot"]))
        if len(tables[name]) == 0:
            if name in required:
                raise ContractViolation(_nothing_left(report[name]))
            warnings.append(f"{name} has no usable row and was left out")
            del tables[name]
    return Reading(Histories(tables, ids), report, tuple(warnings))


def _nothing_left(report: TableReport) -> str:
    if not len(report.quarantine):
        return f"{report.table}: all {report.read} rows are deletions; correct the source"
    reason, count = next(iter(report.quarantined.items()))
    return (
        f"{report.table}: none of {report.read} rows is usable, {count} for: {reason} "
        f"(first: {report.quarantine.example(reason)}); correct the source or its query"
    )
