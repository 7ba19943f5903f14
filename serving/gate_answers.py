"""Answers of the gate: lots by id or record, good and bad, of one caller or of many, decided together.

What is decided hangs on `Ground`, the calls and `now` alone, so that an auditor gets the same answers again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from features.card import iso
from features.champion import Scorer
from features.decision import CANNOT_ASSESS, RELEASE
from features.dictionary import in_language
from features.gate import Gated, Ground, Unknown, ages, gated, most_careful, unknown_lot
from features.gate_rules import Fired, listed
from features.gate_words import ASKS, RULES, STATES
from features.reasons import reasons
from features.score import Scored, score
from serving.answers import Answer, Asked, Call, judgements_of, noted, read_lots, results_of
from serving.problems import problem

REASONS = 5  # of a lot that is not released, unless the call asks for another number


@dataclass(frozen=True)
class Decided:
    """`answers`: one a call, without its audit id. `asked`, `said`: what was scored, for the log; None: nothing was."""

    answers: list[Answer]
    asked: list[Asked]
    said: Scored | None


def decide(calls: Sequence[Call], ground: Ground, *, timezone: str, now: int) -> Decided:
    """One answer a call, each with a result or a problem for every lot, in the order sent."""
    answers, asked, strange = read_lots(calls, ground.histories, timezone=timezone, now=now)
    for one in strange:
        answers[one.call][one.place] = _of_unknown(one, ground)
    for results in answers:
        for result in results:
            if result is not None and "problem" in result:
                result["decision"] = CANNOT_ASSESS  # whoever reads nothing else must not take it for a release
    said = None
    if asked:
        judged = judgements_of(asked, ground.histories)
        said = score(ground.scorer, ground.histories, ground.policy, judged)
        noted(said, asked, ground.scorer.bundle)
        lots = [one.lot_id for one in asked]
        found = gated(ground, judged, said, lot_ids=lots, now=now)
        said = _explained(ground, said, asked, found)
        for one, result, what in zip(asked, results_of(lots, said), found, strict=True):
            answers[one.call][one.place] = _told(result, what, ground.policy.language)
    moments = [now if call.as_of is None else call.as_of for call in calls]
    reach = {moment: ages(ground.histories, moment) for moment in set(moments)}  # most ask as of now
    told = [
        {
            "as_of": iso(moment),
            "model_version": ground.scorer.version,
            "results": results,
            "histories": reach[moment],
        }
        for moment, results in zip(moments, answers, strict=True)
    ]
    return Decided(told, asked, said)


def _explained(ground: Ground, said: Scored, asked: Sequence[Asked], found: Sequence[Gated]) -> Scored:
    """With what was decided, and the reasons of lots that are not released; SHAP is dear, so of those alone."""
    decision = [one.decision for one in found]
    saving, propensity = said.expected_saving.copy(), said.propensity.copy()
    for place, (was, now) in enumerate(zip(said.decision, decision, strict=True)):
        if was != now:  # decided by no price, which saves nothing, and by no chance
            saving[place], propensity[place] = 0.0, 1.0
    bundle, why = ground.scorer.bundle, [list[dict[str, object]]() for _ in asked]
    most = [one.reasons or REASONS for one in asked]
    asking = [place for place, name in enumerate(decision) if name != RELEASE or asked[place].reasons]
    if bundle is not None and asking:
        language = ground.policy.language
        told = reasons(bundle, said.vectors[asking], language=language, most=max(most[place] for place in asking))
        for place, those in zip(asking, told, strict=True):
            why[place] = those[: most[place]]
    return replace(said, decision=decision, expected_saving=saving, propensity=propensity, reasons=why)


def _told(result: Answer, what: Gated, language: str) -> Answer:
    return result | {
        "rules": [_rule(one, language) for one in what.fired],
        "unknown": [_unknown(one, language) for one in what.unknown],
        "says": _says(what.decision, what.fired, what.unknown, result["reasons"], language),
        "stands_until": iso(what.stands_until),
    }


def _of_unknown(one: Asked, ground: Ground) -> Answer:
    """Of a lot that no table holds: nothing is known of it, not even a risk, but whether a containment lists it."""
    language, state = ground.policy.language, unknown_lot(ground.gate, one.lot_id)
    fired = listed(one.lot_id, ground.gate, ground.scopes, language)
    decision = most_careful(CANNOT_ASSESS, [state.outcome, *(rule.action for rule in fired)])
    nothing = dict.fromkeys(("risk", "risk_low", "risk_high", "expected_cost", "expected_saving", "features_as_of"))
    return {
        "lot_id": one.lot_id,
        **nothing,
        "decision": decision,
        "reasons": [],
        "model_version": ground.scorer.version,
        "as_of": iso(one.as_of),
        "warnings": [{"code": "unknown_lot", "detail": in_language(STATES["unknown_lot"], language)}],
        "rules": [_rule(rule, language) for rule in fired],
        "unknown": [_unknown(state, language)],
        "says": _says(decision, fired, [state], [], language),
        "stands_until": iso(one.as_of),
    }


def _rule(fired: Fired, language: str) -> Answer:
    text = in_language(RULES[fired.rule], language)
    return {"rule": fired.rule, "action": fired.action, "text": text, "what": list(fired.what)}


def _unknown(state: Unknown, language: str) -> Answer:
    text = in_language(STATES[state.state], language)
    return {"state": state.state, "outcome": state.outcome, "text": text, "detail": state.detail}


def _says(
    decision: str, fired: Sequence[Fired], unknown: Sequence[Unknown], why: Sequence[Mapping[str, Any]], language: str
) -> str:
    """What a line does, and the one thing that says most about why; "" for a release."""
    if decision == RELEASE:
        return ""
    asks = in_language(ASKS[decision], language)
    first = next(
        (in_language(RULES[one.rule], language) for one in fired if one.action == decision),
        next((in_language(STATES[one.state], language) for one in unknown if one.outcome == decision), ""),
    )
    first = first or (str(why[0]["text"]) if why else "")
    return f"{asks[:1].upper()}{asks[1:]}{': ' if language == 'en' else '：'}{first}" if first else asks


def amend(answer: Answer, refused: Mapping[str, str]) -> None:
    """Says of records, by place, that they contradict what is kept; in place."""
    results = answer["results"]
    for place, why in refused.items():
        told = problem("conflicts_with_history", why)
        lot_id = results[int(place)]["lot_id"]
        results[int(place)] = {"lot_id": lot_id, "problem": told, "decision": CANNOT_ASSESS}


def scorer_facts(scorer: Scorer) -> dict[str, Any]:
    """What tells the model of a decision from any other."""
    bundle = scorer.bundle
    if bundle is None:
        return {"version": scorer.version, "rate": scorer.rate}
    hashes = dict(sorted(bundle.card.hashes.items()))
    return {"version": scorer.version, "hashes": hashes, "card_sha256": bundle.card_sha256}
