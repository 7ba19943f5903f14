"""Every feature group, found by introspection, against the shared checks; each check shown to bite."""

import pytest

from features.build import GROUPS
from tests.features import checks


def named(thing) -> str:
    return thing.__name__.rsplit(".", 1)[-1]


@pytest.mark.parametrize("check", checks.ALL, ids=named)
@pytest.mark.parametrize("group", GROUPS, ids=named)
def test_group(group, check):
    check(group)
