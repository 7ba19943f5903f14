"""What data a model was made of: rows and a hash of each table, whatever order the rows came in."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from features.asof import Array
from features.contracts import TABLES
from features.histories import Histories, Table


def fingerprints(histories: Histories) -> dict[str, dict[str, Any]]:
    """{table: {"rows", "sha256"}} over all standing rows, columns by name."""
    return {
        name: {"rows": len(table), "sha256": _digest(table, histories)}
        for name, table in sorted(histories.tables.items())
    }


def _digest(table: Table, histories: Histories) -> str:
    columns = {name: _bits(table, histories, name) for name in sorted(table.columns)}
    columns |= {"first": table.first, "known": table.known, "superseded": table.superseded}
    order = np.lexsort(list(columns.values())) if len(table) else np.empty(0, dtype=np.int64)
    digest = hashlib.sha256()
    for name, values in columns.items():
        digest.update(name.encode() + np.ascontiguousarray(values[order]).tobytes())
        digest.update("\n".join(_texts(table, histories, name) if name in table.columns else []).encode())
    return digest.hexdigest()


def _bits(table: Table, histories: Histories, name: str) -> Array:
    """A column as int64: codes counted among the texts that occur, floats by their bits."""
    values = table[name]
    if _vocabulary(table, histories, name) is not None:
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    return values.astype(np.float64).view(np.int64) if values.dtype.kind == "f" else values.astype(np.int64)


def _texts(table: Table, histories: Histories, name: str) -> list[str]:
    vocabulary = _vocabulary(table, histories, name)
    if vocabulary is None:
        return []
    return ["" if code < 0 else vocabulary[code] for code in np.unique(table[name]).tolist()]


def _vocabulary(table: Table, histories: Histories, name: str) -> Sequence[str] | None:
    if name in table.texts:
        return table.texts[name].texts
    column = TABLES[table.name].column(name)
    return histories.ids[column.of].texts if column is not None and column.kind == "id" else None
