"""Does a certificate hold? Walking forward over five demo factories, and over made-up lots whose misses come together.

Run: python experiments/certification/figures.py [--today 2026-11-22]. Nothing is registered; it takes a few minutes.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from scipy.stats import binom

from features.asof import Array
from features.decision import RELEASE
from features.reading import read_histories
from features.site import read_site
from features.times import read_moment
from training.certify import certify, kept, largest_threshold, ripe_from, walked
from training.evaluation import evaluate_model
from training.factory import TIMEZONE, make_factory
from training.known import known_by
from training.model import fit_model
from training.policy import decided_for, policy_sentences, report_on

SEEDS = (0, 1, 2, 3, 4)
ALPHAS = (0.05, 0.2)  # the default, and what a model of this kind may come near
BY_COST = ("factory", "failing lots released by the costs", "certificate", "saved per 1,000 lots against a constant")
BY_THRESHOLD = (
    "factory",
    "at most",
    "largest risk to release below, at the end",
    "blocks begun with one",
    "lots released in them",
    "failing lots released in them",
    "blocks above",
)
MADE_UP = (
    "blocks x failing lots",
    "alike by",
    "wrong certificates",
    "by the binomial alone",
    "among them without a miss",
)
DRAWS = 4000


def main() -> None:
    """Prints three tables."""
    asked = argparse.ArgumentParser(description=__doc__)
    now = datetime.now(ZoneInfo(TIMEZONE)).date()
    asked.add_argument("--today", type=date.fromisoformat, default=now, help="the factories' last day; default: today")
    today = asked.parse_args().today
    by_cost, by_threshold = [], []
    for seed in SEEDS:
        with TemporaryDirectory() as folder:
            first, *others = factory(Path(folder) / "valves", seed=seed, today=today)
        by_cost.append(first)
        by_threshold += others
        print(f"factory {seed} done", file=sys.stderr)
    table(BY_COST, by_cost)
    table(BY_THRESHOLD, by_threshold)
    table(
        MADE_UP, [made_up(*shape, alike) for shape in ((10, 6), (20, 6), (24, 10)) for alike in (0.0, 0.05, 0.1, 0.2)]
    )


def factory(folder: Path, *, seed: int, today: date) -> list[list[str]]:
    """A row of the policy by costs, then one for each of ALPHAS of the policy by certified thresholds."""
    make_factory(folder, seed=seed, today=today)
    site = read_site(folder, {})
    until = read_moment(today.isoformat(), TIMEZONE)
    known = known_by(read_histories(site, now=until).histories, site.rules, until=until)
    found = evaluate_model(fit_model(known), site)
    risk, failed, block = found.risks["model"], found.failed, found.block
    judged, rule = known.judgements.take(found.rows), site.rules.decision
    action = decided_for(risk, judged, known.histories, rule)
    report = report_on(risk, failed, block, judged, known.histories, rule, seed=0)
    for sentence in policy_sentences(report):
        print(f"factory {seed}: {sentence}", file=sys.stderr)
    released = np.array(action) == RELEASE
    saving = report["savings"]["against_constant"]
    rows = [
        [
            str(seed),
            f"{int((released & failed).sum())} of {int(failed.sum())}",
            report["certificate"]["sentence"],
            f"{saving['value']:,.0f} [{saving['low']:,.0f}, {saving['high']:,.0f}]",
        ]
    ]
    ripe = ripe_from(known, found.rows, block)
    return rows + [[str(seed), *by_threshold(risk, failed, block, ripe, alpha)] for alpha in ALPHAS]


def by_threshold(risk: Array, failed: Array, block: Array, ripe: Array, alpha: float) -> list[str]:
    """In each block, lots are released below the largest risk that the lots known by then certify, if there is one."""
    released, begun = np.zeros(len(risk), dtype=bool), np.zeros(len(risk), dtype=bool)
    rows: list[dict[str, Any]] = []
    for number in np.unique(block).tolist():
        past, here = ripe <= number, block == number
        threshold = largest_threshold(risk[past], failed[past], block[past], alpha)
        if threshold is not None:
            released[here], begun[here] = risk[here] < threshold, True
        (row,) = walked(released[here], failed[here], block[here], alpha)
        rows.append(row | {"certified": threshold is not None})
    said = kept(rows, alpha)
    last = largest_threshold(risk, failed, block, alpha)
    share = f" ({said['released_failures'] / said['failures']:.1%})" if said["failures"] else ""
    return [
        f"{alpha:.0%}",
        "none" if last is None else f"{last:.3g}",
        f"{said['certified']} of {said['blocks']}",
        f"{released[begun].mean():.1%} of {int(begun.sum()):,}" if begun.any() else "–",
        f"{said['released_failures']} of {said['failures']}{share}",
        str(said["above"]),
    ]


def made_up(blocks: int, size: int, alike: float) -> list[str]:
    """How often a policy that really releases 5.01 % of failing lots is certified to release at most 5 %.

    Beta-binomial: the misses of one block have the intraclass correlation `alike`.
    """
    random, block = np.random.default_rng(0), np.repeat(np.arange(blocks), size)
    every = np.ones(len(block), dtype=bool)
    found = plain = none = 0
    for _ in range(DRAWS):
        chance = np.full(blocks, 0.0501)
        if alike:
            spread = 1 / alike - 1
            chance = random.beta(0.0501 * spread, 0.9499 * spread, blocks)
        missed = random.random(len(block)) < chance[block]
        certified = certify(missed, every, block).certified
        found += certified
        none += certified and not missed.any()
        plain += bool(binom.cdf(missed.sum(), len(missed), 0.05) <= 0.05)
    return [f"{blocks} x {size}", f"{alike:g}", f"{found / DRAWS:.1%}", f"{plain / DRAWS:.1%}", f"{none / DRAWS:.1%}"]


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a Markdown table."""
    for cells in (titles, ["---"] * len(titles), *rows):
        print(f"| {' | '.join(cells)} |")
    print()


if __name__ == "__main__":
    main()
