"""`lotrisk backtest`: what would have been said, by a model trained until then, of every lot that came after."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.asof import before, within
from features.build import build_features, choose_layout
from features.champion import PRODUCT_RATE, shrunk_rates
from features.delay import data_cut
from features.histories import Histories
from features.judgements import judge
from features.output import times, write_table
from features.rules import Rules
from training.known import Known
from training.labels import label
from training.model import Model, fit_model
from training.recipe import Recipe
from training.tables import Progress
from training.walk import walk_forward


def backtest(
    histories: Histories,
    rules: Rules,
    *,
    start: int,
    until: int,
    step: int,
    progress: Progress,
    recipe: Recipe | None = None,
) -> "pa.Table":
    """Every eligible judgement with `as_of` in [start, the data's cut), one row each, in order of time.

    `failed` is by what was known strictly before `until`, null while immature or without a label. A step in which too
    little was mature to train takes the product's shrunk rate, and `model` names it.
    """
    past = histories.known_before(until)
    cut = data_cut(past, rules, until=until)
    judged = judge(past, rules, until=until)
    labels = label(judged, past, rules, until=until)
    rows = np.flatnonzero(within(judged.as_of, start, cut))
    judged = judged.take(rows)
    failed, usable = labels.failed[rows], np.isin(rows, labels.usable)
    steps = list(range(start, cut, step))
    risk, model, trained = np.empty(len(rows)), np.empty(len(rows), dtype=object), np.empty(len(rows), dtype=np.int64)

    def fit(known: Known) -> Model:
        progress("backtest", sum(1 for moment in steps if before(moment, known.until)) + 1, len(steps))
        return fit_model(known, recipe)

    for block in walk_forward(judged, past, rules, starts=steps, fit=fit):
        some = judged.take(block.rows)
        if block.model is None:
            layout = choose_layout(block.known.histories, block.start, rules=rules)
            risk[block.rows] = shrunk_rates(build_features(some, past, layout))[PRODUCT_RATE]
            model[block.rows] = PRODUCT_RATE
        else:
            risk[block.rows] = block.model.risk(some, past)
            model[block.rows] = "lightgbm"
        trained[block.rows] = block.start
    lots = histories.ids["lot"].texts
    return pa.table(
        {
            "lot_id": pa.array([lots[code] for code in judged.lot.tolist()], pa.string()),
            "as_of": times(judged.as_of),
            "risk": pa.array(risk, pa.float64()),
            "failed": pa.array(failed, pa.int8(), mask=~usable),
            "model": pa.array(model.tolist(), pa.string()),
            "trained_until": times(trained),
        }
    )


def write_backtest(table: "pa.Table", out: Path) -> dict[str, Any]:
    """Writes the table of `backtest` into `out`; what is in it, in numbers."""
    write_table(table, out)
    labelled = table.num_rows - table["failed"].null_count
    return {"out": str(out), "judgements": table.num_rows, "labelled": labelled, "steps": steps_by_model(table)}


def steps_by_model(table: "pa.Table") -> dict[str, int]:
    """How many steps of a backtest each kind of model scored."""
    models = dict(zip(table["trained_until"].to_pylist(), table["model"].to_pylist(), strict=True))
    return {name: list(models.values()).count(name) for name in sorted(set(models.values()))}
