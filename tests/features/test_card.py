"""The card: the same data gives the same text, numbers come back exactly, and a changed card is noticed."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features import card as cards
from features.card import FeatureSpec, ModelCard, code_fingerprint, iso
from features.errors import BundleRefused
from tests.toy_model import CARD


def changed(**content: object) -> str:
    """The card's text with other content and a sha256 that fits it, as another lot-risk would write it."""
    stated = {**json.loads(CARD.to_json()), **content}
    stated.pop("sha256")
    stated["sha256"] = cards._digest(stated)
    return json.dumps(stated)


def test_a_card_comes_back_equal() -> None:
    assert ModelCard.from_json(CARD.to_json()) == CARD


def test_the_same_card_is_the_same_text() -> None:
    again = ModelCard.from_json(CARD.to_json())
    assert again.to_json() == CARD.to_json()
    assert list(json.loads(CARD.to_json()))[:3] == ["format", "site", "trained_until"]


def test_floats_come_back_to_the_last_bit() -> None:
    odd = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 2.0**-40]
    back = ModelCard.from_json(replace(CARD, figures={"odd": odd}).to_json()).figures["odd"]
    assert [value.hex() for value in back] == [value.hex() for value in odd]


def test_dictionaries_keep_their_order() -> None:
    card = replace(CARD, layout={"z": 1, "a": {"y": 1, "b": 2}})
    back = ModelCard.from_json(card.to_json())
    assert list(back.layout) == ["z", "a"]
    assert list(back.layout["a"]) == ["y", "b"]


def test_nan_is_null() -> None:
    text = replace(CARD, figures={"auc": math.nan, "by": [np.float64("nan"), 1.0]}).to_json()
    assert ModelCard.from_json(text).figures == {"auc": None, "by": [None, 1.0]}


def test_numbers_of_numpy_become_plain() -> None:
    text = replace(CARD, figures={"n": np.int64(7), "x": np.float64(0.1), "yes": np.bool_(True)}).to_json()
    assert ModelCard.from_json(text).figures == {"n": 7, "x": 0.1, "yes": True}


def test_what_json_cannot_hold_is_named() -> None:
    with pytest.raises(ValueError, match=r"figures\.by\[1\] is infinite"):
        replace(CARD, figures={"by": [1.0, math.inf]}).to_json()
    with pytest.raises(TypeError, match=r"layout\.levels is a set"):
        replace(CARD, layout={"levels": {"a"}}).to_json()


def test_times_stand_there_readably_too() -> None:
    assert json.loads(CARD.to_json())["trained_until_iso"] == "2025-04-17T00:00:00Z"
    assert iso(1) == "1970-01-01T00:00:00.000001Z"


def test_names_are_in_the_order_of_the_columns() -> None:
    assert replace(CARD, features=[FeatureSpec("b"), FeatureSpec("a")]).names == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (changed(format=2), "has format 2, this lot-risk reads format 1"),
        (changed(format=None), "has format None"),
        ("[]", "has format None"),
        ("{", "is no JSON"),
        (changed(colour="red"), "unknown fields: colour"),
        (changed(features=[{"name": "a", "colour": "red"}]), "describes a feature in other words.*colour"),
        (
            CARD.to_json().replace('"cost_of_escape": 9000.0', '"cost_of_escape": 9.0'),
            "was changed after it was written",
        ),
        (CARD.to_json().replace('"sha256": "', '"sha256": "0'), "was changed after it was written"),
    ],
)
def test_another_card_is_refused(text: str, said: str) -> None:
    with pytest.raises(BundleRefused, match=said):
        ModelCard.from_json(text)


def test_a_missing_field_is_named() -> None:
    stated = json.loads(CARD.to_json())
    del stated["calibration"], stated["sha256"]
    with pytest.raises(BundleRefused, match="missing or unknown fields: calibration"):
        ModelCard.from_json(json.dumps({**stated, "sha256": cards._digest(stated)}))


def test_the_code_fingerprint_follows_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code_fingerprint.cache_clear()  # it is kept: the code that runs is that of the start
    copy = tmp_path / "features"
    shutil.copytree(Path(cards.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = code_fingerprint()
    monkeypatch.setattr(cards, "__file__", str(copy / "card.py"))
    code_fingerprint.cache_clear()
    assert code_fingerprint() == before
    (copy / "asof.py").write_text((copy / "asof.py").read_text("utf-8") + "# another line\n", "utf-8")
    assert code_fingerprint() == before
    code_fingerprint.cache_clear()
    assert code_fingerprint() != before
    code_fingerprint.cache_clear()
