"""What each feature group is worth: our trees without it, on the same blocks, over five factories and the real sets.

Run: python experiments/groups/figures.py [SET ...]. Below zero the model is better with the group.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from features.asof import Array
from features.build import PARTS
from features.reading import read_histories
from features.site import read_site
from features.times import read_moment
from training.bootstrap import paired_difference
from training.evaluate import MIN_FAILURES, log_losses
from training.factory import TIMEZONE, make_factory
from training.forecast import Forecast
from training.known import Known, known_by
from training.model import time_blocks, trees_as
from training.recipe import Recipe
from training.tables import block_tables
from training.trials import Asked, columns_of

TODAY = date(2026, 11, 22)
SITES = ("tablets", "tablets_yield", "tablets_impurities", "tablets_dissolution", "drives", "deliveries")
SETS = (*(f"demo{seed}" for seed in range(5)), *SITES)


def main() -> None:
    """Prints a row a set."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("sets", nargs="*", default=SETS, metavar="SET")
    print(line(["set", "failed", *PARTS]), line(["---"] * (len(PARTS) + 2)), sep="\n")
    for name in asked.parse_args().sets:
        with laid_out(name) as known:
            print(line([name, *figures(known)]), flush=True)


@contextmanager
def laid_out(name: str) -> Iterator[Known]:
    """What is known of a set."""
    until = read_moment(TODAY.isoformat(), TIMEZONE)
    with TemporaryDirectory() as made:
        if name.startswith("demo"):
            folder = make_factory(Path(made) / "valves", seed=int(name[4:]), today=TODAY)
        else:
            folder = Path(__file__).parents[1] / name
        site = read_site(folder, {})
        yield known_by(read_histories(site, now=until).histories, site.rules, until=until)


def figures(known: Known) -> list[str]:
    """Failures of the judgements, and by group the log loss with all less that without it."""
    tables = list(block_tables(known, Recipe(parts=PARTS)))
    rows = np.concatenate([table.rows for table in tables])
    place = np.flatnonzero(np.isin(rows, known.labels.usable))
    failed = known.labels.failed[rows[place]] == 1
    block = time_blocks(known.judgements.as_of[rows[place]])

    def losses(without: tuple[str, ...]) -> Array:
        forecast = Forecast(trees_as(Recipe()))
        for table in tables:
            kept = columns_of(table, Asked({}, "", without))
            margins = trees_as(Recipe()).learn(table.sample.columns(kept))
            forecast.add(table, margin=margins(table.matrix[:, kept]))
        return log_losses(forecast.scored.risk[place], failed)

    whole = losses(())
    cells = [f"{int(failed.sum())} of {len(failed):,}" + ("" if failed.sum() >= MIN_FAILURES else " (few)")]
    for part in PARTS:
        if not any(part in table.sample.parts for table in tables):
            cells.append("–")
            continue
        difference = paired_difference(whole, losses((part,)), block, seed=0)
        cells.append(f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]")
        print(f"without {part}: {cells[-1]}", file=sys.stderr, flush=True)
    return cells


def line(cells: list[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
