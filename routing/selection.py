"""Selection: one of the backends that are eligible for a session that nobody owns yet."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from routing.backend import Backend, Balance
from routing.client import Client
from routing.eligibility import Session, ineligible
from routing.pool import Pool
from routing.slow_start import effective_weight
from routing.state import State
from routing.wheel import Wheel

# How far over its even share of sessions a backend may run before a client's network goes to the
# next in rank: 5/4. Nearer to 1 evens load out further and moves more clients: with 1 + e a change
# moves O(1/e²) of them (Mirrokni, Thorup, Zadimoghaddam: "Consistent Hashing with Bounded Loads",
# 2016). HAProxy calls 125 to 200 % reasonable; enclaves are few and large, so the even end of it.
_BOUND: Final = 5 / 4

# A hash is as uneven as chance: of n clients over few backends, each gets its share give or take
# √share. So few clients are not load that is piled up, and a backend counts as over its share only
# where that is beyond four standard deviations. With 24 clients before three backends the bound of
# 5/4 alone was measured to send one return in four away from its enclave.
_DEVIATIONS_SQUARED: Final = 4 * 4

# Looked up once: in CPython 3.11 each access to a member of an enumeration costs 0.1 µs.
_NEW: Final = Session.NEW
_AFFINITY: Final = Balance.AFFINITY


def select(client: Client, pool: Pool, state: State) -> Backend | None:
    """Return the backend for a new session; None when none is eligible."""
    if pool.balance is _AFFINITY:
        return by_affinity(client.prefix, pool, state)
    if not pool.open:
        return None
    choose = _CHOICES[pool.balance]
    chosen = choose(pool.open, pool, state)
    if _may_begin(chosen, pool, state):  # nearly always, and then nobody else need be asked
        return chosen
    eligible = _eligible(pool, state)
    return choose(eligible, pool, state) if eligible else None


def by_affinity(key: bytes, pool: Pool, state: State) -> Backend | None:
    """Return the first in the rank of a key that is eligible and under its bound.

    Args:
        key: The client's network, or what else shall come back to the same backend.
        pool: The pool.
        state: The moment.

    """
    asks = pool.capped or state.tried  # else who is open is eligible
    for name in pool.ranking.first(key):
        backend = pool.open_named.get(name)
        if backend is None or _over(backend, pool, state):
            continue
        if not asks or _may_begin(backend, pool, state):
            return backend
    eligible = _eligible(pool, state)
    share = _share(pool, state)  # asked for once: each alone would ask for the total anew
    weights = _weights(eligible, pool, state)
    under = [
        backend.name
        for backend, weight in zip(eligible, weights, strict=True)
        if not _exceeds(state.load.sessions(backend.index), share * weight)
    ]
    if under:
        return pool.named[pool.ranking.favourite(key, under)]
    # The bounds add up to more than all sessions and this one, so only when others have no room,
    # or could not be dialled, are the rest all over theirs.
    return _least_loaded(eligible, pool, state) if eligible else None


def _over(backend: Backend, pool: Pool, state: State) -> bool:
    """Return whether a backend has more than its share, beyond 5/4 of it and beyond chance."""
    own, together = float(backend.weight), float(pool.open_weight)
    if state.now < pool.rising_until:
        own = effective_weight(backend, pool.slow_start, state.now)
        together = sum(_weights(pool.open, pool, state))
    sessions = state.load.sessions(backend.index)
    # The more others have, the larger its share: who is not over alone need not be told of them.
    if not _exceeds(sessions, (sessions + 1) / together * own):
        return False
    total = state.load.total_sessions(pool.open_indices)
    return _exceeds(sessions, (total + 1) / together * own)


def _share(pool: Pool, state: State) -> float:
    """Return the share of all sessions, this one among them, of a backend of weight 1."""
    rising = state.now < pool.rising_until
    together = sum(_weights(pool.open, pool, state)) if rising else pool.open_weight
    return (state.load.total_sessions(pool.open_indices) + 1) / together if together else 0.0


def _exceeds(sessions: int, share: float) -> bool:
    beyond = sessions - share
    return sessions >= _BOUND * share and beyond * beyond >= _DEVIATIONS_SQUARED * share


def _least_loaded(backends: Sequence[Backend], pool: Pool, state: State) -> Backend:
    """Return the one with the smallest (sessions + 1) / weight, a tie settled by the draw."""
    loads = _loads(backends, pool, state)
    least = min(loads)
    ties = [backend for backend, load in zip(backends, loads, strict=True) if load == least]
    return ties[int(state.draw * len(ties))]


def _less_loaded_of_two(backends: Sequence[Backend], pool: Pool, state: State) -> Backend:
    """Return the less loaded of two that are drawn by weight, the first drawn of equals.

    Nearly as even as the least loaded of all (Mitzenmacher: "The Power of Two Choices in Randomized
    Load Balancing", 2001), and balancers that see the same loads do not all rush to one.
    """
    two = _wheel(backends, pool, state).two_drawn(state.draw)
    first, second = _loads(two, pool, state)
    return two[second < first]


def _less_claimed_of_two(backends: Sequence[Backend], pool: Pool, state: State) -> Backend:
    """Return the one of two, drawn by weight, that claims less load.

    Claims are seconds old, and may be lies: by drawing first, a backend that claims to be idle gets
    twice its share at most. Where one of the two claims nothing, or both the same, sessions decide.
    """
    first, second = two = _wheel(backends, pool, state).two_drawn(state.draw)
    if first.load is None or second.load is None or first.load == second.load:
        mine, other = _loads(two, pool, state)
        return two[other < mine]
    return two[second.load < first.load]


def _whose_turn(backends: Sequence[Backend], pool: Pool, state: State) -> Backend:
    """Return whose turn it is. In a slow start, whose weights change, turns are drawn instead."""
    wheel = _wheel(backends, pool, state)
    return wheel.drawn(state.draw) if state.now < pool.rising_until else wheel.turn(state.turn)


def _wheel(backends: Sequence[Backend], pool: Pool, state: State) -> Wheel:
    if backends is pool.open and state.now >= pool.rising_until:
        return pool.wheel
    return Wheel(backends, _weights(backends, pool, state))


def _loads(backends: Sequence[Backend], pool: Pool, state: State) -> list[float]:
    sessions = state.load.sessions
    if state.now >= pool.rising_until:
        return [(sessions(backend.index) + 1) / backend.weight for backend in backends]
    weights = _weights(backends, pool, state)
    return [
        (sessions(backend.index) + 1) / weight
        for backend, weight in zip(backends, weights, strict=True)
    ]


def _weights(backends: Sequence[Backend], pool: Pool, state: State) -> list[float]:
    slow_start, now = pool.slow_start, state.now
    if now >= pool.rising_until:  # whole ones, without which no turns can be taken
        return [backend.weight for backend in backends]
    return [effective_weight(backend, slow_start, now) for backend in backends]


def _eligible(pool: Pool, state: State) -> list[Backend]:
    return [backend for backend in pool.open if _may_begin(backend, pool, state)]


def _may_begin(backend: Backend, pool: Pool, state: State) -> bool:
    return ineligible(backend, _NEW, pool.capacity, state) is None


_CHOICES: Mapping[Balance, Callable[[Sequence[Backend], Pool, State], Backend]] = {
    Balance.LEAST_SESSIONS: _least_loaded,
    Balance.RANDOM_TWO: _less_loaded_of_two,
    Balance.ROUND_ROBIN: _whose_turn,
    Balance.LOAD: _less_claimed_of_two,
}
