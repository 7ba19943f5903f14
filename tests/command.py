"""The command line, run inside the test: its imports cost seconds only once."""

from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from lotrisk import main


@dataclass(frozen=True)
class Ran:
    """What a command left behind: exit status, standard output and standard error."""

    status: int
    out: str
    err: str


def lotrisk(*arguments: Any, stdin: str | None = None) -> Ran:
    """`lotrisk <arguments>`; a fault that is not one line on standard error is raised."""
    result = CliRunner().invoke(main, [str(one) for one in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def done(*arguments: Any, stdin: str | None = None) -> Ran:
    """The same for a command that has to succeed."""
    ran = lotrisk(*arguments, stdin=stdin)
    assert ran.status == 0, ran.err
    return ran
