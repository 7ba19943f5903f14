"""The demo's factory: its tables are such as a user would bring, slips and all, and what was planted shows."""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from features.contracts import TABLES
from features.reading import Reading, read_histories
from features.site import read_site
from features.times import read_moment
from training import factory_complaints as slips
from training.factory import TIMEZONE, make_factory
from training.factory_field import RETURNED_PPM, STEP_DAYS, UNITS_PER_CLAIM, chance_to_fail
from training.factory_world import BAD_EPISODE, RECALIBRATED

TODAY = date(2025, 6, 4)
MIDNIGHT = pd.Timestamp(TODAY, tz=TIMEZONE).tz_convert(None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_factory(tmp_path_factory.mktemp("valves"), seed=11, today=TODAY, lots=2000)


@pytest.fixture(scope="module")
def tables(folder: Path) -> dict[str, pd.DataFrame]:
    files = {file.stem: file for file in (folder / "data").iterdir()}
    return {
        name: pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, dtype=str)
        for name, file in files.items()
    }


@pytest.fixture(scope="module")
def reading(folder: Path) -> Reading:
    return read_histories(read_site(folder, {}), now=read_moment(TODAY.isoformat(), TIMEZONE))


def test_a_changing_factory_fails_more_of_late_and_tells_no_cause(folder: Path, tmp_path: Path) -> None:
    changing = make_factory(tmp_path / "changing", seed=11, today=TODAY, lots=2000, changing=True)
    steady, worse = (pd.read_parquet(each / "truth.parquet")["probability"] for each in (folder, changing))
    lots = pd.read_parquet(folder / "data" / "lots.parquet")
    days = (MIDNIGHT - moments(lots["produced_at"])).dt.total_seconds() / 86400
    assert (steady[days > STEP_DAYS + 1] == worse[days > STEP_DAYS + 1]).all()
    early, late = (days < STEP_DAYS - 1) & (days > 300), days < 100
    assert worse[early].mean() > 1.4 * steady[early].mean()
    assert worse[late].mean() / steady[late].mean() > worse[early].mean() / steady[early].mean() * 1.05
    for name in ("genealogy.parquet", "customers.csv"):
        assert (folder / "data" / name).read_bytes() == (changing / "data" / name).read_bytes()


def moments(column: pd.Series) -> pd.Series:
    """Times of any export in UTC; what is none is NaT."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert(None)
    if column.dtype.kind == "M":
        return column.dt.tz_localize(TIMEZONE, ambiguous=False).dt.tz_convert(None)
    with_offset = column.str.contains(r"[Zz]$|[+-]\d\d:\d\d$", na=False)
    aware = pd.to_datetime(column.where(with_offset), utc=True, format="ISO8601", errors="coerce")
    naive = pd.to_datetime(column.where(~with_offset), format="ISO8601", errors="coerce")
    return aware.dt.tz_convert(None).fillna(naive.dt.tz_localize(TIMEZONE, ambiguous=False).dt.tz_convert(None))


def standing(table: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """The last version of each row: corrections stand below what they correct."""
    last = table.drop_duplicates(key, keep="last")
    return last[last["deleted"].isna()] if "deleted" in last else last


def test_every_table_but_outcomes_is_there_with_the_columns_of_its_contract(tables):
    assert set(tables) == set(TABLES) - {"outcomes"}
    for name, table in tables.items():
        contract = TABLES[name]
        known = {column.name for column in contract.columns} | {"known_at", "deleted"}
        assert {column.name for column in contract.columns if column.required} <= set(table.columns), name
        assert contract.open_ended or set(table.columns) <= known, name


def test_some_tables_are_csv_and_some_parquet_some_times_local_and_some_not(folder, tables):
    assert {file.suffix for file in (folder / "data").iterdir()} == {".csv", ".parquet"}
    assert tables["lots"]["produced_at"].dt.tz is None
    assert str(tables["measurements"]["measured_at"].dt.tz) == "UTC"
    assert tables["returns"]["reported_at"].str.contains(r"\+0[12]:00$").all()
    assert tables["supplier_lots"]["received_at"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()


def test_a_key_names_one_row_but_for_corrections_and_deletions(tables):
    corrected = {name for name, table in tables.items() if table.duplicated(keys_of(name, table)).any()}
    assert corrected == {"returns", "measurements"}
    for name in corrected:
        table = tables[name]
        assert table.loc[table.duplicated(keys_of(name, table)), "known_at"].notna().all()


def keys_of(name: str, table: pd.DataFrame) -> list[str]:
    return [column for column in TABLES[name].key if column in table.columns]


def test_returns_were_corrected_in_quantity_and_in_lot_and_some_were_deleted(tables):
    returns = tables["returns"]
    later = returns[returns["known_at"].notna()]
    first = returns[returns["known_at"].isna()].set_index("return_id")
    corrected = later[later["deleted"].isna()].set_index("return_id")
    assert (first.loc[corrected.index, "quantity"] != corrected["quantity"]).sum() > 20
    assert (first.loc[corrected.index, "lot_id"] != corrected["lot_id"]).sum() > 20
    assert (later["deleted"] == "true").sum() > 20


def test_the_site_is_read_with_its_label_and_costs(folder):
    site = read_site(folder, {})
    assert site.timezone == TIMEZONE
    assert site.rules.label.returned_ppm == RETURNED_PPM
    assert site.rules.decision.at == "shipped_at"
    assert site.rules.decision.tiers["A"].escape > site.rules.decision.costs.escape
    assert site.defaults == ()


def test_the_reader_puts_away_the_slips_and_nothing_else(reading):
    reasons = {name: dict(report.quarantine.counts()) for name, report in reading.report.items()}
    assert {name: counts for name, counts in reasons.items() if counts} == {
        "returns": {
            "unknown lot": slips.UNKNOWN_LOTS,
            "negative quantity": slips.NEGATIVE,
            "known before it happened": slips.BEFORE_IT_HAPPENED,
            "impossible time in occurred_at": slips.NO_DATE,
        },
        "genealogy": {"negative quantity": 2, "unknown lot": 1},
        "inspections": {"no number in value": 1},
    }
    assert reading.warnings == ()


def test_nothing_is_dated_after_the_first_moment_of_today(tables):
    for name, table in tables.items():
        for column in [column for column in table.columns if column.endswith("_at")]:
            assert not (moments(table[column]) >= MIDNIGHT).any(), f"{name}.{column}"


def test_the_history_begins_three_years_before_today_and_reaches_yesterday(tables):
    produced = moments(tables["lots"]["produced_at"])
    assert MIDNIGHT - pd.Timedelta(days=1096) <= produced.min() < MIDNIGHT - pd.Timedelta(days=1085)
    for name, column in (("lots", "produced_at"), ("returns", "reported_at"), ("measurements", "measured_at")):
        assert moments(tables[name][column]).max() > MIDNIGHT - pd.Timedelta(days=4), name


def test_a_lot_is_made_of_what_was_received_and_shipped_after_it_was_made(tables):
    lots = tables["lots"].set_index("lot_id")
    made = moments(lots["produced_at"])
    assert (moments(lots["shipped_at"]) > made).sum() == lots["shipped_at"].notna().sum()
    used = tables["genealogy"][tables["genealogy"]["lot_id"].isin(lots.index)]
    received = moments(tables["supplier_lots"].set_index("supplier_lot_id")["received_at"])
    assert (moments(used["consumed_at"]) > received[used["supplier_lot_id"]].to_numpy()).all()
    assert (moments(used["consumed_at"]) < made[used["lot_id"]].to_numpy()).all()


def test_a_lot_takes_one_to_three_supplier_lots_of_one_source_of_each_material(tables):
    delivered = tables["supplier_lots"].set_index("supplier_lot_id")
    used = tables["genealogy"].join(delivered[["supplier_id", "material_group"]], on="supplier_lot_id")
    groups = used.groupby(["lot_id", "material_group"])
    assert set(groups.size()) == {1, 2, 3}
    assert set(groups["supplier_id"].nunique()) == {1}


def test_the_first_part_ships_when_the_lot_does_and_no_more_is_taken_back_than_went_out(tables):
    parts = tables["shipments"].astype({"quantity": int})
    lots = tables["lots"].set_index("lot_id")
    first = moments(parts["shipped_at"]).groupby(parts["lot_id"]).min()
    assert (first == moments(lots["shipped_at"])[first.index]).all()
    assert len(first) == lots["shipped_at"].notna().sum()
    assert (parts["quantity"] < 0).sum() > 10
    assert parts.groupby("lot_id")["quantity"].sum().between(1, lots["quantity"].max()).all()


def test_a_return_comes_from_a_lot_that_shipped_and_half_of_a_lot_never_comes_back(tables):
    lots = tables["lots"].set_index("lot_id")
    returns = usable_returns(tables)
    assert (returns.groupby("lot_id")["quantity"].sum() / lots["quantity"]).max() < 0.5
    after_shipping = moments(returns["occurred_at"]) > moments(lots["shipped_at"])[returns["lot_id"]].to_numpy()
    assert after_shipping.mean() > 0.99  # but for those whose wrong lot was not corrected yet


def usable_returns(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    returns = standing(tables["returns"], ["return_id"])
    return returns[~returns["return_id"].str.startswith("R9")].astype({"quantity": int})


def test_lots_of_the_last_days_wait_to_be_shipped(tmp_path):
    lots = pd.read_parquet(make_factory(tmp_path, seed=3, today=TODAY) / "data" / "lots.parquet")
    waiting = lots["shipped_at"].isna() & (lots["produced_at"] > pd.Timestamp(TODAY) - pd.Timedelta(days=45))
    assert 60 <= waiting.sum() <= 150
    assert lots.loc[lots["produced_at"] > pd.Timestamp(TODAY) - pd.Timedelta(days=6), "shipped_at"].isna().all()


def test_about_a_tenth_of_the_lots_fail_and_as_many_as_the_truth_says(folder, tables):
    truth = pd.read_parquet(folder / "truth.parquet").set_index("lot_id")["probability"]
    assert list(truth.index) == list(tables["lots"]["lot_id"])
    assert truth.between(0.0, 1.0).all()
    assert 0.08 < truth.mean() < 0.13
    old, failed = failing(tables)
    assert 0.08 < failed.mean() < 0.14
    assert abs(failed.mean() - truth[old].mean()) < 4 * np.sqrt((truth[old] * (1 - truth[old])).sum()) / len(old)


def failing(tables: dict[str, pd.DataFrame]) -> tuple[pd.Index, pd.Series]:
    """Lots made 14 months ago or earlier, and which of them were found bad or returned too much in 180 days."""
    lots = tables["lots"].set_index("lot_id")
    old = lots.index[moments(lots["produced_at"]) < MIDNIGHT - pd.Timedelta(days=425)]
    returns = usable_returns(tables)
    age = moments(returns["occurred_at"]) - moments(lots["shipped_at"])[returns["lot_id"]].to_numpy()
    early = returns[age < pd.Timedelta(days=180)]
    units = early.groupby("lot_id")["quantity"].sum().reindex(old, fill_value=0)
    first = tables["shipments"].astype({"quantity": int}).drop_duplicates("lot_id").set_index("lot_id")["quantity"]
    found = tables["dispositions"].query("found == '1'")["lot_id"]
    return old, (units >= RETURNED_PPM * first.reindex(old) / 1e6) | old.isin(found)


def test_the_bad_episode_shows_in_the_returns_and_only_faintly_at_goods_in(tables):
    delivered = tables["supplier_lots"].set_index("supplier_lot_id")
    age = (MIDNIGHT - moments(delivered["received_at"])).dt.days
    theirs = delivered["supplier_id"] == BAD_EPISODE.supplier
    bad = delivered.index[theirs & age.between(BAD_EPISODE.last + 1, BAD_EPISODE.first)]
    otherwise = delivered.index[theirs & (age > BAD_EPISODE.first + 30)]
    _, failed = failing(tables)
    share_bad, share_else = (failed[failed.index.intersection(users(tables, some))].mean() for some in (bad, otherwise))
    assert share_bad > 3 * share_else
    looked = tables["inspections"].dropna(subset=["defects"]).astype({"defects": int, "sample_size": int})
    looked = looked.groupby("supplier_lot_id")[["defects", "sample_size"]].sum()
    found_bad, found_else = (looked[looked.index.isin(some)].sum() for some in (bad, otherwise))
    defects_bad, defects_else = (found["defects"] / found["sample_size"] for found in (found_bad, found_else))
    assert defects_bad / defects_else < share_bad / share_else


def users(tables: dict[str, pd.DataFrame], supplier_lots: pd.Index) -> pd.Index:
    used = tables["genealogy"]
    return pd.Index(used.loc[used["supplier_lot_id"].isin(supplier_lots), "lot_id"].unique())


def test_a_corrective_action_was_opened_during_the_bad_episode(tables):
    actions = tables["actions"].set_index("scope")
    age = (MIDNIGHT - moments(actions["opened_at"])).dt.days
    assert BAD_EPISODE.last < age[f"supplier:{BAD_EPISODE.supplier}"] < BAD_EPISODE.first


def test_the_recalibration_shows_in_one_characteristic_of_one_line(tables):
    name, line, days, offset = RECALIBRATED
    lots = tables["lots"].set_index("lot_id")
    read = standing(tables["measurements"], ["lot_id", "characteristic", "sample"])
    since = moments(read["measured_at"]) >= MIDNIGHT - pd.Timedelta(days=days)
    on_line = lots["line_id"][read["lot_id"]].to_numpy()
    means = read.groupby([read["characteristic"], on_line, since])["value"].median().unstack()
    spread = (read["upper_spec"] - read["lower_spec"]).groupby(read["characteristic"]).first() / 8
    shift = (means[True] - means[False]) / spread.reindex(means.index, level=0)
    assert shift[name, line] > 0.7 * offset / spread[name]
    assert shift.drop((name, line)).abs().max() < 0.5 * shift[name, line]


def test_customers_have_all_tiers(tables):
    assert set(tables["customers"]["tier"]) == {"A", "B", "C"}


def test_found_lots_were_scrapped_or_reworked(tables):
    decided = tables["dispositions"]
    found = decided[decided["found"] == "1"]["lot_id"]
    after = decided[decided["action"].isin(["scrapped", "reworked"])]["lot_id"]
    assert set(decided["action"]) == {"inspected", "scrapped", "reworked", "held", "released"}
    assert set(after) <= set(found)
    assert len(after) >= len(found) - 2  # a decision of the last days may still be due


def test_the_same_seed_and_day_give_the_same_bytes_and_others_do_not(tmp_path):
    made = {
        name: make_factory(tmp_path / name, seed=seed, today=today, lots=200)
        for name, seed, today in (("one", 5, TODAY), ("again", 5, TODAY), ("seed", 6, TODAY))
    }
    assert content(made["one"]) == content(made["again"])
    assert len(content(made["one"])) == 13
    unequal = {name for name, read in content(made["one"]).items() if content(made["seed"])[name] != read}
    assert unequal == set(content(made["one"])) - {
        Path("lotrisk.toml"),
        Path("data/customers.csv"),
        Path("data/actions.csv"),
    }


def content(folder: Path) -> dict[Path, bytes]:
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_other_days_of_the_year_make_a_factory_too(tmp_path):
    for today in (date(2024, 2, 29), date(2025, 3, 30), date(2025, 10, 26)):
        folder = make_factory(tmp_path / str(today), seed=1, today=today, lots=150)
        now = int(pd.Timestamp(today, tz=ZoneInfo(TIMEZONE)).timestamp()) * 1_000_000
        assert read_histories(read_site(folder, {}), now=now).report["lots"].standing == 150


def test_too_few_lots_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 100"):
        make_factory(tmp_path, seed=1, today=TODAY, lots=10)


def test_the_chance_to_fail_agrees_with_drawing():
    rng = np.random.default_rng(0)
    for units, limit in ((0.5, 1), (3.0, 5), (12.0, 10)):
        claims = rng.poisson(units / UNITS_PER_CLAIM, 40_000)
        sizes = rng.choice([1, 2, 3], claims.sum(), p=[0.88, 0.09, 0.03])
        drawn = np.bincount(np.repeat(np.arange(len(claims)), claims), sizes, minlength=len(claims))
        computed = chance_to_fail(np.array([units]), np.array([limit]))[0]
        assert abs((drawn >= limit).mean() - computed) < 0.01
