"""The documents run: every ```console block of README.md and docs/*.md, in order, one shell a document.

A line that begins with `$ ` is a command, `> ` continues it, anything else is what it prints and is not compared. The
shell starts in an empty folder and stops at the first command that fails. A block that cannot run here has the line
`<!-- not run: reason -->` before it. Shell blocks of another kind would escape the test, so there are none.

Port 8000, which a service has in the documents, is a free one here; and curl fails where the answer is a problem.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tree import ROOT, project_files

MINUTES = 10
NOT_RUN = re.compile(r"<!-- not run: \S.* -->$")
FENCE = re.compile(r"```(\w*)")
# Asked each second until none runs: bash loses a signal that comes to its child between fork and exec while a trap on
# EXIT stands (seen under strace), and a document may end right after the command that starts one.
END_WHAT_RUNS = "while kill $(jobs -pr) 2>/dev/null; do sleep 1; done; wait"


@dataclass(frozen=True)
class Block:
    kind: str
    lines: tuple[str, ...]
    before: str

    @property
    def is_run(self) -> bool:
        return self.kind == "console" and not NOT_RUN.match(self.before)

    @property
    def commands(self) -> list[str]:
        return [line[2:] for line in self.lines if line.startswith(("$ ", "> "))]


def blocks(document: str) -> list[Block]:
    """The fenced blocks, each with the last line that is not blank before it."""
    found, lines, before, kind = [], [], "", None
    for line in document.splitlines():
        fence = FENCE.match(line)
        if kind is None and fence:
            kind, lines = fence[1], []
        elif kind is not None and line == "```":
            found.append(Block(kind, tuple(lines), before))
            kind, before = None, ""
        elif kind is not None:
            lines.append(line)
        elif line.strip():
            before = line.strip()
    assert kind is None, f"a ```{kind} block is not closed"
    return found


def run(document: str, folder: Path) -> None:
    """Runs what the document says is run; raises AssertionError with the shell's trace when a command fails."""
    commands = [command for block in blocks(document) if block.is_run for command in block.commands]
    commands = [re.sub(r"\b8000\b", str(free_port()), "\n".join(commands))]
    if "curl" in commands[0] and shutil.which("curl") is None:
        pytest.skip("the document calls curl, which is not installed")
    script = "\n".join([f"trap '{END_WHAT_RUNS}' EXIT", "set -xeuo pipefail", *commands])
    settings = folder.with_name(f"{folder.name}-curl")
    settings.mkdir()
    (settings / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n", encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    output = folder.with_name(f"{folder.name}.log")
    with output.open("w") as log:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env={**os.environ, "PATH": path, "CURL_HOME": str(settings), "no_proxy": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = shell.wait(timeout=60 * MINUTES)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
            status = -1
    assert status == 0, f"status {status}:\n" + "\n".join(output.read_text().splitlines()[-40:])


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def documents() -> list[Path]:
    return [path for path in project_files() if path == Path("README.md") or path.match("docs/*.md")]


def written(path: Path) -> str:
    return (ROOT / path).read_text("utf-8")


@pytest.mark.parametrize("path", documents(), ids=str)
def test_the_document_runs(path: Path, tmp_path: Path) -> None:
    run(written(path), tmp_path)


@pytest.mark.parametrize("path", documents(), ids=str)
def test_every_shell_block_is_a_console_block_with_commands(path: Path) -> None:
    found = blocks(written(path))
    assert [block for block in found if block.kind in ("", "sh", "bash", "shell", "zsh")] == []
    assert [block for block in found if block.kind == "console" and not block.commands] == []


CONSOLE = "Text.\n\n```console\n{}\n```\n"


@pytest.mark.parametrize(
    "bad", ["$ false", "$ false\n$ true", "$ lotrisk-misspelt", "$ false | true", "$ echo $NEVER_SET"]
)
def test_a_failing_command_is_caught(bad: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"status \d+"):
        run(CONSOLE.format("$ true") + CONSOLE.format(bad), tmp_path)


def test_blocks_share_a_folder_and_a_shell_and_output_is_not_a_command(tmp_path: Path) -> None:
    first = CONSOLE.format("$ HERE=1\n$ cat > lots.txt <<EOF\n> L1\n> EOF\nfalse")
    run(first + CONSOLE.format('$ test "$HERE$(cat lots.txt)" = 1L1'), tmp_path)


def test_a_block_with_a_reason_is_not_run(tmp_path: Path) -> None:
    run("<!-- not run: it needs a display -->\n" + CONSOLE.format("$ false").removeprefix("Text.\n"), tmp_path)


def test_a_reason_covers_one_block_only(tmp_path: Path) -> None:
    document = "<!-- not run: it needs a display -->\n```console\n$ true\n```\n\n```console\n$ false\n```\n"
    with pytest.raises(AssertionError, match=r"status 1"):
        run(document, tmp_path)


def test_a_marker_without_a_reason_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"status 1"):
        run("<!-- not run: -->\n```console\n$ false\n```\n", tmp_path)


def test_what_a_document_leaves_running_is_ended(tmp_path: Path) -> None:
    run(CONSOLE.format("$ sleep 600 &\n$ echo $! > pid"), tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


LOSES_THE_FIRST_SIGNAL = """
$ bash -c 'trap "trap - TERM" TERM; touch ready; while true; do sleep 0.1; done' &
$ until test -e ready; do sleep 0.1; done
$ echo $! > pid
""".strip()


def test_what_loses_the_first_signal_is_ended_by_a_later_one(tmp_path: Path) -> None:
    run(CONSOLE.format(LOSES_THE_FIRST_SIGNAL), tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


SERVED = """
$ python -m http.server 8000 --bind 127.0.0.1 &
$ curl --retry 60 --retry-delay 1 --retry-connrefused http://127.0.0.1:8000/
$ curl http://127.0.0.1:8000/{}
""".strip()


def test_a_call_that_is_answered_with_a_problem_is_caught(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "there").write_text("")
    run(CONSOLE.format(SERVED.format("there")), tmp_path / "good")
    (tmp_path / "bad").mkdir()
    with pytest.raises(AssertionError, match=r"status 22"):
        run(CONSOLE.format(SERVED.format("misspelt")), tmp_path / "bad")


def test_a_block_left_open_is_caught() -> None:
    with pytest.raises(AssertionError, match="not closed"):
        blocks("```console\n$ true\n")
