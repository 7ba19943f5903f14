"""What the training sample spans: forward in time, of what tells of the lot; a product held out of it is told."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from features.asof import before
from features.build import build_features
from features.bundle import read_bundle
from features.card import FeatureSpec
from features.dictionary import FAMILIES
from features.familiar import FULL, Familiar
from features.histories import Histories
from features.reading import read_histories
from features.site import read_site
from tests.command import done, few_trees, registry, with_registry
from tests.toy_model import MLFLOW_WARNS
from training import familiar
from training.factory import make_factory
from training.familiar import measure_familiar
from training.fit import fit_trees
from training.known import known_by

pytestmark = MLFLOW_WARNS
__all__ = ["few_trees", "registry"]

FEATURES = [
    FeatureSpec("measured_hardness", family="measured_{characteristic}", about={"characteristic": "hardness"}),
    FeatureSpec("plant_return_trend", family="{entity}_return_trend", about={"entity": "plant"}),
    FeatureSpec(
        "lot_product_id", "category", levels=["P1", "P2"], family="lot_{attribute}", about={"attribute": "product_id"}
    ),
    FeatureSpec("lot_grade", "category", levels=["a", "b"], family="lot_{attribute}", about={"attribute": "grade"}),
]
HARDNESS, TREND, PRODUCT, GRADE = range(4)
ROWS = 400


def sample(*, seed: int = 0) -> np.ndarray:
    """Hardness about 50 to 60, a trend, one product, two grades."""
    random = np.random.default_rng(seed)
    hardness = random.uniform(50, 60, ROWS)
    return np.stack([hardness, np.arange(ROWS) / ROWS, np.zeros(ROWS), random.integers(0, 2, ROWS)], axis=1)


def measured(matrix: np.ndarray, gains: tuple[float, ...] = (5.0, 3.0, 0.0, 1.0)) -> Familiar:
    return measure_familiar(FEATURES, matrix, np.array(gains), np.arange(len(matrix)))


def test_rates_of_histories_and_what_the_trees_do_not_look_at_do_not_count() -> None:
    all_used, hardness_unused = measured(sample()), measured(sample(), (0.0, 3.0, 0.0, 1.0))
    assert [weight > 0 for weight in all_used.weights] == [True, False, True, True]
    assert [weight > 0 for weight in hardness_unused.weights] == [False, False, True, True]


def test_a_product_that_the_sample_does_not_have_suffices_though_the_trees_saw_no_use_in_products() -> None:
    found = measured(sample())
    other = sample()[:1]
    other[0, PRODUCT] = 1
    assert found.weights[PRODUCT] == FULL > found.limit
    assert found.distance(other)[0] > found.limit


def test_all_numbers_at_their_furthest_stay_below_a_product_never_seen() -> None:
    wild = sample()[:1]
    wild[0, [HARDNESS, TREND]] = 1e9, -1e9
    wild[0, GRADE] = np.nan
    assert measured(sample()).distance(wild)[0] < FULL


def test_the_limit_is_measured_forward_in_time() -> None:
    steady, rising = sample(), sample()
    rising[:, HARDNESS] += 2000 * (np.arange(ROWS) / ROWS) ** 6
    assert measured(rising).limit > measured(steady).limit
    assert measured(rising).limit > measured(np.random.default_rng(1).permutation(rising)).limit


def test_a_lot_of_a_product_that_was_new_then_does_not_widen_the_limit() -> None:
    later = sample()
    later[ROWS // 2 :, PRODUCT] = 1
    assert measured(later).limit == measured(sample()).limit


def test_the_rows_may_stand_in_any_order() -> None:
    matrix, order = sample(), np.random.default_rng(2).permutation(ROWS)
    assert measure_familiar(FEATURES, matrix[order], np.ones(4), order) == measured(matrix, (1.0,) * 4)


def test_a_slip_of_the_decimal_point_is_told_and_does_not_widen_what_was_seen() -> None:
    slipped = sample()
    slipped[7, HARDNESS] *= 10
    found = measured(slipped)
    assert np.argwhere(found.impossible(slipped)).tolist() == [[7, HARDNESS]]
    assert (found.low[HARDNESS], found.high[HARDNESS]) == measured_ends(np.delete(slipped, 7, axis=0))
    assert not found.impossible(sample(seed=1)).any()


def measured_ends(matrix: np.ndarray) -> tuple[float, float]:
    return float(matrix[:, HARDNESS].min()), float(matrix[:, HARDNESS].max())


def test_of_numbers_that_were_always_zero_nothing_is_impossible() -> None:
    zero = sample()
    zero[:, HARDNESS] = 0
    assert measured(zero).highest[HARDNESS] is None
    zero[:, HARDNESS] = 5
    assert measured(zero).highest[HARDNESS] == 55


def test_nulls_are_usual_from_one_in_a_thousand_on() -> None:
    matrix = np.tile(sample(), (5, 1))
    matrix[0, HARDNESS] = np.nan
    assert not measured(matrix).missing[HARDNESS]
    matrix[1, HARDNESS] = np.nan
    assert measured(matrix).missing[HARDNESS]


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_the_smallest_samples_are_measured(rows: int) -> None:
    found = measured(sample()[:rows])
    assert 0 < found.limit < FULL
    assert found.distance(sample()).shape == (ROWS,)


def test_the_families_that_count_are_in_the_dictionary() -> None:
    known = {family.name for families in FAMILIES.values() for family in families}
    assert set(familiar._OF_THE_LOT) <= known
    assert {"{group}_supplier", "lot_{attribute}"} <= known


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_factory(tmp_path_factory.mktemp("familiar") / "factory", seed=2, today=date(2026, 9, 1), lots=1500)


def told(site: Path, held_out: str, *, gone: bool) -> tuple[float, float]:
    """Shares of lots told as unlike any seen, out of time: of products in the sample, and of the product named.

    `gone`: whether its lots are held out of training.
    """
    read = read_site(site, {})
    histories = read_histories(read, now=1_788_220_800_000_000).histories
    whole = known_by(histories, read.rules, until=1_788_220_800_000_000)
    judged = whole.judgements
    until = int(np.quantile(judged.as_of, 0.7))
    known = known_by(without(histories, held_out) if gone else histories, read.rules, until=until)
    trees = fit_trees(known, rounds=30)
    gains = trees.booster.feature_importance("gain")
    found = measure_familiar(trees.features, trees.matrix, gains, known.judgements.as_of[trees.rows])
    later = judged.take(np.flatnonzero(~before(judged.as_of, until)))
    unlike = found.distance(build_features(later, histories, trees.layout).matrix) > found.limit
    product = product_of(histories)
    sampled = np.isin(product[later.lot], product[known.judgements.lot[trees.rows]])
    own = product[later.lot] == histories.ids["product"].code(held_out)
    return float(unlike[sampled & ~own].mean()), float(unlike[own].mean())


def product_of(histories: Histories) -> np.ndarray:
    product = np.full(len(histories.ids["lot"]) + 1, -1)
    product[histories["lots"]["lot_id"]] = histories["lots"]["product_id"]
    return product


def without(histories: Histories, product: str) -> Histories:
    """The same without the product's lots and what is told of them."""
    gone = product_of(histories) == histories.ids["product"].code(product)
    tables = {
        name: table.take(np.flatnonzero(~gone[table["lot_id"]])) if table.has("lot_id") else table
        for name, table in histories.tables.items()
    }
    return replace(histories, tables=tables, _made={})


def test_a_product_held_out_of_training_is_told_and_ordinary_lots_are_not(factory: Path) -> None:
    ordinary, held_out = told(factory, "P01", gone=True)
    assert held_out == 1.0
    assert ordinary < 0.05
    _, trained = told(factory, "P01", gone=False)
    assert trained < 0.05


def test_a_trained_version_says_what_its_sample_spans(factory: Path, registry: Path) -> None:
    site = with_registry(factory, registry)
    done("train", site, "--until", "2026-06-01")
    bundle = read_bundle(site / ".lotrisk" / "bundles" / "1")
    found = Familiar.from_dict(bundle.card.familiar)
    rows = np.stack([bundle.reference[name].to_numpy() for name in bundle.card.names], axis=1)
    assert found.limit < FULL
    assert (found.distance(rows) > found.limit).mean() < 0.01
    new = rows.copy()
    new[:, bundle.card.names.index("lot_product_id")] = np.nan
    assert (found.distance(new) > found.limit).all()
    assert bundle.card.names[found.outside(new[0])[0]] == "lot_product_id"
    slipped = rows.copy()
    slipped[:, bundle.card.names.index("measured_oven_temp")] *= 10
    assert found.impossible(slipped).any(axis=1).mean() > 0.9
