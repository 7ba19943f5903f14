"""What a score rests on, in words: every warning has a code that a machine can act on and a detail for people."""

from collections.abc import Callable, Mapping

import numpy as np

from features.asked import Asked
from features.asof import DAY, HOUR, MINUTE, NO_TIME, SECOND, Array, before
from features.bundle import Bundle
from features.card import iso
from features.champion import Scorer
from features.freshness import stale
from features.histories import Histories
from features.rules import Rules

Warnings = list[list[dict[str, str]]]
Add = Callable[[Array, str, str], None]
_UNITS = ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes"), (SECOND, "seconds"))

CODES = {
    "no_champion": "no model has been promoted: the risk is a shrunk trailing rate",
    "trained_later": "the model was trained until after as_of",
    "past_judgement": "as_of is later than the lot's moment of judgement",
    "below_min_units": "fewer units at risk than the site judges",
    "missing_table": "a table that the model was trained with is missing",
    "missing_history": "nothing of this lot is known in a table that the model was trained with",
    "stale_table": "the newest row of a table is older than the site's limit",
    "unseen_category": "a category that was not among those the model was trained with",
    "impossible_value": "a value so far from all seen that it must be a mistake",
    "unlike_any_seen": "the lot lies further from all lots seen in training than the card's limit",
    "released_to_learn": "to be inspected by its risk, the lot is released by chance, to learn what such lots do",
    "measured_after_as_of": "measurements that came with the lot were not known before as_of and are not used",
    "consumed_after_as_of": "genealogy that came with the lot was not known before as_of and is not used",
    "unknown_name": "a characteristic or a supplier lot that came with the lot stands in no table",
    "missing_attribute": "an attribute that the model looks at was not sent with the lot",
    "not_logged": "the score log does not take scores at present",
    "unknown_lot": "no row of lots says that the lot was produced by as_of",
}
"""Every code, and what it says. `score` writes `unknown_lot` among the warnings, the service as a problem."""


def warnings_of(
    scorer: Scorer, asked: Asked, histories: Histories, rules: Rules, limits: Mapping[str, int], vectors: Array
) -> Warnings:
    """The warnings of each asked lot, in the order of `CODES`.

    `limits`: age in microseconds from which a table is stale. `vectors`: what the model saw, in the card's order.
    """
    found: Warnings = [[] for _ in range(len(asked))]

    def add(mask: Array, code: str, detail: str) -> None:
        if mask.any():
            for place in np.flatnonzero(mask).tolist():
                found[place].append({"code": code, "detail": detail})

    bundle = scorer.bundle
    if bundle is None:
        everywhere = np.ones(len(asked), dtype=bool)
        add(everywhere, "no_champion", f"no model has been promoted; the risk is the trailing rate {scorer.rate}")
    else:
        until = bundle.card.trained_until
        late = f"version {scorer.version} was trained until {iso(until)}, after as_of"
        add(before(asked.as_of, until), "trained_later", late)
    last = asked.judged_first + (rules.decision.until_age if rules.decision.again_every is not None else 0)
    past = (asked.judged_first != NO_TIME) & before(last, asked.as_of)
    add(past, "past_judgement", "as_of is later than the moment of judgement")
    least = max(rules.decision.min_units, 1)
    add(asked.units < least, "below_min_units", f"fewer than {least} units at risk: such lots are not judged")
    _of_tables(add, asked, histories, tuple(histories.tables) if bundle is None else bundle.layout.tables, limits)
    if bundle is not None:
        _of_values(add, found, asked, bundle, vectors)
    return found


def _of_tables(
    add: Add, asked: Asked, histories: Histories, tables: tuple[str, ...], limits: Mapping[str, int]
) -> None:
    for table in tables:
        if table not in histories:
            everywhere = np.ones(len(asked), dtype=bool)
            add(everywhere, "missing_table", f"the model was trained with {table}, which is missing")
    for table, rows in (("genealogy", asked.used.of), ("measurements", asked.measured.of)):
        if table in tables:
            told = np.bincount(rows, minlength=len(asked)) > 0
            add(~told, "missing_history", f"nothing of this lot is known in {table}")
    for table, (silent, age) in stale(histories, limits, asked.as_of).items():
        unit, word = next(one for one in _UNITS if one[0] <= limits[table] or one is _UNITS[-1])
        units = age // unit
        for number in np.unique(units[silent]).tolist():
            limit = f"the limit is {limits[table] / unit:g} {word}"
            detail = f"the newest row of {table} is {number} {word} older than as_of; {limit}"
            add(silent & (units == number), "stale_table", detail)


def _of_values(add: Add, found: Warnings, asked: Asked, bundle: Bundle, vectors: Array) -> None:
    null = np.isnan(vectors[:, [place for place, _ in bundle.own_categories]])
    for column in np.flatnonzero(null.any(axis=0)).tolist():
        attribute = bundle.own_categories[column][1]
        unseen = null[:, column] & asked.own.stated(attribute)
        add(unseen, "unseen_category", f"{attribute.column} is not among those the model was trained with")
    familiar, names = bundle.familiar, bundle.card.names
    mistakes = familiar.impossible(vectors)
    for place in np.flatnonzero(mistakes.any(axis=0)).tolist():
        low, high = familiar.lowest[place], familiar.highest[place]
        add(mistakes[:, place], "impossible_value", f"{names[place]} lies outside of {low:.6g} to {high:.6g}")
    distance = familiar.distance(vectors)
    for row in np.flatnonzero(distance > familiar.limit).tolist():
        furthest = ", ".join(names[place] for place in familiar.outside(vectors[row])[:3])
        detail = f"{distance[row] / familiar.limit:.3g} times the limit from all lots seen; furthest out: {furthest}"
        found[row].append({"code": "unlike_any_seen", "detail": detail})
