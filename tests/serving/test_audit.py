"""The audit log: added to with what it records, verified, and every way of tampering named."""

import json
import math
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from features.database import open_database, writing
from features.errors import DatabaseUnreachable, LotRiskError
from serving import audit_check
from serving.audit import FIRST, append, body_text, entries, entry_of, hash_of, last_of, salted
from serving.audit_check import Checked, check_audit
from serving.damage import KINDS
from serving.heads import FILE, Head, head_of, read_heads, write_heads
from serving.migrate import migrate
from serving.tables import AUDIT, SALTS
from tests.serving.unsteady import postgres_schema

ENTRIES = 12
Rows = list[dict[str, Any]]


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A migrated database of the test's own with nothing in it."""
    if request.param == "sqlite":
        with opened(f"sqlite:///{tmp_path / 'lotrisk.db'}") as engine:
            yield engine
    else:
        with postgres_schema() as url, opened(url) as engine:
            yield engine


@contextmanager
def opened(url: str) -> Iterator[sa.Engine]:
    migrate(url)
    engine = open_database(url)
    try:
        yield engine
    finally:
        engine.dispose()


def fill(engine: sa.Engine, many: int = ENTRIES) -> None:
    for number in range(1, many + 1):
        with writing(engine) as connection:
            append(connection, kind="key", actor="key:a line 3", body={"number": number}, at=1_000 * number)


@contextmanager
def unguarded(engine: sa.Engine) -> Iterator[sa.Connection]:
    """As whoever owns the database: the guards are taken off, and put back as they were."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            asked = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
            guards = connection.exec_driver_sql(asked).all()
            for name, _ in guards:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
            yield connection
            for _, sql in guards:
                connection.exec_driver_sql(sql)
        else:
            connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER ALL")
            yield connection
            connection.exec_driver_sql("ALTER TABLE audit ENABLE TRIGGER ALL")


def rows_of(connection: sa.Connection) -> Rows:
    return [dict(row._mapping) for row in connection.execute(sa.select(AUDIT).order_by(AUDIT.c.seq))]


def put_in_place(connection: sa.Connection, rows: Rows) -> None:
    connection.execute(AUDIT.delete())
    if rows:
        connection.execute(AUDIT.insert(), rows)


def hashed(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The row with these changes and the hash that goes with them."""
    new = row | changes
    told = (new["seq"], new["at"], new["kind"], new["actor"], new["body"], new["previous"])
    return new | {"hash": hash_of(*told)}


def chained(rows: Rows) -> Rows:
    """Numbers, links and hashes made anew, as a program that knows how would."""
    previous, new = FIRST, []
    for seq, row in enumerate(rows, start=1):
        new.append(hashed(row, seq=seq, previous=previous))
        previous = new[-1]["hash"]
    return new


def found(checked: Checked) -> set[tuple[str, int | None]]:
    return {(one.kind, one.seq) for one in checked.damage}


def test_entries_follow_on_one_another(engine: sa.Engine) -> None:
    with writing(engine) as connection:
        first = append(connection, kind="key", actor="Žan", body={"b": 0.1 + 0.2, "a": "生产线"}, at=5)
        second = append(connection, kind="promotion", actor="registry", body={}, at=7)
        assert last_of(connection, "key") == first and last_of(connection, "override") is None
    assert (first.seq, first.previous, second.seq, second.previous) == (1, FIRST, 2, first.hash)
    assert first.body == {"a": "生产线", "b": 0.30000000000000004}
    assert entry_of(engine, 2) == second and entry_of(engine, 3) is None
    assert list(entries(engine, since=1)) == [second] and list(entries(engine, kind="key")) == [first]
    assert check_audit(engine, Path("nowhere")) == Checked(2, 2, 0, 0)


def test_an_empty_log_is_good(engine: sa.Engine) -> None:
    assert check_audit(engine, Path("nowhere")).good
    assert head_of(engine) is None


def test_what_it_records_and_the_entry_are_kept_both_or_neither(engine: sa.Engine) -> None:
    with pytest.raises(ValueError, match="broken"), writing(engine) as connection:
        append(connection, kind="key", actor="me", body={}, at=1)
        raise ValueError("broken")
    assert entry_of(engine, 1) is None


def test_a_clock_that_steps_back_does_not_turn_the_order(engine: sa.Engine) -> None:
    with writing(engine) as connection:
        at = [append(connection, kind="key", actor="me", body={}, at=moment).at for moment in (50, 20, 60)]
    assert at == [50, 50, 60] and check_audit(engine, Path("nowhere")).good


@pytest.mark.parametrize("body", [{"risk": math.nan}, {"risk": math.inf}])
def test_what_json_cannot_say_is_refused(body: dict[str, float], engine: sa.Engine) -> None:
    with pytest.raises(ValueError, match="JSON compliant"), writing(engine) as connection:
        append(connection, kind="key", actor="me", body=body, at=1)


def test_a_kind_that_there_is_not_is_refused(engine: sa.Engine) -> None:
    told = "desicion is no kind of audit entry; there are decision, "
    with pytest.raises(ValueError, match=told), writing(engine) as connection:
        append(connection, kind="desicion", actor="me", body={}, at=1)


def test_any_text_can_stand_in_a_body(engine: sa.Engine) -> None:
    text = "a\x00b \ud800 \u2028 \"'; DROP TABLE audit; -- 🔩"
    with writing(engine) as connection:
        append(connection, kind="key", actor="me", body={"name": text}, at=1)
    entry = entry_of(engine, 1)
    assert entry is not None and entry.body == {"name": text}
    assert check_audit(engine, Path("nowhere")).good


# Attacks: each takes the rows and gives those that stand there afterwards; then what has to be named.


def _changed(column: str, value: Any, *, seq: int = 5) -> Callable[[Rows], Rows]:
    return lambda rows: [row | ({column: value} if row["seq"] == seq else {}) for row in rows]


def _rehashed(column: str, value: Any, *, seq: int) -> Callable[[Rows], Rows]:
    return lambda rows: [hashed(row, **{column: value}) if row["seq"] == seq else row for row in rows]


def _without(*gone: int, renumbered: bool = False) -> Callable[[Rows], Rows]:
    def left(rows: Rows) -> Rows:
        rows = [row for row in rows if row["seq"] not in gone]
        return [row | {"seq": seq} for seq, row in enumerate(rows, start=1)] if renumbered else rows

    return left


def _inserted(at: int, *, many: int = 1) -> Callable[[Rows], Rows]:
    def more(rows: Rows) -> Rows:
        new, previous = [], rows[at - 2]["hash"] if at > 1 else FIRST
        for seq in range(at, at + many):
            new.append(hashed(rows[at - 1], seq=seq, previous=previous, body='{"forged":1}'))
            previous = new[-1]["hash"]
        return [*rows[: at - 1], *new, *(row | {"seq": row["seq"] + many} for row in rows[at - 1 :])]

    return more


def _swapped(one: int, other: int) -> Callable[[Rows], Rows]:
    swap = {one: other, other: one}
    return lambda rows: [row | {"seq": swap.get(row["seq"], row["seq"])} for row in rows]


def _moved_back(rows: Rows) -> Rows:
    """Entry 3 stands at 7, those after it come forward."""
    new = {3: 7, 4: 3, 5: 4, 6: 5, 7: 6}
    return [row | {"seq": new.get(row["seq"], row["seq"])} for row in rows]


def _texts_swapped(rows: Rows) -> Rows:
    bodies = {4: rows[8]["body"], 9: rows[3]["body"]}
    return [row | {"body": bodies.get(row["seq"], row["body"])} for row in rows]


def _times_turned(rows: Rows) -> Rows:
    return chained([row | {"at": 1 if row["seq"] == 6 else row["at"]} for row in rows])


ATTACKS: dict[str, tuple[Callable[[Rows], Rows], set[tuple[str, int | None]]]] = {
    "body": (_changed("body", '{"number":50}'), {("changed", 5)}),
    "body, a space": (_changed("body", '{"number": 5}'), {("changed", 5)}),
    "actor": (_changed("actor", "key:b somebody else"), {("changed", 5)}),
    "kind": (_changed("kind", "decision"), {("changed", 5)}),
    "at": (_changed("at", 4_999), {("changed", 5)}),
    "previous": (_changed("previous", FIRST), {("changed", 5)}),
    "hash": (_changed("hash", "f" * 64), {("changed", 5)}),
    "hash of another": (lambda rows: _changed("hash", rows[2]["hash"])(rows), {("changed", 5)}),
    "first": (_changed("body", "{}", seq=1), {("changed", 1)}),
    "last": (_changed("body", "{}", seq=ENTRIES), {("changed", ENTRIES)}),
    "hashed anew": (_rehashed("body", "{}", seq=5), {("changed", 5)}),
    "first hashed anew": (_rehashed("actor", "nobody", seq=1), {("changed", 1)}),
    "texts exchanged": (_texts_swapped, {("changed", 4), ("changed", 9)}),
    "one removed": (_without(5), {("removed", 5)}),
    "three removed": (_without(5, 6, 7), {("removed", 5)}),
    "first removed": (_without(1), {("removed", 1)}),
    "removed, renumbered": (_without(5, renumbered=True), {("removed", 5)}),
    "three removed, renumbered": (_without(5, 6, 7, renumbered=True), {("removed", 5)}),
    "two places removed, renumbered": (_without(4, 8, renumbered=True), {("removed", 4), ("removed", 7)}),
    "first removed, renumbered": (_without(1, renumbered=True), {("removed", 1)}),
    "last but one removed, renumbered": (_without(ENTRIES - 1, renumbered=True), {("removed", ENTRIES - 1)}),
    "one inserted": (_inserted(5), {("inserted", 5)}),
    "three inserted": (_inserted(5, many=3), {("inserted", 5)}),
    "inserted first": (_inserted(1), {("inserted", 1)}),
    "number zero": (lambda rows: [hashed(rows[0], seq=0), *rows], {("inserted", None)}),
    "number below zero": (lambda rows: [hashed(rows[0], seq=-3), *rows], {("inserted", None)}),
    "far beyond": (lambda rows: [*rows, rows[4] | {"seq": 10**6}], {("removed", 13), ("inserted", 10**6)}),
    "forged at the end": (lambda rows: [*rows, rows[4] | {"seq": 13, "previous": rows[-1]["hash"]}], {("changed", 13)}),
    "a copy at the end": (lambda rows: [*rows, rows[4] | {"seq": 13}], {("inserted", 13)}),
    "a copy after a gap": (lambda rows: [*rows[:10], rows[4] | {"seq": 13}], {("removed", 11), ("inserted", 13)}),
    "a copy over another": (lambda rows: [*rows[:8], rows[4] | {"seq": 9}, *rows[9:]], {("inserted", 9)}),
    "all once more": (
        lambda rows: [*rows, *(row | {"seq": row["seq"] + ENTRIES} for row in rows)],
        {("inserted", seq) for seq in range(ENTRIES + 1, 2 * ENTRIES + 1)},
    ),
    "neighbours swapped": (_swapped(5, 6), {("reordered", 5), ("reordered", 6)}),
    "far ones swapped": (_swapped(2, 11), {("reordered", 2), ("reordered", 11)}),
    "last two swapped": (_swapped(11, 12), {("reordered", 11), ("reordered", 12)}),
    "one moved": (_moved_back, {("reordered", seq) for seq in (3, 4, 5, 6, 7)}),
    "time turned, all hashed anew": (_times_turned, {("reordered", 6)}),
}


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_attack_is_named_with_its_entry(attack: str, engine: sa.Engine, tmp_path: Path) -> None:
    done, named = ATTACKS[attack]
    fill(engine)
    with unguarded(engine) as connection:
        put_in_place(connection, done(rows_of(connection)))
    assert found(check_audit(engine, tmp_path)) == named


@pytest.mark.parametrize("column", ["body", "actor", "kind", "hash", "previous"])
def test_an_entry_that_is_no_text_any_more_is_named_and_the_others_are_looked_at(column: str, tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'lotrisk.db'}") as engine:
        fill(engine)
        with unguarded(engine) as connection:
            for seq in (5, 9):
                broken = sa.text(f"UPDATE audit SET {column} = cast(x'7bff0{seq}' as text) WHERE seq = :seq")
                connection.execute(broken, {"seq": seq})
        assert found(check_audit(engine, tmp_path)) == {("changed", 5), ("changed", 9)}


def test_salts_that_are_no_text_any_more_are_named(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'lotrisk.db'}") as engine:
        with writing(engine) as connection:
            for number in (1, 2):
                stands = salted(connection, "It leaks.", table="returns", key=f"R-{number}")
                append(connection, kind="arrivals", actor="me", body={"description": stands}, at=1)
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE salts SET hash = cast(x'ff' as text) WHERE key = 'R-1'"))
        assert found(check_audit(engine, tmp_path)) == {("salt", None), ("salt", 1)}


def _rewritten(rows: Rows) -> Rows:
    return chained([row | ({"body": '{"number":70}'} if row["seq"] == 7 else {}) for row in rows])


AGAINST_HEADS: dict[str, tuple[Callable[[Rows], Rows], set[tuple[str, int | None]]]] = {
    "tail cut": (_without(11, 12), {("cut_tail", 11)}),
    "all gone": (lambda _: [], {("cut_tail", 1)}),
    "tail cut, others added": (lambda rows: chained([*rows[:10], rows[9], rows[9]]), {("rewritten", 12)}),
    "one changed, all hashed anew": (_rewritten, {("rewritten", 9)}),
    "one removed, all hashed anew": (
        lambda rows: chained([*rows[:6], *rows[7:]]),
        {("rewritten", 9), ("cut_tail", 12)},
    ),
    "one inserted, all hashed anew": (lambda rows: chained([*rows[:6], rows[5], *rows[6:]]), {("rewritten", 9)}),
    "two swapped, all hashed anew": (
        lambda rows: chained([*rows[:5], rows[6] | {"at": 6_000}, rows[5] | {"at": 7_000}, *rows[7:]]),
        {("rewritten", 9)},
    ),
    "whole chain of another": (lambda rows: chained([row | {"actor": "x"} for row in rows]), {("rewritten", 4)}),
    "last hashed anew": (_rehashed("body", "{}", seq=12), {("rewritten", 12)}),
}
KEPT = (4, 9, 12)


@pytest.mark.parametrize("where", ["file", "elsewhere"])
@pytest.mark.parametrize("attack", AGAINST_HEADS, ids=str)
def test_a_cut_tail_and_a_rewritten_chain_show_against_kept_heads(
    attack: str, where: str, engine: sa.Engine, tmp_path: Path
) -> None:
    kept = []
    for number in range(1, ENTRIES + 1):
        with writing(engine) as connection:
            append(connection, kind="key", actor="me", body={"number": number}, at=1_000 * number)
        if number in KEPT:
            assert write_heads(engine, tmp_path)
            kept.append(head_of(engine))
    heads = [head for head in kept if head is not None]
    assert [head for _, head in read_heads(tmp_path / FILE, ended=True)] == heads
    assert check_audit(engine, tmp_path, kept=heads) == Checked(ENTRIES, ENTRIES, 6, 0)
    done, named = AGAINST_HEADS[attack]
    with unguarded(engine) as connection:
        put_in_place(connection, done(rows_of(connection)))
    assert check_audit(engine, tmp_path / "nowhere").good or attack == "last hashed anew"
    if where == "file":
        assert found(check_audit(engine, tmp_path)) == named
    else:
        assert found(check_audit(engine, tmp_path / "nowhere", kept=heads)) == named


def _guards_off(connection: sa.Connection, sqlite: str, postgresql: str) -> None:
    connection.exec_driver_sql(sqlite if connection.dialect.name == "sqlite" else postgresql)


@pytest.mark.parametrize(
    ("sqlite", "postgresql", "many"),
    [
        ("DROP TRIGGER audit_UPDATE", "ALTER TABLE audit DISABLE TRIGGER ALL", (1, 2)),
        (
            "DROP TRIGGER audit_DELETE",
            "CREATE OR REPLACE FUNCTION audit_is_only_added_to() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RETURN NULL; END $$",
            (1, 2),
        ),
        ("DROP TRIGGER audit_UPDATE", "DROP TRIGGER audit_only_added_to ON audit", (1, 2)),
    ],
)
def test_a_guard_that_is_gone_is_named(
    sqlite: str, postgresql: str, many: tuple[int, int], engine: sa.Engine, tmp_path: Path
) -> None:
    fill(engine)
    with engine.begin() as connection:
        _guards_off(connection, sqlite, postgresql)
    checked = check_audit(engine, tmp_path)
    assert found(checked) == {("unguarded", None)}
    assert len(checked.damage) == many[engine.dialect.name == "postgresql"]


SALT_ATTACKS: dict[str, tuple[Any, set[tuple[str, int | None]]]] = {
    "salt": (lambda: SALTS.update().values(salt=b"x" * 32), {("salt", None)}),
    "key": (lambda: SALTS.update().values(key="R-2"), {("salt", None)}),
    "table": (lambda: SALTS.update().values(table="surveys"), {("salt", None)}),
    "hash": (lambda: SALTS.update().values(hash="salted:" + "0" * 128), {("salt", None), ("salt", 1)}),
    "gone": (lambda: SALTS.delete(), {("salt", 1)}),
}


@pytest.mark.parametrize("attack", SALT_ATTACKS, ids=str)
def test_a_salt_that_was_changed_or_is_gone_without_an_erasure_is_named(
    attack: str, engine: sa.Engine, tmp_path: Path
) -> None:
    with writing(engine) as connection:
        stands = salted(connection, "It leaks.", table="returns", key="R-1")
        append(connection, kind="arrivals", actor="me", body={"description": stands}, at=1)
    assert check_audit(engine, tmp_path).good
    change, named = SALT_ATTACKS[attack]
    with engine.begin() as connection:
        connection.execute(change())
    assert found(check_audit(engine, tmp_path)) == named


def test_every_kind_of_damage_is_attacked() -> None:
    cases = [named for _, named in (*ATTACKS.values(), *AGAINST_HEADS.values(), *SALT_ATTACKS.values())]
    assert {kind for named in cases for kind, _ in named} | {"unguarded", "head"} == set(KINDS)


def test_a_changed_file_of_heads_is_named_and_a_torn_last_line_is_not(engine: sa.Engine, tmp_path: Path) -> None:
    fill(engine, 3)
    write_heads(engine, tmp_path)
    file = tmp_path / FILE
    with file.open("a") as heads:
        heads.write('{"seq": 3, "ha')
    assert check_audit(engine, tmp_path).good
    fill(engine, 1)
    assert write_heads(engine, tmp_path) and not write_heads(engine, tmp_path)
    assert [json.loads(line)["seq"] for line in file.read_text().splitlines()] == [3, 4]
    file.write_text("no head\n" + file.read_text())
    assert found(check_audit(engine, tmp_path)) == {("head", None)}


def test_no_head_is_written_of_a_log_that_did_not_grow(engine: sa.Engine, tmp_path: Path) -> None:
    assert not write_heads(engine, tmp_path)
    fill(engine, 1)
    assert [write_heads(engine, tmp_path) for _ in range(3)] == [True, False, False]


def test_whoever_words_a_reason_cannot_make_up_a_salted_text(engine: sa.Engine, tmp_path: Path) -> None:
    with writing(engine) as connection:
        append(connection, kind="override", actor="me", body={"reason": "salted:" + "0" * 128}, at=1)
    assert check_audit(engine, tmp_path).good


def test_a_log_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'nowhere.db'}")
    with pytest.raises(DatabaseUnreachable, match=r"nowhere\.db"):
        check_audit(engine, tmp_path)
    with pytest.raises(LotRiskError, match="cannot be read"):
        list(read_heads(tmp_path / "nowhere", ended=False))


def test_it_reads_in_chunks_and_what_is_added_meanwhile_does_no_harm(
    engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_check, "CHUNK", 5)
    fill(engine)
    write_heads(engine, tmp_path)
    assert check_audit(engine, tmp_path, kept=[Head(3, hash_at(engine, 3), "")]) == Checked(ENTRIES, ENTRIES, 2, 0)
    with unguarded(engine) as connection:
        put_in_place(connection, _without(5, renumbered=True)(rows_of(connection)))
    assert ("removed", 5) in found(check_audit(engine, tmp_path))


def hash_at(engine: sa.Engine, seq: int) -> str:
    entry = entry_of(engine, seq)
    assert entry is not None
    return entry.hash


TEXTS = st.text(string.printable.replace("\x0b", "").replace("\x0c", ""), max_size=70) | st.sampled_from(
    [FIRST, "key", "decision", "{}"]
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    with opened(f"sqlite:///{tmp_path_factory.mktemp('audit') / 'lotrisk.db'}") as engine:
        fill(engine)
        yield engine


@settings(max_examples=300, deadline=None)
@given(data=st.data(), seq=st.integers(1, ENTRIES), column=st.sampled_from([one.name for one in AUDIT.c]))
def test_any_single_change_of_any_entry_is_found(data: st.DataObject, seq: int, column: str, filled: sa.Engine) -> None:
    with filled.connect() as connection:
        rows = rows_of(connection)
    values: st.SearchStrategy[Any] = st.integers(-(2**63), 2**63 - 1) if column in ("seq", "at") else TEXTS
    value = data.draw(values.filter(lambda new: new != rows[seq - 1][column]))
    free = [row for row in rows if column != "seq" or row["seq"] != value]  # of two of one number one goes
    with unguarded(filled) as connection:
        put_in_place(connection, [row | {column: value} if row["seq"] == seq else row for row in free])
    checked = check_audit(filled, Path("nowhere"))
    with unguarded(filled) as connection:
        put_in_place(connection, rows)
    assert not checked.good
    assert check_audit(filled, Path("nowhere")).good


def test_bodies_are_stored_in_one_way_only() -> None:
    assert body_text({"b": [1, 2.5, None, True], "a": "é"}) == '{"a":"\\u00e9","b":[1,2.5,null,true]}'
