"""One connection to one backend: made, told apart by the key it shows, kept, asked again.

Nothing is sent before the key is known. What comes unasked ends the connection, and a page that
grows large waits for room, so that many backends together cannot fill this process.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from l4proxy.config.telemetry import Place
from l4proxy.control.attesting.trust import key_of
from l4proxy.control.line import LOCAL_ERRORS
from l4proxy.control.scrape.answer import BadPage, PageAnswer
from l4proxy.control.scrape.source import ScrapeFault

SMALL_PAGE_BYTES: Final = 64 * 1024
"""Of an answer that is taken without waiting for room; the agent's has 2 KiB."""

MAX_LARGE_PAGES: Final = 32
"""Larger ones at once, of all backends of a pool: 32 MiB at the most."""

# No DHE: there the backend chooses the group, and one of 10,000 bits stops this thread for 1.4 s.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class ScrapeError(Exception):
    """A backend was not heard.

    Attributes:
        fault: Why.
    """

    def __init__(self, fault: ScrapeFault, detail: str = "") -> None:
        super().__init__(detail)
        self.fault = fault


class Terms(NamedTuple):
    """How backends are known, and what they are shown.

    Attributes:
        context: Of TLS; None: it is spoken in the clear.
        server_name: That a certificate is looked for, and said in the hello; None: the address.
        room: For large pages.

    """

    context: ssl.SSLContext | None
    server_name: str | None
    room: asyncio.Semaphore


def page_context() -> ssl.SSLContext:
    """Return a context that believes no certificate, for who looks at the key; a CA may be set."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    return context


class PageConnection(asyncio.Protocol):
    """A connection, over which one question at a time is asked.

    Attributes:
        key: SHA-256 of the SubjectPublicKeyInfo that it has shown; empty in the clear.
        open: Whether it may be asked.
    """

    def __init__(self, room: asyncio.Semaphore) -> None:
        self.key = b""
        self.open = False
        self._room = room
        self._transport: asyncio.Transport | None = None
        self._answer: PageAnswer | None = None
        self._outcome: bytes | Exception | None = None
        self._roomy = False
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and the key of who is at the other end."""
        self._transport = cast("asyncio.Transport", transport)
        tls: object = transport.get_extra_info("ssl_object")
        if tls is not None:
            certificate = cast("ssl.SSLObject", tls).getpeercert(binary_form=True)
            self.key = key_of(certificate or b"")
        self.open = True

    def data_received(self, data: bytes) -> None:
        """Take what came; what nobody asked for ends the connection."""
        answer = self._answer
        if answer is None or self._outcome is not None:
            self.close()
            return
        try:
            page = answer.receive(data)
        except BadPage as error:
            self._end(error)
            return
        if page is not None:
            self._end(page)
        elif answer.held > SMALL_PAGE_BYTES and not self._roomy:
            self._pause()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is asked."""
        self.open = False
        if self._outcome is None:
            self._end(exc if isinstance(exc, OSError) else ConnectionResetError("closed"))

    async def ask(self, question: bytes) -> bytes:
        """Ask, and return the page that comes. The caller sees to the deadline.

        Raises:
            BadAnswer: What came is none.
            OSError: The backend has gone.

        """
        self._answer, self._outcome, self._roomy = PageAnswer(), None, False
        self._news.clear()
        if self._transport is None or not self.open:
            raise ConnectionResetError("closed")
        self._transport.write(question)
        await self._news.wait()
        page = self._taken() if self._ended else await self._large()
        if not self._answer.keeps:
            self.open = False
        self._answer = None
        return page

    @property
    def _ended(self) -> bool:
        return self._outcome is not None

    @property
    def silent(self) -> bool:
        """Whether nothing has come to what was asked last."""
        return self._answer is not None and not self._answer.begun

    def close(self) -> None:
        """End the connection at once. It may be closed twice."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    async def _large(self) -> bytes:
        """Go on with a page that is large, when there is room."""
        async with self._room:
            self._roomy = True
            await self._resume()
            return self._taken()

    async def _resume(self) -> None:
        if not self._ended and self._transport is not None:
            self._news.clear()
            self._transport.resume_reading()
            await self._news.wait()

    def _pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()
        self._news.set()

    def _taken(self) -> bytes:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome or b""

    def _end(self, outcome: bytes | Exception) -> None:
        self._outcome = outcome
        self._news.set()


async def connect(
    place: Place, terms: Terms, accepts: Callable[[bytes], ScrapeFault | None]
) -> PageConnection:
    """Return a connection whose key is accepted; it is the caller's to close.

    Args:
        place: Where.
        terms: How.
        accepts: Says what is wrong with a key, before anything is sent; None: nothing.

    Raises:
        ScrapeError: There is none.

    """
    loop = asyncio.get_running_loop()
    name = None if terms.context is None else terms.server_name or place.host
    try:
        _, made = await loop.create_connection(
            lambda: PageConnection(terms.room),
            *place,
            ssl=terms.context,
            server_hostname=name,
        )
    except ssl.SSLError as error:
        raise ScrapeError(ScrapeFault.TLS, error.reason or str(error)) from None
    except OSError as error:
        raise ScrapeError(_fault(error), error.strerror or "") from None
    fault = accepts(made.key)
    if fault is not None:
        made.close()
        raise ScrapeError(fault, made.key.hex())
    return made


async def ask(connection: PageConnection, question: bytes) -> bytes:
    """Return the page of a backend, or say why there is none; the connection is closed then.

    Raises:
        ScrapeError: There is none.

    """
    try:
        page = await connection.ask(question)
    except BadPage as error:
        connection.close()
        raise ScrapeError(error.fault, str(error)) from None
    except OSError as error:
        connection.close()
        raise ScrapeError(_fault(error), error.strerror or str(error)) from None
    except asyncio.CancelledError:
        connection.close()
        raise
    if not connection.open:
        connection.close()
    return page


def _fault(error: OSError) -> ScrapeFault:
    return ScrapeFault.LOCAL if error.errno in LOCAL_ERRORS else ScrapeFault.UNREACHABLE
