"""TCP connections as the data path holds them: sockets that never block, without their wrapper.

In the pure build they are `_socket.socket`, what Python's own `socket.socket` is made of. The
compiled build has this module from `stream.c` instead: the same names with the same results, with
fewer instructions around each system call, as nobody else's needs are looked after there.
Whoever changes one of the two changes the other: nothing but tests of both finds them apart.
"""

import errno
import socket
from socket import SocketType
from typing import Protocol

from l4proxy.dataplane.addresses import packed

_SEND = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_NEW = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


class Stream(Protocol):
    """A connected socket, or one about to be; a client's, or a backend's.

    Whoever reads or sends asks for it not to wait (`MSG_DONTWAIT`): sockets that the pure build has
    accepted are blocking as the kernel made them, which saves the call that would change it.
    """

    @property
    def family(self) -> int:
        """The address family, such as `socket.AF_INET`."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read at most `bufsize` bytes; none at the end.

        Raises:
            OSError: Nothing is there yet (`BlockingIOError`), or the connection broke.
        """

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0, /) -> int:
        """Read at most `nbytes` (0: as many as fit) into `buffer`; return how many, 0 at the end.

        Raises:
            OSError: Nothing is there yet (`BlockingIOError`), or the connection broke.
        """

    def send(self, data: bytes | memoryview, flags: int = 0, /) -> int:
        """Send what the kernel has room for; return how many bytes.

        Raises:
            OSError: It has none (`BlockingIOError`), or the connection broke.
        """

    def connect_ex(self, address: "tuple[str | int, int] | str", /) -> int:
        """Begin to connect; return the errno, 0 once connected."""

    def getsockname(self) -> tuple[str, int]:
        """Return the own address and port, perhaps with more behind them."""

    def shutdown(self, how: int, /) -> None:
        """End one direction, or both."""

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None:
        """Set an option."""

    def getsockopt(self, level: int, option: int, buflen: int, /) -> bytes:
        """Return an option as at most `buflen` bytes."""

    def fileno(self) -> int:
        """Return the descriptor; -1 once it is closed."""

    def close(self) -> None:
        """Close the descriptor; a second time does nothing."""


class NotTaken(Exception):
    """A sink has not taken all that was read.

    Args:
        received: Bytes that were read into the buffer.
        sent: How many of them the sink has taken.
        code: The errno of the send, EAGAIN where there was no room; it took some: EAGAIN.
    """


def accept(listener: SocketType, /) -> tuple[Stream, bytes, int]:
    """Accept a client of a listening socket; return it with its packed address and its port.

    Raises:
        OSError: Nobody waits (`BlockingIOError`), the client is gone, or there is no room.
    """
    # What socket.accept() calls, without its wrapper object; typeshed does not know it.
    fd, name = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    stream = SocketType(listener.family, socket.SOCK_STREAM, 0, fd)
    return stream, packed(name[0]), name[1]


def unconnected(family: int, /) -> Stream:
    """Return a new stream of an address family that does not wait for anything.

    Raises:
        OSError: There is no descriptor for it.
    """
    return SocketType(family, _NEW, 0)


def copy(source: Stream, sink: Stream, buffer: memoryview, /) -> int:
    """Read what fits into a buffer and send it; return how many bytes, 0 at the end.

    Raises:
        NotTaken: The sink did not take all of them.
        OSError: Nothing is there yet (`BlockingIOError`), or the source broke.
    """
    received = source.recv_into(buffer, 0, socket.MSG_DONTWAIT)
    if received:
        try:
            sent = sink.send(buffer[:received], _SEND)
        except OSError as error:
            raise NotTaken(received, 0, error.errno) from None
        if sent != received:
            raise NotTaken(received, sent, errno.EAGAIN)
    return received
