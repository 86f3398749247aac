"""Clients made of plain sockets, and what they get to hear."""

import array
import fcntl
import socket
import struct
import termios
from dataclasses import dataclass

from tests.e2e.balancer import Address
from tests.e2e.waiting import until
from tests.sni.hellos import hello, server_name

TIMEOUT = 20.0
"""Seconds that a socket of a test waits at the most."""

NAME = b"app.example.com"
HELLO = hello(server_name(NAME)).wire()
"""A small hello for `NAME`."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Everything that a peer sent, and whether a reset followed instead of an end."""

    data: bytes
    reset: bool = False


def alert(description: int) -> Heard:
    """A fatal TLS alert and the end."""
    return Heard(bytes([0x15, 3, 3, 0, 2, 2, description]))


SILENT = Heard(b"")
"""The end, without a word."""


def connect(address: Address, source: str = "") -> socket.socket:
    """A connected client, from a source address if one is given."""
    sock = socket.create_connection(address, TIMEOUT, (source, 0) if source else None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def hear(sock: socket.socket) -> Heard:
    """Reads to the end or to a reset."""
    data = bytearray()
    try:
        while part := sock.recv(262_144):
            data += part
    except ConnectionResetError:
        return Heard(bytes(data), reset=True)
    return Heard(bytes(data))


def to_the_end(sock: socket.socket) -> bytes:
    """Reads to the end of file.

    Raises:
        ConnectionResetError: A reset came first.
    """
    data = bytearray()
    while part := sock.recv(262_144):
        data += part
    return bytes(data)


def exactly(sock: socket.socket, size: int) -> bytes:
    """Reads so many bytes and no more."""
    data = bytearray()
    while len(data) < size:
        part = sock.recv(min(size - len(data), 262_144))
        assert part, f"the end after {len(data)} of {size} bytes"
        data += part
    return bytes(data)


def say(address: Address, first: bytes, source: str = "") -> Heard:
    """What a client hears that sends these bytes and waits for the end."""
    with connect(address, source) as sock:
        sock.sendall(first)
        return hear(sock)


def reset(sock: socket.socket) -> None:
    """Closes with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def wait_delivered(sock: socket.socket) -> None:
    """Waits until the other side's kernel has acknowledged all that was sent."""
    until("everything sent is acknowledged", lambda: _unacknowledged(sock) == 0)


def _unacknowledged(sock: socket.socket) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
    return count[0]
