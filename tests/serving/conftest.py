"""A small factory and a service over it, started once for the tests that change nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from features.site import Site
from serving.score_log import ScoreLog
from tests.serving.counter import Counter, counter_over, with_authority
from tests.serving.fitted import copied, valves
from tests.serving.live import Live, serving


@pytest.fixture(scope="session")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 lots with two versions, the first of which is champion. To be copied by who changes anything."""
    return valves(tmp_path_factory.mktemp("factory") / "valves")


@pytest.fixture(scope="session")
def live(factory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A running service with two workers. Only to be asked."""
    with serving(copied(factory, tmp_path_factory.mktemp("live") / "valves")) as live:
        yield live


@pytest.fixture(scope="session")
def stated(factory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The factory, with who may overrule what. To be copied by who changes anything."""
    return with_authority(factory, tmp_path_factory.mktemp("stated") / "valves")


@pytest.fixture(params=["sqlite", "postgresql"])
def counter(request: pytest.FixtureRequest, stated: Path, tmp_path: Path) -> Iterator[Counter]:
    """A gate of the test's own, with a database of its own on either server."""
    yield from counter_over(request.param, copied(stated, tmp_path / "valves"))


@pytest.fixture
def score_log(site: Site) -> Iterator[ScoreLog]:
    """That of the fixture `site`, which the module that asks has."""
    score_log = ScoreLog(site.database_url, spill=site.state_dir / "serving" / "unlogged")
    score_log.start()
    yield score_log
    score_log.close()
