"""What a fit costs beyond LightGBM's own training, and what all of `lotrisk train` costs in such fits.

python benchmarks/parts/model_training.py [--lots 50000] [--rounds 100 600] [--repeats 5] [--threads 1] [--whole]

One fit: from the histories known by a moment, with nothing sorted yet, to trees (`training.fit.fit_trees`: layout,
features, boosting). Bare: LightGBM's data set and `lightgbm.train` on the matrix that came out of it, with the same
parameters and rounds. Features are made on one thread; on a busy machine LightGBM's second thread waits more than it
works, so one is the default here (0: all cores, as `train` does). `--whole` adds `training.train.train`: walk-forward,
refit, evaluation and registration.
"""

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from plant import RULES, UNTIL, made_plant

from features.asof import DAY
from features.histories import Histories
from features.site import Site
from training.fit import boost, fit_trees
from training.known import known_by
from training.model import DEFAULT_ROUNDS, ROUNDS
from training.recipe import Recipe
from training.train import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lots", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, nargs="+", default=[DEFAULT_ROUNDS, max(ROUNDS)])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--whole", action="store_true")
    asked = parser.parse_args()
    histories = made_plant(asked.lots)
    for rounds in sorted(asked.rounds):
        bare = one_fit(histories, rounds=rounds, repeats=asked.repeats, parameters={"num_threads": asked.threads})
    if asked.whole:
        with TemporaryDirectory() as folder:
            start = perf_counter()
            train(site(Path(folder)), histories, until=UNTIL, champion=None, progress=lambda *_: None)
            seconds = perf_counter() - start
        print(f"train: {seconds:.0f} s, {seconds / bare:.1f} times the last lightgbm.train above")


def one_fit(histories: Histories, *, rounds: int, repeats: int, parameters: dict[str, Any]) -> float:
    """Seconds of bare training."""
    recipe, knowing, fitting, training = Recipe(parameters=parameters), [], [], []
    for repeat in range(repeats):
        start = perf_counter()
        known = known_by(histories, RULES, until=UNTIL - (repeat + 1) * DAY)  # nothing is sorted yet
        judged = perf_counter()
        trees = fit_trees(known, rounds=rounds, recipe=recipe)
        fitted = perf_counter()
        again = boost(trees.sample, rounds=rounds, recipe=recipe)
        training.append(perf_counter() - fitted)
        knowing.append(judged - start)
        fitting.append(fitted - judged)
        if again.model_to_string() != trees.booster.model_to_string():
            raise SystemExit("the bare training made other trees")
    shape = (
        f"{len(trees.sample.failed):,} lots x {trees.matrix.shape[1]} columns, {trees.sample.failed.mean():.1%} failed"
    )
    overhead = median(fit / bare for fit, bare in zip(fitting, training, strict=True))
    known_too = median((k + fit) / bare for k, fit, bare in zip(knowing, fitting, training, strict=True))
    print(f"{shape}, {rounds} rounds: lightgbm.train {median(training):.1f} s, fit {median(fitting):.1f} s")
    print(f"  one fit takes {overhead:.2f} of lightgbm.train; with judging and labels {known_too:.2f}", flush=True)
    return median(training)


def site(folder: Path) -> Site:
    database = f"sqlite:///{folder / 'lotrisk.db'}"
    return Site(
        "plant", folder, folder, "UTC", (folder,), "en", RULES, {}, "", {}, database, f"sqlite:///{folder}/mlflow.db"
    )


if __name__ == "__main__":
    main()
