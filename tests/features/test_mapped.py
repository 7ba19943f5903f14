"""Mapped histories give what the histories in memory give, to several processes, and a faulty map is refused."""

import gc
import hashlib
import json
import mmap
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import mapped, synced
from features.asof import DAY, FOREVER, Latest, Totals
from features.build import build_features
from features.champion import Scorer
from features.content_hash import content_hash
from features.histories import Histories, PackedTexts, Table, Vocabulary
from features.layout import Layout
from features.mapped import CLASSES, StaleMap, read_mapped, write_mapped
from features.missing import with_what_is_missing
from features.order import RowsBy
from features.rules import LabelRule, Rules
from features.score import Policy
from features.score_table import score_table
from features.shipments import units_at_risk
from tests.features.checks import RULES, Case, case
from tests.tiny_site import asked

TWO = np.array([3, 5], dtype=np.int64)


def answers(told: Histories, question: Case) -> tuple[Any, ...]:
    """The matrix bit for bit, and what is said of every lot of a site without a model."""
    return answered(told, question.layout, question.rule, question.lots, question.as_of, question.moment)


def answered(
    told: Histories, layout: Layout, rule: Rules, lots: tuple[str, ...], as_of: tuple[int, ...], moment: int
) -> tuple[Any, ...]:
    features = build_features(asked(told, lots, as_of), told, layout)
    scores = score_table(
        Scorer(None), told, Policy(rule), lots=[*sorted(set(lots)), "nobody's"], as_of=moment, most_reasons=3
    )
    return features.names, features.matrix.tobytes(), scores.to_pylist()


def answered_from(folder: Path, *question: Any) -> tuple[Any, ...]:
    """The same out of a map, in another process."""
    return answered(read_mapped(folder), *question)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        yield process


@given(seed=st.integers(0, 2**32), rule=st.sampled_from(RULES))
@settings(max_examples=12, deadline=None)
def test_two_processes_at_once_get_what_memory_gives(
    elsewhere: ProcessPoolExecutor, seed: int, rule: tuple[Rules, str]
) -> None:
    question = case(seed, *rule, lots=15)
    told = Histories(question.told.tables, question.told.ids)
    with TemporaryDirectory() as name:
        cold, warm = Path(name) / "cold", Path(name) / "warm"
        write_mapped(told, cold)
        right = answers(told, question)
        write_mapped(told, warm)
        parts = (question.layout, question.rule, question.lots, question.as_of, question.moment)
        others = [elsewhere.submit(answered_from, folder, *parts) for folder in (cold, warm)]
        mine = [read_mapped(folder) for folder in (cold, warm)]
        same(mine[1], told)
        assert [answers(each, question) for each in mine] == [right, right]
        assert [other.result() for other in others] == [right, right]
        for each in mine:
            same(each, told)


def same(found: Any, right: Any, met: dict[int, int] | None = None) -> None:
    """Equal in type, in every bit, and in what is one object in several places."""
    met = {} if met is None else met
    assert type(found) is type(right)
    if isinstance(right, np.ndarray):
        assert (found.dtype, found.shape) == (right.dtype, right.shape)
        assert found.tobytes() == right.tobytes()
    if isinstance(right, str | int | float | None):
        assert found == right
    elif id(right) in met:
        assert isinstance(right, tuple) or met[id(right)] == id(found)
    else:
        met[id(right)] = id(found)
        if isinstance(right, Vocabulary):
            assert list(found.texts) == list(right.texts)
        elif isinstance(right, dict):
            assert set(found) == set(right)
            for key, value in right.items():
                same(found[key], value, met)
        elif isinstance(right, list | tuple):
            for mine, its in zip(found, right, strict=True):
                same(mine, its, met)
        elif not isinstance(right, np.ndarray):
            same(vars(found), vars(right), met)


def test_one_other_bit_is_noticed(question: Case, tmp_path: Path) -> None:
    write_mapped(question.told, tmp_path / "map")
    same(read_mapped(tmp_path / "map"), question.told)
    data = tmp_path / "map" / "arrays.bin"
    whole = bytearray(data.read_bytes())
    whole[64] ^= 1
    data.write_bytes(whole)
    with pytest.raises(AssertionError):
        same(read_mapped(tmp_path / "map"), question.told)


def tiny(**made: Any) -> Histories:
    """Two lots, and what was made of them."""
    known = np.array([10, 20])
    columns = {"lot_id": np.array([0, 1]), "quantity": TWO, "colour": np.array([-1, 0])}
    lots = Table("lots", columns, known, known, np.full(2, FOREVER), {"colour": Vocabulary(["red"])}, ("colour",))
    return Histories({"lots": lots}, {"lot": Vocabulary(["A", "B"])}, dict(made))


def through(told: Histories, folder: Path) -> Histories:
    write_mapped(told, folder / "map")
    return read_mapped(folder / "map")


def arrays(value: Any, met: set[int]) -> Iterator[np.ndarray]:
    """Every array that a value leads to."""
    if id(value) in met or isinstance(value, str | int | float | None):
        return
    met.add(id(value))
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, PackedTexts):
        yield from (value.data, value.starts)
    else:
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else vars(value)
        for part in parts.values() if parts is getattr(value, "__dict__", None) else parts:
            yield from arrays(part, met)


def owner(array: Any) -> Any:
    while isinstance(array, np.ndarray):
        array = array.base
    return array.obj if isinstance(array, memoryview) else array


@pytest.fixture(scope="module")
def question() -> Case:
    """A site that has been asked everything."""
    made = case(0, *RULES[0])
    answers(made.told, made)
    return made


def test_all_arrays_are_plain_views_of_one_mapping_that_nobody_can_write_to(question: Case, tmp_path: Path) -> None:
    told = through(question.told, tmp_path)
    found = list(arrays(told, set()))
    assert len(found) > 200
    assert {type(array) for array in found} == {np.ndarray}
    assert {type(owner(array)) for array in found} == {mmap.mmap}
    assert len({id(owner(array)) for array in found}) == 1
    assert not any(array.flags.writeable for array in found)
    assert all(array.ctypes.data % 64 == 0 for array in found if array.size)
    column = told["lots"]["quantity"]
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 7
    with pytest.raises(ValueError, match="WRITEABLE"):
        column.flags.writeable = True


def test_an_array_of_the_process_itself_would_be_noticed(question: Case, tmp_path: Path) -> None:
    told = through(question.told, tmp_path)
    told.once("mine", lambda: [RowsBy(np.array([0, 1]))])
    assert None in {owner(array) for array in arrays(told, set())}


def test_an_array_keeps_the_mapping_when_histories_and_folder_are_gone(tmp_path: Path) -> None:
    column = through(tiny(), tmp_path)["lots"]["quantity"]
    shutil.rmtree(tmp_path / "map")
    gc.collect()
    assert column.tolist() == [3, 5]


def test_one_value_seen_as_many_takes_no_room(tmp_path: Path) -> None:
    made = {"nulls": np.broadcast_to(np.array(np.nan), 10**9), "rows": np.broadcast_to(TWO, (10**9, 2))}
    told = through(tiny(**made), tmp_path)
    assert (tmp_path / "map" / "arrays.bin").stat().st_size < 2000
    assert told._made["nulls"].shape == (10**9,) and np.isnan(told._made["nulls"][-1])
    assert told._made["rows"].strides == (0, 8) and told._made["rows"][-1].tolist() == [3, 5]


def test_the_same_bytes_are_stored_once(tmp_path: Path) -> None:
    many = np.arange(10_000)
    told = through(tiny(one=many, again=many, column=many[:, None]), tmp_path)
    assert (tmp_path / "map" / "arrays.bin").stat().st_size < 90_000
    assert told._made["one"] is told._made["again"]
    assert np.shares_memory(told._made["one"], told._made["column"])


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(12).reshape(3, 4)[:, 1:3],
        np.arange(5.0)[::-1],
        np.array(2.5),
        np.empty((0, 3)),
        np.empty((3, 0), dtype=np.int8),
        np.broadcast_to(np.array(-1), 0),
        np.array([True, False]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_comes_back_in_its_shape_whatever_its_memory(array: np.ndarray, tmp_path: Path) -> None:
    same(through(tiny(array=array), tmp_path)._made["array"], array)


def test_what_leads_back_to_itself_comes_back_so(question: Case, tmp_path: Path) -> None:
    told = through(question.told, tmp_path)
    complete = told._made["with what is missing", question.layout.tables]
    assert complete is with_what_is_missing(told, question.layout)
    assert complete._made is told._made
    assert complete.ids["lot"] is told.ids["lot"]
    assert complete["lots"].known is told["lots"].known


def test_keys_are_found_again(tmp_path: Path) -> None:
    rule = LabelRule("returns", 8000.0, 1, 2)
    keys = ["lots", ("outcomes", ("plant",), (rule, ("shipped_at", None, 1095, 1), 3)), rule]
    told = tiny()
    for number, key in enumerate(keys):
        told._made[key] = np.float64(number)
    found = through(told, tmp_path)
    for number, key in enumerate(keys):
        assert found.once(key, lambda: pytest.fail("made again")) == number
        assert type(found._made[key]) is np.float64


def test_what_is_made_later_of_mapped_totals_is_right(question: Case, tmp_path: Path) -> None:
    lot, as_of = np.arange(len(question.told.ids["lot"])), np.full(len(question.told.ids["lot"]), question.moment)
    sizes = {"quantity": np.ones(len(lot), dtype=np.int64), "shipping": np.zeros(len(lot), dtype=bool)}
    units_at_risk(question.told, lot, as_of, **sizes)
    right: Totals = question.told._made["units by lot"]
    found: Totals = through(question.told, tmp_path)._made["units by lot"]
    assert right._later is not None and found._later is not None
    before = set(found._later._windows)
    for window in (7 * DAY, 33 * DAY, None):
        same(found.before(lot, as_of, (window,)), right.before(lot, as_of, (window,)))
    assert set(found._later._windows) - before == {7 * DAY, 33 * DAY}


# Faults


def test_a_cut_or_longer_data_file_is_refused(tmp_path: Path) -> None:
    through(tiny(), tmp_path)
    data = tmp_path / "map" / "arrays.bin"
    whole = data.read_bytes()
    for wrong in (whole[:-1], whole[:64], b"", whole + b"\0"):
        data.write_bytes(wrong)
        with pytest.raises(StaleMap, match=f"{len(wrong)} bytes, its index says {len(whole)}"):
            read_mapped(tmp_path / "map")


def test_an_index_with_any_byte_changed_or_cut_anywhere_is_refused(tmp_path: Path) -> None:
    through(tiny(), tmp_path)
    index = tmp_path / "map" / "index.json"
    whole = index.read_bytes()
    assert isinstance(json.loads(whole), dict)
    for place in range(len(whole)):
        for wrong in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            index.write_bytes(wrong)
            with pytest.raises(StaleMap, match="cut or was changed"):
                read_mapped(tmp_path / "map")


@pytest.mark.parametrize("name", ["arrays.bin", "index.json"])
def test_a_missing_file_is_refused(name: str, tmp_path: Path) -> None:
    through(tiny(), tmp_path)
    (tmp_path / "map" / name).unlink()
    with pytest.raises(StaleMap, match=f"{name} is missing"):
        read_mapped(tmp_path / "map")
    with pytest.raises(StaleMap, match="missing"):
        read_mapped(tmp_path / "nowhere")


def test_a_map_of_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    through(tiny(), tmp_path)
    monkeypatch.setattr(mapped, "code_fingerprint", lambda: "0" * 64)
    with pytest.raises(StaleMap, match="other code"):
        read_mapped(tmp_path / "map")


def forged(folder: Path, **changes: Any) -> None:
    """An index that was changed by someone who can count: its sha256 is right."""
    index = folder / "index.json"
    content = json.loads(index.read_bytes())
    del content["sha256"]
    rest = b'",' + json.dumps({**content, **changes}).encode()[1:]
    index.write_bytes(b'{"sha256":"' + hashlib.sha256(rest).hexdigest().encode() + rest)


def test_a_forged_index_is_read_as_far_as_it_is_right(tmp_path: Path) -> None:
    told = through(tiny(), tmp_path)
    forged(tmp_path / "map")
    same(read_mapped(tmp_path / "map"), told)
    forged(tmp_path / "map", format=1)
    with pytest.raises(StaleMap, match="format 1"):
        read_mapped(tmp_path / "map")


@pytest.mark.parametrize("name", ["subprocess.Popen", "builtins.eval", "features.site.Site", "features.asof.Total"])
def test_no_class_but_the_listed_can_be_named(name: str, tmp_path: Path) -> None:
    through(tiny(), tmp_path)
    forged(tmp_path / "map", objects=[["instance", name, {"args": "true"}]])
    with pytest.raises(StaleMap, match=f"KeyError\\('{name}'"):
        read_mapped(tmp_path / "map")


@pytest.mark.parametrize(
    "one",
    [
        ["array", "|O", 0, 0, [1], "C", [1]],
        ["array", "<i8", 0, 0, [10**6], "C", [10**6]],
        ["array", "<i8", 0, 0, [-1], "C", [-1]],
        ["array", "<i8", 0, 0, [10**30], "C", [10**30]],
        ["array", "<i8", 0, 0, [2], "C", [3]],
        ["array", "<i8", 1, 0, [2], "C", [2]],
        ["dict", [[[1], 1]]],
        ["dict", [[[0], 1]]],
        ["tuple", [[0]]],
        ["eval", "1"],
        ["list"],
        7,
    ],
    ids=str,
)
def test_nonsense_is_refused_whatever_its_hash(one: Any, tmp_path: Path) -> None:
    through(tiny(), tmp_path)
    forged(tmp_path / "map", objects=[one])
    with pytest.raises(StaleMap, match="does not describe"):
        read_mapped(tmp_path / "map")


@pytest.mark.parametrize("name", ["index.json", "../arrays.bin", "/etc/passwd", "arrays-0.bin", "arrays.bin\n"])
def test_no_file_but_its_own_can_be_named(name: str, tmp_path: Path) -> None:
    through(tiny(), tmp_path)
    forged(tmp_path / "map", files=[[name, 64]])
    with pytest.raises(StaleMap, match="does not describe"):
        read_mapped(tmp_path / "map")


def test_an_index_of_something_else_is_refused(tmp_path: Path) -> None:
    through(tiny(), tmp_path)
    forged(tmp_path / "map", objects=[["list", [1, 2]]])
    with pytest.raises(StaleMap, match="a list, no histories"):
        read_mapped(tmp_path / "map")


# Writing


def test_arrays_that_were_written_before_are_linked_and_outlive_the_folder(tmp_path: Path) -> None:
    many, first, second = np.arange(10_000), np.arange(3), np.arange(4)
    earlier = write_mapped(tiny(many=many, few=first), tmp_path / "one")
    write_mapped(tiny(many=many, few=second), tmp_path / "two", earlier=earlier)
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "two").glob("*.bin")}
    assert sizes.keys() == {"arrays.bin", "arrays-1.bin"} and sizes["arrays-1.bin"] < 2000
    assert (tmp_path / "two" / "arrays.bin").samefile(tmp_path / "one" / "arrays.bin")
    shutil.rmtree(tmp_path / "one")
    same(read_mapped(tmp_path / "two")._made, {"many": many, "few": second})


def test_a_link_is_dropped_with_the_last_array_in_its_file(tmp_path: Path) -> None:
    written, kept = write_mapped(tiny(many=np.arange(2_000)), tmp_path / "0"), np.arange(9_000)
    for turn in range(1, 5):
        told = tiny(kept=kept, new=np.arange(turn))
        written = write_mapped(told, tmp_path / str(turn), earlier=written)
        same(read_mapped(tmp_path / str(turn))._made, told._made)
    assert {path.name for path in (tmp_path / "4").glob("*.bin")} == {"arrays.bin", "arrays-1.bin", "arrays-4.bin"}


def test_files_that_hold_mostly_what_has_gone_are_written_anew(tmp_path: Path) -> None:
    few, many = np.arange(10), np.arange(10_000)
    written = write_mapped(tiny(few=few, many=many), tmp_path / "0")
    written = write_mapped(tiny(few=few), tmp_path / "1", earlier=written)
    assert written.crowded
    written = write_mapped(tiny(few=few), tmp_path / "2", earlier=written)
    assert [path.name for path in (tmp_path / "2").glob("*.bin")] == ["arrays.bin"]
    assert not write_mapped(tiny(few=few, many=many), tmp_path / "3").crowded


def test_where_nothing_can_be_linked_all_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    many = np.arange(10_000)
    earlier = write_mapped(tiny(many=many), tmp_path / "one")
    with monkeypatch.context() as there:
        there.setattr(mapped.os, "link", no_links)
        write_mapped(tiny(many=many), tmp_path / "two", earlier=earlier)
    shutil.rmtree(tmp_path / "one")
    write_mapped(tiny(many=many), tmp_path / "three", earlier=earlier)
    for name in ("two", "three"):
        same(read_mapped(tmp_path / name)._made, {"many": many})
        assert {path.name for path in (tmp_path / name).iterdir()} == {"arrays.bin", "index.json"}


@given(
    st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=2, max_size=6),
    st.lists(st.integers(0, 3000), min_size=6, max_size=6),
)
@settings(max_examples=30)
def test_histories_written_one_after_the_other_come_back_as_if_written_alone(
    turns: list[list[int]], sizes: list[int]
) -> None:
    pool = [np.arange(size) * 7 + number for number, size in enumerate(sizes)]
    with TemporaryDirectory() as folder:
        written = None
        for turn, chosen in enumerate(turns):
            made = {f"{place}": pool[one] for place, one in enumerate(chosen)} | {"own": np.array([turn])}
            written = write_mapped(tiny(**made), Path(folder) / str(turn), earlier=written)
            if turn:
                shutil.rmtree(Path(folder) / str(turn - 1))
            same(read_mapped(Path(folder) / str(turn))._made, made)


class Unlisted:
    pass


@pytest.mark.parametrize(
    "odd",
    [Unlisted(), {1}, np.array([None]), np.array(["a"]), RowsBy, lambda: 1, Path("a")],
    ids=lambda odd: str(odd)[:9],
)
def test_what_cannot_be_kept_is_named_and_nothing_is_written(odd: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^histories\._made\['seen'\]\['odd'\] is"):
        write_mapped(tiny(seen={"odd": odd}), tmp_path / "map")
    assert list(tmp_path.iterdir()) == []


def test_histories_are_written_once(tmp_path: Path) -> None:
    told = through(tiny(), tmp_path)
    with pytest.raises(FileExistsError, match="written once"):
        write_mapped(tiny(), tmp_path / "map")
    assert told["lots"]["quantity"].tolist() == [3, 5]


def test_of_two_writers_at_once_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late() -> str:
        monkeypatch.setattr(mapped, "code_fingerprint", fingerprint)
        write_mapped(tiny(), tmp_path / "map")
        return fingerprint()

    fingerprint = mapped.code_fingerprint
    monkeypatch.setattr(mapped, "code_fingerprint", late)
    with pytest.raises(FileExistsError, match="another process"):
        write_mapped(tiny(), tmp_path / "map")
    assert [path.name for path in tmp_path.iterdir()] == ["map"]
    assert len(read_mapped(tmp_path / "map")["lots"]) == 2


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synced.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_mapped(tiny(), tmp_path / "map")
    assert list(tmp_path.iterdir()) == []


def test_mapped_histories_can_be_written_again(question: Case, tmp_path: Path) -> None:
    told = through(question.told, tmp_path)
    write_mapped(told, tmp_path / "again")
    same(read_mapped(tmp_path / "again"), told)


def test_every_listed_class_is_data_of_ours() -> None:
    assert all(name.startswith("features.") for name in CLASSES)
    assert {CLASSES["features.asof.Totals"], CLASSES["features.asof.Latest"]} == {Totals, Latest}


# Vocabularies

TEXTS = st.lists(
    st.text(st.characters(codec=None), max_size=4) | st.text("\0ab\ud800\udfff\uffff\U00010000", max_size=4)
)


@given(TEXTS, TEXTS)
def test_packed_texts_are_the_texts(texts: list[str], others: list[str]) -> None:
    right = Vocabulary(texts)
    found = Vocabulary(PackedTexts.of(right.texts))
    assert len(found) == len(right)
    assert list(found.texts) == list(right.texts)
    assert [found.code(text) for text in (*texts, *others, None)] == [
        right.code(text) for text in (*texts, *others, None)
    ]
    places = np.arange(-1, len(right))
    assert found.decode(places) == right.decode(places)
    assert found.texts[1:] == right.texts[1:] and found.texts[::-2] == right.texts[::-2]
    if texts:
        assert (found.texts[0], found.texts[-1]) == (right.texts[0], right.texts[-1])
    with pytest.raises(IndexError):
        found.texts[len(right)]


@given(st.lists(st.text("\0aé", max_size=2)), st.lists(st.none() | st.text("\0aé", max_size=2)), st.integers(1, 40))
def test_packed_texts_code_a_column_as_texts_do(texts: list[str], column: list[str | None], times: int) -> None:
    right = Vocabulary(texts)
    found = Vocabulary(PackedTexts.of(right.texts))
    for kind in (pa.string(), pa.large_string()):
        rows = pa.chunked_array([pa.array(column * times, kind)] * 2)
        assert found.encode(rows).tolist() == right.encode(rows).tolist()


def test_texts_of_several_blocks_come_in_order() -> None:
    texts = [f"lot é{number:06}" for number in range(10_000)]
    assert list(PackedTexts.of(texts)) == texts


def test_a_mapped_vocabulary_makes_no_text_before_it_is_asked(tmp_path: Path) -> None:
    told = through(tiny(), tmp_path)
    lots = told.ids["lot"]
    assert [lots.code("B"), lots.code("C")] == [1, -1]
    assert isinstance(lots.texts, PackedTexts) and lots._codes is None


# Hash


def test_the_hash_is_of_the_content(question: Case, tmp_path: Path) -> None:
    right = content_hash(question.told)
    assert content_hash(through(question.told, tmp_path)) == right
    assert content_hash(Histories(question.told.tables, question.told.ids)) == right
    backwards = {name: question.told[name] for name in reversed(list(question.told.tables))}
    assert content_hash(Histories(backwards, question.told.ids)) == right


def changed(**parts: Any) -> Histories:
    told = tiny()
    return Histories({"lots": replace(told["lots"], **parts)}, told.ids)


OTHERS = {
    "a value": changed(columns={**tiny()["lots"].columns, "quantity": np.array([3, 6])}),
    "a type": changed(columns={**tiny()["lots"].columns, "quantity": TWO.astype(float)}),
    "a name": changed(columns={"lot_id": np.array([0, 1]), "units": TWO, "colour": np.array([-1, 0])}),
    "a span": changed(superseded=np.array([FOREVER, 30])),
    "the spans' order": changed(first=np.array([20, 10])),
    "attributes": changed(attributes=()),
    "a text": changed(texts={"colour": Vocabulary(["blue"])}),
    "an order of rows": Histories({"lots": tiny()["lots"].take(np.array([1, 0]))}, tiny().ids),
    "a vocabulary": Histories(tiny().tables, {"lot": Vocabulary(["A", "C"])}),
    "where texts end": Histories(tiny().tables, {"lot": Vocabulary(["", "AB"])}),
    "a kind": Histories(tiny().tables, {"lots": Vocabulary(["A", "B"])}),
    "a table's name": Histories({"lot": tiny()["lots"]}, tiny().ids),
}


def test_the_hash_tells_all_of_it() -> None:
    assert len({content_hash(told) for told in (tiny(), *OTHERS.values())}) == 1 + len(OTHERS)
    assert content_hash(tiny(more=TWO)) == content_hash(tiny())


def test_a_column_of_one_value_hashes_as_the_rows_it_shows() -> None:
    columns = tiny()["lots"].columns
    wide = changed(columns={**columns, "flag": np.broadcast_to(np.array(-1), 2)})
    assert content_hash(wide) == content_hash(changed(columns={**columns, "flag": np.array([-1, -1])}))
