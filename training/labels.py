"""Labels of judgements: the only place that looks past `as_of`."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.asof import DAY, Array, before
from features.delay import data_cut, reporting_delay
from features.histories import Histories
from features.judgements import Judgements
from features.rules import Rules
from features.verdicts import FAILED, HELD_UP, NO_LABEL, verdicts, window_end


@dataclass(frozen=True)
class Labels:
    """`failed`: int8, shape (judgements,): 1 failed, 0 held up, -1 no label. `mature`: bool.

    `cut`, `delay`: microseconds. `counts`: judgements by what became of their label.
    """

    failed: Array
    mature: Array
    cut: int
    delay: int
    counts: dict[str, int]

    @property
    def usable(self) -> Array:
        """Rows to learn from and to measure on: mature, with a label."""
        return np.flatnonzero(self.mature & (self.failed != NO_LABEL))

    def describe(self) -> dict[str, Any]:
        """Counts, the immature share and the delay in days, for reports."""
        total = len(self.mature)
        immature = float(1 - self.mature.mean()) if total else 0.0
        return {"judgements": total, "immature_share": immature, "delay_days": self.delay / DAY, **self.counts}


def label(judgements: Judgements, histories: Histories, rules: Rules, *, until: int) -> Labels:
    """Labels by what was known strictly before `until`; mature by age alone, never by what came of the lot.

    The histories hold only what was known before `until`.
    """
    cut = data_cut(histories, rules, until=until)
    delay = reporting_delay(histories, rules.label, cut=cut, judged=(judgements.lot, judgements.as_of))
    verdict = verdicts(judgements, histories, rules.label, np.full(len(judgements), until))
    mature = before(window_end(judgements, rules.label) + delay, cut)
    told = [~mature, verdict.failed == FAILED, verdict.failed == HELD_UP]
    became = np.select(told, ["immature", "failed", "held up"], default=verdict.why.astype(str))
    return Labels(verdict.failed, mature, cut, delay, dict(sorted(Counter(became.tolist()).items())))
