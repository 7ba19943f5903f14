"""The question of `GET /v1/lots`: filters and sort as texts, held to what they may be."""

from collections.abc import Mapping
from dataclasses import dataclass

from features.decision import CANNOT_ASSESS, HOLD, INSPECT, RELEASE
from features.period import nearest
from features.times import read_moment
from serving.problems import Problem
from serving.standing import SORTS, Filter

FILTERS = ("product", "line", "customer", "supplier_lot", "decision", "min_risk", "shipped_from", "shipped_to")
DECISIONS = (RELEASE, INSPECT, HOLD, CANNOT_ASSESS)


@dataclass(frozen=True)
class LotsQuery:
    """`wanted` but for the supplier lot, which the histories turn into lots; `asked`: all of it, for the cursor."""

    wanted: Filter
    supplier_lot: str | None
    sort: str
    asked: dict[str, str]

    @classmethod
    def read(cls, filters: Mapping[str, str], *, sort: str, timezone: str) -> "LotsQuery":
        """Problem `invalid_request` names the filter that cannot be used."""
        given = {name: value for name, value in filters.items() if value}
        for name in given:
            if name not in FILTERS:
                raise Problem("invalid_request", f"unknown filter {name[:100]}{nearest(name, FILTERS)}")
        if sort.removeprefix("-") not in SORTS:
            raise Problem(
                "invalid_request", f"sort {sort[:100]}{nearest(sort, SORTS)}, with - before it for the greatest first"
            )
        decision = given.get("decision")
        if decision is not None and decision not in DECISIONS:
            raise Problem("invalid_request", f"decision {decision[:100]}{nearest(decision, DECISIONS)}")
        wanted = Filter(
            product=given.get("product"),
            line=given.get("line"),
            customer=given.get("customer"),
            decision=decision,
            min_risk=_share(given.get("min_risk")),
            shipped_from=_moment("shipped_from", given, timezone),
            shipped_to=_moment("shipped_to", given, timezone),
        )
        return cls(wanted, given.get("supplier_lot"), sort, {**given, "sort": sort})


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise Problem("invalid_request", f"min_risk must be a number from 0 to 1, found {text[:100]}")
    return share


def _moment(name: str, given: Mapping[str, str], timezone: str) -> int | None:
    try:
        return read_moment(given[name][:100], timezone) if name in given else None
    except ValueError as wrong:
        raise Problem("invalid_request", f"{name}: {wrong}") from None
