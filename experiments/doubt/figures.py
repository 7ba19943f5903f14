"""Do lots' own probabilities lie within the intervals of their risks? Five factories, six real questions, four ways.

Run: python experiments/doubt/figures.py [--today 2026-11-22]. Nothing is registered; it takes about ten minutes.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet
from scipy.stats import binom, norm, poisson
from sklearn.isotonic import IsotonicRegression

from features.asof import DAY, Array, before
from features.build import build_features
from features.doubt import Doubt
from features.reading import read_histories
from features.site import Site, read_site
from features.times import read_moment
from training.doubt import RISKS, counts_of, ends_by_kin, kin, log_mean, measure_doubt, shared_part, spread_of_rates
from training.evaluation import Evaluation, evaluate_model
from training.factory import TIMEZONE, make_factory
from training.fit import trees_of
from training.known import known_by
from training.model import Model, fit_model
from training.recipe import Recipe
from training.sample import sample_of

SEEDS = (0, 1, 2, 3, 4)
REAL = ("drives", "tablets", "tablets_yield", "tablets_dissolution", "tablets_impurities", "deliveries")
IN_USE, KIN, VENN, REFITS = "counts (in use)", "kin (in use for outcomes)", "Venn-Abers", "bootstrap of the fit"
OWN = "5 % and 95 % of the generator's own, by tenths of the risk"
BOOTSTRAP = 20
GROUP = 50
HERE = Path(__file__).parents[1]

Ends = tuple[Array, Array]
"""Low and high, float64, shape (judgements,)."""


def main() -> None:
    """Prints the tables."""
    asked = argparse.ArgumentParser(description=__doc__)
    now = datetime.now(ZoneInfo(TIMEZONE)).date()
    asked.add_argument("--today", type=date.fromisoformat, default=now, help="the factories' last day; default: today")
    today = asked.parse_args().today
    until = read_moment(today.isoformat(), TIMEZONE)
    header("factory", "way", "judgements", "covered", "below", "above", "mean width", "covered / width by risk tercile")
    for seed in SEEDS:
        with TemporaryDirectory() as folder:
            factory(make_factory(Path(folder) / "valves", seed=seed, today=today), seed=seed, until=until)
    print()
    header("question", "way", "groups", "within", "mean risk", "mean width")
    for name in REAL:
        real(name, until=until)


def factory(folder: Path, *, seed: int, until: int) -> None:
    """One factory's rows: the generator's own probability against each way's interval."""
    model, found = trained(read_site(folder, {}), until=until)
    truth = pyarrow.parquet.read_table(folder / "truth.parquet").to_pydict()
    by_lot = dict(zip(truth["lot_id"], truth["probability"], strict=True))
    lots = model.known.histories.ids["lot"].decode(model.known.judgements.lot[found.rows])
    own, risk = np.array([by_lot[lot] for lot in lots]), found.risks["model"]
    middle = int(np.sort(model.known.judgements.as_of[found.rows])[len(risk) // 2])
    early = before(model.known.judgements.as_of[found.rows], middle)
    later = np.flatnonzero(~early)
    for name, rows, (low, high) in ways(model, found, early=np.flatnonzero(early), later=later):
        covered, width = (own[rows] >= low) & (own[rows] <= high), high - low
        third = np.searchsorted(np.quantile(risk[rows], (1 / 3, 2 / 3)), risk[rows])
        by_risk = ", ".join(f"{covered[third == n].mean():.2f} / {width[third == n].mean():.2f}" for n in range(3))
        shares = (covered.mean(), (own[rows] < low).mean(), (own[rows] > high).mean())
        row(str(seed), name, f"{len(rows):,}", *(f"{each:.1%}" for each in shares), f"{width.mean():.2f}", by_risk)
    tenths = np.array_split(np.argsort(risk, kind="stable"), 10)
    apart = [np.diff(np.quantile(own[rows], (0.05, 0.95)))[0] for rows in tenths]
    row(str(seed), OWN, f"{len(risk):,}", "90.0%", "5.0%", "5.0%", f"{np.mean(apart):.2f}", "")
    low, high = refits(model, middle, found.rows[later])
    covered = (own[later] >= low) & (own[later] <= high)
    shares = (covered.mean(), (own[later] < low).mean(), (own[later] > high).mean())
    told = f"{(high - low).mean():.2f}"
    row(str(seed), REFITS + ", half", f"{len(later):,}", *(f"{each:.1%}" for each in shares), told, "")
    row(str(seed), "returned units within 90 % foretold", f"{len(risk):,}", f"{foretold(model, found):.1%}", *[""] * 4)


def real(name: str, *, until: int) -> None:
    """One question's rows: groups of time and risk, their failed share within the mean interval and its noise."""
    model, found = trained(read_site(HERE / name, {}), until=until)
    risk, everyone = found.risks["model"], np.arange(len(found.rows))
    for way, _, (low, high) in ways(model, found, early=everyone, later=everyone):
        if np.isnan(low).any():
            row(name, way, "none: under 20 failures", "", f"{risk.mean():.3f}", "")
            continue
        within = [
            binom.ppf(0.05, len(rows), low[rows].mean())
            <= found.failed[rows].sum()
            <= binom.ppf(0.95, len(rows), high[rows].mean())
            for rows in groups(model.known.judgements.as_of[found.rows], risk)
        ]
        row(name, way, str(len(within)), str(sum(within)), f"{risk.mean():.3f}", f"{(high - low).mean():.2f}")
    if model.known.rules.label.source == "returns":
        row(name, "returned units within 90 % foretold", "", f"{foretold(model, found):.1%} of lots", "", "")


def trained(site: Site, *, until: int) -> tuple[Model, Evaluation]:
    model = fit_model(known_by(read_histories(site, now=until).histories, site.rules, until=until), Recipe.of(site))
    return model, evaluate_model(model, site)


def ways(model: Model, found: Evaluation, *, early: Array, later: Array) -> Iterator[tuple[str, Array, Ends]]:
    """Each way's ends of the rows it is measured on: learned from all, and from the early ones for the later."""
    risk, everyone = found.risks["model"], np.arange(len(found.rows))
    parts = [("", everyone, everyone), *([(", half", early, later)] if len(early) < len(everyone) else [])]
    for said, learned, rows in parts:
        if model.known.rules.label.source == "returns":
            yield IN_USE + said, rows, doubt(model, found, learned).around(risk[rows])
        if int(found.failed[learned].sum()) >= 20:
            yield KIN + said, rows, by_kin(model, found, learned, risk[rows])
            yield VENN + said, rows, venn_abers(risk[learned], found.failed[learned], risk[rows])


def doubt(model: Model, found: Evaluation, rows: Array) -> Doubt:
    """What the card of a model with these scores holds."""
    return measure_doubt(
        model.known, found.rows[rows], found.risks["model"][rows], found.failed[rows], found.block[rows]
    )


def by_kin(model: Model, found: Evaluation, rows: Array, risk: Array) -> Ends:
    """As for a site with outcomes: failed or not is all that is used."""
    judged, scored = model.known.judgements.take(found.rows[rows]), found.risks["model"][rows]
    pairs = kin(model.known, judged)
    shared = sum(shared_part(*pair, scored, found.failed[rows], found.block[rows]) for pair in pairs)
    low, high = ends_by_kin(RISKS, min(max(shared, 0.02), 0.9))
    return np.minimum(np.interp(risk, RISKS, low), risk), np.maximum(np.interp(risk, RISKS, high), risk)


def venn_abers(risk: Array, failed: Array, asked: Array) -> Ends:
    """Isotonic regression with the lot taken as held up, and as failed (Vovk & Petej 2014); at 60 risks, joined."""
    at = np.unique(np.quantile(asked, np.linspace(0.0, 1.0, 60)))
    ends = []
    for outcome in (0.0, 1.0):
        told = [
            IsotonicRegression(y_min=0.0, y_max=1.0)
            .fit(np.append(risk, one), np.append(failed, outcome))
            .predict(np.array([one]))[0]
            for one in at
        ]
        ends.append(np.interp(asked, at, told))
    return ends[0], ends[1]


def refits(model: Model, moment: int, rows: Array) -> Ends:
    """5 % and 95 % of what models fitted on spans of time drawn anew say of later lots."""
    known = known_by(model.known.histories, model.known.rules, until=moment)
    sample, random = sample_of(known, model.recipe), np.random.default_rng(0)
    month = (known.judgements.as_of[sample.rows] - known.judgements.as_of.min()) // (30 * DAY)
    months = np.unique(month)
    features = build_features(model.known.judgements.take(rows), model.known.histories, sample.layout)
    said = []
    for number in range(BOOTSTRAP):
        places = np.concatenate([np.flatnonzero(month == each) for each in random.choice(months, len(months))])
        drawn = replace(sample, rows=sample.rows[places], matrix=sample.matrix[places], failed=sample.failed[places])
        trees = trees_of(drawn, rounds=model.rounds, recipe=model.recipe.but(seed=number))
        said.append(model.calibration.apply(trees.margins(features.matrix, (model.rounds,))[:, 0]))
    low, high = np.quantile(np.array(said), (0.05, 0.95), axis=0)
    return low, high


def foretold(model: Model, found: Evaluation) -> float:
    """The share of lots whose returned units lie within the central 90 % of what the spread of rates foretells."""
    counts, plain = counts_of(model.known, found.rows, found.failed)
    risk, counts = found.risks["model"][plain], counts.take(plain)
    spread = spread_of_rates(risk, counts)
    rates = np.exp(log_mean(risk, counts.limit, spread)[:, None] + spread * norm.ppf((np.arange(400) + 0.5) / 400))
    back = np.round(counts.back)[:, None]
    at_most, fewer = poisson.cdf(back, rates).mean(axis=1), poisson.cdf(back - 1, rates).mean(axis=1)
    place = fewer + np.random.default_rng(0).random(len(fewer)) * (at_most - fewer)  # ties drawn apart
    return float(((place >= 0.05) & (place <= 0.95)).mean())


def groups(as_of: Array, risk: Array) -> list[Array]:
    """Lots of one span of time and one third of the risks then, GROUP or more."""
    order = np.argsort(as_of, kind="stable")
    found = []
    for span in np.array_split(order, max(len(order) // (3 * GROUP), 1)):
        found += [part for part in np.array_split(span[np.argsort(risk[span], kind="stable")], 3) if len(part) >= GROUP]
    return found


def header(*cells: str) -> None:
    row(*cells)
    row(*["---"] * len(cells))


def row(*cells: str) -> None:
    """A row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
