"""What young judgements teach: what was seen by an age and no more, and on average what will have become of them."""

from dataclasses import replace

import numpy as np
import pytest

from features.asof import DAY
from features.errors import SettingsError
from features.judgements import Judgements
from features.rules import LabelRule
from tests.command import few_trees
from tests.tiny_site import Rows, day, histories, rules
from tests.training.learnable import learnable
from training.fit import fit_trees
from training.known import Known, known_by
from training.maturity import FLOOR, counts, failures_told, lessons, returns_told, young_rows
from training.model import fit_model, score_out_of_time
from training.recipe import Recipe
from training.sample import sample_of
from training.walk import Apart, walk_forward

__all__ = ["few_trees"]

UNTIL = day(330)
TREATMENTS = ("weight", "correct", "count")


def known(treatment: str, rows: Rows | None = None, *, lots: int = 320, until: int = UNTIL, seed: int = 0) -> Known:
    made, rule = learnable(lots, seed=seed)
    rule = replace(rule, label=replace(rule.label, treatment=treatment))
    return known_by(histories(rows or made, rule), rule, until=until)


def a_lot(name: str, back: list[tuple[float, float, int]], *, shipped: float = 0) -> tuple[dict, list[dict]]:
    """A lot of ten units and its returns as (day of failure, day of report, units)."""
    lot = {"lot_id": name, "product_id": "P", "quantity": 10, "produced_at": day(shipped), "shipped_at": day(shipped)}
    returns = [
        {"return_id": f"{name}/{number}", "lot_id": name, "quantity": units}
        | {"occurred_at": day(shipped + failed), "reported_at": day(shipped + told)}
        for number, (failed, told, units) in enumerate(back)
    ]
    return lot, returns


def of_lots(*made: tuple[dict, list[dict]], treatment: str = "correct") -> Known:
    rule = rules(ppm=100_000, within=30, reporting=2)
    rule = replace(rule, label=replace(rule.label, treatment=treatment), known_until=day(100))
    rows = {"lots": [lot for lot, _ in made], "returns": [back for _, returns in made for back in returns]}
    return known_by(histories(rows, rule), rule, until=day(101))


def spread_out(treatment: str, *, seed: int, until: float = 70) -> Known:
    """Two lots a day, a third of which fail, at any age up to 30 days, reported the day after."""
    random = np.random.default_rng(seed)
    failing, age = random.random(140) < 1 / 3, random.uniform(0.0, 30.0, 140).round(2)
    made = [a_lot(f"L{n:03}", [(age[n], age[n] + 1, 1)] if failing[n] else [], shipped=n / 2) for n in range(140)]
    rule = rules(ppm=100_000, within=30, reporting=2)
    rule = replace(rule, label=replace(rule.label, treatment=treatment), known_until=day(until))
    rows = {"lots": [lot for lot, _ in made], "returns": [back for _, returns in made for back in returns]}
    return known_by(histories(rows, rule), rule, until=day(until))


def test_a_failure_is_told_at_the_age_when_enough_was_reported() -> None:
    slow, fast = a_lot("slow", [(1, 3, 0), (20, 24, 1)]), a_lot("fast", [(5, 8, 1)])
    curve = failures_told(of_lots(slow, fast, a_lot("good", [(40, 41, 3)])))
    assert curve.at(np.array([-1.0, 6.0, 11.0, 22.0, 25.5, 32.0]) * DAY).tolist() == [0, 0, 0.5, 0.5, 1, 1]


def test_a_failure_that_is_taken_back_for_a_while_is_not_told_less() -> None:
    lot, (back,) = a_lot("L", [(5, 8, 1)])
    wrong = {**back, "quantity": 0, "known_at": day(12)}
    again = {**back, "known_at": day(20)}
    curve = failures_told(of_lots((lot, [back, wrong, again])))
    assert curve.at(np.array([4.0, 15.0, 31.0]) * DAY).tolist() == [0, 1, 1]


def test_returned_units_are_told_by_age() -> None:
    curve = returns_told(of_lots(a_lot("A", [(5, 8, 1), (20, 24, 2)]), a_lot("B", [(5, 8, 1)])))
    assert curve.at(np.array([6.0, 11.0, 25.5]) * DAY).tolist() == [0, 0.5, 1]


def test_a_lot_is_young_only_until_it_is_mature_and_as_soon_as_enough_is_told() -> None:
    found = known("correct")
    rows, told = young_rows(found)
    age = (found.labels.cut - found.judgements.start[rows]) / DAY
    assert len(rows) > 5
    assert not found.labels.mature[rows].any()
    assert (told >= FLOOR).all()
    assert age.min() > 10
    youngest = np.flatnonzero(~found.labels.mature)
    assert len(youngest) > len(rows)


def test_weights_stand_for_what_is_not_seen_yet() -> None:
    found = spread_out("weight", seed=0)
    rows, told = young_rows(found)
    some = lessons(found, rows, told, np.zeros((len(rows), 1)), base_rate=0.2)
    failed = found.labels.failed[rows] == 1
    assert some.target.tolist() == failed.astype(float).tolist()
    assert np.allclose(some.weight[failed], 1 / told[failed])
    assert some.weight[failed].max() > 1.5
    youngest_first = np.argsort(told[~failed], kind="stable")
    assert (np.diff(some.weight[~failed][youngest_first]) >= 0).all()
    assert some.weight[~failed].min() < 0.9


def test_one_not_seen_to_have_failed_enters_as_both_by_its_chance_to_fail_yet() -> None:
    found = known("correct")
    rows, told = young_rows(found)
    failed = found.labels.failed[rows] == 1
    told = np.where(failed, told, 0.5)
    some = lessons(found, rows, told, np.arange(len(rows), dtype=float)[:, None], base_rate=0.2)
    rate = (failed.sum() + 10 * 0.2) / (told.sum() + 10)
    yet = rate * 0.5 / (1 - rate * 0.5)
    for number, seen in enumerate(failed.tolist()):
        mine = some.matrix[:, 0] == number
        pairs = sorted(zip(some.target[mine].tolist(), some.weight[mine].tolist(), strict=True))
        expected = [(1.0, 1.0)] if seen else [(0.0, 1 - yet), (1.0, yet)]
        assert np.allclose(pairs, expected)


@pytest.mark.parametrize("treatment", ["weight", "correct"])
def test_on_average_young_lots_teach_the_rate_they_will_have(treatment: str) -> None:
    """Of 40 factories; whoever takes young lots for what they look today learns a clearly lower rate."""
    taught, naive, true = [], [], []
    for seed in range(40):
        found, later = spread_out(treatment, seed=seed), spread_out(treatment, seed=seed, until=100)
        rows, told = young_rows(found)
        some = lessons(found, rows, told, np.zeros((len(rows), 1)), base_rate=sample_of(found, Recipe()).base_rate)
        taught.append((some.weight * some.target).sum() / some.weight.sum())
        naive.append((found.labels.failed[rows] == 1).mean())
        true.append((later.labels.failed[rows] == 1).mean())
    assert abs(np.mean(taught) - np.mean(true)) < 0.03
    assert np.mean(naive) < np.mean(true) - 0.06


def test_trees_of_counts_say_the_rate_of_all_that_came_back() -> None:
    found = known("count")
    trees = fit_trees(found, rounds=40)
    sample = trees.sample
    assert sample.counted is not None
    counted = counts(found)
    raw = trees.margins(sample.matrix, (40,))[:, 0]
    expected = (np.exp(raw) * counted.units[sample.rows]).sum()
    assert expected == pytest.approx(counted.returned[sample.rows].sum(), rel=0.1)


def test_a_lot_found_failing_in_the_house_counts_as_many_as_fail_one() -> None:
    lot, _ = a_lot("L", [])
    rule = rules(ppm=250_000, within=30, reporting=2)
    found = {"lot_id": "L", "decided_at": day(-1), "found": 1, "action": "held"}
    back = a_lot("R", [(1, 2, 1)])
    rows = {"lots": [{**lot, "produced_at": day(-3)}, back[0]], "returns": back[1], "dispositions": [found]}
    told = known_by(histories(rows, rule), rule, until=day(200))
    assert dict(zip(told.judgements.lot.tolist(), counts(told).returned.tolist(), strict=True)) == {0: 3.0, 1: 1.0}


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_each_treatment_learns_and_leaves_the_mature_ones_to_whoever_else_learns(treatment: str) -> None:
    left_out, taught = sample_of(known("leave_out"), Recipe()), sample_of(known(treatment), Recipe())
    assert np.array_equal(taught.rows, left_out.rows)
    assert np.array_equal(taught.matrix, left_out.matrix, equal_nan=True)
    model = fit_model(known(treatment))
    scored = model.out_of_time
    mature = np.isin(scored.rows, model.known.labels.usable)
    failed = model.known.labels.failed[scored.rows[mature]] == 1
    assert scored.risk[mature][failed].mean() > scored.risk[mature][~failed].mean() + 0.02
    assert not np.array_equal(scored.risk, score_out_of_time(known("leave_out")).risk)


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_what_comes_after_a_block_does_not_change_its_scores(treatment: str) -> None:
    """Every later report may be anything: the scores of earlier blocks stay, later ones do not."""
    start = day(200)
    rows, _ = learnable(320)
    spoilt = [row if row["reported_at"] < start else row | {"quantity": 1} for row in rows["returns"]]
    ours, other = score_out_of_time(known(treatment)), score_out_of_time(known(treatment, rows | {"returns": spoilt}))
    before = known(treatment).judgements.as_of[ours.rows] < start
    shared = before & (ours.block < ours.block[before].max())
    assert shared.sum() > 50
    assert np.array_equal(other.risk[: shared.sum()], ours.risk[shared])
    assert not np.array_equal(other.risk[-20:], ours.risk[-20:])


def test_what_is_kept_apart_is_kept_apart_when_young_too() -> None:
    later = known("correct", lots=420, until=day(430))
    young, _ = young_rows(known("correct", lots=420))

    def learned(apart: Apart | None) -> list[int]:
        walk = walk_forward(later.judgements, later.histories, later.rules, starts=[UNTIL], fit=young_rows, apart=apart)
        (block,) = walk
        assert block.model is not None
        return list(block.model[0])

    def some(past: Known, _: Judgements) -> np.ndarray:
        return np.isin(np.arange(len(past.judgements)), young[1:])

    assert learned(None) == young.tolist()
    assert learned(some) == young[:1].tolist()


def test_outcomes_can_only_leave_young_lots_out() -> None:
    with pytest.raises(SettingsError, match='"leave_out" is the only one'):
        LabelRule("outcomes", 0.0, 0, DAY, "correct")


@pytest.mark.parametrize("treatment", ["leave_out", "count"])
def test_averaged_fits_are_the_mean_of_their_fits(treatment: str) -> None:
    found = known(treatment)
    single = [fit_trees(found, rounds=15, recipe=Recipe(seed=seed)) for seed in (0, 1_000, 2_000)]
    mean = np.mean([one.margins(one.matrix, (5, 15)) for one in single], axis=0)
    three = fit_trees(found, rounds=15, recipe=Recipe(boosters=3))
    assert np.abs(three.margins(three.matrix, (5, 15)) - mean).max() < 1e-12
    assert three.booster.num_trees() == 45
