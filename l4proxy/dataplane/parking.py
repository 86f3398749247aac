"""Parked hellos: clients of a pool that has no backend for them at the moment, and may have soon.

A pool that grows from nothing, or is full until the next enclave has proved what it runs, need not
turn its clients away. Each is decided again every moment, and refused when its time is over.
"""

from collections import Counter
from socket import MSG_DONTWAIT, MSG_PEEK
from typing import Final

from l4proxy.dataplane.counters import PARKED, UNPARKED, Counters
from l4proxy.dataplane.engine import NEVER, Engine
from l4proxy.dataplane.holds import Held
from l4proxy.dataplane.sessions import client_key
from l4proxy.dataplane.stream import Stream
from routing import Hold, PoolName

MAX_PARKED: Final = 256
"""Hellos that one worker parks at once, each a descriptor and up to 64 KiB; others are refused."""

MAX_PARKED_PER_CLIENT: Final = 32
"""Of these, the hellos of one client (an IPv6 /64): an eighth of the places. Parked hellos count as
sessions to come, and one client must not scale a pool."""

LOOK_SECONDS: Final = 0.1
"""How often a parked hello is decided again: 256 of them then take a twentieth of a core."""


class Parking:
    """The parked hellos of one worker."""

    __slots__ = ("_clients", "_counters", "_engine", "_parked")

    def __init__(self, engine: Engine, counters: Counters) -> None:
        """Begin with none."""
        self._engine = engine
        self._counters = counters
        self._parked: dict[Held, tuple[PoolName, float, bytes]] = {}
        self._clients: Counter[bytes] = Counter()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._parked)

    def __contains__(self, connection: Held) -> bool:
        """Return whether a hello is parked."""
        return connection in self._parked

    def park(self, connection: Held, asked: Hold, client: bytes) -> bool:
        """Let a hello wait a moment more, if there is a place and time left; return whether it may.

        Its `on_deadline` is called soon, and has to `settle` it once it has decided.
        """
        now = self._engine.now
        if connection not in self._parked:
            key = client_key(client)
            if (
                len(self._parked) >= MAX_PARKED
                or self._clients.get(key, 0) >= MAX_PARKED_PER_CLIENT
            ):
                return False
            self._parked[connection] = asked.pool, asked.until, key
            self._clients[key] += 1
            self._counters.add(PARKED, asked.pool)
        _, until, _ = self._parked[connection]
        if now >= until:
            return False
        connection.deadline = min(until, now + LOOK_SECONDS)
        self._engine.schedule(connection)
        return True

    def settle(self, connection: Held) -> None:
        """Forget a hello that was parked and has not been parked again."""
        if connection.deadline == NEVER and (found := self._parked.pop(connection, None)):
            self._left(found[0], found[2])

    def cut(self) -> None:
        """End all that wait, for the process ends."""
        parked, self._parked = self._parked, {}
        for connection, (pool, _, key) in parked.items():
            self._left(pool, key)
            connection.cut()

    def _left(self, pool: PoolName, key: bytes) -> None:
        self._counters.add(UNPARKED, pool)
        self._clients[key] -= 1
        if not self._clients[key]:
            del self._clients[key]


def has_left(sock: Stream) -> bool:
    """Return whether a client that has nothing to say yet has hung up, or was reset."""
    try:
        return not sock.recv(1, MSG_PEEK | MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
