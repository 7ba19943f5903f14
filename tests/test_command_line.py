"""Every command as it is called: its files, its exit status, and one line for each fault."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from tests.command import done, few_trees, lotrisk, registry, with_registry
from tests.small_site import LABEL, LOTS, RETURNS, write_site
from tests.toy_model import MLFLOW_WARNS
from training.factory import make_factory

pytestmark = MLFLOW_WARNS
__all__ = ["few_trees", "registry"]

SCORES = (
    "lot_id", "as_of", "risk", "decision", "expected_cost", "reasons", "model_version", "features_as_of", "warnings",
    "expected_saving", "risk_low", "risk_high",
)  # fmt: skip
BACKTEST = ("lot_id", "as_of", "risk", "failed", "model", "trained_until")
UNTIL = "2026-05-01T06:30:00Z"


@pytest.fixture(scope="module")
def untrained(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A factory of which nothing was learned yet."""
    site = make_factory(tmp_path_factory.mktemp("site") / "valves", seed=0, today=date(2026, 9, 1), lots=400)
    return with_registry(site, registry)


@pytest.fixture(scope="module")
def site(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two versions, the second of which is champion."""
    copy = tmp_path_factory.mktemp("trained") / "valves"
    shutil.copytree(untrained, copy)
    for version in ("1", "2"):
        told = json.loads(done("train", copy, "--until", UNTIL, "--json").out)
        assert told["version"] == version
        done("promote", copy, version)
    return copy


def rows(out: Path) -> list[dict[str, Any]]:
    """A CSV as it is written, null where a field is empty; a Parquet file with its types."""
    if out.suffix == ".parquet":
        return pa.parquet.read_table(out).to_pylist()
    names = pa.csv.read_csv(out).column_names
    text = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
    return pa.csv.read_csv(out, convert_options=text).to_pylist()


def scored(site: Path, out: Path, *options: Any, stdin: str | None = None) -> list[dict[str, Any]]:
    done("score", site, "--out", out, *options, stdin=stdin)
    found = rows(out)
    return [row | {name: json.loads(row[name]) for name in ("reasons", "warnings")} for row in found]


def codes(row: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in row["warnings"]]


def one_line(ran: Any, status: int = 2) -> str:
    """What standard error says of a fault, which is one line and no more."""
    assert ran.status == status, ran.err
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("lotrisk: ")
    return lines[0]


# score


def test_scores_have_their_columns_in_order_and_their_types(site: Path, tmp_path: Path) -> None:
    done("score", site, "--as-of", UNTIL, "--out", tmp_path / "out.parquet")
    schema = pa.parquet.read_schema(tmp_path / "out.parquet")
    assert tuple(schema.names[: len(SCORES)]) == SCORES
    assert schema.field("risk").type == schema.field("expected_cost").type == pa.float64()
    assert schema.field("as_of").type == schema.field("features_as_of").type == pa.timestamp("us", "UTC")
    texts = {"lot_id", "decision", "reasons", "model_version", "warnings"}
    assert {schema.field(name).type for name in texts} == {pa.string()}


def test_csv_and_parquet_say_the_same(site: Path, tmp_path: Path) -> None:
    by_ending = [scored(site, tmp_path / name, "--as-of", UNTIL) for name in ("out.csv", "out.parquet")]
    numbers = ("risk", "expected_cost", "expected_saving", "risk_low", "risk_high")
    written = [{**row, **{name: row[name] and float(row[name]) for name in numbers}} for row in by_ending[0]]
    for row in by_ending[1]:
        for name in ("as_of", "features_as_of"):
            row[name] = row[name].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert written == by_ending[1]
    assert {row["as_of"] for row in written} == {UNTIL}
    assert len(written) > 3
    assert all(row["features_as_of"] < UNTIL for row in written)


def test_a_champion_scores_with_reasons_and_decides(site: Path, tmp_path: Path) -> None:
    found = scored(site, tmp_path / "out.parquet", "--as-of", UNTIL, "--reasons", "3")
    assert {row["model_version"] for row in found} == {"2"}
    assert {row["decision"] for row in found} <= {"release", "inspect", "hold"}
    assert all(0 < row["risk"] < 1 and len(row["reasons"]) <= 3 for row in found)
    assert all(
        set(reason) == {"feature", "text", "value", "contribution"} for row in found for reason in row["reasons"]
    )
    assert [row["risk"] for row in found] == sorted((row["risk"] for row in found), reverse=True)


def test_named_lots_come_in_their_order_once_each_and_the_unknown_without_risk(site: Path, tmp_path: Path) -> None:
    named = ["L000300", "nobody's", "L000007", "L000300", "", "L000399", "L000007"]
    (tmp_path / "lots.txt").write_text("\n".join(named), encoding="utf-8")
    found = scored(site, tmp_path / "out.parquet", "--as-of", UNTIL, "--lots", tmp_path / "lots.txt")
    assert [row["lot_id"] for row in found] == ["L000300", "nobody's", "L000007", "L000399"]
    assert [row["risk"] is None for row in found] == [False, True, False, True]  # L000399 is made later
    assert [found[place]["decision"] for place in (1, 3)] == ["cannot_assess"] * 2
    assert [found[place]["expected_cost"] for place in (1, 3)] == [None] * 2
    assert [codes(found[place]) for place in (1, 3)] == [["unknown_lot"]] * 2
    assert "past_judgement" in codes(found[2])
    read = scored(site, tmp_path / "same.parquet", "--as-of", UNTIL, "--lots", "-", stdin="\n".join(named))
    assert read == found


def test_no_lots_are_a_file_without_rows(site: Path, tmp_path: Path) -> None:
    done("score", site, "--as-of", UNTIL, "--lots", "-", "--out", tmp_path / "out.csv", stdin="\n")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").count("\n") == 1


def test_a_champion_trained_later_says_so(site: Path, tmp_path: Path) -> None:
    before = scored(site, tmp_path / "before.csv", "--as-of", "2026-05-01T06:29:59Z")
    assert all("trained_later" in codes(row) for row in before)
    assert not any("trained_later" in codes(row) for row in scored(site, tmp_path / "at.csv", "--as-of", UNTIL))


def test_without_a_champion_the_shrunk_rate_orders_and_nothing_is_decided(untrained: Path, tmp_path: Path) -> None:
    found = scored(untrained, tmp_path / "out.parquet", "--as-of", UNTIL)
    assert {row["model_version"] for row in found} == {"shrunk_product"}
    assert {row["decision"] for row in found} == {"cannot_assess"}
    assert all(0 < row["risk"] < 1 and "no_champion" in codes(row) and row["reasons"] == [] for row in found)


def test_the_rate_that_training_chose_is_the_one_used(untrained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(untrained, copy)
    (copy / ".lotrisk" / "rate").write_text("shrunk_line\n", encoding="utf-8")
    assert {row["model_version"] for row in scored(copy, tmp_path / "out.csv", "--as-of", UNTIL)} == {"shrunk_line"}


def test_a_date_is_its_start_in_the_sites_time_zone(site: Path, tmp_path: Path) -> None:
    for said, read in (
        ("2026-05-02", "2026-05-01T22:00:00Z"),
        ("2026-05-02 01:00", "2026-05-01T23:00:00Z"),
        ("2026-05-02T01:00:00+03:00", "2026-05-01T22:00:00Z"),
    ):
        assert {row["as_of"] for row in scored(site, tmp_path / "out.csv", "--as-of", said)} == {read}


def test_the_present_is_the_default_and_no_wall_clock_stands_in_the_file(site: Path, tmp_path: Path) -> None:
    found = scored(site, tmp_path / "out.parquet", "--lots", "-", stdin="L000007")[0]
    assert abs(found["as_of"] - datetime.now(UTC)) < timedelta(minutes=10)
    for _ in range(2):
        done("score", site, "--as-of", UNTIL, "--out", tmp_path / "same.csv")
        assert (tmp_path / "same.csv").read_bytes() == _kept(tmp_path / "kept.csv", tmp_path / "same.csv")


def _kept(file: Path, first: Path) -> bytes:
    if not file.exists():
        shutil.copy(first, file)
    return file.read_bytes()


# train, models, promote, rollback


def test_the_same_data_and_settings_give_the_same_model_byte_for_byte(site: Path) -> None:
    first, second = (site / ".lotrisk" / "bundles" / version for version in ("1", "2"))
    assert sorted(path.name for path in first.iterdir()) == [
        "card.json",
        "golden.json",
        "model.txt",
        "reference.parquet",
    ]
    for name in ("model.txt", "golden.json", "reference.parquet"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_train_exits_0_when_it_does_not_promote(untrained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(untrained, copy)
    told = json.loads(done("train", copy, "--until", "2025-09-01", "--json").out)
    assert told["promoted"] is False
    assert any("20 are needed" in reason for reason in told["reasons"])
    assert not (copy / ".lotrisk" / "champion").exists()
    assert (copy / ".lotrisk" / "rate").read_text(encoding="utf-8").startswith("shrunk_")
    listed = json.loads(done("models", copy, "--json").out)
    assert [(one["number"], one["champion"], one["promote"]) for one in listed] == [("1", False, False)]


def test_too_little_to_train_is_one_line_and_leaves_nothing(untrained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(untrained, copy)
    before = files(copy)
    said = one_line_of_a_long_job(lotrisk("train", copy, "--until", "2024-01-15"))
    assert "at least 10 of each are needed" in said
    assert files(copy) == before


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def one_line_of_a_long_job(ran: Any) -> str:
    """The fault's one line, alone: into a pipe a job does not say how far it was."""
    assert ran.status == 2, ran.err
    faults = [line for line in ran.err.splitlines() if line.startswith("lotrisk: ")]
    assert len(faults) == 1
    assert ran.err.splitlines() == faults
    assert "Traceback" not in ran.err
    return faults[0]


def test_models_lists_promote_and_rollback_move(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "valves"
    shutil.copytree(site, copy)

    def champions() -> list[tuple[str, bool]]:
        return [(one["number"], one["champion"]) for one in json.loads(done("models", copy, "--json").out)]

    assert champions() == [("2", True), ("1", False)]
    assert "in place of 2" in done("promote", copy, "1", "--reason", "asked for by the plant").out
    assert champions() == [("2", False), ("1", True)]
    assert (copy / ".lotrisk" / "champion").read_text(encoding="utf-8") == "1\n"
    assert "version 2 is champion again" in done("rollback", copy).out
    assert champions() == [("2", True), ("1", False)]
    shown = done("models", copy).out
    assert "champion" in shown
    assert "2026-05-01 06:30" in shown
    assert "There are versions 1, 2" in one_line(lotrisk("promote", copy, "7"))
    assert champions() == [("2", True), ("1", False)]


def test_challenge_names_a_version_beside_the_champion_and_ends_it(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "valves"
    shutil.copytree(site, copy)

    def challengers() -> list[tuple[str, str]]:
        found = json.loads(done("models", copy, "--json").out)
        return [(one["number"], one["challenged_because"]) for one in found if one["challenger"]]

    assert "version 1 is challenger" in done("challenge", copy, "1", "--reason", "the older, for a month").out
    assert challengers() == [("1", "the older, for a month")]
    assert (copy / ".lotrisk" / "challenger").read_text(encoding="utf-8") == "1\n"
    shown = done("models", copy).out
    assert "challenger" in shown and "the older" in shown
    assert "challenger: too_few; version 1 beside 2" in done("monitor", copy).out
    assert "version 2 of" in one_line(lotrisk("challenge", copy, "2"))
    for wrong in ((), ("1", "--none")):
        assert "Give a VERSION, or --none" in one_line(lotrisk("challenge", copy, *wrong))
    assert "version 1 challenges no more" in done("challenge", copy, "--none").out
    assert "there was no challenger" in done("challenge", copy, "--none").out
    assert challengers() == []
    assert "challenger:" not in done("monitor", copy).out


def test_scoring_needs_no_registry(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "valves"
    shutil.copytree(site, copy)
    (copy / ".lotrisk" / "mlflow.db").unlink()
    assert scored(copy, tmp_path / "out.csv", "--as-of", UNTIL) == scored(site, tmp_path / "same.csv", "--as-of", UNTIL)


def test_a_champion_whose_bundle_is_lost_or_spoilt_is_one_line(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "valves"
    shutil.copytree(site, copy)
    model = copy / ".lotrisk" / "bundles" / "2" / "model.txt"
    model.write_bytes(model.read_bytes()[:-1])
    asked = ("score", copy, "--as-of", UNTIL, "--out", tmp_path / "out.csv")
    assert "model.txt is not the file" in one_line(lotrisk(*asked))
    shutil.rmtree(model.parent)
    assert "names version 2" in one_line(lotrisk(*asked))
    assert not (tmp_path / "out.csv").exists()


# backtest


def test_backtest_writes_its_columns_for_every_eligible_judgement(site: Path, tmp_path: Path) -> None:
    asked = ("backtest", site, "--from", "2025-06-01", "--until", UNTIL, "--step", "180d")
    told = json.loads(done(*asked, "--out", tmp_path / "out.parquet", "--json").out)
    schema = pa.parquet.read_schema(tmp_path / "out.parquet")
    assert tuple(schema.names[: len(BACKTEST)]) == BACKTEST
    assert schema.field("as_of").type == schema.field("trained_until").type == pa.timestamp("us", "UTC")
    assert (schema.field("risk").type, schema.field("lot_id").type) == (pa.float64(), pa.string())
    found = rows(tmp_path / "out.parquet")
    assert told["judgements"] == len(found) > 50
    assert len({(row["lot_id"], row["as_of"]) for row in found}) == len(found)
    assert all(row["risk"] is not None and row["trained_until"] <= row["as_of"] for row in found)
    assert told["labelled"] == sum(row["failed"] is not None for row in found)
    starts = sorted({row["trained_until"] for row in found})
    assert starts[0] == datetime(2025, 5, 31, 22, tzinfo=UTC)
    assert {later - starts[0] for later in starts} <= {timedelta(days=180 * step) for step in range(3)}
    done(*asked, "--out", tmp_path / "out.csv")
    written = rows(tmp_path / "out.csv")
    assert [float(row["risk"]) for row in written] == [row["risk"] for row in found]
    assert written[0]["as_of"] == found[0]["as_of"].strftime("%Y-%m-%dT%H:%M:%SZ")


def test_backtest_says_what_score_would_have_said(site: Path, tmp_path: Path) -> None:
    """Its first step scores with the model that `train` makes of the same moment."""
    asked = ("--from", UNTIL, "--until", "2026-08-01", "--step", "365d", "--out", tmp_path / "backtest.parquet")
    done("backtest", site, *asked)
    for row in rows(tmp_path / "backtest.parquet")[::9]:
        as_of = row["as_of"].isoformat()
        out = scored(site, tmp_path / "score.parquet", "--as-of", as_of, "--lots", "-", stdin=row["lot_id"])
        assert [(one["as_of"], one["risk"]) for one in out] == [(row["as_of"], row["risk"])]


def test_a_step_that_cannot_train_names_the_rate_it_took(site: Path, tmp_path: Path) -> None:
    asked = ("--from", "2023-10-01", "--until", "2024-06-01", "--step", "120d", "--json", "--out", tmp_path / "out.csv")
    told = json.loads(done("backtest", site, *asked).out)
    assert set(told["steps"]) == {"shrunk_product"}
    assert {row["model"] for row in rows(tmp_path / "out.csv")} == {"shrunk_product"}


# check, init, demo


def test_check_says_what_is_there_and_exits_1_when_a_table_is_unusable(tmp_path: Path) -> None:
    site = write_site(tmp_path / "good")
    told = done("check", site.folder, "--json")
    assert json.loads(told.out)["tables"]["lots"]["kept"] == 2
    assert json.loads(told.out)["ok"] is True
    bad = write_site(tmp_path / "bad", lots=LOTS.replace("produced_at", "made_at"))
    ran = lotrisk("check", bad.folder, "--json")
    assert ran.status == 1
    assert json.loads(ran.out)["ok"] is False
    assert "lots.produced_at: the column is missing" in ran.err.splitlines()[-1]
    assert lotrisk("check", write_site(tmp_path / "none", returns="").folder).status == 1


def test_check_lists_what_is_quarantined(tmp_path: Path) -> None:
    site = write_site(tmp_path, returns=RETURNS + "    R2,nobody's,2024-04-01,2024-04-02\n")
    told = json.loads(done("check", site.folder, "--json").out)
    assert told["tables"]["returns"]["quarantined"]["unknown lot"]["count"] == 1
    assert "R2" in (tmp_path / ".lotrisk" / "quarantine" / "returns.csv").read_text(encoding="utf-8")


def test_init_writes_a_site_that_check_reads(tmp_path: Path) -> None:
    done("init", tmp_path / "new")
    site = write_site(tmp_path / "small")
    shutil.copy(tmp_path / "new" / "lotrisk.toml", site.folder)
    done("check", site.folder)
    assert "is there already" in one_line(lotrisk("init", tmp_path / "new"))


def test_the_demo_ends_by_itself(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "demo"
    with prepared(folder, registry):
        told = done("demo", "--lots", "300", "--no-serve", "--folder", folder)
    assert (folder / "lotrisk.toml").is_file()
    assert [tuple(rows(folder / name)[0]) for name in ("scores.csv", "backtest.csv")] == [SCORES, BACKTEST]
    for step in ("lotrisk check", "lotrisk train", "lotrisk backtest", "lotrisk score", "open lots"):
        assert step in told.out
    assert "is no demo's" in one_line(lotrisk("demo", "--no-serve", "--folder", tmp_path))


@contextmanager
def prepared(folder: Path, registry: Path) -> Iterator[None]:
    """The demo makes its folder anew: MLflow's empty database is put there by way of the environment."""
    with pytest.MonkeyPatch.context() as patch:
        database = folder.parent / "mlflow.db"
        shutil.copy(registry, database)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
        yield


def test_help_and_version_answer() -> None:
    told = done("--help").out
    for command in (
        "demo",
        "init",
        "check",
        "train",
        "backtest",
        "score",
        "models",
        "promote",
        "challenge",
        "rollback",
    ):
        assert f"\n  {command} " in told
        assert command in done(command, "--help").out
    assert "0.1.0" in done("--version").out


# Every fault: one line on standard error, exit status 2.

OUT = ("--out", "{folder}/out.csv")
FAULTS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "an unknown setting": (
        ("train", "{site}"),
        LABEL + "[decision]\ncost_of_scape = 1\n",
        "did you mean cost_of_escape?",
    ),
    "no lotrisk.toml": (("models", "{folder}"), LABEL, "no such file"),
    "no such folder": (("check", "{folder}/nowhere"), LABEL, "no such file"),
    "broken TOML": (("train", "{site}"), "[label\n", "not valid TOML"),
    "no label": (("train", "{site}"), "[site]\n", "label.returned_ppm is missing"),
    "a missing file": (("train", "{site}"), LABEL + '[tables.actions]\npath = "no.csv"\n', "no file no.csv"),
    "bad SQL": (("score", "{site}", *OUT), LABEL + '[tables.actions]\nquery = "selec 1"\n', "tables.actions.query"),
    "an unreachable database": (
        ("backtest", "{site}", "--from", "2024-01-01", *OUT),
        LABEL + '[databases]\ncrm = "postgresql+psycopg://me:secret@127.0.0.1:9/x"\n'
        '[tables.actions]\ndatabase = "crm"\nquery = "select 1"\n',
        "tables.actions: database crm",
    ),
    "a wrong ending": (("score", "{site}", "--out", "{folder}/out.xlsx"), LABEL, "ends in .xlsx"),
    "no ending": (("backtest", "{site}", "--from", "2024-01-01", "--out", "{folder}/out"), LABEL, "ends in nothing"),
    "no folder to write to": (("score", "{site}", "--out", "{folder}/nowhere/out.csv"), LABEL, "make it first"),
    "a bad date": (("score", "{site}", "--as-of", "yesterday", *OUT), LABEL, "is no moment"),
    "a bad date to train until": (("train", "{site}", "--until", "2026-13-01"), LABEL, "is no moment"),
    "a future moment": (("score", "{site}", "--as-of", "2126-01-01", *OUT), LABEL, "lies in the future"),
    "a bad step": (("backtest", "{site}", "--from", "2024-01-01", "--step", "3w", *OUT), LABEL, "is not a duration"),
    "a step of nothing": (("backtest", "{site}", "--from", "2024-01-01", "--step", "0d", *OUT), LABEL, "--step 0d"),
    "no file of lots": (("score", "{site}", "--lots", "{folder}/no.txt", *OUT), LABEL, "cannot be read"),
    "nothing to write to": (("score", "{site}"), LABEL, "Missing option '--out'"),
    "an unknown command": (("scor", "{site}"), LABEL, "No such command 'scor'"),
    "an unknown option": (("train", "{site}", "--untill", "2024-01-01"), LABEL, "No such option"),
    "no such version": (("promote", "{site}", "3"), LABEL, "is not in the registry"),
    "no champion": (("rollback", "{site}"), LABEL, "has no champion to roll back from"),
    "too little": (("train", "{site}"), LABEL, "at least 10 of each are needed"),
    "a missing column": (
        ("train", "{site}"),
        LABEL + "[tables.lots]\nquery = \"select lot_id, product_id from read_csv('lots.csv')\"\n",
        "lots.produced_at: the column is missing",
    ),
    "an empty table": (
        ("train", "{site}"),
        LABEL + "[tables.returns]\nquery = \"select * from read_csv('returns.csv') where false\"\n",
        "returns: the table has 0 rows",
    ),
}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_every_fault_is_one_line_and_status_2(fault: str, registry: Path, tmp_path: Path) -> None:
    asked, toml, said = FAULTS[fault]
    site = tmp_path / "site"
    site.mkdir()
    for name, text in (("lotrisk.toml", toml), ("lots.csv", LOTS), ("returns.csv", RETURNS)):
        (site / name).write_text("".join(f"{line.strip()}\n" for line in text.strip().splitlines()), encoding="utf-8")
    with_registry(site, registry)
    ran = lotrisk(*(one.format(site=site, folder=tmp_path) for one in asked))
    assert said in one_line_of_a_long_job(ran)
    assert "secret" not in ran.err
    assert ran.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_registry_that_does_not_answer_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = write_site(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for command in (("models",), ("promote", "1"), ("rollback",)):
        assert "Look at MLFLOW_TRACKING_URI" in one_line(lotrisk(command[0], site.folder, *command[1:]))


def test_bundles_that_the_registry_does_not_know_are_one_line(site: Path, registry: Path, tmp_path: Path) -> None:
    copy = tmp_path / "valves"
    shutil.copytree(site, copy)
    shutil.copy(registry, copy / ".lotrisk" / "mlflow.db")
    assert "Give the registry back" in one_line_of_a_long_job(lotrisk("train", copy, "--until", UNTIL))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_one_line(site: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    ran = lotrisk("score", site, "--as-of", UNTIL, "--out", tmp_path / "out.csv")
    assert "Permission denied" in one_line_of_a_long_job(ran)


def test_a_full_disk_is_one_line_and_leaves_the_old_file(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.csv").write_text("old\n", encoding="utf-8")

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.csv.write_csv", full)
    ran = lotrisk("score", site, "--as-of", UNTIL, "--out", tmp_path / "out.csv")
    assert "No space left on device" in one_line_of_a_long_job(ran)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "old\n"


@pytest.mark.parametrize("spoilt", [lambda err: err + "lotrisk: again\n", lambda err: "Traceback\n" + err])
def test_a_fault_of_two_lines_is_caught(spoilt: Callable[[str], str], tmp_path: Path) -> None:
    ran = lotrisk("models", tmp_path)
    with pytest.raises(AssertionError):
        one_line(type(ran)(ran.status, ran.out, spoilt(ran.err)))
