import io

import numpy as np
import pytest

from training.plots import gain_by_group, precision_recall, reliability

GENERATOR = np.random.default_rng(0)
RISK = GENERATOR.beta(0.5, 8.0, 2_000)
FAILED = GENERATOR.random(2_000) < RISK


def axes_of(figure):
    """The one pair of axes, once the figure is drawn as a PNG without a warning."""
    written = io.BytesIO()
    figure.savefig(written, format="png")
    assert written.getvalue().startswith(b"\x89PNG")
    (axes,) = figure.axes
    return axes


def test_precision_recall_names_the_model_first_and_stands_for_constant_risks_by_the_share_that_failed():
    axes = axes_of(precision_recall({"model": RISK, "base rate": np.full(2_000, 0.06), "noise": RISK[::-1]}, FAILED))
    names = [text.get_text().split("  ")[0] for text in axes.get_legend().get_texts()]
    assert names == ["model", "noise", "all lots"]
    assert "Recall" in axes.get_xlabel()
    assert "Precision" in axes.get_ylabel()


def test_precision_recall_of_one_failure_or_only_failures_can_be_drawn():
    for failed in (np.arange(50) == 7, np.ones(50, dtype=bool)):
        axes_of(precision_recall({"model": np.linspace(0, 1, 50)}, failed))


def test_precision_recall_without_failures_is_refused():
    with pytest.raises(ValueError, match="at least one failure"):
        precision_recall({"model": RISK}, np.zeros(2_000, dtype=bool))


def test_reliability_puts_right_risks_on_the_diagonal():
    axes = axes_of(reliability(RISK, FAILED))
    points = next(line for line in axes.lines if line.get_marker() == "o")
    assert len(points.get_xdata()) == 10
    assert np.abs(points.get_xdata() - points.get_ydata()).max() < 0.05
    assert "about 200 judgements" in axes.get_xlabel()


@pytest.mark.parametrize(
    ("risk", "failed"),
    [
        (np.array([0.2]), np.array([0])),
        (np.full(50, 0.3), np.arange(50) < 15),
        (np.zeros(30), np.zeros(30)),
        (np.ones(30), np.ones(30)),
        (np.geomspace(1e-6, 1e-4, 10_000), np.arange(10_000) == 5),
    ],
    ids=["one lot", "constant", "never", "always", "rare"],
)
def test_reliability_of_odd_histories_can_be_drawn(risk, failed):
    axes_of(reliability(risk, failed))


def test_reliability_without_judgements_is_refused():
    with pytest.raises(ValueError, match="at least one judgement"):
        reliability(np.empty(0), np.empty(0))


def test_gain_has_the_largest_group_on_top():
    axes = axes_of(gain_by_group({"line": 0.2, "supplier": 0.7, "own": 0.1}))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["own", "line", "supplier"]
    assert "70.0 %" in [text.get_text() for text in axes.texts]


def test_gain_without_groups_is_refused():
    with pytest.raises(ValueError, match="at least one name"):
        gain_by_group({})
