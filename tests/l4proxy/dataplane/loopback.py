"""Real sockets on the loopback, and an engine that a test turns by hand."""

import array
import fcntl
import gc
import socket
import struct
import termios
import time
from collections.abc import Callable
from pathlib import Path

from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.stream import Stream

PATIENCE_SECONDS = 10.0
"""How long a test waits for what must come; nothing is judged by it."""

SMALL_BUFFER = 4_096
"""What a socket that is soon full asks the kernel for."""


class Clock:
    """A clock that stands still until a test moves it; it takes the place of the engine's."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        """The moment."""
        return self.now


class Peer:
    """The far end of a connection: a client or a backend, played by the test."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.heard = b""
        self.ending = ""

    def say(self, data: bytes) -> int:
        """Send what the kernel takes now."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    def finish(self) -> None:
        """End this side's direction."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Reset the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def hear(self) -> None:
        """Read what is there, and whether it ends with `fin` or `reset`."""
        try:
            while not self.ending:
                data = self.sock.recv(65_536)
                self.heard += data
                if not data:
                    self.ending = "fin"
        except BlockingIOError:
            return
        except OSError:
            self.ending = "reset"

    def has_ended(self) -> bool:
        """Read what is there; whether that was all."""
        self.hear()
        return bool(self.ending)

    def heard_all(self, data: bytes, ending: str = "") -> Callable[[], bool]:
        """Return a condition: exactly this was heard, and this ending."""

        def condition() -> bool:
            self.hear()
            return (self.heard, self.ending) == (data, ending)

        return condition


def tcp_pair(*, small: bool = False) -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection; `small`: it holds little of what the first end sends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.socket()
        if small:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        near.connect(server.getsockname())
        far, _ = server.accept()
    return near, far


def tcp_pair_of(
    unconnected: Callable[[int], Stream], *, small: bool = False
) -> tuple[Stream, socket.socket]:
    """The same with a near end that some other module makes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = unconnected(socket.AF_INET)
        if small:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        near.connect_ex(server.getsockname())
        far, _ = server.accept()
    return near, far


def settle(engine: Engine, until: Callable[[], bool]) -> None:
    """Turn the engine until something holds."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < limit, "it never came"
        engine.turn(0.001)


def quiet(engine: Engine, turns: int = 8) -> None:
    """Turn the engine until all that was on its way has surely been served."""
    for _ in range(turns):
        engine.turn(0.001)


def undelivered(sock: Stream) -> int:
    """Bytes that the other kernel has not acknowledged, the end of file counted as one."""
    count = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
    return count[0]


def open_descriptors() -> int:
    """How many descriptors this process has, without those that only the collector closes."""
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
