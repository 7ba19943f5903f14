"""Answers that are given once, and forgotten after a month, a few at a time."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import sqlalchemy as sa

from features.asof import DAY
from features.database import add_rows, open_database, writing
from serving.migrate import migrate
from serving.once import KEPT, forget
from serving.tables import ANSWERS
from tests.serving.unsteady import postgres_schema

NOW = 1_780_000_000_000_000


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    sqlite = nullcontext(f"sqlite:///{tmp_path / 'once.db'}")
    with sqlite if request.param == "sqlite" else postgres_schema() as url:
        migrate(url)
        engine = open_database(url)
        yield engine
        engine.dispose()


def answered(engine: sa.Engine, count: int, *, at: int) -> None:
    """Answers one microsecond apart, the first at `at`."""
    rows = [{"scope": "gate", "key": f"{at + n}", "request": "", "answer": "{}", "at": at + n} for n in range(count)]
    with writing(engine) as connection:
        add_rows(connection, ANSWERS, rows)


def moments(engine: sa.Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(ANSWERS.c.at).order_by(ANSWERS.c.at)).scalars())


def test_answers_of_a_month_ago_are_removed_a_few_in_a_transaction_the_oldest_first(engine: sa.Engine) -> None:
    answered(engine, 1100, at=NOW - KEPT - DAY)
    answered(engine, 3, at=NOW - KEPT - 1)
    assert forget(engine, now=NOW)
    assert moments(engine)[0] == NOW - KEPT - DAY + 500
    assert forget(engine, now=NOW)
    assert not forget(engine, now=NOW)
    assert moments(engine) == [NOW - KEPT, NOW - KEPT + 1]
    assert not forget(engine, now=NOW)


def test_of_answers_of_one_moment_no_more_are_removed_at_once(engine: sa.Engine) -> None:
    with writing(engine) as connection:
        row = {"scope": "gate", "request": "", "answer": "{}", "at": NOW - KEPT - 1}
        add_rows(connection, ANSWERS, [{**row, "key": f"{n}"} for n in range(700)])
    assert forget(engine, now=NOW)
    assert len(moments(engine)) == 200
