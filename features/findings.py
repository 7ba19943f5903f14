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
    """Within 80 columns; what no table has a row of has no column."""
    tables = findings["tables"]
    held = {name: sum(reason["count"] for reason in found["quarantined"].values()) for name, found in tables.items()}
    counts = {
        "read": {name: found["read"] for name, found in tables.items()},
        "kept": {name: found["kept"] for name, found in tables.items()},
        "correc-\ntions": {name: found["versions"] for name, found in tables.items()},
        "dele-\ntions": {name: found["deletions"] for name, found in tables.items()},
        "repeated": {name: found["duplicates"] for name, found in tables.items()},
        "quaran-\ntined": held,
    }
    shown = {heading: of for heading, of in counts.items() if heading in ("read", "kept") or any(of.values())}
    grid = Table(title=escape(findings["site"]), title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False)
    grid.add_column("table", no_wrap=True)
    for heading in shown:
        grid.add_column(heading, justify="right", no_wrap=True)
    for heading in ("from\n(UTC)", "known to\n(UTC)"):
        grid.add_column(heading, no_wrap=True)
    grid.add_column("lots\nwith it", justify="right", no_wrap=True)
    for name, found in tables.items():
        share = found["share_of_lots"]
        grid.add_row(
            name,
            *(f"{of[name]:,}" for of in shown.values()),
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
