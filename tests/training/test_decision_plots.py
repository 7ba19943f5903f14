"""The decision curve can be drawn, and says what it is of."""

from io import BytesIO

import pytest
from matplotlib.figure import Figure

from training.decision_plots import decision_curve


def curve(*, usual: float | None = 0.05) -> dict:
    points = [
        {"threshold": n / 100, "model": 0.1 - n / 1000, "inspect_all": 0.1 - n / 200, "release_all": 0.0}
        for n in range(1, 31)
    ]
    return {"points": points, "usual_threshold": usual}


def texts(figure: Figure) -> list[str]:
    figure.savefig(BytesIO(), format="png")
    (axes,) = figure.axes
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_curve_shows_the_model_beside_acting_on_all_and_on_none() -> None:
    figure = decision_curve(curve())
    assert texts(figure) == ["release all", "act on all", "act by the model"]
    model = next(line for line in figure.axes[0].lines if line.get_label() == "act by the model")
    assert list(model.get_ydata()) == [point["model"] for point in curve()["points"]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["usual threshold"]


def test_without_a_usual_threshold_none_is_marked() -> None:
    assert list(decision_curve(curve(usual=None)).axes[0].texts) == []


def test_a_model_that_is_of_no_use_can_be_drawn() -> None:
    flat = {"points": [p | {"model": 0.0, "inspect_all": -1.0} for p in curve()["points"]], "usual_threshold": 0.05}
    assert len(texts(decision_curve(flat))) == 3


def test_a_curve_without_judgements_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one judgement"):
        decision_curve({"points": [], "usual_threshold": None})
