"""A server on a free port of the loopback, whose connections end with it."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable

from routing import Address

_LOOPBACK = "127.0.0.1"
_SETTLE_SECONDS = 0.01

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection; how that ends is no matter for a demo's log."""


class Server:
    """Serves connections from `start` to `stop`, after which nothing of them is left."""

    def __init__(self, handle: Handle, most: int) -> None:
        """Listen nowhere yet.

        Args:
            handle: Serves a connection.
            most: Bytes that a line, or what else is read up to its end, may have.

        """
        self._handle = handle
        self._most = most
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, context: ssl.SSLContext | None = None) -> Address:
        """Listen, and return where.

        Args:
            context: Ends TLS with it; None: there is none.

        """
        self._server = await asyncio.start_server(
            self._serve, _LOOPBACK, 0, ssl=context, limit=self._most
        )
        return Address(_LOOPBACK, self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, and cut what is open."""
        if self._server is None:
            return
        self._server.close()
        # What was accepted a moment ago begins first: nobody could end it afterwards.
        await asyncio.sleep(_SETTLE_SECONDS)
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio makes one for each connection
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        try:
            await self._handle(reader, writer)
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            # Only `stop` cancels, and asyncio itself would log that as a fault.
            pass
        finally:
            await ended(writer)


async def ended(writer: asyncio.StreamWriter) -> None:
    """Cut a connection, and return when nothing of it is left."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
