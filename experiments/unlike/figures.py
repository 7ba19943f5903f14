"""How many lots of a product or supplier that training never saw are told to be unlike any seen, and how many others?

Run: python experiments/unlike/figures.py [--today 2026-11-22]. Nothing is registered; it takes a few minutes.
"""

import argparse
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np

from features.asof import DAY, Array, within
from features.build import build_features
from features.errors import CannotTrain
from features.familiar import FULL
from features.histories import Histories
from features.judgements import judge
from features.reading import read_histories
from features.rules import Rules
from features.site import read_site
from features.times import read_moment
from training.factory import TIMEZONE, make_factory
from training.familiar import measure_familiar
from training.fit import trees_of
from training.known import known_by
from training.recipe import Recipe
from training.sample import sample_of

SEEDS = (0, 1, 2, 3, 4)
BACK = 360 * DAY  # before the last day: until then is learned, from then on half a year is judged
ROUNDS = 100


def main() -> None:
    """Prints the table, a row a factory and a kind of what is held out."""
    asked = argparse.ArgumentParser(description=__doc__)
    now = datetime.now(ZoneInfo(TIMEZONE)).date()
    asked.add_argument("--today", type=date.fromisoformat, default=now, help="the factories' last day; default: today")
    today = asked.parse_args().today
    until = read_moment(today.isoformat(), TIMEZONE)
    others = "others, nothing of them new", "told of them", "others, something new"
    row("factory", "held out, in turn", "its later lots", "told of them", "by numbers alone", *others)
    row(*["---"] * 8)
    for seed in SEEDS:
        with TemporaryDirectory() as folder:
            site = read_site(make_factory(Path(folder) / "valves", seed=seed, today=today), {})
            histories = read_histories(site, now=until).histories
        for kind, found in (("products", products(histories)), ("suppliers", suppliers(histories))):
            told = [one for one in shares(histories, site.rules, found, moment=until - BACK) if one is not None]
            own, named, measured, known, theirs, new = np.sum(told, axis=0).tolist()
            numbers = f"{own:,}", f"{named / own:.1%}", f"{measured / own:.1%}", f"{known:,}", f"{theirs / known:.1%}"
            row(str(seed), f"{len(told)} {kind}", *numbers, f"{new:,}")


def shares(
    histories: Histories, rules: Rules, held_out: Iterator[Array], *, moment: int
) -> Iterator[tuple[int, ...] | None]:
    """Of each group of lots held out of training: (its later lots, told of them, told of them were their names known;
    other later lots whose product, line, site and suppliers training knew, told of them; the other others).

    None where nothing could be learned without it, or it has no later lot.
    """
    judged = judge(histories, rules, until=moment + BACK)
    later = judged.take(np.flatnonzero(within(judged.as_of, moment, moment + BACK // 2)))
    for lots in held_out:
        try:
            known = known_by(without(histories, lots), rules, until=moment)
            sample = sample_of(known, Recipe())
        except CannotTrain:
            yield None
            continue
        gains = trees_of(sample, rounds=ROUNDS, recipe=Recipe()).booster.feature_importance("gain")
        familiar = measure_familiar(sample.features, sample.matrix, gains, known.judgements.as_of[sample.rows])
        distance = familiar.distance(build_features(later, histories, sample.layout).matrix)
        own, named = np.isin(later.lot, lots), distance >= FULL
        unlike, measured = distance > familiar.limit, distance % FULL > familiar.limit
        counts = own, own & unlike, own & measured, ~own & ~named, ~own & ~named & unlike, ~own & named
        yield tuple(int(each.sum()) for each in counts) if own.any() else None


def without(histories: Histories, lots: Array) -> Histories:
    """The histories as they are where these lots were never made."""
    kept = np.ones(len(histories.ids["lot"]) + 1, dtype=bool)
    kept[lots] = False
    tables = {
        name: table.take(np.flatnonzero(kept[table["lot_id"]])) if table.has("lot_id") else table
        for name, table in histories.tables.items()
    }
    return Histories(tables, histories.ids)


def products(histories: Histories) -> Iterator[Array]:
    """The lots of each product."""
    table = histories["lots"]
    for code in np.unique(table["product_id"]).tolist():
        yield np.unique(table["lot_id"][table["product_id"] == code])


def suppliers(histories: Histories) -> Iterator[Array]:
    """The lots that used anything of each supplier."""
    supplies, uses = histories["supplier_lots"], histories["genealogy"]
    for code in np.unique(supplies["supplier_id"]).tolist():
        theirs = np.unique(supplies["supplier_lot_id"][supplies["supplier_id"] == code])
        yield np.unique(uses["lot_id"][np.isin(uses["supplier_lot_id"], theirs)])


def row(*cells: str) -> None:
    """A row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
