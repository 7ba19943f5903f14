"""Settings of the whole test run."""

import os

import pytest

LONG = ("test_killed.py", "test_faults.py", "test_schemathesis.py", "test_docs.py")
"""Begun first: the last file of a run has one process to itself, and these take minutes."""


def pytest_configure() -> None:
    """One thread a library: pytest-xdist already fills the cores. Servers the tests start inherit it."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, the others as they stand."""
    items.sort(key=lambda item: item.path.name not in LONG)
