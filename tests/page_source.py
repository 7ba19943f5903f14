"""What the pages are given in tests: a small plant's answers in the API's wire shapes, odd ids among them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.problems import Problem

AS_OF = "2026-11-22T08:00:00Z"
SCRIPT = "<script>alert('lot')</script>"
ODD = "B/7 50% 批次#3?"
BROKEN = "T-2026-4422"
DECISIONS = ("hold", "inspect", "cannot_assess", "release")
WARNINGS = (["missing_history", "unseen_category"], ["stale_table"], [], [], ["something_new"], [])
REASONS = {
    "en": [
        (
            "supplier_reject_share_90d",
            "Share of the supplier's receipts rejected in the last 90 days: 12.4 % (usually 3.1 %)",
            0.124,
            0.82,
        ),
        ("oven_temp_max_mean", "Oven temperature, mean of the lot's values: 231.5 (usually 224.8)", 231.5, 0.41),
        (
            "line_returns_365d",
            "Returns of the line's lots in the last 365 days: 4 returned units per million unit days",
            4.0,
            -0.28,
        ),
        ("starch_supplier", "Supplier of starch: not known, or not seen in training", None, 0.17),
        ("product_age_days", "Days since the product's first lot: 812 days (usually 730 days)", 812.0, -0.06),
    ],
    "zh": [
        ("supplier_reject_share_90d", "供应商近 90 天来料拒收占比：12.4 %（通常 3.1 %）", 0.124, 0.82),
        ("oven_temp_max_mean", "烘箱温度，本批测量均值：231.5（通常 224.8）", 231.5, 0.41),
        ("line_returns_365d", "该产线近 365 天的退货：4 件/(百万件·天)", 4.0, -0.28),
        ("starch_supplier", "淀粉的供应商：未知，或训练中未出现", None, 0.17),
        ("product_age_days", "产品首批至今：812 天（通常 730 天）", 812.0, -0.06),
    ],
}


@dataclass
class Plant:
    """A PageSource. `asked` keeps what `lots` was asked for; `empty`, `bare` and `refused` are days that go wrong.

    `gated`: by lot what the gate says beyond the score, or its Problem.
    """

    language: str = "en"
    site_name: str = "tablets"
    timezone: str = "Europe/Ljubljana"
    empty: bool = False
    bare: bool = False
    refused: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    gated: dict[str, dict[str, Any] | Problem] = field(default_factory=dict)

    @property
    def gate(self) -> "Plant":
        return self

    async def preview(self, lot_id: str, *, language: str) -> dict[str, Any]:
        told = await self.lot(lot_id, language=language)
        more = self.gated.get(lot_id, {})
        if isinstance(more, Problem):
            raise more
        said: dict[str, Any] = told["score"] | {"rules": [], "unknown": [], "says": ""} | more
        return said

    async def lots(self, filters: Mapping[str, str], *, sort: str, cursor: str | None, limit: int) -> dict[str, Any]:
        self.asked.append({"filters": dict(filters), "sort": sort, "cursor": cursor, "limit": limit})
        if cursor == "broken":
            raise Problem("invalid_request", "cursor 'broken' is not one of ours. Start again from the first page.")
        found = [] if self.empty else [item for item in items(bare=self.bare) if matches(item, filters)]
        key = sort.removeprefix("-")
        there = [item for item in found if item[key] is not None]
        there.sort(key=lambda item: item[key], reverse=sort.startswith("-"))
        found = there + [item for item in found if item[key] is None]
        start = int(cursor or 0)
        page = found[start : start + 25]
        return {
            "items": page,
            "next": str(start + 25) if start + 25 < len(found) else None,
            "total": len(found),
            "as_of": AS_OF,
            "model_version": "shrunk_product" if self.bare else "4",
        }

    async def lot(self, lot_id: str, *, language: str) -> dict[str, Any]:
        found = next((item for item in items(bare=self.bare) if item["lot_id"] == lot_id), None)
        if found is None:
            raise Problem("unknown_lot", f"no lot {lot_id!r} is known")
        if lot_id == BROKEN:
            raise Problem("not_ready", "the histories have not been read yet")
        return {
            "lot_id": lot_id,
            "lot": {name: found[name] for name in ("lot_id", "product_id", "line_id", "customer_id", "quantity")}
            | {"produced_at": found["produced_at"], "shipped_at": None, "shift": "night", "humidity": 43.25},
            "score": {
                **{name: found[name] for name in ("lot_id", "risk", "expected_cost", "decision", "model_version")},
                "expected_saving": found["expected_saving"],
                "risk_low": found["risk_low"],
                "risk_high": found["risk_high"],
                "reasons": [
                    {"feature": feature, "text": text, "value": value, "contribution": contribution}
                    for feature, text, value, contribution in ([] if self.bare else REASONS[language])
                ],
                "as_of": AS_OF,
                "features_as_of": "2026-11-22T07:41:00Z",
                "warnings": [
                    {"code": code, "detail": "nothing of this lot is known in genealogy"} for code in found["warnings"]
                ],
            },
            "problem": None,
            **records(),
        }

    async def models(self) -> dict[str, Any]:
        if self.bare:
            return {
                "site": self.site_name,
                "champion": None,
                "serving": None,
                "rate": "shrunk_product",
                "problem": None,
                "versions": [version("1", promote=False)],
            }
        problem = (
            "Version 5 is refused: golden row 3 scores 0.0712 here, its card says 0.0698. Promote another version."
        )
        versions = [version(str(number), promote=number != 2) for number in (4, 3, 2, 1)]
        versions[0] |= {"champion": True, "serving": True, "promoted_because": "asked for by <quality>"}
        versions[2] |= {"challenger": True, "challenged_because": "fewer false alarms"}
        if self.refused:
            versions = [version("5", promote=True) | {"champion": True, "problem": problem}, *versions]
            versions[1]["champion"] = False
            broken = {
                "figures": {},
                "promote": None,
                "reasons": [],
                "problem": "card.json is no JSON. Promote another.",
            }
            versions.append({"version": "0", "champion": False, "serving": False} | broken)
        return {
            "site": self.site_name,
            "champion": "5" if self.refused else "4",
            "challenger": "2",
            "challenger_problem": "Version 2 lacks a feature. Train again." if self.refused else None,
            "serving": "4",
            "rate": "shrunk_product",
            "problem": problem if self.refused else None,
            "versions": versions,
        }

    async def drift(self) -> dict[str, Any]:
        if self.bare:
            return {"verdict": "not_run", "detail": "run lotrisk monitor with this site's folder"}
        return {
            "made_at": "2026-11-22T04:00:00Z",
            "model_version": "4",
            "from": "2026-10-23T00:00:00Z",
            "until": "2026-11-22T00:00:00Z",
            "lots": 812,
            "needed": 200,
            "verdict": "drift",
            "detail": "2 of 34 features have moved away from what the model was trained on.",
            "features": [drifted(place) for place in range(14)],
            "risk": drifted(6) | {"feature": "risk"},
        }

    async def performance(self) -> dict[str, Any]:
        if self.bare:
            return {"verdict": "not_run", "detail": "run lotrisk monitor with this site's folder"}
        return {
            "made_at": "2026-11-22T04:00:00Z",
            "model_version": "4",
            "from": "2026-01-01T00:00:00Z",
            "until": "2026-11-22T00:00:00Z",
            "verdict": "as_predicted",
            "detail": "Of 2,310 mature judgements 162 failed (7.0 %), where 158 were predicted.",
            "immature_share": 0.31,
            "challenger": comparison(),
            "months": [month(number) for number in range(1, 12)],
        }


def comparison() -> dict[str, Any]:
    """Of the challenger, by figures that are not told apart."""
    figures = {"scored": 900, "failed": 61, "predicted": 0.066, "realised": 0.068, "log_loss": 0.2031}
    return {
        "version": "2",
        "champion": "4",
        "judgements": 900,
        "failed": 61,
        "unpaired": 12,
        "verdict": "not_told_apart",
        "detail": "version 2 beside 4: 900 mature judgements that both scored, 61 failed",
        "log_loss_difference": -0.0012,
        "log_loss_difference_low": -0.0041,
        "log_loss_difference_high": 0.0017,
        "versions": [
            {"version": "4", "role": "champion", "log_loss_low": 0.17, "log_loss_high": 0.23, **figures},
            {"version": "2", "role": "challenger", "log_loss_low": 0.16, "log_loss_high": 0.22, **figures},
        ],
    }


def matches(item: Mapping[str, Any], filters: Mapping[str, str]) -> bool:
    exact = {"product": "product_id", "line": "line_id", "customer": "customer_id", "decision": "decision"}
    if any(name in filters and item[column] != filters[name] for name, column in exact.items()):
        return False
    least = filters.get("min_risk", "0")
    return (item["risk"] or 0) >= (float(least) if least[0].isdigit() else 0)


def items(*, bare: bool = False) -> list[dict[str, Any]]:
    """Sixty open lots, the first two with ids that pages have to quote."""
    ids = [ODD, SCRIPT, *(f"T-2026-{4821 - 7 * place}" for place in range(58))]
    return [
        {
            "lot_id": lot_id,
            "product_id": f"P{place % 5 + 10}",
            "line_id": f"L{place % 3 + 1}",
            "customer_id": ("Krka", "华东制药有限公司", "Lek")[place % 3],
            "quantity": 120_000 - 500 * place,
            "produced_at": f"2026-11-{21 - place // 4:02d}T{6 + place % 4 * 4:02d}:15:00Z",
            "shipped_at": None,
            "risk": None if place == 9 else round(0.418 * math.exp(-place / 9), 6),
            "risk_low": None if bare or place == 9 else round(0.2 * math.exp(-place / 9), 6),
            "risk_high": None if bare or place == 9 else round(0.8 * math.exp(-place / 9), 6),
            "expected_cost": None if place == 9 else round(9000 * 0.418 * math.exp(-place / 9), 2),
            "expected_saving": None if place == 9 else round(4000 * 0.418 * math.exp(-place / 9), 2),
            "within_capacity": {5: True, 6: False}.get(place),
            "decision": "cannot_assess"
            if bare or place == 9
            else DECISIONS[min(place // 5 if place < 5 else 1 + 2 * (place > 15), 3)],
            "warnings": list(WARNINGS[place % 6]),
            "model_version": "shrunk_product" if bare else "4",
            "as_of": AS_OF,
            "features_as_of": "2026-11-22T07:41:00Z",
        }
        for place, lot_id in enumerate(ids)
    ]


def records() -> dict[str, Any]:
    """All that is known of one lot beside its score."""
    limits = {
        "weight": (245.0, 255.0, [249.8, 251.2, 250.4]),
        "thickness": (4.1, 4.5, [4.31, 4.28, 4.36]),
        "hardness": (60.0, 120.0, [81.0, 76.5, 128.0]),
        "dissolution after 30 min": (80.0, None, [91.2, 88.7]),
        "impurity B": (None, 0.2, [0.07, 0.09]),
        "烘箱温度": (215.0, 230.0, [231.5, 229.1]),
        "colour": (None, None, [3.0]),
    }
    return {
        "history": [
            {
                "as_of": f"2026-11-{10 + place:02d}T08:00:00Z",
                "asked_at": f"2026-11-{10 + place:02d}T08:00:01Z",
                "risk": 0.06 + 0.028 * place + 0.01 * math.sin(3 * place),
                "expected_cost": 540.0 + 260 * place,
                "decision": ("release", "release", "inspect", "inspect", "inspect", "hold")[
                    place // 2 if place < 12 else 5
                ],
                "model_version": "3" if place < 7 else "4",
                "source": "open" if place % 3 else "api",
            }
            for place in range(12)
        ],
        "genealogy": [
            {
                "supplier_lot_id": f"S-{880 + place}/A",
                "supplier_id": ("Roquette", "浙江原料", "Meggle")[place],
                "material_id": f"M{100 + place}",
                "material_group": ("starch", "active", None)[place],
                "received_at": f"2026-10-0{place + 1}T10:30:00Z",
                "quantity": (120.5, 14.0, None)[place],
                "consumed_at": "2026-11-20T22:10:00Z",
            }
            for place in range(3)
        ],
        "measurements": [
            {
                "characteristic": name,
                "measured_at": "2026-11-21T03:20:00Z",
                "sample": str(place + 1),
                "value": value,
                "lower_spec": lower,
                "upper_spec": upper,
                "within": None
                if lower is None and upper is None
                else (lower is None or value >= lower) and (upper is None or value <= upper),
            }
            for name, (lower, upper, values) in limits.items()
            for place, value in enumerate(values)
        ],
        "shipments": [
            {"shipment_id": "SH-1", "customer_id": "Krka", "shipped_at": "2026-11-21T12:00:00Z", "quantity": 60_000},
            {"shipment_id": "SH-2", "customer_id": "Lek", "shipped_at": "2026-11-21T15:00:00Z", "quantity": -500},
        ],
        "returns": [
            {
                "return_id": "R-17",
                "customer_id": "Krka",
                "occurred_at": "2026-11-21T23:00:00Z",
                "reported_at": "2026-11-22T05:00:00Z",
                "quantity": 12,
                "failure_mode": "capping",
                "severity": 3,
                "description": "Tablets split in the blister; <b>two</b> cartons kept back by the customer.",
            }
        ],
        "dispositions": [{"decided_at": "2026-11-21T09:00:00Z", "action": "sorted", "found": True}],
        "outcomes": [{"failed": True, "known_at": "2026-11-22T05:00:00Z"}],
    }


def segments() -> dict[str, Any]:
    """Of a card: one that is off, one that is not, one of which too few failed."""
    names = {"supplier:<V06>": "fails more than predicted", "product:P10": "nothing found", "tier:A": "too few"}
    told = [
        {"name": name, "verdict": verdict, "judgements": 789, "failures": 128, "predicted": 0.07, "share": 0.162}
        | {"share_low": 0.115, "share_high": 0.208, "p": 0.012}
        for name, verdict in names.items()
    ]
    return {"counts": dict.fromkeys(names.values(), 1), "segments": told}


def version(number: str, *, promote: bool) -> dict[str, Any]:
    names = {"model": 0.0, "base rate": 0.3, "strongest rate": 0.11, "shrunk_product": 0.12, "shrunk_supplier": 0.15}
    names |= {"logistic regression": 0.02, "production only": 0.1, "supplier only": 0.05, "field only": 0.09}
    names |= {"supplier_lot kept apart": 0.07}
    bins = [
        {"predicted": 0.004 * 1.62**place, "failed_share": 0.004 * 1.62**place * (0.9 + 0.25 * math.sin(place))}
        for place in range(10)
    ]
    for row in bins:
        row |= {"low": row["failed_share"] * 0.6, "high": row["failed_share"] * 1.5 + 0.004, "judgements": 240}
    reasons = [
        "162 of 2,410 evaluation judgements failed (20 are needed).",
        "Log loss is below that of the base rate: 0.2105 against 0.2541, -0.0436 [-0.0512, -0.0361].",
        "Log loss is not clearly below that of the strongest shrunk rate of each time (lastly shrunk_product): "
        "0.2105 against 0.2131, -0.0026 [-0.0071, 0.0019].",
    ]
    return {
        "version": number,
        "champion": False,
        "serving": False,
        "trained_until": f"2026-{6 + int(number):02d}-01T00:00:00Z",
        "cut": f"2026-{6 + int(number):02d}-01T00:00:00Z",
        "figures": {name: figures(name, worse) for name, worse in names.items()}
        | {"reliability": {"judgements": 2410, "failures": 162, "bins": bins}}
        | {"segments": segments(), "stability": {"told": "Of the 5 leading reasons of a lot 71% stay."}, "monotone": 12}
        | {"leaks": [{"name": "oven", "says": "oven holds 71% of the gain: check that it is known before <as_of>."}]},
        "promote": promote,
        "reasons": reasons if not promote else reasons[:2],
        "features": 34,
        "rounds": 212,
        "problem": None,
    }


def figures(name: str, worse: float) -> dict[str, Any]:
    at_best = {
        "average_precision": 0.412 - worse,
        "roc_auc": 0.861 - worse,
        "log_loss": 0.2105 + worse / 6,
        "brier": 0.0521 + worse / 20,
        "calibration_error": None,
        "precision_at_capacity": 0.377 - worse,
        "recall_at_capacity": 0.664 - worse,
    }
    row: dict[str, Any] = {"name": name}
    for key, value in at_best.items():
        row |= {key: value, f"{key}_low": value and 0.92 * value, f"{key}_high": value and 1.07 * value}
    if worse:
        row |= {"model_less_it": -worse / 6, "model_less_it_low": -worse / 5, "model_less_it_high": worse / 80}
    few = name.endswith("kept apart")
    return row | {"judgements": 310 if few else 2410, "failures": 14 if few else 162, "few": few}


def drifted(place: int) -> dict[str, Any]:
    statistic = 0.31 * math.exp(-place / 3)
    return {
        "feature": f"supplier_reject_share_{365 - 20 * place}d",
        "kind": "number",
        "statistic": statistic,
        "low": 0.8 * statistic,
        "high": 1.3 * statistic,
        "limit": 0.1,
        "verdict": "drift" if place < 2 else "unclear" if place == 2 else "none",
        "missing_now": 0.041,
        "missing_then": 0.0,
    }


def month(number: int) -> dict[str, Any]:
    mature = number < 8
    real = 0.07 + 0.02 * math.sin(number)
    return {
        "month": f"2026-{number:02d}",
        "judged": 330,
        "mature": 330 if mature else 120 if number == 8 else 0,
        "immature_share": 0.0 if mature else 0.64 if number == 8 else 1.0,
        "scored": 330,
        "predicted": 0.068 + 0.003 * number if number <= 8 else None,
        "realised": real if number <= 8 else None,
        "realised_low": real - 0.025 if number <= 8 else None,
        "realised_high": real + 0.03 if number <= 8 else None,
        "failed": 23 if number <= 8 else 0,
        "log_loss": 0.21 if number <= 8 else None,
        "log_loss_low": 0.18 if number <= 8 else None,
        "log_loss_high": 0.25 if number <= 8 else None,
    }
