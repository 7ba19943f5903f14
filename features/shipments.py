"""What left the house and when: from `shipments`, or one shipment of `lots.quantity` at `lots.shipped_at`."""

from dataclasses import dataclass

import numpy as np

from features.asof import FOREVER, NO_TIME, Array, Spans, Totals, before, stands
from features.histories import Histories, Table
from features.order import RowsBy


@dataclass(frozen=True)
class Shipments:
    """Standing rows: `lot` and `customer` codes, `shipped_at`, signed `quantity` in units; shape (rows,)."""

    lot: Array
    customer: Array
    shipped_at: Array
    quantity: Array
    spans: Spans


def spans_of(table: Table) -> Spans:
    """The spans of a table's rows."""
    return Spans(table.first, table.known, table.superseded)


def shipments_of(histories: Histories) -> Shipments:
    """All shipments, in the table or taken from the lots."""
    return histories.once("shipments", lambda: _shipments(histories), of=("lots", "shipments"))


def _shipments(histories: Histories) -> Shipments:
    if "shipments" in histories:
        table = histories["shipments"]
        customer = table["customer_id"] if table.has("customer_id") else np.full(len(table), -1)
        return Shipments(table["lot_id"], customer, table["shipped_at"], table["quantity"], spans_of(table))
    lots = histories["lots"]
    if not lots.has("shipped_at"):
        none = np.empty(0, dtype=np.int64)
        return Shipments(none, none, none, none, Spans(none, none, none))
    known = np.maximum(lots.known, lots["shipped_at known"])
    rows = np.flatnonzero((lots["shipped_at"] != NO_TIME) & before(known, lots.superseded))
    lot, known = lots["lot_id"][rows], known[rows]
    first = np.full(len(histories.ids["lot"]), FOREVER)
    np.minimum.at(first, lot, known)
    return Shipments(
        lot,
        lots["customer_id"][rows] if lots.has("customer_id") else np.full(len(rows), -1),
        lots["shipped_at"][rows],
        lots["quantity"][rows],
        Spans(first[lot], known, lots.superseded[rows]),
    )


def by_lot(histories: Histories) -> RowsBy:
    """Shipments of each lot."""
    return histories.once("shipments by lot", lambda: RowsBy(shipments_of(histories).lot), of=("lots", "shipments"))


def shipped_before(histories: Histories, lot: Array, as_of: Array) -> Array:
    """The first positive shipment's time as known strictly before `as_of`, NO_TIME where there is none."""
    shipped = shipments_of(histories)
    question, row = by_lot(histories).pairs(lot)
    seen = stands(shipped.spans.known[row], shipped.spans.superseded[row], as_of[question])
    seen &= (shipped.quantity[row] > 0) & before(shipped.shipped_at[row], as_of[question])
    return _earliest(len(lot), question[seen], shipped.shipped_at[row[seen]])


def first_shipped(histories: Histories, *, until: int) -> Array:
    """The first positive shipment of every lot as it stands at the end of the histories, NO_TIME: none before `until`.

    Returns int64, shape (lots in the vocabulary,).
    """
    shipped = shipments_of(histories)
    told = before(shipped.spans.known, until)  # what lots say of a later shipment is a plan
    rows = np.flatnonzero((shipped.quantity > 0) & (shipped.spans.superseded == FOREVER) & told)
    return _earliest(len(histories.ids["lot"]), shipped.lot[rows], shipped.shipped_at[rows])


def first_known_shipped(histories: Histories) -> tuple[Array, Array]:
    """(time, known time) of every lot's shipment that was known first: news that came later does not change it."""
    shipped = shipments_of(histories)
    rows = np.flatnonzero((shipped.quantity > 0) & (shipped.spans.known == shipped.spans.first))
    rows = rows[np.lexsort((shipped.shipped_at[rows], shipped.spans.known[rows], shipped.lot[rows]))]
    lot, place = np.unique(shipped.lot[rows], return_index=True)
    moment = np.full(len(histories.ids["lot"]), NO_TIME)
    known = moment.copy()
    moment[lot], known[lot] = shipped.shipped_at[rows[place]], shipped.spans.known[rows[place]]
    return moment, known


def units_at_risk(
    histories: Histories,
    lot: Array,
    as_of: Array,
    *,
    quantity: Array,
    shipping: Array,
    told_by: Array | None = None,
) -> Array:
    """Units in the field: shipped, less returned and withdrawn, as known strictly before `as_of`.

    `shipping`: judgements made as the lot ships, bool: what ships at `as_of` counts too, though it is known no earlier;
    `told_by`: known by then.
    `quantity`: the lots' own, taken where nothing has shipped. Returns int64, shape (questions,), at least 0.
    """
    totals = histories.once("units by lot", lambda: _units(histories)).before(lot, as_of)[0]
    shipped = shipments_of(histories)
    question, row = by_lot(histories).pairs(np.where(shipping, lot, -1))
    now = (shipped.spans.known[row] == shipped.spans.first[row]) & ~before(shipped.spans.known[row], as_of[question])
    now &= ~before(as_of[question], shipped.shipped_at[row])
    if told_by is not None:
        now &= ~before(told_by[question], shipped.spans.known[row])
    # Where lots tell of shipments, one ships what its own row said before: a correction of that moment is too late.
    shipments = shipped.quantity[row[now]] if "shipments" in histories else quantity[question[now]]
    np.add.at(totals, question[now], np.stack([shipments, (shipments > 0).astype(np.int64)], axis=1))
    return np.where(totals[:, 1] > 0, np.maximum(totals[:, 0], 0), quantity)


def _units(histories: Histories) -> Totals:
    shipped = shipments_of(histories)
    lot, spans = shipped.lot, shipped.spans
    values = np.stack([shipped.quantity, (shipped.quantity > 0).astype(np.int64)], axis=1)
    if "returns" in histories:
        returns = histories["returns"]
        lot = np.concatenate([lot, returns["lot_id"]])
        back = spans_of(returns)
        spans = Spans(*(np.concatenate(two) for two in zip(_parts(spans), _parts(back), strict=True)))
        values = np.concatenate([values, np.stack([-returns["quantity"], np.zeros(len(returns), np.int64)], axis=1)])
    return Totals(lot, spans, values)


def _parts(spans: Spans) -> tuple[Array, Array, Array]:
    return spans.first, spans.known, spans.superseded


def _earliest(size: int, place: Array, time: Array) -> Array:
    earliest = np.full(size, FOREVER)
    np.minimum.at(earliest, place, time)
    return np.where(earliest == FOREVER, NO_TIME, earliest)
