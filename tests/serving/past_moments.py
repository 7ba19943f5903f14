"""Loaded by schemathesis: times that it makes up are of the past.

A moment in the future is a well-formed time that every route refuses by `future_as_of`; no schema can say so.
"""

from datetime import date, datetime

import schemathesis
from hypothesis import strategies as st

FIRST, LAST = datetime.fromisoformat("1950-01-01"), datetime.fromisoformat("2026-01-01")
_LOCAL = st.datetimes(FIRST, LAST)
_OFFSETS = st.sampled_from(["Z", "+00:00", "+05:30", "-11:00"])

schemathesis.openapi.format("date-time", st.builds(lambda at, offset: f"{at.isoformat()}{offset}", _LOCAL, _OFFSETS))
schemathesis.openapi.format("date-time-local", _LOCAL.map(datetime.isoformat))
schemathesis.openapi.format("date", st.dates(FIRST.date(), LAST.date()).map(date.isoformat))
