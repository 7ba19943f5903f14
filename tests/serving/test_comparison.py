"""The challenger beside the champion, on the same judgements and by scores of the same moments."""

import json
from dataclasses import replace

import numpy as np
import pytest

from features.asof import DAY
from serving.comparison import compared
from serving.figures import MIN_FAILURES, MIN_WEEKS
from serving.performance import Predicted
from tests.serving.test_performance import DAY_0, of_one_version, year


def said_by(margin, rows):
    """Risks of these log odds."""
    return of_one_version(1 / (1 + np.exp(-margin)), rows)


def margins(predicted):
    return np.log(predicted.risk / (1 - predicted.risk))


def beside(rows, champion, challenger, *, until=DAY_0 + 700 * DAY):
    return compared(rows, champion, challenger, names=("1", "2"), start=DAY_0, until=until)


@pytest.mark.parametrize(("blurred", "verdict"), [("challenger", "worse"), ("champion", "better")])
def test_the_one_that_knows_less_is_found(blurred, verdict):
    generator = np.random.default_rng(1)
    rows, sharp = year(generator)
    dull = said_by(margins(sharp) + generator.normal(scale=1.5, size=len(rows)), rows)
    found = beside(rows, *((sharp, dull) if blurred == "challenger" else (dull, sharp)))
    assert (found["verdict"], found["judgements"], found["unpaired"]) == (verdict, 4_000, 0)
    low, mean, high = (found[f"log_loss_difference{end}"] for end in ("_low", "", "_high"))
    assert low < mean < high and (low > 0 if verdict == "worse" else high < 0)
    champion, challenger = found["versions"]
    assert (champion["role"], challenger["role"]) == ("champion", "challenger")
    assert challenger["log_loss"] - champion["log_loss"] == pytest.approx(mean)
    assert f"the challenger is {verdict}" in found["detail"]


def test_two_that_know_equally_much_are_told_apart_in_few_of_many_histories():
    """Each sees the true log odds through a noise of its own; weeks share their luck."""
    generator = np.random.default_rng(2)
    verdicts = []
    for _ in range(300):
        rows, true = year(generator, weekly=0.5)
        noisy = [said_by(margins(true) + generator.normal(scale=0.7, size=len(rows)), rows) for _ in range(2)]
        verdicts.append(beside(rows, *noisy)["verdict"])
    assert "too_few" not in verdicts
    assert np.mean([verdict != "not_told_apart" for verdict in verdicts]) <= 0.08


def test_a_model_beside_itself_is_not_told_apart():
    rows, predicted = year(np.random.default_rng(3))
    found = beside(rows, predicted, predicted)
    assert (found["verdict"], found["log_loss_difference"]) == ("not_told_apart", 0.0)


def test_a_judgement_counts_only_where_both_answered_one_question():
    rows, champion = year(np.random.default_rng(4))
    challenger = replace(champion, risk=champion.risk.copy(), asked=champion.asked.copy(), about=champion.about.copy())
    challenger.risk[:10] = np.nan
    challenger.asked[10:30] -= 1
    challenger.about[30:60] -= 1
    found = beside(rows, champion, challenger)
    assert (found["judgements"], found["unpaired"]) == (3_940, 60)
    assert found["failed"] == int((rows.failed[60:] == 1).sum())
    assert {one["scored"] for one in found["versions"]} == {3_940}


def test_young_judgements_and_those_without_a_label_or_outside_the_time_do_not_count():
    rows, predicted = year(np.random.default_rng(5))
    rows.mature[:100] = False
    rows.failed[100:150] = -1
    assert beside(rows, predicted, predicted)["judgements"] == 3_850
    inside = rows.as_of[150:] < DAY_0 + 100 * DAY
    assert beside(rows, predicted, predicted, until=DAY_0 + 100 * DAY)["judgements"] == int(inside.sum())


@pytest.mark.parametrize("made", [{"lots": 200}, {"weeks": MIN_WEEKS - 1}])
def test_few_failures_or_weeks_are_not_judged(made):
    generator = np.random.default_rng(6)
    rows, sharp = year(generator, **made)
    found = beside(rows, said_by(margins(sharp) + generator.normal(scale=3, size=len(rows)), rows), sharp)
    assert (found["verdict"], found["log_loss_difference_low"]) == ("too_few", None)
    assert f"needs {MIN_FAILURES} failures and {MIN_WEEKS} weeks" in found["detail"]


def test_nothing_that_both_scored_is_too_few_and_is_json():
    rows, champion = year(np.random.default_rng(7), lots=20)
    nothing = Predicted(np.full(20, np.nan), np.full(20, -1), [], rows.as_of, rows.as_of)
    found = beside(rows, champion, nothing)
    assert (found["verdict"], found["judgements"], found["unpaired"]) == ("too_few", 0, 20)
    json.dumps(found, allow_nan=False)
