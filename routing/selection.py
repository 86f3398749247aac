"""Selection: one of the backends that are eligible for a session that nobody owns yet."""

from collections.abc import Callable, Mapping, Sequence

from routing.backend import Backend, Balance
from routing.client import Client
from routing.eligibility import Session, ineligible
from routing.pool import Pool
from routing.rendezvous import slot_of
from routing.state import State

# How far over its even share of sessions a backend may run before a client's network goes to the
# next in rank: 5/4. Nearer to 1 evens load out further and moves more clients: with 1 + e a change
# moves O(1/e²) of them (Mirrokni, Thorup, Zadimoghaddam: "Consistent Hashing with Bounded Loads",
# 2016). HAProxy calls 125 to 200 % reasonable; enclaves are few and large, so the even end of it.
_BOUND_NUMERATOR = 5
_BOUND_DENOMINATOR = 4

# Looked up once: in CPython 3.11 each access to a member of an enumeration costs 0.1 µs.
_NEW = Session.NEW


def select(client: Client, pool: Pool, state: State) -> Backend | None:
    """Return the backend for a new session; None when none is eligible."""
    return _SELECTIONS[pool.balance](client, pool, state)


def _by_affinity(client: Client, pool: Pool, state: State) -> Backend | None:
    """Return the first in the rank of the client's network that is eligible and under its bound."""
    total = state.load.total_sessions(pool.open_indices)
    slot = slot_of(client.prefix)
    for name in pool.ranking.first(slot):
        backend = pool.named[name]
        if _may_begin(backend, pool, state) and not _over_bound(backend, total, pool, state):
            return backend
    eligible = [backend for backend in pool.open if _may_begin(backend, pool, state)]
    under = [b.name for b in eligible if not _over_bound(b, total, pool, state)]
    if under:
        return pool.named[pool.ranking.favourite(slot, under)]
    # The bounds add up to more than all sessions and this one, so only when others have no room,
    # or could not be dialled, are the rest all over theirs.
    return _least_loaded(eligible, state) if eligible else None


def _by_least_sessions(_client: Client, pool: Pool, state: State) -> Backend | None:
    """Return the least loaded eligible backend."""
    if not pool.open:
        return None
    least = _least_loaded(pool.open, state)
    if _may_begin(least, pool, state):  # nearly always, and then nobody else need be asked
        return least
    eligible = [backend for backend in pool.open if _may_begin(backend, pool, state)]
    return _least_loaded(eligible, state) if eligible else None


def _least_loaded(backends: Sequence[Backend], state: State) -> Backend:
    """Return the one with the smallest (sessions + 1) / weight, a tie settled by the draw."""
    sessions = state.load.sessions
    loads = [(sessions(backend.index) + 1) / backend.weight for backend in backends]
    least = min(loads)
    ties = [backend for backend, load in zip(backends, loads, strict=True) if load == least]
    return ties[int(state.draw * len(ties))]


def _may_begin(backend: Backend, pool: Pool, state: State) -> bool:
    return ineligible(backend, _NEW, pool.capacity, state) is None


def _over_bound(backend: Backend, total: int, pool: Pool, state: State) -> bool:
    """Return whether sessions >= ceil(5/4 x (total + 1) x weight / total weight), in whole numbers.

    Sessions are whole, so the rounding up says nothing and is left out.
    """
    sessions = state.load.sessions(backend.index)
    share = _BOUND_NUMERATOR * (total + 1) * backend.weight
    return _BOUND_DENOMINATOR * pool.open_weight * sessions >= share


_SELECTIONS: Mapping[Balance, Callable[[Client, Pool, State], Backend | None]] = {
    Balance.AFFINITY: _by_affinity,
    Balance.LEAST_SESSIONS: _by_least_sessions,
}
