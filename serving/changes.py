"""Whether the files that a site's tables come from may have changed."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from features.site import Site

MANY = 50_000  # files; looking at more takes longer than it saves


def signature(site: Site) -> str | None:
    """Names, sizes and times of the files; None where that does not tell: a table comes from a database.

    Files that a query names outside the site's `data` are not looked at.
    """
    if any(source.database is not None for source in site.tables.values()):
        return None
    digest = hashlib.sha256()
    for number, file in enumerate(_files(site)):
        if number >= MANY:
            return None
        try:
            found = file.stat()
        except OSError:
            continue
        digest.update(f"{file}\n{found.st_size} {found.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(site: Site) -> Iterator[Path]:
    for folder in site.data:
        for inside, folders, names in os.walk(folder):
            folders[:] = sorted(f for f in folders if not f.startswith(".") and Path(inside, f) != site.state_dir)
            yield from (Path(inside, name) for name in sorted(names))
    for source in site.tables.values():
        if source.path is not None and Path(source.path).is_absolute():
            path = Path(source.path)
            yield from sorted(path.rglob("*")) if path.is_dir() else sorted(path.parent.glob(path.name))
