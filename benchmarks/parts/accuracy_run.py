"""The sets and the table of `benchmarks/accuracy.py`."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pyarrow as pa
from accuracy_naive import naive_tables
from accuracy_ours import contenders
from accuracy_peers import peers_python, run_peers

from features.asof import Array
from features.reading import read_histories
from features.site import read_site
from features.times import read_moment
from training.compare import compare_scores
from training.evaluate import evaluate
from training.factory import TIMEZONE, make_factory
from training.forecast import Contender, Forecast
from training.known import Known, known_by
from training.model import time_blocks
from training.recipe import Recipe
from training.tables import BlockTable, block_tables

TODAY = date(2026, 11, 22)
SITES = ("tablets", "tablets_yield", "tablets_impurities", "tablets_dissolution", "drives", "deliveries")
SETS = (*(f"demo{seed}" for seed in range(5)), *SITES)
COLUMNS = ("", "average precision", "log loss", "log loss, ours less its", "average precision, ours less its", "fit, s")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("sets", nargs="*", default=SETS, metavar="SET")
    asked.add_argument("--peers", type=Path, default=Path(".peers"), help="the peers' environment, made if not there")
    asked.add_argument("--out", type=Path, help="the tables go here too, as each set is done")
    options = asked.parse_args()
    if unknown := sorted(set(options.sets) - set(SETS)):
        asked.error(f"unknown set {unknown[0]}; there are {', '.join(SETS)}")
    python = peers_python(options.peers)
    for name in options.sets:
        table = measure(name, python)
        print(table, flush=True)
        if options.out:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(table + "\n")


def measure(name: str, python: Path) -> str:
    """The Markdown table of one set."""
    with laid_out(name) as (known, folder):
        tables = list(block_tables(known, Recipe()))
        found: dict[str, tuple[Array, float]] = {}
        for what, contender in contenders().items():
            found[what] = forecast(tables, contender)
            print(f"{name}: {what}, {found[what][1]:.1f} s", file=sys.stderr, flush=True)
        each = found["ours"][1] / max(len(tables), 1)
        if name.startswith("demo"):
            plain = naive_tables(folder, known, tables)
            found["naive join, LightGBM as it comes"] = forecast(plain, contenders()["LightGBM as it comes"])
        for what, (margins, seconds) in run_peers(python, tables, seconds_a_block=10 * each).items():
            found[what] = (foretold(tables, margins), seconds)
            print(f"{name}: {what}, {seconds:.1f} s", file=sys.stderr, flush=True)
        return written(name, known, tables, found)


@contextmanager
def laid_out(name: str) -> Iterator[tuple[Known, Path]]:
    """What is known of a set, and its folder."""
    until = read_moment(TODAY.isoformat(), TIMEZONE)
    with TemporaryDirectory() as made:
        if name.startswith("demo"):
            folder = make_factory(Path(made) / "valves", seed=int(name[4:]), today=TODAY, lots=4000)
        else:
            folder = Path(__file__).parents[2] / "experiments" / name
        site = read_site(folder, {})
        yield known_by(read_histories(site, now=until).histories, site.rules, until=until), folder


def forecast(tables: Sequence[BlockTable], contender: Contender) -> tuple[Array, float]:
    """Out-of-time risks of a contender, and the seconds it took."""
    start, done = perf_counter(), Forecast(contender)
    for table in tables:
        done.add(table)
    return done.scored.risk, perf_counter() - start


def foretold(tables: Sequence[BlockTable], margins: Sequence[Array]) -> Array:
    """Risks of margins that somebody else learned: chosen and calibrated as ours are."""
    choices = tuple(range(margins[0].shape[1]))
    done = Forecast(Contender(lambda _: lambda matrix: matrix, choices, choices[len(choices) // 2]))
    for table, margin in zip(tables, margins, strict=True):
        done.add(table, margin=margin)
    return done.scored.risk


def written(name: str, known: Known, tables: Sequence[BlockTable], found: Mapping[str, tuple[Array, float]]) -> str:
    """The table, ours first."""
    rows = np.concatenate([table.rows for table in tables])
    place = np.flatnonzero(np.isin(rows, known.labels.usable))
    rows = rows[place]
    failed, block = known.labels.failed[rows] == 1, time_blocks(known.judgements.as_of[rows])
    lines = [
        f"**{name}**: {len(rows):,} judgements, {int(failed.sum())} failed",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "| --- " * len(COLUMNS) + "|",
    ]
    ours = found["ours"][0][place]
    for what, (risk, seconds) in found.items():
        figures = evaluate(risk[place], failed, block)
        cells = [what, str(figures["average_precision"]), str(figures["log_loss"]), "", "", f"{seconds:.1f}"]
        if what != "ours":
            cells[3:5] = differences(known, rows, failed, ours, risk[place])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def differences(known: Known, rows: Array, failed: Array, ours: Array, theirs: Array) -> list[str]:
    """Ours less theirs on log loss and average precision; in bold where the interval leaves zero out."""
    as_of = pa.array(known.judgements.as_of[rows], pa.timestamp("us", "UTC"))
    said = {"lot_id": known.judgements.lot[rows].astype(str), "as_of": as_of, "failed": failed.astype(np.int8)}
    first, second = (pa.table({**said, "risk": risk, "block": rows}) for risk in (ours, theirs))
    compared = compare_scores(first, second, names=("ours", "theirs"))
    if not compared.differences:
        return ["too few failures", ""]
    cells = []
    for wanted in ("log_loss", "average_precision"):
        one = next(each.difference for each in compared.differences if each.figure == wanted)
        beyond = one.low is not None and one.high is not None and not one.low <= 0.0 <= one.high
        cells.append(f"**{one}**" if beyond else str(one))
    return cells


if __name__ == "__main__":
    main()
