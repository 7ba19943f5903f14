"""What always stands beside our model: a logistic regression on its columns, and its own trees on one history alone.

They learn from the same tables as the model does, with what lots too young to know tell, so a difference is the
method's or the histories', never the data's. Returned units, where those are counted, teach the regression nothing.
"""

import warnings
from collections.abc import Collection
from dataclasses import replace

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from features.asof import Array
from training.forecast import Contender, Margins
from training.model import trees_as
from training.recipe import Recipe
from training.sample import Sample

LOGISTIC = "logistic regression"
ALONE = {"production only": ("production",), "supplier only": ("supplier",), "field only": ("field", "own")}
"""The single histories, by the feature groups that hold them."""

STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1)  # scikit-learn's C, of standardised columns; the demo takes 0.01
USUAL = 2
MOST_LEVELS = 20  # of a category; rarer ones share a column
MOST_STEPS = 200  # of Newton; twenty are many
FARTHEST = 5.0  # standard deviations; beyond, one odd measurement alone would make a lot certain to fail or to hold


def beside(recipe: Recipe) -> dict[str, Contender]:
    """The contenders by name, in the order of the table."""
    return {LOGISTIC: logistic()} | {name: only(parts, trees_as(recipe)) for name, parts in ALONE.items()}


def there(names: Collection[str], parts: Collection[str]) -> list[str]:
    """Those of the names that have columns where these `parts` are in use; others could only say a base rate."""
    return [name for name in names if name not in ALONE or set(ALONE[name]) & set(parts)]


def only(parts: Collection[str], contender: Contender) -> Contender:
    """The same way to learn, from the columns of some feature groups; without any it says the base rate."""

    def learn(sample: Sample) -> Margins:
        places = np.flatnonzero(np.isin(sample.parts, list(parts)))
        if not len(places):
            return _constant(sample.base_rate, len(contender.choices))
        margins = contender.learn(sample.columns(places))
        return lambda matrix: margins(matrix[:, places])

    return replace(contender, learn=learn)


def logistic() -> Contender:
    """A ridge-penalised logistic regression, by the place of its strength among STRENGTHS."""
    choices = tuple(range(len(STRENGTHS)))

    def learn(sample: Sample) -> Margins:
        prepared, (matrix, failed, weight) = _prepared(sample), _taught(sample)
        columns = prepared.fit_transform(matrix)
        if not columns.shape[1]:
            return _constant(sample.base_rate, len(choices))
        fitted = []
        # Matrices are small: with BLAS on both of two cores a fit takes seven times the CPU it takes on one.
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            warnings.simplefilter("error", ConvergenceWarning)
            for strength in STRENGTHS:
                one = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=MOST_STEPS)
                fitted.append(one.fit(columns, failed, sample_weight=weight))

        def margins(matrix: Array) -> Array:
            rows = prepared.transform(matrix)
            return np.stack([one.decision_function(rows) for one in fitted], axis=1)

        return margins

    return Contender(learn, choices, USUAL)


def _taught(sample: Sample) -> tuple[Array, Array, Array]:
    """(matrix, failed, weight) of all that trees learn failures from, young lots too; counts teach it nothing."""
    if sample.young is None or sample.counted is not None:
        return sample.matrix, sample.failed, np.ones(len(sample.failed))
    young = sample.young
    return (
        np.concatenate([sample.matrix, young.matrix]),
        np.append(sample.failed, young.target),
        np.append(np.ones(len(sample.failed)), young.weight),
    )


def _prepared(sample: Sample) -> "make_column_transformer":
    """Numbers: the median where null, with a column that says so, standardised. Categories: a column a level."""
    category = np.array([feature.type == "category" for feature in sample.features], dtype=bool)
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        FunctionTransformer(np.clip, kw_args={"a_min": -FARTHEST, "a_max": FARTHEST}),
    )
    levels = OneHotEncoder(max_categories=MOST_LEVELS, handle_unknown="infrequent_if_exist", sparse_output=False)
    return make_column_transformer((numbers, np.flatnonzero(~category)), (levels, np.flatnonzero(category)))


def _constant(rate: float, choices: int) -> Margins:
    return lambda matrix: np.full((len(matrix), choices), np.log(rate / (1.0 - rate)))
