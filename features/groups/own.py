"""Own: what a lot has done since it shipped. Null at its first judgement, and where lots are judged once."""

import numpy as np

from features.asked import Asked
from features.asof import DAY, NO_TIME, Array
from features.card import FeatureSpec
from features.evidence import LOT, PLANT, PRODUCT, FieldHistory
from features.groups.field import PER_MILLION_UNIT_DAYS, RATE, RECENT, entity_rates
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
    product = asked.own.codes("product_id")
    plant = entity_rates(history, layout, PLANT, np.zeros(len(asked), np.int64), asked, towards=None)
    wider = entity_rates(history, layout, PRODUCT, product, asked, towards=plant)
    rates = entity_rates(history, layout, LOT, asked.lot, asked, towards=wider, own=True)
    total = history.exposure(LOT).before(asked.lot, asked.as_of, (RECENT, None))
    ever = np.maximum(total[1, :, 0] + total[1, :, 2], 1)
    latest, known = history.last_return(LOT)
    row = latest.before(asked.lot, asked.as_of)
    out = {
        "own_age_days": (asked.as_of - asked.judged_first) / DAY,
        "own_units_at_risk": total[1, :, 0].astype(np.float64),
        "own_returned_90d": total[0, :, 2].astype(np.float64),
        "own_returned_share": total[1, :, 2] / ever,
        "own_return_rate_90d": rates.returned[0] * PER_MILLION_UNIT_DAYS,
        "own_return_rate_365d": rates.returned[1] * PER_MILLION_UNIT_DAYS,
        "own_days_since_return": np.where(row >= 0, (asked.as_of - known[row]) / DAY if len(known) else np.nan, np.nan),
        "own_fail_share_365d": rates.fail[1],
    }
    ahead = asked.judged_first == NO_TIME
    return {name: np.where(ahead, np.nan, values) for name, values in out.items()}
