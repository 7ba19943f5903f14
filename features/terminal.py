"""What the command line reads and shows beside its tables."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from features.errors import LotRiskError, SettingsError

SITE = click.argument("site", type=click.Path(path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
PLAIN_WIDTH = 130  # of tables where there is no terminal to ask
EXTRAS = "train (train, backtest, demo), serve (serve, models, promote, challenge, rollback) or monitor (monitor)"


class OneLineFaults(click.Group):
    """Faults end in one line on standard error and exit status 2."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError:  # whoever read along has stopped; click ends quietly
            raise
        except (LotRiskError, OSError) as fault:
            told = str(fault)
        except ModuleNotFoundError as fault:
            if (fault.name or "").split(".")[0] in ("", "features", "training", "serving"):
                raise
            told = f"{fault.name} is not installed here; install lot-risk with the extra of this job: {EXTRAS}"
        except click.UsageError as fault:
            command = fault.ctx.command_path if fault.ctx is not None else context.command_path
            told = f"{fault.format_message()} `{command} --help` says more."
        click.echo(f"lotrisk: {' '.join(told.split())}", err=True)
        return context.exit(2)


def console(*, stderr: bool = False) -> Console:
    """Where tables are shown; wide enough for them where nobody looks at a terminal."""
    shown = Console(stderr=stderr)
    return shown if shown.is_terminal else Console(stderr=stderr, width=PLAIN_WIDTH)


def lot_ids(source: str) -> list[str]:
    """One lot_id a line of a file or, for "-", standard input; duplicates once, in order."""
    if source == "-":
        text = sys.stdin.read()
    else:
        try:
            text = Path(source).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"--lots {source}: cannot be read ({error}); give a text file, one lot_id a line"
            ) from None
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def result(as_json: bool, facts: dict[str, Any]) -> None:
    """What a job did, for people or as JSON."""
    if as_json:
        print_json(facts)
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in facts.items()))


def print_json(value: Any) -> None:
    """A result for machines, on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Shows (what, done, of) on standard error: bars on a terminal, elsewhere nothing."""
    shown = console(stderr=True)
    if not shown.is_terminal:
        yield lambda *_: None
        return
    with Progress(console=shown, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def bar(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done - 1, total=of)

        yield bar
