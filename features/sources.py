"""Where tables come from: files, DuckDB queries over files, queries in a database."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from features.errors import SettingsError, SourceUnreachable
from features.files import find_files, read_files
from features.settings import Source
from features.site import Site

_FETCH = 50_000  # rows as Python objects at a time, some tens of megabytes


class Sources:
    """The raw tables of one site. Made by `open_sources`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._duckdb: duckdb.DuckDBPyConnection | None = None

    def read(self, table: str) -> "pa.Table | None":
        """The table as its source gives it; None where nothing is said about it and no file has its name."""
        source = self._site.tables.get(table, Source())
        if source.database is not None and source.query is not None:
            return self._ask_database(table, source.database, source.query)
        if source.query is not None:
            return self._ask_duckdb(table, source.query)
        files = find_files(table, source.path, self._site.data)
        if files:
            return read_files(files, source)
        if source.path is not None:
            looked = ", ".join(str(folder) for folder in self._site.data)
            raise SourceUnreachable(
                f"tables.{table}.path: no file {source.path} beside lotrisk.toml or in {looked}; correct path or data"
            )
        return None

    def close(self) -> None:
        if self._duckdb is not None:
            self._duckdb.close()

    def _ask_duckdb(self, table: str, query: str) -> "pa.Table":
        what = "sql.prelude"
        try:
            if self._duckdb is None:
                self._duckdb = _open_duckdb(self._site)
                if self._site.prelude.strip():
                    self._duckdb.execute(self._site.prelude)
            what = f"tables.{table}.query"
            return self._duckdb.sql(query).to_arrow_table()
        except (duckdb.Error, pa.ArrowInvalid) as error:
            looked = ", ".join(str(folder) for folder in self._site.data)
            raise SourceUnreachable(f"{what}: {_line(error)} (files are looked for in {looked})") from None

    def _ask_database(self, table: str, database: str, query: str) -> "pa.Table":
        shown = database
        try:
            url = make_url(self._site.databases[database])
            shown = f"{database} ({url.render_as_string(hide_password=True)})"
            engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise SettingsError(
                f"databases.{shown}: not a usable SQLAlchemy URL ({type(error).__name__}); "
                "write it like postgresql+psycopg://user@host/name or sqlite:///file.db"
            ) from None
        try:
            # Without parameters the driver leaves `:` and `%` in the user's SQL alone.
            with engine.connect().execution_options(no_parameters=True, stream_results=True) as connection:
                result = connection.exec_driver_sql(query)
                names = list(result.keys())
                parts = [_arrow(names, rows) for rows in result.partitions(_FETCH)]
        except SQLAlchemyError as error:
            told = _line(getattr(error, "orig", None) or error)
            password = url.password
            told = told.replace(str(password), "***") if password else told
            raise SourceUnreachable(f"tables.{table}: database {shown}: {told}") from None
        finally:
            engine.dispose()
        return _united(names, parts)


@contextmanager
def open_sources(site: Site) -> Iterator[Sources]:
    """Opens what the site's tables need, when it is needed, and closes it again."""
    sources = Sources(site)
    try:
        yield sources
    finally:
        sources.close()


def _open_duckdb(site: Site) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    connection.execute("SET custom_extension_repository = '/dev/null'")  # nothing is downloaded when asked to either
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET python_enable_replacements = false")
    # Files come in their own order, so that a row's number means something to who reads the quarantine.
    connection.execute("SET preserve_insertion_order = true")
    folders = ",".join(str(folder) for folder in site.data).replace("'", "''")
    connection.execute(f"SET file_search_path = '{folders}'")
    return connection


def _arrow(names: list[str], rows: Any) -> "list[pa.Array[Any]]":
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return [_column(values) for values in columns]


def _column(values: tuple[Any, ...]) -> "pa.Array[Any]":
    """Arrow's own guess, or text where a database keeps several types in one column, as SQLite may."""
    try:
        column = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, NotImplementedError):
        return _as_text(values)
    return column


def _as_text(values: Iterable[Any]) -> "pa.Array[Any]":
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal) and value == value.__trunc__():
        return str(int(value))
    return str(value)


def _united(names: list[str], parts: "list[list[pa.Array[Any]]]") -> "pa.Table":
    columns = []
    for place in range(len(names)):
        chunks = [part[place] for part in parts]
        kinds = {chunk.type for chunk in chunks if not pa.types.is_null(chunk.type)}
        if len(kinds) > 1:
            chunks = [_as_text(chunk.to_pylist()) for chunk in chunks]
            kinds = {pa.string()}
        kind = kinds.pop() if kinds else pa.null()
        columns.append(pa.chunked_array([chunk.cast(kind) for chunk in chunks], type=kind))
    return pa.table(columns, names=names)


def _line(error: object) -> str:
    return " ".join(str(error).split("\n\n")[0].split())
