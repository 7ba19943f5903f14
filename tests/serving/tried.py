"""The API tried by schemathesis, by its own OpenAPI document: all checks, all phases, with a key of one role."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Any

from features.database import open_database
from features.reading import read_histories
from features.site import read_site
from serving.keys import create
from serving.migrate import migrate
from serving.roles import ROLE_NAMES

ROOT = Path(__file__).parents[2]
PHASES = ("examples", "coverage", "fuzzing", "stateful")
_PROMOTE = "POST /v1/models/{version}/promote"
_SETTINGS = """
seed = {seed}
workers = {workers}
hooks = "tests.serving.past_moments"
continue-on-failure = true
headers = {{ Authorization = "Bearer ${{LOTRISK_TRIED_KEY}}" }}

[auth.openapi.bearerAuth]
bearer = "${{LOTRISK_TRIED_KEY}}"

[generation]
max-examples = {examples}
database = "none"

[checks]
enabled = true

[phases.stateful]
max-steps = 10
generation.max-examples = {stateful}

# Exactly one of two parameters, and a cursor that this route gave: rules about more than one value, or about what was
# answered before, which no schema of a query can say. Such calls are well-formed, and refused.
[[operations]]
include-name = ["GET /v1/containment", "GET /v1/lots"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "403", "404", "422"]

# Each takes a process of its own and seconds: MLflow. None in the suite.
[[operations]]
include-name = "{promote}"
enabled = {promoting}
generation.max-examples = {promotions}
request-timeout = 120

[parameters]
{parameters}

[dictionaries]
{dictionaries}
"""
_KNOWN = {
    "lot_id": ("lot", "lots"),
    "supplier_lot": ("supplier_lot", "supplier_lots"),
    "return": ("return", "returns"),
}
"""Parameters, with the id and the table of half of their values: without such most answers were 404."""


@dataclass(frozen=True)
class Tried:
    """What schemathesis did with one key. `checks`: how often each was made; `followed`: operations that a link led to
    with an answer that is no problem; `said`: what it printed."""

    role: str
    operations: int
    cases: int
    checks: Counter[str]
    statuses: Counter[int]
    followed: Counter[str]
    failures: int
    passed: bool
    said: str


def keys_for(folder: Path) -> dict[str, str]:
    """A key of each role for a site that is not served yet, without a limit that a test would meet."""
    site = read_site(folder, os.environ)
    migrate(site.database_url)
    engine = open_database(site.database_url)
    now = time_ns() // 1000
    try:
        return {
            role: create(engine, role=role, name=role, actor="a test", now=now, calls_per_second=1e6)[1]
            for role in ROLE_NAMES
        }
    finally:
        engine.dispose()


def known_ids(folder: Path) -> dict[str, list[str]]:
    """For parameters: a few ids that the histories of the site have, and versions that it has."""
    histories = read_histories(read_site(folder, os.environ), now=time_ns() // 1000).histories
    return {
        name: histories.ids[kind].decode(histories[table][f"{kind}_id"][:20]) for name, (kind, table) in _KNOWN.items()
    } | {"version": ["1", "2"]}


def try_out(
    url: str,
    folder: Path,
    *,
    role: str,
    key: str,
    known: Mapping[str, Sequence[str]],
    examples: int,
    seed: int,
    promotions: int = 0,
    workers: int = 1,
) -> Tried:
    """Runs schemathesis against the service at `url`; its reports stand in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    settings, events = folder / f"{role}.toml", folder / f"{role}.ndjson"
    text = _SETTINGS.format(
        seed=seed,
        examples=examples,
        stateful=max(10, examples),
        workers=workers,
        promote=_PROMOTE,
        promotions=max(1, promotions),
        promoting=str(promotions > 0).lower(),
        parameters="\n".join(f'"{name}" = {{ dictionary = "{name}", probability = 0.5 }}' for name in known),
        dictionaries="\n".join(
            f'"{name}" = {{ values = {json.dumps(list(values))} }}' for name, values in known.items()
        ),
    )
    settings.write_text(text, encoding="utf-8")
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", settings, "run", f"{url}/openapi.json"]
    command += ["--no-color", "--phases", ",".join(PHASES), "--report", "ndjson", "--report-ndjson-path", events]
    env = {**os.environ, "LOTRISK_TRIED_KEY": key, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(one) for one in command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    if done.returncode not in (0, 1):
        raise RuntimeError(f"schemathesis ended with {done.returncode}: {said}")
    return _read(role, events, passed=done.returncode == 0, said=said)


def _read(role: str, events: Path, *, passed: bool, said: str) -> Tried:
    checks, statuses, followed, labels = Counter[str](), Counter[int](), Counter[str](), set[str]()
    cases = failures = 0
    for recorder in _recorders(events):
        if " /" in (label := recorder["label"]):
            labels.add(label)
        for made in recorder.get("checks", {}).values():
            cases += 1
            for check in made:
                checks[check["name"]] += 1
                failures += check["status"] == "failure"
        for case, told in recorder.get("interactions", {}).items():
            if response := told.get("response"):
                statuses[response["status_code"]] += 1
                sent = recorder["cases"][case]
                if sent["is_transition_applied"] and response["status_code"] == 200:
                    followed[f"{sent['value']['method']} {sent['value']['path']}"] += 1
    return Tried(role, len(labels), cases, checks, statuses, followed, failures, passed, said)


def _recorders(events: Path) -> Iterator[Any]:
    with events.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if "ScenarioFinished" in event:
                yield event["ScenarioFinished"]["recorder"]
