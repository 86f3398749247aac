"""An interview: as many visits to a backend as it takes to know its tickets.

Tickets are taken from full handshakes, each on a connection of its own, until no new name comes up;
then a last visit comes back with one of them, and tells whether the backend takes it.
"""

import asyncio
from dataclasses import dataclass

from l4proxy.control.tickets.layouts import KeyName, Ticket, wants_more
from l4proxy.control.tickets.visit import Approach, TicketFault, Visit, visit

MAX_INTERVIEW_SECONDS = 20.0
"""An interview ends after so long with what it has: a slow backend must not hold a place."""

MAX_TRIES = 8
"""Visits to an owner until it shows the name in question: it may have several worker processes."""


@dataclass(frozen=True, slots=True)
class Interview:
    """What a backend has shown.

    Attributes:
        tickets: One of each full handshake, in order.
        version: Of TLS, as `TLSv1.3`; empty when none was agreed.
        lifetime: Seconds for which it says it will take tickets; None: it does not say.
        resumed: Whether it took up a session that it had begun; False too where that met another
            of its worker processes. None: not tried.
        fault: What ended the interview early; None: it came to its end.

    """

    tickets: tuple[Ticket, ...] = ()
    version: str = ""
    lifetime: float | None = None
    resumed: bool | None = None
    fault: TicketFault | None = None


async def interview(approach: Approach) -> Interview:
    """Learn what a backend's tickets look like; raise only if cancelled.

    It takes `MAX_INTERVIEW_SECONDS` and the last visit that was begun before.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + MAX_INTERVIEW_SECONDS
    tickets, last = list[Ticket](), Visit()
    while wants_more(tickets):
        came = Visit(TicketFault.TIMEOUT) if loop.time() > deadline else await visit(approach)
        if came.ticket is None:
            version = last.version or came.version
            return Interview(tuple(tickets), version, last.lifetime, None, came.fault)
        tickets.append(came.ticket)
        last = came
    again = await visit(approach, last.session)
    return Interview(tuple(tickets), last.version, last.lifetime, again.resumed)


async def share_a_key(owner: Approach, claimant: Approach, name: KeyName) -> bool:
    """Return whether one backend opens the tickets of this name that another one gives.

    To take up a session a server needs the key that sealed the ticket, and proves so: the rest of
    the handshake is keyed by what the ticket holds (RFC 8446 §7.1, RFC 5246 §7.3). So this cannot
    be feigned; who merely shows another's name does not pass. It raises only if cancelled.
    """
    for _ in range(MAX_TRIES):
        shown = await visit(owner)
        if shown.ticket is None:
            return False
        if name.begins(shown.ticket):
            return (await visit(claimant, shown.session)).resumed
    return False
