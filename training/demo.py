"""What `lotrisk demo` does and shows around the ordinary commands: a factory, ranked lots, addresses to try."""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet
from rich.box import SIMPLE_HEAD
from rich.table import Table

from features.asof import DAY
from features.errors import SettingsError
from features.jobs import check, scores
from features.output import write_table
from features.reading import Reading
from features.site import Site
from features.terminal import console, progress, result
from features.times import read_moment, written
from training.backtest import backtest, write_backtest
from training.beside import ALONE
from training.evaluate import evaluate
from training.factory import SITE, TIMEZONE, make_factory
from training.train import Trained

HOST, PORT = "127.0.0.1", 8000
SHOWN = 10
BACKTEST_DAYS = 540  # old enough for labels of 180 days and their reports
STEP = 180 * DAY


def make(folder: Path, *, seed: int, lots: int, now: int) -> Path:
    """Makes the factory in `folder`, in place of one that an earlier demo left. SettingsError for any other folder."""
    toml = folder / "lotrisk.toml"
    if folder.exists():
        if not toml.is_file() or toml.read_text(encoding="utf-8") != SITE:
            raise SettingsError(f"--folder {folder}: is there and is no demo's; name another, or remove it")
        shutil.rmtree(folder)
    today = datetime.fromtimestamp(now / 1e6, ZoneInfo(TIMEZONE)).date()
    return make_factory(folder, seed=seed, today=today, lots=lots)


def checked(folder: Path, site: Site, reading: Reading) -> None:
    """The step `check`."""
    step(f"lotrisk check {folder}")
    check(reading, site)


def judged(folder: Path, site: Site, reading: Reading, trained: Trained, *, now: int) -> str:
    """The steps after training, up to the ranked lots; the riskiest of them."""
    start, out = _moment(now - BACKTEST_DAYS * DAY), folder / "backtest.csv"
    step(f"lotrisk backtest {folder} --from {start} --step {STEP // DAY}d --out {out}")
    histories, first = reading.histories, read_moment(start, site.timezone)
    with progress() as show:
        past = backtest(histories, site.rules, start=first, until=now, step=STEP, progress=show)
    result(False, write_backtest(past, out))
    step("What each history adds")
    ladder(trained, folder)
    out = folder / "scores.csv"
    step(f"lotrisk score {folder} --out {out}")
    _, table = scores(reading, site, None, as_of=now, most_reasons=3)
    write_table(table, out)
    show_ranked(table)
    return str(table["lot_id"][0]) if table.num_rows else histories.ids["lot"].texts[-1]


def say_what_scores(folder: Path, *, promoted: bool) -> None:
    """Where no model is champion: that it is so, and what that means."""
    if not promoted:
        click.echo(
            "The model was not promoted, see above: lots are listed by the shrunk rate, and no decision is made. "
            f"To use it all the same: lotrisk promote {folder} 1"
        )


@contextmanager
def told_when_ready(folder: Path, lot_id: str) -> Iterator[int]:
    """A free port for the service that the block runs. Addresses and calls to try are shown once it lists lots."""
    port, ended = _free_port(), threading.Event()
    step(f"lotrisk serve {folder}" + (f" --port {port}" if port != PORT else ""))

    def tell() -> None:
        while not ended.wait(0.2):
            if _lists_lots(port):
                click.echo(_addresses(f"http://{HOST}:{port}", lot_id))
                return

    threading.Thread(target=tell, name="demo's addresses", daemon=True).start()
    try:
        yield port
    finally:
        ended.set()


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


def ladder(trained: Trained, folder: Path) -> dict[str, Any]:
    """Average precision of each history alone, of all together, and of the generator's own probability, out of time."""
    model, evaluation = trained.model, trained.evaluation
    judged = model.known.judgements.take(evaluation.rows)
    truth = pa.parquet.read_table(folder / "truth.parquet").to_pydict()
    own = dict(zip(truth["lot_id"], truth["probability"], strict=True))
    names = model.known.histories.ids["lot"].texts
    scores = {name: evaluation.risks[name] for name in ALONE if name in evaluation.risks}
    scores["all histories (ours)"] = evaluation.risks["model"]
    scores["the generator's own probability"] = np.array([own[names[lot]] for lot in judged.lot.tolist()])
    table = Table("", "average precision", "ROC AUC", title="Out of time, same lots", box=SIMPLE_HEAD)
    found = {}
    for name, scored in scores.items():
        figures = evaluate(scored, evaluation.failed, evaluation.block)
        found[name] = figures["average_precision"]
        table.add_row(name, str(figures["average_precision"]), str(figures["roc_auc"]))
    console().print(table)
    return found


def _moment(moment: int) -> str:
    """The day of it."""
    return str(written(moment))[:10]


def _free_port() -> int:
    """The first that nobody listens on, from the usual one on; SettingsError where a hundred are taken."""
    for port in range(PORT, PORT + 100):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((HOST, port))
            except OSError:
                continue
            return port
    raise SettingsError(f"ports {PORT} to {PORT + 99} are all taken; use --no-serve, then lotrisk serve with --port")


def _lists_lots(port: int) -> bool:
    """Whether the service there has scored the open lots."""
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/v1/lots?limit=1")
        answer = connection.getresponse()
        return answer.status == 200 and json.load(answer)["model_version"] is not None
    except (OSError, HTTPException, ValueError):
        return False
    finally:
        connection.close()


def _addresses(url: str, lot_id: str) -> str:
    call = json.dumps({"lots": [lot_id], "reasons": 3})
    return f"""
The service runs. Try:

  curl '{url}/v1/lots?limit=3'
  curl {url}/v1/scores -d '{call}'
  curl {url}/v1/lots/{lot_id}
  curl {url}/v1/gate -d '{json.dumps({"lot_id": lot_id})}'

Pages: {url}/ (lots), {url}/model, {url}/check, {url}/containment, {url}/docs
It ends with Ctrl-C.
"""
