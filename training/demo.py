"""What `lotrisk demo` shows around the ordinary commands: a factory, the day's ranked lots, what can be known."""

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from rich.box import SIMPLE_HEAD
from rich.table import Table

from features.asof import DAY
from features.errors import SettingsError
from features.terminal import console
from features.times import written
from training.evaluate import evaluate
from training.factory import SITE, TIMEZONE, make_factory
from training.model import Progress, score_out_of_time
from training.train import Trained

SHOWN = 10
BACKTEST_DAYS = 540  # old enough for labels of 180 days and their reports


def make(folder: Path, *, seed: int, lots: int, now: int) -> Path:
    """Makes the factory in `folder`, in place of one that an earlier demo left. SettingsError for any other folder."""
    toml = folder / "lotrisk.toml"
    if folder.exists():
        if not toml.is_file() or toml.read_text(encoding="utf-8") != SITE:
            raise SettingsError(f"--folder {folder}: is there and is no demo's; name another, or remove it")
        shutil.rmtree(folder)
    today = datetime.fromtimestamp(now / 1e6, ZoneInfo(TIMEZONE)).date()
    return make_factory(folder, seed=seed, today=today, lots=lots)


def backtest_start(now: int) -> str:
    """The day the demo's backtest starts."""
    return str(written(now - BACKTEST_DAYS * DAY))[:10]


def step(title: str) -> None:
    """A heading between two commands."""
    console().rule(f"[bold]{title}", align="left")


def show_ranked(scores: "pa.Table") -> None:
    """The riskiest open lots with their decision and reasons."""
    table = Table("lot", "risk", "decision", "expected cost", "why", title="Open lots by risk", box=SIMPLE_HEAD)
    for row in scores.slice(0, SHOWN).to_pylist():
        why = "\n".join(
            f"{'+' if reason['contribution'] > 0 else '-'} {reason['text']}" for reason in json.loads(row["reasons"])
        )
        table.add_row(row["lot_id"], f"{row['risk']:.1%}", row["decision"], f"{row['expected_cost']:,.0f}", why)
    shown = console()
    shown.print(table)
    decisions = scores["decision"].value_counts().to_pylist()
    counts = ", ".join(f"{one['counts']} {one['values']}" for one in decisions)
    shown.print(f"{scores.num_rows} open lots: {counts}.")


def ladder(trained: Trained, folder: Path, *, progress: Progress) -> dict[str, Any]:
    """Average precision of production history alone, of ours, and of the generator's own probability, out of time."""
    model, evaluation = trained.model, trained.evaluation
    judged = model.known.judgements.take(evaluation.rows)
    alone = score_out_of_time(model.known, seed=0, parts=("production",), progress=progress)
    risk = dict(zip(alone.rows.tolist(), alone.risk.tolist(), strict=True))
    truth = pa.parquet.read_table(folder / "truth.parquet").to_pydict()
    own = dict(zip(truth["lot_id"], truth["probability"], strict=True))
    names = model.known.histories.ids["lot"].texts
    scores = {
        "production history only": np.array([risk[row] for row in evaluation.rows.tolist()]),
        "all histories (ours)": evaluation.risks["model"],
        "the generator's own probability": np.array([own[names[lot]] for lot in judged.lot.tolist()]),
    }
    table = Table("", "average precision", "ROC AUC", title="Out of time, same lots", box=SIMPLE_HEAD)
    found = {}
    for name, scored in scores.items():
        figures = evaluate(scored, evaluation.failed, evaluation.block)
        found[name] = figures["average_precision"]
        table.add_row(name, str(figures["average_precision"]), str(figures["roc_auc"]))
    console().print(table)
    return found
