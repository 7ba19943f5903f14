"""A hash over what histories say, whatever was made of them."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from features.asof import Array
from features.histories import Histories, PackedTexts, Vocabulary

_BLOCK = 2**20  # rows hashed at a time: a broadcast array is never there in full


def content_hash(told: Histories) -> str:
    """sha256 over tables, rows as they stand in order, attributes and vocabularies; not over what was made of them."""
    digest = hashlib.sha256()
    for name, table in sorted(told.tables.items()):
        _add(digest, "table", name, table.name, *table.attributes)
        spans = {"first": table.first, "known": table.known, "superseded": table.superseded}
        for kind, arrays in (("column", table.columns), ("span", spans)):
            for column, values in sorted(arrays.items()):
                _add(digest, kind, column, str(values.dtype), str(values.shape))
                _add_array(digest, values)
        _add_vocabularies(digest, table.texts)
    _add_vocabularies(digest, told.ids)
    return digest.hexdigest()


def _add(digest: Any, *texts: str) -> None:
    """Texts with their lengths, so that no two lists of them are one."""
    for text in (str(len(texts)), *texts):
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(f"{len(encoded)} ".encode() + encoded)


def _add_array(digest: Any, values: Array) -> None:
    for start in range(0, len(values), _BLOCK):
        digest.update(np.ascontiguousarray(values[start : start + _BLOCK]).data)


def _add_vocabularies(digest: Any, vocabularies: Mapping[str, Vocabulary]) -> None:
    for name, vocabulary in sorted(vocabularies.items()):
        packed = PackedTexts.of(vocabulary.texts)
        _add(digest, "vocabulary", name, str(len(packed)))
        _add_array(digest, packed.starts)
        _add_array(digest, packed.data)
