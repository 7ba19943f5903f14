"""A model as of a cut: what is chosen, by what, and that it does not depend on luck."""

from dataclasses import replace

import numpy as np
import pytest

from features.asof import DAY
from features.build import Features
from features.champion import PRODUCT_RATE, shrunk_rates
from features.errors import CannotTrain
from features.groups.field import RATES
from tests.command import few_trees
from tests.tiny_site import day, histories
from tests.training.learnable import learnable
from training.forecast import strongest_rate
from training.known import Known, known_by
from training.model import Model, fit_model, score_out_of_time, time_blocks
from training.recipe import Recipe

__all__ = ["few_trees"]

UNTIL = day(330)


def known(lots: int = 300, *, seed: int = 0, until: int = UNTIL) -> Known:
    rows, rule = learnable(lots, seed=seed)
    return known_by(histories(rows, rule), rule, until=until)


@pytest.fixture(scope="module")
def model() -> Model:
    return fit_model(known())


def test_it_learns_what_there_is_to_learn(model: Model) -> None:
    scored = model.out_of_time
    mature = np.isin(scored.rows, model.known.labels.usable)
    failed = model.known.labels.failed[scored.rows[mature]] == 1
    risk = scored.risk[mature]
    assert risk[failed].mean() > risk[~failed].mean() + 0.05


def test_each_judgement_is_scored_once_and_none_before_there_is_a_model(model: Model) -> None:
    rows, as_of = model.out_of_time.rows, model.known.judgements.as_of
    assert len(np.unique(rows)) == len(rows)
    assert (np.diff(as_of[rows]) >= 0).all()
    assert as_of[rows].min() > day(50)
    parts = vars(model.out_of_time)
    assert {len(parts[name]) for name in parts if name != "rates"} == {len(rows)}
    assert {len(values) for values in model.out_of_time.rates.values()} == {len(rows)}
    assert not np.isnan(model.out_of_time.risk).any()


def test_the_same_input_gives_the_same_model_byte_for_byte(model: Model) -> None:
    again = fit_model(known())
    assert again.trees.booster.model_to_string() == model.trees.booster.model_to_string()
    assert (again.rounds, again.calibration, again.rate) == (model.rounds, model.calibration, model.rate)
    assert np.array_equal(again.out_of_time.risk, model.out_of_time.risk)


def test_another_seed_gives_another_model(model: Model) -> None:
    assert fit_model(known(), Recipe(seed=1)).trees.booster.model_to_string() != model.trees.booster.model_to_string()


def test_the_refit_learns_from_all_that_is_mature(model: Model) -> None:
    assert model.trees.rows.tolist() == model.known.labels.usable.tolist()
    assert model.trees.booster.num_trees() == model.rounds


def test_too_little_of_either_kind_is_said() -> None:
    with pytest.raises(CannotTrain, match="at least 10 of each are needed"):
        fit_model(known(lots=60, until=day(60)))
    few = known()
    good = replace(few, labels=replace(few.labels, failed=np.zeros_like(few.labels.failed)))
    with pytest.raises(CannotTrain, match=r"0 failed and \d+ held up"):
        fit_model(good)


def test_no_judgements_have_no_risk(model: Model) -> None:
    none = model.known.judgements.take(np.empty(0, dtype=np.int64))
    assert model.risk(none, model.known.histories).shape == (0,)
    empty = known(until=day(1))
    assert len(score_out_of_time(empty).rows) == 0


def test_what_comes_after_a_block_does_not_change_its_scores(model: Model) -> None:
    """Every hundredth part of a score rests on labels of its block's start: later ones may be anything."""
    start = day(200)
    rows, rule = learnable()
    changed = histories(rows | {"returns": [spoilt(row, start) for row in rows["returns"]]}, rule)
    other = score_out_of_time(known_by(changed, rule, until=UNTIL))
    as_of, scored = model.known.judgements.as_of, model.out_of_time
    before = as_of[scored.rows] < start
    assert before.sum() > 50
    last = scored.block[before].max()  # its end may lie behind `start`: its scores do not, its rows may
    shared = before & (scored.block < last)
    assert np.array_equal(other.risk[: shared.sum()], scored.risk[shared])
    assert not np.array_equal(other.risk[-20:], scored.risk[-20:])


def spoilt(row: dict, start: int) -> dict:
    return row if row["reported_at"] < start else row | {"quantity": 1}


def test_the_strongest_rate_has_the_least_log_loss_and_ties_go_by_name() -> None:
    failed = np.arange(40) < 10
    good, bad = np.where(failed, 0.8, 0.1), np.full(40, 0.5)
    assert strongest_rate({"shrunk_product": bad, "shrunk_line": good}, failed) == "shrunk_line"
    assert strongest_rate({"shrunk_product": bad, "shrunk_line": bad}, failed) == "shrunk_line"
    assert strongest_rate({"shrunk_line": good}, failed & (np.arange(40) < 9)) == PRODUCT_RATE
    assert strongest_rate({}, failed) == PRODUCT_RATE


def test_a_lot_without_its_own_history_takes_its_products() -> None:
    names = [RATES["shrunk_product"], RATES["shrunk_line"]]
    found = shrunk_rates(Features(names, np.array([[0.1, np.nan], [0.2, 0.4]])))
    assert {name: values.tolist() for name, values in found.items()} == {
        "shrunk_product": [0.1, 0.2],
        "shrunk_line": [0.1, 0.4],
    }
    assert shrunk_rates(Features(["plant_fail_share_365d"], np.full((1, 1), 0.3)))["shrunk_product"].tolist() == [0.3]
    assert shrunk_rates(Features(["other"], np.zeros((2, 1)))) == {}


def test_blocks_of_time_are_months_or_a_twelfth_of_what_there_is() -> None:
    assert np.diff(np.flatnonzero(np.diff(time_blocks(np.arange(800) * DAY)))).tolist() == [30] * 25
    assert len(np.unique(time_blocks(np.arange(120) * DAY))) in (12, 13)
    assert len(np.unique(time_blocks(np.arange(5) * DAY))) == 5
    assert time_blocks(np.empty(0, dtype=np.int64)).shape == (0,)
