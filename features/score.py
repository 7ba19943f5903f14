"""Scores of lots at a moment: risk, decision, reasons, and what the score rests on."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from features.asked import Asked, ask
from features.asof import FOREVER, NO_TIME, Array, before
from features.build import Features, build_features, choose_layout
from features.card import iso
from features.champion import PRODUCT_RATE, Scorer, shrunk_rates
from features.decision import CANNOT_ASSESS, decide, tiers_of
from features.histories import Histories
from features.judgements import Judgements, first_moment, lot_rows, shipped_by
from features.layout import Layout
from features.output import times, to_json
from features.reasons import reasons
from features.rules import Rules
from features.shipments import shipped_before, units_at_risk

Warnings = list[list[dict[str, str]]]


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


def score_lots(
    scorer: Scorer,
    histories: Histories,
    rules: Rules,
    *,
    lots: Sequence[str],
    as_of: int,
    language: str,
    most_reasons: int,
) -> "pa.Table":
    """One row a lot, in the order given: the columns of `lotrisk score`.

    A lot that is unknown or was not produced by `as_of` has a null risk and its problem among the warnings.
    """
    codes = np.array([histories.ids["lot"].code(lot) for lot in lots], dtype=np.int64)
    moment = np.full(len(codes), as_of)
    known = _known(histories, codes, moment)
    place = np.flatnonzero(known)
    lot, moment = codes[place], moment[place]
    row = lot_rows(histories, lot, moment)
    units = units_at_risk(
        histories, lot, moment, quantity=histories["lots"]["quantity"][row], shipping=np.zeros(len(lot), dtype=bool)
    )
    judged = Judgements(lot, moment, units, shipped_before(histories, lot, moment), moment)
    bundle = scorer.bundle
    layout = (
        choose_layout(histories, as_of, rules=rules)
        if bundle is None
        else histories.once(("layout", bundle.card.version), lambda: Layout.from_dict(bundle.card.layout))
    )
    features = build_features(judged, histories, layout)
    warnings = _warnings(scorer, ask(judged, histories, layout.rules), histories, layout, rules, features)
    why: list[list[dict[str, object]]] = [[] for _ in place]
    if bundle is None:
        rates = shrunk_rates(features)
        risk = rates.get(scorer.rate, rates[PRODUCT_RATE])
    else:
        matrix = bundle.columns(features.names, features.matrix)
        risk = bundle.risk(matrix)
        why = reasons(bundle, matrix, language=language, most=most_reasons)
    decisions = decide(risk, units, tiers_of(histories, rules.decision, lot, row, moment), rules.decision)
    few = units < max(rules.decision.min_units, 1)
    action = [
        CANNOT_ASSESS if scorer.bundle is None or little else named
        for named, little in zip(decisions.action, few.tolist(), strict=True)
    ]
    return _table(scorer, lots, place, risk, decisions.expected_cost, action, why, warnings, histories, as_of)


def features_as_of(histories: Histories, as_of: int) -> int:
    """The latest known time strictly before `as_of` of any row of any table; NO_TIME where nothing was known."""
    lots, latest = histories["lots"], NO_TIME
    made = np.full(len(histories.ids["lot"]) + 1, FOREVER)
    made[lots["lot_id"]] = lots.first
    for table in histories.tables.values():
        own = made[table["lot_id"]] if table.has("lot_id") else NO_TIME  # before it, the row is of an unknown lot
        for moments in (table.known, table.superseded):
            told = np.maximum(moments, own)
            latest = max(latest, int(told[before(told, as_of)].max(initial=NO_TIME)))
    return latest


def _known(histories: Histories, lot: Array, as_of: Array) -> Array:
    """Whether the lot was there: known strictly before `as_of`, or as it was produced at that very moment.

    The second is the question itself; a lot that was produced then and known later is nobody's question yet.
    """
    row = lot_rows(histories, lot, as_of)
    lots = histories["lots"]
    there = before(lots.known[row], as_of) | ((lots["produced_at"][row] == as_of) & (lots.known[row] == as_of))
    return np.asarray(there & (row >= 0))


def _warnings(
    scorer: Scorer, asked: Asked, histories: Histories, layout: Layout, rules: Rules, features: Features
) -> Warnings:
    """What each score rests on, by code."""
    found: Warnings = [[] for _ in range(len(asked))]

    def add(mask: Array, code: str, detail: str) -> None:
        for place in np.flatnonzero(mask).tolist():
            found[place].append({"code": code, "detail": detail})

    everywhere = np.ones(len(asked), dtype=bool)
    if scorer.bundle is None:
        add(everywhere, "no_champion", f"no model has been promoted; the risk is the trailing rate {scorer.rate}")
    elif before(asked.as_of.min(initial=FOREVER), scorer.bundle.card.trained_until):
        until = iso(scorer.bundle.card.trained_until)
        add(everywhere, "trained_later", f"version {scorer.version} was trained until {until}, after as_of")
    moment = first_moment(histories, rules, asked.lot, asked.as_of)
    last = moment + (rules.decision.until_age if rules.decision.again_every is not None else 0)
    add(
        (moment != NO_TIME) & before(last, asked.as_of), "past_judgement", "as_of is later than the moment of judgement"
    )
    least = max(rules.decision.min_units, 1)
    add(asked.units < least, "below_min_units", f"fewer than {least} units at risk: such lots are not judged")
    for table in layout.tables:
        add(
            everywhere & (table not in histories),
            "missing_table",
            f"the model was trained with {table}, which is missing",
        )
    for table, rows in (("genealogy", asked.used.of), ("measurements", asked.measured.of)):
        told = np.isin(np.arange(len(asked)), rows)
        add((table in layout.tables) & ~told, "missing_history", f"nothing of this lot is known in {table}")
    lots = histories["lots"]
    for attribute in layout.attributes:
        if attribute.table == "lots" and attribute.kind == "category" and lots.has(attribute.column):
            told = lots[attribute.column][asked.row] >= 0
            unseen = told & np.isnan(features.column(f"lot_{attribute.label}"))
            add(unseen, "unseen_category", f"{attribute.column} is not among those the model was trained with")
    return found


def _table(
    scorer: Scorer,
    lots: Sequence[str],
    place: Array,
    risk: Array,
    cost: Array,
    action: list[str],
    why: list[list[dict[str, object]]],
    warnings: Warnings,
    histories: Histories,
    as_of: int,
) -> "pa.Table":
    """Known lots in their places among the unknown ones."""
    unknown = [{"code": "unknown_lot", "detail": "no row of lots says that it was produced by as_of"}]
    at = {where: number for number, where in enumerate(place.tolist())}
    order = [at.get(where) for where in range(len(lots))]
    latest = features_as_of(histories, as_of)
    return pa.table(
        {
            "lot_id": pa.array(lots, pa.string()),
            "as_of": times(np.full(len(lots), as_of)),
            "risk": pa.array([None if n is None else float(risk[n]) for n in order], pa.float64()),
            "decision": pa.array([CANNOT_ASSESS if n is None else action[n] for n in order], pa.string()),
            "expected_cost": pa.array([None if n is None else float(cost[n]) for n in order], pa.float64()),
            "reasons": pa.array([to_json([] if n is None else why[n]) for n in order], pa.string()),
            "model_version": pa.array([scorer.version] * len(lots), pa.string()),
            "features_as_of": times(np.full(len(lots), latest)),
            "warnings": pa.array([to_json(unknown if n is None else warnings[n]) for n in order], pa.string()),
        }
    )
