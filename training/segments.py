"""Whether each product, supplier and customer tier fails as often as it was told to, and by how much chance explains.

Lots of one span of time are alike, so the span, not the lot, is what chance draws: the sum of what a segment's lots
failed beyond their risks is held against its scatter over spans (Liang & Zeger 1986), or against that of independent
lots where this is larger. Over all segments the smallest of many p-values is small by itself (Holm 1979).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t

from features.asked import ask
from features.asof import Array
from features.customers import customer_rows, customers_of
from features.histories import Vocabulary
from features.judgements import Judgements
from features.layout import Layout
from features.supplies import supplies_used
from training.bootstrap import MIN_BLOCKS, places_of, ratio
from training.known import Known

MIN_FAILURES = 20  # of a segment; below it only the coarsest error of a risk could show
LISTED = 200
LEVEL = 0.05  # chance of telling of any segment that is off where none is

NOTHING, MORE, LESS, TOO_FEW = "nothing found", "fails more than predicted", "fails less than predicted", "too few"


@dataclass(frozen=True)
class Segment:
    """`predicted`: mean risk; `share` that failed with its 95 % interval over spans of time; `p` after Holm."""

    name: str
    judgements: int
    failures: int
    predicted: float
    share: float
    share_low: float | None
    share_high: float | None
    p: float | None
    verdict: str

    @property
    def told(self) -> str:
        """One sentence."""
        expected = self.predicted * self.judgements
        chance = "" if self.p is None else f" (p = {self.p:.2g} after Holm)"
        return (
            f"{self.name} {self.verdict}: {self.failures:,} of {self.judgements:,}, expected {expected:,.1f}{chance}."
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def calibration_of(segments: Mapping[str, Array], risk: Array, failed: Array, block: Array) -> list[Segment]:
    """Each segment's risks held against what came, the least likely first and the too few last, by size.

    `segments`: places by name; `risk` float64, `failed` bool, `block` the span of time: shape (judgements,).
    """
    gap = failed - risk
    chances: dict[str, float] = {}
    for name, rows in segments.items():
        if failed[rows].sum() >= MIN_FAILURES:
            chance = p_value(gap[rows], block[rows], least=float((risk[rows] * (1.0 - risk[rows])).sum()))
            chances |= {} if chance is None else {name: chance}
    adjusted = holm(chances)
    found = []
    for name, rows in segments.items():
        share = ratio(failed[rows].astype(np.float64), np.ones(len(rows)), block[rows], seed=0)
        assert share is not None  # noqa: S101  # a segment has judgements
        p = adjusted.get(name)
        off = MORE if gap[rows].sum() > 0 else LESS
        verdict = TOO_FEW if p is None else off if p < LEVEL else NOTHING
        few = len(rows), int(failed[rows].sum()), float(risk[rows].mean())
        found.append(Segment(name, *few, share.value, share.low, share.high, p, verdict))
    return sorted(found, key=lambda one: (one.p is None, one.p or 0.0, -one.judgements, one.name))


def p_value(gap: Array, block: Array, *, least: float = 0.0, above: bool = False) -> float | None:
    """Of a mean that is zero but for chance, blocks of time drawn whole; None under MIN_BLOCKS blocks.

    Two-sided, or of a mean `above` zero. `least`: the variance that the sum has at least.
    """
    place, blocks = places_of(block)
    if blocks < MIN_BLOCKS:
        return None
    mean = float(gap.mean())
    sums = np.bincount(place, weights=gap - mean)
    scatter = float(np.sqrt(max((sums**2).sum() * blocks / (blocks - 1), least)))
    if scatter == 0.0:
        return 1.0 if mean == 0.0 or (above and mean < 0.0) else 0.0
    sure = mean * len(gap) / scatter
    return float(t.sf(sure, blocks - 1) if above else 2.0 * t.sf(abs(sure), blocks - 1))


def holm(chances: Mapping[str, float]) -> dict[str, float]:
    """p-values of several tests such that the smallest is below 5 % in 5 of 100 cases where nothing is off."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for done, name in enumerate(sorted(chances, key=lambda name: chances[name])):
        highest = max(highest, min((len(chances) - done) * chances[name], 1.0))
        adjusted[name] = highest
    return adjusted


def told_of(segments: Sequence[Segment]) -> dict[str, Any]:
    """For the card: the segments, of many the LISTED first, and how many of each verdict there are."""
    return {
        "counts": dict(Counter(one.verdict for one in segments)),
        "segments": [one.as_dict() for one in segments[:LISTED]],
    }


def segments_of(known: Known, judged: Judgements, layout: Layout) -> dict[str, Array]:
    """Places of the judgements in each segment, ascending, by what was known strictly before each.

    "product:P3"; "supplier:V01" of any of its supplier lots; "tier:A" of any of its customers.
    """
    histories = known.histories
    asked = ask(judged, histories, known.rules)
    everyone = np.arange(len(judged))
    found = _named("product", histories.ids["product"], everyone, asked.own.codes("product_id"))
    if "supplier_lots" in histories:
        used = supplies_used(asked, histories, layout)
        supplier = histories["supplier_lots"]["supplier_id"][used.row]
        found |= _named("supplier", histories.ids["supplier"], used.of, supplier)
    if "customers" in histories and histories["customers"].has("tier"):
        customers = histories["customers"]
        who, customer = customers_of(histories, judged.lot, asked.own.codes("customer_id"), judged.as_of)
        row = customer_rows(histories, customer, judged.as_of[who])
        tier = np.where(row >= 0, customers["tier"][row], -1)
        found |= _named("tier", customers.texts["tier"], who, tier)
    return found


def _named(kind: str, names: Vocabulary, place: Array, code: Array) -> dict[str, Array]:
    """The distinct places of each code."""
    there = np.flatnonzero(code >= 0)
    pairs = np.unique(np.stack([code[there], place[there]]), axis=1)
    codes, starts = np.unique(pairs[0], return_index=True)
    rows = np.split(pairs[1], starts[1:]) if len(codes) else []
    return {f"{kind}:{names.texts[each]}": of for each, of in zip(codes.tolist(), rows, strict=True)}
