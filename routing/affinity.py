"""Affinity: which backend owns this client's session?

Each function reads one kind of token and returns the backend that it names, if that backend may go
on with the session; None lets the next kind speak. A token is looked up in the pool that the server
name allows, and in no other.
"""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import islice
from typing import Final

from routing.backend import Backend, BackendName
from routing.client import Client
from routing.eligibility import Session, ineligible
from routing.pool import Pool
from routing.reasons import Why
from routing.routable import server_id_of
from routing.selection import by_affinity
from routing.state import State
from routing.table import Route
from sni import ClientHello, PskIdentity, offered_session_id, offered_tickets

Owned = tuple[Backend, Why]
"""A backend, and the kind of token that named it."""

# Tickets looked at per hello. Clients offer one or two; a hello of 64 KiB has room for 1,600
# identities, of which each would cost up to three look-ups.
MAX_TICKETS: Final = 8

# What stands for an identity where it is ranked: as long as a client's address at most, however
# long the identity is.
_KEY_BYTES: Final = 16

# Looked up once: in CPython 3.11 each access to a member of an enumeration costs 0.1 µs.
_HELD: Final = Session.HELD
_ROUTABLE, _LEARNED, _SESSION_ID = Why.ROUTABLE, Why.LEARNED, Why.SESSION_ID


def tickets_of(hello: ClientHello, pool: Pool) -> tuple[bytes, ...]:
    """Return the tickets that a hello offers, in its order: of the first MAX_TICKETS, no label.

    The label of an external PSK may begin like a ticket, but is none.
    """
    if not hello.psk_identities and not hello.ticket:  # a first visit; 0.4 µs less than to iterate
        return ()
    offered = tuple(islice(offered_tickets(hello), MAX_TICKETS))
    labels = pool.external_psks.owners
    return tuple(ticket for ticket in offered if ticket not in labels) if labels else offered


def by_ticket(tickets: Sequence[bytes], client: Client, pool: Pool, state: State) -> Owned | None:
    """Return the backend that opens the first ticket whose owner may have the connection."""
    for ticket in tickets:
        routed = _routed(ticket, pool)
        if routed is not None:
            if _may_go_on(routed, pool, state):
                return routed, _ROUTABLE
            continue
        owners = pool.ticket_names.owners(ticket)
        if owners:
            backend = _any_of(owners, client, pool, state)
            if backend is not None:
                return backend, _LEARNED
    return None


def by_external_psk(hello: ClientHello, pool: Pool, state: State) -> Backend | None:
    """Return the backend to which the label of the first external PSK leads, if it may serve."""
    psks = pool.external_psks
    for offered in hello.psk_identities[:MAX_TICKETS] if psks else ():
        owner = psks.owners.get(offered.identity)
        if owner is not None:
            backend = held(owner, pool, state)
        elif psks.hashed and _is_label(offered, pool):
            backend = _by_hash(offered.identity, pool, state)
        else:
            backend = None
        if backend is not None:
            return backend
    return None


def by_observed(tickets: Sequence[bytes], pool: Pool, state: State) -> Backend | None:
    """Return the backend that was seen to issue the first ticket whose issuer may serve."""
    for ticket in tickets if state.seen is not None else ():
        backend = _seen(ticket, pool, state)
        if backend is not None:
            return backend
    return None


def by_session_id(hello: ClientHello, pool: Pool, state: State) -> Owned | None:
    """Return the backend that a session id names, or that was seen to issue it."""
    if pool.routable is None and state.seen is None:
        return None
    session_id = offered_session_id(hello)
    if session_id is None:
        return None
    routed = _routed(session_id, pool)
    if routed is not None:
        return (routed, _ROUTABLE) if _may_go_on(routed, pool, state) else None
    backend = _seen(session_id, pool, state)
    return None if backend is None else (backend, _SESSION_ID)


def only_unknown(tickets: Sequence[bytes], pool: Pool, state: State) -> bool:
    """Return whether a ticket has an unknown name, and none has a known one.

    An owner that may not have the connection is known all the same: waiting would not find another.
    """
    if not any(map(pool.ticket_names.could_name, tickets)):
        return False
    return not any(_is_known(ticket, pool, state) for ticket in tickets)


def by_instance(hello: ClientHello, route: Route, pool: Pool, state: State) -> Backend | None:
    """Return the backend that the server name names: `<backend>.app.example.com`."""
    if not route.instance_name or route.pattern is None or hello.server_name is None:
        return None
    instance = route.pattern.left_of(hello.server_name)
    return None if instance is None else held(BackendName(instance), pool, state)


def by_reservation(pool: Pool, state: State) -> Backend | None:
    """Return the backend where the client began a session with the pool a moment ago."""
    name = _reserved(pool, state)
    return None if name is None else held(name, pool, state)


def held(name: BackendName, pool: Pool, state: State) -> Backend | None:
    """Return the named backend if it is in the pool and may go on with a session of its own."""
    backend = pool.named.get(name)
    return backend if backend is not None and _may_go_on(backend, pool, state) else None


def _may_go_on(backend: Backend, pool: Pool, state: State) -> bool:
    return ineligible(backend, _HELD, pool.capacity, state) is None


def _reserved(pool: Pool, state: State) -> BackendName | None:
    return None if state.reservation is None else state.reservation.reserved(pool.name)


def _routed(token: bytes, pool: Pool) -> Backend | None:
    """Return the backend of the pool that a routable name says, whether or not it may serve."""
    if pool.routable is None:
        return None
    server_id = server_id_of(token, pool.routable)
    return None if server_id is None else pool.by_server_id.get(server_id)


def _seen(token: bytes, pool: Pool, state: State) -> Backend | None:
    owner = None if state.seen is None else state.seen.owner(pool.name, token, state.now)
    return None if owner is None else held(owner, pool, state)


def _is_known(ticket: bytes, pool: Pool, state: State) -> bool:
    """Return whether somebody has said whose ticket it is, be he in the pool or not."""
    return (
        pool.ticket_names.owners(ticket) is not None
        or (pool.routable is not None and server_id_of(ticket, pool.routable) is not None)
        or (state.seen is not None and state.seen.owner(pool.name, ticket, state.now) is not None)
    )


def _is_label(offered: PskIdentity, pool: Pool) -> bool:
    """Return whether an identity is an external PSK's, as far as can be told (`ExternalPsks`)."""
    if offered.obfuscated_age or pool.ticket_names.owners(offered.identity) is not None:
        return False
    return pool.routable is None or server_id_of(offered.identity, pool.routable) is None


def _by_hash(identity: bytes, pool: Pool, state: State) -> Backend | None:
    """Return the backend for a new session of whoever has a key: affinity, by the key's label.

    The client's reservation holds where it is the label's first choice: then the connections that
    a client opens at once stay together even if the first one took the last place.
    """
    key = blake2b(identity, digest_size=_KEY_BYTES).digest()
    reserved = _reserved(pool, state)
    if reserved is not None and pool.ranking.first(key)[:1] == (reserved,):
        backend = held(reserved, pool, state)
        if backend is not None:
            return backend
    return by_affinity(key, pool, state)


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
    reserved = _reserved(pool, state)
    if reserved in owners and (backend := held(reserved, pool, state)) is not None:
        return backend
    network = client.prefix
    for name in pool.ranking.first(network):
        if name in owners and (backend := held(name, pool, state)) is not None:
            return backend
    rest = [name for name in owners if held(name, pool, state) is not None]
    return pool.named[pool.ranking.favourite(network, rest)] if rest else None
