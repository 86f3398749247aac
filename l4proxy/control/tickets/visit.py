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
from dataclasses import dataclass, field
from enum import StrEnum

from l4proxy.control.line import GOODBYE_SECONDS, LOCAL_ERRORS, Line, TooLong
from l4proxy.control.tickets.layouts import Ticket
from l4proxy.control.tls_line import TlsLine
from routing import Address
from sni import HelloPeeker, HelloReceived, ServerName, offered_tickets

TICKET_SECONDS = 1.0
"""How long a ticket is waited for after a handshake: it needs one way back, and may never come."""

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
    over = TlsLine(line, approach.server_name, http=bool(approach.request), session=session)
    try:
        async with asyncio.timeout_at(deadline):
            await line.send(approach.preamble)
            await over.greet()
            if session is None:
                await _wait_for_ticket(over, approach.request)
        came = _given(over) if session is None else _taken_up(over)
    except ssl.SSLError as error:
        came = Visit(_judged(error, over))
    except TimeoutError:
        came = Visit(TicketFault.TIMEOUT)
    except (OSError, TooLong):
        came = Visit(TicketFault.TLS_FAILED)
    # Whatever happens from here, the backend has said what it had to say.
    with contextlib.suppress(OSError):
        async with asyncio.timeout_at(min(deadline, _now() + GOODBYE_SECONDS)):
            await over.leave()
    return came


async def _wait_for_ticket(over: TlsLine, request: bytes) -> None:
    """Read until a ticket is there, or has not come for so long that none will."""
    if request:
        await over.send(request)
    if over.tls.version() == "TLSv1.3":  # before, the ticket was part of the handshake
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICKET_SECONDS):
                await _read_ticket(over)


async def _read_ticket(over: TlsLine) -> None:
    while True:
        data = over.read()
        session = over.tls.session
        if session is not None and session.has_ticket:
            return
        if data is None:
            await over.more()
        elif not data:  # a goodbye in good order: this was all that it gives
            return


def _given(over: TlsLine) -> Visit:
    """Return what a full handshake has brought."""
    version, session = over.tls.version() or "", over.tls.session
    ticket = _offered(over, session) if session is not None and session.has_ticket else None
    if session is None or ticket is None:
        return Visit(TicketFault.NO_TICKETS, version=version)
    lifetime = float(session.ticket_lifetime_hint) or None
    return Visit(None, ticket, version, lifetime, session=session)


def _taken_up(over: TlsLine) -> Visit:
    """Return what came of the session that was offered."""
    return Visit(version=over.tls.version() or "", resumed=bool(over.tls.session_reused))


def _offered(over: TlsLine, session: ssl.SSLSession) -> Ticket | None:
    """Return the ticket in the hello that this client would come back with."""
    peeker = HelloPeeker()
    peeker.receive_data(over.hello_with(session))
    event = peeker.next_event()
    if not isinstance(event, HelloReceived):  # the ticket is longer than any hello may be
        return None
    return next(map(Ticket.of, offered_tickets(event.hello)), None)


def _judged(error: ssl.SSLError, over: TlsLine) -> TicketFault:
    """Return what a broken handshake means.

    TLS 1.3 servers hear of the missing certificate only when the client is done.
    """
    refused = _wants_certificate.search(error.reason or "")
    if refused and (over.greeted or over.asked_for_certificate):
        return TicketFault.CLIENT_CERTIFICATE
    return TicketFault.TLS_FAILED


def _now() -> float:
    return asyncio.get_running_loop().time()
