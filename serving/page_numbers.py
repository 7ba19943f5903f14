"""Numbers, shares and times as people read them on the pages."""

from datetime import datetime
from zoneinfo import ZoneInfo

NOTHING = "–"


def percent(share: float | None) -> str:
    """0.0712 as "7.1 %": one decimal, two below 1 %; what would round to nothing is said to be less."""
    if share is None:
        return NOTHING
    shown = 100 * share
    if 0 < shown < 0.005:
        return "< 0.01 %"
    return f"{shown:.1f} %" if shown >= 0.995 or shown == 0 else f"{shown:.2f} %"


def money(amount: float | None) -> str:
    """In the site's own currency, which nobody states: whole above 100."""
    if amount is None:
        return NOTHING
    return f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}"


def figure(number: float | int | None, digits: int = 5) -> str:
    """A number to so many digits, whole numbers whole."""
    if number is None:
        return NOTHING
    if isinstance(number, int) or (number == int(number) and abs(number) < 1e15):
        return f"{int(number):,}"
    return f"{number:.{digits}g}"


def signed(number: float) -> str:
    """A contribution: "+0.42", with a minus as wide as the plus."""
    return f"{number:+.2f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    """ "[0.331, 0.490]"; nothing where there is none."""
    return "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def estimate(value: float | None) -> str:
    """What stands above its interval: "0.412"."""
    return NOTHING if value is None else f"{value:.3f}"


def local(time: str, zone: str) -> datetime:
    """ISO 8601 with Z as a moment in the site's time zone."""
    return datetime.fromisoformat(time).astimezone(ZoneInfo(zone))


def minute(time: str | None, zone: str) -> str:
    """ "2026-11-22 09:05" in the site's time zone."""
    return NOTHING if not time else local(time, zone).strftime("%Y-%m-%d %H:%M")


def day(time: str | None, zone: str) -> str:
    """ "2026-11-22" in the site's time zone."""
    return NOTHING if not time else local(time, zone).strftime("%Y-%m-%d")
