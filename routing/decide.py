"""The decision: who serves this client? One pure function; its caller applies what it answers.

    1  an offered ticket names its owner: by a routable name,
       else by a learned one                                    ┐
    2  an external PSK's label: its backend, else its hash      │ HELD: the backend may go on
    3  a ticket or session id that was seen issued              │ with a session of its own
    4  an instance name in the server name                      │
    5  a reservation a moment old                               ┘
    6  selection                                                  NEW: it has room for one more
    7  refusal: no backend of the pool may have the client; where the pool parks, a wait before it

The first that yields an eligible backend wins. A reservation counts as HELD because the client's
first connection took the session's place already: asked as NEW, the last place of a backend would
turn its own second connection away. The hash of a label is NEW: nobody knows of a session yet.

An unknown ticket name may be a key that was rotated in a moment ago. It is worth a wait only where
the rest would be a guess: after 4, which names a backend for certain, and before 5.
"""

from enum import Enum, auto
from typing import Final, NamedTuple

from routing.affinity import (
    by_external_psk,
    by_instance,
    by_observed,
    by_reservation,
    by_session_id,
    by_ticket,
    only_unknown,
    tickets_of,
)
from routing.backend import Backend, PoolName
from routing.client import Client
from routing.pool import Pool, Pools
from routing.reasons import HoldReason, RefusalReason, Why
from routing.selection import select
from routing.standby import awake
from routing.state import State
from routing.table import Route
from sni import ClientHello

# Seconds that a hello waits for its ticket name: long enough for a handshake and a resumption with
# every enclave of the pool, short enough to pass for an ordinary delay of the network.
HOLD_SECONDS: Final = 0.150


class Effect(Enum):
    """What the caller does with a `Forward`; both speak of its pool, its backend and the client."""

    TAKE_SLOT = auto()
    """Count the connection in the load view."""

    RESERVE = auto()
    """Send the client's next connections to this pool here too, for a few seconds."""


class Forward:
    """Dial this backend. A value; a plain class, since nearly every decision makes one.

    Attributes:
        pool: Where the backend belongs.
        backend: Whom to dial.
        why: What led there.
        effects: What the caller does before it dials, so that parallel connections see it.

    """

    __slots__ = ("backend", "effects", "pool", "why")

    def __init__(
        self, pool: PoolName, backend: Backend, why: Why, effects: tuple[Effect, ...]
    ) -> None:
        self.pool: Final = pool
        self.backend: Final = backend
        self.why: Final = why
        self.effects: Final = effects

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Forward) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def _fields(self) -> tuple[PoolName, Backend, Why, tuple[Effect, ...]]:
        return self.pool, self.backend, self.why, self.effects


class Hold(NamedTuple):
    """Let the hello wait, then decide again.

    A hello whose ticket name is unknown is decided once more, with `State.may_hold` off, as soon as
    the pool's backends were asked for their names. One without an eligible backend is parked: it is
    decided again and again, and at last with `State.may_park` off.

    Attributes:
        pool: Whose backends it waits for.
        reason: What it waits for.
        until: When to decide at the latest, in seconds of `State.now`.

    """

    pool: PoolName
    reason: HoldReason
    until: float


class Refuse(NamedTuple):
    """Serve the client nothing.

    Attributes:
        reason: Why.
        pool: The pool that had no backend; None when no route led to one.

    """

    reason: RefusalReason
    pool: PoolName | None = None


# Typed, so that compiled code holds the tuple itself and does not make it anew from its members.
_TAKE_SLOT: Final[tuple[Effect, ...]] = (Effect.TAKE_SLOT,)
_TAKE_SLOT_AND_RESERVE: Final[tuple[Effect, ...]] = (Effect.TAKE_SLOT, Effect.RESERVE)

# Looked up once: in CPython 3.11 each access to a member of an enumeration costs 0.1 µs.
_RESERVATION: Final = Why.RESERVATION
_SELECTED: Final = Why.SELECTED


def decide(
    hello: ClientHello, client: Client, pools: Pools, state: State
) -> Forward | Hold | Refuse:
    """Return who serves this client, what to wait for, or why nobody does.

    Pure: the same arguments give the same answer, in every process.

    Args:
        hello: What the client asks for.
        client: Who asks.
        pools: The routes and pools of the snapshot.
        state: The moment.

    """
    route = pools.table.match(hello.server_name, hello.alpn)
    if not isinstance(route, Route):
        return Refuse(route)
    pool = pools.pools[route.pool]
    if pool.mark.order:
        pool = awake(pool, state)
    tickets = tickets_of(hello, pool)
    if (forward := _by_token(hello, tickets, client, pool, state)) is not None:
        return forward
    if route.instance_name and (backend := by_instance(hello, route, pool, state)) is not None:
        return Forward(pool.name, backend, Why.INSTANCE, _TAKE_SLOT)
    if tickets and state.may_hold and only_unknown(tickets, pool, state):
        return Hold(pool.name, HoldReason.UNKNOWN_TICKET_NAME, state.now + HOLD_SECONDS)
    if (backend := by_reservation(pool, state)) is not None:
        return Forward(pool.name, backend, _RESERVATION, _TAKE_SLOT)
    if (backend := select(client, pool, state)) is not None:
        return Forward(pool.name, backend, _SELECTED, _TAKE_SLOT_AND_RESERVE)
    return _nobody(pool, state)


def _nobody(pool: Pool, state: State) -> Hold | Refuse:
    if pool.park and state.may_park:
        return Hold(pool.name, HoldReason.NO_ELIGIBLE_BACKEND, state.now + pool.park)
    return Refuse(RefusalReason.NO_ELIGIBLE_BACKEND, pool.name)


def _by_token(
    hello: ClientHello, tickets: tuple[bytes, ...], client: Client, pool: Pool, state: State
) -> Forward | None:
    """Return where what the client offers to resume leads: 1 to 3 of the order above."""
    if tickets and (owned := by_ticket(tickets, client, pool, state)) is not None:
        return Forward(pool.name, *owned, _TAKE_SLOT)
    if hello.psk_identities and (backend := by_external_psk(hello, pool, state)) is not None:
        return Forward(pool.name, backend, Why.EXTERNAL_PSK, _TAKE_SLOT_AND_RESERVE)
    if tickets:
        backend = by_observed(tickets, pool, state)
        return None if backend is None else Forward(pool.name, backend, Why.OBSERVED, _TAKE_SLOT)
    owned = by_session_id(hello, pool, state)
    return None if owned is None else Forward(pool.name, *owned, _TAKE_SLOT)
