"""Who acts, where it is no caller over HTTP."""

import os
import pwd

REGISTRY = "registry"
"""Of what is followed from a registry elsewhere."""


def at_terminal() -> str:
    """The user of a command, as the operating system knows it; an environment variable cannot say another."""
    number = os.getuid()
    try:
        return f"command:{pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"command:uid {number}"
