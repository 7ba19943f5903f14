"""The guard: a running service says of a lot, bit for bit, what `lotrisk score` writes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.card import iso
from features.contracts import TABLES
from features.held import own_row, rows_of_lot
from features.histories import Histories
from features.reading import read_histories
from features.site import read_site
from features.times import read_moment
from tests.command import done
from tests.serving.fitted import copied, fit, valves
from tests.serving.live import Live, serving, strict

PUBLIC = Path(__file__).parents[3] / "shared" / "data"
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
AS_OF = {
    "valves": "2026-05-01T06:30:00.123457Z",
    "tablets": "2020-04-02T11:59:59.000001Z",
    "drives": "2015-06-30T23:00:00Z",
}
UNTIL = {"tablets": "2020-01-01T00:00:00Z", "drives": "2015-01-01T00:00:00Z"}
REASONS = 5
FIELDS = (
    "lot_id",
    "as_of",
    "risk",
    "expected_cost",
    "decision",
    "features_as_of",
    "model_version",
    "warnings",
    "expected_saving",
    "risk_low",
    "risk_high",
)

Row = dict[str, Any]


def test_the_demo_factory(tmp_path: Path) -> None:
    site = valves(tmp_path / "valves", lots=1250)
    lots = pq.read_table(site / "data" / "lots.parquet")["lot_id"].to_pylist()
    written = scored(site, "valves", lots)
    assert sum(row["risk"] is not None for row in written.values()) >= 1000
    assert any(row["risk"] is None for row in written.values())
    with serving(site) as live:
        given = asked(live, "valves", lots, records_of_files(site))
        each_worker_answered(live)
    assert_same(given, written)
    altered = copied(site, tmp_path / "altered")
    alter(altered / "data" / "lots.parquet", lot="L000700", column="shift", value="night")
    with pytest.raises(AssertionError, match=r"L000700: risk"):
        assert_same(given, scored(altered, "valves", lots))


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public raw files are not there: shared/data beside the repository")
@pytest.mark.parametrize("name", ["tablets", "drives"])
def test_public_data(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "lotrisk.toml").write_text(f"[site]\nextends = '{EXPERIMENTS / name}'\n", encoding="utf-8")
    fit(tmp_path / name, until=read_moment(UNTIL[name], "UTC"))
    as_of = read_moment(AS_OF[name], "UTC")
    histories = read_histories(read_site(tmp_path / name, {}), now=as_of).histories
    lots = list(histories.ids["lot"].texts)
    written = scored(tmp_path / name, name, lots)
    assert sum(row["risk"] is not None for row in written.values()) >= 300
    with serving(tmp_path / name) as live:
        given = asked(live, name, lots, {lot: record_of(histories, lot, as_of) for lot in lots})
        each_worker_answered(live)
    assert_same(given, written)


def scored(site: Path, name: str, lots: list[str]) -> dict[str, Row]:
    """What `lotrisk score` writes, by lot."""
    named, out = site.parent / "lots.txt", site.parent / "scores.parquet"
    named.write_text("\n".join(lots), encoding="utf-8")
    done("score", site, "--as-of", AS_OF[name], "--lots", named, "--reasons", REASONS, "--out", out)
    rows = pq.read_table(out).to_pylist()
    for row in rows:
        row |= {column: json.loads(row[column]) for column in ("reasons", "warnings")}
        row |= {column: text_of(row[column]) for column in ("as_of", "features_as_of")}
    return {row["lot_id"]: row for row in rows}


def text_of(moment: Any) -> str:
    return str(moment.astimezone(UTC).isoformat()).replace("+00:00", "Z")


def asked(live: Live, name: str, lots: list[str], records: dict[str, Row]) -> list[tuple[Row, bool]]:
    """Every lot in calls of many sizes, from 16 threads: (result, whether reasons were asked for).

    In the large calls every other lot is a whole record; in the small ones, which are batched, those that were not.
    """
    random = Random(0)
    random.shuffle(lots)
    whole = set(lots[::2])
    calls = [lots[:1000], lots[-500:], lots[:65], lots[-64:]]
    small = iter(lots)
    while some := list(islice(small, random.choice([1, 1, 3, 3, 3, 20, 64]))):
        calls.append(some)
    sizes = {len(call) for call in calls}
    assert {1, 3, 64, 65, min(500, len(lots)), min(1000, len(lots))} <= sizes

    def ask(number: int) -> list[tuple[Row, bool]]:
        call = calls[number]
        sent = [records[lot] if (lot in whole) == (number < 4) else lot for lot in call]
        reasons = REASONS if number == 2 else 0
        body = {"lots": sent, "as_of": AS_OF[name], "reasons": reasons}
        answer = httpx.post(f"{live.url}/v1/scores", content=json.dumps(body).encode(), timeout=60.0, trust_env=False)
        assert answer.status_code == 200, answer.text[:500]
        told = strict(answer.content)
        assert told["as_of"] == AS_OF[name].replace(".000000", "")
        assert [one["lot_id"] for one in told["results"]] == call
        return [(one, bool(reasons)) for one in told["results"]]

    with ThreadPoolExecutor(16) as threads:
        return [one for some in threads.map(ask, range(len(calls))) for one in some]


def each_worker_answered(live: Live) -> None:
    counts = live.answered("/v1/scores")
    assert len(counts) == 2 and min(counts.values()) > 0, counts


def assert_same(given: list[tuple[Row, bool]], written: dict[str, Row]) -> None:
    """Names the first differences."""
    assert {one["lot_id"] for one, _ in given} == set(written)
    wrong = [line for one, with_reasons in given for line in differences(one, written[one["lot_id"]], with_reasons)]
    assert not wrong, f"{len(wrong)} differences: {wrong[:5]}"


def differences(one: Row, row: Row, with_reasons: bool) -> Iterator[str]:
    if row["risk"] is None or "problem" in one:
        code = one.get("problem", {}).get("code")
        if row["risk"] is not None or code not in ("unknown_lot", "not_produced"):
            yield f"{row['lot_id']}: risk {row['risk']}, problem {one.get('problem')}"
        return
    for name in (*FIELDS, "reasons") if with_reasons else FIELDS:
        if one[name] != row[name]:
            yield f"{row['lot_id']}: {name} {one[name]!r} online, {row[name]!r} offline"


def record_of(histories: Histories, lot: str, as_of: int) -> Row:
    """A whole record out of the rows that the histories hold."""
    code = histories.ids["lot"].code(lot)
    own = own_row(histories, code, as_of) or own_row(histories, code, as_of * 2)
    assert own is not None
    sections = {table: rows_of_lot(histories, table, code, as_of=as_of) for table in ("measurements", "genealogy")}
    return {"lot": sent("lots", own)} | {
        table: [sent(table, row) for row in rows] for table, rows in sections.items() if rows
    }


def sent(table: str, row: Row) -> Row:
    kinds = {column.name: column.kind for column in TABLES[table].columns}
    return {
        name: iso(value) if kinds.get(name) == "time" else value for name, value in row.items() if value is not None
    }


def records_of_files(site: Path) -> dict[str, Row]:
    """Whole records out of the files themselves: times as they stand there, of a corrected row its first version."""
    tables = {name: pq.read_table(site / "data" / f"{name}.parquet") for name in ("lots", "measurements", "genealogy")}
    records: dict[str, Row] = {row["lot_id"]: {"lot": row} for row in plain(tables["lots"])}
    for name in ("measurements", "genealogy"):
        seen = set()
        for row in plain(tables[name]):
            key = tuple(row.get(column) for column in TABLES[name].key)
            # The factory's files hold mistakes; a table's reader leaves these rows out, a record is refused for them.
            if key not in seen and row["lot_id"] in records and row.get("quantity", 0) >= 0:
                seen.add(key)
                records[row["lot_id"]].setdefault(name, []).append(row)
    return records


def plain(table: "pa.Table") -> Iterator[Row]:
    for row in table.to_pylist():
        yield {
            name: value.isoformat() if hasattr(value, "isoformat") else value
            for name, value in row.items()
            if value is not None and name != "known_at"
        }


def alter(file: Path, *, lot: str, column: str, value: Any) -> None:
    rows = pd.read_parquet(file)
    rows.loc[rows["lot_id"] == lot, column] = value
    rows.to_parquet(file)
