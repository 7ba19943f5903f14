"""Which trial comes next: Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) over what was tried.

The sampler of each trial has the trial's number as its seed and sees finished trials only, so a search that was
interrupted goes on as if it had not been.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from training.experiment_file import Range, Searched
from training.trials import Asked, Trial

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

_TREATMENT = "treatment"
_RANDOM = 10  # trials before the estimator has anything to go by


def study_of(space: Mapping[str, Searched], treatments: Sequence[str], done: Iterable[Trial]) -> "Study":
    """The trials that were drawn from the space, as Optuna's study."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="minimize")
    distributions = _distributions(space, treatments)
    for trial in done:
        study.add_trial(
            optuna.trial.create_trial(
                params=_as_parameters(trial.asked, treatments), distributions=distributions, value=trial.value
            )
        )
    return study


def propose(space: Mapping[str, Searched], treatments: Sequence[str], done: Sequence[Trial], *, number: int) -> Asked:
    """What trial `number` is to try."""
    import optuna

    study = study_of(space, treatments, done)
    study.sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=_RANDOM)
    drawn = study.ask(_distributions(space, treatments)).params
    return Asked({name: drawn[name] for name in space}, drawn.get(_TREATMENT, treatments[0]))


def importances(space: Mapping[str, Searched], treatments: Sequence[str], done: Sequence[Trial]) -> dict[str, float]:
    """How much of the differences between trials each parameter explains (fANOVA, Hutter et al. 2014), the most first.

    Empty with fewer than _RANDOM trials, or where all came out alike.
    """
    import optuna

    if len(done) < _RANDOM or len({trial.value for trial in done}) < 2:
        return {}
    study = study_of(space, treatments, done)
    return dict(
        optuna.importance.get_param_importances(study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0))
    )


def _distributions(space: Mapping[str, Searched], treatments: Sequence[str]) -> "dict[str, BaseDistribution]":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name, values in space.items():
        if not isinstance(values, Range):
            found[name] = CategoricalDistribution(values)
        elif isinstance(values.low, int) and isinstance(values.high, int):
            found[name] = IntDistribution(values.low, values.high, log=values.log)
        else:
            found[name] = FloatDistribution(values.low, values.high, log=values.log)
    if len(treatments) > 1:
        found[_TREATMENT] = CategoricalDistribution(list(treatments))
    return found


def _as_parameters(asked: Asked, treatments: Sequence[str]) -> dict[str, Any]:
    return asked.parameters | ({_TREATMENT: asked.treatment} if len(treatments) > 1 else {})
