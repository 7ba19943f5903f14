"""What a model learns from: rows of a matrix, what is told of each, and the columns in order."""

from dataclasses import dataclass, replace

import numpy as np

from features.asof import Array
from features.build import build_features, choose_layout, columns, groups_of
from features.card import FeatureSpec
from features.errors import CannotTrain
from features.layout import Layout
from features.link import LOG_ODDS, Link
from training.known import Known
from training.maturity import Counted, Young, by_columns, counts, lessons, young_rows
from training.recipe import Recipe

MIN_FAILURES = 10  # of failed and of good lots alike; below it trees learn the few lots by heart


@dataclass(frozen=True)
class Sample:
    """`rows` of the judgements, shape (sample,); `matrix`, float64, shape (sample, features), columns as `features`.

    `failed`: float64, 1 failed, 0 held up. `parts`: the feature group of each column. These are mature judgements, and
    all that most learn from; trees take in besides what `young` ones tell, or learn returned units where `counted`.
    """

    layout: Layout
    features: list[FeatureSpec]
    parts: tuple[str, ...]
    rows: Array
    matrix: Array
    failed: Array
    young: Young | None = None
    counted: Counted | None = None

    @property
    def names(self) -> list[str]:
        """Of the columns, in order."""
        return [spec.name for spec in self.features]

    @property
    def base_rate(self) -> float:
        """Share that failed, never 0 or 1 (Krichevsky & Trofimov 1981)."""
        return float((self.failed.sum() + 0.5) / (len(self.failed) + 1))

    @property
    def links(self) -> tuple[Link, ...]:
        """Ways from what its trees say to log odds."""
        return (LOG_ODDS,) if self.counted is None else self.counted.links

    def columns(self, places: Array) -> "Sample":
        """The same lots by some of the columns."""
        return replace(
            self,
            features=[self.features[place] for place in places.tolist()],
            parts=tuple(self.parts[place] for place in places.tolist()),
            matrix=self.matrix[:, places],
            young=None if self.young is None else by_columns(self.young, places),
        )


def sample_of(known: Known, recipe: Recipe) -> Sample:
    """The mature judgements as a matrix, and what young ones tell by the site's treatment.

    CannotTrain where there are too few mature ones of either kind.
    """
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
    if known.rules.label.treatment != "leave_out":
        young, told = young_rows(known)
        more = build_features(known.judgements.take(young), known.histories, layout).matrix
        sample = replace(sample, young=lessons(known, young, told, more, base_rate=sample.base_rate))
    if known.rules.label.treatment == "count":
        sample = replace(sample, counted=counts(known))
    left_out = set(recipe.without)
    kept = np.flatnonzero([spec.name not in left_out for spec in specs])
    return sample if len(kept) == len(specs) else sample.columns(kept)


def part_of_columns(layout: Layout) -> tuple[str, ...]:
    """The feature group of each column, in the matrix's order."""
    return tuple(
        group.__name__.rsplit(".", 1)[1] for group in groups_of(layout) for _ in range(len(group.columns(layout)))
    )
