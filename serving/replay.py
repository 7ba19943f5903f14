"""A recorded decision, made once more from what it stood on: the same call, rows, rules, containments and model."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from features.bundle import read_bundle
from features.card import code_fingerprint
from features.champion import Scorer
from features.database import reached
from features.errors import BundleRefused, LotRiskError
from features.gate import Ground
from features.reading import read_histories_at
from features.site import Site
from features.stored import State
from serving.answers import Call
from serving.audit import Entry, entry_of
from serving.containments import scopes_of
from serving.fetched import put_aside
from serving.gate_answers import amend, decide, scorer_facts
from serving.recorded_rules import policy_of, recorded
from serving.spelling import number_of

_SHOWN = 20  # differences


@dataclass(frozen=True)
class Replayed:
    """`differs`: where the answer of now is another, as `path: recorded, now`. `notes`: what is not as it was then."""

    audit_id: str
    lots: int
    differs: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Bit for bit."""
        return not self.differs


def replay(site: Site, engine: sa.Engine, audit_id: str) -> Replayed:
    """Makes the decision of that number again. LotRiskError where something it stood on is gone."""
    number = number_of(audit_id)
    entry = None if number is None else entry_of(engine, number)
    if entry is None or entry.kind != "decision":
        raise LotRiskError(
            f"{audit_id} is no decision of the gate; `lotrisk audit show SITE --kind decision` lists them"
        )
    ground = _ground(site, engine, entry)
    sent, body = entry.body["call"], entry.body
    call = Call(sent["lots"], sent["as_of"], sent["reasons"])
    decided = decide([call], ground, timezone=_rules(engine, entry)["timezone"], now=body["now"])
    (answer,) = decided.answers
    amend(answer, body["refused"])
    now = json.loads(json.dumps(answer, allow_nan=False))
    differs = list(_differences("", body["answer"], now))
    notes = []
    if body["code"] != code_fingerprint():
        notes.append("the code that makes features is another than then")
    return Replayed(audit_id, len(call.lots), differs[:_SHOWN], notes)


def _ground(site: Site, engine: sa.Engine, entry: Entry) -> Ground:
    body, rules = entry.body, _rules(engine, entry)
    stood_on = body["histories"]
    state = State(stood_on["segments"], stood_on["arrivals"])
    policy, gate = policy_of(rules)
    site = replace(site, rules=policy.rules, timezone=rules["timezone"])  # as they were then
    histories = read_histories_at(site, state, now=stood_on["read_now"]).histories
    with reached(engine), engine.connect() as connection:
        scopes = scopes_of(connection, body["containments"])
    if [scope.id for scope in scopes] != body["containments"]:
        raise LotRiskError(f"entry {entry.seq}: containments {body['containments']} are not all in the database")
    scorer, pending = _scorer(site.state_dir, body["model"]), frozenset(body["pending"])
    return Ground(scorer, histories, policy, gate, scopes, body["old"], pending)


def _rules(engine: sa.Engine, entry: Entry) -> dict[str, Any]:
    wanted = entry.body["rules"]
    with reached(engine), engine.connect() as connection:
        found = recorded(connection, wanted, before=entry.seq)
    if found is None:
        raise LotRiskError(f"entry {entry.seq}: no earlier entry has the rules {wanted[:12]}…; verify the audit log")
    return found


def _scorer(state_dir: Path, model: dict[str, Any]) -> Scorer:
    if "rate" in model:
        return Scorer(None, model["rate"])
    folder, lacks = state_dir / "bundles" / model["version"], ""
    for place in (folder, *put_aside(folder)):
        try:
            scorer = Scorer(read_bundle(place))
        except BundleRefused as refused:
            lacks = lacks or f"; {refused}"
            continue
        if scorer_facts(scorer) == model:
            return scorer
    raise BundleRefused(f"no bundle of version {model['version']} on this machine is the one that decided{lacks}")


def _differences(path: str, recorded_: Any, now: Any) -> "list[str]":
    if isinstance(recorded_, dict) and isinstance(now, dict):
        names = [*recorded_, *(name for name in now if name not in recorded_)]
        parts = [(f"{path}.{name}".lstrip("."), recorded_.get(name), now.get(name)) for name in names]
    elif isinstance(recorded_, list) and isinstance(now, list) and len(recorded_) == len(now):
        parts = [(f"{path}[{n}]", a, b) for n, (a, b) in enumerate(zip(recorded_, now, strict=True))]
    else:
        return [] if _equal(recorded_, now) else [f"{path}: {json.dumps(recorded_)}, now {json.dumps(now)}"]
    return [one for place, a, b in parts for one in _differences(place, a, b)]


def _equal(mine: Any, theirs: Any) -> bool:
    return type(mine) is type(theirs) and mine == theirs


def told(replayed: Replayed) -> list[str]:
    """The outcome in sentences."""
    said = [f"decision {replayed.audit_id}, {replayed.lots} lots: "]
    said[0] += "the same, bit for bit" if replayed.same else f"{len(replayed.differs)} values differ"
    return [*said, *replayed.differs, *(f"note: {note}" for note in replayed.notes)]
