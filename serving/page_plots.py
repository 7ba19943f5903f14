"""Plots of the pages as SVG that takes its colours and fonts from the page: no inline style, no script.

Every function takes wire shapes and returns SVG for a page of `language` and time zone `zone`; "" where there is
nothing to draw. They take tens of milliseconds: call them in a thread.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from serving.page_numbers import figure, local, percent
from serving.page_sheet import AMBER, BLUE, FAINT, FULL_WIDTH, INK, LINE, MUTED, PAPER, RED, SMALL, Sheet
from serving.words import speaker

Rows = Sequence[Mapping[str, Any]]

WIDTH = 400
MOST_CHARACTERISTICS = 20
MARKS = {"release": "o", "inspect": "^", "hold": "s", "cannot_assess": "X"}
COLOURS = {"release": BLUE, "inspect": AMBER, "hold": RED, "cannot_assess": MUTED}


def risk_over_time(history: Rows, *, language: str, zone: str) -> str:
    """`history` of one lot, oldest first; a mark's shape and colour say the decision, a dashed line a new version."""
    say, rows = speaker(language), [row for row in history if row["risk"] is not None]
    if not rows:
        return ""
    times = [local(row["as_of"], zone).timestamp() for row in rows]
    risks = [float(row["risk"]) for row in rows]
    sheet = Sheet(WIDTH, 240)
    axes = sheet.axes(left=50, right=14, top=34, bottom=26)
    axes.plot(times, risks, color=LINE, lw=1.5, zorder=1)
    for decision in dict.fromkeys(row["decision"] for row in rows):
        of = [place for place, row in enumerate(rows) if row["decision"] == decision]
        axes.plot(
            [times[place] for place in of],
            [risks[place] for place in of],
            linestyle="",
            marker=MARKS.get(decision, "X"),
            ms=9,
            color=COLOURS.get(decision, MUTED),
            markeredgecolor=PAPER,
            label=sheet.said(say(f"decision.{decision}", otherwise=decision)),
        )
    top = max(1.25 * max(risks), 0.001)
    axes.set_ylim(0, min(top, 1.05))
    for before, row, time in zip(rows, rows[1:], times[1:], strict=False):
        if before["model_version"] != row["model_version"]:
            axes.axvline(time, color=MUTED, lw=0.8, ls=(0, (3, 3)), zorder=0)
            words = sheet.said(say("plot.version", version=row["model_version"]))
            axes.text(time, 0.95, words, transform=axes.get_xaxis_transform(), ha="right", color=MUTED, size=SMALL)
    sheet.time_axis(times, zone)
    sheet.percent_axis(axes.yaxis)
    sheet.legend()
    about = say(
        "plot.history",
        count=len(rows),
        first=percent(risks[0]),
        last=percent(risks[-1]),
        highest=percent(max(risks)),
    )
    return sheet.svg(say("history"), about)


def measurements(rows: Rows, *, language: str) -> str:
    """Each characteristic with a limit on one scale from its lower to its upper limit, the nearest to them first."""
    say, strips = speaker(language), _strips(rows)
    if not strips:
        return ""
    drawn = strips[:MOST_CHARACTERISTICS]
    sheet = Sheet(WIDTH, 38 + 40 * len(drawn))
    axes = sheet.axes(left=4, right=4, top=34, bottom=4)
    axes.set(xlim=(-0.2, 1.2), ylim=(len(drawn) - 0.25, -0.62))
    axes.axis("off")
    for at, word in ((0, "plot.lower"), (1, "plot.upper")):
        axes.vlines([at] * len(drawn), *_ends(len(drawn)), color=MUTED, lw=1.4, zorder=1)
        axes.text(at, -0.86, sheet.said(say(word)), ha="center", color=MUTED, size=SMALL)
    points: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for at, (name, values) in enumerate(drawn):
        axes.axhspan(at - 0.14, at + 0.14, 0.2 / 1.4, 1.2 / 1.4, color=FAINT, zorder=0)
        axes.text(-0.2, at - 0.27, sheet.said(_short(name)), size=12, color=INK)
        for place, _, within in values:
            shown = min(max(place, -0.16), 1.16)
            points["o" if within else "D" if shown == place else "<" if place < 0 else ">"].append((shown, at))
        outside = [value for _, value, within in values if not within]
        last = outside[-1] if outside else values[-1][1]
        axes.text(1.2, at - 0.27, figure(last), ha="right", size=12, color=RED if outside else MUTED)
    for mark, marked in points.items():
        colour, wide = (BLUE, 7) if mark == "o" else (RED, 9)
        x, y = zip(*marked, strict=True)
        axes.plot(x, y, mark, color=colour, ms=wide, markeredgecolor=PAPER, zorder=3 + (mark != "o"), clip_on=False)
    judged = [within for _, marks in strips for _, _, within in marks]
    count, total = judged.count(False), len(judged)
    key = "measurements.outside" if count else "measurements.inside"
    return sheet.svg(say("measurements"), say(key, count=count, total=total))


def reliability(bins: Rows, *, language: str) -> str:
    """`bins`: {"predicted", "failed_share", "low", "high"} each, shares; square-root scales, for risks are small."""
    if not bins:
        return ""
    say = speaker(language)
    sheet = Sheet(WIDTH, 400)
    axes = sheet.axes(left=46, right=16, top=52, bottom=46)
    limit = min(1.0, 1.1 * max(max(row["predicted"], row["high"]) for row in bins))
    sheet.root_scale(limit)
    predicted = [row["predicted"] for row in bins]
    axes.vlines(predicted, [row["low"] for row in bins], [row["high"] for row in bins], color=BLUE, lw=1.8)
    axes.plot(
        predicted,
        [row["failed_share"] for row in bins],
        "o",
        color=BLUE,
        ms=8,
        markeredgecolor=PAPER,
        clip_on=False,
        label=sheet.said(say("plot.interval")),
    )
    axes.plot((0, limit), (0, limit), color=MUTED, lw=1, zorder=1)
    axes.plot((), (), "_", color=MUTED, ms=10, label=sheet.said(say("plot.as_predicted")))
    axes.text(-0.11, 1.03, sheet.said(say("plot.failed")), transform=axes.transAxes, size=12, color=INK)
    axes.text(1, -0.125, sheet.said(say("plot.predicted")), transform=axes.transAxes, ha="right", size=12, color=INK)
    sheet.legend()
    return sheet.svg(say("reliability"), say("reliability.says"))


def performance(months: Rows, *, language: str) -> str:
    """Predicted risk beside the share that failed, a place a month; shaded where too young."""
    say, rows = speaker(language), list(months)
    told = [place for place, row in enumerate(rows) if row["predicted"] is not None]
    if not told:
        return ""
    sheet = Sheet(WIDTH, 260)
    axes = sheet.axes(left=46, right=34, top=34, bottom=26)
    places = list(range(len(rows)))
    axes.plot(
        told,
        [rows[place]["predicted"] for place in told],
        "_",
        color=AMBER,
        ms=14,
        markeredgewidth=3,
        label=sheet.said(say("plot.mean")),
    )
    real = [place for place, row in enumerate(rows) if row["realised"] is not None]
    ends = [place for place in real if rows[place]["realised_low"] is not None]
    axes.vlines(
        ends, [rows[n]["realised_low"] for n in ends], [rows[n]["realised_high"] for n in ends], color=BLUE, lw=1.8
    )
    axes.plot(
        real,
        [rows[n]["realised"] for n in real],
        "o",
        color=BLUE,
        ms=7,
        markeredgecolor=PAPER,
        label=sheet.said(say("plot.interval")),
    )
    young = [n for n, row in enumerate(rows) if row["realised"] is None and row["mature"] < row["judged"]]
    for place in young:
        axes.axvspan(place - 0.5, place + 0.5, color=FAINT, zorder=0)
    if young:
        axes.plot((), (), "s", color=FAINT, ms=10, label=sheet.said(say("plot.young")))
    step = -(-len(rows) // 4)
    axes.set_xticks(places[::-step], [str(row["month"]) for row in rows[::-step]])
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.set_ylim(bottom=0)
    sheet.percent_axis(axes.yaxis)
    sheet.legend()
    return sheet.svg(say("performance"), "; ".join(f"{row['month']}: {_predicted_and_real(row)}" for row in rows))


def _ends(rows: int) -> tuple[list[float], list[float]]:
    """From where to where the limits of each row are drawn."""
    return [at - 0.2 for at in range(rows)], [at + 0.2 for at in range(rows)]


def _predicted_and_real(row: Mapping[str, Any]) -> str:
    real = "–" if row["realised"] is None else percent(row["realised"])
    return f"{percent(row['predicted'])} → {real}"


def _strips(rows: Rows) -> list[tuple[str, list[tuple[float, float, bool]]]]:
    """(characteristic, [(place: 0 at the lower, 1 at the upper limit; value; within)]), the farthest out first."""
    found: dict[str, list[tuple[float, float, bool]]] = defaultdict(list)
    beyond: dict[str, float] = {}
    for row in rows:
        placed = None if row["value"] is None else _placed(row["value"], row["lower_spec"], row["upper_spec"])
        if placed is not None:
            place, out = placed
            name = str(row["characteristic"])
            within = out <= 0 if row["within"] is None else bool(row["within"])
            found[name].append((place, float(row["value"]), within))
            beyond[name] = max(out, beyond.get(name, out))
    return sorted(found.items(), key=lambda item: -beyond[item[0]])


def _placed(value: float, lower: float | None, upper: float | None) -> tuple[float, float] | None:
    """Its place, and how far beyond the nearer limit; with one, zero or twice that limit is the other end."""
    if lower is not None and upper is not None:
        place = (value - lower) / (upper - lower) if upper > lower else 0.5 if value == lower else 2.0
        return place, max(place - 1, -place)
    if upper is not None:
        place = 1 + (value - upper) / (abs(upper) or 1.0)
        return max(place, 0.0), place - 1
    if lower is not None:
        place = (value - lower) / (abs(lower) or 1.0)
        return min(place, 1.0), -place
    return None


def _short(text: str, most: int = 36) -> str:
    """Chinese characters are as wide as two others."""
    width, kept = 0, ""
    for letter in text:
        width += 1 if ord(letter) < FULL_WIDTH else 2
        if width > most:
            return kept + "…"
        kept += letter
    return kept
