"""What can be known of the demo's factory, and how much of it the model finds: a table over five factories.

Run: python experiments/demo_seeds/figures.py [--today 2026-11-22]. Nothing is registered; it takes a few minutes.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet

from features.asof import Array
from features.reading import read_histories
from features.site import read_site
from training.bootstrap import paired_difference
from training.evaluate import evaluate, log_losses
from training.evaluation import Evaluation, evaluate_model
from training.factory import TIMEZONE, make_factory
from training.known import known_by
from training.model import fit_model, score_out_of_time
from training.recipe import Recipe
from training.train import verdict_on

SEEDS = (0, 1, 2, 3, 4)
COLUMNS = (
    "factory",
    "failed",
    "AP of the generator's own probability",
    "AP, production history only",
    "AP, all histories",
    "log loss",
    "less the base rate's",
    "less the strongest rate's",
    "promoted",
)


def main() -> None:
    """Prints the table, a row a factory."""
    asked = argparse.ArgumentParser(description=__doc__)
    now = datetime.now(ZoneInfo(TIMEZONE)).date()
    asked.add_argument("--today", type=date.fromisoformat, default=now, help="the factories' last day; default: today")
    today = asked.parse_args().today
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n")
    for seed in SEEDS:
        with TemporaryDirectory() as folder:
            print(line(figures(Path(folder) / "valves", seed=seed, today=today)), flush=True)


def figures(folder: Path, *, seed: int, today: date) -> list[str]:
    """One factory's row: what could be known of the lots, and what was foretold of them before their time."""
    make_factory(folder, seed=seed, today=today)
    site = read_site(folder, {})
    until = int(datetime.combine(today, time(), ZoneInfo(TIMEZONE)).timestamp()) * 1_000_000
    known = known_by(read_histories(site, now=until).histories, site.rules, until=until)
    print(f"factory {seed}: {len(known.judgements):,} judgements", file=sys.stderr)
    model = fit_model(known)
    found = evaluate_model(model, site)
    alone = score_out_of_time(known, Recipe(parts=("production",)))
    by_row = dict(zip(alone.rows.tolist(), alone.risk.tolist(), strict=True))
    truth = pyarrow.parquet.read_table(folder / "truth.parquet").to_pydict()
    by_lot = dict(zip(truth["lot_id"], truth["probability"], strict=True))
    lots = known.histories.ids["lot"].decode(known.judgements.lot[found.rows])
    return [
        str(seed),
        f"{int(found.failed.sum())} of {len(found.rows):,}",
        precision(found, [by_lot[lot] for lot in lots]),
        precision(found, [by_row[row] for row in found.rows.tolist()]),
        precision(found, found.risks["model"].tolist()),
        f"{log_losses(found.risks['model'], found.failed).mean():.3f}",
        against(found, log_losses(found.risks["base rate"], found.failed)),
        against(found, log_losses(found.strongest, found.failed)),
        "yes" if verdict_on(model, found, None).promote else "no",
    ]


def precision(found: Evaluation, risk: Sequence[float]) -> str:
    """Average precision with its interval."""
    return str(evaluate(np.array(risk), found.failed, found.block)["average_precision"])


def against(found: Evaluation, loss: Array) -> str:
    """The model's mean log loss less another's, with its interval."""
    difference = paired_difference(log_losses(found.risks["model"], found.failed), loss, found.block, seed=0)
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
