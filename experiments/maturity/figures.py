"""What lots too young to know are worth: treatments of them and averaged seeds compared on factories and disks.

Run: python experiments/maturity/figures.py [--today 2026-11-22] [--seeds 5] [--ask treatments|boosters]. One thread;
nothing is registered. Each row is a walk forward, its log loss that of the mature judgements scored before their time.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from zoneinfo import ZoneInfo

import numpy as np

from features.asof import Array
from features.reading import read_histories
from features.site import read_site
from features.times import read_moment
from training.bootstrap import paired_difference
from training.evaluate import log_losses
from training.factory import TIMEZONE, make_factory
from training.known import Known, known_by
from training.model import score_out_of_time, time_blocks
from training.recipe import Recipe

DRIVES = Path(__file__).parents[1] / "drives"
ONE_THREAD = {"num_threads": 1}
COLUMNS = ("set", "way", "failed", "mean risk", "log loss", "less the first's", "seconds")


def main() -> None:
    """Prints a table, some rows a set; the first way of each set is what the others are compared with."""
    asked = argparse.ArgumentParser(description=__doc__)
    now = datetime.now(ZoneInfo(TIMEZONE)).date()
    asked.add_argument("--today", type=date.fromisoformat, default=now, help="the factories' last day; default: today")
    asked.add_argument("--seeds", type=int, default=5, help="factories of either kind")
    asked.add_argument("--ask", choices=("treatments", "boosters"), default="treatments")
    chosen = asked.parse_args()
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n")
    for name, known in sets(chosen.today, chosen.seeds):
        ways = treatments(known) if chosen.ask == "treatments" else boosters(known)
        first: Array | None = None
        for way, (told, recipe) in ways.items():
            row, loss = figures(told, recipe, first)
            first = loss if first is None else first
            print(line([name, way, *row]), flush=True)


def treatments(known: Known) -> dict[str, tuple[Known, Recipe]]:
    """By treatment of young judgements, the one that leaves them out first."""
    names, label = ("leave_out", "weight", "correct", "count"), known.rules.label
    return {
        name: (
            replace(known, rules=replace(known.rules, label=replace(label, treatment=name))),
            Recipe(parameters=ONE_THREAD),
        )
        for name in names
    }


def boosters(known: Known) -> dict[str, tuple[Known, Recipe]]:
    """By the number of fits that are averaged."""
    return {f"{number} fits": (known, Recipe(parameters=ONE_THREAD, boosters=number)) for number in (1, 3, 5)}


def sets(today: date, seeds: int) -> Iterator[tuple[str, Known]]:
    """Factories whose failure rate changes, factories as the demo has them, hard disks."""
    for kind, changing in (("changing", True), ("steady", False)):
        for seed in range(seeds):
            with TemporaryDirectory() as folder:
                site = make_factory(Path(folder) / "valves", seed=seed, today=today, changing=changing)
                yield f"{kind} {seed}", known_of(site, today)
    yield "drives", known_of(DRIVES, today)


def known_of(folder: Path, today: date) -> Known:
    """All that a site knows at the start of a day."""
    site = read_site(folder, {})
    until = read_moment(today.isoformat(), TIMEZONE)
    return known_by(read_histories(site, now=until).histories, site.rules, until=until)


def figures(known: Known, recipe: Recipe, first: Array | None) -> tuple[list[str], Array]:
    """A row, and the log loss of each judgement; less `first` with its 95 % interval over blocks of time."""
    began = perf_counter()
    scored = score_out_of_time(known, recipe)
    seconds = perf_counter() - began
    place = np.flatnonzero(np.isin(scored.rows, known.labels.usable))
    rows, risk = scored.rows[place], scored.risk[place]
    failed = known.labels.failed[rows] == 1
    loss = log_losses(risk, failed)
    less = "-"
    if first is not None:
        found = paired_difference(loss, first, time_blocks(known.judgements.as_of[rows]), seed=0)
        less = f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
    share = f"{int(failed.sum())} of {len(rows):,} ({failed.mean():.1%})"
    return [share, f"{risk.mean():.1%}", f"{loss.mean():.4f}", less, f"{seconds:.0f}"], loss


def line(cells: list[str] | tuple[str, ...]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
