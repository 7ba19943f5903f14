"""All lots that hold a supplier lot, or may: what `features.containment.held` says of one lot, asked of every one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.asked import uses_by_lot
from features.asof import FOREVER, NO_TIME, Array, before, stands
from features.containment import Scope, source_since
from features.histories import Histories
from features.traced import Questions, Source, Traced, cannot_exclude, rows_naming, traced, users


@dataclass(frozen=True)
class Reason:
    """Why a boundary is where it is: a code, and the figures that go with it."""

    code: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Suspects:
    """Lots by code, ascending, each once, of one supplier lot; a lot that uses it stands nowhere else.

    `withdrawn`: their genealogy named it and no longer does, or they were booked and are no longer there.
    """

    source: Source
    uses: Array
    cannot_exclude: Array
    withdrawn: Array

    @property
    def complete(self) -> bool:
        """Whether all of it is accounted for."""
        return self.source.until != FOREVER


def suspects(histories: Histories, name: str, as_of: int, *, since: int = NO_TIME) -> Suspects:
    """Of a supplier lot, as known strictly before `as_of`; `since`: of a `Scope`."""
    told = traced(histories, as_of)
    source = source_since(told.source(histories, name), since)
    uses = mentioned = np.empty(0, dtype=np.int64)
    if source.code >= 0 and "genealogy" in histories:
        table = histories["genealogy"]
        uses = np.unique(table["lot_id"][users(told, histories, source)])
        row = rows_naming(histories, source.code)
        mentioned = np.unique(table["lot_id"][row[before(table.known[row], as_of)]])
    doubtful = cannot_exclude(told, source, _every_lot(told)) & (told.row[:-1] >= 0)
    doubtful[uses] = False
    return Suspects(source, uses, np.flatnonzero(doubtful), np.setdiff1d(mentioned, uses, assume_unique=True))


def supplier_lots_of(histories: Histories, lot: int, as_of: int) -> list[str]:
    """Supplier lots that the genealogy of a lot, a code, names as it stood strictly before `as_of`; by name."""
    told = traced(histories, as_of)
    if lot < 0 or "genealogy" not in histories or told.row[lot] < 0:
        return []
    table = histories["genealogy"]
    rows = _standing_of(told, histories, lot)
    return [str(name) for name in histories.ids["supplier_lot"].decode(np.unique(table["supplier_lot_id"][rows]))]


def missing_materials(histories: Histories, lot: int, as_of: int) -> list[str]:
    """Materials that the lot's product takes and its own genealogy does not name; where the product is new: any."""
    told = traced(histories, as_of)
    if lot < 0 or told.row[lot] < 0:
        return []
    missing = []
    one = _one_lot(told, lot)
    for material, name in enumerate(told.materials):
        if cannot_exclude(told, Source("", -1, material), one)[0]:
            missing.append(name)
    return missing


def lots_held(histories: Histories, scope: Scope, as_of: int) -> dict[str, Array]:
    """Codes of the lots that a containment holds by `listed`, `uses` and `cannot_exclude`; a lot may be in several."""
    none = np.empty(0, dtype=np.int64)
    codes = (histories.ids["lot"].code(name) for name in scope.lots)
    listed = np.unique(np.array([code for code in codes if code >= 0], dtype=np.int64))
    found = [suspects(histories, name, as_of, since=scope.since) for name in scope.supplier_lots]
    uses = np.unique(np.concatenate([none, *(one.uses for one in found)]))
    doubtful = np.unique(np.concatenate([none, *(one.cannot_exclude for one in found)]))
    return {"listed": listed, "uses": uses, "cannot_exclude": doubtful}


def boundary_reasons(histories: Histories, found: Suspects, as_of: int) -> list[Reason]:
    """Why the boundary of a supplier lot ends where it does, or does not end."""
    source, told = found.source, traced(histories, as_of)
    about = {"supplier_lot": source.name}
    if source.material < 0:
        return [Reason("no_record", about)]
    if found.complete:
        return [Reason("used_up", about | {"quantity": source.quantity, "until": source.until})]
    reasons = []
    if not told.takers(source.material).any():
        reasons.append(Reason("material_not_seen", about | {"material": told.materials[source.material]}))
    if not source.quantity > 0:
        reasons.append(Reason("quantity_unknown", about))
    if source.unsaid:
        reasons.append(Reason("consumption_unknown", about | {"rows": source.unsaid}))
    if source.quantity > 0 and not source.unsaid:
        left = source.quantity - source.consumed
        reasons.append(Reason("unaccounted", about | {"left": left, "quantity": source.quantity}))
    return reasons


def strongest(found: Sequence[Suspects]) -> tuple[Array, dict[str, Array]]:
    """(lots by code, ascending, each once; by why, whether it holds of them; bool)."""
    parts = {name: [getattr(one, name) for one in found] for name in ("uses", "cannot_exclude", "withdrawn")}
    every = np.unique(
        np.concatenate([np.empty(0, dtype=np.int64), *(lots for some in parts.values() for lots in some)])
    )
    none: Array = np.empty(0, dtype=np.int64)
    return every, {name: np.isin(every, np.concatenate([none, *some])) for name, some in parts.items()}


def _every_lot(told: Traced) -> Questions:
    return Questions(np.arange(len(told.row) - 1), told.product[:-1], told.produced_at[:-1], told.names)


def _one_lot(told: Traced, lot: int) -> Questions:
    many = max(len(told.materials), 1)
    low, high = np.searchsorted(told.names, [lot * many, (lot + 1) * many])
    at = np.array([lot])
    return Questions(at, told.product[at], told.produced_at[at], told.names[low:high] - lot * many)


def _standing_of(told: Traced, histories: Histories, lot: int) -> Array:
    table, row = histories["genealogy"], uses_by_lot(histories).pairs(np.array([lot]))[1]
    standing: Array = row[stands(table.known[row], table.superseded[row], told.upto)]
    return standing
