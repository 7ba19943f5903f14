"""Tables out of files, DuckDB and databases, and what is said when they cannot be had."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import openpyxl
import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest

from features.errors import ContractViolation, LotRiskError, SettingsError, SourceUnreachable
from features.site import read_site
from features.sources import open_sources

LABEL = "[label]\nreturned_ppm = 8000\nwithin_days = 180\n"
POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/test"


def source(folder: Path, toml: str = "", table: str = "lots", **environ: str) -> "pa.Table | None":
    (folder / "lotrisk.toml").write_text(LABEL + toml, encoding="utf-8")
    with open_sources(read_site(folder, environ)) as sources:
        return sources.read(table)


def rows(folder: Path, toml: str = "", table: str = "lots") -> list[dict[str, object]]:
    found = source(folder, toml, table)
    assert found is not None
    return found.to_pylist()


def refusal(folder: Path, toml: str, kind: type[LotRiskError], **environ: str) -> str:
    with pytest.raises(kind) as refused:
        source(folder, toml, **environ)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_nothing_said_and_nothing_there_is_no_table(tmp_path: Path) -> None:
    assert source(tmp_path) is None


def test_csv_is_text_and_ids_keep_their_zeros(tmp_path: Path) -> None:
    (tmp_path / "lots.csv").write_text('lot_id,n,note\n007,1,"a, ""b""\nc"\n8,,NA\n', encoding="utf-8-sig")
    assert rows(tmp_path) == [
        {"lot_id": "007", "n": "1", "note": 'a, "b"\nc'},
        {"lot_id": "8", "n": None, "note": "NA"},
    ]


def test_data_is_searched_before_the_folder_and_parquet_before_csv(tmp_path: Path) -> None:
    (tmp_path / "lots.csv").write_text("lot_id\nbeside\n")
    assert rows(tmp_path) == [{"lot_id": "beside"}]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lots.csv").write_text("lot_id\ncsv\n")
    assert rows(tmp_path) == [{"lot_id": "csv"}]
    pa.parquet.write_table(pa.table({"lot_id": ["parquet"]}), tmp_path / "data" / "lots.parquet")
    assert rows(tmp_path) == [{"lot_id": "parquet"}]


def test_a_folder_holds_parts_of_one_table_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "lots").mkdir()
    (tmp_path / "lots" / "2024.csv").write_text("lot_id\nnew\n")
    pa.parquet.write_table(pa.table({"lot_id": ["old"], "press": ["A"]}), tmp_path / "lots" / "2023.parquet")
    assert rows(tmp_path) == [{"lot_id": "old", "press": "A"}, {"lot_id": "new", "press": None}]


def test_a_pattern_gathers_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"export_{name}.csv").write_text(f"lot_id\n{name}\n")
    assert rows(tmp_path, '[tables.lots]\npath = "export_*.csv"\n') == [{"lot_id": "a"}, {"lot_id": "b"}]


def test_gb18030_is_read_by_what_is_stated_and_refused_without(tmp_path: Path) -> None:
    (tmp_path / "批次.csv").write_bytes("lot_id;产品\nL1;压缩机\n".encode("gb18030"))
    toml = '[tables.lots]\npath = "批次.csv"\ndelimiter = ";"\n'
    assert rows(tmp_path, toml + 'encoding = "gb18030"\n') == [{"lot_id": "L1", "产品": "压缩机"}]
    assert 'encoding = "gb18030"' in refusal(tmp_path, toml, ContractViolation)
    assert "there is no encoding" in refusal(tmp_path, toml + 'encoding = "gb18031"\n', SourceUnreachable)


def test_bytes_that_gb18030_does_not_have_are_named(tmp_path: Path) -> None:
    (tmp_path / "lots.csv").write_bytes(b"lot_id\nL\xff1\n")
    assert "0xff" in refusal(tmp_path, '[tables.lots]\nencoding = "gb18030"\n', ContractViolation)


def test_excel_cells_are_read_as_they_are_meant(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["cover"])
    page = book.create_sheet("Lots")
    page.append(["lot_id", "produced_at", "shipped_at", "weight", "ok", None])
    page.append([7, datetime(2024, 3, 5), datetime(2024, 3, 5, 10, 30), 1.5, True, None])  # noqa: DTZ001
    page.append([None, None, None])
    page.append(["008", datetime(2024, 3, 6), None, 2.0, False])  # noqa: DTZ001
    page["B2"].number_format = "dd.mm.yyyy"
    page["B4"].number_format = "dd.mm.yyyy hh:mm"
    book.save(tmp_path / "lots.xlsx")
    assert rows(tmp_path, '[tables.lots]\npath = "lots.xlsx"\nsheet = "Lots"\n') == [
        {
            "lot_id": "7",
            "produced_at": "2024-03-05",
            "shipped_at": "2024-03-05 10:30:00",
            "weight": "1.5",
            "ok": "true",
        },
        {"lot_id": "008", "produced_at": "2024-03-06 00:00:00", "shipped_at": None, "weight": "2", "ok": "false"},
    ]
    told = refusal(tmp_path, '[tables.lots]\npath = "lots.xlsx"\nsheet = "Los"\n', SourceUnreachable)
    assert "no sheet Los; there are Sheet, Lots" in told


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("lots.xlsx", b"not a workbook", "not an Excel workbook"),
        ("lots.xls", b"\xd0\xcf", "save it as .xlsx"),
    ],
)
def test_a_workbook_that_is_none_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in refusal(tmp_path, f'[tables.lots]\npath = "{name}"\n', SourceUnreachable)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "Empty CSV"),
        ("lot_id,a\nL1\n", "Expected 2 columns, got 1"),
        ("lot_id,lot_id\nL1,L2\n", "column lot_id is there 2 times"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "lots.csv").write_text(content)
    assert words in refusal(tmp_path, "", ContractViolation)


def test_a_broken_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lots.parquet").write_bytes(b"PAR1 no")
    assert "lots.parquet: cannot be read" in refusal(tmp_path, "", ContractViolation)


def test_a_stated_file_must_be_there(tmp_path: Path) -> None:
    assert "no file x.csv beside" in refusal(tmp_path, '[tables.lots]\npath = "x.csv"\n', SourceUnreachable)


def test_a_query_finds_files_in_data_and_has_the_prelude(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "batches.csv").write_text("batch,kg\nL1,2\n")
    toml = (
        "[sql]\nprelude = \"create macro grams(kg) as kg * 1000; create view b as from read_csv('batches.csv')\"\n"
        '[tables.lots]\nquery = "select batch as lot_id, grams(kg) as g from b"\n'
        "[tables.returns]\nquery = \"select current_setting('TimeZone') as zone from b\"\n"
    )
    assert rows(tmp_path, toml) == [{"lot_id": "L1", "g": 2000}]
    assert rows(tmp_path, toml, "returns") == [{"zone": "UTC"}]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("selec 1", "tables.lots.query: Parser Error"),
        ("from read_csv('nope.csv')", "files are looked for in"),
        ("load excel", "tables.lots.query:"),
    ],
)
def test_a_bad_query_is_refused(tmp_path: Path, query: str, words: str) -> None:
    assert words in refusal(tmp_path, f'[tables.lots]\nquery = "{query}"\n', SourceUnreachable)


def test_a_query_does_not_see_our_own_variables(tmp_path: Path) -> None:
    refusal(tmp_path, '[tables.lots]\nquery = "from source"\n', SourceUnreachable)


def test_sqlite_is_asked_in_its_own_words(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "crm.db")) as database, database:
        database.execute("create table complaints (id, lot, at)")
        database.executemany("insert into complaints values (?, ?, ?)", [(1, "a:b", "x"), ("2b", "100%", None)])
    toml = "[databases]\ncrm = 'sqlite:///crm.db'\n[tables.lots]\ndatabase = 'crm'\n"
    query = "query = \"select id, lot, at from complaints where lot like 'a:b' or lot like '%\\\\%' escape '\\\\'\"\n"
    assert rows(tmp_path, toml + query) == [
        {"id": "1", "lot": "a:b", "at": "x"},
        {"id": "2b", "lot": "100%", "at": None},
    ]
    assert "no such table: claims" in refusal(tmp_path, toml + "query = 'select * from claims'", SourceUnreachable)


@pytest.fixture
def complaints() -> Iterator[str]:
    """A table in PostgreSQL with every type that matters here."""
    name = f"complaints_{uuid4().hex}"
    try:
        opened = psycopg.connect(POSTGRES.replace("+psycopg", ""), autocommit=True)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL answers at 127.0.0.1:5432")
    with opened as server:
        server.execute(
            f"create table {name} (id int, lot text, day date, local timestamp, at timestamptz, kg numeric(8, 2))"
        )
        server.execute(
            f"insert into {name} values (1, 'a:b', '2024-03-05', '2024-03-05 10:00', '2024-03-05 10:00+02', 2.00),"
            " (2, '5 %', null, null, null, null)"
        )
        yield name
        server.execute(f"drop table {name}")


def test_postgresql_is_asked_in_its_own_words(tmp_path: Path, complaints: str) -> None:
    toml = f"[databases]\ncrm = '{POSTGRES}'\n[tables.lots]\ndatabase = 'crm'\n"
    query = f"query = \"select *, id::text as code from {complaints} where lot like '%:%' or lot like '%\\\\%%'\"\n"
    found = source(tmp_path, toml + query)
    assert found is not None
    first, second = found.to_pylist()
    assert (first["lot"], first["code"], str(first["kg"])) == ("a:b", "1", "2.00")
    assert first["at"].timestamp() == datetime.fromisoformat("2024-03-05T08:00:00Z").timestamp()
    assert str(found.schema.field("day").type) == "date32[day]"
    assert found.schema.field("local").type.tz is None
    assert set(second.values()) == {2, "2", "5 %", None}


def test_an_empty_answer_keeps_its_columns(tmp_path: Path, complaints: str) -> None:
    toml = f"[databases]\ncrm = '{POSTGRES}'\n[tables.lots]\ndatabase = 'crm'\n"
    found = source(tmp_path, toml + f"query = 'select id, lot from {complaints} where false'\n")
    assert found is not None
    assert (found.column_names, found.num_rows) == (["id", "lot"], 0)


def test_an_unreachable_database_is_named_without_its_password(tmp_path: Path) -> None:
    toml = (
        "[databases]\ncrm = 'postgresql+psycopg://reader:${SECRET}@127.0.0.1:1/sales'\n"
        "[tables.lots]\ndatabase = 'crm'\nquery = 'select 1'\n"
    )
    told = refusal(tmp_path, toml, SourceUnreachable, SECRET="wagtail")
    assert "tables.lots: database crm (postgresql+psycopg://reader:***@127.0.0.1:1/sales)" in told
    assert "wagtail" not in told


@pytest.mark.parametrize("url", ["crm.wagtail", "nosuch://reader:wagtail@host/x", "mysql+nosuch://a:wagtail@h/x"])
def test_a_url_that_is_none_is_refused_without_being_shown(tmp_path: Path, url: str) -> None:
    toml = f"[databases]\ncrm = '{url}'\n[tables.lots]\ndatabase = 'crm'\nquery = 'select 1'\n"
    assert "wagtail" not in refusal(tmp_path, toml, SettingsError)
