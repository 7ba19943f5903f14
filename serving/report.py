"""The drift report that a person opens: our verdict first, then Evidently's plots, in one file that needs no network.

Evidently takes seconds to import and reports its use to its makers, so it runs in a process of its own, with that
switched off: `python -m serving.report FOLDER` reads `then.parquet`, `now.parquet` and `drift.json` there and leaves
`drift.html`. It is the extra `monitor`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serving.drift import BEYOND

ROWS = 10_000  # of each sample; Evidently takes 20 s for so many rows of 100 columns, and twice that for ten times more
COLUMNS = 100  # the risk and the features the model uses that lie furthest from training
SHOWN = 30  # features in our own table
PATIENCE = 900  # seconds
MISSING = "(missing)"
WITHOUT = "drift.html needs the extra `monitor`: pip install 'lot-risk[monitor]'"
_QUIET = {"DO_NOT_TRACK": "1", "ITERATIVE_DO_NOT_TRACK": "true", "PYTHONWARNINGS": "ignore"}
_STYLE = (
    "#lot-risk{font:15px/1.5 sans-serif;max-width:68rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}"
    "#lot-risk h1{font-size:1.6rem}#lot-risk .verdict{font-size:1.2rem;border-left:.4rem solid #444;padding-left:1rem}"
    "#lot-risk table{border-collapse:collapse;width:100%}"
    "#lot-risk td,#lot-risk th{padding:.25rem .6rem;border-bottom:1px solid #ccc;text-align:right;white-space:nowrap}"
    "#lot-risk td:first-child,#lot-risk th:first-child{text-align:left;white-space:normal}"
)
_WORDS = {"drift": "Drifted", "none": "No drift", "unclear": "Unclear"}


def html_report(drift: Mapping[str, Any], then: "pa.Table", now: "pa.Table", *, texts: Mapping[str, str]) -> bytes:
    """The HTML of what drift.json says, with plots of both samples (columns: features and "risk"; categories as text).

    `texts`: features in words. RuntimeError in one line where Evidently is not installed or fails.
    """
    if find_spec("evidently") is None:
        raise RuntimeError(WITHOUT)
    with tempfile.TemporaryDirectory(prefix="lotrisk-report-") as name:
        folder = Path(name)
        chosen = _columns(drift, then, now)
        for table, file in ((then, "then.parquet"), (now, "now.parquet")):
            spread = np.unique(np.linspace(0, table.num_rows - 1, min(table.num_rows, ROWS)).round().astype(np.int64))
            pq.write_table(table.select(chosen).take(pa.array(spread)), folder / file)
        (folder / "drift.json").write_text(json.dumps({"drift": drift, "texts": texts}), encoding="utf-8")
        _run(folder)
        return (folder / "drift.html").read_bytes()


def summary(drift: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Our own verdict as a section of HTML."""
    features = drift["features"][:SHOWN]
    rows = "".join(_row(one, texts) for one in [drift["risk"] | {"feature": "risk"}, *features])
    titles = ("feature", "distance", "interval", "limit", "", "missing then", "missing now", "share of gain")
    return (
        f'<style>{_STYLE}</style><section id="lot-risk"><h1>Drift of version {escape(str(drift["model_version"]))}</h1>'
        f'<p class="verdict"><b>{_WORDS[drift["verdict"]]}.</b> {escape(drift["detail"])}.</p>'
        f"<p>Lots scored from {escape(drift['from'])} until {escape(drift['until'])}, each once, beside a sample of "
        f"those the model learned from. A distance is 0 where both are alike, 1 where they have nothing in common; its "
        f"interval holds for all features together. It counts as drift where the whole interval lies above the limit: "
        f"how far spans of training lay from the rest of it, and {BEYOND} more. Of {len(drift['features'])} features "
        f"the {len(features)} furthest above or least below their limits:</p>"
        f"<table><tr>{''.join(f'<th>{title}</th>' for title in titles)}</tr>{rows}</table>"
        f"<p><b>The verdict is the one above.</b> What follows is by Evidently, for its plots: other distances, on at "
        f"most {ROWS:,} lots and {COLUMNS} columns, with limits that know no sample size.</p></section>"
    )


def with_summary(page: str, section: str) -> str:
    """Evidently's page with our section first. ValueError where the page is none that could hold it."""
    start, body, rest = page.partition("<body>")
    if not body:
        raise ValueError("Evidently's page has no <body>: the verdict would be missing from it")
    return start + body + section + rest


def _row(one: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    name = escape(one["feature"])
    said = escape(texts.get(one["feature"], ""))
    gain = f"{one['gain']:.1%}" if "gain" in one else ""
    return (
        f"<tr><td>{name}{f'<br><small>{said}</small>' * (said not in ('', name))}</td><td>{one['statistic']:.3f}</td>"
        f"<td>{one['low']:.3f} to {one['high']:.3f}</td><td>{one['limit']:.2f}</td><td>{_WORDS[one['verdict']]}</td>"
        f"<td>{one['missing_then']:.1%}</td><td>{one['missing_now']:.1%}</td><td>{gain}</td></tr>"
    )


def _columns(drift: Mapping[str, Any], then: "pa.Table", now: "pa.Table") -> list[str]:
    """What Evidently is shown: of columns with no value at all in a sample it has nothing to say but a fault."""
    used = [one["feature"] for one in drift["features"] if one["gain"] > 0]
    there = [name for name in ["risk", *used] if all(table[name].null_count < table.num_rows for table in (then, now))]
    return there[:COLUMNS]


def _run(folder: Path) -> None:
    """Evidently in its own process. Where it fails, RuntimeError with the last line it left."""
    path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command = [sys.executable, "-P", "-m", "serving.report", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and module
            command, env={**os.environ, **_QUIET, "PYTHONPATH": path}, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"drift.html was not made: Evidently took more than {PATIENCE} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RuntimeError(f"drift.html was not made: Evidently failed ({last[:300]})")


def _write(folder: Path) -> None:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    class Plots(DataDriftPreset):  # type: ignore[misc]  # Evidently has no types
        """Only the table with its plots: Evidently's own verdict above it counts columns, whatever the model uses."""

        def render(self, context: Any, child_widgets: Any = None) -> list[Any]:
            table = super().render(context, child_widgets)[-1]
            table.title = "Plots by Evidently"
            return [table]

    given = json.loads((folder / "drift.json").read_text(encoding="utf-8"))
    then, now = (pq.read_table(folder / file).to_pandas() for file in ("then.parquet", "now.parquet"))
    texts = [field.name for field in pq.read_schema(folder / "now.parquet") if pa.types.is_string(field.type)]
    for frame in (then, now):
        frame[texts] = frame[texts].fillna(MISSING)
    definition = DataDefinition(
        numerical_columns=[name for name in now.columns if name not in texts], categorical_columns=texts
    )
    # Distances at every size; by default Evidently takes p-values for small samples.
    report = Report([Plots(num_method="wasserstein", cat_method="jensenshannon")])
    shown = report.run(*(Dataset.from_pandas(frame, data_definition=definition) for frame in (now, then)))
    page = with_summary(shown.get_html_str(as_iframe=False), summary(given["drift"], given["texts"]))
    (folder / "drift.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
