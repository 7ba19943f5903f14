"""A small factory and a service over it, started once for the tests that change nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from features.site import Site
from serving.score_log import ScoreLog
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


@pytest.fixture
def score_log(site: Site) -> Iterator[ScoreLog]:
    """That of the fixture `site`, which the module that asks has."""
    score_log = ScoreLog(site.database_url, spill=site.state_dir / "serving" / "unlogged")
    score_log.start()
    yield score_log
    score_log.close()
