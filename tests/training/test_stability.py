"""Whether leading reasons stay when the model is learned again from other spans of time."""

from dataclasses import replace

import numpy as np
import pytest

from tests.command import few_trees
from tests.tiny_site import day, histories
from tests.training.learnable import learnable
from training.known import known_by
from training.model import Model, fit_model
from training.stability import LEADING, stability_of

__all__ = ["few_trees"]


@pytest.fixture(scope="module")
def model(few_trees: None) -> Model:
    rows, rule = learnable(400, seed=1)
    return fit_model(known_by(histories(rows, rule), rule, until=day(450)))


def test_shares_are_told_of_lots_and_of_kinds_of_reason(model: Model) -> None:
    found = stability_of(model)
    assert found is not None
    assert (found.lots, found.refits) == (100, 3)
    assert 0.0 < found.jaccard <= found.kept <= 1.0
    assert 0.0 < found.families <= 1.0
    assert found.told.startswith(f"Of the {LEADING} leading reasons of a lot ")
    assert found == stability_of(model)


def test_what_lots_differ_by_leads_again_and_noise_does_not(model: Model) -> None:
    """The temperature makes them fail; which of the rates leads beside it is luck."""
    found = stability_of(model, refits=6)
    assert found is not None
    assert found.by_family["lot_{attribute}"] > 0.9
    assert found.by_family["lot_{attribute}"] > min(found.by_family.values())
    assert found.kept < 1.0


def test_where_too_few_failures_are_drawn_nothing_is_told(model: Model) -> None:
    failed = np.zeros(len(model.trees.sample.failed))
    failed[:1] = 1.0
    few = replace(model, trees=replace(model.trees, sample=replace(model.trees.sample, failed=failed)))
    assert stability_of(few) is None
