"""A sheet to plot on, and how it becomes SVG that lives by the page's own style sheet.

The page's Content-Security-Policy forbids style attributes, and its colours follow light and dark. So figures are drawn
in stand-in colours, which become the page's variables; styles become presentation attributes; and words, which
matplotlib would measure in fonts that lack Chinese, are put in after drawing, where the browser has fonts for them.
"""

import io
import re
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

INK, MUTED, LINE, FAINT, PAPER = "#010101", "#020202", "#030303", "#040404", "#050505"
BLUE, AMBER, RED = "#060606", "#070707", "#080808"
VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line-strong)",
    FAINT: "var(--faint)",
    PAPER: "var(--paper)",
    BLUE: "var(--blue)",
    AMBER: "var(--amber)",
    RED: "var(--red)",
}
SMALL = 11  # a phone shows it as 9 pixels
TICKS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
PERMITTED = {"stroke-linejoin", "stroke-linecap", "stroke-width", "stroke-dasharray", "stroke-dashoffset"}
PERMITTED |= {"stroke", "stroke-opacity", "fill", "fill-opacity", "opacity", "text-anchor", "stroke-miterlimit"}
FULL_WIDTH = 0x2E80  # from here on letters are Chinese, as wide as they are high
SVG = "http://www.w3.org/2000/svg"
XLINK = "{http://www.w3.org/1999/xlink}href"

_drawing = Lock()  # matplotlib's settings and font caches belong to the process


class Sheet:
    """A figure of `width` by `height` pixels with one set of axes."""

    def __init__(self, width: int, height: int) -> None:
        from matplotlib.figure import Figure

        self._width, self._height = width, height
        self._figure = Figure(figsize=(width / 72, height / 72))
        self._words: list[str] = []
        self._axes: Axes | None = None

    def axes(self, *, left: int, right: int, top: int, bottom: int) -> "Axes":
        """The axes, inside margins in pixels."""
        width, height = self._width, self._height
        box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
        self._axes = axes = self._figure.add_axes(box)
        axes.patch.set_visible(False)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(LINE)
        axes.tick_params(colors=LINE, labelcolor=MUTED, labelsize=SMALL, length=3, pad=5)
        return axes

    def said(self, text: str) -> str:
        """What to draw in place of `text`, which the SVG will have."""
        self._words.append(text)
        return f"w{len(self._words) - 1}w"

    def percent_axis(self, axis: "Axis") -> None:
        """Some four ticks, with faint lines across."""
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        axis.set_major_locator(MaxNLocator(4))
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
        axis.grid(visible=True, color=FAINT, lw=1)
        axis.set_tick_params(length=0)

    def root_scale(self, limit: float) -> None:
        """Both axes from 0 to `limit` by the square root."""
        import numpy as np
        from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

        axes = self._drawn()
        for scaled, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
            scaled("function", functions=(lambda share: np.sqrt(np.maximum(share, 0.0)), np.square))
            axis.set_major_locator(FixedLocator(_ticks(limit)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
            axis.grid(visible=True, color=FAINT, lw=1)
        axes.set(xlim=(0, limit), ylim=(0, limit))

    def time_axis(self, times: Sequence[float], zone: str) -> None:
        """At most four ticks, at midnights; of `times` (seconds UTC) within three days the first and the last."""
        place = ZoneInfo(zone)
        first, last = datetime.fromtimestamp(times[0], place), datetime.fromtimestamp(times[-1], place)
        days = (last.date() - first.date()).days
        if days < 3:
            form, ticks = "%m-%d %H:%M", [first, last] if last > first else [first]
        else:
            form, step = "%Y-%m-%d", -(-days // 3)
            midnight = last.replace(hour=0, minute=0, second=0, microsecond=0)
            ticks = [midnight - timedelta(days=back) for back in range(0, days, step)]
        axes = self._drawn()
        axes.set_xticks([tick.timestamp() for tick in ticks], [tick.strftime(form) for tick in ticks])
        axes.margins(x=0.1)

    def legend(self) -> None:
        """What the axes' labels say, in one row at the top; matplotlib's own would not know how wide the words are."""
        from matplotlib.lines import Line2D

        left, top = 6.0, 1 - 12 / self._height
        handles, labels = self._drawn().get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            if not isinstance(handle, Line2D):
                continue
            mark = Line2D([left / self._width], [top])
            mark.update_from(handle)
            mark.set(transform=self._figure.transFigure, markersize=min(handle.get_markersize(), 10), clip_on=False)
            self._figure.add_artist(mark)
            self._figure.text((left + 11) / self._width, top, label, va="center", size=SMALL, color=INK)
            left += 11 + 18 + _wide(self._words[int(label[1:-1])])

    def svg(self, title: str, about: str) -> str:
        """The sheet; `title` and `about` are for those who hear the page."""
        import matplotlib as mpl

        buffer = io.BytesIO()
        with _drawing:
            mpl.rcParams["svg.fonttype"] = "none"
            mpl.rcParams["svg.hashsalt"] = "lot-risk"
            self._figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314 - drawn above, from no outside document
        return _for_page(root, self._words, title, about)

    def _drawn(self) -> "Axes":
        if self._axes is None:
            raise ValueError("the sheet has no axes yet. Call axes() first.")
        return self._axes


def _for_page(root: ElementTree.Element, words: list[str], title: str, about: str) -> str:
    ElementTree.register_namespace("", SVG)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _plain(element)
        if element.text and (found := re.fullmatch(r"w(\d+)w", element.text)):
            element.text = words[int(found[1])]
    prefix = f"p{zlib.crc32(f'{title} {about}'.encode()):x}"
    _name_apart(root, prefix)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.attrib |= {"class": "plot", "role": "img", "aria-labelledby": f"{prefix}t {prefix}d"}
    root.attrib |= {"stroke-linejoin": "round", "stroke-linecap": "butt"}
    for place, (tag, text) in enumerate((("title", title), ("desc", about))):
        element = ElementTree.Element(f"{{{SVG}}}{tag}", {"id": f"{prefix}{tag[0]}"})
        element.text = text
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode")


def _plain(element: ElementTree.Element) -> None:
    """Its style as presentation attributes, stand-in colours as the page's variables, its fonts left to the page."""
    for rule in element.attrib.pop("style", "").split(";"):
        name, _, value = rule.partition(":")
        name, value = name.strip(), value.strip()
        if name == "font" and (size := re.search(r"([\d.]+)px", value)):
            element.set("font-size", size[1])
        elif name in PERMITTED:
            element.set(name, value)
    for name in ("fill", "stroke"):
        if (colour := element.get(name)) in VARIABLES:
            element.set(name, VARIABLES[colour])


def _name_apart(root: ElementTree.Element, prefix: str) -> None:
    """Ids that something refers to get the plot's own prefix, the others go: a page has several plots."""
    used = {value for element in root.iter() for value in _references(element)}
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in used:
            element.set("id", prefix + str(name))
        if XLINK in element.attrib:
            element.set("href", "#" + prefix + element.attrib.pop(XLINK)[1:])
        if "clip-path" in element.attrib:
            element.set("clip-path", element.attrib["clip-path"].replace("#", f"#{prefix}"))


def _references(element: ElementTree.Element) -> list[str]:
    clip = re.fullmatch(r"url\(#(.+)\)", element.get("clip-path", ""))
    return [*([element.attrib[XLINK][1:]] if XLINK in element.attrib else []), *([clip[1]] if clip else [])]


def _wide(text: str) -> float:
    """About how many pixels a small text takes."""
    return sum(SMALL * (0.6 if ord(letter) < FULL_WIDTH else 1.15) for letter in text)


def _ticks(limit: float) -> list[float]:
    """Of TICKS those up to `limit` whose labels do not touch on a square-root scale."""
    kept = [0.0]
    for tick in TICKS:
        if tick <= limit and tick**0.5 - kept[-1] ** 0.5 > 0.13 * limit**0.5:
            kept.append(tick)
    return kept
