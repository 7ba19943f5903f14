"""Which lots are judged, and when."""

from dataclasses import dataclass, replace

import numpy as np

from features.asof import FOREVER, NO_TIME, Array, Latest, before, stands
from features.histories import Histories
from features.rules import Rules
from features.shipments import first_known_shipped, first_shipped, shipped_before, spans_of, units_at_risk
from features.told import Told


@dataclass(frozen=True)
class Judgements:
    """The spine: one row a judgement, shape (judgements,), int64.

    `lot` code, `as_of`, `units` at risk, `shipped`: when the lot first shipped (NO_TIME: it never did),
    `known`: when the judgement itself could be known to others. `told`: rows that came with the question.
    """

    lot: Array
    as_of: Array
    units: Array
    shipped: Array
    known: Array
    told: Told | None = None

    def __len__(self) -> int:
        return len(self.lot)

    def take(self, rows: Array) -> "Judgements":
        """Some of them; `rows` ascending where anything was told."""
        told = None if self.told is None else self.told.take(rows)
        return Judgements(
            self.lot[rows], self.as_of[rows], self.units[rows], self.shipped[rows], self.known[rows], told
        )

    @property
    def start(self) -> Array:
        """Where the label's window starts: at the judgement, or at the shipment of a lot that had not shipped then."""
        return np.where(self.shipped == NO_TIME, self.as_of, np.maximum(self.shipped, self.as_of))


def lot_rows(histories: Histories, lot: Array, as_of: Array) -> Array:
    """The row of `lots` that is the question at `as_of`: the version known then, before all news the first.

    -1: no such lot, or it was deleted by then.
    """
    lots = histories["lots"]
    if not len(lots):
        return np.full(len(lot), -1, dtype=np.int64)
    latest = histories.once("lots", lambda: Latest(lots["lot_id"], spans_of(lots), key=lots["lot_id"]), of=("lots",))
    earliest = histories.once("earliest lots", lambda: _earliest_rows(histories), of=("lots",))
    row = latest.before(lot, as_of)
    first = earliest[lot]
    return np.where((row < 0) & (lot >= 0) & ~before(lots.known[first], as_of), first, row)


def there(histories: Histories, lot: Array, as_of: Array) -> Array:
    """Whether the lot was there: known strictly before `as_of`, or as it was produced at that very moment; bool.

    The second is the question itself; a lot that was produced then and known later is nobody's question yet.
    `lot`: codes, -1 for none.
    """
    row = lot_rows(histories, lot, as_of)
    lots = histories["lots"]
    known = before(lots.known[row], as_of) | ((lots["produced_at"][row] == as_of) & (lots.known[row] == as_of))
    return np.asarray(known & (row >= 0))


def judge(histories: Histories, rules: Rules, *, until: int) -> Judgements:
    """Every eligible judgement with `as_of` strictly before `until`, in order of (as_of, lot).

    The histories should hold only what was known before `until`: the moments come from their last versions.
    """
    lots = histories["lots"]
    if not len(lots) or until == NO_TIME:
        return _none()
    last = np.full(len(histories.ids["lot"]), -1, dtype=np.int64)
    standing = np.flatnonzero(stands(lots.known, lots.superseded, FOREVER))
    last[lots["lot_id"][standing]] = standing
    own = _lots_shipped(histories, last, until)
    shipped = np.where(own == NO_TIME, first_shipped(histories, until=until), own)
    if rules.decision.at == "produced_at":
        moment = lots["produced_at"][last]
    else:
        moment = np.where(shipped == NO_TIME, _found_at(histories), shipped)
    moment = np.where(last < 0, NO_TIME, moment)
    return _judgements(histories, rules, moment, shipped, until=until)


def judge_as_known(histories: Histories, rules: Rules) -> Judgements:
    """Judgements as evidence about other lots: each from the first news of its moment: no later row moves it.

    All turns up to `until_age` are there, those to come too: where they ended would say how far the histories reach.
    """
    if not len(histories["lots"]):
        return _none()
    shipped, known = first_known_shipped(histories)
    moment = _first_produced(histories) if rules.decision.at == "produced_at" else shipped
    judged = _judgements(histories, rules, moment, shipped, until=FOREVER // 2, told_by=known)
    return replace(judged, known=np.maximum(known[judged.lot], judged.as_of))


def first_moment(histories: Histories, rules: Rules, lot: Array, as_of: Array, *, row: Array | None = None) -> Array:
    """A lot's first judgement as known strictly before `as_of`; NO_TIME where it still lies ahead.

    `row`: what `lot_rows` gives, where that is at hand.
    """
    row = lot_rows(histories, lot, as_of) if row is None else row
    lots = histories["lots"]
    if rules.decision.at == "produced_at":
        produced = lots["produced_at"][row]
        return np.where((row >= 0) & before(produced, as_of), produced, NO_TIME)
    return shipped_by(histories, lot, row, as_of)


def shipped_by(histories: Histories, lot: Array, row: Array, as_of: Array) -> Array:
    """When each lot first shipped, NO_TIME where that is not before `as_of`: its `row` of lots says, else shipments."""
    lots = histories["lots"]
    own = lots["shipped_at"][row] if lots.has("shipped_at") else np.full(len(lot), NO_TIME)
    own = np.where((row >= 0) & before(own, as_of), own, NO_TIME)
    return np.where(own == NO_TIME, shipped_before(histories, lot, as_of), own)


def _judgements(
    histories: Histories, rules: Rules, moment: Array, shipped: Array, *, until: int, told_by: Array | None = None
) -> Judgements:
    """`told_by`, by lot: of what ships at the first judgement, only what was told by then."""
    lot = np.flatnonzero((moment != NO_TIME) & before(moment, until))
    lot = lot[lot_rows(histories, lot, moment[lot]) >= 0]
    rounds = np.zeros(len(lot), dtype=np.int64)
    every = rules.decision.again_every
    if every is not None:
        age = np.minimum(rules.decision.until_age, until - 1 - moment[lot])
        rounds = age // every
        if rules.decision.at == "shipped_at":  # found failing in the house: nothing is ever at risk
            rounds[shipped[lot] == NO_TIME] = 0
    turn = np.arange(rounds.sum() + len(lot)) - np.repeat(np.cumsum(rounds + 1) - rounds - 1, rounds + 1)
    lot = np.repeat(lot, rounds + 1)
    as_of = moment[lot] + turn * (every or 0)
    order = np.lexsort((lot, as_of))
    lot, as_of, first = lot[order], as_of[order], turn[order] == 0
    row = lot_rows(histories, lot, as_of)
    shipping = first & (rules.decision.at == "shipped_at") & (shipped[lot] != NO_TIME)
    units = units_at_risk(
        histories,
        lot,
        as_of,
        quantity=histories["lots"]["quantity"][row],
        shipping=shipping,
        told_by=None if told_by is None else told_by[lot],
    )
    judged = Judgements(lot, as_of, units, shipped[lot], as_of)
    return judged.take(np.flatnonzero((row >= 0) & (units >= max(rules.decision.min_units, 1))))


def _none() -> Judgements:
    none = np.empty(0, dtype=np.int64)
    return Judgements(none, none, none, none, none)


def _first_produced(histories: Histories) -> Array:
    rows = _earliest_rows(histories)
    return np.where(rows >= 0, histories["lots"]["produced_at"][rows], NO_TIME)


def _lots_shipped(histories: Histories, row: Array, until: int) -> Array:
    """`lots.shipped_at` of rows of lots where it was known before `until`; before that it is a plan."""
    lots = histories["lots"]
    if not lots.has("shipped_at"):
        return np.full(len(row), NO_TIME)
    told = (row >= 0) & before(lots["shipped_at known"][row], until)
    return np.where(told, lots["shipped_at"][row], NO_TIME)


def _found_at(histories: Histories) -> Array:
    """When a lot was first found failing, NO_TIME: never."""
    moment = np.full(len(histories.ids["lot"]), FOREVER)
    if "dispositions" in histories and histories["dispositions"].has("found"):
        table = histories["dispositions"]
        rows = np.flatnonzero((table["found"] == 1) & stands(table.known, table.superseded, FOREVER))
        np.minimum.at(moment, table["lot_id"][rows], table["decided_at"][rows])
    return np.where(moment == FOREVER, NO_TIME, moment)


def _earliest_rows(histories: Histories) -> Array:
    lots = histories["lots"]
    order = np.lexsort((lots.known, lots["lot_id"]))
    rows = np.full(len(histories.ids["lot"]), -1, dtype=np.int64)
    lot, place = np.unique(lots["lot_id"][order], return_index=True)
    rows[lot] = order[place]
    return rows
