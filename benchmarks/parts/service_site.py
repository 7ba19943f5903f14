"""A made-up plant as a site folder of Parquet files, with a model of 500 trees x 63 leaves, on 100 features."""

import re
from dataclasses import replace
from pathlib import Path
from time import time_ns
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from plant import RULES, UNTIL, made_plant

from features.asof import DAY, NO_TIME, Array
from features.build import build_features, choose_layout, columns
from features.bundle import write_bundle
from features.card import ModelCard, code_fingerprint
from features.contracts import TABLES
from features.histories import Histories, Vocabulary
from features.judgements import judge
from features.layout import Layout
from features.reading import read_histories
from features.site import Site, read_site
from training.familiar import measure_familiar

FEATURES, TREES, LEAVES = 100, 500, 63
VALUES = 100  # of a record
OPEN = 4_000  # lots have not shipped
TRAINED_ON = 8_000  # judgements at most
PARTS = ("production", "field")
WITH_SUPPLIES = (*PARTS, "supplier")
SETTINGS = """\
[site]
name = "plant"
[label]
returned_ppm = 8000
within_days = 180
[decision]
cost_of_inspection = 400.0
cost_of_escape = 9000.0
cost_of_hold = 1500.0
[serving]
refresh_every = "1d"
rescore_every = "1d"
"""
_WORDS = np.array(["amber", "blue", "cyan", "green", "lilac", "red"])


def made_site(
    folder: Path,
    lots: int,
    *,
    supplies: bool = False,
    open_lots: int = OPEN,
    trees: int = TREES,
    leaves: int = LEAVES,
    settings: str = SETTINGS,
) -> tuple[Site, Histories]:
    """Writes the site and its champion; returns it with its histories as read. `supplies`: with what went into lots."""
    now = time_ns() // 1000
    plant = _with_open_lots(made_plant(lots), open_lots)
    if not supplies:
        kept = {
            name: t for name, t in plant.tables.items() if name not in ("genealogy", "supplier_lots", "inspections")
        }
        plant = Histories(kept, plant.ids)
    else:
        plant = _with_one_group(plant)
    parts = WITH_SUPPLIES if supplies else PARTS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lotrisk.toml").write_text(settings, encoding="utf-8")
    lacking = FEATURES - len(columns(choose_layout(plant, UNTIL, rules=RULES, parts=parts)))
    _write(plant, folder, shift=now // DAY * DAY - UNTIL, attributes=lacking)
    site = read_site(folder, {})
    histories = read_histories(site, now=now).histories
    layout = choose_layout(histories, now, rules=site.rules, parts=parts)
    _train(site, histories, layout, now, trees=trees, leaves=leaves)
    return site, histories


def _with_open_lots(plant: Histories, count: int) -> Histories:
    """The last lots have not shipped, and nothing came back of them."""
    first = len(plant["lots"]) - count
    tables = dict(plant.tables)
    for name in ("shipments", "returns"):
        tables[name] = tables[name].take(np.flatnonzero(tables[name]["lot_id"] < first))
    return Histories(tables, plant.ids)


def _with_one_group(plant: Histories) -> Histories:
    """All materials are of one group, for twelve would fill the matrix."""
    table = plant["supplier_lots"]
    grouped = replace(table, columns={**table.columns, "material_group": np.zeros(len(table), dtype=np.int64)})
    return Histories({**plant.tables, "supplier_lots": grouped}, {**plant.ids, "material_group": Vocabulary(["raw"])})


def _write(plant: Histories, folder: Path, *, shift: int, attributes: int) -> None:
    """Tables in canonical columns, moved in time; one attribute in eight is a category, the others are numbers."""
    for name, table in plant.tables.items():
        made: dict[str, Any] = {}
        for column, values in table.columns.items():
            contract = TABLES[name].column(column)
            if contract is not None and contract.kind == "id":
                texts = pa.array(plant.ids[contract.of].texts, pa.string())
                made[column] = pa.DictionaryArray.from_arrays(pa.array(values), texts).cast(pa.string())
            elif contract is not None and contract.kind == "time":
                if column == "consumed_at":
                    values = table.known
                made[column] = pa.array(values + shift, pa.timestamp("us", "UTC"), mask=values == NO_TIME)
            else:
                made[column] = pa.array(values)
        if name == "lots":
            random = np.random.default_rng(1)
            for number in range(attributes):
                missing = random.random(len(table)) < 0.02
                drawn = random.normal(100.0, 15.0, len(table)).round(2)
                values = drawn if number % 8 else _WORDS[random.integers(0, len(_WORDS), len(table))]
                made[f"setting_{number:02}"] = pa.array(values, mask=missing)
        pq.write_table(pa.table(made), folder / f"{name}.parquet")


def _train(site: Site, histories: Histories, layout: Layout, now: int, *, trees: int, leaves: int) -> None:
    """A model of the full size by a rule of ours; what it says of lots does not matter here."""
    specs = columns(layout)
    if len(specs) != FEATURES:
        raise SystemExit(f"{len(specs)} features, not {FEATURES}")
    judged = judge(histories, site.rules, until=now)
    random = np.random.default_rng(2)
    judged = judged.take(np.sort(random.permutation(len(judged))[:TRAINED_ON]))
    matrix = build_features(judged, histories, layout).matrix
    text = booster_of(specs, matrix, random, trees=trees, leaves=leaves).model_to_string()
    booster = lightgbm.Booster(model_str=text)
    familiar = measure_familiar(specs, matrix, booster.feature_importance("gain"), judged.as_of)
    card = ModelCard(
        site=site.name,
        trained_until=now,
        cut=now,
        features=specs,
        layout=layout.as_dict(),
        label={"source": "returns", "returned_ppm": 8000.0},
        decision={"cost_of_escape": 9000.0},
        calibration={"kind": "platt", "slope": 0.9, "intercept": -0.1},
        rounds=trees,
        parameters={"num_leaves": leaves},
        figures={},
        champion={"promote": True, "reasons": ["made for a benchmark"]},
        data={},
        code=code_fingerprint(),
        familiar=familiar.as_dict(),
        version="1",
    )
    names = [spec.name for spec in specs]
    reference = pa.table({name: matrix[:1000, place] for place, name in enumerate(names)})
    write_bundle(
        site.state_dir / "bundles" / "1", model_text=text, card=card, reference=reference, golden=matrix[:20].copy()
    )
    (site.state_dir / "champion").write_text("1\n", encoding="utf-8")


def booster_of(
    specs: list[Any], matrix: Array, random: np.random.Generator, *, trees: int = TREES, leaves: int = LEAVES
) -> "lightgbm.Booster":
    """So many trees of so many leaves each, shown to be."""
    filled = np.nan_to_num(matrix)
    spread = (filled - filled.mean(axis=0)) / np.where(filled.std(axis=0) > 0, filled.std(axis=0), 1.0)
    told = spread @ random.normal(size=spread.shape[1]) + 3 * random.normal(size=len(spread))
    data = lightgbm.Dataset(
        matrix,
        told > np.quantile(told, 0.8),
        feature_name=[spec.name for spec in specs],
        categorical_feature=[place for place, spec in enumerate(specs) if spec.type == "category"],
    )
    settings = {
        "objective": "binary",
        "num_leaves": leaves,
        "min_data_in_leaf": 5,
        "max_bin": 63,
        "num_threads": 1,
        "learning_rate": 0.02,
        "verbose": -1,
        "seed": 0,
    }
    booster = lightgbm.train(settings, data, trees)
    found = [int(one) for one in re.findall(r"^num_leaves=(\d+)$", booster.model_to_string(), re.MULTILINE)]
    if found != [leaves] * trees:
        raise SystemExit(f"{len(found)} trees of {min(found)} to {max(found)} leaves")
    return booster


def records(folder: Path, count: int, *, now: int) -> list[dict[str, Any]]:
    """Lots that no table holds: the rows of known ones under new names, measured until each record has 100 values."""
    lots = pq.read_table(folder / "lots.parquet").slice(0, count).to_pylist()
    limits = {"lower_spec": 44.0, "upper_spec": 56.0}
    random = np.random.default_rng(3)
    made = []
    for number, row in enumerate(lots):
        row |= {"lot_id": f"new{number:07}", "produced_at": _iso(now - 2 * DAY)}
        row = {name: value if value is not None else 100.0 for name, value in row.items()}
        row |= {n: "red" for n, v in row.items() if n.startswith("setting_") and int(n[-2:]) % 8 == 0 and v == 100.0}
        measured = []
        left = VALUES - len(row)
        while left > 0:
            one: dict[str, Any] = {
                "characteristic": f"characteristic{len(measured) % 3:07}",
                "measured_at": _iso(now - DAY + len(measured) * 60_000_000),
                "value": round(float(random.normal(50.0, 2.0)), 3),
                **limits,
            }
            if left < 5:
                one = dict(list(one.items())[: max(left, 3)])
            elif left < 8:
                one.pop("lower_spec")
            measured.append(one)
            left -= len(one)
        made.append({"lot": row, "measurements": measured})
    sizes = {len(one["lot"]) + sum(len(m) for m in one["measurements"]) for one in made}
    if sizes != {VALUES}:
        raise SystemExit(f"records of {sizes} values, not {VALUES}")
    return made


def _iso(moment: int) -> str:
    return f"{np.datetime64(moment // 1_000_000 * 1_000_000, 'us')}"[:19] + "Z"
