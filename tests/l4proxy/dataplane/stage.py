"""Backends that listen, a room, and clients that arrive in it."""

import select
import socket

from l4proxy.dataplane.connection import Connection
from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.room import Peer as Client
from l4proxy.snapshot import Snapshot
from tests.l4proxy.dataplane.loopback import Clock, Peer, quiet, settle, tcp_pair
from tests.l4proxy.dataplane.room import ENTRANCE, TIMEOUTS, Room, snapshot
from tests.sni import hellos

HELLO = hellos.python_hello("app.example.com")
ADDRESS = bytes([192, 0, 2, 7])
WHO = Client(ADDRESS, 50_000, ENTRANCE)


class Stage:
    """Backends that listen, a room, and clients that arrive in it."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self.servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.room = Room(engine, snapshot(*self.ports))
        self.connections: list[Connection] = []
        self._far: list[socket.socket] = []
        self._near: list[socket.socket] = []

    @property
    def ports(self) -> list[int]:
        """Where the backends listen."""
        return [server.getsockname()[1] for server in self.servers]

    def arrive(self, *said: bytes, who: Client = WHO) -> tuple[Peer, Connection]:
        """A client connects, having said this much already; its connection has begun."""
        near, far = tcp_pair()
        client = Peer(far)
        self._far.append(far)
        self._near.append(near)
        for words in said:
            client.say(words)
        self.room.open += 1
        connection = Connection(self.room, near, who)
        self.connections.append(connection)
        connection.begin()
        return client, connection

    def backend(self, number: int | None = 0) -> Peer:
        """The next connection that this backend gets; None: that any of them gets."""
        asked = self.servers if number is None else [self.servers[number]]
        ready, _, _ = select.select(asked, [], [], 10)
        assert ready
        sock, _ = ready[0].accept()
        self._far.append(sock)
        return Peer(sock)

    def waits(self) -> bool:
        """Whether a connection waits to be taken in by a backend."""
        return bool(select.select(self.servers, [], [], 0)[0])

    def more_backends(self, count: int) -> None:
        """Let so many more listen."""
        self.servers += [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]

    def keep(self, sock: socket.socket) -> None:
        """Close this one too in the end."""
        self._far.append(sock)

    def end(self) -> None:
        """Close all far ends; what still runs hears of it, or meets its deadline."""
        for sock in (*self.servers, *self._far):
            sock.close()
        for _ in range(4):
            self.clock.now += TIMEOUTS.idle
            quiet(self.engine, 2)

    def close(self) -> None:
        """End everything: then all that was taken has been given back."""
        self.end()
        for sock in self._near:
            sock.close()
        assert self.room.balanced
        self.room.close()


def use(stage: Stage, present: Snapshot) -> None:
    """Let connections decide by another snapshot."""
    stage.room.apply(present)


def converse(stage: Stage, client: Peer, backend: Peer, hello: bytes = HELLO) -> None:
    """The backend hears the hello; both talk and end; everything is counted back."""
    engine = stage.engine
    settle(engine, backend.heard_all(hello))
    backend.say(b"answer")
    settle(engine, client.heard_all(b"answer"))
    client.say(b"more")
    settle(engine, backend.heard_all(hello + b"more"))
    client.finish()
    settle(engine, backend.heard_all(hello + b"more", "fin"))
    backend.finish()
    settle(engine, client.heard_all(b"answer", "fin"))
    settle(engine, lambda: stage.room.balanced)
