"""What a policy would have saved: costs by hand, comparisons without hindsight, and sentences that claim no more."""

import json
from dataclasses import replace

import numpy as np
import pytest

from features.decision import CANNOT_ASSESS, INSPECT, RELEASE, decide
from features.judgements import judge
from features.rules import Costs, DecisionRule
from tests.tiny_site import day, histories, rules
from training.policy import (
    ACTIONS,
    costs_of_actions,
    counted_tiers,
    decided_for,
    policy_report,
    policy_sentences,
)

RULE = replace(rules().decision, costs=Costs(400, 9000, 1, 1500), inspection_finds=0.9)
A = Costs(500, 40_000, 0, 2000)


def report(
    risk, failed, block, *, action=None, tiers=None, units=None, said: DecisionRule = RULE, seed: int = 0
) -> dict:
    risk = np.asarray(risk, dtype=float)
    counts = np.ones((len(risk), 1), dtype=bool) if tiers is None else np.array(tiers)
    units = np.full(len(risk), 1000) if units is None else np.array(units)
    action = decide(risk, units, counts, said).action if action is None else action
    return policy_report(risk, np.asarray(failed), np.asarray(block), action, counts, units, said, seed=seed)


def world(
    *, blocks: int = 20, size: int = 50, skill: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(risk, failed, block): lots whose risks are right; with `skill` 0 every lot is told the mean."""
    random = np.random.default_rng(seed)
    risk = random.beta(0.3, 3.0, blocks * size)
    failed = random.random(len(risk)) < risk
    told = skill * risk + (1 - skill) * risk.mean()
    return told, failed, np.repeat(np.arange(blocks), size)


def test_what_each_action_costs_a_failing_and_a_sound_lot() -> None:
    costs = costs_of_actions(np.array([True, False]), np.ones((2, 1), dtype=bool), np.array([1000, 1000]), RULE)
    assert np.allclose(costs, [[10_000, 400 + 0.1 * 10_000 + 0.9 * 1500, 1500], [0, 400, 1500]])


def test_a_lot_has_the_prices_of_its_dearest_escape() -> None:
    said = replace(RULE, tiers={"A": A})
    units = np.array([1000, 100_000])
    costs = costs_of_actions(np.ones(2), np.ones((2, 2), dtype=bool), units, said)
    assert costs[:, 0].tolist() == [40_000, 109_000]  # the tier's lot, then the site's many units
    assert costs[:, 2].tolist() == [2000, 1500]


def test_realised_costs_average_to_what_was_expected() -> None:
    risk = np.full(100_000, 0.2)
    failed = np.random.default_rng(1).random(len(risk)) < risk
    mean = costs_of_actions(failed, np.ones((len(risk), 1), dtype=bool), np.full(len(risk), 1000), RULE).mean(axis=0)
    assert np.allclose(mean, [2000, 400 + 0.2 * (1000 + 1350), 1500], rtol=0.02)


def test_a_policy_that_knows_saves_and_says_how_much_with_an_interval() -> None:
    found = report(*world())
    for against in ("against_constant", "against_release_all"):
        saving = found["savings"][against]
        assert 0 < saving["low"] < saving["value"] < saving["high"]
    first, second, *_ = policy_sentences(found)
    assert first.startswith("Saves ") and "per 1,000 lots against the cheapest of" in first
    assert second.startswith("Saves ") and second.endswith("against releasing all lots.")


def test_a_policy_that_knows_nothing_has_no_proven_saving() -> None:
    risk, failed, block = world(seed=3)
    told = np.random.default_rng(9).permutation(risk)
    found = report(told, failed, block)
    assert found["savings"]["against_constant"]["low"] <= 0
    assert policy_sentences(found)[0].startswith(("No proven saving against", "Loses money against"))


def test_risks_that_are_told_the_wrong_way_round_lose_money() -> None:
    risk, failed, block = world()
    found = report(np.sort(risk)[::-1][np.argsort(np.argsort(risk))], failed, block)
    assert found["savings"]["against_constant"]["high"] < 0
    assert policy_sentences(found)[0].startswith("Loses money against")


def test_a_constant_policy_saves_nothing_against_itself_and_nothing_is_proven() -> None:
    _, failed, block = world()
    found = report(np.full(len(block), 0.09), failed, block)  # every lot is inspected
    assert found["savings"]["against_constant"]["value"] == 0 == found["savings"]["against_constant"]["low"]
    assert policy_sentences(found)[0].startswith("No proven saving")


def test_too_few_blocks_give_no_interval_and_prove_nothing() -> None:
    found = report(*world(blocks=4))
    assert found["savings"]["against_constant"]["low"] is None
    assert policy_sentences(found)[0] == (
        "No proven saving against the cheapest of releasing, inspecting and holding all lots, chosen on earlier "
        "blocks: fewer than 6 blocks of time give no interval."
    )
    (one_block, *_) = policy_sentences(report(*world(blocks=1)))
    assert one_block.endswith("there is nothing to compare.")


def test_the_constant_policy_of_a_block_is_chosen_before_it() -> None:
    """Nothing fails at first, then everything: walking forward one learns it a block late."""
    block = np.repeat([0, 1, 2, 3], 10)
    failed = block >= 2
    found = report(np.full(40, 0.01), failed, block)["savings"]
    assert found["constant"] == [RELEASE, RELEASE, INSPECT]
    assert (found["judgements"], found["compared"]) == (40, 30)


def test_what_comes_later_does_not_change_what_was_chosen() -> None:
    risk, failed, block = world()
    whole, part = (report(risk[of], failed[of], block[of])["savings"]["constant"] for of in (block < 20, block < 12))
    assert whole[:11] == part


def test_the_cost_table_adds_up() -> None:
    risk, failed, block = world()
    rows = {row["policy"]: row for row in report(risk, failed, block)["cost_table"]}
    assert list(rows) == [*ACTIONS, "policy", "release all", "inspect all", "hold all"]
    for name in ("lots", "failures", "cost", "released_cost"):
        assert sum(rows[action][name] for action in ACTIONS) == pytest.approx(rows["policy"][name])
    assert rows["release all"]["cost"] == rows["policy"]["released_cost"] == failed.sum() * 10_000
    assert rows["hold all"]["cost"] == 1500 * len(risk)
    assert rows[RELEASE]["cost"] == rows[RELEASE]["released_cost"]
    assert rows["policy"]["cost"] < min(rows[f"{action} all"]["cost"] for action in ACTIONS)


def test_lots_that_cannot_be_assessed_are_counted_and_neither_save_nor_cost() -> None:
    risk, failed, block = world(blocks=8)
    action = decide(risk, np.full(len(risk), 1000), np.ones((len(risk), 1), dtype=bool), RULE).action
    part = np.arange(len(risk)) % 10 != 0
    found = report(risk, failed, block, action=[a if p else CANNOT_ASSESS for a, p in zip(action, part, strict=True)])
    alone = report(risk[part], failed[part], block[part])
    assert found["savings"].pop("not_assessed") == (~part).sum() and alone["savings"].pop("not_assessed") == 0
    assert found["savings"] == alone["savings"] and found["cost_table"] == alone["cost_table"]


def test_the_decision_curve_is_that_of_vickers_and_elkin() -> None:
    risk, failed, block = world(blocks=8)
    points = report(risk, failed, block)["decision_curve"]["points"]
    assert len(points) == 100
    for point in points[::9]:
        threshold = point["threshold"]
        acted = risk >= threshold
        odds = threshold / (1 - threshold)
        share = failed.mean()
        benefit = (acted & failed).mean() - odds * (acted & ~failed).mean()
        assert point["model"] == pytest.approx(benefit)
        assert point["inspect_all"] == pytest.approx(share - odds * (1 - share))
        assert point["release_all"] == 0.0
    middle = points[40]
    assert middle["model"] > max(middle["inspect_all"], 0.0)


def test_thresholds_are_told_by_price_list_for_a_lot_of_usual_size() -> None:
    risk, failed, block = world(blocks=2)
    said = replace(RULE, tiers={"A": A, "Z": Costs(400, 0, 0, 1500)})
    found = report(risk, failed, block, said=said, tiers=np.ones((len(risk), 3), dtype=bool))["thresholds"]
    assert [row["costs"] for row in found] == ["site", "tier A", "tier Z"]
    assert found[0]["units"] == 1000 and found[0]["inspect_from"] == pytest.approx(400 / (0.9 * 8500))
    assert (found[2]["inspect_from"], found[2]["hold_from"]) == (None, None)


def test_the_certificate_walks_and_advises() -> None:
    risk, failed, block = world(blocks=30, size=60)
    found = report(risk, failed, block)
    certificate = found["certificate"]
    assert len(certificate["walked"]) == 30 and certificate["kept"]["blocks"] == 30
    assert policy_sentences(found)[2] == certificate["sentence"]
    largest = certificate["largest_threshold"]
    assert largest is not None and f"{largest:.3g}" in policy_sentences(found)[3]
    assert (failed & (risk < largest)).sum() <= 0.05 * failed.sum()


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_report_of_hardly_any_judgements_is_plain_json_and_claims_nothing(size: int) -> None:
    found = report(np.linspace(0.1, 0.3, size), np.arange(size) == 1, np.arange(size))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found) == {"savings", "cost_table", "certificate", "decision_curve", "thresholds"}
    assert all(not sentence.startswith(("Saves", "certified")) for sentence in policy_sentences(found))


def test_a_whole_report_is_plain_json_and_the_same_again() -> None:
    found = report(*world(), seed=4)
    assert json.loads(json.dumps(found, allow_nan=False)) == found == report(*world(), seed=4)


def test_arrays_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"have lengths \[3, 2, 3"):
        report(np.full(3, 0.1), np.zeros(2), np.arange(3))


LOT = {"product_id": "P", "produced_at": day(1), "shipped_at": day(5), "quantity": 10}
RETURN = {"return_id": "R", "lot_id": "LA", "occurred_at": day(6), "reported_at": day(7)}


def test_out_of_time_risks_are_decided_by_the_tiers_of_then() -> None:
    lots = [LOT | {"lot_id": f"L{name}", "customer_id": f"{name}1"} for name in "ABC"]
    customers = [{"customer_id": f"{name}1", "tier": name} for name in "AB"]
    told = histories({"lots": lots, "returns": [RETURN], "customers": customers}, rules())
    said = replace(rules().decision, costs=Costs(400, 9000, 0, 1500), tiers={"A": Costs(400, 40_000, 0, 1500)})
    judged = judge(told, rules(), until=day(50))
    tiers = counted_tiers(judged, told, said)
    assert tiers.tolist() == [[False, True], [True, False], [True, True]]  # A's, the site's, not known: all
    risk = np.full(3, 0.03)
    assert decided_for(risk, judged, told, said) == [INSPECT, RELEASE, INSPECT]
    assert decided_for(risk, judged, told, replace(said, min_units=11)) == [CANNOT_ASSESS] * 3
