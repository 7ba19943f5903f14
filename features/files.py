"""Tables out of files: CSV and Excel as text, value by value; Parquet with its own types.

Text keeps the zeros of lot "007", and no later row can change how an earlier one is read.
"""

import codecs
import warnings
from collections.abc import Iterable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import openpyxl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from openpyxl.styles.numbers import is_datetime

from features.errors import ContractViolation, SourceUnreachable
from features.settings import Source

_PARQUET = (".parquet", ".pq")
_EXCEL = (".xlsx", ".xlsm")
_CSV = (".csv", ".csv.gz", ".tsv", ".txt")


def find_files(table: str, path: str | None, folders: Iterable[Path]) -> list[Path]:
    """The files a table comes from, in order of name: `path` (file, folder, glob), else one named like the table."""
    for folder in folders:
        names = [path] if path is not None else [f"{table}.parquet", f"{table}.csv", table]
        for name in names:
            if found := _matching(folder, name):
                return found
    return []


def read_files(files: list[Path], source: Source) -> "pa.Table":
    """All rows of the files; a column that only some have is null in the others."""
    parts = [_read_file(file, source) for file in files]
    for part, file in zip(parts, files, strict=True):
        names = part.column_names
        if twice := [name for name in names if names.count(name) > 1]:
            times = names.count(twice[0])
            raise ContractViolation(f"{file}: column {twice[0]} is there {times} times; rename the others")
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ContractViolation(
            f"{files[0].parent}: the {len(files)} files do not have the same columns ({_line(error)}); "
            "write them with one schema, or unite them in a query"
        ) from None


def _matching(folder: Path, name: str) -> list[Path]:
    there = folder / name
    if there.is_file():
        return [there]
    if there.is_dir():
        return sorted(file for file in there.iterdir() if file.name.lower().endswith(_PARQUET + _EXCEL + _CSV))
    if not set(name) & set("*?["):
        return []
    base, pattern = (Path(there.anchor), str(there.relative_to(there.anchor))) if there.anchor else (folder, name)
    return sorted(file for file in base.glob(pattern) if file.is_file())


def _read_file(file: Path, source: Source) -> "pa.Table":
    name = file.name.lower()
    try:
        if name.endswith(_PARQUET):
            return pa.parquet.read_table(file)
        if name.endswith(_EXCEL):
            return _read_excel(file, source.sheet)
        if name.endswith(".xls"):
            raise SourceUnreachable(f"{file}: the old Excel format is not read; save it as .xlsx or .csv")
        return _read_csv(file, source)
    except UnicodeDecodeError as error:
        raise ContractViolation(
            f"{file}: byte 0x{error.object[error.start]:02x} is not {source.encoding}; "
            f'state the encoding it was written in, for example encoding = "gb18030"'
        ) from None
    except OSError as error:
        raise SourceUnreachable(f"{file}: cannot be read ({error.strerror or _line(error)})") from None
    except pa.ArrowInvalid as error:
        if "invalid UTF8" in str(error):
            raise ContractViolation(
                f"{file}: not {source.encoding} ({_line(error)}); "
                f'state the encoding it was written in, for example encoding = "gb18030"'
            ) from None
        raise ContractViolation(f"{file}: cannot be read ({_line(error)}); correct the file") from None


def _read_csv(file: Path, source: Source) -> "pa.Table":
    try:
        encoding = codecs.lookup(source.encoding).name
    except LookupError:
        raise SourceUnreachable(f'{file}: there is no encoding "{source.encoding}"; write one like "gb18030"') from None
    # Arrow decodes UTF-8 itself, fast, when it is spelt like this, and drops a byte order mark.
    read = pa.csv.ReadOptions(encoding="utf8" if encoding in ("utf-8", "utf-8-sig") else encoding)
    parse = pa.csv.ParseOptions(delimiter=source.delimiter, newlines_in_values=True)
    with pa.csv.open_csv(file, read_options=read, parse_options=parse) as beginning:
        names = beginning.schema.names
    convert = pa.csv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    return pa.csv.read_csv(file, read_options=read, parse_options=parse, convert_options=convert)


def _read_excel(file: Path, sheet: str | None) -> "pa.Table":
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl remarks on styles and validations, which are not data
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError) as error:
        raise SourceUnreachable(f"{file}: not an Excel workbook ({_line(error)}); save it again as .xlsx") from None
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise SourceUnreachable(f"{file}: no sheet {sheet}; there are {', '.join(book.sheetnames)}")
        page = book[sheet] if sheet is not None else book.worksheets[0]
        page.reset_dimensions()  # some writers state a smaller range than they fill
        rows = [[_cell_text(cell) for cell in row] for row in page.iter_rows()]
    finally:
        book.close()
    rows = [row for row in rows if any(text is not None for text in row)]
    if not rows:
        raise ContractViolation(f"{file}: the sheet is empty; name the right one with sheet = ")
    header, *body = rows
    columns = {
        name: pa.array([row[place] if place < len(row) else None for row in body], pa.string())
        for place, name in enumerate(header)
        if name is not None
    }
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def _cell_text(cell: Any) -> str | None:
    value = cell.value
    match value:
        case None | "":
            return None
        case bool():
            return "true" if value else "false"
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case datetime():
            # Excel has no dates, only midnights shown as dates: the format tells what was meant.
            dated = is_datetime(cell.number_format) == "date" and value.time() == time()
            return value.date().isoformat() if dated else value.isoformat(sep=" ")
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
