"""The database as routes use it: a fault of it is a problem."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from features.database import reached, writing
from features.errors import DatabaseUnreachable
from serving.problems import Problem


@contextmanager
def recording(engine: sa.Engine) -> Iterator[sa.Connection]:
    """`writing`; Problem `not_recorded` where it cannot be: nothing was done then."""
    try:
        with writing(engine) as connection:
            yield connection
    except DatabaseUnreachable as fault:
        raise Problem("not_recorded", str(fault)) from None


@contextmanager
def looking(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection to read with; Problem `not_ready` where there is none."""
    try:
        with reached(engine), engine.connect() as connection:
            yield connection
    except DatabaseUnreachable as fault:
        raise Problem("not_ready", str(fault)) from None
