"""A stream that coroutines read and write: a socket that does not block, with TLS or without.

TLS runs on the socket itself, not over buffers in between: a byte is copied once less, one half can
be closed, and OpenSSL's own connection can be had, which the exporter needs.
"""

import asyncio
import socket
import ssl
import struct
from typing import Final

from l4proxy.agent.libssl import send_close_notify

CHUNK_BYTES: Final = 64 * 1024
"""Bytes that are read at once: four records of TLS."""

_ABORT = struct.pack("ii", 1, 0)


class Stream:
    """One end of a connection; whoever makes it closes it."""

    def __init__(self, sock: socket.socket) -> None:
        """Use a connected socket that does not block; an `SSLSocket` speaks TLS."""
        self.socket = sock
        self._loop = asyncio.get_running_loop()
        self._descriptor = sock.fileno()
        self._readers: list[asyncio.Future[None]] = []
        self._writers: list[asyncio.Future[None]] = []

    async def handshake(self) -> None:
        """Do the handshake of TLS.

        Raises:
            OSError: The peer does not.

        """
        assert isinstance(self.socket, ssl.SSLSocket)  # noqa: S101 - only TLS has a handshake
        while True:
            try:
                self.socket.do_handshake()
            except ssl.SSLWantReadError:
                await self._readable()
            except ssl.SSLWantWriteError:
                await self._writable()
            else:
                return

    async def read(self, most: int = CHUNK_BYTES) -> bytes:
        """Return what there is, at least a byte; nothing: the peer has ended its half.

        Raises:
            OSError: The connection is broken, or its end was cut off.

        """
        while True:
            try:
                return self.socket.recv(most)
            except ssl.SSLZeroReturnError:
                # The peer's end, which Python returns as nothing only before our own.
                return b""
            except (BlockingIOError, ssl.SSLWantReadError):
                await self._readable()
            except ssl.SSLWantWriteError:
                await self._writable()

    async def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            OSError: The connection is broken.

        """
        left = memoryview(data)
        while left:
            try:
                left = left[self.socket.send(left) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                await self._writable()
            except ssl.SSLWantReadError:
                await self._readable()

    async def end(self) -> None:
        """End this half; the peer may go on with its own.

        Raises:
            OSError: The connection is broken.

        """
        if not isinstance(self.socket, ssl.SSLSocket):
            self.socket.shutdown(socket.SHUT_WR)
            return
        while not send_close_notify(self.socket):
            await self._writable()

    def close(self, *, abort: bool = False) -> None:
        """Close it, with a reset if the peer must not take this for an end."""
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        if abort and self.socket.family in {socket.AF_INET, socket.AF_INET6}:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self.socket.close()

    async def _readable(self) -> None:
        if not self._readers:
            self._loop.add_reader(self._descriptor, self._wake_readers)
        await self._wait(self._readers)

    async def _writable(self) -> None:
        if not self._writers:
            self._loop.add_writer(self._descriptor, self._wake_writers)
        await self._wait(self._writers)

    async def _wait(self, waiting: list[asyncio.Future[None]]) -> None:
        future = self._loop.create_future()
        waiting.append(future)
        await future

    def _wake_readers(self) -> None:
        self._loop.remove_reader(self._descriptor)
        _wake(self._readers)

    def _wake_writers(self) -> None:
        self._loop.remove_writer(self._descriptor)
        _wake(self._writers)


def _wake(waiting: list[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
    waiting.clear()
