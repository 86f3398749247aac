"""Closing: relays whose backend may not have them any more.

When the time of a drain is over what is left is closed gradually: clients come back at once, and a
thousand that do so together would be a load of their own. A backend that was found not to be what
it was trusted for loses its relays at once.
"""

import math
from typing import Final, NamedTuple, Protocol

from l4proxy.dataplane.engine import NEVER, Engine
from l4proxy.dataplane.relay import Ending
from routing import Backend, BackendIndex, Pools

CLOSING_SECONDS: Final = 10.0
"""Within which what is left of a drained backend is closed, evenly."""

CLOSING_STEP_SECONDS: Final = 0.1
"""Between two steps of that: ten thousand relays are closed a hundred at a time, 3 ms of work."""


class Closable(Protocol):
    """A relay."""

    def close(self, ending: Ending) -> None:
        """End at once."""

    def on_failure(self, error: Exception) -> None:
        """End: closing raised an error nobody foresaw."""


class _Leave(NamedTuple):
    """From when to when the relays of a backend are closed, seconds, monotonic."""

    begins: float
    over: float
    ending: Ending


class Closing:
    """The relays of one worker by backend, and the end of some. A `Timed` of the engine."""

    __slots__ = ("_engine", "_leaving", "_relays", "deadline", "scheduled")

    def __init__(self, engine: Engine) -> None:
        """Begin without relays."""
        self._engine = engine
        self._relays: dict[BackendIndex, set[Closable]] = {}
        self._leaving: dict[BackendIndex, _Leave] = {}
        self.deadline = NEVER
        self.scheduled = NEVER

    def opened(self, backend: BackendIndex, relay: Closable) -> None:
        """Hear of a relay; if its backend lost them while it was dialled, this one ends now."""
        relays = self._relays.get(backend)
        if relays is None:
            self._relays[backend] = {relay}
        else:
            relays.add(relay)
        if self._leaving and backend in self._leaving:
            self._wake()

    def ended(self, backend: BackendIndex, relay: Closable) -> None:
        """Hear that a relay has ended."""
        relays = self._relays.get(backend)
        if relays is not None:
            relays.discard(relay)
            if not relays:
                del self._relays[backend]

    def apply(self, pools: Pools) -> None:
        """Close by what this snapshot says of its backends."""
        found = (
            (backend.index, _leave(backend))
            for pool in pools.pools.values()
            for backend in pool.backends
        )
        self._leaving = {index: leave for index, leave in found if leave is not None}
        self._wake()

    def on_deadline(self) -> None:
        """Close what is due."""
        now = self._engine.now
        for index, leave in self._leaving.items():
            if leave.begins <= now and index in self._relays:
                self._close(list(self._relays[index]), leave)
        self.deadline = self._next(now + CLOSING_STEP_SECONDS)

    def on_failure(self, error: Exception) -> None:
        """Fail the worker: what is to be closed and cannot be found is a bug of ours."""
        raise error

    def _close(self, relays: list[Closable], leave: _Leave) -> None:
        steps = max(1.0, (leave.over - self._engine.now) / CLOSING_STEP_SECONDS)
        for relay in relays[: math.ceil(len(relays) / steps)]:
            try:
                relay.close(leave.ending)
            except Exception as error:  # noqa: BLE001 - the boundary: one relay fails, not the rest
                relay.on_failure(error)

    def _wake(self) -> None:
        """Close in this turn what may be closed; else wake when something is due."""
        self.deadline = self._next(self._engine.now)
        if self.deadline < self.scheduled:
            self._engine.schedule(self)

    def _next(self, soonest: float) -> float:
        begins = (leave.begins for index, leave in self._leaving.items() if index in self._relays)
        return max(soonest, min(begins, default=NEVER))


def _leave(backend: Backend) -> _Leave | None:
    """Return when a backend loses its relays; None: it keeps them."""
    if backend.refuted:
        return _Leave(-NEVER, -NEVER, Ending.UNTRUSTED)
    until = backend.drain_deadline if backend.draining else None
    return None if until is None else _Leave(until, until + CLOSING_SECONDS, Ending.DRAINED)
