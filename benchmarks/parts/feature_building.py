"""Features of every lot of a made-up plant: seconds, peak memory, how both grow, and one lot alone.

python benchmarks/parts/feature_building.py [--lots 100000 1000000]
"""

import argparse
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from statistics import median
from time import perf_counter, process_time

import numpy as np
from plant import RULES, UNTIL, made_plant

from features.build import build_features, choose_layout
from features.judgements import judge

ALONE = 300  # lots asked for one by one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lots", type=int, nargs="+", default=[100_000, 1_000_000])
    sizes = sorted(parser.parse_args().lots)
    print(
        "     lots  columns   judge  layout  features     all s     cpu s   us a lot   peak MB  matrix MB   one lot us"
    )
    measured = [in_a_process_of_its_own(lots) for lots in sizes]
    for less, more in pairwise(measured):
        lots, seconds, cpu, memory = (more[what] / less[what] for what in ("lots", "seconds", "cpu", "peak"))
        print(f"{lots:.1f} times the lots: {seconds:.1f} times the seconds, {cpu:.1f} of CPU, {memory:.1f} the memory")


def in_a_process_of_its_own(lots: int) -> dict[str, float]:
    """Peak memory is a process's, so each size has one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measure, lots).result()


def measure(lots: int) -> dict[str, float]:
    histories = made_plant(lots)
    start, cpu = perf_counter(), process_time()
    judged = judge(histories, RULES, until=UNTIL)
    judging = perf_counter()
    layout = choose_layout(histories, UNTIL, rules=RULES)
    laying_out = perf_counter()
    features = build_features(judged, histories, layout)
    end, cpu = perf_counter(), process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    alone = []
    for row in np.random.default_rng(0).integers(0, len(judged), ALONE):
        one = judged.take(row[None])
        asking = perf_counter()
        answer = build_features(one, histories, layout).matrix
        alone.append(perf_counter() - asking)
        if not np.array_equal(answer[0], features.matrix[row], equal_nan=True):
            raise SystemExit(f"judgement {row} alone is not what it is in the batch")
    seconds = end - start
    print(
        f"{lots:9,} {features.matrix.shape[1]:8} {judging - start:7.1f} {laying_out - judging:7.1f}"
        f" {end - laying_out:9.1f} {seconds:9.1f} {cpu:9.1f} {1e6 * seconds / lots:10.1f} {peak:9,.0f}"
        f" {features.matrix.nbytes / 2**20:10,.0f} {1e6 * median(alone):12,.0f}",
        flush=True,
    )
    return {"lots": lots, "seconds": seconds, "cpu": cpu, "peak": peak}


if __name__ == "__main__":
    main()
