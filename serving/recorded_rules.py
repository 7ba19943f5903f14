"""What a site has ruled, as the audit log keeps it: decisions name it by its hash, and a change is an entry."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from features.gate_settings import GateSettings
from features.rules import rules_from
from features.score import Policy
from features.site import Site
from serving.audit import append, body_text, last_of
from serving.tables import AUDIT

KIND = "rules"
LAST_RULES = sa.select(AUDIT.c.hash).where(AUDIT.c.kind == KIND).order_by(AUDIT.c.seq.desc()).limit(1)
"""The hash of the audit log's last entry of rules."""


def told(site: Site) -> dict[str, Any]:
    """All that decisions follow beside the model: label, costs, limits, `[gate]`, language."""
    return {
        "rules": asdict(site.rules),
        "gate": site.gate.model_dump(mode="json"),
        "stale": dict(site.stale),
        "language": site.language,
        "site": site.name,
        "timezone": site.timezone,
    }


def hash_of(rules: Mapping[str, Any]) -> str:
    """What decisions name them by."""
    return hashlib.sha256(body_text(dict(rules)).encode("ascii")).hexdigest()


def record(connection: sa.Connection, rules: Mapping[str, Any], *, actor: str, at: int) -> str:
    """Adds an entry, inside `writing`, where these are not the rules of the last one; it has the previous ones too.

    Returns the hash of the entry that has them.
    """
    last, now = last_of(connection, KIND), hash_of(rules)
    if last is None or last.body["hash"] != now:
        previous = None if last is None else {"hash": last.body["hash"], "told": last.body["told"]}
        body = {"hash": now, "told": dict(rules), "previous": previous}
        last = append(connection, kind=KIND, actor=actor, body=body, at=at)
    return last.hash


def recorded(connection: sa.Connection, wanted: str, *, before: int) -> dict[str, Any] | None:
    """The rules of that hash, out of entries with a number below `before`; None: no entry has them."""
    asked = sa.select(AUDIT.c.body).where(AUDIT.c.kind == KIND, AUDIT.c.seq < before).order_by(AUDIT.c.seq.desc())
    for (body,) in connection.execute(asked):
        if f'"hash":"{wanted}"' in body:
            found: dict[str, Any] = json.loads(body)
            if found["hash"] == wanted:
                return dict(found["told"])
    return None


def policy_of(rules: Mapping[str, Any]) -> tuple[Policy, GateSettings]:
    """What `told` gave, as the gate follows it."""
    policy = Policy(rules_from(rules["rules"]), rules["language"], rules["stale"], rules["site"])
    return policy, GateSettings.model_validate(rules["gate"])
