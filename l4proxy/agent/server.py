"""Connections of the agent, each from its first byte to its last.

A connection is a handshake, perhaps a proof, and then a copy. What goes wrong on one is told in the
log and touches no other.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from l4proxy.agent.libssl import NoExporter, export
from l4proxy.agent.quotes import Quotes
from l4proxy.agent.relay import relay
from l4proxy.agent.settings import Protocol, Settings, Termination
from l4proxy.agent.stream import Stream
from l4proxy.agent.telemetry.traffic import Traffic
from l4proxy.agent.trouble import Trouble
from l4proxy.agent.well_known import Ask, Desk
from l4proxy.evidence_wire import ALPN, FRAME_HEADER, Answer, Question, encode_answer, frame
from l4proxy.set_wire import SET_ALPN

HANDSHAKE_SECONDS: Final = 10.0
"""Seconds that a client has for the handshake: four flights over a bad line."""

REQUEST_SECONDS: Final = 60.0
"""Seconds that a client has to ask and to take the answer, and to begin its first request."""

DIAL_SECONDS: Final = 5.0
"""Seconds that the application, on the same machine, has to accept a connection."""

PAUSE_SECONDS: Final = 0.1
"""Seconds between attempts to accept when no descriptor is left."""

_log = logging.getLogger(__name__)

Serve = Callable[[socket.socket], Coroutine[None, None, None]]


async def accept(listener: socket.socket, serve: Serve, most: int) -> None:
    """Serve clients for ever, `most` at once; others wait in the kernel's queue.

    Args:
        listener: Does not block.
        serve: One connection, from its socket on; it closes that socket.
        most: Connections at once.

    """
    room = asyncio.Semaphore(most)
    async with asyncio.TaskGroup() as connections:
        while True:
            await room.acquire()
            try:
                sock = await _next(listener)
            except OSError as error:
                _log.warning("cannot accept: %s", error)
                room.release()
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            sock.setblocking(False)
            task = connections.create_task(_guarded(serve, sock))
            task.add_done_callback(lambda _: room.release())
            # One that is cancelled before its first step has not closed anything.
            task.add_done_callback(partial(_close, sock))


async def _next(listener: socket.socket) -> socket.socket:
    """Return the next client.

    The loop's own `sock_accept` loses a client, open, whose arrival meets a cancellation: here
    nothing is awaited between the accept and whoever closes the socket.
    """
    while True:
        try:
            return listener.accept()[0]
        except BlockingIOError:
            await _somebody_waits(listener)


async def _somebody_waits(listener: socket.socket) -> None:
    loop, descriptor = asyncio.get_running_loop(), listener.fileno()
    waits = asyncio.Event()
    loop.add_reader(descriptor, waits.set)
    try:
        await waits.wait()
    finally:
        loop.remove_reader(descriptor)


def _close(sock: socket.socket, _: asyncio.Task[None]) -> None:
    sock.close()


async def _guarded(serve: Serve, sock: socket.socket) -> None:
    """Serve one connection; what it fails with is mostly its peer's fault, or the application's."""
    try:
        await serve(sock)
    except* OSError as failed:
        _log.debug("connection: %s", failed.exceptions[0])
    except* Exception:  # noqa: BLE001 - our fault on one connection must not end the others
        _log.exception("connection: a mistake in this program")


@dataclass(slots=True)
class TlsServer:
    """TLS ends here, and the application is behind it.

    Attributes:
        settings: Whose mode is termination.
        mode: The same, as it must be here.
        quotes: Where evidence comes from.
        manifest: The secondary manifest; None: there is none.
        members: Gives the pre-verified set, encoded.
        context: What new connections are served with; renewal replaces it.
        trouble: With the application.
        traffic: Counts what is passed on.

    """

    settings: Settings
    mode: Termination
    quotes: Quotes
    manifest: bytes | None
    members: Callable[[], bytes]
    context: ssl.SSLContext
    trouble: Trouble
    traffic: Traffic = field(default_factory=Traffic)

    async def serve(self, sock: socket.socket) -> None:
        """Serve one client.

        Raises:
            OSError: The client or the application broke it off.

        """
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = self.context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        client = Stream(tls)
        broken = True
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await client.handshake()
            await self._converse(client, tls)
            broken = False
        finally:
            client.close(abort=broken)

    async def _converse(self, client: Stream, tls: ssl.SSLSocket) -> None:
        first: bytes | None = b""
        agreed = tls.selected_alpn_protocol()
        if agreed in {ALPN, SET_ALPN}:
            proof = await self._proof(tls)
            async with asyncio.timeout(REQUEST_SECONDS):
                await client.write(proof)
                if agreed == SET_ALPN:
                    await self._tell(client)
        elif self.mode.protocol is Protocol.HTTP:
            desk = Desk(self._ask(tls), self.manifest, REQUEST_SECONDS, self.members)
            first = await desk.serve(client)
        if first is None:
            # Who takes nothing would keep its place for ever.
            async with asyncio.timeout(REQUEST_SECONDS):
                await client.end()
            return
        application = await self._dial()
        broken = True
        try:
            with self.traffic.session():
                idle, heard = self.settings.idle, self.traffic.heard
                await relay(client, application, first, idle, heard)
            broken = False
        finally:
            application.close(abort=broken)

    async def _tell(self, client: Stream) -> None:
        """Send the set in a frame; in one piece it would be copied for each who is slow."""
        members = self.members()
        await client.write(len(members).to_bytes(FRAME_HEADER))
        await client.write(members)

    async def _proof(self, tls: ssl.SSLSocket) -> bytes:
        """Return framed evidence for this connection; without it the client hears nothing."""
        try:
            return frame(encode_answer(await self._ask(tls)(Question(None))))
        except NoExporter as error:
            raise OSError(f"a client asked for a proof: {error}") from error

    def _ask(self, tls: ssl.SSLSocket) -> Ask:
        async def ask(question: Question) -> Answer:
            if question.nonce is None:
                return await self.quotes.by_exporter(export(tls))
            return await self.quotes.by_nonce(question.nonce)

        return ask

    async def _dial(self) -> Stream:
        address = self.mode.application
        sock = address.open()
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                await asyncio.get_running_loop().sock_connect(sock, address.place)
        except OSError as error:
            sock.close()
            self.trouble.told(error)
            raise OSError("no application") from error
        self.trouble.over()
        return Stream(sock)


@dataclass(frozen=True, slots=True)
class PlainServer:
    """Questions over plain HTTP, which an application passes on that ends TLS itself.

    Attributes:
        quotes: Where evidence comes from.
        manifest: The secondary manifest; None: there is none.

    """

    quotes: Quotes
    manifest: bytes | None

    async def serve(self, sock: socket.socket) -> None:
        """Answer the questions of one connection; anything else ends it.

        Raises:
            OSError: The client broke it off.

        """
        client = Stream(sock)
        try:
            await Desk(self._ask, self.manifest, REQUEST_SECONDS).serve(client)
        finally:
            client.close()

    async def _ask(self, question: Question) -> Answer:
        if question.nonce is None:
            raise NoExporter("another program ends TLS here: evidence answers a nonce only")
        return await self.quotes.by_nonce(question.nonce)
