"""`lotrisk monitor`: whether lots still look as they did in training, and whether what was predicted came true."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import DAY, Array
from features.bundle import Bundle
from features.card import iso
from features.champion import challenger, read_scorer
from features.database import open_database
from features.dictionary import named
from features.errors import BundleRefused, SettingsError
from features.output import write_text, write_whole
from features.site import Site
from serving.comparison import compared
from serving.drift import NEEDED, SPANS, Sample, compare
from serving.migrate import migrate
from serving.performance import Judged, performance, predictions
from serving.report import html_report
from serving.score_log import scores_between
from serving.score_rows import SHADOW

REPORTS = "reports"
WINDOW = 90 * DAY  # of drift: long enough for a small plant's lots, short enough to be about now
SINCE = 730 * DAY  # of performance: labels mature after months
OLDEST = 30 * DAY  # a score this long before the judgement was about another lot's worth of news
LATE = DAY  # where lots are judged when made, the service hears of them only afterwards
MOST = 100_000  # lots compared; beyond, the reference's own size decides how wide intervals are
_WIDEST = 2**64


class Scores(Protocol):
    """`serving.score_log.scores_between` with its engine bound."""

    def __call__(
        self, start: int, end: int, /, *, model_version: str | None = None, vectors: bool = True
    ) -> Iterator["pa.Table"]: ...


@dataclass(frozen=True)
class Monitored:
    """What was found and written; `told`: the outcome in sentences."""

    drift: dict[str, Any]
    performance: dict[str, Any]
    written: list[Path]
    told: list[str] = field(default_factory=list)


def monitor_site(site: Site, judged: Judged, *, now: int, out: Path | None) -> Monitored:
    """`monitor` of the site's own champion, challenger and score log, whose database is brought up to date."""
    scorer, tried = read_scorer(site.state_dir), challenger(site.state_dir)
    trial = (scorer.version, tried) if tried else None
    migrate(site.database_url)
    engine = open_database(site.database_url)
    try:
        scores = partial(scores_between, engine)
        return monitor(site, bundle=scorer.bundle, scores=scores, judged=judged, now=now, out=out, trial=trial)
    finally:
        engine.dispose()


def monitor(
    site: Site,
    *,
    bundle: Bundle | None,
    scores: Scores,
    judged: Judged,
    now: int,
    out: Path | None = None,
    trial: tuple[str, str] | None = None,
) -> Monitored:
    """Writes drift.json, performance.json and drift.html into the site's reports and, where given, into `out`.

    `bundle`: the champion's, None: drift is not judged ("not_run"). `judged`: by what was known before `now`. `trial`:
    what scores, and the version that challenges it. Scores that were answered to nobody count there only. Where the
    HTML cannot be made, or there are too few lots for one, an older one is removed: it would be about other lots.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise SettingsError(f"--out {out}: is a file; name a folder")
    version = "" if bundle is None else bundle.card.version
    head = {"made_at": iso(now), "model_version": version or None}
    drift, html, told = _drift(site, bundle, scores, head, now=now)
    found = head | _performance(site, scores, judged, trial, now=now)
    parts = {"drift": drift, "performance": found} | ({"challenger": found["challenger"]} if trial else {})
    told = [*(f"{name}: {part['verdict']}; {part['detail']}" for name, part in parts.items()), *told]
    written = []
    for folder in [site.state_dir / REPORTS, *([out] if out is not None else [])]:
        for name, content in (("drift.json", drift), ("performance.json", found)):
            write_text(folder / name, json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
            written.append(folder / name)
        page = folder / "drift.html"
        if html is None:
            page.unlink(missing_ok=True)
        else:
            write_whole(page, lambda temporary: Path(temporary).write_bytes(html))
            written.append(page)
    return Monitored(drift, found, written, told)


def latest_scores(tables: Iterable["pa.Table"], *, width: int, most: int = MOST) -> tuple[Sample, int, int]:
    """One row a lot, its last score by (as_of, asked_at), lots in the order of their ids; of how many lots; and how
    many rows were left out, because they hold other than `width` features.

    `tables`: lot_id, as_of, asked_at, risk, vector (binary, little-endian float64); a row without risk or vector is
    none.
    Of more than `most` lots about half as many to `most` stay, the same ones whatever the order of rows.
    """
    kept: dict[str, tuple[tuple[int, int], float, bytes]] = {}
    seen: set[int] = set()
    strange, limit = 0, _WIDEST
    for table in tables:
        risks, vectors = table["risk"].to_pylist(), table["vector"]
        when = zip(
            table["as_of"].cast(pa.int64()).to_pylist(), table["asked_at"].cast(pa.int64()).to_pylist(), strict=True
        )
        for row, (lot, turn) in enumerate(zip(table["lot_id"].to_pylist(), when, strict=True)):
            risk = risks[row]
            if risk is None or risk != risk or (lot in kept and turn < kept[lot][0]):
                continue
            vector = vectors[row].as_py()
            if not vector:
                continue
            if len(vector) != 8 * width:
                strange += 1
                continue
            place = _place(lot)
            seen.add(place)
            if place < limit:
                kept[lot] = (turn, risk, vector)
        while len(kept) > most:
            limit //= 2
            kept = {lot: score for lot, score in kept.items() if _place(lot) < limit}
    lots = sorted(kept)
    matrix = np.empty((len(lots), width), order="F")
    for row, lot in enumerate(lots):
        matrix[row] = np.frombuffer(kept[lot][2], dtype="<f8")
    return Sample(matrix, np.array([kept[lot][1] for lot in lots], dtype=np.float64)), len(seen), strange


def reference_sample(bundle: Bundle) -> tuple[Sample, int]:
    """The bundle's reference in order of time, columns in the card's order; and how many times WINDOW it reaches.

    BundleRefused where a column lacks. Without the column `as_of` its rows' order is taken for time's.
    """
    table = bundle.reference
    missing = [name for name in [*bundle.card.names, "risk"] if name not in table.column_names]
    if missing:
        raise BundleRefused(
            f"{bundle.folder / 'reference.parquet'} lacks {len(missing)} columns (first: {missing[0]}). Train again."
        )
    spans = SPANS
    if "as_of" in table.column_names and table.num_rows:
        table = table.sort_by("as_of")
        spans = round((table["as_of"][-1].as_py() - table["as_of"][0].as_py()) / WINDOW)
    columns = [_floats(table[name]) for name in bundle.card.names]
    return Sample(np.stack(columns, axis=1) if columns else np.empty((0, 0)), _floats(table["risk"])), spans


def _drift(
    site: Site, bundle: Bundle | None, scores: Scores, head: dict[str, Any], *, now: int
) -> tuple[dict[str, Any], bytes | None, list[str]]:
    """drift.json, the HTML or None, and why there is none."""
    span = {"from": iso(now - WINDOW), "until": iso(now)}
    if bundle is None:
        none = {"lots": 0, "needed": NEEDED, "features": [], "risk": None}
        said = "no champion: there is no training to compare with"
        return head | span | {"verdict": "not_run", "detail": said} | none, None, []
    specs = bundle.card.features
    tables = _answered(scores(now - WINDOW, now, model_version=bundle.card.version))
    lately, lots, strange = latest_scores(tables, width=len(specs))
    then, spans = reference_sample(bundle)
    gain = np.asarray(bundle.booster.feature_importance("gain"), dtype=np.float64)
    found = head | span | compare(then, lately, specs=specs, gain=gain, spans=spans) | {"lots_scored": lots}
    if strange:
        found["detail"] += (
            f"; {strange:,} scores logged under version {bundle.card.version} are left out: they hold other features, "
            "so another model had its number"
        )
    if found["verdict"] == "too_few":
        return found, None, []
    texts = {spec.name: named(spec, language=site.language) for spec in specs}
    for row in found["features"]:
        row["text"] = texts[row["feature"]]
    try:
        return found, html_report(found, _shown(then, bundle), _shown(lately, bundle), texts=texts), []
    except RuntimeError as why:
        return found, None, [str(why)]


def _answered(tables: Iterable["pa.Table"]) -> Iterator["pa.Table"]:
    """Without what a challenger said."""
    return (table.filter(pc.not_equal(table["source"], SHADOW)) for table in tables)


def _performance(
    site: Site, scores: Scores, judged: Judged, trial: tuple[str, str] | None, *, now: int
) -> dict[str, Any]:
    rule = site.rules.decision
    oldest = OLDEST if rule.again_every is None else min(OLDEST, rule.again_every)
    late = LATE if rule.at == "produced_at" else 0
    start, end, first = now - SINCE, now, now - SINCE - oldest
    predicted = predictions(judged, _answered(scores(first, end, vectors=False)), oldest=oldest, late=late)
    found = performance(judged, predicted, start=start, until=end) | {"challenger": None}
    if trial is not None:
        of_each = [scores(first, end, model_version=version, vectors=False) for version in trial]
        champion, challenger = (predictions(judged, each, oldest=oldest, late=late) for each in of_each)
        found["challenger"] = compared(judged, champion, challenger, names=trial, start=start, until=end)
    return found


def _shown(sample: Sample, bundle: Bundle) -> "pa.Table":
    """As a table for people: categories by their texts, missing values null."""
    columns: dict[str, Any] = {"risk": pa.array(sample.risk, from_pandas=True)}
    for place, spec in enumerate(bundle.card.features):
        values = sample.matrix[:, place]
        if spec.type == "category":
            known = (values >= 0) & (values < len(spec.levels))
            code = pa.array(np.where(known, values, 0).astype(np.int32), mask=~known)
            columns[spec.name] = pa.array(spec.levels, pa.string()).take(code)
        else:
            columns[spec.name] = pa.array(values, from_pandas=True)
    return pa.table(columns)


def _floats(column: Any) -> Array:
    return np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy(), dtype=np.float64)


def _place(lot: str) -> int:
    """A lot's place among all lots, evenly spread over [0, 2**64)."""
    return int.from_bytes(hashlib.blake2b(lot.encode(), digest_size=8).digest(), "big")
