"""`lotrisk serve`: the socket, the workers behind it, and the keeper beside them; each is started again if it ends."""

import gc
import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import time_ns

from fastapi import FastAPI

from features.errors import SettingsError
from features.site import Site

log = logging.getLogger(__name__)

_AGAIN = 2.0  # seconds before a keeper that ended is started again
_SILENT = 20  # seconds for a worker to say that it lives: so long a killed one can keep the parent from all else
_GRACE = 15  # seconds for requests that run when the service is told to end


def serve(site: Site, *, host: str, port: int, workers: int) -> None:
    """Serves until SIGINT or SIGTERM. SettingsError where the address or the database cannot be used.

    Beyond this machine only with a key: without one whoever reaches the address would read every lot.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from features.database import open_database
    from serving.logs import log_to_stderr
    from serving.metrics import count_together

    log_to_stderr()
    _check_keys(site, host)
    config = uvicorn.Config(
        partial(worker_app, site.folder, workers),
        factory=True,
        host=host,
        port=port,
        workers=workers,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_worker_healthcheck=_SILENT,
    )
    open_database(site.database_url).dispose()  # does not connect: it may come later, but not if it is none
    quiet = logging.getLogger("uvicorn.error")
    quiet.addFilter(_no_error)  # uvicorn would say in a line of its own what is said below
    try:
        socket = config.bind_socket()
    except SystemExit:
        raise SettingsError(
            f"{host}:{port} cannot be listened on: another program may hold the port, or this machine lacks the address"
        ) from None
    finally:
        quiet.removeFilter(_no_error)
    with tempfile.TemporaryDirectory(prefix="lotrisk-metrics-") as counted, socket:
        count_together(Path(counted))
        with _keeper(site.folder):
            Multiprocess(config, sockets=[socket]).run()


def _check_keys(site: Site, host: str) -> None:
    from serving.answering import is_loopback
    from serving.known_keys import check_keys_there, usable_keys

    check_keys_there(site)
    if not is_loopback(host) and not usable_keys(site, time_ns() // 1000):
        raise SettingsError(
            f"--host {host}: others than this machine would reach the service, and no key holds; make one first: "
            f"lotrisk keys create {site.folder} --role admin --name NAME"
        )


def _no_error(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR


def worker_app(folder: Path, workers: int) -> FastAPI:
    """The app, in the process of one of so many workers."""
    from serving.app import create_app
    from serving.logs import log_to_stderr

    log_to_stderr()
    return create_app(folder, workers=workers, loaded=_settle)


def _settle() -> None:
    """What is there by now stays: the collector would look through all of it once in 2,000 decisions, for 0.2 s."""
    gc.collect()
    gc.freeze()


@contextmanager
def _keeper(folder: Path) -> Iterator[None]:
    """A keeper while the body runs."""
    from serving.keeper import keep

    ending = threading.Event()
    context = get_context("spawn")
    process = context.Process(target=keep, args=(folder,), name="keeper")
    process.start()

    def watch() -> None:
        nonlocal process
        while not ending.is_set():
            process.join(0.5)
            if process.exitcode is not None and not ending.is_set():
                log.error("the keeper ended with %s; starting it again", process.exitcode)
                ending.wait(_AGAIN)
                process = context.Process(target=keep, args=(folder,), name="keeper")
                process.start()

    watching = threading.Thread(target=watch, name="keeper's watch", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ending.set()
        watching.join()
        process.terminate()
        process.join(_GRACE)
        if process.exitcode is None:
            process.kill()
