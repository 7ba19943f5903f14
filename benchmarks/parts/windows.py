"""As-of windows that DuckDB's ASOF JOIN can express: by DuckDB on two threads, by the kernel on one, shown equal.

python benchmarks/parts/windows.py [--lots 1000000] [--repeats 3]

Of every lot as it ships: units returned of its product, and of each supplier that went into it, in the last 90 and 365
days and ever; defects found and samples taken of each supplier in those windows; the latest inspected value of each
supplier lot. Both start from the same arrays and end with arrays. In DuckDB a window is the difference of two ASOF
look-ups in running totals.
"""

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import cast

import duckdb
import numpy as np
import pyarrow as pa
from plant import RULES, UNTIL, made_plant

from features.asof import DAY, Array, Latest, Totals
from features.histories import Histories
from features.judgements import Judgements, judge
from features.order import RowsBy
from features.shipments import spans_of

WINDOWS = (90 * DAY, 365 * DAY, None)
Answers = dict[str, Array]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lots", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    for lots in sorted(asked.lots):
        compare(lots, repeats=asked.repeats)


def compare(lots: int, *, repeats: int) -> None:
    histories = never_corrected(made_plant(lots))
    judged = judge(histories, RULES, until=UNTIL)
    theirs, ours = [], []
    for _ in range(repeats):
        seconds, by_duckdb = timed(lambda: duckdb_windows(judged, histories))
        theirs.append(seconds)
        seconds, by_kernel = timed(lambda: kernel_windows(judged, histories))
        ours.append(seconds)
        expected = in_order(by_duckdb)
        different = [
            name
            for name, values in in_order(by_kernel).items()
            if not np.array_equal(values, expected[name], equal_nan=values.dtype.kind == "f")
        ]
        if different:
            raise SystemExit(f"not equal: {', '.join(different)}")
        print(f"DuckDB {theirs[-1]:6.1f} s   kernel {ours[-1]:6.1f} s   {len(by_kernel)} columns equal", flush=True)
    print(f"{len(judged):,} lots: the kernel takes {median(ours) / median(theirs):.2f} of DuckDB's time")


def timed(work: Callable[[], Answers]) -> tuple[float, Answers]:
    start = perf_counter()
    answers = work()
    return perf_counter() - start, answers


def never_corrected(histories: Histories) -> Histories:
    """Versions make a window a question about two times at once, which ASOF JOIN cannot ask."""
    returns = histories["returns"]
    first = returns.take(np.flatnonzero(returns.known == returns.first))
    forever = np.full(len(first), np.iinfo(np.int64).max)
    table = type(first)(first.name, first.columns, first.first, first.known, forever)
    return Histories({**histories.tables, "returns": table}, histories.ids)


def kernel_windows(judged: Judgements, histories: Histories) -> Answers:
    lots, returns, inspections = (histories[name] for name in ("lots", "returns", "inspections"))
    genealogy, supplies = histories["genealogy"], histories["supplier_lots"]
    uses = RowsBy(genealogy["lot_id"])
    of, use = uses.pairs(judged.lot)
    supplier_lot = genealogy["supplier_lot_id"][use]
    supplier, as_of = supplies["supplier_id"][supplier_lot], judged.as_of[of]
    units = returns["quantity"][:, None]
    by_product = Totals(lots["product_id"][returns["lot_id"]], spans_of(returns), units)
    back, went_in = uses.pairs(returns["lot_id"])
    returned_supplier = supplies["supplier_id"][genealogy["supplier_lot_id"][went_in]]
    by_supplier = Totals(returned_supplier, spans_of(returns).take(back), units[back])
    found = np.stack([inspections["defects"], inspections["sample_size"]], axis=1)
    inspected = Totals(supplies["supplier_id"][inspections["supplier_lot_id"]], spans_of(inspections), found)
    latest = Latest(inspections["supplier_lot_id"], spans_of(inspections), key=np.arange(len(inspections)))
    product = by_product.before(lots["product_id"][judged.lot], judged.as_of, WINDOWS)[:, :, 0]
    returned = by_supplier.before(supplier, as_of, WINDOWS)[:, :, 0]
    counted = inspected.before(supplier, as_of, WINDOWS)
    row = latest.before(supplier_lot, as_of)
    value = np.where(row >= 0, inspections["value"][row], np.nan)
    answers = {"lot": judged.lot, "use": use, "latest_value": value}
    for place, window in enumerate(("90d", "365d", "ever")):
        answers[f"product_{window}"] = product[place]
        answers[f"returned_{window}"] = returned[place]
        answers[f"defects_{window}"], answers[f"sampled_{window}"] = counted[place, :, 0], counted[place, :, 1]
    return answers


def duckdb_windows(judged: Judgements, histories: Histories) -> Answers:
    with duckdb.connect(config={"threads": 2, "preserve_insertion_order": False}) as database:
        for name in ("lots", "returns", "genealogy", "supplier_lots", "inspections"):
            table = histories[name]
            columns = {**table.columns, "known": table.known, "place": np.arange(len(table))}
            database.register(name, pa.table(columns))
        database.register("judged", pa.table({"lot_id": judged.lot, "as_of": judged.as_of}))
        database.execute(TOTALS)
        answers: Answers = {}
        for query in (OF_PRODUCTS, OF_SUPPLIERS):
            answers |= cast(Answers, database.execute(query).fetchnumpy())
    return answers


TOTALS = """
create temp table product_returns as
    select product_id, r.known, sum(sum(r.quantity)) over (partition by product_id order by r.known) as units
    from returns r join lots using (lot_id) group by product_id, r.known;
create temp table supplier_returns as
    select supplier_id, r.known, sum(sum(r.quantity)) over (partition by supplier_id order by r.known) as units
    from returns r join genealogy using (lot_id) join supplier_lots using (supplier_lot_id)
    group by supplier_id, r.known;
create temp table supplier_inspections as
    select supplier_id, i.known, sum(sum(i.defects)) over known as defects,
        sum(sum(i.sample_size)) over known as sampled
    from inspections i join supplier_lots using (supplier_lot_id) group by supplier_id, i.known
    window known as (partition by supplier_id order by i.known);
create temp table latest_inspections as
    select supplier_lot_id, known, arg_max(value, place) as value from inspections group by supplier_lot_id, known;
create temp table used as
    select g.place as use, supplier_lot_id, supplier_id, as_of
    from judged join genealogy g using (lot_id) join supplier_lots using (supplier_lot_id);
"""


def _windows(table: str, entity: str, names: dict[str, str]) -> tuple[str, str]:
    """Columns and joins: the running totals before `as_of`, and before each window's start."""
    columns, joins = [], []
    for window in ("90d", "365d", "ever"):
        start = "" if window == "ever" else f" - {int(window[:-1]) * DAY}"
        alias = f"{table}_{window}"
        joins.append(
            f"asof left join {table} {alias} on q.{entity} = {alias}.{entity} and q.as_of{start} > {alias}.known"
        )
        for column, name in names.items():
            until = f"coalesce({table}_ever.{column}, 0)"
            since = "" if window == "ever" else f" - coalesce({alias}.{column}, 0)"
            columns.append(f"({until}{since})::bigint as {name}_{window}")
    return ", ".join(columns), " ".join(joins)


_PRODUCT = _windows("product_returns", "product_id", {"units": "product"})
_RETURNED = _windows("supplier_returns", "supplier_id", {"units": "returned"})
_INSPECTED = _windows("supplier_inspections", "supplier_id", {"defects": "defects", "sampled": "sampled"})
OF_PRODUCTS = f"select q.lot_id as lot, {_PRODUCT[0]} from (from judged join lots using (lot_id)) q {_PRODUCT[1]}"
OF_SUPPLIERS = (
    f"select q.use, l.value as latest_value, {_RETURNED[0]}, {_INSPECTED[0]} from used q {_RETURNED[1]} {_INSPECTED[1]}"
    " asof left join latest_inspections l on q.supplier_lot_id = l.supplier_lot_id and q.as_of > l.known"
)


def in_order(answers: Answers) -> Answers:
    """Rows in order of lots, or of uses; null as NaN."""
    order = {id_: np.argsort(answers[id_]) for id_ in ("lot", "use")}
    whose = {name: "lot" if name == "lot" or name.startswith("product_") else "use" for name in answers}
    return {
        name: np.ma.filled(values, np.nan)[order[whose[name]]]
        if values.dtype.kind == "f"
        else values[order[whose[name]]]
        for name, values in answers.items()
    }


if __name__ == "__main__":
    main()
