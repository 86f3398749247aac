"""A relay between a client and a backend that the test plays, all on real connections."""

import socket
from dataclasses import dataclass
from typing import Protocol

from l4proxy.dataplane.backlog import Backlog
from l4proxy.dataplane.direction import Direction
from l4proxy.dataplane.engine import READABLE, Engine
from l4proxy.dataplane.relay import Ending, Relay
from l4proxy.dataplane.stream import Stream
from l4proxy.limits import RESET_DELIVERY_SECONDS
from l4proxy.snapshot import Timeouts
from tests.l4proxy.dataplane.loopback import Clock, Peer, quiet, settle, tcp_pair, undelivered

IDLE = 600.0
HALF_CLOSED = 30.0
TIMEOUTS = Timeouts(3.0, IDLE, HALF_CLOSED, user_timeout=20.0, keepalive=40.0)
PLENTY = 1 << 30


@dataclass
class Around:
    """What a relay finds around it."""

    engine: Engine
    backlog: Backlog


def around(engine: Engine, limit: int = PLENTY) -> Around:
    """This engine, and a budget of its own."""
    return Around(engine, Backlog(limit))


class Joined:
    """Client and backend of one relay; it notes the relay's end, and keeps nothing of the relay."""

    def __init__(
        self,
        engine: Engine,
        *,
        small: bool = False,
        start: bool = True,
        unix: bool = False,
        vsock: bool = False,
        room: Around | None = None,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        near_client, far_client = tcp_pair(small=small)
        near_backend, far_backend = _no_tcp(vsock) if unix or vsock else tcp_pair(small=small)
        self.engine = engine
        self.client = Peer(far_client)
        self.backend = Peer(far_backend)
        self.near_client = near_client
        self.near_backend = near_backend
        self.another = False
        self.given_back = 0
        self.begun: list[bool] = []
        self.looked: list[bytes] = []
        self.looks = 0
        self.endings: list[Ending] = []
        self.failures: list[Exception] = []
        self.counts = (0, 0)
        self._timeouts = timeouts
        self.room = room or around(engine)
        self.relay = Relay(self.room.engine, self.room.backlog, near_client, near_backend, self)
        engine.register(near_client.fileno(), READABLE, self.relay.upstream)
        engine.register(near_backend.fileno(), READABLE, self.relay.downstream)
        if start:
            self.start()

    def start(self) -> None:
        """Begin."""
        self.relay.start(self._timeouts)

    def may_ask_another(self) -> bool:
        """Whatever the test says."""
        return self.another

    def backend_silent(self, relay: Relay) -> None:
        """Take the client back, which is open and watched; the backend's socket is closed."""
        assert relay.backend is self.near_backend
        assert self.near_backend.fileno() == -1
        assert self.near_client.fileno() != -1
        self.given_back += 1

    def relay_begun(self, *, answered: bool) -> None:
        """Note who spoke."""
        self.begun.append(answered)

    def backend_said(self, data: memoryview) -> bool:
        """Note what it said, as long as the test asks for more."""
        self.looked.append(bytes(data))
        return len(self.looked) < self.looks

    def relay_ended(self, relay: Relay, ending: Ending) -> None:
        """Note the end; both sockets are closed by then."""
        assert relay.client.fileno() == relay.backend.fileno() == -1
        self.endings.append(ending)
        self.counts = (relay.upstream.count, relay.downstream.count)

    def relay_failed(self, error: Exception) -> None:
        """Note the error."""
        self.failures.append(error)

    def ended(self) -> bool:
        """Whether the relay has ended."""
        return bool(self.endings)

    def close(self) -> None:
        """Close all that is open."""
        for sock in (self.client.sock, self.backend.sock, self.near_client, self.near_backend):
            sock.close()


def _no_tcp(vsock: bool) -> tuple[Stream, socket.socket]:
    near, far = socket.socketpair()
    if vsock:
        near = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM, 0, near.detach())
    return near, far


BULK = bytes(range(256)) * 16_384
"""4 MiB: more than the kernel holds between small buffers."""


class Join(Protocol):
    """Makes relays."""

    def __call__(
        self,
        *,
        small: bool = False,
        start: bool = True,
        unix: bool = False,
        vsock: bool = False,
        room: Around | None = None,
        timeouts: Timeouts = TIMEOUTS,
    ) -> Joined:
        """Make one.

        Args:
            small: Between sockets that hold little.
            start: Begin at once.
            unix: To a Unix backend.
            vsock: To one whose socket says that it is vsock, which few kernels have: it is Unix's.
            room: What is around it.
            timeouts: Of the relay.
        """


def sides(joined: Joined) -> tuple[tuple[Peer, Peer], tuple[Peer, Peer]]:
    """Client and backend, and the same the other way round."""
    return (joined.client, joined.backend), (joined.backend, joined.client)


def let(clock: Clock, engine: Engine, seconds: float) -> None:
    """Let time pass, and serve what is due."""
    clock.now += seconds
    quiet(engine, 2)


def fill(engine: Engine, source: Peer) -> int:
    """Send until nothing moves: the other side does not read, or is gone; count the bytes."""
    sent = still = 0
    while still < 5:
        try:
            more = source.say(BULK[sent % 256 :][: 1 << 20])
        except ConnectionError:
            break
        sent += more
        still = 0 if more else still + 1
        engine.turn(0.001)
    return sent


def until_delivered(
    clock: Clock, engine: Engine, joined: Joined, seconds: float = 2 * HALF_CLOSED
) -> None:
    """Let the looks at a waiting reset be due until the relay has ended, at most `seconds`."""
    limit = clock.now + seconds

    def ended() -> bool:
        clock.now += RESET_DELIVERY_SECONDS
        assert clock.now < limit
        return joined.ended()

    settle(engine, ended)


def stuck(engine: Engine, direction: Direction) -> bool:
    """Whether the kernel of the sink holds bytes longer than any acknowledgement takes."""
    for _ in range(50):  # at least 50 ms; an acknowledgement is delayed by 40 at the longest
        if not undelivered(direction.sink):
            return False
        engine.turn(0.001)
    return undelivered(direction.sink) > 0
