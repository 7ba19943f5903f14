"""Whether a policy may be said to release at most a share of the failing lots, from as many lots as theory asks.

Exact for independent lots (Clopper & Pearson 1934): with 59 failing lots and none of them released, 5 % holds with
95 % confidence. Lots of one block of time share suppliers, lines and a model, so misses come together; then lots count
as many as independent ones that would tell as much (design effect, Kish 1965; Korn & Graubard 1998). That shows only in
misses: where none was released, lots count as independent, and only the number of blocks guards the sentence.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta, t

from features.asof import Array, before
from features.verdicts import window_end
from training.bootstrap import places_of
from training.known import Known

MIN_BLOCKS = 10  # of time that hold failing lots: fewer are a season or a shift, whatever lots they hold
GRID = np.geomspace(1e-4, 1.0, 161)
"""Release thresholds that are tried, set before any data is seen, each 6 % above the one before."""


@dataclass(frozen=True)
class Certificate:
    """What can be said of a policy, in a `sentence` and in numbers.

    `needs`: failing lots that this many misses ask for, `has`: those there are; `blocks` of time that hold them.
    `released_failures`: misses. `upper`: the bound on their share, with the confidence asked for. `design_effect`: how
    many lots tell as much as one independent lot.
    """

    sentence: str
    certified: bool
    needs: int
    has: int
    released_failures: int
    upper: float
    blocks: int
    design_effect: float


def certify(released: Array, failed: Array, block: Array, alpha: float = 0.05, confidence: float = 0.95) -> Certificate:
    """Whether at most `alpha` of failing lots are released, with `confidence`.

    `released`, `failed`: bool, `block` of time: int64, shape (lots,); lots of equal block are alike. Raises ValueError
    for other shapes, and for shares that are not between 0 and 1.
    """
    released, failed, block = _checked(released, failed, block, alpha, confidence)
    missed, of = released[failed], block[failed]
    misses, has, blocks = int(missed.sum()), len(missed), len(np.unique(of))
    effect = design_effect(missed, of)
    upper = upper_bound(misses, has, confidence=confidence, effect=effect)
    needs = needed(misses, alpha=alpha, confidence=confidence, effect=effect)
    certified = upper <= alpha and blocks >= MIN_BLOCKS
    sentence = _sentence(certified, misses, has, blocks, needs, alpha, confidence)
    return Certificate(sentence, certified, needs, has, misses, upper, blocks, effect)


def _sentence(certified: bool, misses: int, has: int, blocks: int, needs: int, alpha: float, confidence: float) -> str:
    found = f"{misses:,} of {has:,} failing lots in {blocks} blocks of time were released"
    if certified:
        return (
            f"certified: at most {_percent(alpha)} of failing lots are released ({_percent(confidence)} sure; {found})"
        )
    if misses > alpha * has:
        return f"cannot certify: {found}, more than {_percent(alpha)}"
    if has < needs:
        return f"cannot certify: needs {needs:,} failing lots, has {has:,} ({found})"
    return f"cannot certify: needs {MIN_BLOCKS} blocks of time with failing lots, has {blocks} ({found})"


def upper_bound(misses: int, lots: int, *, confidence: float, effect: float = 1.0) -> float:
    """The largest share that `misses` among `lots` leave possible, one-sided; 1 without lots."""
    if misses >= lots:
        return 1.0
    return float(beta.ppf(confidence, misses / effect + 1, (lots - misses) / effect))


def needed(misses: int, *, alpha: float, confidence: float, effect: float = 1.0) -> int:
    """The fewest failing lots among which `misses` leave no share above `alpha` possible."""
    low, high = misses, misses + 1
    while upper_bound(misses, high, confidence=confidence, effect=effect) > alpha:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = upper_bound(misses, middle, confidence=confidence, effect=effect) <= alpha
        low, high = (low, middle) if enough else (middle, high)
    return high


def design_effect(missed: Array, block: Array) -> float:
    """How many lots tell as much as one independent lot: the share's variance over blocks against the binomial one.

    At least 1, and 1 where no lot or every lot was missed. That variance rests on the blocks alone, so with few of them
    it counts for more, as Student's t does (Korn & Graubard 1998).
    """
    misses, has = int(missed.sum()), len(missed)
    if misses in (0, has):
        return 1.0
    place, blocks = places_of(block)
    if blocks < 2:
        return float(has)
    share = misses / has
    residual = np.bincount(place, weights=missed - share, minlength=blocks)
    variance = blocks / (blocks - 1) * float(residual @ residual) / has**2
    few = float(t.ppf(0.975, blocks - 1) / t.ppf(0.975, has - 1)) ** 2
    return min(float(has), max(1.0, few * variance / (share * (1 - share) / has)))


def largest_threshold(
    risk: Array, failed: Array, block: Array, alpha: float = 0.05, confidence: float = 0.95
) -> float | None:
    """The largest of GRID such that releasing all lots of lesser risk could be certified; None: not even the least.

    Tried from the strictest upwards, each at the full level, up to the first that fails: none above it is looked at, so
    the chance that the answer is too lax stays at 1 - `confidence` (fixed-sequence testing; Angelopoulos, Bates,
    Candès, Jordan & Lei, Learn then Test, 2021). `risk`: float64, shape (lots,), of lots not seen in training.
    """
    last = None
    for threshold in GRID.tolist():
        if not certify(np.asarray(risk) < threshold, failed, block, alpha, confidence).certified:
            break
        last = threshold
    return last


def walked(
    released: Array,
    failed: Array,
    block: Array,
    alpha: float = 0.05,
    confidence: float = 0.95,
    *,
    ripe: Array | None = None,
) -> list[dict[str, Any]]:
    """Walking forward: for each block in order, whether those before it certify, and what then came.

    `ripe`: the first block at whose start it is known of each lot whether it failed (see `ripe_from`), int64, shape
    (lots,); None: the next one.

    Rows: `block`, `certified` by the blocks before, `sentence` said then, `failures` in the block, `released_failures`
    of them, `share` (None without failures).
    """
    released, failed, block = _checked(released, failed, block, alpha, confidence)
    rows: list[dict[str, Any]] = []
    for number in np.unique(block).tolist():
        past, here = (block < number) if ripe is None else (ripe <= number), (block == number) & failed
        said = certify(released[past], failed[past], block[past], alpha, confidence)
        failures, misses = int(here.sum()), int((here & released).sum())
        rows.append(
            {
                "block": number,
                "certified": said.certified,
                "sentence": said.sentence,
                "failures": failures,
                "released_failures": misses,
                "share": misses / failures if failures else None,
            }
        )
    return rows


def ripe_from(known: Known, rows: Array, block: Array) -> Array:
    """The first block that begins when each judgement is mature, int64; one more than the last where none does.

    `rows` of the judgements, in order of time, and their `block`: shape (lots,).
    """
    if not len(rows):
        return block
    judged = known.judgements.take(rows)
    blocks, first = np.unique(block, return_index=True)
    mature = window_end(judged, known.rules.label) + known.labels.delay
    ripe = np.full(len(rows), blocks[-1] + 1)
    for number, start in zip(blocks[::-1].tolist(), judged.as_of[first][::-1].tolist(), strict=True):
        ripe[before(mature, start)] = number
    return ripe


def kept(rows: Iterable[dict[str, Any]], alpha: float) -> dict[str, Any]:
    """What became of the guarantee in the blocks that began certified: `certified` of `blocks`, their `failures` and
    `released_failures`, and in how many of them the share lay above `alpha` (`above`)."""
    every = list(rows)
    held = [row for row in every if row["certified"]]
    return {
        "blocks": len(every),
        "certified": len(held),
        "failures": sum(row["failures"] for row in held),
        "released_failures": sum(row["released_failures"] for row in held),
        "above": sum(row["share"] is not None and row["share"] > alpha for row in held),
    }


def _checked(
    released: Array, failed: Array, block: Array, alpha: float, confidence: float
) -> tuple[Array, Array, Array]:
    shapes = [np.shape(array) for array in (released, failed, block)]
    if len(shapes[0]) != 1 or len(set(shapes)) > 1:
        raise ValueError(f"released, failed and block have shapes {shapes}. Give one value of each a lot.")
    if not (0 < alpha < 1 and 0 < confidence < 1):
        raise ValueError(f"alpha and confidence must lie between 0 and 1, found {alpha} and {confidence}.")
    return np.asarray(released, dtype=bool), np.asarray(failed, dtype=bool), np.asarray(block)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
