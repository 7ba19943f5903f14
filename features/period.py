"""What is typed: durations, and names that are nearly right."""

import difflib
import re
from typing import Any

from features.asof import DAY, HOUR, MINUTE, SECOND

_UNITS = {"d": DAY, "h": HOUR, "min": MINUTE, "s": SECOND}


def duration(text: str) -> int:
    """Microseconds of "90d", "12h", "5min" or "30s"; ValueError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(d|h|min|s)\s*", text)
    if found is None:
        raise ValueError(f'"{text}" is not a duration like "90d", "12h" or "5min"')
    return round(float(found[1]) * _UNITS[found[2]])


def nearest(name: str, names: Any) -> str:
    """Half a sentence that leads from a misspelt name to the right one."""
    names = sorted(names)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"
