"""What is broken, one at a time: each breaks something when it is entered and mends it when it is left."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fault_site import Place, replaced

from features.bundle import read_bundle
from serving.published import read_published
from tests.serving.fitted import promote

Breaking = Callable[[Place], AbstractContextManager[None]]
Well = Callable[[Place], bool]


@dataclass(frozen=True)
class Kind:
    """`well`: whether all is as it should be again, beside readiness; `lasts`: seconds, 0: as long as is asked for."""

    name: str
    breaking: Breaking
    well: Well = lambda _: True
    lasts: float = 0.0
    service: str = ""
    """Which service it is done to: one of its own where it is started otherwise."""
    at_once: bool = False
    """Nothing has to be mended: what was done is over, and the time until all is well counts from it."""


@contextmanager
def nothing(_: Place) -> Iterator[None]:
    """The same load with no fault."""
    yield


@contextmanager
def registry_gone(place: Place) -> Iterator[None]:
    """MLflow's server is killed, and started again; the keeper has to have missed it."""
    place.registered.kill()
    yield
    if nothing_published_as_failing(place):
        raise SystemExit("nobody asked the registry while it was gone")
    place.registered.start()


@contextmanager
def source_gone(place: Place) -> Iterator[None]:
    if place.mes is not None:
        place.mes.cut()
        yield
        place.mes.connect()
        return
    away = place.source.rename(place.folder / "away.db")
    yield
    away.replace(place.source)


@contextmanager
def database_gone(place: Place) -> Iterator[None]:
    if place.line is not None:
        place.line.cut()
        yield
        place.line.connect()
        return
    away = place.database.rename(place.database.with_name("away.db"))
    yield
    away.rename(place.database)


@contextmanager
def database_gone_and_killed(place: Place) -> Iterator[None]:
    """Nobody who starts meanwhile may make a database of its own."""
    with database_gone(place):
        live = place.running
        for pid in (live.workers()[0], *live.keepers()):
            os.kill(pid, signal.SIGKILL)
        yield


@contextmanager
def disk_full(place: Place) -> Iterator[None]:
    """On a small disk: a file takes all that is left. Where none could be mounted: no process may let a file grow."""
    if os.path.ismount(place.folder):
        with filled(place.folder / "filling"):
            yield
        return
    import resource

    pids = [place.running.process.pid, *place.running.children()]
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    yield
    for pid in pids:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def filled(file: Path) -> Iterator[None]:
    with file.open("wb", buffering=0) as out, suppress(OSError):
        while True:
            out.write(bytes(4096))
    yield
    file.unlink()


@contextmanager
def half_written_bundle(place: Place) -> Iterator[None]:
    """Promoted to a version whose files are cut; then they are there whole."""
    folder = place.site.state_dir / "bundles" / "3"
    whole = folder.with_name("whole")
    shutil.copytree(folder, whole)
    for name in ("model.txt", "reference.parquet"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])
    promote(place.folder, "3")
    yield
    for file in whole.iterdir():
        shutil.copy(file, folder / f".{file.name}")
        (folder / f".{file.name}").replace(folder / file.name)
    shutil.rmtree(whole)
    read_bundle(folder)
    place.versions.append("3")


@contextmanager
def refresh_failing(place: Place) -> Iterator[None]:
    mend = replaced(place.folder / "data" / "lots.parquet", "these are no lots")
    yield
    mend()


@contextmanager
def clock_back(place: Place) -> Iterator[None]:
    """Of the service's processes, an hour."""
    told = clock_file(place.folder)
    told.write_text("-3600\n", encoding="utf-8")
    yield
    told.write_text("+0\n", encoding="utf-8")


def clock_file(folder: Path) -> Path:
    """What libfaketime reads."""
    return folder.parent / f"{folder.name}-clock"


@contextmanager
def worker_killed(place: Place) -> Iterator[None]:
    os.kill(place.running.workers()[0], signal.SIGKILL)
    yield


@contextmanager
def keeper_killed(place: Place) -> Iterator[None]:
    os.kill(place.running.keepers()[0], signal.SIGKILL)
    yield


@contextmanager
def promoted(place: Place) -> Iterator[None]:
    other = "1" if place.versions[-1] == "2" else "2"
    place.versions.append(other)
    promote(place.folder, other)
    yield


def two_workers_and_a_keeper(place: Place) -> bool:
    live = place.running
    return len(live.workers()) == 2 and len(live.keepers()) == 1


def nothing_published_as_failing(place: Place) -> bool:
    return read_published(place.site.state_dir).fault == ""


def follows(place: Place) -> bool:
    """Whether some answers in a row are of the version that was promoted last."""
    lots = place.lots[:1]
    said = [place.running.score(lots)["model_version"] for _ in range(6)]
    return set(said) == {place.versions[-1]}


KINDS = (
    Kind("none", nothing, at_once=True),
    Kind("registry gone", registry_gone, nothing_published_as_failing, lasts=45.0, service="registry"),
    Kind("source database gone", source_gone, nothing_published_as_failing),
    Kind("own database gone", database_gone, nothing_published_as_failing, lasts=60.0),
    Kind("database gone, killed", database_gone_and_killed, two_workers_and_a_keeper, lasts=15.0),
    Kind("half-written bundle", half_written_bundle, follows),
    Kind("refresh failing", refresh_failing, nothing_published_as_failing),
    Kind("worker killed", worker_killed, two_workers_and_a_keeper, at_once=True),
    Kind("keeper killed", keeper_killed, two_workers_and_a_keeper, at_once=True),
    Kind("promotion", promoted, follows, at_once=True),
    Kind("disk full", disk_full, nothing_published_as_failing, service="small disk"),
    Kind("clock stepping back", clock_back, service="faketime"),
)
