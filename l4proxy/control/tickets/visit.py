"""One visit to a backend: a handshake as an ordinary client, and the ticket that it gives.

The ticket is read where a balancer reads it: in the clear, in the hello that this client would come
back with. That hello is made in memory; nobody needs to be asked a second time for it.

As a probe does, a visit says goodbye and reads what still comes, so that no log of a TLS server
fills; and as a probe it asks for no proof of who answers: a name that is not the backend's own
leads clients to it in vain, and `registry` and `interview` see to that.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from l4proxy.control.probe import GOODBYE_SECONDS, LOCAL_ERRORS
from l4proxy.control.tickets.layouts import Ticket
from l4proxy.control.tickets.line import Line, TooLong
from routing import Address
from sni import HelloPeeker, HelloReceived, ServerName, offered_tickets

TICKET_SECONDS = 1.0
"""How long a ticket is waited for after a handshake: it needs one way back, and may never come."""

_READ_BYTES = 16 * 1024

# In the clear of TLS 1.2: a record with a handshake message, and in it the client's certificate,
# which a client sends, if need be an empty one, when it was asked (RFC 5246 §7.4.6).
_HANDSHAKE, _CERTIFICATE = b"\x16", b"\x0b"
_MESSAGE_AT = 5  # behind the header of a record

# How OpenSSL words an alert by which servers refuse a client that has no certificate.
_wants_certificate = re.compile(r"ALERT.*(CERTIFICATE|HANDSHAKE_FAILURE|ACCESS_DENIED|UNKNOWN_CA)")


class TicketFault(StrEnum):
    """Why no ticket names are known of a backend; labels of log lines and metrics."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"

    TLS_FAILED = "tls_failed"
    """It broke the handshake off, closed too early, or does not speak TLS as we do."""

    CLIENT_CERTIFICATE = "client_certificate_demanded"
    """It gives tickets only to clients with a certificate, and we have none."""

    NO_TICKETS = "no_tickets"

    NAMELESS = "nameless_tickets"
    """Its tickets begin with nothing that stays: random ids, or a stack that writes no name."""

    LOCAL = "local"
    """This machine is short of descriptors, memory or ports; it says nothing of the backend."""


LASTING = frozenset({TicketFault.CLIENT_CERTIFICATE, TicketFault.NO_TICKETS, TicketFault.NAMELESS})
"""Faults that are how a backend was set up: asking again soon would bring the same answer."""


@dataclass(frozen=True, slots=True)
class Approach:
    """How a backend is visited.

    Attributes:
        address: Where.
        server_name: Said in the hello; None: none is.
        preamble: Sent before anything else, such as a PROXY header.
        request: Sent after the handshake, for servers that send tickets only with their first
            answer; what they answer is not looked at. Empty: nothing is.
        timeout: Seconds for a visit.

    """

    address: Address
    server_name: ServerName | None = None
    preamble: bytes = b""
    request: bytes = b""
    timeout: float = 3.0


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of a visit.

    Attributes:
        fault: Why there is no ticket; None: there is, or none was asked for.
        ticket: As the client would send it back.
        version: Of TLS, as `TLSv1.3`; empty when none was agreed.
        lifetime: Seconds for which the server says it will take the ticket; None: it does not say.
        resumed: Whether the server took up the session that was offered.
        session: To come back with.

    """

    fault: TicketFault | None = None
    ticket: Ticket | None = None
    version: str = ""
    lifetime: float | None = None
    resumed: bool = False
    session: ssl.SSLSession | None = field(default=None, repr=False, compare=False)


async def visit(approach: Approach, session: ssl.SSLSession | None = None) -> Visit:
    """Visit a backend once: for a new ticket, or to see whether it takes up a session.

    It takes no longer than the timeout, the goodbye included, and raises only if cancelled.
    """
    deadline = _now() + approach.timeout
    try:
        with Line(approach.address) as line:
            async with asyncio.timeout_at(deadline):
                await line.connect()
            return await _visit_on(line, approach, session, deadline)
    except TimeoutError:
        return Visit(TicketFault.TIMEOUT)
    except OSError as error:
        ours = error.errno in LOCAL_ERRORS
        return Visit(TicketFault.LOCAL if ours else TicketFault.UNREACHABLE)


async def _visit_on(
    line: Line, approach: Approach, session: ssl.SSLSession | None, deadline: float
) -> Visit:
    client = _Client(line, approach, session)
    try:
        async with asyncio.timeout_at(deadline):
            await line.send(approach.preamble)
            await client.greet()
            if session is None:
                await client.take_ticket(approach.request)
        came = client.outcome() if session is None else client.taken_up()
    except _Failed as failed:
        came = Visit(failed.fault)
    except TimeoutError:
        came = Visit(TicketFault.TIMEOUT)
    except (OSError, TooLong):
        came = Visit(TicketFault.TLS_FAILED)
    # Whatever happens from here, the backend has said what it had to say.
    with contextlib.suppress(OSError):
        async with asyncio.timeout_at(min(deadline, _now() + GOODBYE_SECONDS)):
            await client.leave()
    return came


class _Failed(Exception):
    """The visit has come to an end."""

    def __init__(self, fault: TicketFault) -> None:
        super().__init__(fault)
        self.fault = fault


class _Client:
    """A TLS client over a line."""

    def __init__(self, line: Line, approach: Approach, session: ssl.SSLSession | None) -> None:
        self._line = line
        self._context = _context(http=bool(approach.request))
        self._name = None if approach.server_name is None else str(approach.server_name)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = self._context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=self._name, session=session
        )
        self._greeted = False
        self._asked_for_certificate = False

    async def greet(self) -> None:
        """Complete the handshake."""
        while not self._try(self._tls.do_handshake):
            await self._exchange()
        await self._flush()
        self._greeted = True

    async def take_ticket(self, request: bytes) -> None:
        """Read until a ticket is there, or has not come for so long that none will."""
        if request:
            self._try(lambda: self._tls.write(request))
            await self._flush()
        if self._tls.version() == "TLSv1.3":  # before, the ticket was part of the handshake
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICKET_SECONDS):
                    await self._read_ticket()

    def outcome(self) -> Visit:
        """Return what a full handshake has brought."""
        version, session = self._tls.version() or "", self._tls.session
        ticket = self._offered(session) if session is not None and session.has_ticket else None
        if session is None or ticket is None:
            return Visit(TicketFault.NO_TICKETS, version=version)
        lifetime = float(session.ticket_lifetime_hint) or None
        return Visit(None, ticket, version, lifetime, session=session)

    def taken_up(self) -> Visit:
        """Return what came of the session that was offered."""
        return Visit(version=self._tls.version() or "", resumed=bool(self._tls.session_reused))

    async def leave(self) -> None:
        """Send close_notify, or the alert that a failed handshake calls for, and leave the line."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        await self._flush()
        await self._line.leave()

    async def _read_ticket(self) -> None:
        came = list[bytes]()
        while True:
            waits = not self._try(lambda: came.append(self._tls.read(_READ_BYTES)))
            session = self._tls.session
            if session is not None and session.has_ticket:
                return
            if waits:
                await self._exchange()
            elif not came.pop():  # a goodbye in good order: this was all that it gives
                raise _Failed(TicketFault.NO_TICKETS)

    def _offered(self, session: ssl.SSLSession) -> Ticket | None:
        """Return the ticket in the hello that this client would come back with."""
        written = ssl.MemoryBIO()
        again = self._context.wrap_bio(
            ssl.MemoryBIO(), written, server_hostname=self._name, session=session
        )
        with contextlib.suppress(ssl.SSLWantReadError):
            again.do_handshake()
        peeker = HelloPeeker()
        peeker.receive_data(written.read())
        event = peeker.next_event()
        if not isinstance(event, HelloReceived):  # the ticket is longer than any hello may be
            return None
        return next(map(Ticket.of, offered_tickets(event.hello)), None)

    def _try(self, step: Callable[[], object]) -> bool:
        """Take a step; return whether it is done or has to wait for more bytes."""
        try:
            step()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise _Failed(self._judged(error)) from None
        return True

    def _judged(self, error: ssl.SSLError) -> TicketFault:
        """Return what a broken handshake means.

        TLS 1.3 servers hear of the missing certificate only when the client is done.
        """
        refused = _wants_certificate.search(error.reason or "")
        if refused and (self._greeted or self._asked_for_certificate):
            return TicketFault.CLIENT_CERTIFICATE
        return TicketFault.TLS_FAILED

    async def _exchange(self) -> None:
        await self._flush()
        data = await self._line.receive()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        data = self._outgoing.read()
        if data[:1] == _HANDSHAKE and data[_MESSAGE_AT : _MESSAGE_AT + 1] == _CERTIFICATE:
            self._asked_for_certificate = True
        if data:  # to send nothing would meet a reset, and hide what came before it
            await self._line.send(data)


@cache
def _context(*, http: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # who answers is for attestation to prove
    context.options |= ssl.OP_NO_RENEGOTIATION
    if http:
        context.set_alpn_protocols(["http/1.1"])
    return context


def _now() -> float:
    return asyncio.get_running_loop().time()
