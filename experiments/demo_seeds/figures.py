"""What can be known of the demo's factory, and how much of it the model finds: two tables over five factories.

Run: python experiments/demo_seeds/figures.py [--today 2026-11-22]. Nothing is registered; it takes a few minutes.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet

from features.reading import read_histories
from features.site import read_site
from features.times import read_moment
from training.beside import ALONE, LOGISTIC, beside
from training.evaluate import LESS, evaluate, log_losses, signed
from training.evaluation import Evaluation, evaluate_model
from training.factory import TIMEZONE, make_factory
from training.known import known_by
from training.leaks import find_leaks
from training.model import fit_model, score_out_of_time
from training.recipe import Recipe
from training.train import verdict_on

SEEDS = (0, 1, 2, 3, 4)
RANKED = ("production only", "supplier only", "field only", LOGISTIC, "model")
BEATEN = ("base rate", "strongest rate", LOGISTIC, *ALONE)


def main() -> None:
    """Prints two tables, a row a factory."""
    asked = argparse.ArgumentParser(description=__doc__)
    now = datetime.now(ZoneInfo(TIMEZONE)).date()
    asked.add_argument("--today", type=date.fromisoformat, default=now, help="the factories' last day; default: today")
    today = asked.parse_args().today
    precisions, differences = [], []
    for seed in SEEDS:
        with TemporaryDirectory() as folder:
            ranked, beaten = figures(Path(folder) / "valves", seed=seed, today=today)
        precisions.append(ranked)
        differences.append(beaten)
    print(table("average precision", ["failed", "the generator's own probability", *RANKED], precisions))
    print()
    print(table("log loss", ["model", *(f"less {name}" for name in BEATEN), "promoted", "suspicious"], differences))


def figures(folder: Path, *, seed: int, today: date) -> tuple[list[str], list[str]]:
    """One factory's rows: what could be known of the lots, and what was foretold of them before their time."""
    make_factory(folder, seed=seed, today=today)
    site = read_site(folder, {})
    until = read_moment(today.isoformat(), TIMEZONE)
    known = known_by(read_histories(site, now=until).histories, site.rules, until=until)
    print(f"factory {seed}: {len(known.judgements):,} judgements", file=sys.stderr)
    model = fit_model(known, beside=beside(Recipe()))
    found = evaluate_model(model, site)
    leaks = find_leaks(model, found, lambda recipe: score_out_of_time(known, recipe))
    truth = pyarrow.parquet.read_table(folder / "truth.parquet").to_pydict()
    by_lot = dict(zip(truth["lot_id"], truth["probability"], strict=True))
    lots = known.histories.ids["lot"].decode(known.judgements.lot[found.rows])
    ranked = [
        str(seed),
        f"{int(found.failed.sum())} of {len(found.rows):,}",
        precision(found, [by_lot[lot] for lot in lots]),
        *(precision(found, found.risks[name].tolist()) for name in RANKED),
    ]
    beaten = [
        str(seed),
        f"{log_losses(found.risks['model'], found.failed).mean():.3f}",
        *(signed(found.figures[name][LESS]) for name in BEATEN),
        "yes" if verdict_on(model, found, None).promote else "no",
        ", ".join(leak.name for leak in leaks) or "–",
    ]
    return ranked, beaten


def precision(found: Evaluation, risk: Sequence[float]) -> str:
    """Average precision with its interval."""
    return str(evaluate(np.array(risk), found.failed, found.block)["average_precision"])


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of factories."""
    head = [f"factory: {title}", *columns]
    return "\n".join(map(line, (head, ["---"] * len(head), *rows)))


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
