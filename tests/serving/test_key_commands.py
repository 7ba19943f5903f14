"""The commands about keys and the audit log, as they are called."""

import json
import sqlite3
from pathlib import Path

import pytest

from serving.audit import FIRST
from tests.command import done, lotrisk
from tests.small_site import write_site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_site(tmp_path / "site").folder


def key_of(folder: Path, *asked: str) -> tuple[str, str]:
    """(id, all of it) of a new key."""
    text = done("keys", "create", folder, *asked).out.strip()
    assert text.startswith("lr_") and "\n" not in text
    return text.split("_")[1], text


def listed(folder: Path) -> list[dict[str, object]]:
    return list(json.loads(done("keys", "list", folder, "--json").out))


def entries(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in done("audit", "show", folder, "--json").out.splitlines()]


def test_a_key_is_shown_once_and_its_life_is_recorded(folder: Path) -> None:
    key, text = key_of(folder, "--role", "line", "--name", "press 3", "--expires", "90d", "--body-mib", "1")
    heir = done("keys", "rotate", folder, key, "--overlap", "1h").out.strip().split("_")[1]
    done("keys", "revoke", folder, heir, "--reason", "lost")
    found = {one["id"]: one for one in listed(folder)}
    assert (found[key]["state"], found[heir]["state"], found[heir]["replaces"]) == ("active", "revoked", key)
    assert found[key]["body_bytes"] == 2**20 and "hash" not in found[key]
    told = [entry["body"] for entry in entries(folder)]
    assert [body["change"] for body in told] == ["created", "rotated", "revoked"]  # type: ignore[index]
    assert told[1]["previous"]["id"] == key and told[2]["reason"] == "lost"  # type: ignore[index]
    assert "press 3" in done("keys", "list", folder).out
    secret = text.split("_", 2)[2].encode()
    assert not [path for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("create", "--role", "boss", "--name", "x"), "--role boss: is no role; there are line, planner"),
        (("create", "--role", "line", "--name", " "), "--name: give 1 to 100 printable characters"),
        (("create", "--role", "line", "--name", "a\nb"), "--name: give 1 to 100 printable characters"),
        (("revoke", "nowhere"), "there is no key 'nowhere'"),
        (("rotate", "nowhere"), "there is no key 'nowhere'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_no_entry(asked: tuple[str, ...], said: str, folder: Path) -> None:
    told = lotrisk("keys", asked[0], folder, *asked[1:])
    assert told.status == 2 and said in told.err and told.err.count("\n") == 1
    assert entries(folder) == []


@pytest.mark.parametrize("option", ["--calls-per-second", "--body-mib"])
@pytest.mark.parametrize("value", ["inf", "nan", "-inf", "0", "-1"])
def test_a_limit_is_a_finite_number_above_0(option: str, value: str, folder: Path) -> None:
    told = lotrisk("keys", "create", folder, "--role", "line", "--name", "x", option, value)
    assert told.status == 2 and option in told.err and value in told.err, told
    assert listed(folder) == []


def test_a_key_is_shown_where_the_file_of_those_known_cannot_be_written(folder: Path) -> None:
    (folder / ".lotrisk").mkdir()
    (folder / ".lotrisk" / "serving").write_text("no folder")
    made = done("keys", "create", folder, "--role", "line", "--name", "press 3")
    key = made.out.strip().split("_")[1]
    heir = done("keys", "rotate", folder, key)
    revoked = done("keys", "revoke", folder, heir.out.strip().split("_")[1])
    for told in (made, heir, revoked):
        assert "warning: a start without the database does not know this" in told.err, told
    assert made.out.startswith("lr_") and heir.out.startswith("lr_")
    assert [one["state"] for one in listed(folder)] == ["active", "revoked"]


def test_a_revoked_key_is_not_rotated(folder: Path) -> None:
    key, _ = key_of(folder, "--role", "line", "--name", "x")
    done("keys", "revoke", folder, key)
    assert "is revoked already" in lotrisk("keys", "rotate", folder, key).err


@pytest.mark.parametrize("state", ["none", "revoked"])
def test_beyond_this_machine_it_does_not_start_without_a_key_that_holds(state: str, folder: Path) -> None:
    if state == "revoked":
        done("keys", "revoke", folder, key_of(folder, "--role", "admin", "--name", "x")[0])
    told = lotrisk("serve", folder, "--host", "0.0.0.0")
    assert told.status == 2 and told.err.count("\n") == 1
    assert f"make one first: lotrisk keys create {folder} --role admin --name NAME" in told.err


def test_the_log_is_verified_by_its_exit_status(folder: Path, tmp_path: Path) -> None:
    assert lotrisk("audit", "verify", folder).status == 2
    key_of(folder, "--role", "line", "--name", "x")
    head = tmp_path / "head.jsonl"
    done("audit", "head", folder, "--out", head)
    assert done("audit", "head", folder).out == head.read_text()
    assert done("audit", "verify", folder, "--head", head).out.startswith("good: 1 entries")
    key_of(folder, "--role", "line", "--name", "y")
    told = json.loads(done("audit", "verify", folder, "--json").out)
    assert told["good"] and told["entries"] == 2
    database = sqlite3.connect(folder / ".lotrisk" / "lotrisk.db")
    database.executescript("DROP TRIGGER audit_UPDATE; UPDATE audit SET actor = 'nobody' WHERE seq = 2")
    database.close()
    spoilt = lotrisk("audit", "verify", folder, "--head", head)
    assert spoilt.status == 1 and "changed 2: " in spoilt.out and "unguarded: " in spoilt.out
    assert lotrisk("audit", "verify", folder, "--head", tmp_path / "nowhere").status == 2
    head.write_text("no head\n")
    assert "line 1 is no head" in lotrisk("audit", "verify", folder, "--head", head).err


def test_entries_are_listed_by_kind_and_number(folder: Path) -> None:
    for name in ("x", "y"):
        key_of(folder, "--role", "line", "--name", name)
    assert done("audit", "show", folder, "--kind", "promotion").out == ""
    misspelt = lotrisk("audit", "show", folder, "--kind", "decisions")
    assert misspelt.status == 2 and "did you mean decision?" in misspelt.err
    (line,) = done("audit", "show", folder, "--since", "1").out.splitlines()
    assert line.startswith("2  ") and "command:" in line
    first = json.loads(done("audit", "show", folder, "--json").out.splitlines()[0])
    assert first["previous"] == FIRST and first["body"]["name"] == "x"
