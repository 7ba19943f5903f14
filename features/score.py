"""Scores of lots at a moment: risk, decision, reasons, and what the score rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from features.asked import Asked, ask
from features.asof import NO_TIME, Array, before
from features.build import CHUNK, build_features, choose_layout, features_of
from features.bundle import Bundle
from features.champion import PRODUCT_RATE, Scorer, shrunk_rates
from features.decision import CANNOT_ASSESS, Decisions, decide, tiers_of
from features.doubt import Doubt
from features.exploration import explore
from features.freshness import features_as_of
from features.histories import Histories
from features.judgements import Judgements, lot_rows, shipped_by
from features.reasons import reasons
from features.rules import Rules
from features.shipments import shipped_before, units_at_risk
from features.site import Site
from features.told import Told
from features.warnings import CODES, Warnings, warnings_of


@dataclass(frozen=True)
class Policy:
    """What a site adds to a model: its rules, the words' language, when a table is stale (microseconds), its name."""

    rules: Rules
    language: str = "en"
    stale: Mapping[str, int] = field(default_factory=dict)
    site: str = ""

    @classmethod
    def of(cls, site: Site) -> "Policy":
        return cls(site.rules, site.language, site.stale, site.name)


@dataclass(frozen=True)
class Scored:
    """What is said of each asked lot, in the order asked; arrays of shape (lots,).

    `risk` and `expected_cost` float64, times int64; `expected_saving` of the decision against releasing, 0 where
    nothing can be assessed; `propensity`: the probability with which the decision was taken, 1 but where some lots are
    released by chance. `risk_low`, `risk_high`: between them lies the own probability of nine in ten lots of this risk,
    NaN where that is not known. `vectors`: what the model saw, float64, shape (lots, features) in the card's order;
    without a model (lots, 0). `asked`: the lots' own rows that it was made of; None for more than `CHUNK` lots.
    """

    version: str
    as_of: Array
    risk: Array
    expected_cost: Array
    expected_saving: Array
    propensity: Array
    risk_low: Array
    risk_high: Array
    decision: list[str]
    reasons: list[list[dict[str, object]]]
    warnings: Warnings
    features_as_of: Array
    vectors: Array
    asked: Asked | None = field(default=None, repr=False, compare=False)


def open_lots(histories: Histories, rules: Rules, as_of: int) -> list[str]:
    """Lots produced and not shipped as known strictly before `as_of`, with again_every also those at risk; by name."""
    lot = np.arange(len(histories.ids["lot"]))
    moment = np.full(len(lot), as_of)
    row = lot_rows(histories, lot, moment)
    lots = histories["lots"]
    there = (row >= 0) & before(lots["produced_at"][row], as_of) & before(lots.known[row], as_of)
    lot, row = lot[there], row[there]
    moment = moment[there]
    shipped = shipped_by(histories, lot, row, moment)
    listed = shipped == NO_TIME
    if rules.decision.again_every is not None:
        units = units_at_risk(
            histories, lot, moment, quantity=lots["quantity"][row], shipping=np.zeros(len(lot), dtype=bool)
        )
        young = ~before(shipped + rules.decision.until_age, moment)
        listed |= young & (units >= max(rules.decision.min_units, 1))
    texts = histories.ids["lot"].texts
    return [texts[code] for code in lot[listed].tolist()]


def question(histories: Histories, lot: Array, as_of: Array, *, told: Told | None = None) -> Judgements:
    """Lots as they are asked about: units at risk at `as_of`, none shipping just then; a told lot's are its own."""
    quantity = histories["lots"]["quantity"][lot_rows(histories, lot, as_of)]
    for place, row in {} if told is None else told.own.items():
        quantity[place] = row["quantity"]
    units = units_at_risk(histories, lot, as_of, quantity=quantity, shipping=np.zeros(len(lot), dtype=bool))
    return Judgements(lot, as_of, units, shipped_before(histories, lot, as_of), as_of, told)


def score(
    scorer: Scorer, histories: Histories, policy: Policy, judged: Judgements, *, most_reasons: Sequence[int] | int = 0
) -> Scored:
    """Scores lots that are there (see `there`) or were told with the question.

    `most_reasons`: of every lot, or of each. What is said of a lot is the same bit for bit alone and among others.
    """
    most = [most_reasons] * len(judged) if isinstance(most_reasons, int) else list(most_reasons)
    if len(judged) > CHUNK:
        cuts = range(0, len(judged), CHUNK)
        parts = [judged.take(np.arange(start, min(start + CHUNK, len(judged)))) for start in cuts]
        return _joined(
            [
                score(scorer, histories, policy, part, most_reasons=most[start : start + CHUNK])
                for start, part in zip(cuts, parts, strict=True)
            ]
        )
    if scorer.bundle is None:
        return _by_rate(scorer, histories, policy, judged)
    return _by_model(scorer, scorer.bundle, histories, policy, judged, most)


def _by_model(
    scorer: Scorer, bundle: Bundle, histories: Histories, policy: Policy, judged: Judgements, most: list[int]
) -> Scored:
    rules, layout = policy.rules, bundle.layout
    asked = ask(judged, histories, layout.rules)
    features = features_of(asked, histories, layout)
    matrix = bundle.columns(features.names, features.matrix)
    risk = bundle.risk(matrix, asked.units)
    decided, tiers = _decided(histories, rules, asked, risk)
    few = asked.units < max(rules.decision.min_units, 1)
    decided = Decisions(
        [CANNOT_ASSESS if little else named for named, little in zip(decided.action, few.tolist(), strict=True)],
        decided.expected_cost,
        np.where(few, 0.0, decided.expected_saving),
    )
    said = explore(
        decided,
        risk,
        asked.units,
        tiers,
        rules.decision,
        lot_id=lambda place: _lot_id(histories, judged, place),
        version=scorer.version,
        site=policy.site,
    )
    warnings = warnings_of(scorer, asked, histories, rules, policy.stale, matrix)
    for place in np.flatnonzero(said.released).tolist():
        warnings[place].append({"code": "released_to_learn", "detail": CODES["released_to_learn"]})
    return Scored(
        scorer.version,
        judged.as_of,
        risk,
        said.decisions.expected_cost,
        said.decisions.expected_saving,
        said.propensity,
        *bundle.doubt.around(risk),
        said.decisions.action,
        _reasons(bundle, matrix, policy.language, most),
        warnings,
        features_as_of(histories, judged.as_of),
        matrix,
        asked,
    )


def _by_rate(scorer: Scorer, histories: Histories, policy: Policy, judged: Judgements) -> Scored:
    """Without a model: the rate as chosen and shrunk by what was known at each lot's own moment."""
    risk = np.empty(len(judged))
    for moment in np.unique(judged.as_of).tolist():
        rows = np.flatnonzero(judged.as_of == moment)
        rates = shrunk_rates(
            build_features(judged.take(rows), histories, choose_layout(histories, moment, rules=policy.rules))
        )
        risk[rows] = rates.get(scorer.rate, rates[PRODUCT_RATE])
    asked = ask(judged, histories, policy.rules)
    decided, _ = _decided(histories, policy.rules, asked, risk)
    nothing = np.empty((len(judged), 0))
    return Scored(
        scorer.version,
        judged.as_of,
        risk,
        decided.expected_cost,
        np.zeros(len(judged)),
        np.ones(len(judged)),
        *Doubt().around(risk),
        [CANNOT_ASSESS] * len(judged),
        [[] for _ in range(len(judged))],
        warnings_of(scorer, asked, histories, policy.rules, policy.stale, nothing),
        features_as_of(histories, judged.as_of),
        nothing,
        asked,
    )


def _decided(histories: Histories, rules: Rules, asked: Asked, risk: Array) -> tuple[Decisions, Array]:
    """And the tiers that count."""
    tiers = tiers_of(histories, rules.decision, asked.lot, asked.own.codes("customer_id"), asked.as_of)
    return decide(risk, asked.units, tiers, rules.decision), tiers


def _lot_id(histories: Histories, judged: Judgements, place: int) -> str:
    """The id of one of the judged lots, also of one that no table holds."""
    own = {} if judged.told is None else judged.told.own
    return str(own[place]["lot_id"]) if place in own else str(histories.ids["lot"].texts[judged.lot[place]])


def _reasons(bundle: Bundle, matrix: Array, language: str, most: list[int]) -> list[list[dict[str, object]]]:
    """SHAP is dear: only of the lots that are asked for reasons."""
    why: list[list[dict[str, object]]] = [[] for _ in most]
    asking = [place for place, number in enumerate(most) if number]
    if asking:
        found = reasons(bundle, matrix[asking], language=language, most=max(most))
        for place, those in zip(asking, found, strict=True):
            why[place] = those[: most[place]]
    return why


def _joined(parts: list[Scored]) -> Scored:
    """Several results as one."""
    first = vars(parts[0])
    columns: dict[str, Any] = {"version": first["version"]}
    for name in list(first)[1:-1]:
        values = [vars(part)[name] for part in parts]
        columns[name] = np.concatenate(values) if isinstance(first[name], np.ndarray) else list(chain(*values))
    return Scored(**columns)
