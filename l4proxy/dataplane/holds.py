"""Held hellos: those that wait for a moment because nobody is known to have their ticket's name.

A backend may have changed its key a moment ago, and asking the pool at once tells. Made-up names
are ordinary, and may come in a flood: so few wait, not for long, and a pool is seldom asked.
"""

from typing import Protocol

from l4proxy.channel import Channel, ChannelClosed
from l4proxy.dataplane.engine import NEVER, Engine, Timed
from l4proxy.messages import Unknown
from routing import HOLD_SECONDS, Hold, PoolName, Pools

MAX_HELD = 64
"""Hellos that one worker holds at once, each a descriptor and up to 64 KiB; others are decided."""

ROUND_SECONDS = 5.0
"""At least this between two rounds that a worker asks for in one pool, each a handshake or two with
every backend: a flood of made-up names must not become one of handshakes."""


class Held(Timed, Protocol):
    """A connection whose hello waits. Its deadline decides it, whatever is known by then."""

    def cut(self) -> None:
        """End: the process ends."""


class Holds:
    """The held hellos of one worker."""

    __slots__ = ("_channel", "_engine", "_held", "_rounds")

    def __init__(self, engine: Engine, channel: Channel) -> None:
        """Begin with none.

        Args:
            engine: Watches their deadlines.
            channel: To the supervisor, who has the backends asked.
        """
        self._engine = engine
        self._channel = channel
        self._held: dict[Held, PoolName] = {}
        self._rounds: dict[PoolName, float] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._held)

    def hold(self, connection: Held, asked: Hold) -> bool:
        """Let a hello wait, if there is a place and its pool is being asked; return whether it may.

        It waits until `Hold.until` at the latest; then, or before, its `on_deadline` is called.
        """
        if len(self._held) >= MAX_HELD or not self._in_round(asked.pool):
            return False
        self._held[connection] = asked.pool
        connection.deadline = asked.until
        self._engine.schedule(connection)
        return True

    def release(self, connection: Held) -> None:
        """Hear that a hello waits no more, if it did."""
        self._held.pop(connection, None)

    def apply(self, pools: Pools, before: Pools | None) -> None:
        """Decide those whose pool has other names than before; forget pools that are gone."""
        known = before.pools if before is not None else {}
        self._rounds = {pool: at for pool, at in self._rounds.items() if pool in pools.pools}
        for connection, name in self._held.items():
            pool, former = pools.pools.get(name), known.get(name)
            if pool is None or former is None or pool.ticket_names != former.ticket_names:
                # Not here: an error in one of them must cost that one alone.
                connection.deadline = self._engine.now
                self._engine.schedule(connection)

    def cut(self) -> None:
        """End all that wait, for the process ends."""
        held, self._held = self._held, {}
        for connection in held:
            connection.cut()

    def _in_round(self, pool: PoolName) -> bool:
        """Return whether the backends of a pool are being asked, by our asking now if need be."""
        now = self._engine.now
        since = now - self._rounds.get(pool, -NEVER)
        if since < ROUND_SECONDS:
            return since < HOLD_SECONDS
        try:
            asked = self._channel.send(Unknown(pool))
        except ChannelClosed:
            asked = False
        if asked:
            self._rounds[pool] = now
        return asked
