"""Reasons: the features that moved a row's margin most, in words a line leader reads."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.bundle import Bundle, read_bundle, write_bundle
from features.calibration import Calibration
from features.card import FeatureSpec
from features.histories import Array
from features.names import column
from features.reasons import explain, reasons
from tests.toy_model import CARD, LEVELS, Parts, rows

SHARE = column("{group}_{entity}_fail_share_365d", unit="share", group="api", entity="supplier")
QUANTITY = column("quantity", unit="units")
SUPPLIER = column("{group}_supplier", levels=("V01", "V02"), group="api")
RATE = "1/(million unit days)"


@dataclass
class FixedContributions:
    """Stands for a booster: the same contributions whatever the rows."""

    contributions: Array

    def predict(self, matrix: Array, **what: object) -> Array:
        return np.hstack([self.contributions, np.zeros((len(matrix), 1))])


def bundle(
    contributions: list[list[float]],
    *,
    specs: tuple[FeatureSpec, ...] = (SHARE, QUANTITY, SUPPLIER),
    reference: pa.Table | None = None,
) -> Bundle:
    booster = FixedContributions(np.array(contributions, dtype=np.float64))
    card = replace(CARD, features=list(specs))
    return Bundle(Path(), card, reference or pa.table({}), booster, Calibration.from_dict(CARD.calibration))


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    parts, folder = Parts(), tmp_path_factory.mktemp("toy") / "1"
    write_bundle(folder, model_text=parts.model_text, card=parts.card, reference=parts.reference, golden=parts.golden)
    return read_bundle(folder)


def test_the_largest_contribution_comes_first_whatever_its_sign() -> None:
    found = reasons(bundle([[0.2, -0.5, 0.1]]), np.array([[0.124, 1200.0, 1.0]]), language="en", most=2)
    assert found == [
        [
            {"feature": "quantity", "text": "Quantity of the lot: 1,200 units", "value": 1200.0, "contribution": -0.5},
            {
                "feature": "api_supplier_fail_share_365d",
                "text": "Share of failing lots of the api supplier, last 365 days: 12.4 %",
                "value": 0.124,
                "contribution": 0.2,
            },
        ]
    ]


def test_equal_contributions_stand_in_order_of_their_names() -> None:
    found = reasons(bundle([[0.3, -0.3, 0.3]]), np.array([[0.1, 5.0, 0.0]]), language="en", most=2)
    assert [reason["feature"] for reason in found[0]] == ["api_supplier", "api_supplier_fail_share_365d"]


def test_what_contributes_nothing_is_no_reason() -> None:
    found = reasons(bundle([[0.0, -0.0, 1e-300]]), np.array([[0.1, 5.0, 0.0]]), language="en", most=20)
    assert [reason["feature"] for reason in found[0]] == ["api_supplier"]


def test_values_are_numbers_category_texts_or_null() -> None:
    found = reasons(
        bundle([[3.0, 2.0, 1.0]] * 2), np.array([[0.1, 5.0, 1.0], [np.nan, 7.0, np.nan]]), language="zh", most=3
    )
    assert [[reason["value"] for reason in row] for row in found] == [[0.1, 5.0, "V02"], [None, 7.0, None]]
    assert [row[2]["text"] for row in found] == [
        "api 的供应商：V02",
        "api 的供应商：本批未见使用，或训练中未出现",
    ]


def test_the_usual_value_is_the_median_of_the_training_sample() -> None:
    reference = pa.table(
        {SHARE.name: [0.02, None, 0.04, 0.031], QUANTITY.name: [1, 1000, 900, 950], SUPPLIER.name: [1.0] * 4}
    )
    found = reasons(
        bundle([[3.0, 2.0, 1.0]], reference=reference), np.array([[0.124, np.nan, 1.0]]), language="en", most=3
    )
    assert [reason["text"] for reason in found[0]] == [
        "Share of failing lots of the api supplier, last 365 days: 12.4 % (usually 3.1 %)",
        "Quantity of the lot: not known (usually 925 units)",
        "Supplier of api: V02",
    ]


@pytest.mark.parametrize(
    "column", [[None, None, None, 0.1], ["a", "b", "c", "d"], [True, False, True, True]], ids=["rare", "text", "flag"]
)
def test_where_the_sample_cannot_tell_nothing_is_usual(column: list[object]) -> None:
    found = reasons(
        bundle([[1.0, 0.0, 0.0]], reference=pa.table({SHARE.name: column})),
        np.array([[0.124, 1.0, 0.0]]),
        language="zh",
        most=1,
    )
    assert found[0][0]["text"] == "api 供应商近365天失效批占比：12.4 %"


def test_an_empty_sample_and_no_rows_are_fine() -> None:
    empty = pa.table({SHARE.name: pa.array([], pa.float64())})
    assert reasons(bundle([[1.0, 0.0, 0.0]], reference=empty), rows(1), language="en", most=1)[0]
    assert reasons(bundle([]), np.zeros((0, 3)), language="en", most=5) == []


def test_no_reasons_asked_costs_no_contributions() -> None:
    assert reasons(replace(bundle([]), booster=None), rows(2), language="en", most=0) == [[], []]  # type: ignore[arg-type]


def test_contributions_add_up_to_the_margin(toy: Bundle) -> None:
    matrix = rows(200, seed=3)
    found = reasons(toy, matrix, language="en", most=len(CARD.features))
    base = toy.contributions(matrix)[:, -1]
    total = [math.fsum(float(reason["contribution"]) for reason in row) for row in found]  # type: ignore[arg-type]
    np.testing.assert_allclose(np.array(total) + base, toy.margin(matrix), rtol=0, atol=1e-9)


def test_reasons_of_a_row_do_not_depend_on_the_others(toy: Bundle) -> None:
    matrix = rows(100, seed=4)
    together = reasons(toy, matrix, language="zh", most=2)
    alone = [reasons(toy, matrix[[place]], language="zh", most=2)[0] for place in range(len(matrix))]
    assert together == alone


def test_they_are_the_largest_of_all(toy: Bundle) -> None:
    matrix = rows(50, seed=5)
    size = np.abs(toy.contributions(matrix)[:, :-1])
    found = reasons(toy, matrix, language="en", most=2)
    kept = [[abs(float(reason["contribution"])) for reason in row] for row in found]  # type: ignore[arg-type]
    assert kept == np.sort(size, axis=1)[:, ::-1][:, :2].tolist()


def test_a_feature_outside_the_dictionary_is_said_by_name(toy: Bundle) -> None:
    texts = {str(r["text"]).split(":")[0] for row in reasons(toy, rows(20), language="en", most=3) for r in row}
    assert texts == set(CARD.names)
    assert explain(CARD.features[0], 213.456, language="en") == "oven_temp_max: 213.46 degC"
    assert explain(CARD.features[2], 2.0, language="zh") == f"plant：{LEVELS[2]}"


@pytest.mark.parametrize(
    ("spec", "value", "en", "zh"),
    [
        (SHARE, 0.124,
         "Share of failing lots of the api supplier, last 365 days: 12.4 %", "api 供应商近365天失效批占比：12.4 %"),
        (SHARE, math.nan, "…: none known in the lot", "…：本批未见使用"),
        (column("{entity}_return_rate_90d", unit=RATE, entity="line"), 3.14159,
         "Return rate of the line, last 90 days: 3.14 returned units per million unit days",
         "产线近90天退货率：3.14 件/(百万件·天)"),
        (column("{entity}_return_trend", unit="log ratio", entity="plant"), math.log(1.8), "…: 1.8 times", "…：1.8 倍"),
        (column("{entity}_days_since_return", unit="days", entity="customer"), 41.26,
         "Time since the latest return of the customer was reported: 41.3 days",
         "客户最近一次退货报告至今的时间：41.3 天"),
        (column("{entity}_days_since_return", unit="days", entity="customer"), 1.0, "…: 1 day", "…：1 天"),
        (column("{entity}_days_since_return", unit="days", entity="product"), math.nan,
         "…: no return known yet", "…：尚无已知退货"),
        (QUANTITY, 12345.0, "Quantity of the lot: 12,345 units", "批量：12,345 件"),
        (QUANTITY, math.nan, "…: not known", "…：未知"),
        (column("{characteristic}_vs_{entity}", unit="standard deviations", characteristic="pH", entity="line"), 2.05,
         "pH against recent values of the line: +2.05 standard deviations",
         "pH 相对同产线近期值的偏离：+2.05 个标准差"),
        (column("{characteristic}_vs_{entity}", unit="standard deviations", characteristic="pH", entity="line"), -2.0,
         "…: -2 standard deviations", "…：-2 个标准差"),
        (column("margin_{characteristic}", unit="share of half the tolerance", characteristic="pH"), -0.12,
         "pH, smallest distance to a limit: -12 % of half the tolerance", "pH 距规格限的最小裕量：半公差的 -12 %"),
        (column("lot_{attribute}", levels=("L1", "L2"), attribute="line_id"), 1.0,
         "The lot's line: L2", "批次的产线：L2"),
        (column("lot_{attribute}", levels=("L1", "L2"), attribute="line_id"), math.nan,
         "…: not given, or not seen in training", "…：未提供，或训练中未出现"),
        (column("lot_{attribute}", attribute="humidity"), math.nan, "The lot's humidity: not given", "…：未提供"),
    ],
)  # fmt: skip
def test_a_value_in_words(spec: FeatureSpec, value: float, en: str, zh: str) -> None:
    """`…` stands for the name, where it is not the question."""
    for language, said in (("en", en), ("zh", zh)):
        found = explain(spec, value, language=language)
        assert found == said or (said[0] == "…" and found.endswith(said[1:]))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (180.256, "180.26"),
        (123456.7, "123457"),
        (2024.0, "2024"),
        (99999.96, "100000"),
        (0.000012, "1.2e-05"),
        (1e21, "1e+21"),
    ],
)
def test_a_measured_value_keeps_five_digits_and_its_whole_part(value: float, said: str) -> None:
    spec = column("measured_{characteristic}", unit="as measured", characteristic="force")
    assert explain(spec, value, language="en") == f"force, mean of the lot: {said}"


@pytest.mark.parametrize(
    ("value", "said"), [(0.9996, "100 %"), (0.99, "99 %"), (0.0003123, "0.0312 %"), (1.0, "100 %")]
)
def test_a_share_is_a_percentage_of_three_digits(value: float, said: str) -> None:
    assert explain(SHARE, value, language="en").endswith(f": {said}")


def test_the_usual_value_repeats_the_unit_only_where_the_value_is_null() -> None:
    assert explain(QUANTITY, 3.0, language="zh", usual=1.0) == "批量：3 件（通常 1）"
    assert explain(QUANTITY, math.nan, language="zh", usual=1.0) == "批量：未知（通常 1 件）"
    assert explain(SHARE, 0.2, language="en", usual=0.031).endswith(": 20 % (usually 3.1 %)")


def test_no_category_is_usual() -> None:
    assert explain(SUPPLIER, 1.0, language="en", usual=0.0) == "Supplier of api: V02"


def test_another_language_is_refused() -> None:
    with pytest.raises(ValueError, match="'sl'"):
        explain(QUANTITY, 1.0, language="sl")
