"""Scores of the lots that have not shipped, stored for lists and logged for later."""

import logging
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import DAY, NO_TIME, Array, within
from features.card import iso
from features.champion import Scorer
from features.decision import within_capacity
from features.freshness import features_as_of
from features.histories import Histories
from features.judgements import lot_rows
from features.score import Policy, Scored, open_lots, question, score
from serving.published import FOLDER, open_file
from serving.score_log import LoggedScores, ScoreLog
from serving.score_rows import SHADOW
from serving.standing import OF_LOTS, Standing, names_of, write_standing

log = logging.getLogger(__name__)

KEPT = 3_600.0  # seconds for which a run stays after the next was made: somebody may be paging through it
LOG_AT_ONCE = 20_000  # scores
_PATIENCE = 60.0  # seconds for the log to take more


def score_open_lots(
    scorer: Scorer, histories: Histories, policy: Policy, score_log: ScoreLog, *, state_dir: Path, last: str, now: int
) -> str:
    """Scores them as of `now` and stores the run; returns its name. `last`: that of the run before, "": none.

    A lot's score is logged when the model or the decision is another than at its last logged one, and once a day:
    risk over time, without a row a lot an hour. What the log refused is due again with the next run.
    """
    lots = open_lots(histories, policy.rules, now)
    code = np.array([histories.ids["lot"].code(lot) for lot in lots], dtype=np.int64)
    said = score(scorer, histories, policy, question(histories, code, np.full(len(code), now)))
    due, logged_at = _due(state_dir, last, lots, said, now)
    logged_at[_log(score_log, lots, said, due, now)] = now
    folder = state_dir / FOLDER / "open"
    runs = names_of(folder.glob("[0-9]*.arrow")) if folder.is_dir() else []
    name = f"{int(runs[-1].split('.')[0]) + 1 if runs else 1}.arrow"
    told = features_as_of(histories, np.array([now]))[0]
    write_standing(
        open_file(state_dir, name),
        _table(histories, lots, code, said, _fitting(lots, said, policy, now), logged_at, now),
        said={
            "as_of": iso(now),
            "model_version": scorer.version,
            "features_as_of": None if told == NO_TIME else iso(int(told)),
        },
    )
    _sweep(folder, [*runs, name])
    log.info("scored %d open lots by %s", len(lots), scorer.version)
    return name


def _fitting(lots: list[str], said: Scored, policy: Policy, now: int) -> list[bool | None]:
    """Which lots fit what can be inspected today; the day is UTC's."""
    per_day = policy.rules.decision.inspections_per_day
    return within_capacity(said.decision, said.expected_saving, lots, per_day=per_day, day=now // DAY)


def _table(
    histories: Histories,
    lots: list[str],
    code: Array,
    said: Scored,
    fits: list[bool | None],
    logged_at: Array,
    now: int,
) -> "pa.Table":
    held = histories["lots"]
    row = lot_rows(histories, code, np.full(len(code), now))
    columns = {"lot_id": pa.array(lots, pa.string())}
    for name in OF_LOTS:
        kind = name.removesuffix("_id")
        codes = held[name][row] if held.has(name) else np.full(len(row), -1)
        columns[name] = pa.array(
            histories.ids[kind].decode(codes) if kind in histories.ids else [None] * len(row), pa.string()
        )
    shipped = held["shipped_at"][row] if held.has("shipped_at") else np.full(len(row), NO_TIME)
    return pa.table(
        columns
        | {
            "quantity": pa.array(held["quantity"][row]),
            "produced_at": pa.array(held["produced_at"][row]),
            "shipped_at": pa.array(shipped),
            "risk": pa.array(said.risk),
            "risk_low": pa.array(said.risk_low, from_pandas=True),
            "risk_high": pa.array(said.risk_high, from_pandas=True),
            "expected_cost": pa.array(said.expected_cost),
            "expected_saving": pa.array(said.expected_saving),
            "within_capacity": pa.array(fits, pa.bool_()),
            "decision": pa.array(said.decision, pa.string()),
            "warnings": pa.array([" ".join(w["code"] for w in told) for told in said.warnings], pa.string()),
            "logged_at": pa.array(logged_at),
        }
    )


def _due(state_dir: Path, last: str, lots: list[str], said: Scored, now: int) -> tuple[Array, Array]:
    """(mask of scores to log, when the others were last logged; NO_TIME for those to log)."""
    every, never = np.ones(len(lots), dtype=bool), np.full(len(lots), NO_TIME)
    if not last:
        return every, never
    try:
        before = Standing(open_file(state_dir, last))
    except (OSError, pa.ArrowInvalid):
        return every, never
    if before.said["model_version"] != said.version or not len(before):
        return every, never
    place = pc.index_in(pa.array(lots, pa.string()), value_set=before.column("lot_id")).fill_null(-1).to_numpy()
    logged = before.column("logged_at").to_numpy()[place]
    decided = before.column("decision").take(pa.array(place % len(before))).cast(pa.string())
    same = np.asarray(pc.equal(decided, pa.array(said.decision, pa.string())))
    due = (place < 0) | ~same | ~within(logged, now - DAY + 1, now + 1)
    return due, np.where(due, NO_TIME, logged)


def shadow_open_lots(
    challenger: Scorer,
    histories: Histories,
    policy: Policy,
    score_log: ScoreLog,
    *,
    state_dir: Path,
    run: str,
    now: int,
) -> None:
    """Logs what the challenger says of the lots that were logged with the `run` made at `now`, and nothing else."""
    standing = Standing(open_file(state_dir, run))
    logged = standing.column("logged_at").to_numpy() == now
    lots = standing.column("lot_id").filter(pa.array(logged)).to_pylist()
    code = np.array([histories.ids["lot"].code(lot) for lot in lots], dtype=np.int64)
    said = score(challenger, histories, policy, question(histories, code, np.full(len(code), now)))
    said = replace(said, vectors=np.empty((len(lots), 0)))  # as of `serving.shadow`
    _log(score_log, lots, said, np.ones(len(lots), dtype=bool), now, source=SHADOW)


def _log(score_log: ScoreLog, lots: list[str], said: Scored, due: Array, now: int, *, source: str = "open") -> Array:
    """The rows that the log took."""
    rows, taken = np.flatnonzero(due), [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(rows), LOG_AT_ONCE):
        some = rows[start : start + LOG_AT_ONCE]
        patience = time.monotonic() + _PATIENCE
        while score_log.waiting > LOG_AT_ONCE and score_log.healthy and time.monotonic() < patience:
            time.sleep(0.1)
        scores = LoggedScores(
            lot_id=[lots[row] for row in some.tolist()],
            as_of=said.as_of[some],
            asked_at=now,
            risk=said.risk[some],
            expected_cost=said.expected_cost[some],
            decision=[said.decision[row] for row in some.tolist()],
            model_version=said.version,
            vectors=said.vectors[some],
            source=source,
            propensity=said.propensity[some] if source == "open" else None,
        )
        if score_log.put(scores):
            taken.append(some)
    return np.concatenate(taken)


def _sweep(folder: Path, runs: list[str]) -> None:
    """Removes runs that nobody pages through any more; a worker that maps one keeps it until it lets go.

    And files that a keeper was killed while writing: there is one keeper, and it is here.
    """
    for name, following in pairwise(runs):
        if time.time() - (folder / following).stat().st_mtime > KEPT:
            (folder / name).unlink(missing_ok=True)
    for path in folder.glob(".new-*"):
        path.unlink(missing_ok=True)
