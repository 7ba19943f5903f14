"""The past as it would have been scored then: every eligible judgement once, whatever can be said of it."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.asof import DAY
from features.delay import data_cut
from features.histories import Histories
from features.judgements import judge
from features.rules import Rules
from tests.command import few_trees
from tests.tiny_site import ORIGIN, Rows, day, histories
from tests.training.learnable import learnable
from training.backtest import backtest, steps_by_model
from training.known import known_by
from training.model import fit_model

__all__ = ["few_trees"]

START, UNTIL, STEP = day(30), day(310), 100 * DAY


def run(rows: Rows, rule: Rules, *, start: int = START, until: int = UNTIL, step: int = STEP) -> pa.Table:
    table = backtest(histories(rows, rule), rule, start=start, until=until, step=step, progress=lambda *_: None)
    assert table["risk"].null_count == table["model"].null_count == 0
    return table


def days(column: pa.ChunkedArray) -> list[float]:
    return [(moment - ORIGIN) / DAY for moment in column.cast(pa.int64()).to_pylist()]


@pytest.fixture(scope="module")
def site() -> tuple[Rows, Rules]:
    """Lots judged again, among them one without a label, a lot of no units, and one found failing in the house."""
    rows, rule = learnable(again_every=60)
    lot = {"product_id": "P0", "line_id": "N0", "quantity": 10, "produced_at": day(40), "temperature": 150.0}
    rows["lots"] += [lot | {"lot_id": "reworked", "shipped_at": day(60)}, lot | {"lot_id": "caught"}]
    rows["lots"] += [lot | {"lot_id": "nothing", "quantity": 0, "shipped_at": day(60)}]
    rows["dispositions"] = [
        {"lot_id": "reworked", "decided_at": day(61), "action": "reworked", "found": None},
        {"lot_id": "caught", "decided_at": day(50), "action": "scrapped", "found": 1},
    ]
    return rows, rule


@pytest.fixture(scope="module")
def table(site: tuple[Rows, Rules]) -> pa.Table:
    return run(*site)


def told(site: tuple[Rows, Rules]) -> tuple[Histories, int]:
    past = histories(*site).known_before(UNTIL)
    return past, data_cut(past, site[1], until=UNTIL)


def test_every_eligible_judgement_is_written_once_in_order_of_time(table: pa.Table, site: tuple[Rows, Rules]) -> None:
    past, cut = told(site)
    judged = judge(past, site[1], until=UNTIL)
    names = past.ids["lot"].decode(judged.lot)
    eligible = [(name, as_of) for name, as_of in zip(names, judged.as_of.tolist(), strict=True) if START <= as_of < cut]
    written = list(zip(table["lot_id"].to_pylist(), table["as_of"].cast(pa.int64()).to_pylist(), strict=True))
    assert sorted(written) == sorted(eligible)
    assert days(table["as_of"]) == sorted(days(table["as_of"]))
    assert len(set(written)) == len(written) > 400
    assert {"reworked", "caught"} <= set(table["lot_id"].to_pylist())
    assert "nothing" not in table["lot_id"].to_pylist()


def test_failed_is_null_while_immature_or_without_a_label(table: pa.Table, site: tuple[Rows, Rules]) -> None:
    rows = table.to_pylist()
    _, cut = told(site)
    young = [row for row, as_of in zip(rows, days(table["as_of"]), strict=True) if day(as_of) + 30 * DAY >= cut]
    assert young
    assert {row["failed"] for row in young} == {None}
    first = {row["lot_id"]: row["failed"] for row in reversed(rows)}
    assert (first["reworked"], first["caught"]) == (None, 1)
    assert {row["failed"] for row in rows} == {0, 1, None}


def test_each_judgement_is_scored_by_the_model_of_its_step(table: pa.Table) -> None:
    trained = days(table["trained_until"])
    assert sorted(set(trained)) == [30.0, 130.0, 230.0]
    assert all(start <= as_of < start + 100 for start, as_of in zip(trained, days(table["as_of"]), strict=True))
    models = dict(zip(trained, table["model"].to_pylist(), strict=True))
    assert models == {30.0: "shrunk_product", 130.0: "lightgbm", 230.0: "lightgbm"}
    assert steps_by_model(table) == {"lightgbm": 2, "shrunk_product": 1}


def test_risks_are_those_of_a_model_trained_until_then(table: pa.Table, site: tuple[Rows, Rules]) -> None:
    rows, rule = site
    past, cut = told(site)
    model = fit_model(known_by(histories(rows, rule), rule, until=day(130)))
    judged = judge(past, rule, until=UNTIL)
    block = judged.take(np.flatnonzero((judged.as_of >= day(130)) & (judged.as_of < min(day(230), cut))))
    risk = np.array(table["risk"])[np.array(days(table["trained_until"])) == 130]
    assert np.array_equal(risk, model.risk(block, past))


def test_what_is_known_later_changes_labels_but_no_risk(site: tuple[Rows, Rules], table: pa.Table) -> None:
    rows, rule = site
    reach = told(site)[1]  # no judgement that is written lies after it
    spoilt = {"return_id": "!", "lot_id": "L0200", "quantity": 9, "occurred_at": day(202), "reported_at": reach}
    other = run(rows | {"returns": [*rows["returns"], spoilt]}, rule)
    assert other["risk"].equals(table["risk"])
    changed = [a for a, b in zip(table.to_pylist(), other.to_pylist(), strict=True) if a != b]
    assert [(one["lot_id"], one["failed"]) for one in changed] == [("L0200", 0)]


def test_nothing_to_score_is_a_table_without_rows(site: tuple[Rows, Rules], table: pa.Table) -> None:
    empty = run(*site, start=day(320))
    assert (empty.num_rows, empty.schema) == (0, table.schema)
    assert steps_by_model(empty) == {}


def test_a_step_longer_than_the_data_is_one_block(site: tuple[Rows, Rules]) -> None:
    assert set(days(run(*site, start=day(150), step=10_000 * DAY)["trained_until"])) == {150.0}


def lots_of(table: pa.Table) -> set[Any]:
    return set(table["lot_id"].to_pylist())


def test_lots_known_only_after_until_are_not_there(site: tuple[Rows, Rules]) -> None:
    rows, rule = site
    late = {**rows["lots"][0], "lot_id": "late", "produced_at": day(50), "known_at": day(311)}
    assert "late" not in lots_of(run(rows | {"lots": [*rows["lots"], late]}, rule, start=day(250)))
