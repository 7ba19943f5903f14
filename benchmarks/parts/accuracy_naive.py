"""A join as one writes it in an afternoon: pandas, the files as they are today, a row a lot.

Nothing asks when a row was known. Measurements are averaged, supplier lots joined by genealogy with the average of
their inspections and their supplier's share of defects, and each product carries its returns of the 90 days before
the lot shipped by the day they occurred, whether or not anybody had reported them by then.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from features.card import FeatureSpec
from training.known import Known, known_by
from training.tables import BlockTable


def naive_tables(folder: Path, known: Known, tables: Sequence[BlockTable]) -> list[BlockTable]:
    """The same blocks and labels over the naive columns."""
    frame = joined(folder / "data")
    lots = known.histories.ids["lot"].decode(known.judgements.lot)
    matrix = frame.reindex(lots).to_numpy(dtype=np.float64)
    specs = [FeatureSpec(name) for name in frame.columns]
    found = []
    at = pd.Index(lots)
    for table in tables:
        then = known_by(known.histories, known.rules, until=table.start)
        learned = then.histories.ids["lot"].decode(then.judgements.lot[table.sample.rows])
        sample = replace(
            table.sample,
            features=specs,
            parts=("naive",) * len(specs),
            matrix=matrix[at.get_indexer(learned)],
            young=None,
        )
        found.append(replace(table, sample=sample, matrix=matrix[table.rows]))
    return found


def joined(data: Path) -> pd.DataFrame:
    """A row a lot, numbers only."""
    lots = pd.read_parquet(data / "lots.parquet").drop_duplicates("lot_id", keep="last").set_index("lot_id")
    measured = pd.read_parquet(data / "measurements.parquet")
    genealogy = pd.read_parquet(data / "genealogy.parquet")
    supplied = pd.read_csv(data / "supplier_lots.csv").drop_duplicates("supplier_lot_id", keep="last")
    inspected = pd.read_csv(data / "inspections.csv")
    returned = pd.read_csv(data / "returns.csv").drop_duplicates("return_id", keep="last")
    out = lots[["quantity"]].astype(float)
    for name in ("product_id", "line_id", "customer_id"):
        if name in lots:
            out[name] = pd.factorize(lots[name], sort=True)[0]
    out = out.join(measured.pivot_table(index="lot_id", columns="characteristic", values="value", aggfunc="mean"))
    for name in ("value", "defects", "sample_size"):
        if name not in inspected:
            inspected[name] = np.nan
    by_lot = inspected.groupby("supplier_lot_id").agg(
        inspected=("value", "mean"), defects=("defects", "sum"), sampled=("sample_size", "sum")
    )
    supplied = supplied.merge(by_lot, on="supplier_lot_id", how="left")
    of_supplier = supplied.groupby("supplier_id")[["defects", "sampled"]].sum()
    supplied["supplier_share"] = supplied["supplier_id"].map(of_supplier["defects"] / of_supplier["sampled"])
    used = genealogy.merge(supplied, on="supplier_lot_id")
    for name in ("inspected", "supplier_share"):
        wide = used.pivot_table(index="lot_id", columns="material_id", values=name, aggfunc="mean")
        out = out.join(wide.add_prefix(f"{name} "))
    out["returned_90d"] = returned_before(lots, returned)
    return out


def returned_before(lots: pd.DataFrame, returned: pd.DataFrame) -> pd.Series:
    """Units of the same product that failed in the 90 days before each lot shipped."""
    shipped = pd.to_datetime(lots["shipped_at"] if "shipped_at" in lots else lots["produced_at"], utc=True)
    shipped = shipped.fillna(pd.to_datetime(lots["produced_at"], utc=True))
    back = returned.assign(
        product=returned["lot_id"].map(lots["product_id"]),
        day=pd.to_datetime(returned["occurred_at"], utc=True, errors="coerce", format="mixed"),
    ).dropna(subset=["product", "day"])
    found = pd.Series(0.0, index=lots.index)
    for product, of_product in back.groupby("product"):
        days = np.sort(of_product["day"].dt.tz_localize(None).to_numpy())
        mine = lots.index[lots["product_id"] == product]
        ends = shipped.loc[mine].dt.tz_localize(None).to_numpy()
        found.loc[mine] = np.searchsorted(days, ends) - np.searchsorted(days, ends - np.timedelta64(90, "D"))
    return found
