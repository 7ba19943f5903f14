"""The model card's page: what it says, and that it is one file that asks nobody for anything."""

import re
from dataclasses import replace

import numpy as np
import pytest

from features.card import ModelCard
from features.rules import DecisionRule
from tests.tiny_site import rules
from tests.toy_model import CARD
from training import plots
from training.card_page import card_page, limits_of
from training.policy import policy_report

LABEL = {
    "source": "returns",
    "returned_ppm": 8000.0,
    "within": 180 * 86_400_000_000,
    "reporting": 0,
    "delay_days": 31.4,
    "immature_share": 0.256191,
}
FIGURES = {"name": "model", "few": False, "log_loss": 0.31, "log_loss_low": 0.26, "log_loss_high": 0.39}
OTHERS = ("average_precision", "roc_auc", "brier", "calibration_error", "precision_at_capacity", "recall_at_capacity")


def card(**changed: object) -> ModelCard:
    rule: DecisionRule = rules().decision
    report = policy_report(
        *(np.array(of) for of in ([0.1, 0.6, 0.2], [False, True, False], [0, 1, 2], ["release", "hold", "inspect"])),
        np.ones((3, 1), dtype=bool),
        np.ones(3, dtype=np.int64),
        rule,
        seed=0,
    )
    figures = {
        "model": {**FIGURES, **dict.fromkeys(OTHERS)},
        "reliability": {"judgements": 1234, "failures": 56, "bins": []},
        "leaks": [{"says": "<script>alert(1)</script> holds 71 % of the gain"}],
        "segments": {"counts": {"nothing found": 1}, "segments": [SEGMENT]},
        "stability": {"told": "Of the 5 leading reasons 74 % stay."},
        "monotone": 7,
        "policy": report,
    }
    made = replace(CARD, version="3", label=LABEL, decision={**CARD.decision, "min_units": 20}, figures=figures)
    return replace(made, **changed)  # type: ignore[arg-type]


SEGMENT = {
    "name": "product:P<1>",
    "judgements": 400,
    "failures": 30,
    "predicted": 0.07,
    "share": 0.075,
    "share_low": None,
    "share_high": None,
    "verdict": "nothing found",
}


def page(of: ModelCard) -> str:
    pictures = {"gain_by_group": plots.gain_by_group({"production": 0.7, "field": 0.3})}
    return card_page(of, pictures=pictures, gains={"oven_temp_max": 0.8}, parts=["production"] * 3)


def test_it_says_what_the_risk_is_of_and_what_it_is_worth() -> None:
    shown = " ".join(page(card()).split())
    assert "at least 8,000 ppm of the units at risk come back within 180 days" in shown
    assert "0.310 [0.260, 0.390]" in shown
    assert "By the rule it may." in shown
    assert "Of 1,234 mature judgements, 56 of which failed" in shown
    assert "cannot certify" in shown and "74 % stay" in shown and "3 production" in shown
    assert "<td>within</td><td>180 days</td>" in shown and "<td>immature share</td><td>25.6 %</td>" in shown
    assert "</p> <p>Of the 5 leading reasons 74 % stay.</p>" in shown and "`" not in re.sub('base64,[^"]+', "", shown)


def test_it_is_one_file_that_asks_nobody() -> None:
    shown = page(card())
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', shown) == []
    assert "http" not in re.sub(r"base64,[^\"]+", "", shown)


def test_names_out_of_the_data_cannot_become_markup() -> None:
    shown = page(card())
    assert "<script>" not in shown and "&lt;script&gt;" in shown
    assert "P<1>" not in shown


def test_few_failures_are_said_beside_the_figures() -> None:
    few = card()
    few.figures["model"]["few"] = True
    assert "Fewer than 20 failures" in page(few)
    assert "Fewer than 20 failures" not in page(card())


def test_outcomes_have_a_question_of_their_own() -> None:
    label = {**LABEL, "source": "outcomes"}
    assert "the table outcomes says that the lot failed" in page(card(label=label))


@pytest.mark.parametrize("told", ["fewer than 20 units", "unlike_any_seen", "trained_later", "later than 31 days"])
def test_what_it_cannot_judge_is_listed(told: str) -> None:
    assert any(told in limit for limit in limits_of(card()))
