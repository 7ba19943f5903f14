"""A Dockerfile read and, but for what needs an engine, carried out: a stage is a folder with its own environment."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import venv
from dataclasses import dataclass, field
from pathlib import Path

from tests.tree import project_files

ENGINE = ("apt-get", "useradd", "install", "rm")
"""Commands that only make sense inside an image; the others are run."""


@dataclass
class Stage:
    """What a stage comes to. `root` stands for /, the environment for the image's Python."""

    image: str
    root: Path
    workdir: str = "/"
    env: dict[str, str] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)
    """ENTRYPOINT, CMD, USER, VOLUME, EXPOSE, HEALTHCHECK: the last one, as words."""
    only_in_an_image: list[list[str]] = field(default_factory=list)

    @property
    def bin(self) -> Path:
        return self.root / "python" / "bin"

    def place(self, path: str) -> Path:
        return self.root / str(Path(self.workdir, path)).lstrip("/")

    def environ(self) -> dict[str, str]:
        """Of a command in the stage: nothing of the project's own environment."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        return {**ours, **self.env, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}


def instructions(text: str) -> list[tuple[str, str]]:
    """(KEYWORD, rest) each, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in joined.splitlines()]


def allowed(ignored: str) -> list[str]:
    """What a .dockerignore that forbids all lets through. AssertionError for one of another kind."""
    lines = [line for line in ignored.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*", "the .dockerignore must forbid all before it allows something"
    return [line[1:] for line in lines if line.startswith("!")]


def carried_out(text: str, *, context: Path, folder: Path) -> list[Stage]:
    """The stages, one after the other. AssertionError for a step that fails, and for one that is not known here."""
    stages: list[Stage] = []
    names: dict[str, Stage] = {}
    for keyword, rest in instructions(text):
        if keyword == "FROM":
            image, _, name = rest.partition(" AS ")
            stages.append(Stage(image, folder / f"stage{len(stages)}"))
            names[name] = stages[-1]
            stages[-1].root.mkdir(parents=True)
        elif keyword == "WORKDIR":
            stages[-1].workdir = rest
            stages[-1].place(".").mkdir(parents=True, exist_ok=True)
        elif keyword == "COPY":
            _copy(stages[-1], rest.split(), names, context)
        elif keyword == "RUN":
            _run(stages[-1], rest)
        elif keyword == "ENV":
            stages[-1].env |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif keyword == "HEALTHCHECK":
            stages[-1].said[keyword] = json.loads(rest[rest.index("CMD") + 3 :])
        elif keyword in ("ENTRYPOINT", "CMD"):
            stages[-1].said[keyword] = json.loads(rest)
        elif keyword in ("USER", "VOLUME", "EXPOSE"):
            stages[-1].said[keyword] = rest.split()
        else:
            raise AssertionError(f"{keyword} {rest}: this reader does not know it")
    return stages


def _copy(stage: Stage, words: list[str], names: dict[str, Stage], context: Path) -> None:
    """As the engine does it: a folder's content, not the folder; from the context only what is allowed there."""
    *sources, target = [word for word in words if not word.startswith("--")]
    origin = next((names[word.removeprefix("--from=")] for word in words if word.startswith("--from=")), None)
    for source in sources:
        if origin is not None:
            shutil.copytree(origin.place(source), stage.place(target), dirs_exist_ok=True)
            continue
        through = allowed((context / ".dockerignore").read_text(encoding="utf-8"))
        assert source.rstrip("/") in through, f"COPY {source}: the .dockerignore keeps it out"
        found = [path for path in project_files() if path == Path(source) or Path(source) in path.parents]
        assert found, f"COPY {source}: no such file"
        for path in found:
            to = stage.place(target) / (path.relative_to(source) if path != Path(source) else path.name)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(context / path, to)


def _run(stage: Stage, script: str) -> None:
    commands = [shlex.split(command) for command in script.split("&&")]
    if commands[0][0] in ENGINE:
        stage.only_in_an_image += commands
        if any("libgomp1" in command for command in commands):
            _provide_libgomp(stage)
        return
    if commands[0][0] == "pip" and not stage.bin.exists():
        venv.create(stage.root / "python", with_pip=True)
    done = subprocess.run(
        ["bash", "-euc", script], cwd=stage.place("."), env=stage.environ(), capture_output=True, text=True
    )
    assert done.returncode == 0, f"RUN {script}: status {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}"


def _provide_libgomp(stage: Stage) -> None:
    """Where the machine has none, the one that the Makefile has provided to the environment of the tests."""
    library = Path(sysconfig.get_path("platlib")) / "libgomp.so.1"
    if library.is_file():
        (packages,) = stage.root.glob("python/lib/python*/site-packages")
        (packages / "libgomp.pth").write_text(f"import ctypes; ctypes.CDLL({str(library)!r})\n", encoding="utf-8")


def python_of(image: str) -> tuple[int, ...]:
    """The Python of an image's name."""
    found = re.fullmatch(r"python:(\d+)\.(\d+)-slim(?:-\w+)?", image)
    assert found, f"{image} is no slim image of one Python version"
    return int(found[1]), int(found[2])
