"""Sessions: the clients that a worker counts on each backend, and the places it keeps for them.

A session is a client with a pool: it begins with a connection, and ends some minutes after the last
one has ended. Wherever the client is sent last, there it is counted, once, whichever of the workers
serve it. While a reservation lasts, the client's further new connections go where it began.
"""

import heapq
from collections import deque
from collections.abc import Mapping
from itertools import count
from typing import Final

from l4proxy.dataplane.cells import Cells
from l4proxy.shared_sessions import FOREVER, TICKS, SharedSessions
from l4proxy.snapshot import SessionRules
from routing import BackendIndex, PoolName

MOST_SESSIONS: Final = 65_536
"""Sessions that one worker remembers, some 400 bytes each. Beyond it a connection counts as a
session of its own, as long as it is open: nobody else's is forgotten for it."""

LOOKS_PER_TICK: Final = 1_000
"""Sessions looked at in one turn of housekeeping, a millisecond of work at most."""

_IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291 §2.5.5.2
_IPV6_BYTES: Final = 16
_IPV6_LINK: Final = 8  # a /64: one host has as many addresses in it as it likes (RFC 8981)


class Session:
    """One client's session with a pool, as this worker knows it.

    Attributes:
        each: Whether each of its connections counts, as its pool wants or as there is no room to
            remember it; then it is never counted itself.
        counted: Whether this worker counts it.
        over: Whether it has been forgotten.
        pool: Where it is remembered; None: nowhere, it is forgotten with its connection.
        waiting: Whether it is to be looked at again, as another worker counts it.
    """

    __slots__ = (
        "backend",
        "client",
        "counted",
        "each",
        "ends",
        "key",
        "open",
        "over",
        "pool",
        "queued",
        "reserved",
        "reserved_until",
        "rules",
        "slot",
        "waiting",
    )

    def __init__(self, pool: "PoolSessions", client: bytes, backend: BackendIndex) -> None:
        """Make one without connections that nobody counts yet."""
        rules = pool.rules
        self.pool: PoolSessions | None = pool
        self.client = client
        self.each = rules.by_connections
        self.rules = rules
        self.key = 0
        self.backend = self.reserved = backend
        self.open = 0
        self.ends = self.reserved_until = 0.0
        self.counted = self.queued = self.over = self.waiting = False
        self.slot: int | None = None


class PoolSessions:
    """The sessions of one pool.

    Attributes:
        name: The pool's.
        rules: Those of the connections that begin.
        homing: Whether a client without a reservation should go where its session is.
        known: By `client_key`.
        asked: Whose key of the shared sessions was asked for last; None: nobody's yet.
        asked_key: That key.
    """

    __slots__ = ("asked", "asked_key", "homing", "known", "name", "rules")

    def __init__(self, name: PoolName, rules: SessionRules) -> None:
        """Begin without sessions."""
        self.name = name
        self.rules = rules
        self.homing = False
        self.known: dict[bytes, Session] = {}
        self.asked: bytes | None = None
        self.asked_key = 0


class Sessions:
    """All sessions of a worker."""

    __slots__ = ("_cells", "_due", "_fresh", "_order", "_pools", "_shared", "_size", "_uncounted")

    def __init__(self, cells: "memoryview[int]", shared: SharedSessions) -> None:
        """Begin without sessions.

        Args:
            cells: This worker's sessions, by backend index.
            shared: What workers tell each other.
        """
        self._cells = Cells(cells)
        self._shared = shared
        self._pools: dict[PoolName, PoolSessions] = {}
        self._size = 0
        self._due: list[tuple[float, int, Session]] = []
        self._order = count()
        self._uncounted: deque[Session] = deque()
        self._fresh: list[Session] = []

    def __len__(self) -> int:
        """Return how many are remembered."""
        return self._size

    def apply(self, rules: Mapping[PoolName, SessionRules]) -> dict[PoolName, PoolSessions]:
        """Go by these rules of each pool from now on; return where the sessions of each are.

        Those of a pool that is gone are remembered as long as they would have been.
        """
        left = {name: pool for name, pool in self._pools.items() if pool.known}
        present = {}
        for name, found in rules.items():
            pool = left.get(name) or PoolSessions(name, found)
            pool.rules = found
            present[name] = pool
        self._pools = left | present
        return present

    def reservation(self, pool: PoolSessions, client: bytes, now: float) -> BackendIndex | None:
        """Return where the client's next new connection to a pool should go, if anywhere.

        Args:
            pool: The pool.
            client: Its `client_key`.
            now: Seconds, monotonic.
        """
        session = pool.known.get(client)
        if session is not None:
            if session.reserved_until > now:
                return session.reserved
            if pool.homing and (session.open or session.ends > now):
                return session.backend
        if self._shared.alone:
            return None
        key = self._key_of(pool, client) if session is None else session.key
        return self._reserved_elsewhere(key, int(now * TICKS), homing=pool.homing)

    def begin(
        self, pool: PoolSessions, client: bytes, backend: BackendIndex, now: float, *, reserve: bool
    ) -> Session:
        """Count a connection of a client to a backend; each is ended by `end` or `withdraw`.

        Args:
            pool: The pool.
            client: Its `client_key`.
            backend: Where the connection was sent.
            now: Seconds, monotonic.
            reserve: Whether the client's next new connections go there too.
        """
        session = pool.known.get(client)
        rules = pool.rules
        reopened = False
        if session is None:
            session = self._new(pool, client, backend, now)
        elif session.backend == backend:
            reopened = True
        else:
            self._discount(session)
            session.backend = backend
            self._count(session, now)
        session.rules = rules
        session.open += 1
        if session.each:
            self._cells.more(backend)
        if reserve and rules.reservation:
            session.reserved = backend
            session.reserved_until = now + rules.reservation
            reopened = False
        if session.slot is None:
            return session
        if not reopened:
            self._tell(session)
        elif session.open == 1:
            self._shared.write_end(session.slot, FOREVER)
        return session

    def end(self, session: Session, backend: BackendIndex, now: float) -> None:
        """Hear that one of its connections, begun with `backend`, has ended."""
        if session.each:
            self._cells.less(backend)
        session.open -= 1
        if session.open or session.pool is None:
            return
        session.ends = now + session.rules.idle
        if session.slot is not None:
            self._shared.write_end(session.slot, int(session.ends * TICKS))
        if not session.queued:
            self._queue(session)

    def withdraw(self, session: Session, backend: BackendIndex, now: float) -> None:
        """Hear that a connection never came about, so that its session has not begun with it."""
        session.reserved_until = 0.0
        pool = session.pool
        if session.open == 1 and not session.queued and pool is not None:
            if session.each:
                self._cells.less(backend)
            session.open = 0
            self._forget(session, pool)
        else:
            self.end(session, backend, now)
            self._tell(session)

    def tick(self, now: float) -> None:
        """Do the housekeeping, once a second: end what is over, settle who counts what."""
        for _ in range(LOOKS_PER_TICK):
            if not self._due or self._due[0][0] > now:
                break
            self._look(heapq.heappop(self._due)[2], now)
        fresh, self._fresh = self._fresh, []
        for session in fresh:
            if session.counted and self._counted_elsewhere(session, now, outranking=True):
                self._discount(session)
                self._look_again_at(session)
                self._tell(session)
        for _ in range(min(len(self._uncounted), LOOKS_PER_TICK)):
            session = self._uncounted.popleft()
            session.waiting = False
            if not session.counted and not session.over:
                self._count(session, now)
                self._tell(session)

    def _reserved_elsewhere(self, key: int, now: int, *, homing: bool) -> BackendIndex | None:
        home = None
        for _, other in self._shared.elsewhere(key, now):
            if other.reserved_until > now:
                return other.reserved
            if homing:
                home = other.backend
        return home

    def _key_of(self, pool: PoolSessions, client: bytes) -> int:
        # Who is asked for is sent somewhere next: hashed once, not for each.
        if pool.asked != client:
            pool.asked = client
            pool.asked_key = self._shared.key_of(pool.name, client)
        return pool.asked_key

    def _new(self, pool: PoolSessions, client: bytes, backend: BackendIndex, now: float) -> Session:
        session = Session(pool, client, backend)
        if self._size >= MOST_SESSIONS:
            session.pool = None
            session.each = True
            return session
        pool.known[client] = session
        self._size += 1
        if not self._shared.alone:
            session.key = self._key_of(pool, client)
            session.slot = self._shared.claim(session.key)
        self._count(session, now)
        return session

    def _count(self, session: Session, now: float) -> None:
        """Count a session, unless another worker does; then look again, now and then."""
        if session.each:
            return
        if self._counted_elsewhere(session, now, outranking=False):
            self._look_again_at(session)
            return
        session.counted = True
        self._cells.more(session.backend)
        if session.slot is not None:
            self._fresh.append(session)

    def _look_again_at(self, session: Session) -> None:
        if not session.waiting:
            session.waiting = True
            self._uncounted.append(session)

    def _discount(self, session: Session) -> None:
        if session.counted:
            session.counted = False
            self._cells.less(session.backend)

    def _counted_elsewhere(self, session: Session, now: float, *, outranking: bool) -> bool:
        if session.slot is None:
            return False
        ticks = int(now * TICKS)
        for segment, other in self._shared.elsewhere(session.key, ticks):
            if (
                other.counted
                and other.backend == session.backend
                and other.ends > ticks
                and (not outranking or self._shared.outranks(segment))
            ):
                return True
        return False

    def _queue(self, session: Session) -> None:
        session.queued = True
        heapq.heappush(self._due, (session.ends, next(self._order), session))

    def _look(self, session: Session, now: float) -> None:
        """End a session whose time is over; one that has been busy since is looked at again."""
        session.queued = False
        pool = session.pool
        if session.open or session.over or pool is None:
            return
        if session.ends > now:
            self._queue(session)
        else:
            self._forget(session, pool)

    def _forget(self, session: Session, pool: PoolSessions) -> None:
        self._discount(session)
        session.over = True
        if session.slot is not None:
            self._shared.free(session.slot)
            session.slot = None
        del pool.known[session.client]
        self._size -= 1

    def _tell(self, session: Session) -> None:
        slot = session.slot
        if slot is None:
            return
        shared = self._shared
        shared.write_reservation(slot, session.reserved, int(session.reserved_until * TICKS))
        shared.write_end(slot, FOREVER if session.open else int(session.ends * TICKS))
        shared.write(slot, session.key, session.backend, counted=session.counted)


def client_key(address: bytes) -> bytes:
    """Return what tells one client from another: an IPv4 address, the /64 of an IPv6 address.

    Args:
        address: Packed, 4 or 16 bytes; of a peer without an IP address, whatever it is.
    """
    if len(address) != _IPV6_BYTES:
        return address
    if address.startswith(_IPV4_MAPPED):
        return address[len(_IPV4_MAPPED) :]
    return address[:_IPV6_LINK]
