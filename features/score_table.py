"""Scores as a table: the columns of `lotrisk score`."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from features.champion import Scorer
from features.decision import CANNOT_ASSESS
from features.freshness import features_as_of
from features.histories import Histories
from features.judgements import there
from features.output import times, to_json
from features.score import Policy, question, score
from features.warnings import CODES

UNKNOWN = [{"code": "unknown_lot", "detail": CODES["unknown_lot"]}]


def score_table(
    scorer: Scorer, histories: Histories, policy: Policy, *, lots: Sequence[str], as_of: int, most_reasons: int
) -> "pa.Table":
    """One row a lot, in the order given.

    A lot that is unknown or was not produced by `as_of` has a null risk and its problem among the warnings.
    """
    codes = np.array([histories.ids["lot"].code(lot) for lot in lots], dtype=np.int64)
    place = np.flatnonzero(there(histories, codes, np.full(len(codes), as_of)))
    judged = question(histories, codes[place], np.full(len(place), as_of))
    said = score(scorer, histories, policy, judged, most_reasons=most_reasons)
    row = np.full(len(lots), -1, dtype=np.int64)
    row[place] = np.arange(len(place))
    unknown = row < 0
    order = row.tolist()
    latest = features_as_of(histories, np.array([as_of]))
    return pa.table(
        {
            "lot_id": pa.array(lots, pa.string()),
            "as_of": times(np.full(len(lots), as_of)),
            "risk": pa.array(np.append(said.risk, 0.0)[row], mask=unknown),
            "decision": pa.array([CANNOT_ASSESS if n < 0 else said.decision[n] for n in order], pa.string()),
            "expected_cost": pa.array(np.append(said.expected_cost, 0.0)[row], mask=unknown),
            "reasons": pa.array([to_json([] if n < 0 else said.reasons[n]) for n in order], pa.string()),
            "model_version": pa.array([scorer.version] * len(lots), pa.string()),
            "features_as_of": times(np.full(len(lots), latest[0])),
            "warnings": pa.array([to_json(UNKNOWN if n < 0 else said.warnings[n]) for n in order], pa.string()),
            "expected_saving": pa.array(np.append(said.expected_saving, 0.0)[row], mask=unknown),
            "risk_low": pa.array(np.append(said.risk_low, np.nan)[row], from_pandas=True),
            "risk_high": pa.array(np.append(said.risk_high, np.nan)[row], from_pandas=True),
        }
    )
