"""A connection to a backend that may be hostile: what is read is bounded, what is sent is whole."""

import asyncio
import errno
import os
import socket
from typing import Self

from l4proxy.limits import UNIX_RETRY_SECONDS
from routing import Address

MAX_PROBE_BYTES = 256 * 1024
"""Read from a backend on one line: certificates with evidence inside take tens of KiB."""

GOODBYE_SECONDS = 1.0
"""How long a backend is read from after the outcome stands, and at most to the deadline."""

LOCAL_ERRORS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
)
"""What this machine has run out of: descriptors, memory, ports. It says nothing of a backend."""

_READ_BYTES = 16 * 1024  # one TLS record


class TooLong(Exception):
    """The backend has sent more than anybody reads of it."""


class Line:
    """A socket to a backend, and how much more is read from it.

    As a context manager it closes the socket.
    """

    def __init__(self, address: Address) -> None:
        """Make the socket; nothing is dialled yet.

        Raises:
            OSError: This machine has no socket left.

        """
        self._address = address
        self._sock = socket.socket(_family(address), socket.SOCK_STREAM)
        self._sock.setblocking(False)
        self._left = MAX_PROBE_BYTES

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._sock.close()

    async def connect(self) -> None:
        """Dial.

        Raises:
            OSError: Nobody answers there.

        """
        address = self._address
        if address.is_vsock:
            await self._connect_vsock()
            return
        if not address.is_path:
            place = (address.host, address.port)
            await asyncio.get_running_loop().sock_connect(self._sock, place)
            return
        while True:
            try:
                self._sock.connect(address.host)
            except BlockingIOError:  # its backlog is full, and it tells nobody when there is room
                await asyncio.sleep(UNIX_RETRY_SECONDS)
            else:
                return

    async def _connect_vsock(self) -> None:
        """Dial what uvloop's `sock_connect` cannot: it asks a resolver for all but unix sockets."""
        code = self._sock.connect_ex((self._address.cid, self._address.port))
        if code == errno.EINPROGRESS:
            loop, connected = asyncio.get_running_loop(), asyncio.Event()
            loop.add_writer(self._sock, connected.set)
            try:
                await connected.wait()
            finally:
                loop.remove_writer(self._sock)
            code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    async def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: The backend has gone.

        """
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def receive(self) -> bytes:
        """Return what came next; nothing at the end of the stream.

        Raises:
            OSError: The backend has gone.
            TooLong: It has sent `MAX_PROBE_BYTES`.

        """
        if not self._left:
            raise TooLong
        room = min(self._left, _READ_BYTES)
        data = await asyncio.get_running_loop().sock_recv(self._sock, room)
        self._left -= len(data)
        return data

    async def leave(self) -> None:
        """Say that this was all, and read what still comes, so that closing sends no reset.

        Raises:
            OSError: The backend has gone.

        """
        self._sock.shutdown(socket.SHUT_WR)
        for _ in range(MAX_PROBE_BYTES // _READ_BYTES):
            if not await asyncio.get_running_loop().sock_recv(self._sock, _READ_BYTES):
                return


def _family(address: Address) -> socket.AddressFamily:
    if address.is_vsock:
        return socket.AF_VSOCK
    if address.is_path:
        return socket.AF_UNIX
    return socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
