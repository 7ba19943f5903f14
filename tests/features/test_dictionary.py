"""The dictionary has every family that can become a column and no other, and docs/features.md is what it says."""

import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType, ModuleType

import pytest

from features.build import GROUPS, PARTS, columns
from features.card import FeatureSpec
from features.dictionary import FAMILIES, LANGUAGES, document, in_language, named
from features.dictionary_words import ENTITIES, UNITS, Family, Text
from features.evidence import OF_LOTS, OF_SUPPLIES
from features.groups import production
from features.layout import Attribute, Characteristic, Layout, Prior
from features.names import column
from features.rules import Costs, DecisionRule, LabelRule, Rules
from tests.tree import ROOT

DICTIONARY = [family for families in FAMILIES.values() for family in families]
PLACEHOLDER = re.compile(r"{(\w+)}")

COSTS = Costs(inspection=400.0, escape=9000.0, escape_per_unit=0.0, hold=1500.0)
ONCE = DecisionRule("shipped_at", None, 0, 1, COSTS, 0.9, None)
AGAIN = replace(ONCE, again_every=90)
BARE = Layout(
    until=0,
    rules=Rules(LabelRule("returns", 8000.0, 180, 30), ONCE, None),
    parts=PARTS,
    delay=0,
    tables=("lots",),
    attributes=(),
    characteristics=(),
    groups=(),
    group_names=(),
    inspected=(),
    priors={"fail": Prior(0.1, {})},
)
OF_LOT = tuple(Attribute("lots", f"{entity}_id", "category", f"{entity}_id", ("A",)) for entity in OF_LOTS[1:])
OF_CUSTOMER = (Attribute("customers", "tier", "category", "tier", ("A",)),)
OF_SUPPLY = (
    Attribute("supplier_lots", "supplier_id", "category", "supplier_id", ("V01",)),
    Attribute("supplier_lots", "moisture", "number", "moisture"),
)
MEASURED = (Characteristic("width", "width", -8), Characteristic("force", "force", -8, limits=True, repeated=True))


def layouts() -> Iterator[Layout]:
    """Every combination of what decides which columns there are."""
    for returns, of_lot, measured, groups, defects, decision in itertools.product(
        (False, True), ((), OF_LOT), ((), MEASURED), ((), ("api", "starch")), (False, True), (ONCE, AGAIN)
    ):
        yield replace(
            BARE,
            rules=replace(BARE.rules, decision=decision),
            tables=("actions", "lots", "returns", "surveys") if returns else ("lots", "outcomes"),
            attributes=(*of_lot, *OF_CUSTOMER, *OF_SUPPLY) if groups else of_lot,
            characteristics=measured,
            groups=groups,
            inspected=(Characteristic("assay", "assay", -8, group="api"),) if groups else (),
            priors={**BARE.priors, **({"defect": Prior(0.01, {})} if defects else {})},
        )


def unreached(function: Callable[[Layout], object], given: Iterator[Layout]) -> set[int]:
    """Lines of the function that no layout runs."""
    code, reached = function.__code__, set[int]()

    def trace(frame: FrameType, event: str, _: object) -> object:
        if frame.f_code is not code:
            return None
        if event == "line":
            reached.add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for layout in given:
            function(layout)
    finally:
        sys.settrace(before)
    return {line for *_, line in code.co_lines() if line} - reached - {code.co_firstlineno}


def disagreements(made: list[FeatureSpec], described: list[Family]) -> list[str]:
    """Where columns and dictionary differ."""
    rows = {family.name: family for family in described}
    families = {spec.family for spec in made}
    return [
        *(f"{name} is not in the dictionary" for name in sorted(families - set(rows))),
        *(f"{name} is never made" for name in sorted(set(rows) - families)),
        *sorted(
            {
                f"{spec.family} is in {spec.unit!r}, the dictionary says {rows[spec.family].unit!r}"
                for spec in made
                if spec.family in rows and spec.unit != rows[spec.family].unit
            }
        ),
    ]


MADE = [spec for layout in layouts() for spec in columns(layout)]


@pytest.mark.parametrize("group", GROUPS, ids=PARTS)
def test_the_layouts_reach_every_branch(group: ModuleType) -> None:
    assert unreached(group.columns, layouts()) == set()


def test_a_branch_that_no_layout_reaches_is_caught() -> None:
    assert unreached(production.columns, iter([BARE])) != set()


def test_every_family_is_in_the_dictionary_and_nothing_else_is() -> None:
    assert disagreements(MADE, DICTIONARY) == []


def test_a_family_without_a_row_is_caught() -> None:
    new = column("{entity}_mood_7d", unit="smiles", entity="line")
    assert disagreements([*MADE, new], DICTIONARY) == ["{entity}_mood_7d is not in the dictionary"]


def test_a_row_without_a_family_is_caught() -> None:
    old = replace(DICTIONARY[0], name="mood")
    assert disagreements(MADE, [*DICTIONARY, old]) == ["mood is never made"]


def test_another_unit_is_caught() -> None:
    bad = [replace(DICTIONARY[0], unit="lots"), *DICTIONARY[1:]]
    assert disagreements(MADE, bad) == ["quantity is in 'units', the dictionary says 'lots'"]


@pytest.mark.parametrize("part", PARTS)
def test_families_stand_with_their_group(part: str) -> None:
    made = {spec.family for layout in layouts() for spec in columns(replace(layout, parts=(part,)))}
    assert {family.name for family in FAMILIES[part]} == made


def rows(text: str) -> list[str]:
    """Names of the families in the document's tables."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_the_document_is_what_the_code_says() -> None:
    text = (ROOT / "docs" / "features.md").read_text("utf-8")
    assert text == document(), "python -m features.dictionary > docs/features.md"
    assert rows(text) == [family.name for family in DICTIONARY]


def test_a_document_of_other_words_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "features.md").read_text("utf-8")
    other = replace(FAMILIES["own"][0], says=Text("Age of the lot", "批龄"))
    monkeypatch.setitem(FAMILIES, "own", (other, *FAMILIES["own"][1:]))
    assert text != document()


def test_the_command_prints_the_document() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "features.dictionary"], cwd=ROOT, capture_output=True, check=True, encoding="utf-8"
    )
    assert printed.stdout == document()


def test_every_row_of_the_document_has_all_cells() -> None:
    lines = [line for line in document().splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in lines} == {6}


def test_every_family_has_words_in_both_languages() -> None:
    texts = [text for family in DICTIONARY for text in (family.says, family.null) if text is not None]
    assert [text for text in texts if not (text.en and re.search(r"[一-鿿]", text.zh))] == []
    assert [f.name for f in DICTIONARY if bool(f.counts.en) != bool(f.counts.zh)] == []


def test_both_languages_use_the_same_placeholders_of_the_name() -> None:
    for family in DICTIONARY:
        there = set(PLACEHOLDER.findall(family.name))
        assert set(PLACEHOLDER.findall(family.says.en)) == set(PLACEHOLDER.findall(family.says.zh)) == there, family


def test_every_entity_and_unit_has_words() -> None:
    assert {*OF_LOTS, *OF_SUPPLIES} == set(ENTITIES)
    assert {spec.about["entity"] for spec in MADE if "entity" in spec.about} <= set(ENTITIES)
    assert {family.unit for family in DICTIONARY} == set(UNITS)


def test_numbers_in_the_words_are_those_of_the_code() -> None:
    against = next(family for family in DICTIONARY if family.name == "{characteristic}_vs_{entity}")
    assert against.null is not None
    for text, number in itertools.product((against.null,), (production.MIN_VALUES,)):
        assert str(number) in text.en
        assert str(number) in text.zh
    for number in (production.FAR, production.YEAR / production.DAY, production.RECENT / production.DAY):
        assert f"{number:g}" in against.counts.en
        assert f"{number:g}" in against.counts.zh


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_has_a_name_in_words(language: str) -> None:
    assert [spec.name for spec in MADE if PLACEHOLDER.search(named(spec, language=language))] == []


def test_placeholders_are_filled_with_words_of_the_language() -> None:
    spec = column("{group}_{entity}_fail_share_365d", unit="share", group="api", entity="supplier_lot")
    assert named(spec, language="en") == "Share of failing lots of the api supplier lot, last 365 days"
    assert named(spec, language="zh") == "api 来料批近365天失效批占比"


def test_the_pooled_group_and_id_columns_have_words_and_a_sites_own_names_stand() -> None:
    pooled = column("{group}_age", unit="days", group="other")
    assert named(pooled, language="zh") == "其他物料 来料至判定的时间"
    assert named(column("lot_{attribute}", attribute="product_id"), language="en") == "The lot's product"
    assert named(column("lot_{attribute}", attribute="{odd} name"), language="en") == "The lot's {odd} name"


def test_a_column_of_another_lot_risk_keeps_its_name() -> None:
    assert named(FeatureSpec("mood_7d", family="mood_{days}d"), language="zh") == "mood_7d"


def test_a_language_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="'sl'"):
        in_language(Text("lot", "批"), "sl")
