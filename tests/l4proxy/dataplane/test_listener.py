"""Accepting: in batches that adapt, never without room, and never in a spin."""

import errno
import os
import socket
from collections.abc import Iterator
from typing import Protocol

import pytest

from l4proxy.dataplane.engine import Engine
from l4proxy.dataplane.listener import Listener
from l4proxy.dataplane.spare import Spare
from l4proxy.dataplane.stream import Stream
from l4proxy.limits import ACCEPT_PAUSE_SECONDS, ACCEPTS_PER_TURN, BACKLOG, EXHAUSTED_SECONDS
from tests.l4proxy.dataplane.loopback import Clock, open_descriptors, quiet

NUMBER = 3
"""Of the listener, in the configuration's order."""


class Host:
    """Takes clients as long as there is room."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.clients: list[Stream] = []
        self.addresses: list[bytes] = []
        self.ports: list[int] = []
        self.numbers: list[int] = []
        self.pauses: list[str] = []
        self.turned_away: list[tuple[bytes, int]] = []
        self.spare = Spare()
        self.failures: list[Exception] = []

    def vacancies(self) -> int:
        """How much room is left."""
        return self.room - len(self.clients)

    def client_accepted(self, sock: Stream, address: bytes, port: int, number: int) -> None:
        """Note the client."""
        self.clients.append(sock)
        self.addresses.append(address)
        self.ports.append(port)
        self.numbers.append(number)

    def client_turned_away(self, sock: Stream, address: bytes, number: int) -> None:
        """Close the client, and note it."""
        sock.close()
        self.turned_away.append((address, number))

    def accept_paused(self, why: str) -> None:
        """Note the pause."""
        self.pauses.append(why)

    def report_failure(self, error: Exception) -> None:
        """Note the failure."""
        self.failures.append(error)

    def close(self) -> None:
        """Close the clients and the spare descriptor."""
        for sock in self.clients:
            sock.close()
        self.spare.give_up()


class Stage:
    """A listener, its host, and clients that connect to it."""

    def __init__(self, engine: Engine, address: str = "127.0.0.1", room: int = 1_000_000) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = socket.create_server((address, 0), family=family, backlog=BACKLOG)
        self.sock.setblocking(False)
        self.name = self.sock.getsockname()
        self.host = Host(room)
        self.listener = Listener(engine, self.sock, self.host, NUMBER)
        self._clients: list[socket.socket] = []

    def connect(self, count: int) -> None:
        """Connect so many clients."""
        self._clients += [socket.create_connection(self.name[:2], timeout=5) for _ in range(count)]

    def close(self) -> None:
        """Close everything."""
        for sock in (self.sock, *self._clients):
            sock.close()
        self.host.close()


class Make(Protocol):
    """Makes stages."""

    def __call__(self, address: str = "127.0.0.1", room: int = 1_000_000) -> Stage:
        """Make one: where it listens, and how many clients fit."""


@pytest.fixture
def stage(engine: Engine) -> Iterator[Make]:
    """Make stages that are closed after the test."""
    made: list[Stage] = []

    def make(address: str = "127.0.0.1", room: int = 1_000_000) -> Stage:
        made.append(Stage(engine, address, room))
        return made[-1]

    yield make
    for found in made:
        found.close()


@pytest.mark.parametrize(("address", "packed"), [("127.0.0.1", 4), ("::1", 16)])
def test_a_client_is_accepted_with_its_address(
    engine: Engine, stage: Make, address: str, packed: int
) -> None:
    """The host gets a connected socket, the client's packed address, its port, the listener."""
    found = stage(address)
    found.connect(1)
    engine.turn(1)
    (client,) = found.host.clients
    assert found.host.addresses == [socket.inet_pton(client.family, address)]
    assert len(found.host.addresses[0]) == packed
    with socket.socket(fileno=os.dup(client.fileno())) as same:
        assert same.getsockname()[:2] == found.name[:2]
        assert found.host.ports == [same.getpeername()[1]]
    assert found.host.numbers == [NUMBER]


def test_the_batch_doubles_while_it_is_full_and_falls_back(engine: Engine, stage: Make) -> None:
    """One, two, four … a turn, at most the bound; a turn that finds too few starts again at one."""
    found = stage()
    assert ACCEPTS_PER_TURN == 8
    found.connect(26)  # 1 + 2 + 4 + 8, then 8, then 3 of 8
    taken = []
    while len(found.host.clients) < 26:
        before = len(found.host.clients)
        engine.turn(1)
        taken.append(len(found.host.clients) - before)
    assert taken == [1, 2, 4, 8, 8, 3]
    found.connect(3)
    engine.turn(1)
    assert len(found.host.clients) == 27


def test_without_room_accepting_rests(clock: Clock, engine: Engine, stage: Make) -> None:
    """A full worker pauses without a spin and takes the waiting clients when there is room."""
    engine.turn(0)
    found = stage(room=1)
    found.connect(3)
    quiet(engine)
    assert len(found.host.clients) == 1
    assert found.host.pauses == ["connections"]
    clock.now += ACCEPT_PAUSE_SECONDS
    quiet(engine)
    assert found.host.pauses == ["connections"] * 2
    found.host.room = 10
    clock.now += ACCEPT_PAUSE_SECONDS
    quiet(engine)
    assert len(found.host.clients) == 3


class Refusing:
    """A listening socket whose next accepts fail."""

    def __init__(self, *errors: OSError) -> None:
        self.family = socket.AF_INET
        self.errors = list(errors)
        self.accepts = 0
        self._sock = socket.create_server(("127.0.0.1", 0))
        self._sock.setblocking(False)
        self._clients: list[socket.socket] = []
        self.connect()

    def connect(self) -> None:
        """Let one more client connect."""
        name = self._sock.getsockname()
        self._clients.append(socket.create_connection(name, timeout=5))

    def fileno(self) -> int:
        """The real one's."""
        return self._sock.fileno()

    def _accept(self) -> tuple[int, tuple[str, int]]:
        self.accepts += 1
        if self.errors:
            raise self.errors.pop(0)
        return self._sock._accept()  # type: ignore[attr-defined, no-any-return]  # noqa: SLF001 - what the listener calls; typeshed does not know it

    def close(self) -> None:
        """Close all ends."""
        for sock in (self._sock, *self._clients):
            sock.close()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_without_descriptors_accepting_rests(clock: Clock, engine: Engine, code: int) -> None:
    """A process or machine that is out of something pauses, says why, and goes on."""
    engine.turn(0)
    host, sock = Host(), Refusing(OSError(code, "none left"))
    Listener(engine, sock, host, 0)  # type: ignore[arg-type]  # plays the socket
    quiet(engine)
    assert (sock.accepts, host.clients) == (1, [])
    assert host.pauses == [errno.errorcode[code].lower()]
    clock.now += ACCEPT_PAUSE_SECONDS
    quiet(engine)
    assert len(host.clients) == 1
    sock.close()
    host.close()


def _used_up(clock: Clock, engine: Engine, host: Host, pauses: int) -> None:
    for _ in range(pauses):
        before = len(host.pauses)
        clock.now += ACCEPT_PAUSE_SECONDS
        quiet(engine)
        assert len(host.pauses) == before + 1


@pytest.mark.parametrize(
    ("code", "ends"), [(errno.EMFILE, True), (errno.ENFILE, True), (errno.ENOMEM, False)]
)
def test_in_a_long_shortage_one_client_a_pause_is_turned_away(
    clock: Clock, engine: Engine, code: int, ends: bool
) -> None:
    """Within the first second all wait; then the spare descriptor ends the one in front."""
    engine.turn(0)
    host = Host()
    patience = round(EXHAUSTED_SECONDS / ACCEPT_PAUSE_SECONDS)
    sock = Refusing(*[OSError(code, "none left")] * (patience + 1))
    Listener(engine, sock, host, 7)  # type: ignore[arg-type]  # plays the socket
    quiet(engine)
    _used_up(clock, engine, host, patience - 1)
    before = open_descriptors()
    assert (host.turned_away, host.clients) == ([], [])
    clock.now += 2 * ACCEPT_PAUSE_SECONDS
    quiet(engine)
    assert host.turned_away == [(bytes([127, 0, 0, 1]), 7)] * ends
    assert open_descriptors() == before  # the spare is back
    sock.close()
    host.close()


def test_a_shortage_that_is_over_does_not_count_for_the_next(clock: Clock, engine: Engine) -> None:
    """Whoever comes in a new shortage waits as long as the first in the old one did."""
    engine.turn(0)
    host, sock = Host(), Refusing(OSError(errno.EMFILE, "none left"))
    Listener(engine, sock, host, 0)  # type: ignore[arg-type]  # plays the socket
    quiet(engine)
    clock.now += EXHAUSTED_SECONDS
    quiet(engine)
    assert len(host.clients) == 1
    sock.errors += [OSError(errno.EMFILE, "none left")]
    sock.connect()
    quiet(engine)
    assert host.pauses == ["emfile"] * 2
    assert host.turned_away == []
    sock.close()
    host.close()


@pytest.mark.parametrize("code", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM])
def test_a_client_gone_before_accept_costs_nothing(engine: Engine, code: int) -> None:
    """The next client is accepted, and nobody is told of a failure."""
    host, sock = Host(), Refusing(OSError(code, "gone"), OSError(code, "gone"))
    Listener(engine, sock, host, 0)  # type: ignore[arg-type]  # plays the socket
    quiet(engine)
    assert len(host.clients) == 1
    assert (host.pauses, host.failures) == ([], [])
    sock.close()
    host.close()


def test_closing_accepts_what_waits(engine: Engine, stage: Make) -> None:
    """Clients in the queue are served; then nobody can connect."""
    found = stage()
    found.connect(20)
    found.listener.close()
    assert len(found.host.clients) == 20
    with pytest.raises(ConnectionRefusedError):
        found.connect(1)


def test_closing_takes_no_more_than_there_is_room_for(engine: Engine, stage: Make) -> None:
    """Without room the rest of the queue is let go."""
    found = stage(room=5)
    found.connect(20)
    found.listener.close()
    assert len(found.host.clients) == 5


def test_closing_ends_though_accepting_always_fails(engine: Engine) -> None:
    """A queue that answers every accept with an error is not asked for ever."""
    host = Host()
    sock = Refusing(*[OSError(errno.EPERM, "filtered") for _ in range(2 * BACKLOG)])
    listener = Listener(engine, sock, host, 0)  # type: ignore[arg-type]  # plays the socket
    listener.close()
    assert sock.accepts == BACKLOG


def test_closing_during_a_pause(clock: Clock, engine: Engine, stage: Make) -> None:
    """A listener that rests may be closed, and hears of no deadline afterwards."""
    engine.turn(0)
    found = stage(room=0)
    found.connect(1)
    quiet(engine)
    found.listener.close()
    clock.now += ACCEPT_PAUSE_SECONDS
    quiet(engine)
    assert found.host.pauses == ["connections"]


def test_an_unforeseen_error_is_reported(engine: Engine, stage: Make) -> None:
    """A failing host loses one client; the listener goes on."""
    found = stage()
    error = RuntimeError("a bug")
    found.listener.on_failure(error)
    found.connect(1)
    engine.turn(1)
    assert found.host.failures == [error]
    assert len(found.host.clients) == 1
