"""A bundle scores by the bit what was trained, and is refused as soon as it is not what its card says."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.bundle import SMALL, Bundle, read_bundle, write_bundle
from features.card import ModelCard
from features.errors import BundleRefused
from features.link import Link
from tests.toy_model import CARD, Parts, model_text, rows


def write(folder: Path, parts: Parts | None = None) -> ModelCard:
    parts = parts or Parts()
    return write_bundle(
        folder, model_text=parts.model_text, card=parts.card, reference=parts.reference, golden=parts.golden
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles") / "1"
    write(folder)
    return read_bundle(folder)


def reseal(folder: Path, **content: object) -> None:
    """Write the card anew so that all hashes fit: what is left to notice is the content itself."""
    card = ModelCard.from_json((folder / "card.json").read_text("utf-8"))
    hashes = {name: sha256((folder / name).read_bytes()).hexdigest() for name in card.hashes}
    (folder / "card.json").write_text(replace(card, hashes=hashes, **content).to_json(), "utf-8")  # type: ignore[arg-type]


def test_a_bundle_comes_back(bundle: Bundle) -> None:
    assert bundle.card == replace(CARD, hashes=bundle.card.hashes)
    assert bundle.reference.schema.equals(Parts().reference.schema)
    assert np.array_equal(bundle.reference["plant"], Parts().reference["plant"], equal_nan=True)
    assert sorted(path.name for path in bundle.folder.iterdir()) == [
        "card.json",
        "golden.json",
        "model.txt",
        "reference.parquet",
    ]


def test_the_same_parts_give_the_same_bytes(bundle: Bundle, tmp_path: Path) -> None:
    write(tmp_path / "again")
    for path in bundle.folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_row_alone_scores_as_in_a_batch(bundle: Bundle) -> None:
    matrix = rows(1000, seed=3)
    assert np.isnan(matrix).any()
    alone = [bundle.margin(row)[0] for row in matrix.reshape(-1, 1, 3)]
    assert np.array_equal(bundle.margin(matrix), alone)
    assert np.array_equal(bundle.risk(matrix), [bundle.risk(row)[0] for row in matrix.reshape(-1, 1, 3)])


@pytest.mark.parametrize("count", [0, 1, SMALL, SMALL + 1])
def test_threads_and_memory_order_change_no_bit(bundle: Bundle, count: int) -> None:
    matrix = rows(1000, seed=4)
    many = bundle.booster.predict(matrix, raw_score=True, num_threads=2)
    assert np.array_equal(bundle.margin(matrix[:count]), many[:count])
    assert np.array_equal(bundle.margin(np.asfortranarray(matrix)[:count]), many[:count])
    assert bundle.margin(matrix[:count]).shape == bundle.risk(matrix[:count]).shape == (count,)
    assert bundle.contributions(matrix[:count]).shape == (count, 4)


def test_a_model_of_counts_scores_by_the_units_at_risk(tmp_path: Path) -> None:
    counted = replace(CARD, link=Link("count", 8000.0, 1.0).as_dict())
    write(tmp_path / "1", Parts(card=counted))
    bundle, matrix = read_bundle(tmp_path / "1"), rows(50, seed=8)
    few, many = (bundle.risk(matrix, np.full(50, units)) for units in (100, 130))
    assert (few != many).any()
    mixed = bundle.risk(matrix, np.where(np.arange(50) < 25, 100, 130))
    assert mixed.tolist() == [*few[:25], *many[25:]]
    with pytest.raises(ValueError, match="needs the units at risk"):
        bundle.risk(matrix)


def test_another_link_than_the_one_trained_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "1")
    reseal(tmp_path / "1", link=Link("count", 8000.0, 1.0).as_dict())
    with pytest.raises(BundleRefused, match=r"golden.json: row 0 of \d+ has risk"):
        read_bundle(tmp_path / "1")
    reseal(tmp_path / "1", link={"kind": "probit"})
    with pytest.raises(BundleRefused, match="none that is known"):
        read_bundle(tmp_path / "1")


def test_an_unseen_category_scores_as_missing(bundle: Bundle) -> None:
    unseen, missing = rows(200, seed=5), rows(200, seed=5)
    unseen[:, 2], missing[:, 2] = 99.0, np.nan
    assert np.array_equal(bundle.margin(unseen), bundle.margin(missing))


def test_contributions_add_up_to_the_margin(bundle: Bundle) -> None:
    matrix = rows(500, seed=6)
    np.testing.assert_allclose(bundle.contributions(matrix).sum(axis=1), bundle.margin(matrix), rtol=1e-9)


def test_columns_are_picked_by_name(bundle: Bundle) -> None:
    matrix = rows(9, seed=7)
    assert bundle.columns(CARD.names, matrix) is matrix
    shuffled = bundle.columns(["plant", "other", *CARD.names[:2]], matrix[:, [2, 0, 0, 1]])
    assert np.array_equal(bundle.margin(shuffled), bundle.margin(matrix))


def test_a_missing_column_is_named(bundle: Bundle) -> None:
    with pytest.raises(BundleRefused, match=r"1 of the 3 features .* \(first: plant\)"):
        bundle.columns(CARD.names[:2], rows(9)[:, :2])


def test_another_width_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match=r"\(9, 2\): \(rows, 3\)"):
        bundle.margin(rows(9)[:, :2])


def test_a_bundle_is_written_once(tmp_path: Path) -> None:
    write(tmp_path / "1")
    with pytest.raises(FileExistsError, match="written once"):
        write(tmp_path / "1")


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        (Parts(golden=rows(0)), ValueError),
        (Parts(golden=rows(3)[:, :2]), ValueError),
        (Parts(model_text="tree\nnone"), BundleRefused),
        (Parts(card=replace(CARD, figures={"x": float("inf")})), ValueError),
        (Parts(card=replace(CARD, calibration={"kind": "guess"})), ValueError),
    ],
)
def test_a_bundle_is_written_whole_or_not_at_all(tmp_path: Path, parts: Parts, error: type[Exception]) -> None:
    with pytest.raises(error):
        write(tmp_path / "1", parts)
    assert list(tmp_path.iterdir()) == []


def cut_short(folder: Path) -> None:
    (folder / "model.txt").write_bytes((folder / "model.txt").read_bytes()[:-1])


def another_leaf(folder: Path) -> None:
    (folder / "model.txt").write_text(model_text(29), "utf-8")
    reseal(folder)


def another_margin(folder: Path) -> None:
    golden = json.loads((folder / "golden.json").read_text("utf-8"))
    golden[7]["margin"] = np.nextafter(golden[7]["margin"], 9.0)
    (folder / "golden.json").write_text(json.dumps(golden), "utf-8")


def another_margin_sealed(folder: Path) -> None:
    another_margin(folder)
    reseal(folder)


def swapped_names(folder: Path) -> None:
    reseal(folder, features=[CARD.features[1], CARD.features[0], CARD.features[2]])


def fewer_names(folder: Path) -> None:
    reseal(folder, features=CARD.features[:2])


def another_calibration(folder: Path) -> None:
    reseal(folder, calibration={"kind": "platt", "slope": 0.9, "intercept": 0.0})


def no_calibration(folder: Path) -> None:
    reseal(folder, calibration={"kind": "guess"})


def another_reference(folder: Path) -> None:
    pq.write_table(pa.table({"plant": [1.0]}), folder / "reference.parquet")


def another_cost(folder: Path) -> None:
    text = (folder / "card.json").read_text("utf-8")
    (folder / "card.json").write_text(text.replace('"cost_of_escape": 9000.0', '"cost_of_escape": 1.0'), "utf-8")


def no_card(folder: Path) -> None:
    (folder / "card.json").unlink()


def no_reference(folder: Path) -> None:
    (folder / "reference.parquet").unlink()


def no_text(folder: Path) -> None:
    (folder / "card.json").write_bytes(b"\x80\x04K\x01.")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (cut_short, r"model\.txt is not the file that card\.json names"),
        (another_leaf, r"golden\.json: row 0 of 20 has margin .*, this machine gives"),
        (another_margin, r"golden\.json is not the file"),
        (another_margin_sealed, r"golden\.json: row 7 of 20 has margin"),
        (swapped_names, r"model\.txt: column 0 is 'oven_temp_max', card\.json says 'supplier_reject_share_90d'"),
        (fewer_names, r"model\.txt: 3 columns, card\.json says 2"),
        (another_calibration, r"golden\.json: row 0 of 20 has risk"),
        (no_calibration, r"card\.json: calibration"),
        (another_reference, r"reference\.parquet is not the file"),
        (another_cost, r"card\.json was changed"),
        (no_card, r"card\.json cannot be read"),
        (no_text, r"card\.json cannot be read"),
        (no_reference, r"reference\.parquet is missing"),
    ],
)
def test_a_bundle_that_is_not_what_it_says_is_refused(
    tmp_path: Path, tamper: Callable[[Path], None], said: str
) -> None:
    write(tmp_path / "1")
    read_bundle(tmp_path / "1")
    tamper(tmp_path / "1")
    with pytest.raises(BundleRefused, match=said):
        read_bundle(tmp_path / "1")


def test_importing_the_bundle_imports_no_lightgbm() -> None:
    code = "import sys, features.bundle; print([m for m in ('lightgbm', 'sklearn', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
