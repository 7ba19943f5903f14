"""Files that leave: CSV or Parquet by their ending, written whole or not at all."""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from features.asof import NO_TIME, Array
from features.errors import SettingsError

ENDINGS = (".csv", ".parquet")


def check_ending(path: Path) -> None:
    """SettingsError, before any work, for a file that could not be written later."""
    if path.suffix not in ENDINGS:
        raise SettingsError(f"--out {path}: ends in {path.suffix or 'nothing'}; .csv and .parquet can be written")
    if not path.absolute().parent.is_dir():
        raise SettingsError(f"--out {path}: the folder {path.absolute().parent} is not there; make it first")


def times(values: Array) -> "pa.Array":
    """Microseconds UTC as an Arrow column of timestamps; NO_TIME is null."""
    return pa.array(values, pa.timestamp("us", "UTC"), mask=np.asarray(values) == NO_TIME)


def write_table(table: "pa.Table", path: Path) -> None:
    """Writes a table; times are timestamps in Parquet and ISO 8601 with Z in CSV."""
    if path.suffix == ".parquet":
        write_whole(path, lambda temporary: pyarrow.parquet.write_table(table, temporary))
    else:
        plain = pa.table({name: _iso(table[name]) for name in table.column_names})
        write_whole(path, lambda temporary: pyarrow.csv.write_csv(plain, temporary))


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole."""
    write_whole(path, lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))


def write_whole(path: Path, write: Any) -> None:
    """`write(temporary)` beside `path`, then one rename: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".new-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        write(temporary)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_once(path: Path, make: Any) -> None:
    """`make(temporary)` beside `path` where nothing is there; of several at once the first one's stays."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=path.parent) as folder:
        made = Path(folder) / path.name
        make(made)
        with suppress(FileExistsError):
            path.hardlink_to(made)


def to_json(value: Any) -> str:
    """Compact JSON with its words as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _iso(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    if not pa.types.is_timestamp(column.type):
        return column
    whole = pc.equal(
        pc.cast(column, pa.int64()), pc.multiply(pc.divide(pc.cast(column, pa.int64()), 1_000_000), 1_000_000)
    )
    seconds = pc.strftime(column.cast(pa.timestamp("s", "UTC"), safe=False), "%Y-%m-%dT%H:%M:%SZ")
    return pc.if_else(whole, seconds, pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ"))
