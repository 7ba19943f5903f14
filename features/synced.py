"""Files and folders that are on the disk when a function returns, not only in the system's memory."""

import os
from pathlib import Path
from typing import Any


def sync(file: Any) -> None:
    """Of a file open for writing."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """The names in a folder."""
    if os.name == "nt":  # has no handle of a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
