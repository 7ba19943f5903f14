"""The commented `lotrisk.toml` that `lotrisk init` writes."""

from pathlib import Path

from features.errors import SettingsError
from features.site import FILE

EXAMPLE = """\
# What lot-risk has to know of one site. A line that starts with "# " and a name shows a setting with its default
# or, where it has none, an example; take the "# " away to use it. Paths are relative to this file.

[site]
# name = "tablets"                   # the folder's name
# timezone = "UTC"                   # of times without an offset in the sources, like "Europe/Ljubljana"
# data = ["data", "."]               # folders to look for files in, one or several; LOTRISK_DATA overrides them
# language = "en"                    # of reasons and pages: en or zh
# extends = "../other"               # another site, whose settings are this one's defaults
# state_dir = ".lotrisk"             # where what is made is kept
# database = "postgresql+psycopg://lotrisk:${PASSWORD}@db/lotrisk"   # for what is made; absent: a file in state_dir
# known_until = "2026-04-17"         # how far the data reaches, where the tables themselves cannot tell

# Each table is found as <name>.parquet, <name>.csv or a folder <name> of such files in `data`, with the canonical
# column names; where yours differ, say so here. Tables: lots, shipments, measurements, supplier_lots, inspections,
# genealogy, returns, outcomes, dispositions, customers, actions, surveys. lots and returns (or outcomes) must be there.

# [sql]
# prelude = "create macro kg(g) as g / 1000"      # DuckDB, run once before the queries

# [tables.lots]                      # DuckDB's SQL over files
# query = "select batch as lot_id, code as product_id, made as produced_at from read_csv('batches.csv', delim = ';')"

# [tables.inspections]               # a file, a folder or a pattern; Excel with its sheet
# path = "incoming/*.xlsx"
# sheet = "Results"                  # the first

# [tables.measurements]
# path = "measurements.csv"
# encoding = "utf-8"                 # or gb18030, cp1250, …
# delimiter = ","

# [databases]                        # ${NAME} is taken from the environment
# crm = "postgresql+psycopg://reader:${CRM_PASSWORD}@crm/sales"

# [tables.returns]                   # a query in a database, in its own SQL
# database = "crm"
# query = "select id as return_id, lot as lot_id, failed_on as occurred_at, reported_on as reported_at from complaints"

[label]
returned_ppm = 8000                  # a lot fails if at least this many parts per million come back …
within_days = 180                    # … within this many days of the judgement
# from = "outcomes"                  # instead of these two: the table outcomes says which lots failed
# reporting_days = 30                # from failure to report, while fewer than 30 returns are there to tell
# treatment = "correct"              # of lots too young to know, in training: one that has not failed yet counts as
#                                    # failed by its chance to do so still; "weight": by weights; "count": returned
#                                    # units are learned; "leave_out": they are not learned from (all that outcomes can)

[decision]
# at = "shipped_at"                  # when a lot is judged; or produced_at
# again_every = "90d"                # judged again this often while in use (d, h); absent: once
# until_age_days = 1095              # … up to this age
# min_units = 1                      # with fewer at risk a lot is not judged
# Costs are of one lot, in your own currency. These decide between release, inspect and hold: state your own.
cost_of_inspection = 400.0
cost_of_escape = 9000.0              # of a lot that fails in the field
# cost_of_escape_per_unit = 0.0      # … and for each of its units
cost_of_hold = 1500.0
# inspection_finds = 0.9             # the share of failing lots that an inspection finds
# inspections_per_day = 12           # capacity; absent: no limit
# explore_share = 0.0                # of the lots just above where inspecting starts, the share released untreated, so
#                                    # that it stays known what becomes of such lots; up to 0.2
# explore_band = 0.25                # … how far above: 0.25 is up to a quarter more risk; never where lots are held
# certify = 0.05                     # the share of failing lots that may be released, for the certificate
# confidence = 0.95                  # … and how sure that has to be

# [model]
# groups = []                        # feature groups in use, like ["production", "field"]; []: all but surveys
# parameters = {}                    # LightGBM's of trees and sampling, over ours, like { learning_rate = 0.02 }
# boosters = 1                       # fits with seeds of their own whose margins are averaged
# keep_apart = ""                    # a second evaluation in which no lot, supplier_lot, supplier, product, customer or
#                                    # line is both learned from and foretold
# protected = []                     # segments that a new champion must not serve worse, like ["tier:A", "product:P3"]

# [serving]                          # durations in d, h, min, s
# refresh_every = "1min"             # how often the service looks whether the sources changed
# rescore_every = "1h"               # how often it scores the open lots anew when nothing changed
# stale_after = "45d"                # a table whose newest row is older gives scores the warning stale_table: of lots,
#                                    # shipments, measurements, supplier_lots, inspections, genealogy, returns, outcomes
# stale_tables = {}                  # … or older than its own limit, like { returns = "7d" }; any table
# calls_per_second = 1000            # that one key may make, unless it was made with its own limit

# [gate]                             # POST /v1/gate: may this lot ship
# stands_for = "24h"                 # an answer stands at most so long
# calibrated_for = "400d"            # after what the model was trained until; then it cannot assess
# expects = ["genealogy", "measurements"]   # tables of which every lot should have rows

# [gate.rules]                       # before the model, and whatever it says; action: hold, inspect or off
# out_of_specification = { action = "hold" }
# blocked_supplier_lot = { action = "hold", column = "status", values = ["blocked"] }     # of supplier_lots
# open_containment = { action = "hold" }
# customer_hold = { action = "hold", column = "hold", values = ["1", "true", "yes"] }     # of customers
# overdue_inspection = { action = "inspect", after = "10d" }   # from receipt to inspection; absent: never overdue

# [gate.degraded]                    # instead of cannot_assess where the model cannot answer: inspect or hold, by state
# stale_history = "inspect"

# [gate.authority]                   # who may overrule which decisions: low, medium, high by risk, unknown where it
#                                    # could not be assessed, rule where a rule held the lot. Other roles: none
# quality = ["low", "medium", "high", "unknown"]
# admin = ["low", "medium", "high", "unknown", "rule"]

# [gate.risk_classes]                # the risks from which a lot is of medium and of high risk
# medium = 0.1
# high = 0.3

# [decision.tier.A]                  # costs for customers of tier A, in the table customers; the others as above
# cost_of_escape = 40000.0
"""


def write_example(folder: Path) -> Path:
    """Writes the example into `folder`, which is made; SettingsError where a `lotrisk.toml` is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(EXAMPLE)
    except FileExistsError:
        raise SettingsError(f"{file}: is there already and was left as it is; choose another folder") from None
    return file
