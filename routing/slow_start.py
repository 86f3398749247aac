"""Slow start: a backend that has returned takes on its share of new sessions little by little.

Its caches are cold and nobody holds a session with it: as the emptiest of its pool it would be sent
every new client at once.
"""

from routing.backend import Backend

# Of its weight at the moment of return: enough that it sees clients at all, few enough that a cold
# start serves them (HAProxy begins at 1 %, Envoy at 10 % by default).
FIRST_SHARE = 0.1


def effective_weight(backend: Backend, slow_start: float, now: float) -> float:
    """Return the weight by which new sessions are shared out: from a tenth to all of it, linearly.

    Args:
        backend: Whoever takes new sessions.
        slow_start: Seconds from its return to its full weight; 0: at once.
        now: Seconds, the clock of `Backend.returned_at`.

    """
    if backend.returned_at is None:
        return backend.weight
    elapsed = max(0.0, now - backend.returned_at)
    if elapsed >= slow_start:
        return backend.weight
    return backend.weight * (FIRST_SHARE + (1 - FIRST_SHARE) * elapsed / slow_start)
