"""Settings of the whole test run."""

import os


def pytest_configure() -> None:
    """One thread a library: pytest-xdist already fills the cores. Servers the tests start inherit it."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
