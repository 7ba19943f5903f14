"""Sites with a champion, fitted in a second or two: trees on all that is mature, no walk forward and no registry."""

import shutil
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.bundle import write_bundle
from features.card import ModelCard, code_fingerprint
from features.champion import read_scorer
from features.doubt import Doubt
from features.reading import read_histories
from features.score import Policy
from features.score_table import score_table
from features.site import Site, read_site
from features.times import read_moment
from training.factory import make_factory
from training.familiar import measure_familiar
from training.fingerprint import fingerprints
from training.fit import PARAMETERS, fit_trees
from training.known import known_by

TODAY = date(2026, 9, 1)
UNTIL = read_moment("2026-01-01T00:00:00Z", "UTC")


def valves(folder: Path, *, lots: int = 400) -> Path:
    """A small factory whose version 1 is champion; version 2 says other risks."""
    site = make_factory(folder, seed=0, today=TODAY, lots=lots)
    fit(site, until=UNTIL)
    other_version(site, "1", "2")
    return site


def fit(folder: Path, *, until: int, version: str = "1") -> None:
    """Trains a version on what was known before `until`, and makes it champion."""
    site = read_site(folder, {})
    known = known_by(read_histories(site, now=until).histories, site.rules, until=until)
    trees = fit_trees(known, rounds=40)
    gains = trees.booster.feature_importance("gain")
    familiar = measure_familiar(trees.features, trees.matrix, gains, known.judgements.as_of[trees.rows])
    card = ModelCard(
        site=site.name,
        trained_until=until,
        cut=known.labels.cut,
        features=trees.features,
        layout=trees.layout.as_dict(),
        label={**asdict(site.rules.label), **known.labels.describe()},
        decision=asdict(site.rules.decision),
        calibration={"kind": "platt", "slope": 0.9, "intercept": -0.1 / 3},
        rounds=40,
        parameters=dict(PARAMETERS),
        figures={},
        champion={"promote": True, "reasons": ["fitted by a test"]},
        data=fingerprints(known.histories),
        code=code_fingerprint(),
        familiar=familiar.as_dict(),
        doubt=Doubt(((0.0, 0.0, 0.1), (0.3, 0.05, 0.8), (1.0, 0.7, 1.0)), "a test").as_dict(),
        version=version,
    )
    reference = pa.table({spec.name: trees.matrix[:, place] for place, spec in enumerate(trees.features)})
    _write(site, card, trees.booster.model_to_string(), reference, trees.matrix[:8])
    promote(folder, version)


def other_version(folder: Path, version: str, other: str) -> None:
    """The same trees with another calibration."""
    site = read_site(folder, {})
    bundle = read_scorer(site.state_dir).bundle
    assert bundle is not None and bundle.card.version == version
    card = replace(bundle.card, version=other, calibration={"kind": "platt", "slope": 0.8, "intercept": 0.25})
    golden = np.column_stack([bundle.reference[name].to_numpy() for name in card.names])[:8]
    _write(site, card, (bundle.folder / "model.txt").read_text(encoding="utf-8"), bundle.reference, golden)


def promote(folder: Path, version: str) -> None:
    """As a promotion elsewhere leaves it: the file is replaced whole."""
    state = read_site(folder, {}).state_dir
    (state / ".champion").write_text(f"{version}\n", encoding="utf-8")
    (state / ".champion").replace(state / "champion")


def copied(site: Path, folder: Path) -> Path:
    """Another site with the same data and versions, of which nothing was served yet."""
    shutil.copytree(site, folder, ignore=shutil.ignore_patterns("serving", "lotrisk.db*", "reports"))
    return folder


def offline(folder: Path, lots: list[str], *, as_of: int, reasons: int = 0) -> "pa.Table":
    """What `lotrisk score` writes, made in this process."""
    site = read_site(folder, {})
    histories = read_histories(site, now=as_of).histories
    policy = Policy(site.rules, site.language, site.stale)
    scorer = read_scorer(site.state_dir)
    return score_table(scorer, histories, policy, lots=lots, as_of=as_of, most_reasons=reasons)


def _write(site: Site, card: ModelCard, model_text: str, reference: "pa.Table", golden: "np.ndarray") -> None:
    folder = site.state_dir / "bundles" / card.version
    write_bundle(folder, model_text=model_text, card=card, reference=reference, golden=golden)
