"""The model card as a page for people: one HTML file with its pictures inside, that any browser opens for years."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from features.asof import DAY, SECOND
from features.card import FeatureSpec, ModelCard, iso
from features.dictionary import named
from features.rules import LabelRule
from training.evaluate import TITLES
from training.policy import policy_sentences

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = {
    "precision_recall": "Precision and recall, out of time",
    "reliability": "Reliability: what came of the risks",
    "decision_curve": "Decision curve: what acting on the risk is worth",
    "gain_by_group": "Which histories the trees look at",
}
LARGEST = 15
"""Features that are named one by one."""


def card_page(
    card: ModelCard, *, pictures: Mapping[str, "Figure"], gains: Mapping[str, float], parts: Sequence[str]
) -> str:
    """The HTML. `pictures`: of PICTURES those there are; `gains`: each feature's share of the trees' gain, 0 to 1;
    `parts`: the feature group of each column."""
    templates = Environment(
        loader=PackageLoader("training"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"count": _count, "number": _number, "share": _share, "figure": _figure}
    figures = card.figures
    names = [name for name, row in figures.items() if isinstance(row, dict) and row.get("name") == name]
    return templates.get_template("card.html").render(
        card=card,
        until=_second(card.trained_until),
        cut=_second(card.cut),
        question=_question(card.label),
        label={name: _label(name, value) for name, value in card.label.items()},
        rows=[figures[name] for name in names],
        titles={key: title for key, title in TITLES.items() if any(figures[name][key] is not None for name in names)},
        few=bool(names) and bool(figures[names[0]].get("few")),
        reliability=figures.get("reliability", {}),
        leaks=figures.get("leaks", []),
        segments=figures.get("segments"),
        stability=figures.get("stability"),
        policy=figures.get("policy"),
        said_of_policy=policy_sentences(figures["policy"]) if figures.get("policy") else [],
        pictures=[(PICTURES[name], _inline(pictures[name])) for name in PICTURES if name in pictures],
        groups=Counter(parts).most_common(),
        largest=_largest(card.features, gains),
        limits=limits_of(card),
    )


def limits_of(card: ModelCard) -> list[str]:
    """What the model cannot judge, a sentence each."""
    label, decision = card.label, card.decision
    categories = [feature for feature in card.features if feature.type == "category" and feature.levels]
    found = [
        f"Lots with fewer than {decision['min_units']:,} units at risk: they get cannot_assess.",
        "Lots unlike any it has seen: they carry the warning unlike_any_seen, a new product, line, site or supplier "
        "by its name alone.",
        "Levels it was not trained with: "
        + ", ".join(f"{named(one, language='en')} ({len(one.levels)} known)" for one in categories[:6])
        + (" and others." if len(categories) > 6 else ".")
        if categories
        else "It looks at no categories.",
        f"What happened after {_second(card.trained_until)}: a score of a lot judged before carries trained_later, and "
        "a model grows old; drift and realised performance are watched by lotrisk monitor.",
        f"Failures that are reported later than {label['delay_days']:.0f} days after the window: they are not in its "
        "labels, and one in twenty reports is expected to be.",
    ]
    if not card.doubt.get("knots"):
        found.append("How far a lot's own probability may lie from its risk: too little was there to tell.")
    return found


def _second(moment: int) -> str:
    """Without fractions of a second, which nobody reads."""
    return iso(moment - moment % SECOND)


def _question(label: Mapping[str, Any]) -> str:
    """What the risk is a probability of, in a sentence."""
    rule = LabelRule(**{name: label[name] for name in LabelRule.__dataclass_fields__ if name in label})
    if rule.source == "outcomes":
        return "the table outcomes says that the lot failed"
    return (
        f"at least {rule.returned_ppm:,.0f} ppm of the units at risk come back within {rule.within / DAY:g} days of "
        "the judgement, or the lot is found failing before it ships"
    )


def _label(name: str, value: Any) -> str:
    """Durations of the rule are microseconds in the card."""
    if name in ("within", "reporting"):
        return f"{value / DAY:g} days"
    if name == "immature_share":
        return _share(value)
    return f"{value:,.4g}" if isinstance(value, int | float) else str(value)


def _largest(features: Sequence[FeatureSpec], gains: Mapping[str, float]) -> list[tuple[str, str, float]]:
    """(column, its sentence, share of the gain), the largest first."""
    by_gain = sorted(features, key=lambda feature: (-gains.get(feature.name, 0.0), feature.name))[:LARGEST]
    return [(one.name, named(one, language="en"), gains.get(one.name, 0.0)) for one in by_gain]


def _inline(picture: "Figure") -> str:
    file = BytesIO()
    picture.savefig(file, format="png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:,.{digits}g}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}".replace("%", " %")


def _figure(row: Mapping[str, Any], key: str) -> str:
    value, low, high = (row.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else "")
