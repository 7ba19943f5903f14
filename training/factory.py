"""A small factory made on the spot: three years of its tables as a site, for the demo and for trying things.

Nothing else of the project knows how they were made. `truth.parquet`, beside the tables, says how likely each
lot was to fail, given the true quality of all that went into it but not the part of its hazard that nobody sees.
"""

from collections.abc import Callable
from datetime import date
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from training import factory_complaints, factory_field, factory_records, factory_world
from training.factory_world import DAYS, Floats

TIMEZONE = "Europe/Ljubljana"
SITE = f"""\
# A maker of solenoid valves: four lines on two sites, ten suppliers, three years. Made by `lotrisk demo`.
# Tables are found by their names in `data`; their columns have the canonical names, so no query is needed.

[site]
name = "valves"
timezone = "{TIMEZONE}"    # of times without an offset: lots, inspections, dispositions and all plain dates
data = "data"

[label]
# A lot fails if at least so many parts per million come back within so many days of its shipment.
returned_ppm = {factory_field.RETURNED_PPM}
within_days = {factory_field.WITHIN_DAYS}
reporting_days = 45                # how long a complaint may take, while too few returns are there to tell

[decision]
at = "shipped_at"                  # a lot is judged once, as it ships
cost_of_inspection = 400.0         # EUR, like all costs here
cost_of_escape = 6000.0            # of one failing lot that was released
cost_of_escape_per_unit = 1.5      # and for each of its units: a field action reaches them all
cost_of_hold = 1500.0
inspection_finds = 0.9             # of ten lots that would fail an inspection finds nine
inspections_per_day = 2            # what the test bench can do

[decision.tier.A]                  # customers of tier A stop their own line for a failing lot
cost_of_escape = 30000.0
"""


def make_factory(folder: Path, *, seed: int, today: date, lots: int = 4000, changing: bool = False) -> Path:
    """Writes a site with about three years of history up to the first moment of `today`, and returns its folder.

    `today` is a date in the site's time zone. The same arguments give the same bytes. `changing`: lots come to fail
    about twice as often some 15 months before today, and ever more since, for a cause that no table tells.
    """
    if lots < 100:
        raise ValueError(f"lots: {lots} is too few for a history of three years; ask for at least 100")
    rng = np.random.default_rng(seed)
    start = np.datetime64(today, "D") - DAYS
    clock = _clock(start)

    delivered = factory_world.deliver(rng)
    made = factory_world.produce(rng, lots=lots, first_weekday=int(start.astype(np.int64) + 3) % 7)
    used = factory_world.consume(rng, made, delivered)
    process = factory_world.run_process(rng, made)

    shipped = factory_field.ship(rng, made)
    limit = factory_field.units_that_fail_a_lot(shipped)
    placed = factory_field.place(rng, made)
    usual, badness = delivered.usual, delivered.usual + delivered.episode
    quiet = factory_field.hazard_before_level(made, usual, delivered.material, used, process, placed)
    hazard = factory_field.hazard_before_level(made, badness, delivered.material, used, process, placed)
    expected = factory_field.expected_units(quiet, shipped)
    hazard *= factory_field.level_of_plant(rng, expected, limit, made.produced)[:, None]
    if changing:
        hazard *= factory_field.worse_of_late(made.produced)[:, None]
    probability = factory_field.true_probability(factory_field.expected_units(hazard, shipped), limit)
    claims = factory_field.fail(rng, hazard, shipped)

    fate = factory_records.decide(rng, made, factory_field.failed(claims, shipped), clock)
    lots_table = factory_records.lots_table(made, fate, clock)
    shipments = factory_records.shipments_table(made, shipped, fate, clock)
    measurements = factory_records.measurements_table(rng, made, process, clock)
    supplier_lots = factory_records.supplier_lots_table(rng, delivered, used, clock)
    inspections = factory_records.inspections_table(rng, delivered, clock)
    genealogy = factory_records.genealogy_table(used, clock)
    returns = factory_complaints.returns_table(rng, made, fate, claims, clock)
    customers = factory_complaints.customers_table()
    actions = factory_complaints.actions_table(clock)
    surveys = factory_complaints.surveys_table(rng, made, returns, clock)

    # Each system exports in its own way: the plant's in local time, the machines' and the web's in UTC.
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    _write(folder / "lotrisk.toml", SITE.encode())
    _write_parquet(data / "lots.parquet", lots_table)
    _write_parquet(data / "measurements.parquet", _each_time(measurements, _utc))
    _write_parquet(data / "genealogy.parquet", _each_time(genealogy, _utc))
    _write_csv(data / "supplier_lots.csv", _each_time(supplier_lots, _day))
    _write_csv(data / "inspections.csv", _each_time(inspections, _local))
    _write_csv(data / "shipments.csv", _each_time(shipments, _with_offset))
    _write_csv(data / "returns.csv", _each_time(returns, _with_offset))
    _write_csv(data / "dispositions.csv", _each_time(fate.dispositions, _local))
    _write_csv(data / "customers.csv", customers)
    _write_csv(data / "actions.csv", _each_time(actions, _day))
    _write_csv(data / "surveys.csv", _each_time(surveys, _zulu))
    truth = pd.DataFrame({"lot_id": lots_table["lot_id"], "probability": probability})
    _write_parquet(folder / "truth.parquet", truth)
    return folder


def _clock(start: np.datetime64) -> factory_records.Clock:
    def clock(days: Floats) -> "np.typing.NDArray[np.datetime64]":
        seconds = np.where(np.isnan(days), 0.0, np.floor(days * 86400.0)).astype("timedelta64[s]")
        return np.where(np.isnan(days), np.datetime64("NaT", "s"), start.astype("datetime64[s]") + seconds)

    return clock


def _each_time(table: pd.DataFrame, said: Callable[[pd.DatetimeIndex], pd.Index]) -> pd.DataFrame:
    """The table with each of its times said in one way."""
    names = table.select_dtypes("datetime").columns
    return table.assign(**{name: said(pd.DatetimeIndex(table[name])).array for name in names})


def _in_zone(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    # An hour that comes twice is its later one, as where the tables are read; a skipped one moves forward.
    twice = np.zeros(len(times), dtype=bool)
    return times.tz_localize(TIMEZONE, ambiguous=twice, nonexistent="shift_forward")


def _utc(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return _in_zone(times).tz_convert("UTC")


def _zulu(times: pd.DatetimeIndex) -> pd.Index:
    return _utc(times).strftime("%Y-%m-%dT%H:%M:%SZ")


def _with_offset(times: pd.DatetimeIndex) -> pd.Index:
    return _in_zone(times).strftime("%Y-%m-%dT%H:%M:%S%z").str.replace(r"(\d\d)$", r":\1", regex=True)


def _local(times: pd.DatetimeIndex) -> pd.Index:
    return times.strftime("%Y-%m-%d %H:%M:%S")


def _day(times: pd.DatetimeIndex) -> pd.Index:
    return times.strftime("%Y-%m-%d")


def _write_csv(file: Path, table: pd.DataFrame) -> None:
    _write(file, table.to_csv(index=False, lineterminator="\n").encode())


def _write_parquet(file: Path, table: pd.DataFrame) -> None:
    """Without the writer's own metadata, which would name versions of libraries."""
    buffer = BytesIO()
    rows = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    pa.parquet.write_table(rows, buffer, compression="zstd")
    _write(file, buffer.getvalue())


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_bytes(content)
    beside.replace(file)
