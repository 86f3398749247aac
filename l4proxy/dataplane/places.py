"""Places on backends: what a worker counts on each, connections and the sessions behind them.

A place is taken before the dial, so that all workers see it, and given back when its connection has
ended; after a dial that failed it is withdrawn, as if it had never been taken.
"""

from typing import Final

from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.sessions import Session, Sessions, client_key
from l4proxy.snapshot import Snapshot
from routing import BackendIndex, BackendName, Balance, Effect, Forward, PoolName

_RESERVE: Final = Effect.RESERVE
_IPV4_BYTES: Final = 4  # such an address is its own key: most are, so the call is saved


class Places:
    """The places that one worker has taken."""

    __slots__ = ("_cells", "_engine", "_homing", "_names", "_rules", "_sessions")

    def __init__(self, engine: Engine, cells: "memoryview[int]", sessions: Sessions) -> None:
        """Begin with none.

        Args:
            engine: Its clock.
            cells: This worker's open connections, by backend index.
            sessions: This worker's sessions.
        """
        self._engine = engine
        self._cells = cells
        self._sessions = sessions
        self._homing: set[PoolName] = set()
        self._names: dict[BackendIndex, BackendName] = {}

    def apply(self, snapshot: Snapshot) -> None:
        """Count by the rules of this snapshot from now on."""
        self._rules = snapshot.sessions
        # By affinity clients stay at home. Else a lone client's own session would count against it:
        # its backend has more than an even share of one, and the hash would lead elsewhere. Where
        # sessions are bounded, who has one has a place: asked for a new one he would be refused.
        self._homing = {
            name
            for name, pool in snapshot.pools.pools.items()
            if not self._rules[name].by_connections
            and (pool.balance is Balance.AFFINITY or pool.capacity.sessions is not None)
        }
        self._names = {
            backend.index: backend.name
            for pool in snapshot.pools.pools.values()
            for backend in pool.backends
        }

    def reserved(self, pool: PoolName, client: bytes) -> BackendName | None:
        """Return where the next new connection of a client (packed address) should go, if anywhere.

        The backend may have left, and its cell may be another one's by then: look whether the pool
        has it.
        """
        key = client if len(client) == _IPV4_BYTES else client_key(client)
        index = self._sessions.reservation(pool, key, self._engine.now, homing=pool in self._homing)
        return None if index is None else self._names.get(index)

    def take(self, forward: Forward, client: bytes) -> Session:
        """Count one more connection of a client (packed address); return its session."""
        pool, backend = forward.pool, forward.backend.index
        place = pool, client if len(client) == _IPV4_BYTES else client_key(client)
        rules, now = self._rules[pool], self._engine.now
        reserve = _RESERVE in forward.effects
        session = self._sessions.begin(place, backend, rules, now, reserve=reserve)
        self._cells[backend] += 1
        return session

    def give_back(self, session: Session, backend: BackendIndex) -> None:
        """Count one less: the connection has ended."""
        self._cells[backend] -= 1
        self._sessions.end(session, backend, self._engine.now)

    def withdraw(self, session: Session, backend: BackendIndex) -> None:
        """Count one less: the connection never came about."""
        self._cells[backend] -= 1
        self._sessions.withdraw(session, backend, self._engine.now)

    def tick(self) -> None:
        """Do the housekeeping of sessions, once a second."""
        self._sessions.tick(self._engine.now)
