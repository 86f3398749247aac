"""The admin API's server. It runs in the supervisor, which no client's byte passes.

What it spends on those who ask is bounded: so many connections, each for so long, small requests.
"""

import asyncio
import logging
import socket
import ssl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from l4proxy.admin.replies import Handler

MAX_CONNECTIONS = 32
"""Connections at once: a scraper, probes and a few operators; one more is closed unheard."""

CONNECTION_SECONDS = 30.0
"""A connection that is open over a whole such period is cut: reading slowly keeps nothing open."""

KEEPALIVE_SECONDS = 15.0
"""How long a connection may be silent: who asks less often may as well connect anew."""

HANDSHAKE_SECONDS = 10.0
"""How long a TLS handshake may take: a few flights over a bad line."""

MAX_REQUEST_BYTES = 4_096
"""The request line, and each header field: nobody who asks for these pages needs more."""

MAX_HEADERS = 32
"""Header fields of a request: a browser sends about fifteen."""

LINGER_SECONDS = 1.0
"""How long an answer may still travel when its connection, or the daemon, ends."""


def _ours(record: logging.LogRecord) -> bool:
    """Whether a record is of our own making: aiohttp logs each request that is no HTTP as an error.

    A client could fill the log with tracebacks.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


log = logging.getLogger(__name__)
log.addFilter(_ours)


async def serve_admin(
    sock: socket.socket, answer: Handler, tls: ssl.SSLContext | None = None
) -> None:
    """Serve the admin API on a listening socket, TCP or unix, until cancelled.

    What answers little to few, such as an actuator, is served in the same way, perhaps over TLS.

    Resource handling: the socket and every connection are closed when this ends.
    """
    handlers = web.Server(
        answer,
        access_log=None,
        keepalive_timeout=KEEPALIVE_SECONDS,
        lingering_time=LINGER_SECONDS,
        logger=log,
        max_field_size=MAX_REQUEST_BYTES,
        max_headers=MAX_HEADERS,
        max_line_size=MAX_REQUEST_BYTES,
    )
    door = _Door(handlers)
    loop = asyncio.get_running_loop()
    listen = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
    server = await listen(
        door.admit,
        sock=sock,
        ssl=tls,
        ssl_handshake_timeout=None if tls is None else HANDSHAKE_SECONDS,
    )
    try:
        await door.expire()
    finally:
        server.close()
        handlers.pre_shutdown()
        await handlers.shutdown(LINGER_SECONDS)


class _Door:
    """Admits connections: few at a time, and each for a while."""

    def __init__(self, handlers: web.Server) -> None:
        self._handlers = handlers

    def admit(self) -> asyncio.Protocol:
        """Return who serves the next connection."""
        if len(self._handlers.connections) < MAX_CONNECTIONS:
            return self._handlers()
        return _TurnedAway()

    async def expire(self) -> None:
        """Cut the connections that are open over a whole period, for ever."""
        before: set[web.RequestHandler] = set()
        while True:
            await asyncio.sleep(CONNECTION_SECONDS)
            now = set(self._handlers.connections)
            for handler in now & before:
                if handler.transport is not None:
                    handler.transport.abort()
            before = now


class _TurnedAway(asyncio.Protocol):
    """Serves a connection that is one too many, by closing it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close."""
        transport.close()
