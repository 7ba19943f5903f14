"""The demo's voice of the customer: returns, customers, corrective actions and surveys, as they were recorded."""

import numpy as np
import pandas as pd

from training.factory_field import Claims, days_to_report
from training.factory_records import Clock, Fate, lot_ids, named
from training.factory_world import BAD_EPISODE, DAYS, MILD_EPISODE, RECALIBRATED, TIERS, Ints, Lots

FAILURE_MODES = np.array(["coil_open", "potting_cracked", "external_leak", "weak_pull", "coil_burnt", "damaged"])
SEVERITY = np.array(["medium", "high", "high", "medium", "high", "low"])
COMPLAINTS = np.array(
    [
        ["Coil has no continuity", "Valve dead, open circuit measured", "Works when cold, then the coil opens"],
        ["Potting cracked, water inside", "Coil wet, the potting came off", "Potting cracked near the cable"],
        ["Leaks at the body", "Drips from the housing after some weeks", "External leak, seat not tight"],
        ["Valve does not open fully", "Too weak at nominal voltage", "Does not pull in below 22 V"],
        ["Coil burnt", "Smell of burning, fuse blown", "Overheated, housing discoloured"],
        ["Connector broken on arrival", "Bent pin", "Dented, would not mount"],
    ]
)
REWORK_LEAVES = 0.15
"""Share of a found lot's failures that its rework does not prevent."""
UNKNOWN_LOTS, NEGATIVE, BEFORE_IT_HAPPENED, NO_DATE = 4, 2, 3, 1
"""Returns that no export is free of, by how they are wrong."""


def returns_table(rng: np.random.Generator, lots: Lots, fate: Fate, claims: Claims, clock: Clock) -> pd.DataFrame:
    """Returns in order of their known time.

    One in fifty was first booked with a wrong quantity or on a wrong lot, one in 150 twice: corrected and
    deleted under the same `return_id` when somebody noticed.
    """
    occurred = np.floor(fate.shipped[claims.lot] + np.maximum(claims.age, 1.0))
    reported = np.floor(occurred + days_to_report(rng, claims)) + rng.uniform(7.0, 17.0, len(occurred)) / 24.0
    slipped_through = ~fate.found[claims.lot] | (rng.random(len(occurred)) < REWORK_LEAVES)
    known = np.flatnonzero(slipped_through & (reported < DAYS))
    known = known[np.argsort(reported[known], kind="stable")]
    lot, cause, units = claims.lot[known], claims.cause[known], claims.units[known]
    occurred, reported = occurred[known], reported[known]
    count = len(known)
    table = pd.DataFrame(
        {
            "return_id": named("R", np.arange(1, count + 1), 6),
            "lot_id": lot_ids(lot).astype(object),
            "customer_id": named("C", lots.customer[lot] + 1, 2),
            "occurred_at": clock(occurred).astype("datetime64[D]").astype(str).astype(object),
            "reported_at": clock(reported),
            "quantity": units,
            "failure_mode": np.where(rng.random(count) < 0.08, "", FAILURE_MODES[cause]),
            "description": COMPLAINTS[cause, rng.integers(0, 3, count)],
            "severity": SEVERITY[cause],
            "known_at": clock(np.full(count, np.nan)),
            "deleted": None,
        }
    )
    noticed = reported + rng.uniform(3.0, 50.0, count)
    chosen = rng.random(count)
    miscounted, misplaced, twice = chosen < 0.013, (chosen >= 0.013) & (chosen < 0.02), chosen > 1 - 1 / 150
    corrected = np.flatnonzero((miscounted | misplaced) & (noticed < DAYS))
    corrections = table.iloc[corrected].assign(known_at=clock(noticed[corrected]))
    table.loc[miscounted, "quantity"] += rng.integers(1, 10, int(miscounted.sum()))
    table.loc[misplaced, "lot_id"] = lot_ids(_lot_before(lots)[lot[misplaced]])
    doubles = table[twice].assign(return_id=named("R8", np.flatnonzero(twice), 5))
    deleted = np.flatnonzero(noticed[twice] < DAYS)
    deletions = doubles.iloc[deleted].assign(known_at=clock(noticed[twice][deleted]), deleted="true")
    every = pd.concat([table, doubles, corrections, deletions, _slips(rng, table)], ignore_index=True)
    order = every["known_at"].fillna(every["reported_at"]).argsort(kind="stable")
    return every.iloc[order]


def _lot_before(lots: Lots) -> Ints:
    """Of each lot the one of the same product made just before it."""
    order = np.argsort(lots.product, kind="stable")
    before = np.empty(len(order), dtype=np.int64)
    before[order] = order[np.maximum(np.arange(len(order)) - 1, 0)]
    return before


def _slips(rng: np.random.Generator, table: pd.DataFrame) -> pd.DataFrame:
    """Rows beyond repair: they carry nothing that the other rows do not."""
    count = UNKNOWN_LOTS + NEGATIVE + BEFORE_IT_HAPPENED + NO_DATE
    slips = table.sample(count, random_state=rng).assign(return_id=named("R9", np.arange(count), 5))
    unknown, negative, early, dateless = np.split(slips.index, np.cumsum([UNKNOWN_LOTS, NEGATIVE, BEFORE_IT_HAPPENED]))
    slips.loc[unknown, "lot_id"] = "?" + slips.loc[unknown, "lot_id"].str[1:]
    slips.loc[negative, "quantity"] = -1
    slips.loc[early, "reported_at"] -= pd.Timedelta(days=365)
    slips.loc[dateless, "occurred_at"] = "0000-00-00"
    return slips


def customers_table() -> pd.DataFrame:
    numbers = np.arange(len(TIERS))
    return pd.DataFrame(
        {
            "customer_id": named("C", numbers + 1, 2),
            "tier": TIERS,
            "country": np.array(["DE", "IT", "SI", "FR"])[numbers % 4],
            "segment": np.array(["automotive", "heating", "medical"])[numbers % 3],
        }
    )


def actions_table(clock: Clock) -> pd.DataFrame:
    """What was done about the bad episodes, months after they began, and some that changed nothing."""
    rows = [
        (f"supplier:{episode.supplier}", DAYS - episode.first + 100, DAYS - episode.last, title)
        for episode, title in ((BAD_EPISODE, "8D: potting cracks in the field"), (MILD_EPISODE, "8D: open coils"))
    ]
    rows += [
        (f"line:{RECALIBRATED[1]}", DAYS - RECALIBRATED[2], DAYS - RECALIBRATED[2], "Oven sensor recalibrated"),
        ("line:L2", 240, 270, "Operators trained anew"),
        ("product:P03", 410, 480, "Drawing of the connector revised"),
    ]
    scope, opened, effective, title = zip(*sorted(rows, key=lambda row: row[1]), strict=True)
    day = np.array(opened, dtype=np.float64)
    effect = np.array(effective, dtype=np.float64)
    return pd.DataFrame(
        {
            "action_id": named("CA", np.arange(1, len(rows) + 1), 3),
            "scope": scope,
            "opened_at": clock(day),
            "effective_at": clock(effect),
            "closed_at": clock(effect + 60.0),
            "title": title,
        }
    )


def surveys_table(rng: np.random.Generator, lots: Lots, returns: pd.DataFrame, clock: Clock) -> pd.DataFrame:
    """Each customer answers every quarter, and is the less pleased the more it sent back in that time."""
    ends = np.arange(91.0, DAYS - 10.0, 91.0)
    tables = []
    for number in range(len(TIERS)):
        name = f"C{number + 1:02d}"
        answered = ends + np.floor(rng.uniform(0.0, 10.0, len(ends))) + rng.uniform(8.0, 17.0, len(ends)) / 24.0
        reported = np.sort(returns.loc[returns["customer_id"] == name, "reported_at"].to_numpy())
        sent_back = np.diff(np.searchsorted(reported, clock(np.concatenate([[0.0], ends]))))
        bought = max(1.0, 91.0 / DAYS * lots.quantity[lots.customer == number].sum())
        score = np.clip(np.rint(9.5 - 200.0 * sent_back / bought + rng.normal(0.0, 0.8, len(ends))), 0, 10)
        columns = {
            "answered_at": clock(answered),
            "customer_id": name,
            "kind": "quarterly",
            "score": score,
            "comment": np.where(score < 6, "Too many failures lately", np.where(score < 8, "", "Good quality")),
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables).sort_values(["answered_at", "customer_id"])
