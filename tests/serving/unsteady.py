"""Databases of a test's own, and a line to PostgreSQL that can be cut."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest

SERVER = "postgresql://postgres@127.0.0.1:5432/test"


@contextmanager
def postgres_schema() -> Iterator[str]:
    """The URL of a schema that nobody else uses, dropped in the end; a test that asks is skipped without a server."""
    schema = f"t{uuid4().hex}"
    try:
        connection = psycopg.connect(SERVER, autocommit=True)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL answers at 127.0.0.1:5432")
    with connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            yield f"postgresql+psycopg://postgres@127.0.0.1:5432/test?options=-csearch_path%3D{schema}"
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


def until(met: Callable[[], bool], *, seconds: float = 20.0) -> bool:
    """Waits for something that another thread or process does; False when it never came."""
    give_up = time.monotonic() + seconds
    while not met():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


class Line:
    """A TCP line to the PostgreSQL of the tests."""

    def __init__(self) -> None:
        self._open: set[socket.socket] = set()
        self._listening: socket.socket | None = None
        self.port = 0
        self.lose_commits = 0
        """So many commits of rows are carried to the server, and the line breaks before the answer comes back."""
        self.lost = 0

    def through(self, url: str) -> str:
        return url.replace(":5432/", f":{self.port}/")

    def connect(self) -> "Line":
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen()
        self.port = listening.getsockname()[1]
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
        return self

    def cut(self) -> None:
        """Nobody answers at the port any more, and what was connected is not."""
        if self._listening is not None:
            self._hang_up(self._listening)
        for end in list(self._open):
            self._hang_up(end)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", 5432))
            for end in (client, server):  # else each small message waits 40 ms for the one before to be acknowledged
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open |= {client, server}
            for ends in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, asks: bool) -> None:
        wrote = False
        with contextlib.suppress(OSError):
            while sent := source.recv(65536):
                wrote = wrote or (asks and b"INSERT INTO" in sent)
                if wrote and self.lose_commits and b"COMMIT" in sent:
                    self.lose_commits -= 1
                    self._hang_up(source)
                    sink.sendall(sent)
                    self.lost += 1
                    return  # the answer finds nobody; then the other direction hangs up
                sink.sendall(sent)
        self._hang_up(source)
        self._hang_up(sink)

    def _hang_up(self, end: socket.socket) -> None:
        self._open.discard(end)
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def line() -> Iterator[Line]:
    opened = Line().connect()
    try:
        yield opened
    finally:
        opened.cut()
