"""Rows that cannot be used: kept as they came, with the reason, counted and listed."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from features.columns import read_text
from features.errors import ContractViolation

Array = np.ndarray[Any, np.dtype[Any]]


class Faults:
    """Collects, row by row, the first thing wrong."""

    def __init__(self, rows: int) -> None:
        self._reasons: list[str] = []
        self._of_row = np.full(rows, -1, dtype=np.int64)

    def mark(self, mask: Array, reason: str) -> None:
        """Gives `reason` to the rows of `mask` (bool, shape (rows,)) that have none yet."""
        if mask.any():
            if reason not in self._reasons:
                self._reasons.append(reason)
            self._of_row[mask & (self._of_row < 0)] = self._reasons.index(reason)

    def mark_rows(self, rows: Array, reason: str) -> None:
        """The same for row numbers from 0."""
        mask = np.zeros(len(self._of_row), dtype=bool)
        mask[rows] = True
        self.mark(mask, reason)

    @property
    def any(self) -> Array:
        """Mask of the rows that have a fault."""
        return self._of_row >= 0

    def quarantine(self, raw: "pa.Table", key: tuple[str, ...]) -> "Quarantine":
        """The faulty rows of `raw`; `key` gives the examples."""
        rows = np.flatnonzero(self.any)
        held = raw.take(pa.array(rows))
        names = [self._reasons[code] for code in self._of_row[rows].tolist()]
        return Quarantine(held, rows + 1, tuple(names), key)


@dataclass(frozen=True)
class Quarantine:
    """Raw rows with their place in the source (from 1) and why each is here."""

    raw: "pa.Table"
    places: Array
    reasons: tuple[str, ...]
    key: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.reasons)

    def counts(self) -> dict[str, int]:
        """How many rows for each reason, most first."""
        reasons, counts = np.unique(np.array(self.reasons, dtype=object), return_counts=True)
        return {str(reasons[i]): int(counts[i]) for i in np.argsort(-counts, kind="stable")}

    def example(self, reason: str) -> str:
        """The key of the first row with this reason, and its place."""
        at = self.reasons.index(reason)
        parts = [f"{name} {self.raw[name][at].as_py()}" for name in self.key if name in self.raw.column_names]
        return ", ".join([*parts, f"row {self.places[at]}"])

    def table(self) -> "pa.Table":
        """The rows as text, with `quarantine_row` and `quarantine_reason` before their own columns."""
        own = {name: _plain(self.raw[name]) for name in self.raw.column_names}
        return pa.table({"quarantine_row": self.places, "quarantine_reason": list(self.reasons)} | own)


def write_quarantine(quarantined: dict[str, Quarantine], folder: Path) -> list[Path]:
    """One CSV a table with quarantined rows, each written whole or not at all; those of healed tables go."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table, quarantine in quarantined.items():
        file = folder / f"{table}.csv"
        if len(quarantine) == 0:
            file.unlink(missing_ok=True)
            continue
        draft = file.with_suffix(f".{os.getpid()}.tmp")
        try:
            pa.csv.write_csv(quarantine.table(), draft)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
        written.append(file)
    return written


def _plain(column: Any) -> Any:
    try:
        return read_text(column)
    except ContractViolation:  # of a type that no canonical column has, in a column that is ignored
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
