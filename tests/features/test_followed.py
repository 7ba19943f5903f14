"""Totals that are changed where facts did are those of all facts added up anew, whatever has come and gone."""

from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import evidence
from features.asof import FOREVER, Array, Spans, Totals
from features.build import build_features, choose_layout
from features.evidence import Followed
from features.facts import Facts, difference
from features.histories import Histories
from features.kept import Kept
from features.layout import Layout
from features.mapped import read_mapped, write_mapped
from features.reading import histories_of
from features.rules import Rules
from tests.tiny_site import Rows, arrow, asked, day, rules, shuffled, site, tiny_site

TIMES = st.integers(0, 9)
ENTITIES = 3
Row = tuple[int, ...]


@st.composite
def facts(draw: st.DrawFn) -> list[Row]:
    """(lot, customer, first, known, superseded, two values), some of them more than once."""
    made = []
    for _ in range(draw(st.integers(0, 6))):
        first = draw(TIMES)
        known = first + draw(st.integers(0, 2))
        superseded = draw(st.sampled_from([FOREVER, known + 1, known + 3]))
        row = (draw(st.integers(0, 2)), draw(st.integers(-1, 1)), first, known, superseded, draw(st.integers(-2, 2)), 1)
        made += [row] * draw(st.integers(1, 2))
    return made


def told(rows: list[Row]) -> Facts:
    lot, customer, first, known, superseded, *values = np.array(rows, dtype=np.int64).reshape(-1, 7).T
    return Facts(lot, np.stack(values, axis=1), Spans(first, known, superseded), customer)


def entity(one: Facts) -> Array:
    """Codes of two kinds; one in three facts has none of the second."""
    return np.stack([one.lot, np.where(one.lot == 2, -1, one.lot)])


def totals(one: Facts) -> Totals:
    return Totals(entity(one), one.spans, one.values, owner=one.lot)


def answers(made: Totals) -> Array:
    """Of every entity at every moment, in some windows, with and without the rows of an owner."""
    moments = np.arange(-1, 16)
    code = np.stack([np.repeat(np.arange(ENTITIES), len(moments))] * 2)
    as_of = np.tile(moments, ENTITIES)
    windows = (None, 1, 4)
    without = [made.before(code, as_of, windows, without=np.full(len(as_of), owner)) for owner in range(ENTITIES)]
    return np.stack([made.before(code, as_of, windows), *without])


@settings(max_examples=200, deadline=None)
@given(old=facts(), new=facts(), both=facts(), seed=st.integers(0, 5))
def test_a_difference_is_what_came_and_what_went_as_often_as_it_did(
    old: list[Row], new: list[Row], both: list[Row], seed: int
) -> None:
    random = Random(seed)
    old, new = ([*shuffled(random, [*both, *one])] for one in (old, new))
    found = difference(told(old), told(new))
    times: Counter[Row] = Counter(new)
    times.subtract(Counter(old))
    expected: Counter[Row] = Counter()
    for (*where, first, second), often in times.items():
        if often:
            expected[(*where, often * first, often * second)] += 1
    assert found.customer is not None
    spans = found.spans
    columns = (found.lot, found.customer, spans.first, spans.known, spans.superseded, *found.values.T)
    assert Counter(zip(*(column.tolist() for column in columns), strict=True)) == expected


@settings(max_examples=200, deadline=None)
@given(old=facts(), new=facts(), both=facts())
def test_changed_totals_are_those_of_the_other_facts(old: list[Row], new: list[Row], both: list[Row]) -> None:
    earlier, later = told(old + both), told(both + new)
    other = difference(earlier, later)
    made = totals(earlier)
    before = answers(made)
    changed = made.changed(entity(other), other.spans, other.values, owner=other.lot)
    if changed is None:  # it may say so of codes that only the later facts have
        assert set(later.lot.tolist()) - set(earlier.lot.tolist())
        return
    np.testing.assert_array_equal(answers(changed), answers(totals(later)))
    np.testing.assert_array_equal(answers(made), before)


def test_codes_that_no_row_had_cannot_be_added() -> None:
    made, other = totals(told([(0, -1, 1, 1, FOREVER, 1, 1)])), told([(1, -1, 1, 1, FOREVER, 1, 1)])
    assert made.changed(entity(other), other.spans, other.values, owner=other.lot) is None


class Site:
    """A tiny site that is read again and again, each time with other returns, as the keeper reads it."""

    def __init__(self, rows: Rows, rule: Rules) -> None:
        self.rule, self._kept = rule, Kept(packed=True)
        self._raw = {name: arrow(table) for name, table in rows.items() if name != "returns"}
        self._earlier: Histories | None = None

    def read(self, returns: list[dict[str, object]]) -> Histories:
        self._earlier = self._read(returns, self._kept, self._earlier)
        return self._earlier

    def fresh(self, returns: list[dict[str, object]]) -> Histories:
        return self._read(returns, None, None)

    def _read(self, returns: list[dict[str, object]], kept: Kept | None, earlier: Histories | None) -> Histories:
        raw = {**self._raw, "returns": arrow(returns)}
        read = histories_of(raw, site(self.rule), now=day(40_000), kept=kept).histories
        if earlier is not None:
            read.take_over(earlier)
        return read

    def features(self, histories: Histories, layout: Layout) -> bytes:
        lots = sorted(text for text in histories.ids["lot"].texts)
        moments = [day(number) for number in (100, 250, 390, 500)]
        questions = asked(histories, lots * len(moments), [moment for moment in moments for _ in lots])
        return build_features(questions, histories, layout).matrix.tobytes()


def followed(histories: Histories) -> dict[object, Followed]:
    return {key: made for key, made in histories._made.items() if isinstance(made, Followed)}


@pytest.mark.parametrize("seed", range(8))
def test_each_reading_gives_the_bits_of_a_fresh_one_whatever_returns_came_and_went(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "FOLLOWED", 0)
    random = Random(seed)
    rows = tiny_site(random, lots=40)
    plant = Site(rows, rules(within=30, again_every=[None, 45][seed % 2]))
    returns = sorted(rows["returns"], key=lambda row: str(row["return_id"]))
    layout = choose_layout(plant.fresh(returns), day(300), rules=plant.rule)
    first: dict[object, Followed] = {}
    kept = 0
    for turn in range(5):
        some = random.sample(returns, len(returns) - turn % 3)
        read = plant.read(some)
        assert plant.features(read, layout) == plant.features(plant.fresh(some), layout)
        first = first or followed(read)
        kept += sum(
            made.made is first[key].made and made.totals is not made.made for key, made in followed(read).items()
        )
    assert len(first) >= 4 and kept > len(first)


def test_what_was_earlier_is_let_go_and_no_part_of_what_is_written(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "FOLLOWED", 0)
    rows = tiny_site(Random(1), lots=40)
    plant = Site(rows, rules(within=30))
    layout = choose_layout(plant.fresh(rows["returns"]), day(300), rules=plant.rule)
    plant.features(plant.read(rows["returns"][1:]), layout)
    read = plant.read(rows["returns"])
    built = plant.features(read, layout)
    assert read._earlier
    read.let_go()
    assert not read._earlier
    write_mapped(read, tmp_path / "mapped")
    assert plant.features(read_mapped(tmp_path / "mapped"), layout) == built


def test_of_other_tables_nothing_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "FOLLOWED", 0)
    rows = tiny_site(Random(2), lots=40)
    plant = Site(rows, rules(within=30))
    layout = choose_layout(plant.fresh(rows["returns"]), day(300), rules=plant.rule)
    plant.features(plant.read(rows["returns"]), layout)
    plant._raw["genealogy"] = arrow(rows["genealogy"][1:])
    read = plant.read(rows["returns"])
    assert plant.features(read, layout) == plant.features(plant.fresh(rows["returns"]), layout)
    assert {"supplier_lot" in str(key) for key, made in followed(read).items() if made.made is made.totals} == {True}


def test_few_facts_are_added_up_anew() -> None:
    rows = tiny_site(Random(2), lots=40)
    plant = Site(rows, rules(within=30))
    layout = choose_layout(plant.fresh(rows["returns"]), day(300), rules=plant.rule)
    plant.features(plant.read(rows["returns"][1:]), layout)
    read = plant.read(rows["returns"])
    plant.features(read, layout)
    assert all(made.made is made.totals for made in followed(read).values())
