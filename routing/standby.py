"""Standby: backends that rest until the others run short, and wake in the same instant.

Who rests is the control plane's choice, made every few seconds. Between two of these the pool's
mark says when the next one takes new sessions too, so that a client that needs it waits for nobody.
"""

from routing.pool import Pool
from routing.state import State


def awake(pool: Pool, state: State) -> Pool:
    """Return the pool of this moment: with as many resting backends awake as its mark asks for.

    Pools without a mark, or without a bound on sessions, are returned as they are.
    """
    below, order = pool.mark
    room = pool.capacity.sessions
    if not order or room is None:
        return pool
    sessions = state.load.sessions
    free = room * len(pool.open) - state.load.total_sessions(pool.open_indices)
    for name in order:
        if free >= below:
            break
        rests = name not in pool.open_named
        pool = pool.woken()
        if rests and (backend := pool.open_named.get(name)) is not None:
            free += max(0, room - sessions(backend.index))
    return pool
