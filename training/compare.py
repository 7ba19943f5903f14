"""`lotrisk compare`: whether two versions differ beyond noise, on the judgements that both scored before their time."""

from dataclasses import asdict, dataclass
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from features.asof import Array
from features.errors import LotRiskError, UnknownVersion
from features.output import times
from features.site import Site
from training.bootstrap import Figure, figure_of, paired_difference, places_of, resamples
from training.evaluate import MIN_FAILURES, TITLES, log_losses, signed
from training.evaluation import Evaluation
from training.model import Model, time_blocks
from training.ranking import precision_and_auc, rank
from training.runs import client_of, told

OUT_OF_TIME = "out_of_time"
"""The table of a run that holds its out-of-time scores."""
LOWER_IS_BETTER = {"log_loss": True, "brier": True, "average_precision": False, "roc_auc": False}
MOST_OTHER_LABELS = 0.05  # of the shared judgements; a return reported late changes one in a hundred, another rule more


@dataclass(frozen=True)
class Difference:
    """One figure of two versions on the same judgements; `difference` is the first's less the second's."""

    figure: str
    first: float
    second: float
    difference: Figure
    says: str


@dataclass(frozen=True)
class Comparison:
    """`judgements` that both versions scored out of time, of which `failures` failed.

    `other_label`: further ones that are left out, since what came of them is told otherwise in the two versions.
    """

    first: str
    second: str
    judgements: int
    failures: int
    other_label: int
    differences: list[Difference]
    says: str

    @property
    def facts(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)

    @property
    def lines(self) -> list[str]:
        """For people."""
        shared = f"{self.judgements:,} shared judgements, {self.failures:,} failures"
        left_out = f"; {self.other_label:,} with another label left out" if self.other_label else ""
        figures = [
            f"{TITLES[one.figure]}: {one.first:.4f} against {one.second:.4f}, "
            f"difference {signed(one.difference)}: {one.says}"
            for one in self.differences
        ]
        return [shared + left_out, *figures, *([self.says] if self.says else [])]


def out_of_time_of(model: Model, evaluation: Evaluation) -> "pa.Table":
    """What a run keeps to be compared by: `lot_id`, `as_of`, `risk`, `failed`, `block`, a row a mature judgement."""
    judged = model.known.judgements.take(evaluation.rows)
    return pa.table(
        {
            "lot_id": pa.array(model.known.histories.ids["lot"].decode(judged.lot), pa.string()),
            "as_of": times(judged.as_of),
            "risk": pa.array(evaluation.risks["model"], pa.float64()),
            "failed": pa.array(evaluation.failed.astype(np.int8)),
            "block": pa.array(evaluation.block, pa.int64()),
        }
    )


def compare(site: Site, first: str, second: str) -> Comparison:
    """Reads both versions' scores from the registry. UnknownVersion, RegistryFault, or LotRiskError without scores."""
    tables = [read_scores(site, version) for version in (first, second)]
    return compare_scores(tables[0], tables[1], names=(first, second))


@told()
def read_scores(site: Site, version: str) -> "pa.Table":
    """The out-of-time scores that the run of a version kept."""
    client = client_of(site.tracking_uri)
    runs = {str(one.version): str(one.run_id) for one in client.search_model_versions(f'name = "{site.name}"')}
    if version not in runs:
        there = ", ".join(sorted(runs, key=int)) or "none"
        raise UnknownVersion(f"{site.name!r} has no version {version!r}; there are: {there}.")
    path = f"tables/{OUT_OF_TIME}.csv"
    if path not in {file.path for file in client.list_artifacts(runs[version], "tables")}:
        raise LotRiskError(f"version {version} of {site.name!r} keeps no {path}: it is older. Train it anew.")
    texts = pyarrow.csv.ConvertOptions(column_types={"lot_id": pa.string(), "as_of": pa.timestamp("us", "UTC")})
    with TemporaryDirectory() as folder:
        return pyarrow.csv.read_csv(client.download_artifacts(runs[version], path, folder), convert_options=texts)


def compare_scores(first: "pa.Table", second: "pa.Table", *, names: tuple[str, str]) -> Comparison:
    """Both as `out_of_time_of` gives them. LotRiskError where the two say otherwise what came of too many lots."""
    joined = first.drop_columns("block").join(
        second.drop_columns("block"), ["lot_id", "as_of"], join_type="inner", right_suffix="_second"
    )
    joined = joined.sort_by([("as_of", "ascending"), ("lot_id", "ascending")])
    ours, theirs, label, other = (
        joined[name].to_numpy() for name in ("risk", "risk_second", "failed", "failed_second")
    )
    same = label == other
    changed = int((~same).sum())
    if changed > MOST_OTHER_LABELS * len(same):
        raise LotRiskError(
            f"versions {names[0]} and {names[1]} share {len(same):,} judgements and say otherwise what came of "
            f"{changed:,}: they answer different questions. Compare versions of one label rule."
        )
    failed, as_of = label[same] == 1, joined["as_of"].cast(pa.int64()).to_numpy()[same]
    failures = int(failed.sum())
    if failures < MIN_FAILURES:
        few = f"too few failures ({failures}, needs {MIN_FAILURES}): versions {names[0]} and {names[1]} not compared"
        return Comparison(*names, len(failed), failures, changed, [], few)
    found = _differences(ours[same], theirs[same], failed, time_blocks(as_of))
    told_apart = [Difference(*one, _says(one[0], one[3], names)) for one in found]
    return Comparison(*names, len(failed), failures, changed, told_apart, "")


def _differences(ours: Array, theirs: Array, failed: Array, block: Array) -> list[tuple[str, float, float, Figure]]:
    """(figure, of the one, of the other, difference), in the order of LOWER_IS_BETTER."""
    found = []
    for name, losses in (
        ("log_loss", [log_losses(risk, failed) for risk in (ours, theirs)]),
        ("brier", [(risk - failed) ** 2 for risk in (ours, theirs)]),
    ):
        difference = paired_difference(losses[0], losses[1], block, seed=0)
        found.append((name, float(losses[0].mean()), float(losses[1].mean()), difference))
    rankings = [rank(risk, failed) for risk in (ours, theirs)]
    whole = [precision_and_auc(ranking, np.ones((1, len(failed)), dtype=np.int64)) for ranking in rankings]
    place, blocks = places_of(block)
    drawn = [
        [precision_and_auc(ranking, np.take(counts, place[ranking.order], axis=1)) for ranking in rankings]
        for counts in resamples(blocks, judgements=len(failed), seed=0)
    ]
    for at, name in enumerate(("average_precision", "roc_auc")):
        one, other = float(whole[0][at][0]), float(whole[1][at][0])
        replicates = np.concatenate([pair[0][at] - pair[1][at] for pair in drawn])
        found.append((name, one, other, figure_of(one - other, replicates, blocks=blocks)))
    return found


def _says(figure: str, difference: Figure, names: tuple[str, str]) -> str:
    title = TITLES[figure]
    if difference.low is None or difference.high is None:
        return f"too few blocks of time to tell versions {names[0]} and {names[1]} apart on {title}"
    if difference.low <= 0.0 <= difference.high:
        return f"versions {names[0]} and {names[1]} are not told apart on {title}"
    first_better = (difference.value < 0.0) == LOWER_IS_BETTER[figure]
    better, worse = names if first_better else names[::-1]
    return f"version {better} is better than {worse} on {title} beyond noise"
