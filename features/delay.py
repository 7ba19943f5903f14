"""How far the data reach, and how late they tell."""

import numpy as np

from features.asof import FOREVER, NO_TIME, Array, before
from features.histories import Histories
from features.rules import LabelRule, Rules

MIN_REPORTS = 30  # below it the 95th percentile of the delay rests on the last report or two
DELAY_SHARE = 0.95


def data_cut(histories: Histories, rules: Rules, *, until: int) -> int:
    """The lesser of `until` and how far the data reach, for histories that hold what was known before `until`.

    Never the wall clock: the last lots of an old export would all count as good.
    """
    reach = rules.known_until
    if reach is None:
        table = histories[rules.label.source]
        ended = table.superseded[table.superseded != FOREVER]
        reach = int(max(table.known.max(initial=NO_TIME), ended.max(initial=NO_TIME)))
    return min(until, reach)


def reporting_delay(histories: Histories, rule: LabelRule, *, cut: int, judged: tuple[Array, Array]) -> int:
    """95th percentile of the reporting delay as known at the cut, microseconds; the setting below 30 reports.

    From returns: reported less occurred. From outcomes: known less judged, `judged` being (lot, as_of).
    Only delays that could be over by the cut are seen; the reverse-time Kaplan-Meier estimate (Lagakos, Barraj and
    De Gruttola 1988) corrects for that truncation.
    """
    table = histories[rule.source]
    rows = np.flatnonzero(table.superseded == FOREVER)
    if rule.source == "returns":
        happened = table["occurred_at"][rows]
    else:
        moment = np.full(len(histories.ids["lot"]), FOREVER)
        moment[judged[0]] = judged[1]
        rows = rows[moment[table["lot_id"][rows]] != FOREVER]
        happened = moment[table["lot_id"][rows]]
    delay, room = np.maximum(table.first[rows] - happened, 0), cut - happened
    seen = ~before(room, delay)
    if seen.sum() < MIN_REPORTS:
        return rule.reporting
    return truncated_quantile(delay[seen], room[seen], DELAY_SHARE)


def truncated_quantile(delay: Array, room: Array, share: float) -> int:
    """Smallest delay whose distribution function, corrected for right truncation at `room`, reaches `share`.

    Args: `delay`, `room` int64, shape (reports,), with delay <= room. Backwards in time, the chance to have been
    reported by d given reported by the next longer delay u is 1 - reports at u / reports open to u.
    """
    values, counts = np.unique(delay, return_counts=True)
    open_to = np.searchsorted(np.sort(delay), values, side="right") - np.searchsorted(np.sort(room), values)
    kept = 1.0 - counts / open_to
    reached = np.append(np.cumprod(kept[:0:-1])[::-1], 1.0)
    return int(values[np.argmax(reached >= share - 1e-12)])
