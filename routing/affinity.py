"""Affinity: which backend owns this client's session?

Each function reads one kind of token and returns the backend that it names, if that backend may go
on with the session; None lets the next kind speak. A token is looked up in the pool that the server
name allows, and in no other.
"""

from collections.abc import Sequence
from itertools import islice

from routing.backend import Backend, BackendName
from routing.client import Client
from routing.eligibility import Session, ineligible
from routing.pool import Pool
from routing.rendezvous import slot_of
from routing.state import State
from routing.table import Route
from sni import ClientHello, offered_session_id, offered_tickets

# Tickets looked at per hello. Clients offer one or two; a hello of 64 KiB has room for 1,600
# identities, of which each would cost up to three look-ups.
MAX_TICKETS = 8

# Looked up once: in CPython 3.11 each access to a member of an enumeration costs 0.1 µs.
_HELD = Session.HELD


def tickets_of(hello: ClientHello) -> tuple[bytes, ...]:
    """Return the tickets that a hello offers, in its order, the first MAX_TICKETS."""
    if not hello.psk_identities and not hello.ticket:  # a first visit; 0.4 µs less than to iterate
        return ()
    return tuple(islice(offered_tickets(hello), MAX_TICKETS))


def by_ticket(tickets: Sequence[bytes], client: Client, pool: Pool, state: State) -> Backend | None:
    """Return the backend that opens the first ticket whose owner may have the connection."""
    for ticket in tickets:
        owners = pool.ticket_names.owners(ticket)
        if owners:
            backend = _any_of(owners, client, pool, state)
            if backend is not None:
                return backend
    return None


def only_unknown(tickets: Sequence[bytes], pool: Pool) -> bool:
    """Return whether a ticket has an unknown name, and none has a known one.

    An owner that may not have the connection is known all the same: waiting would not find another.
    """
    names = pool.ticket_names
    if any(names.owners(ticket) is not None for ticket in tickets):
        return False
    return any(map(names.could_name, tickets))


def by_seen(
    hello: ClientHello, tickets: Sequence[bytes], pool: Pool, state: State
) -> Backend | None:
    """Return the backend that was seen to issue a ticket offered here, else this session id."""
    session_id = offered_session_id(hello)
    for token in tickets if session_id is None else (session_id,):
        owner = state.seen.get((pool.name, token))
        backend = None if owner is None else held(owner, pool, state)
        if backend is not None:
            return backend
    return None


def by_instance(hello: ClientHello, route: Route, pool: Pool, state: State) -> Backend | None:
    """Return the backend that the server name names: `<backend>.app.example.com`."""
    if not route.instance_name or route.pattern is None or hello.server_name is None:
        return None
    instance = route.pattern.left_of(hello.server_name)
    return None if instance is None else held(BackendName(instance), pool, state)


def held(name: BackendName, pool: Pool, state: State) -> Backend | None:
    """Return the named backend if it is in the pool and may go on with a session of its own."""
    backend = pool.named.get(name)
    if backend is None or ineligible(backend, _HELD, pool.capacity, state) is not None:
        return None
    return backend


def _any_of(
    owners: frozenset[BackendName], client: Client, pool: Pool, state: State
) -> Backend | None:
    """Return one of the backends that share a key.

    Any of them opens the ticket, but only one holds what else belongs to the session: so the one
    that is reserved, else the one that this client's network ranks first, whatever the balance.
    """
    if len(owners) == 1:
        (owner,) = owners
        return held(owner, pool, state)
    if state.reservation in owners:
        reserved = held(state.reservation, pool, state)
        if reserved is not None:
            return reserved
    slot = slot_of(client.prefix)
    for name in pool.ranking.first(slot):
        if name in owners and (backend := held(name, pool, state)) is not None:
            return backend
    rest = [name for name in owners if held(name, pool, state) is not None]
    return pool.named[pool.ranking.favourite(slot, rest)] if rest else None
