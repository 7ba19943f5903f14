"""`[gate]` of a `lotrisk.toml`: the rules before the model, what follows from what is not known, who may overrule."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.contracts import TABLES
from features.period import duration, nearest

Asks = Literal["inspect", "hold", "off"]
"""What a rule asks for, if it is not off; no rule releases."""
Outcome = Literal["inspect", "hold", "cannot_assess"]
STATES = (
    "no_champion",
    "unknown_lot",
    "not_open",
    "contradicting_rows",
    "unknown_customer",
    "unseen_product",
    "unseen_supplier",
    "unknown_supplier_lot",
    "unknown_name",
    "missing_limits",
    "wider_limits",
    "impossible_value",
    "measured_after_as_of",
    "stale_history",
    "pending_history",
    "missing_table",
    "missing_history",
    "calibration_expired",
    "below_min_units",
    "past_as_of",
)
"""What makes a lot one that the model cannot answer for."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleSettings(_Section):
    """One rule. `action`: what it asks for, or "off"."""

    action: Asks = "hold"


class ValueRule(RuleSettings):
    """A rule that looks at an attribute; `values`: as text, capitals or not."""

    column: str = Field(min_length=1)
    values: list[str] = Field(min_length=1)


class InspectionRule(RuleSettings):
    """`after`: how long after its receipt a supplier lot without an inspection is overdue; absent: never."""

    action: Asks = "inspect"
    after: str | None = None

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.after is not None and duration(self.after) <= 0:
            raise ValueError("after must be longer than nothing")
        return self


class RulesSettings(_Section):
    """`[gate.rules]`"""

    out_of_specification: RuleSettings = RuleSettings()
    blocked_supplier_lot: ValueRule = ValueRule(column="status", values=["blocked"])
    open_containment: RuleSettings = RuleSettings()
    customer_hold: ValueRule = ValueRule(column="hold", values=["1", "true", "yes"])
    overdue_inspection: InspectionRule = InspectionRule()


VALUED = {"blocked_supplier_lot": "supplier_lots", "customer_hold": "customers"}
"""Rules that look at an attribute, and of which table."""


USUAL = RulesSettings()
"""A site that names another column than these means that there is one."""


class RiskClasses(_Section):
    """`[gate.risk_classes]`: the risks from which a released or inspected lot is of medium and of high risk."""

    medium: float = Field(default=0.1, gt=0, lt=1)
    high: float = Field(default=0.3, gt=0, le=1)

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.medium > self.high:
            raise ValueError("medium must not be above high")
        return self


Classes = list[Literal["low", "medium", "high", "unknown", "rule"]]
"""Of a decision that is overruled: by its risk, or `unknown` where it could not be assessed, `rule` where one held."""


class GateSettings(_Section):
    """`[gate]`"""

    stands_for: str = "24h"
    calibrated_for: str = "400d"
    expects: list[str] = ["genealogy", "measurements"]
    rules: RulesSettings = RulesSettings()
    degraded: dict[str, Outcome] = {}
    authority: dict[Literal["line", "planner", "engineer", "quality", "admin"], Classes] = {
        "quality": ["low", "medium", "high", "unknown"],
        "admin": ["low", "medium", "high", "unknown", "rule"],
    }
    risk_classes: RiskClasses = RiskClasses()

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for name in ("stands_for", "calibrated_for"):
            if duration(getattr(self, name)) <= 0:
                raise ValueError(f"{name} must be longer than nothing")
        for name in self.degraded:
            if name not in STATES:
                raise ValueError(f"unknown state degraded.{name}{nearest(name, STATES)}")
        for name in self.expects:
            if name not in ("genealogy", "measurements"):
                raise ValueError(f"expects: {name} is neither genealogy nor measurements; every lot has rows of these")
        return self

    def outcome(self, state: str) -> Outcome:
        """What follows where a lot is in a state that the model cannot answer for; never a release."""
        return self.degraded.get(state, "cannot_assess")

    def classed(self, risk: float | None) -> str:
        """The risk class of a decision that no rule made and that could be assessed."""
        if risk is None:
            return "unknown"
        classes = self.risk_classes
        return "high" if risk >= classes.high else "medium" if risk >= classes.medium else "low"

    def may_overrule(self, role: str, risk_class: str) -> bool:
        """Whether the site grants a role to overrule a decision of that class."""
        return any(named == role and risk_class in classes for named, classes in self.authority.items())

    def attributes(self, table: str) -> tuple[str, ...]:
        """Attributes that rules look at, so that rows may bring them though no row has had one yet."""
        columns = {
            "supplier_lots": self.rules.blocked_supplier_lot.column,
            "customers": self.rules.customer_hold.column,
        }
        own = columns.get(table)
        return () if own is None or TABLES[table].column(own) is not None else (own,)
