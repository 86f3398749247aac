"""A proved connection as asyncio has them: a transport, with both halves and honest ends.

asyncio's own TLS takes a connection that was cut off for one that has ended, and cannot end one
half alone; this does neither.
"""

import asyncio
import contextlib
from typing import Final

from l4proxy.client.connection import Connection

MAX_WRITE_BYTES: Final = 64 * 1024
"""Bytes that wait to be written before the protocol is asked to pause: asyncio's own measure."""


class ProvedTransport(asyncio.Transport):
    """A transport over a proved connection; `run` moves its bytes, and closes it.

    Attributes:
        account: What is known of the connection.

    """

    def __init__(self, connection: Connection, protocol: asyncio.Protocol) -> None:
        """Introduce itself to the protocol; nothing is read before `run`."""
        stream = connection.stream
        known: dict[str, object] = {"account": connection.account, "socket": stream.socket}
        with contextlib.suppress(OSError):
            # A peer that has gone meanwhile has no name, and whoever reads hears of its end.
            known["sockname"] = stream.socket.getsockname()
            known["peername"] = stream.socket.getpeername()
        super().__init__(known)
        self.account = connection.account
        self._connection = connection
        self._stream = stream
        self._protocol: asyncio.Protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._something = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._paused = self._ending = self._closing = self._finished = False
        self._task: asyncio.Task[None] | None = None
        protocol.connection_made(self)

    async def run(self) -> None:
        """Move bytes until it is closed; the protocol hears why it has ended."""
        self._task = asyncio.current_task()
        error: Exception | None = None
        whole = False
        try:
            async with asyncio.TaskGroup() as both:
                reading = both.create_task(self._read())
                await self._write()
                reading.cancel()
            whole = True
        except* Exception as found:  # noqa: BLE001 - one protocol's mistake ends one connection
            error = _first(found)
        finally:
            self.finish(error, whole=whole)

    def finish(self, error: Exception | None = None, *, whole: bool = False) -> None:
        """Close it now and tell the protocol, if that is not done yet.

        Args:
            error: What has broken it.
            whole: Whether all that was said has gone out, so that it ends in good order.

        """
        if self._finished:
            return
        self._finished = self._closing = True
        self._connection.close(abort=not whole)
        self._loop.call_soon(self._protocol.connection_lost, error)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who is told what comes."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell somebody else from now on."""
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError("found a protocol of another form, expected asyncio.Protocol")
        self._protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of it, by and by; what comes after the end is dropped."""
        if self._closing or self._ending:
            return
        self._waiting += data
        self._something.set()
        if len(self._waiting) > MAX_WRITE_BYTES and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be written."""
        return len(self._waiting)

    def can_write_eof(self) -> bool:
        """Return that one half can be ended alone."""
        return True

    def write_eof(self) -> None:
        """End this half behind what waits; reading goes on."""
        self._ending = True
        self._something.set()

    def close(self) -> None:
        """Close it behind what waits."""
        self._closing = True
        self._something.set()

    def is_closing(self) -> bool:
        """Return whether it is closed, or about to be."""
        return self._closing

    def abort(self) -> None:
        """Close it at once, with a reset."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()

    def pause_reading(self) -> None:
        """Read nothing more, until told otherwise."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Read on."""
        self._may_read.set()

    def is_reading(self) -> bool:
        """Return whether it reads."""
        return self._may_read.is_set() and not self._closing

    async def _read(self) -> None:
        while data := await self._stream.read():
            await self._may_read.wait()
            if self._closing:
                return
            self._protocol.data_received(data)
            if not self._may_read.is_set():
                await self._may_read.wait()
        if not self._protocol.eof_received():
            self.close()

    async def _write(self) -> None:
        ended = False
        while not self._closing:
            await self._something.wait()
            self._something.clear()
            await self._flush()
            if self._ending and not ended:
                await self._stream.end()
                ended = True
        await self._flush()
        if not ended:
            # The peer may have gone, as is its right.
            with contextlib.suppress(OSError):
                await self._stream.end()

    async def _flush(self) -> None:
        while self._waiting:
            data, self._waiting = bytes(self._waiting), bytearray()
            await self._stream.write(data)
            if self._paused and not self._waiting:
                self._paused = False
                self._protocol.resume_writing()


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)  # noqa: S101 - such a group has nothing else
    return error
