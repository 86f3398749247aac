"""May this backend have traffic? One answer, with the reason for each no.

What the client brings decides what is asked of the backend:

    asked of a backend           for a NEW session     for a session it has HELD
    not tried in vain            yes                   yes
    healthy, trusted             yes                   yes
    active, not on standby       yes                   no
    draining                     refused               until the deadline
    room for a session           yes                   no: the session is there already
    room for a connection        yes                   yes

So a token, or a reservation, is a preference and never a way past the bound on connections.
"""

from enum import Enum, auto
from typing import Final

from routing.backend import Backend, Capacity
from routing.reasons import Ineligible
from routing.state import State


class Session(Enum):
    """Whether the client's session would begin on the backend or goes on there."""

    NEW = auto()
    HELD = auto()


# Looked up once: in CPython 3.11 each access to a member of an enumeration costs 0.1 µs.
_NEW: Final = Session.NEW


def ineligible(
    backend: Backend, session: Session, capacity: Capacity, state: State
) -> Ineligible | None:
    """Return why a backend may not have this connection, None when it may.

    Of several reasons it is the first of `Ineligible` that counts: what an operator would mend
    first.
    """
    if state.tried and backend.name in state.tried:
        return Ineligible.TRIED
    if session is _NEW:
        barred = closed_to_new(backend)
        room = capacity.sessions
        if barred is None and room is not None and state.load.sessions(backend.index) >= room:
            barred = Ineligible.FULL
    else:
        barred = _closed_to_held(backend, state.now)
    if barred is not None:
        return barred
    room = capacity.connections
    if room is not None and state.load.connections(backend.index) >= room:
        return Ineligible.CONNECTIONS_FULL
    return None


def closed_to_new(backend: Backend) -> Ineligible | None:
    """Return why a backend takes no new session, whatever the hour and the load.

    The part of the answer that a pool works out once, when it is made.
    """
    if not backend.healthy:
        return Ineligible.UNHEALTHY
    if not backend.trusted or backend.refuted:
        return Ineligible.UNTRUSTED
    if not backend.active:
        return Ineligible.STANDBY
    if backend.draining:
        return Ineligible.DRAINING
    return None


def _closed_to_held(backend: Backend, now: float) -> Ineligible | None:
    if not backend.healthy:
        return Ineligible.UNHEALTHY
    if not backend.trusted or backend.refuted:
        return Ineligible.UNTRUSTED
    if backend.draining and backend.drain_deadline is not None and now >= backend.drain_deadline:
        return Ineligible.DRAIN_EXPIRED
    return None
