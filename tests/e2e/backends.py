"""Backends made of plain sockets: each does what a test says to every connection it accepts."""

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from tests.e2e.sockets import TIMEOUT, to_the_end
from tests.ports import free_port

Serve = Callable[[socket.socket], None]
"""What a backend does with a connection, which is closed when this returns."""


class Backend:
    """A listening socket whose connections are served by a thread each.

    Attributes:
        address: As the configuration writes it.
        accepted: Connections accepted so far.
    """

    def __init__(self, serve: Serve, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listens; serves from the beginning of the `with` block to its end.

        Its port stays unused after it, as tests expect of a backend that has gone.
        """
        port = port or free_port(host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = socket.create_server((host, port), family=family, backlog=1024)
        self.port = port
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.accepted = 0
        self._serve = serve
        self._open: set[socket.socket] = set()
        self._failures: list[Exception] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._servants: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Begins to accept."""
        self._acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cuts what is open and waits for every thread; a failed one fails the test."""
        _cut(self._sock)
        self._acceptor.join(TIMEOUT)
        self._sock.close()
        self._dismiss()
        if error is None:
            self._tell()

    @contextmanager
    def serving(self, serve: Serve) -> Iterator[Self]:
        """Serves otherwise in this block; at its end its connections are cut."""
        usual, self._serve = self._serve, serve
        try:
            yield self
        finally:
            self._serve = usual
            self._dismiss()
        self._tell()

    def _dismiss(self) -> None:
        for sock in list(self._open):
            _cut(sock)
        for thread in self._servants:
            thread.join(TIMEOUT)
            assert not thread.is_alive(), "a backend that does not end"
        self._servants.clear()

    def _tell(self) -> None:
        if self._failures:
            raise self._failures.pop()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            self.accepted += 1
            self._open.add(sock)
            sock.settimeout(TIMEOUT)
            servant = threading.Thread(target=self._attend, args=[sock, self._serve], daemon=True)
            self._servants.append(servant)
            servant.start()

    def _attend(self, sock: socket.socket, serve: Serve) -> None:
        try:
            with sock:
                serve(sock)
        except OSError:
            pass  # the other side's choice, which tests judge by what they see there
        except Exception as error:  # noqa: BLE001 - told at the end of the block
            self._failures.append(error)
        finally:
            self._open.discard(sock)


class Recorder:
    """Answers its name at the first byte and keeps what each connection has brought.

    Attributes:
        received: Everything that a connection brought, in the order of their ends.
    """

    def __init__(self, name: bytes) -> None:
        """Answers `name`."""
        self._name = name
        self.received: queue.Queue[bytes] = queue.Queue()

    def __call__(self, sock: socket.socket) -> None:
        """Serves one connection."""
        first = sock.recv(65_536)
        sock.sendall(self._name)
        self.received.put(first + to_the_end(sock))

    def take(self) -> bytes:
        """The bytes of the oldest connection nobody has asked for yet."""
        return self.received.get(timeout=TIMEOUT)


def naming(name: bytes) -> Serve:
    """Answers its name to the hello and ends the connection."""

    def serve(sock: socket.socket) -> None:
        if sock.recv(65_536):
            sock.sendall(name)
            sock.shutdown(socket.SHUT_WR)
            to_the_end(sock)

    return serve


def echo(sock: socket.socket) -> None:
    """Sends back whatever comes, the hello included."""
    while data := sock.recv(65_536):
        sock.sendall(data)


def _cut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        sock.close()
