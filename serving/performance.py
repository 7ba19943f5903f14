"""What came of the lots that were scored, beside what had been predicted of them.

A judgement's prediction is the last score of its lot that the log holds from before it; what was asked later, even
about an earlier moment, never counts. Only mature judgements with a label are measured, as in training.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from features.asof import FOREVER, NO_TIME, Array, Spans, Totals, before, within
from features.card import iso
from features.histories import Vocabulary
from features.order import in_order
from serving.figures import MIN_FAILURES, Figures, weeks_of


@dataclass(frozen=True)
class Judged:
    """Judgements with their labels, arrays of shape (judgements,) in any order.

    `lots`: every lot's id by its code; `lot`: int64 codes; `as_of`: int64; `failed`: int8, -1 no label; `mature`: bool.
    `cut`: how far the labels' data reach, microseconds UTC.
    """

    lots: Vocabulary
    lot: Array
    as_of: Array
    failed: Array
    mature: Array
    cut: int

    def __len__(self) -> int:
        return len(self.lot)


@dataclass(frozen=True)
class Predicted:
    """Of each judgement `risk`, float64, NaN where nothing was predicted, and `version`: place in `versions`, or -1.

    `about` and `asked`, int64: the score's as_of and asked_at, NO_TIME where there is none.
    """

    risk: Array
    version: Array
    versions: list[str]
    about: Array
    asked: Array


def predictions(judged: Judged, tables: Iterable["pa.Table"], *, oldest: int, late: int = 0) -> Predicted:
    """The last score of each judged lot made at or before the judgement and not more than `oldest` microseconds.

    `tables`: lot_id, as_of, asked_at, risk (null or NaN: none), model_version, in any order; read once, none is kept.
    A score is made at the later of as_of and asked_at. `late`: where no score was made in time, the first made so
    many microseconds after it counts (lots that are judged when made are known to the service only then).
    """
    order = in_order(judged.lot, judged.as_of)
    lot, as_of = judged.lot[order], judged.as_of[order]
    count = np.bincount(lot, minlength=len(judged.lots))
    start = np.cumsum(count) - count
    ones = np.ones((len(lot), 1), dtype=np.int64)
    earlier = Totals(lot, Spans(as_of, as_of, np.full(len(lot), FOREVER)), ones)
    rank, told, about = (np.full(len(lot), NO_TIME) for _ in range(3))
    risk, version, names = np.full(len(lot), np.nan), np.full(len(lot), -1, dtype=np.int64), dict[str, int]()
    for table in tables:
        code, given = judged.lots.encode(table["lot_id"]), _numbers(table["risk"])
        rows = np.flatnonzero((code >= 0) & ~np.isnan(given))
        rows = rows[count[code[rows]] > 0]
        seen, asked = _whole(table["as_of"])[rows], _whole(table["asked_at"])[rows]
        made = np.maximum(seen, asked)
        turn = earlier.before(code[rows], made - late)[0, :, 0]  # of the lot's judgements, the first not before it
        there = turn < count[code[rows]]
        place = np.where(there, start[code[rows]] + turn, 0)
        there &= within(seen, as_of[place] - oldest, FOREVER)
        in_time = ~before(as_of[place], made)
        ranked = np.where(in_time, seen, -made)  # all that are late after all in time, the soonest best
        best = _last_of_each(place, ranked, asked, np.flatnonzero(there))
        at = place[best]
        better = (ranked[best] > rank[at]) | ((ranked[best] == rank[at]) & (asked[best] >= told[at]))
        best, at = best[better], at[better]
        rank[at], told[at], risk[at] = ranked[best], asked[best], given[rows[best]]
        about[at] = seen[best]
        version[at] = _places(table["model_version"], names)[rows[best]]
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return Predicted(risk[back], version[back], list(names), about[back], told[back])


def performance(judged: Judged, predicted: Predicted, *, start: int, until: int) -> dict[str, Any]:
    """What performance.json says of the judgements in [start, until): a verdict, all of them, months and versions.

    "worse": more lots failed than predicted, or the log loss is above what the risks themselves promise, beyond what
    chance would do in 95 of 100 cases each; "better": fewer failed; else "as_predicted". "too_few" where less than
    MIN_FAILURES both failed and were expected to, or all lie in less than MIN_WEEKS weeks. Months are those of UTC.
    """
    inside = np.flatnonzero(within(judged.as_of, start, until))
    usable = measurable(judged, inside)
    scored = usable[~np.isnan(predicted.risk[usable])]
    figures = Figures(predicted.risk[scored], judged.failed[scored] == 1, weeks_of(judged.as_of[scored]))
    month = judged.as_of.astype("datetime64[us]").astype("datetime64[M]")
    months = []
    for each in np.unique(month[inside]):
        of_month = inside[month[inside] == each]
        months.append(
            {"month": str(each)} | _counts(judged, of_month) | figures.of(np.flatnonzero(month[scored] == each))
        )
    versions = [
        {"version": name} | figures.of(np.flatnonzero(predicted.version[scored] == place))
        for place, name in enumerate(predicted.versions)
    ]
    total = figures.of(np.arange(len(scored)))
    verdict, detail = figures.verdict(total)
    return {
        "verdict": verdict,
        "detail": detail,
        "from": iso(start),
        "until": iso(until),
        "cut": iso(judged.cut),
        **_counts(judged, inside),
        **total,
        "needed_failures": MIN_FAILURES,
        "design_effect": figures.effect,
        "versions": sorted((v for v in versions if v["scored"]), key=lambda one: (-one["scored"], one["version"])),
        "months": months,
    }


def measurable(judged: Judged, rows: Array) -> Array:
    """Those of the rows that are mature and have a label."""
    return np.asarray(rows[judged.mature[rows] & (judged.failed[rows] >= 0)])


def _counts(judged: Judged, rows: Array) -> dict[str, Any]:
    mature = judged.mature[rows]
    labelled = mature & (judged.failed[rows] >= 0)
    return {
        "judged": len(rows),
        "mature": int(mature.sum()),
        "immature_share": float(1.0 - mature.mean()) if len(rows) else 0.0,
        "labelled": int(labelled.sum()),
        "labelled_failed": int((labelled & (judged.failed[rows] == 1)).sum()),
    }


def _last_of_each(place: Array, rank: Array, asked: Array, rows: Array) -> Array:
    """Of the rows the one of highest (rank, asked) for each place, the last of equals."""
    rows = rows[in_order(place[rows], rank[rows], asked[rows])]
    last = np.ones(len(rows), dtype=bool)
    last[:-1] = place[rows][1:] != place[rows][:-1]
    return np.asarray(rows[last])


def _places(column: Any, names: dict[str, int]) -> Array:
    """The places of texts in `names`, which learns those it lacks."""
    coded = column.combine_chunks().dictionary_encode()
    places = [names.setdefault(name, len(names)) for name in coded.dictionary.to_pylist()]
    return np.asarray(np.array([*places, -1])[coded.indices.fill_null(-1).to_numpy()])


def _whole(column: Any) -> Array:
    return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)


def _numbers(column: Any) -> Array:
    return np.asarray(column.cast(pa.float64()).fill_null(math.nan).to_numpy(), dtype=np.float64)
