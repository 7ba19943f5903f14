"""Own: what a lot has done since it shipped. Null at its first judgement, and where lots are judged once."""

import numpy as np

from features.asked import Asked
from features.asof import DAY, NO_TIME, Array
from features.card import FeatureSpec
from features.evidence import ITSELF, PRODUCT, FieldHistory
from features.groups.field import (
    PER_MILLION_UNIT_DAYS,
    RATE,
    RECENT,
    YEAR,
    Rates,
    counted,
    days_since_return,
    entities,
    leaning,
    rates_of_lots,
)
from features.histories import Histories
from features.layout import Layout
from features.names import column


def columns(layout: Layout) -> list[FeatureSpec]:
    """The group's columns; none where lots are judged once."""
    if layout.rules.decision.again_every is None:
        return []
    return [
        column("own_age_days", unit="days"),
        column("own_units_at_risk", unit="units"),
        column("own_returned_90d", unit="units"),
        column("own_returned_share", unit="share"),
        column("own_return_rate_90d", unit=RATE),
        column("own_return_rate_365d", unit=RATE),
        column("own_days_since_return", unit="days"),
        column("own_fail_share_365d", unit="share"),
    ]


def build(asked: Asked, histories: Histories, layout: Layout) -> dict[str, Array]:
    """The group's columns by name, float64, shape (judgements,)."""
    if not columns(layout):
        return {}
    history = FieldHistory(histories, layout)
    product, lot = entities(layout).index(PRODUCT), asked.lot[None]
    wider = Rates(*(rates[:, [product]] for rates in rates_of_lots(asked, histories, layout)))
    counts = counted(history, layout, ITSELF, lot, asked.as_of, (RECENT, YEAR), without=None)
    rates = leaning(counts, ITSELF, towards=wider)
    total = history.exposure(ITSELF, lot, asked.as_of, (RECENT, None))[:, 0]
    ever = np.maximum(total[1, :, 0] + total[1, :, 2], 1)
    out = {
        "own_age_days": (asked.as_of - asked.judged_first) / DAY,
        "own_units_at_risk": total[1, :, 0].astype(np.float64),
        "own_returned_90d": total[0, :, 2].astype(np.float64),
        "own_returned_share": total[1, :, 2] / ever,
        "own_return_rate_90d": rates.returned[0, 0] * PER_MILLION_UNIT_DAYS,
        "own_return_rate_365d": rates.returned[1, 0] * PER_MILLION_UNIT_DAYS,
        "own_days_since_return": days_since_return(history, ITSELF, lot, asked.as_of, without=None)[0],
        "own_fail_share_365d": rates.fail[1, 0],
    }
    ahead = asked.judged_first == NO_TIME
    return {name: np.where(ahead, np.nan, values) for name, values in out.items()}
