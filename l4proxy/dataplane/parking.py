"""Parked hellos: clients of a pool that has no backend for them at the moment, and may have soon.

A pool that grows from nothing, or is full until the next enclave has proved what it runs, need not
turn its clients away. Each is decided again every moment, and refused when its time is over.
"""

from socket import MSG_DONTWAIT, MSG_PEEK, SocketType
from typing import Final

from l4proxy.dataplane.counters import PARKED, UNPARKED, Counters
from l4proxy.dataplane.engine import NEVER, Engine
from l4proxy.dataplane.holds import Held
from routing import Hold, PoolName

MAX_PARKED: Final = 256
"""Hellos that one worker parks at once, each a descriptor and up to 64 KiB; others are refused."""

LOOK_SECONDS: Final = 0.1
"""How often a parked hello is decided again: 256 of them then take a twentieth of a core."""


class Parking:
    """The parked hellos of one worker."""

    __slots__ = ("_counters", "_engine", "_parked")

    def __init__(self, engine: Engine, counters: Counters) -> None:
        """Begin with none."""
        self._engine = engine
        self._counters = counters
        self._parked: dict[Held, tuple[PoolName, float]] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._parked)

    def __contains__(self, connection: Held) -> bool:
        """Return whether a hello is parked."""
        return connection in self._parked

    def park(self, connection: Held, asked: Hold) -> bool:
        """Let a hello wait a moment more, if there is a place and time left; return whether it may.

        Its `on_deadline` is called soon, and has to `settle` it once it has decided.
        """
        now = self._engine.now
        if connection not in self._parked:
            if len(self._parked) >= MAX_PARKED:
                return False
            self._parked[connection] = asked.pool, asked.until
            self._counters.add(PARKED, asked.pool)
        _, until = self._parked[connection]
        if now >= until:
            return False
        connection.deadline = min(until, now + LOOK_SECONDS)
        self._engine.schedule(connection)
        return True

    def settle(self, connection: Held) -> None:
        """Forget a hello that was parked and has not been parked again."""
        if connection.deadline == NEVER and (found := self._parked.pop(connection, None)):
            self._counters.add(UNPARKED, found[0])

    def cut(self) -> None:
        """End all that wait, for the process ends."""
        parked, self._parked = self._parked, {}
        for connection, (pool, _) in parked.items():
            self._counters.add(UNPARKED, pool)
            connection.cut()


def has_left(sock: SocketType) -> bool:
    """Return whether a client that has nothing to say yet has hung up, or was reset."""
    try:
        return not sock.recv(1, MSG_PEEK | MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
