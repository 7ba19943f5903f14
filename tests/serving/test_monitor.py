import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pytest

from features.asof import DAY
from features.bundle import read_bundle, write_bundle
from features.database import open_database
from features.errors import BundleRefused, SettingsError
from features.histories import Vocabulary
from serving import report
from serving.migrate import migrate
from serving.monitor import REPORTS, latest_scores, monitor, reference_sample
from serving.performance import Judged
from serving.score_log import LoggedScores, ScoreLog, scores_between
from tests.small_site import write_site
from tests.toy_model import CARD, FEATURES, Parts, rows

NOW = 1_800_000_000_000_000
SHIFT = 1.5
FILES = ["drift.html", "drift.json", "performance.json"]
ELSEWHERE = re.compile(
    r"""(?ix) <(?:script|img|iframe|link)\b[^>]*\b(?:src|href)\s*=\s*["']?(?:https?:)?//
        | @import\s*(?:url\()?["']?(?:https?:)?// | url\(\s*["']?(?:https?:)?//"""
)
SPY = """
import os, socket
def refused(self, address, *_):
    with open(os.environ["CALLED"], "a") as file:
        file.write(repr(address))
    raise OSError("no network here")
socket.socket.connect = socket.socket.connect_ex = refused
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A champion with a whole reference."""
    folder = tmp_path_factory.mktemp("bundle") / "3"
    parts = Parts(card=replace(CARD, version="3"))
    write_bundle(folder, **vars(parts))
    bare = read_bundle(folder)
    matrix = rows(2_000, seed=3)
    columns = {spec.name: matrix[:, place] for place, spec in enumerate(FEATURES)}
    parts = replace(parts, reference=pa.table(columns | {"risk": bare.risk(matrix)}))
    write_bundle(folder.with_name("whole"), **vars(parts))
    return read_bundle(folder.with_name("whole"))


def table(lots, as_of, risk, matrix, *, asked=None, version="3"):
    """A table of the score log."""
    return pa.table(
        {
            "lot_id": lots,
            "as_of": pa.array(as_of, pa.int64()),
            "asked_at": pa.array(as_of if asked is None else asked, pa.int64()),
            "risk": pa.array(risk, pa.float64()),
            "decision": ["release"] * len(lots),
            "model_version": [version] * len(lots),
            "source": ["api"] * len(lots),
            "vector": pa.array([row.astype("<f8").tobytes() for row in matrix], pa.binary()),
        }
    )


def lately(bundle, lots, *, shift=0.0):
    """A score log of so many lots, asked once each a day ago."""
    matrix = rows(lots, seed=7)
    matrix[:, 0] += shift
    logged = table([f"L{lot}" for lot in range(lots)], np.full(lots, NOW - DAY), bundle.risk(matrix), matrix)

    def scores(start, end, /, *, model_version=None, vectors=True):
        assert start < end <= NOW
        yield logged

    return scores


def judged(lots=3):
    names = Vocabulary([f"L{lot}" for lot in range(lots)])
    ones = np.ones(lots, dtype=bool)
    return Judged(names, np.arange(lots), np.full(lots, NOW - DAY), np.zeros(lots, dtype=np.int8), ones, NOW)


def without_html(monkeypatch):
    monkeypatch.setattr(report, "find_spec", lambda name: None)


def strict(path):
    """A JSON file in which NaN and infinity are no words."""
    return json.loads(path.read_text("utf-8"), parse_constant=lambda word: pytest.fail(f"{path.name}: {word}"))


@pytest.fixture(scope="module")
def reported(bundle, tmp_path_factory):
    """A monitored site whose lots have moved, with all that is written; network calls would be in `called`."""
    if report.find_spec("evidently") is None:
        pytest.skip("the extra `monitor` is not installed")
    folder = tmp_path_factory.mktemp("reported")
    (folder / "sitecustomize.py").write_text(SPY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("CALLED", str(folder / "called"))
        site = write_site(folder / "site")
        result = monitor(
            site, bundle=bundle, scores=lately(bundle, 1_000, shift=SHIFT), judged=judged(), now=NOW, out=folder / "out"
        )
    return site, result, folder


def test_all_three_reports_are_written_to_the_site_and_to_the_folder_asked_for(reported):
    site, result, folder = reported
    for place in (site.state_dir / REPORTS, folder / "out"):
        assert sorted(path.name for path in place.iterdir()) == FILES
    assert len(result.written) == 6
    assert strict(folder / "out" / "drift.json") == result.drift
    assert strict(site.state_dir / REPORTS / "performance.json") == result.performance


def test_drift_that_was_put_in_is_found_and_told(reported):
    drift = reported[1].drift
    assert (drift["verdict"], drift["lots"], drift["model_version"]) == ("drift", 1_000, "3")
    assert drift["features"][0]["feature"] == "oven_temp_max"
    assert reported[1].told[0].startswith("drift: drift; 1,000 lots")


def test_the_page_says_our_verdict_before_evidentlys_plots_and_not_evidentlys_verdict(reported):
    page = (reported[2] / "out" / "drift.html").read_text("utf-8")
    assert page.index("<b>Drifted.</b>") < page.index("window.drawDashboard(")
    assert "Dataset Drift" not in page
    assert "Drift is detected" not in page
    assert "oven_temp_max" in page[: page.index("window.drawDashboard(")]


def test_the_page_shows_categories_by_their_texts_and_what_is_missing(reported):
    page = (reported[2] / "out" / "drift.html").read_text("utf-8")
    assert "Ljubljana" in page
    assert report.MISSING in page


def test_the_page_takes_nothing_from_other_hosts(reported):
    assert ELSEWHERE.findall((reported[2] / "out" / "drift.html").read_text("utf-8")) == []


@pytest.mark.parametrize(
    "bad",
    [
        '<script src="https://cdn.example.com/plotly.js"></script>',
        "<link rel=stylesheet href=//fonts.example.com/css>",
        "@import url('https://fonts.example.com/css');",
        "src: url(https://fonts.example.com/icons.ttf)",
    ],
)
def test_content_from_other_hosts_is_caught(bad):
    assert ELSEWHERE.search(bad)


def test_evidently_calls_nobody(reported):
    assert not (reported[2] / "called").exists()


def test_a_call_is_caught(reported, tmp_path):
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    env = {**os.environ, "PYTHONPATH": str(reported[2]), "CALLED": str(tmp_path / "called")}
    subprocess.run([sys.executable, "-c", code], env=env, stderr=subprocess.DEVNULL)
    assert (tmp_path / "called").exists()


def test_a_page_that_could_not_hold_the_verdict_is_refused():
    with pytest.raises(ValueError, match="no <body>"):
        report.with_summary("<html></html>", "<p>Drifted</p>")


def test_names_and_words_cannot_write_html():
    one = {"feature": "<script>", "statistic": 0.5, "low": 0.4, "high": 0.6, "verdict": "drift"}
    one |= {"limit": 0.1, "missing_now": 0.0, "missing_then": 0.0, "gain": 1.0}
    drift = {"model_version": "<b>", "verdict": "drift", "detail": "<i>", "from": "", "until": ""}
    section = report.summary(drift | {"features": [one], "risk": one}, {"<script>": "<u>"})
    assert not re.search("<script>|<i>|<u>|version <b>", section)


def test_without_the_extra_the_verdicts_are_written_and_the_missing_page_is_told(bundle, tmp_path, monkeypatch):
    without_html(monkeypatch)
    site = write_site(tmp_path / "site")
    result = monitor(site, bundle=bundle, scores=lately(bundle, 1_000), judged=judged(), now=NOW)
    assert sorted(path.name for path in (site.state_dir / REPORTS).iterdir()) == FILES[1:]
    assert "extra `monitor`" in result.told[-1]


def test_a_failing_evidently_leaves_the_verdicts_and_says_why(bundle, tmp_path, monkeypatch):
    (tmp_path / "evidently.py").write_text("raise SystemError('worn out')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    site = write_site(tmp_path / "site")
    result = monitor(site, bundle=bundle, scores=lately(bundle, 300), judged=judged(), now=NOW)
    assert result.drift["lots"] == 300
    assert "drift.html was not made: Evidently failed (SystemError: worn out)" in result.told[-1]


def test_an_older_page_does_not_outlive_its_verdict(bundle, tmp_path, monkeypatch):
    site = write_site(tmp_path / "site")
    for folder in (site.state_dir / REPORTS, tmp_path / "out"):
        folder.mkdir(parents=True)
        (folder / "drift.html").write_text("of last month")
    result = monitor(site, bundle=bundle, scores=lately(bundle, 10), judged=judged(), now=NOW, out=tmp_path / "out")
    assert (result.drift["verdict"], result.drift["detail"]) == ("too_few", "too few to judge: 10 lots, needs 200")
    assert not list(tmp_path.rglob("drift.html"))


def test_without_a_champion_drift_is_not_run_and_performance_is(bundle, tmp_path):
    site = write_site(tmp_path / "site")
    result = monitor(site, bundle=None, scores=lately(bundle, 300), judged=judged(), now=NOW)
    drift = strict(site.state_dir / REPORTS / "drift.json")
    assert (drift["verdict"], drift["model_version"]) == ("not_run", None)
    assert result.performance["scored"] == 3


def test_a_file_in_place_of_the_folder_is_refused_before_any_work(bundle, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(SettingsError, match="name a folder"):
        monitor(
            write_site(tmp_path / "site"), bundle=bundle, scores=None, judged=judged(), now=NOW, out=tmp_path / "out"
        )


def test_a_lot_asked_about_a_hundred_times_counts_once_with_its_latest_score():
    matrix = np.arange(100.0)[:, None]
    order = np.random.default_rng(0).permutation(100)
    asked = table(["A"] * 100, order, order / 100, matrix[order])
    sample, lots, _ = latest_scores([asked, table(["B"], [5], [0.5], matrix[5:6])], width=1)
    assert (sample.matrix.tolist(), sample.risk.tolist(), lots) == ([[99.0], [5.0]], [0.99, 0.5], 2)


def test_of_scores_about_one_moment_the_one_asked_for_last_is_the_latest():
    matrix = np.array([[1.0], [2.0]])
    for asked in ([8, 9], [9, 8]):
        sample, *_ = latest_scores([table(["A", "A"], [5, 5], [0.1, 0.2], matrix, asked=asked)], width=1)
        assert sample.matrix.item() == (2.0 if asked == [8, 9] else 1.0)


def test_rows_without_a_risk_or_a_vector_are_none():
    given = table(["A", "B", "C"], [1, 1, 1], [None, 0.5, float("nan")], np.ones((3, 1)))
    given = given.set_column(7, "vector", pa.array([b"x" * 8, b"", b"x" * 8]))
    sample, lots, _ = latest_scores([given], width=1)
    assert (len(sample), sample.matrix.shape, lots) == (0, (0, 1), 0)


def test_a_score_of_other_features_is_left_out_and_counted():
    given = [table(["A", "B"], [1, 1], [0.5, 0.6], np.ones((2, 2))), table(["A"], [0], [0.4], np.zeros((1, 3)))]
    sample, lots, strange = latest_scores(given, width=3)
    assert (sample.risk.tolist(), sample.matrix.tolist(), lots, strange) == ([0.4], [[0.0] * 3], 1, 2)


def test_scores_of_another_model_that_had_the_number_are_told_and_not_compared(bundle, tmp_path, monkeypatch):
    without_html(monkeypatch)
    many = lately(bundle, 300)
    other = table(
        [f"L{lot}" for lot in range(1_200)], np.full(1_200, NOW - 1), np.full(1_200, 0.5), np.ones((1_200, 5))
    )

    def scores(start, end, /, *, model_version=None, vectors=True):
        yield from many(start, end)
        yield other

    site = write_site(tmp_path / "site")
    result = monitor(site, bundle=bundle, scores=scores, judged=judged(), now=NOW)
    assert (result.drift["lots"], result.drift["lots_scored"]) == (300, 300)
    assert "; 1,200 scores logged under version 3 are left out" in result.drift["detail"]
    result = monitor(site, bundle=bundle, scores=many, judged=judged(), now=NOW)
    assert "left out" not in result.drift["detail"]


def test_of_very_many_lots_the_same_ones_are_taken_whatever_their_order():
    lots = [f"L{lot}" for lot in range(1_000)]
    matrix = np.arange(1_000.0)[:, None]
    whole = table(lots, np.ones(1_000), np.full(1_000, 0.5), matrix)
    backwards = [whole.slice(start, 100) for start in range(900, -1, -100)]
    there, seen, _ = latest_scores([whole], width=1, most=100)
    back, *_ = latest_scores(backwards, width=1, most=100)
    assert there.matrix.tolist() == back.matrix.tolist()
    assert 25 <= len(there) <= 100
    assert seen == 1_000
    assert abs(there.matrix.mean() - 499.5) < 150


def test_a_reference_that_lacks_a_feature_is_refused(bundle):
    with pytest.raises(BundleRefused, match=r"lacks 2 columns \(first: plant\)"):
        reference_sample(replace(bundle, reference=bundle.reference.drop_columns(["plant", "risk"])))


def test_a_reference_that_tells_its_times_is_put_in_their_order(bundle):
    times = np.random.default_rng(0).permutation(2_000) * DAY
    timed = replace(bundle, reference=bundle.reference.append_column("as_of", pa.array(times)))
    (sample, spans), (plain, _) = reference_sample(timed), reference_sample(bundle)
    assert spans == 22  # 2,000 days of 90
    assert sample.risk.tolist() == plain.risk[np.argsort(times)].tolist()
    assert np.array_equal(sample.matrix, plain.matrix[np.argsort(times)], equal_nan=True)


def test_a_real_log_is_read_by_version_and_within_the_window(bundle, tmp_path, monkeypatch):
    without_html(monkeypatch)
    site = write_site(tmp_path / "site")
    migrate(site.database_url)
    log = ScoreLog(site.database_url, spill=tmp_path / "spill")
    log.start()
    matrix = rows(700, seed=9)
    for first, version, days in ((0, "3", 1), (300, "2", 1), (500, "3", 100)):
        part = matrix[first : first + (300 if first == 0 else 200)]
        lots = [f"L{first + place}" for place in range(len(part))]
        moment = NOW - days * DAY
        risk = bundle.risk(part)
        log.put(
            LoggedScores(
                lot_id=lots,
                as_of=np.full(len(part), moment),
                asked_at=moment,
                risk=risk,
                expected_cost=risk * 9000,
                decision=["release"] * len(part),
                model_version=version,
                vectors=part,
                source="api",
            )
        )
    log.close()
    engine = open_database(site.database_url)
    scores = partial(scores_between, engine)
    result = monitor(site, bundle=bundle, scores=scores, judged=judged(400), now=NOW)
    engine.dispose()
    assert (result.drift["lots"], result.drift["lots_scored"]) == (300, 300)
    assert result.drift["verdict"] in ("none", "unclear")
    assert {one["version"]: one["scored"] for one in result.performance["versions"]} == {"3": 300, "2": 100}


def test_a_challengers_scores_count_beside_the_champions_and_nowhere_else(bundle, tmp_path, monkeypatch):
    """The shadow scores of a version that was promoted since are not what it answered."""
    without_html(monkeypatch)
    matrix = rows(300, seed=7)
    lots, asked = [f"L{lot}" for lot in range(300)], np.full(300, NOW - DAY)
    answered = table(lots, asked, bundle.risk(matrix), matrix)
    unseen = table(lots, asked + 1, np.full(300, 0.5), matrix + 100, version="3")
    unseen = unseen.set_column(unseen.column_names.index("source"), "source", pa.array(["shadow"] * 300))
    other = table(lots, asked, np.full(300, 0.9), matrix, version="4")
    other = other.set_column(other.column_names.index("source"), "source", pa.array(["shadow"] * 300))

    def scores_of(*tables):
        def scores(start, end, /, *, model_version=None, vectors=True):
            for one in tables:
                if model_version in (None, one["model_version"][0].as_py()):
                    yield one

        return scores

    site = write_site(tmp_path / "site")
    names = Vocabulary(lots)
    outcome = judged()
    outcome = replace(outcome, lots=names, lot=np.arange(300), as_of=np.full(300, NOW - DAY + 10))
    outcome = replace(outcome, failed=np.zeros(300, dtype=np.int8), mature=np.ones(300, dtype=bool))
    told = {}
    for what, tables in (("alone", [answered]), ("with shadows", [answered, unseen, other])):
        result = monitor(site, bundle=bundle, scores=scores_of(*tables), judged=outcome, now=NOW, trial=("3", "4"))
        told[what] = result
    for part in ("verdict", "scored", "predicted", "log_loss", "versions"):
        assert told["alone"].performance[part] == told["with shadows"].performance[part], part
    assert told["alone"].drift == told["with shadows"].drift
    trial = monitor(site, bundle=bundle, scores=scores_of(answered, other), judged=outcome, now=NOW, trial=("3", "4"))
    beside = trial.performance["challenger"]
    assert (beside["judgements"], beside["verdict"]) == (300, "too_few")
    assert beside["versions"][1]["predicted"] == pytest.approx(0.9)
    assert trial.told[2].startswith("challenger: too_few; version 4 beside 3: 300 mature judgements")


def test_without_a_challenger_there_is_none_in_the_report(bundle, tmp_path):
    found = monitor(write_site(tmp_path / "site"), bundle=bundle, scores=lately(bundle, 5), judged=judged(), now=NOW)
    assert found.performance["challenger"] is None
    assert not any(line.startswith("challenger") for line in found.told)
