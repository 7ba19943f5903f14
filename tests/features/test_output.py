"""Files that leave: times as they should be, whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from features.asof import NO_TIME
from features.errors import SettingsError
from features.output import check_ending, make_once, times, to_json, write_table, write_text, write_whole

NOON = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z
TABLE = pa.table(
    {
        "lot_id": ["007", 'a "quoted", 批次'],
        "as_of": times(np.array([NOON, NO_TIME])),
        "risk": pa.array([0.1 + 0.2, None], pa.float64()),
        "reasons": [to_json([{"text": "größer, 更大", "value": None}]), "[]"],
    }
)


def test_csv_has_iso_times_with_z_and_exact_numbers(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "out.csv")
    text = pa.csv.ConvertOptions(column_types=dict.fromkeys(TABLE.column_names, pa.string()), strings_can_be_null=True)
    rows = pa.csv.read_csv(tmp_path / "out.csv", convert_options=text).to_pylist()
    assert [row["lot_id"] for row in rows] == ["007", 'a "quoted", 批次']
    assert [row["as_of"] for row in rows] == ["2026-03-01T12:00:00Z", None]
    assert float(rows[0]["risk"]) == 0.1 + 0.2
    assert rows[1]["risk"] is None
    assert json.loads(rows[0]["reasons"]) == [{"text": "größer, 更大", "value": None}]


def test_csv_times_keep_their_fraction(tmp_path: Path) -> None:
    write_table(pa.table({"as_of": times(np.array([NOON, NOON + 5, NOON - 1]))}), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").split()[1:] == [
        '"2026-03-01T12:00:00Z"',
        '"2026-03-01T12:00:00.000005Z"',
        '"2026-03-01T11:59:59.999999Z"',
    ]


def test_parquet_has_utc_timestamps_and_is_read_back_as_it_was(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "out.parquet")
    read = pa.parquet.read_table(tmp_path / "out.parquet")
    assert read.schema.field("as_of").type == pa.timestamp("us", "UTC")
    assert read.equals(TABLE)


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_table_without_rows_has_its_columns(tmp_path: Path, name: str) -> None:
    write_table(TABLE.slice(0, 0), tmp_path / name)
    read = pa.csv.read_csv if name.endswith("csv") else pa.parquet.read_table
    assert read(tmp_path / name).column_names == TABLE.column_names


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_table(TABLE, tmp_path / name)
    old = (tmp_path / name).read_bytes()

    def fails(table: pa.Table, file: str) -> None:
        Path(file).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.csv.write_csv", fails)
    monkeypatch.setattr("pyarrow.parquet.write_table", fails)
    with pytest.raises(OSError, match="No space left"):
        write_table(TABLE.slice(1), tmp_path / name)
    assert (tmp_path / name).read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_writing_in_place_would_be_caught(tmp_path: Path) -> None:
    """What the guard above must not let through: a writer that takes the path itself."""
    write_text(tmp_path / "rate", "shrunk_line\n")

    def in_place(temporary: str) -> None:
        (tmp_path / "rate").write_text("half", encoding="utf-8")
        raise OSError("cut off")

    with pytest.raises(OSError, match="cut off"):
        write_whole(tmp_path / "rate", in_place)
    assert (tmp_path / "rate").read_text(encoding="utf-8") == "half"


def test_a_reader_without_rights_of_its_own_can_read_it(tmp_path: Path) -> None:
    write_text(tmp_path / "rate", "shrunk_line\n")
    assert (tmp_path / "rate").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("name", "said"), [("out.txt", r"ends in \.txt"), ("out", "ends in nothing")])
def test_only_endings_that_can_be_written_are_taken(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        check_ending(tmp_path / name)


def test_a_folder_that_is_not_there_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not there; make it first"):
        check_ending(tmp_path / "nowhere" / "out.csv")
    check_ending(tmp_path / "out.csv")


def test_json_holds_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(float("nan"))


def test_what_is_made_once_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def stopped(made: Path) -> None:
        made.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_once(tmp_path / "state" / "made.db", stopped)
    assert list((tmp_path / "state").iterdir()) == []
    make_once(tmp_path / "state" / "made.db", lambda made: made.write_text("whole", encoding="utf-8"))
    make_once(tmp_path / "state" / "made.db", stopped)
    assert [file.read_text(encoding="utf-8") for file in (tmp_path / "state").iterdir()] == ["whole"]


def test_of_two_who_make_it_at_once_the_first_one_s_stays(tmp_path: Path) -> None:
    def overtaken(made: Path) -> None:
        make_once(tmp_path / "made.db", lambda other: other.write_text("first", encoding="utf-8"))
        made.write_text("second", encoding="utf-8")

    make_once(tmp_path / "made.db", overtaken)
    assert (tmp_path / "made.db").read_text(encoding="utf-8") == "first"
