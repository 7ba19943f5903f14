"""Groups that do not straddle: nothing is learned from a lot that shares, say, a supplier's lot with those foretold.

Lots of one supplier lot fail together. Learned from some of them, a model may know the lot again and not what is wrong
with it; kept apart, it says how it would do on supplier lots that it never saw. Only what is learned from is left out:
features still say what was known of the same supplier or product.
"""

from dataclasses import replace

import numpy as np

from features.asof import Array
from features.errors import SettingsError
from features.histories import Histories
from features.judgements import Judgements
from features.period import nearest
from features.site import Site
from training.known import Known
from training.walk import Apart

ENTITIES = ("lot", "supplier_lot", "supplier", "product", "customer", "line")


def asked_apart(site: Site, entity: str) -> Site:
    """The site, with a second evaluation asked for; SettingsError for what lots do not share."""
    if entity not in ENTITIES:
        raise SettingsError(f"--keep-apart {entity}: unknown{nearest(entity, ENTITIES)}")
    return replace(site, model=replace(site.model, keep_apart=entity))


def apart_by(entity: str, histories: Histories) -> Apart:
    """Which of the known judgements share an `entity` with the block's: those of lots that ever, by any row, had one.

    `histories` are the whole ones: what went into a lot of the block is told after the block has begun.
    """
    lot, group = pairs(histories, entity)

    def apart(known: Known, block: Judgements) -> Array:
        shared = np.unique(group[np.isin(lot, block.lot)])
        return np.isin(known.judgements.lot, lot[np.isin(group, shared)])

    return apart


def pairs(histories: Histories, entity: str) -> tuple[Array, Array]:
    """(lot, entity) by codes, int64, both of shape (pairs,); a pair may be there twice."""
    lots = histories["lots"]["lot_id"]
    if entity == "lot":
        return lots, lots
    if entity in ("supplier_lot", "supplier"):
        if "genealogy" not in histories:
            return lots[:0], lots[:0]
        used = histories["genealogy"]
        lot, supply = used["lot_id"], used["supplier_lot_id"]
        if entity == "supplier":
            lot, supply = _suppliers(histories, lot, supply)
        return _known(lot, supply)
    tables = [histories[name] for name in ("lots", "shipments") if name in histories]
    there = [table for table in tables if table.has(f"{entity}_id")]
    none = lots[:0]
    lot = np.concatenate([none, *(table["lot_id"] for table in there)])
    return _known(lot, np.concatenate([none, *(table[f"{entity}_id"] for table in there)]))


def _suppliers(histories: Histories, lot: Array, supply: Array) -> tuple[Array, Array]:
    """Suppliers in place of their lots; a supplier lot whose supplier was corrected counts for each."""
    if "supplier_lots" not in histories:
        return lot[:0], lot[:0]
    received = histories["supplier_lots"]
    order = np.argsort(received["supplier_lot_id"], kind="stable")
    ordered, supplier = received["supplier_lot_id"][order], received["supplier_id"][order]
    first, end = np.searchsorted(ordered, supply, "left"), np.searchsorted(ordered, supply, "right")
    size = end - first
    place = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size) + np.repeat(first, size)
    return np.repeat(lot, size), supplier[place]


def _known(lot: Array, group: Array) -> tuple[Array, Array]:
    """Pairs of which both are told."""
    told = (lot >= 0) & (group >= 0)
    return lot[told], group[told]
