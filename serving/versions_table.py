"""The registered versions for reading."""

from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from serving.registry import VersionInfo


def versions_table(name: str, found: "list[VersionInfo]") -> Group:
    """The versions for reading, with the figures they were judged by, and below what was said of each."""
    table = Table("version", "", "trained until (UTC)", "log loss", "average precision", title=name, box=SIMPLE_HEAD)
    for version in found:
        figures = version.figures.get("model", {})
        mark = "champion" if version.champion else "challenger" if version.challenger else ""
        numbers = [_figure(figures, key) for key in ("log_loss", "average_precision")]
        table.add_row(version.number, mark, version.trained_until[:16].replace("T", " "), *numbers)
    return Group(table, *(_told(version) for version in found))


def _told(version: "VersionInfo") -> Text:
    """A version's problem or what the rule said of it, and why it was promoted and challenged."""
    said = [version.problem] if version.problem else version.reasons
    given = {"Promoted": version.promoted_because, "Challenger": version.challenged_because}
    other = [f"{what}: {reason}" for what, reason in given.items() if reason and reason != " ".join(said)]
    return Text("\n- ".join([f"version {version.number}", *said, *other]))


def _figure(figures: dict[str, Any], key: str) -> str:
    """A stored figure with its interval, in words."""
    value, low, high = (figures.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else "")
