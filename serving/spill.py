"""Files in which scores wait that no database took before the service stopped."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from features.output import write_whole
from serving.score_rows import OLD_SCHEMA, SCHEMA, Row

_ABANDONED = 60.0  # seconds; who claimed a file that long ago has stopped


def spill_rows(folder: Path, batches: Iterator[list[Row]]) -> Path:
    """Writes rows into one new file, batch by batch, on the disk when this returns. OSError where it cannot."""

    def write(temporary: str) -> None:
        with pa.OSFile(temporary, "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
            for rows in filter(None, batches):
                columns = zip(zip(*rows, strict=True), SCHEMA.types, strict=True)
                writer.write_batch(pa.record_batch([pa.array(of, kind) for of, kind in columns], schema=SCHEMA))
        with Path(temporary).open("rb") as file:
            os.fsync(file.fileno())

    path = folder / f"{uuid4().hex}.arrow"
    write_whole(path, write)
    return path


@contextmanager
def claimed(folder: Path) -> Iterator[Path | None]:
    """A spilled file that is this process's now (None: no file waits), given back unless it was removed.

    A claim is a rename. One left by a process that died counts for a minute; were it alive after all, both would
    write the same rows, and each row has its identity.
    """
    found = _claim(folder)
    try:
        yield found
    finally:
        if found is not None:
            with suppress(OSError):  # removed, as a rule
                found.rename(found.with_suffix(".arrow"))


def spilled_rows(path: Path) -> Iterator[list[Row]]:
    """The rows of a spilled file, batch by batch; pa.ArrowInvalid or OSError where it is damaged or of another make."""
    with pa.OSFile(str(path), "rb") as file, pa.ipc.open_file(file) as reader:
        if not reader.schema.equals(SCHEMA) and not reader.schema.equals(OLD_SCHEMA):
            raise pa.ArrowInvalid(f"its columns are {', '.join(reader.schema.names)}")
        missing = (None,) * (len(SCHEMA) - len(reader.schema))
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            batch.validate(full=True)
            yield [(*row, *missing) for row in zip(*batch.to_pydict().values(), strict=True)]


def _claim(folder: Path) -> Path | None:
    for path in sorted(folder.glob("[!.]*.arrow")) + sorted(folder.glob("[!.]*.claimed")):
        try:
            if path.suffix == ".claimed" and time.time() - path.stat().st_mtime < _ABANDONED:
                continue
            mine = path.with_name(f"{uuid4().hex}.claimed")
            os.utime(path)
            path.rename(mine)
        except OSError:
            continue  # another process was faster, as a rule
        return mine
    return None
