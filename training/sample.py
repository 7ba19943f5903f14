"""What a model learns from: rows of a matrix, what is told of each, and the columns in order."""

from dataclasses import dataclass

import numpy as np

from features.asof import Array
from features.build import build_features, choose_layout, columns, groups_of
from features.card import FeatureSpec
from features.errors import CannotTrain
from features.layout import Layout
from training.known import Known
from training.recipe import Recipe

MIN_FAILURES = 10  # of failed and of good lots alike; below it trees learn the few lots by heart


@dataclass(frozen=True)
class Sample:
    """`rows` of the judgements, shape (sample,); `matrix`, float64, shape (sample, features), columns as `features`.

    `failed`: float64, 1 failed, 0 held up. `parts`: the feature group of each column.
    """

    layout: Layout
    features: list[FeatureSpec]
    parts: tuple[str, ...]
    rows: Array
    matrix: Array
    failed: Array

    @property
    def base_rate(self) -> float:
        """Share that failed, never 0 or 1 (Krichevsky & Trofimov 1981)."""
        return float((self.failed.sum() + 0.5) / (len(self.failed) + 1))

    def columns(self, places: Array) -> "Sample":
        """The same lots by some of the columns."""
        return Sample(
            self.layout,
            [self.features[place] for place in places.tolist()],
            tuple(self.parts[place] for place in places.tolist()),
            self.rows,
            self.matrix[:, places],
            self.failed,
        )


def sample_of(known: Known, recipe: Recipe) -> Sample:
    """The mature judgements as a matrix. CannotTrain where there are too few of either kind."""
    rows = known.labels.usable
    failed = known.labels.failed[rows].astype(np.float64)
    failures, good = int(failed.sum()), int(len(failed) - failed.sum())
    if min(failures, good) < MIN_FAILURES:
        raise CannotTrain(
            f"{len(rows)} mature judgements of {len(known.judgements)}, {failures} failed and {good} held up: "
            f"at least {MIN_FAILURES} of each are needed. Wait, or look at [label] and [decision]."
        )
    layout = choose_layout(known.histories, known.until, rules=known.rules, parts=recipe.parts)
    specs, parts = columns(layout), part_of_columns(layout)
    matrix = build_features(known.judgements.take(rows), known.histories, layout).matrix
    sample = Sample(layout, specs, parts, rows, matrix, failed)
    left_out = set(recipe.without)
    kept = np.flatnonzero([spec.name not in left_out for spec in specs])
    return sample if len(kept) == len(specs) else sample.columns(kept)


def part_of_columns(layout: Layout) -> tuple[str, ...]:
    """The feature group of each column, in the matrix's order."""
    return tuple(
        group.__name__.rsplit(".", 1)[1] for group in groups_of(layout) for _ in range(len(group.columns(layout)))
    )
