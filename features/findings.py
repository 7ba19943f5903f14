"""The findings of `check` on a terminal."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table


def render(findings: dict[str, Any]) -> RenderableType:
    """What `check_site` found, as tables and sentences."""
    parts: list[RenderableType] = [_overview(findings)]
    if any(found["quarantined"] for found in findings["tables"].values()):
        parts.append(_quarantine(findings))
    if delay := findings["reporting_delay_days"]:
        parts.append(
            f"Returns are reported {delay['median']} days after the failure (median of {delay['returns']:,}), "
            f"19 in 20 within {delay['p95']} days."
        )
    for name, found in findings["tables"].items():
        if late := found["back_loads"]:
            parts.append(
                f"{name}: {late['count']} known more than 30 days after they happened, "
                f"the worst after {late['worst_days']} days ({escape(late['example'])})."
            )
    for title, sentences in (("Warnings", findings["warnings"]), ("Taken on trust", findings["on_trust"])):
        if sentences:
            parts.append(f"\n[bold]{title}[/bold]")
            parts += [f"- {escape(sentence)}" for sentence in sentences]
    unusable = [name for name, found in findings["tables"].items() if found["standing"] == 0]
    parts.append(f"\n[red]Not usable: {', '.join(unusable)}[/red]" if unusable else "\n[green]Usable.[/green]")
    return Group(*parts)


def _overview(findings: dict[str, Any]) -> Table:
    grid = Table(title=escape(findings["site"]), title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False)
    grid.add_column("table", no_wrap=True)
    for heading in ("read", "kept", "corrections", "deletions", "repeated", "quarantined"):
        grid.add_column(heading, justify="right", overflow="fold", min_width=5)
    grid.add_column("from (UTC)", min_width=10)
    grid.add_column("known to (UTC)", min_width=10)
    grid.add_column("lots with it", justify="right", min_width=4)
    for name, found in findings["tables"].items():
        share = found["share_of_lots"]
        held = sum(reason["count"] for reason in found["quarantined"].values())
        counts = (found["read"], found["kept"], found["versions"], found["deletions"], found["duplicates"], held)
        grid.add_row(
            name,
            *(f"{count:,}" for count in counts),
            *((found[end] or "–")[:10] for end in ("from", "to")),
            "–" if share is None else f"{share:.0%}",
        )
    return grid


def _quarantine(findings: dict[str, Any]) -> Table:
    grid = Table(title="In quarantine", title_justify="left")
    for heading in ("table", "reason", "rows", "for example"):
        grid.add_column(heading, justify="right" if heading == "rows" else "left", overflow="fold")
    for name, found in findings["tables"].items():
        for reason, at in found["quarantined"].items():
            grid.add_row(name, escape(reason), f"{at['count']:,}", escape(at["example"]))
    return grid
