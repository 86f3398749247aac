"""Places on backends: what a worker counts on each, connections and the sessions behind them.

A place is taken before the dial, so that all workers see it, and given back when its connection has
ended; after a dial that failed it is withdrawn, as if it had never been taken.
"""

from typing import Final

from l4proxy.dataplane.cells import Cells
from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.sessions import PoolSessions, Session, Sessions, client_key
from l4proxy.snapshot import Snapshot
from routing import BackendIndex, BackendName, Balance, Effect, Forward, PoolName

_RESERVE: Final = Effect.RESERVE
_IPV4_BYTES: Final = 4  # such an address is its own key: most are, so the call is saved


class Places:
    """The places that one worker has taken."""

    __slots__ = ("_cells", "_engine", "_names", "_pools", "_sessions")

    def __init__(self, engine: Engine, cells: "memoryview[int]", sessions: Sessions) -> None:
        """Begin with none.

        Args:
            engine: Its clock.
            cells: This worker's open connections, by backend index.
            sessions: This worker's sessions.
        """
        self._engine = engine
        self._cells = Cells(cells)
        self._sessions = sessions
        self._pools: dict[PoolName, PoolSessions] = {}
        self._names: dict[BackendIndex, BackendName] = {}

    def apply(self, snapshot: Snapshot) -> None:
        """Count by the rules of this snapshot from now on."""
        pools = snapshot.pools.pools
        rules = {name: snapshot.sessions[name] for name in pools}
        self._pools = self._sessions.apply(rules)
        # By affinity clients stay at home. Else a lone client's own session would count against it:
        # its backend has more than an even share of one, and the hash would lead elsewhere. Where
        # sessions are bounded, who has one has a place: asked for a new one he would be refused.
        for name, pool in pools.items():
            self._pools[name].homing = not rules[name].by_connections and (
                pool.balance is Balance.AFFINITY or pool.capacity.sessions is not None
            )
        self._names = {
            backend.index: backend.name for pool in pools.values() for backend in pool.backends
        }

    def reserved(self, pool: PoolName, client: bytes) -> BackendName | None:
        """Return where the next new connection of a client (packed address) should go, if anywhere.

        The backend may have left, and its cell may be another one's by then: look whether the pool
        has it.
        """
        sessions = self._pools.get(pool)
        if sessions is None:
            return None
        key = client if len(client) == _IPV4_BYTES else client_key(client)
        index = self._sessions.reservation(sessions, key, self._engine.now)
        return None if index is None else self._names.get(index)

    def take(self, forward: Forward, client: bytes) -> Session:
        """Count one more connection of a client (packed address); return its session."""
        backend = forward.backend.index
        key = client if len(client) == _IPV4_BYTES else client_key(client)
        session = self._sessions.begin(
            self._pools[forward.pool],
            key,
            backend,
            self._engine.now,
            reserve=_RESERVE in forward.effects,
        )
        self._cells.more(backend)
        return session

    def give_back(self, session: Session, backend: BackendIndex) -> None:
        """Count one less: the connection has ended."""
        self._cells.less(backend)
        self._sessions.end(session, backend, self._engine.now)

    def withdraw(self, session: Session, backend: BackendIndex) -> None:
        """Count one less: the connection never came about."""
        self._cells.less(backend)
        self._sessions.withdraw(session, backend, self._engine.now)

    def tick(self) -> None:
        """Do the housekeeping of sessions, once a second."""
        self._sessions.tick(self._engine.now)
