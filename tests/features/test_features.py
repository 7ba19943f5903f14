"""A handful of features, picked for what can go wrong in them, against a reading of every row."""

import math
from random import Random

import numpy as np
import pytest

from features.asof import DAY, HOUR
from features.build import build_features, choose_layout
from features.judgements import judge
from features.layout import Layout
from tests import oracle
from tests.tiny_site import ORIGIN, Rows, asked, day, histories, plain_site, rules, tiny_site

YEAR = 365 * DAY
EPOCH_2000 = 946_684_800 * 1_000_000
UNTIL = day(380)


class Built:
    """The features of every judgement of a site, and of every lot at the end."""

    def __init__(self, rows: Rows, rule) -> None:
        self.rows, self.rule = oracle.as_it_was(rows, UNTIL), rule
        told = histories(self.rows, rule)
        self.layout: Layout = choose_layout(told, day(300), rules=rule)
        judged = judge(told, rule, until=UNTIL)
        self.lots = [*told.ids["lot"].decode(judged.lot), *sorted({row["lot_id"] for row in self.rows["lots"]})]
        self.as_of = [*judged.as_of.tolist(), *[UNTIL] * (len(self.lots) - len(judged))]
        some = sorted(Random(0).sample(range(len(self.lots)), min(len(self.lots), 70)))
        self.lots, self.as_of = [self.lots[place] for place in some], [self.as_of[place] for place in some]
        self.features = build_features(asked(told, self.lots, self.as_of), told, self.layout)

    def compare(self, name: str, expected, *, close: float = 1e-9, at_least: int = 5) -> None:
        """`expected(lot, as_of)` for every row; None: null. At least so many must be told apart from null."""
        got = self.features.column(name).tolist()
        wanted = [expected(lot, as_of) for lot, as_of in zip(self.lots, self.as_of, strict=True)]
        for place, (is_, should) in enumerate(zip(got, wanted, strict=True)):
            what = f"{name} of {self.lots[place]} at day {(self.as_of[place] - ORIGIN) / DAY}"
            if should is None:
                assert math.isnan(is_), f"{what}: {is_}, not null"
            else:
                assert is_ == pytest.approx(float(should), rel=close, abs=close), what
        assert sum(value is not None for value in wanted) >= at_least, f"{name} is null nearly everywhere"
        assert len(set(wanted)) > 1, f"{name} is the same everywhere"


PLAIN = [(0, rules(within=30), "both"), (1, rules(within=30, again_every=45), "shipments")]
PLAIN += [(2, rules(within=30, at="produced_at", again_every=60), "lots")]
ANY = [(seed, rules(within=30, again_every=[None, 45][seed % 2]), "shipments") for seed in (0, 3)]


@pytest.fixture(scope="module", params=PLAIN, ids=lambda one: f"plain-{one[0]}")
def plain(request) -> Built:
    seed, rule, ships = request.param
    return Built(plain_site(Random(seed), ships=ships, lots=30), rule)


@pytest.fixture(scope="module", params=ANY, ids=lambda one: f"any-{one[0]}")
def built(request) -> Built:
    seed, rule, ships = request.param
    return Built(tiny_site(Random(seed), ships=ships, lots=30), rule)


def own(site: Built, lot: str, as_of: int, column: str):
    return oracle.question(lot, as_of, site.rows).get(column)


def others_of(site: Built, lot: str, as_of: int, entity: str) -> set[str]:
    """The other lots of the lot's product (line, …) as known then."""
    mine = own(site, lot, as_of, f"{entity}_id")
    there = oracle.standing("lots", site.rows, as_of)
    return {r["lot_id"] for r in there if r["lot_id"] != lot and mine is not None and r.get(f"{entity}_id") == mine}


def hours(moment: int) -> int:
    return (moment - EPOCH_2000) // HOUR


def test_a_products_share_of_failing_lots(plain):
    prior, every = plain.layout.priors["fail"], oracle.judgements(plain.rows, plain.rule, UNTIL)
    fates = []
    for one in every:
        end = one.window(plain.rule)[1] + plain.layout.delay
        if one.shipped is not None:  # settled by what was known when its time was over
            fates.append((one.lot, end, oracle.label(one, oracle.as_it_was(plain.rows, end), plain.rule, end)))

    def share(lots: set[str], as_of: int, towards: float, entity: str) -> float:
        seen = [
            failed for lot, end, failed in fates if lot in lots and failed is not None and end < as_of <= end + YEAR
        ]
        return (sum(seen) + prior.strength[entity] * towards) / (len(seen) + prior.strength[entity])

    def expected(lot: str, as_of: int) -> float:
        everybody = {row["lot_id"] for row in plain.rows["lots"]} - {lot}
        wider = share(everybody, as_of, prior.rate, "plant")
        return share(others_of(plain, lot, as_of, "product"), as_of, wider, "product")

    assert {failed for *_, failed in fates} >= {0, 1}
    plain.compare("product_fail_share_365d", expected)


def exposed(site: Built, lots: set[str], as_of: int, window: int) -> tuple[int, int]:
    """(units returned, unit-hours at risk) of a window over known time, the latter from what happened when."""
    returned = total = 0
    start = as_of - window
    for row in oracle.shipments(site.rows, as_of):
        if row["lot_id"] in lots:
            told = row["shipped_at"] if "shipments" not in site.rows else oracle.first_told("shipments", row, site.rows)
            since = row["shipped_at"] if told >= start else start
            total += row["quantity"] * (hours(as_of) - hours(since))
    for row in oracle.standing("returns", site.rows, as_of):
        if row["lot_id"] in lots:
            recent = oracle.first_told("returns", row, site.rows) >= start
            returned += row["quantity"] if recent else 0
            total -= row["quantity"] * (hours(as_of) - hours(row["occurred_at"] if recent else start))
    return returned, max(total, 0)


def test_a_products_rate_of_returns_is_per_unit_and_time_at_risk(plain):
    prior = plain.layout.priors["return"]

    def rate(lots: set[str], as_of: int, towards: float, entity: str) -> float:
        returned, time = exposed(plain, lots, as_of, 90 * DAY)
        return (returned + prior.strength[entity] * towards) / (time + prior.strength[entity])

    def expected(lot: str, as_of: int) -> float:
        everybody = {row["lot_id"] for row in plain.rows["lots"] if row["produced_at"] < as_of} - {lot}
        wider = rate(everybody, as_of, prior.rate, "plant")
        return rate(others_of(plain, lot, as_of, "product"), as_of, wider, "product") * 24e6

    plain.compare("product_return_rate_90d", expected)


def used(site: Built, lot: str, as_of: int) -> list[tuple[dict, float | None]]:
    """(supplier lot as known then, quantity) of what went into a lot."""
    made = min(oracle.known("lots", row, site.rows) for row in site.rows["lots"] if row["lot_id"] == lot)
    uses = [row for row in oracle.standing("genealogy", site.rows, as_of) if row["lot_id"] == lot]
    for first, *_ in oracle.versions("genealogy", site.rows).values():
        with_the_lot = first.get("consumed_at") is None and oracle.known("genealogy", first, site.rows) <= made
        if first["lot_id"] == lot and with_the_lot and oracle.known("genealogy", first, site.rows) >= as_of:
            uses.append(first)
    there = {row["supplier_lot_id"]: row for row in oracle.standing("supplier_lots", site.rows, as_of)}
    found = [(there[row["supplier_lot_id"]], row.get("quantity")) for row in uses if row["supplier_lot_id"] in there]
    return sorted(found, key=lambda one: one[0]["supplier_lot_id"])


def weights(parts: list[tuple[dict, float | None]]) -> list[float]:
    """Shares within one material; a missing quantity means equal shares."""
    shares = []
    for row, quantity in parts:
        same = [amount for other, amount in parts if other["material_id"] == row["material_id"]]
        shares.append(1 / len(same) if None in same else quantity / sum(same))
    return shares


def grouped(row: dict) -> str:
    return row.get("material_group") or row["material_id"]


def test_a_share_of_defects_is_weighted_within_each_material(built):
    def expected(lot: str, as_of: int) -> float | None:
        parts = used(built, lot, as_of)
        found = tried = 0.0
        for (row, _), weight in zip(parts, weights(parts), strict=True):
            if grouped(row) != "resin":
                continue
            for result in oracle.standing("inspections", built.rows, as_of):
                if result["supplier_lot_id"] == row["supplier_lot_id"] and result["sample_size"]:
                    found, tried = found + weight * result["defects"], tried + weight * result["sample_size"]
        return found / tried if tried else None

    built.compare("resin_defect_share", expected)


def test_supplier_lots_mixed_counts_those_known_then(built):
    def expected(lot: str, as_of: int) -> int | None:
        return len({row["supplier_lot_id"] for row, _ in used(built, lot, as_of) if grouped(row) == "resin"}) or None

    built.compare("resin_lots_mixed", expected)


def test_an_inspected_value_is_the_latest_known(built):
    def expected(lot: str, as_of: int) -> float | None:
        parts, results = used(built, lot, as_of), oracle.standing("inspections", built.rows, as_of)
        total = weight_of = 0.0
        for (row, _), weight in zip(parts, weights(parts), strict=True):
            mine = [r for r in results if r["supplier_lot_id"] == row["supplier_lot_id"] and r.get("value") is not None]
            mine.sort(key=lambda r: (oracle.first_told("inspections", r, built.rows), r["inspected_at"], r["sample"]))
            if mine and grouped(row) == "resin":
                total, weight_of = total + weight * mine[-1]["value"], weight_of + weight
        return total / weight_of if weight_of else None

    built.compare("resin_inspected_moisture", expected, close=1e-6, at_least=3)


def in_use(site: Built, lot: str, as_of: int) -> int | None:
    """The lot's first judgement where it lies behind."""
    row = oracle.question(lot, as_of, site.rows)
    if site.rule.decision.at == "produced_at":
        return row["produced_at"] if row["produced_at"] < as_of else None
    if row.get("shipped_at") is not None and row["shipped_at"] < as_of:
        return row["shipped_at"]
    left = [s for s in oracle.shipments(site.rows, as_of) if s["lot_id"] == lot and s["quantity"] > 0]
    return min((s["shipped_at"] for s in left), default=None)


def test_own_columns_tell_what_the_lot_did_since_its_first_judgement(built):
    if built.rule.decision.again_every is None:
        assert not any(name.startswith("own_") for name in built.features.names)
        return

    def back(lot: str, as_of: int) -> list[tuple[int, int]]:
        there = [row for row in oracle.standing("returns", built.rows, as_of) if row["lot_id"] == lot]
        made = oracle.first_told("lots", {"lot_id": lot}, built.rows)  # before it, its returns are of an unknown lot
        return [(max(oracle.first_told("returns", row, built.rows), made), row["quantity"]) for row in there]

    def since_judged(value):
        return lambda lot, as_of: None if in_use(built, lot, as_of) is None else value(lot, as_of)

    def days_since(lot: str, as_of: int) -> float | None:
        return min(((as_of - told) / DAY for told, _ in back(lot, as_of)), default=None)

    def recent(lot: str, as_of: int) -> int:
        return sum(units for told, units in back(lot, as_of) if told >= as_of - 90 * DAY)

    built.compare("own_age_days", since_judged(lambda lot, as_of: (as_of - in_use(built, lot, as_of)) / DAY))
    built.compare("own_returned_90d", since_judged(recent))
    built.compare("own_days_since_return", since_judged(days_since))


def test_days_since_a_return_leave_out_the_lots_own(built):
    def expected(lot: str, as_of: int) -> float | None:
        lots = others_of(built, lot, as_of, "product")
        there = [row for row in oracle.standing("returns", built.rows, as_of) if row["lot_id"] in lots]
        made = {one: oracle.first_told("lots", {"lot_id": one}, built.rows) for one in lots}
        told = [max(oracle.first_told("returns", row, built.rows), made[row["lot_id"]]) for row in there]
        return min(((as_of - moment) / DAY for moment in told), default=None)

    built.compare("product_days_since_return", expected)


def test_lots_of_the_week_before_production(built):
    def expected(lot: str, as_of: int) -> int:
        end = min(own(built, lot, as_of, "produced_at"), as_of)
        product = own(built, lot, as_of, "product_id")
        there = [
            r for r in oracle.standing("lots", built.rows, end) if r["product_id"] == product and r["lot_id"] != lot
        ]
        return sum(oracle.first_told("lots", row, built.rows) >= end - 7 * DAY for row in there)

    built.compare("product_lots_7d", expected)


def test_what_a_lot_measured_against_what_its_product_measured_before(built):
    step = 2.0 ** next(c.exponent for c in built.layout.characteristics if c.name == "width")

    def measured(as_of: int) -> list[dict]:
        return [r for r in oracle.standing("measurements", built.rows, as_of) if r["characteristic"] == "width"]

    def mean(lot: str, as_of: int) -> float | None:
        mine = [row["value"] for row in measured(as_of) if row["lot_id"] == lot]
        return sum(mine) / len(mine) if mine else None

    def deviation(lot: str, as_of: int) -> float | None:
        lots = others_of(built, lot, as_of, "product")
        made = {one: oracle.first_told("lots", {"lot_id": one}, built.rows) for one in lots}
        past = [
            row["value"]
            for row in measured(as_of)
            if row["lot_id"] in lots
            and max(oracle.first_told("measurements", row, built.rows), made[row["lot_id"]]) >= as_of - YEAR
        ]
        if mean(lot, as_of) is None or len(past) < 5:
            return None
        return float(np.clip((mean(lot, as_of) - np.mean(past)) / max(np.std(past, ddof=1), step), -20, 20))

    built.compare("measured_width", mean, close=1e-4)
    built.compare("width_vs_product", deviation, close=1e-3, at_least=3)


def test_a_lots_own_returns_never_enter_the_rates_of_its_entities(built):
    lot = max(built.lots, key=lambda name: sum(row["lot_id"] == name for row in built.rows["returns"]))
    rows = {**built.rows, "returns": [row for row in built.rows["returns"] if row["lot_id"] != lot]}
    assert len(rows["returns"]) < len(built.rows["returns"])
    at = [place for place, name in enumerate(built.lots) if name == lot]
    told = histories(rows, built.rule)
    as_of = [built.as_of[place] for place in at]
    without = build_features(asked(told, [lot] * len(at), as_of), told, built.layout).matrix
    for column, name in enumerate(built.features.names):
        if not name.startswith("own_"):
            assert np.array_equal(without[:, column], built.features.matrix[at, column], equal_nan=True), name


def test_production_not_before_the_moment_reads_as_null():
    rows = plain_site(Random(0))
    told = histories(rows, rules())
    layout = choose_layout(told, UNTIL, rules=rules())
    made = rows["lots"][0]
    moments = [made["produced_at"] - 1, made["produced_at"], made["produced_at"] + DAY]
    built = build_features(asked(told, [made["lot_id"]] * 3, moments), told, layout)
    assert np.isnan(built.column("days_since_production")).tolist() == [True, True, False]
