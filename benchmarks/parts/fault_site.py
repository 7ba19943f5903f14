"""A small factory to break: a table in a database of its own, three versions of a model, and the service over it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import time_ns
from typing import Any

import httpx
import pandas as pd
import sqlalchemy as sa
from service_process import free_port

from features.asof import DAY
from features.reading import read_histories
from features.site import Site, read_site
from tests.serving.fitted import fit, other_version
from tests.serving.live import Live, eventually
from tests.serving.unsteady import Line, postgres_schema
from training.factory import make_factory

LOTS = 400
ASKED = 60  # of them, again and again
SOURCE = "dispositions"  # the table that comes from a database
SETTINGS = """
[serving]
refresh_every = "2s"
rescore_every = "1h"
stale_after = "1000d"

[gate]
calibrated_for = "1000d"

[databases]
mes = "{mes}"

[tables.{table}]
database = "mes"
query = "select * from {table}"
"""


class Registry:
    """MLflow's server of its own, over a folder; the keeper asks it every half minute."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Returns when it answers."""
        self._folder.mkdir(exist_ok=True)
        store = ["--backend-store-uri", f"sqlite:///{self._folder / 'mlflow.db'}"]
        command = [sys.executable, "-m", "mlflow", "server", *store, "--port", str(self._port), "--workers", "1"]
        found = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # uvicorn, by name
        with (self._folder / "server.log").open("ab") as told:
            self._process = subprocess.Popen(
                command, env=os.environ | {"PATH": found}, stdout=told, stderr=told, start_new_session=True
            )
        eventually(self._answers, f"{self.url} answers; see {told.name}", seconds=90)

    def kill(self) -> None:
        """It and the processes that it has started, at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


@dataclass
class Place:
    """What is served, and the ends by which it is broken. `line`: to the service's own database, `mes`: to the source;
    None: they are SQLite files."""

    folder: Path
    site: Site
    engine: sa.Engine
    lots: list[str]
    record: dict[str, Any]
    as_of: int
    line: Line | None = None
    mes: Line | None = None
    live: Live | None = None
    registry: Registry | None = None
    versions: list[str] = field(default_factory=lambda: ["1"])
    """That have been champion."""

    @property
    def running(self) -> Live:
        if self.live is None:
            raise SystemExit("nothing is served")
        return self.live

    @property
    def registered(self) -> Registry:
        if self.registry is None:
            raise SystemExit("there is no server of a registry")
        return self.registry

    @property
    def database(self) -> Path:
        """The file, of SQLite."""
        return Path(str(self.engine.url.database))

    @property
    def source(self) -> Path:
        """The file of the source database, of SQLite."""
        return self.folder / "mes.db"


@contextmanager
def made_place(folder: Path, *, database: str) -> Iterator[Place]:
    """Makes the factory and its versions; `database`: sqlite or postgresql, for the service and for the source."""
    with ExitStack() as stack:
        make_factory(folder, seed=0, today=datetime.now(UTC).date(), lots=LOTS)
        toml, line, mes = folder / "lotrisk.toml", None, None
        own, source = f"sqlite:///{folder / '.lotrisk' / 'lotrisk.db'}", f"sqlite:///{folder / 'mes.db'}"
        if database == "postgresql":
            own, source = (stack.enter_context(postgres_schema()) for _ in range(2))
            line, mes = _line(stack), _line(stack)
        table = pd.read_csv(folder / "data" / f"{SOURCE}.csv", dtype=str, keep_default_na=False).replace("", None)
        engine = sa.create_engine(source)
        table.to_sql(SOURCE, engine, index=False)
        engine.dispose()
        (folder / "data" / f"{SOURCE}.csv").unlink()
        told = toml.read_text(encoding="utf-8")
        through = own if line is None else line.through(own)
        told = told.replace('data = "data"\n', f'data = "data"\ndatabase = "{through}"\n')
        seen = source if mes is None else mes.through(source)
        toml.write_text(told + SETTINGS.format(mes=seen, table=SOURCE), encoding="utf-8")
        now = time_ns() // 1000
        fit(folder, until=now - 200 * DAY)
        other_version(folder, "1", "2")
        other_version(folder, "1", "3")
        site = read_site(folder, {})
        texts = list(read_histories(site, now=now).histories.ids["lot"].texts)
        direct = sa.create_engine(sa.make_url(own).set(drivername=_driver(own)))
        stack.callback(direct.dispose)
        yield Place(folder, site, direct, texts[-ASKED:], _record(site, texts[-30]), now - DAY, line, mes)


def _driver(url: str) -> str:
    return "sqlite" if url.startswith("sqlite") else "postgresql+psycopg"


def _line(stack: ExitStack) -> Line:
    line = Line().connect()
    stack.callback(line.cut)
    return line


def _record(site: Site, lot_id: str) -> dict[str, Any]:
    """A whole record, with the rows of a known lot."""
    data = site.folder / "data"
    lots = pd.read_parquet(data / "lots.parquet")
    told = {"lot": json.loads(lots[lots.lot_id == lot_id].iloc[0].to_json(date_format="iso"))}
    told["lot"] = {k: v for k, v in told["lot"].items() if v is not None and k != "shipped_at"}
    for name in ("measurements", "genealogy"):
        rows = pd.read_parquet(data / f"{name}.parquet")
        rows = rows[rows.lot_id == lot_id].drop(columns="lot_id")
        kept = json.loads(rows.to_json(orient="records", date_format="iso"))
        told[name] = [{k: v for k, v in row.items() if v is not None} for row in kept]
    return told


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[bool]:
    """Mounts a small tmpfs over the folder, which is emptied by it; False where this user may not."""
    folder.mkdir(parents=True, exist_ok=True)
    size = f"size={megabytes}m"
    mount = shutil.which("mount")
    done = mount is not None and subprocess.run(
        [mount, "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], capture_output=True, check=False
    )
    mounted = bool(done) and done.returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def replaced(source: Path, text: str) -> Callable[[], None]:
    """Puts rubbish in a file's place; what is returned puts the file back."""
    before = source.read_bytes()
    source.write_text(text, encoding="utf-8")
    return lambda: _written(source, before)


def _written(path: Path, what: bytes) -> None:
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(what)
    beside.replace(path)
