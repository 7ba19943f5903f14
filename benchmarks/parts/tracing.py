"""Suspects of a supplier lot, where their units are, and the gate's rule with ten containments open.

python benchmarks/parts/tracing.py [--lots 200000]

Five genealogy rows a lot, of which one in a hundred is missing. Milliseconds, the best of several, beside their limit;
ends with 1 where one is passed.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from plant import RULES, UNTIL, made_plant

from features.asked import Asked, ask
from features.asof import NO_TIME
from features.containment import Scope, held, prepare
from features.histories import Histories
from features.judgements import Judgements
from features.suspects import suspects
from features.whereabouts import whereabouts

MOST = 100_000  # lots whose units are looked for at once
MISSING = 0.01


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--lots", type=int, default=200_000)
    given = asked.parse_args()
    told = with_gaps(made_plant(given.lots))
    supplies = told.ids["supplier_lot"].texts
    middle, many = supplies[len(supplies) // 2], np.arange(min(MOST, given.lots))
    units = np.full(len(many), 500)
    print(f"{given.lots} lots, {len(told['genealogy'])} rows of genealogy".ljust(58), "       ms   limit")
    found = [
        clock("made with the histories, before anybody asks", lambda: prepare(told, as_of=UNTIL), 2000.0, times=1),
        clock("suspects of a supplier lot", lambda: suspects(told, middle, UNTIL), 100.0),
        clock("suspects of one that no table holds", lambda: suspects(told, "nobody's", UNTIL), 500.0),
        clock(f"where the units of {len(many)} lots are", lambda: whereabouts(told, many, units, UNTIL), 1000.0),
    ]
    for size in (1, 64):
        judged, names = judgement(told, size)
        for number, limit in ((0, 0.1), (10, 1.0)):
            scopes = [Scope(place, (supplies[len(supplies) // 2 + place],), ("nobody's",)) for place in range(number)]
            what = f"the gate's rule, {number} containments open, lots: {size}"
            found.append(clock(what, rule(judged, names, told, scopes), limit, times=200))
    one = suspects(told, middle, UNTIL)
    print(f"{middle} is used by {len(one.uses)} lots; {len(one.cannot_exclude)} more cannot be excluded")
    return 0 if all(found) else 1


def clock(what: str, run: Callable[[], Any], limit: float, *, times: int = 5) -> bool:
    """Prints what it takes; whether that is within the limit."""
    took = []
    for _ in range(times):
        since = perf_counter()
        run()
        took.append(1000 * (perf_counter() - since))
    print(what.ljust(58), f"{min(took):9.3f} {limit:7g}", "" if min(took) <= limit else "too slow")
    return min(took) <= limit


def rule(judged: Asked, names: list[str], told: Histories, scopes: list[Scope]) -> Callable[[], Any]:
    return lambda: held(judged, names, told, scopes)


def judgement(told: Histories, size: int) -> tuple[Asked, list[str]]:
    lot = np.random.default_rng(1).integers(0, len(told.ids["lot"]), size)
    moment, never = np.full(size, UNTIL), np.full(size, NO_TIME)
    judged = ask(Judgements(lot, moment, np.full(size, 500), never, moment), told, RULES)
    return judged, [told.ids["lot"].texts[code] for code in lot.tolist()]


def with_gaps(told: Histories) -> Histories:
    table = told["genealogy"]
    kept = np.flatnonzero(np.random.default_rng(2).random(len(table)) >= MISSING)
    return replace(told, tables={**told.tables, "genealogy": table.take(kept)}, _made={})


if __name__ == "__main__":
    raise SystemExit(main())
