"""Opening the connection to a backend: what was said first arrives, and every failure is told."""

import errno
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from l4proxy.dataplane.dial import Call, DialFailed, Dialled, dial, leaving_from
from l4proxy.dataplane.engine import Engine
from l4proxy.limits import SOURCE_ATTEMPTS, UNIX_RETRY_SECONDS
from l4proxy.snapshot import Dialling
from routing import Address
from tests.l4proxy.dataplane.loopback import (
    Clock,
    open_descriptors,
    quiet,
    settle,
)
from tests.ports import free_port

HELLO = b"hello"
TIMEOUT = 3.0


class Dialler:
    """Takes outcomes; closes what it got."""

    def __init__(self, error: Exception | None = None) -> None:
        self.outcomes: list[Dialled | DialFailed] = []
        self.failures: list[Exception] = []
        self.cuts = 0
        self._error = error

    def dialled(self, outcome: Dialled | DialFailed) -> None:
        """Note the outcome."""
        self.outcomes.append(outcome)
        if self._error is not None:
            raise self._error

    def on_failure(self, error: Exception) -> None:
        """Note the failure."""
        self.failures.append(error)

    def cut(self) -> None:
        """Note it."""
        self.cuts += 1

    def connected(self) -> Dialled:
        """The one outcome, a connection."""
        (outcome,) = self.outcomes
        assert isinstance(outcome, Dialled)
        return outcome

    def failed(self) -> DialFailed:
        """The one outcome, a failure."""
        (outcome,) = self.outcomes
        assert isinstance(outcome, DialFailed)
        return outcome


class Full:
    """A backend whose queue of waiting connections is full, so that a new one gets no answer."""

    def __init__(self) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.address = Address("127.0.0.1", self.sock.getsockname()[1])
        self._waiting = [socket.create_connection(self.sock.getsockname(), timeout=5)]
        self._accepted: list[socket.socket] = []

    def make_room(self) -> None:
        """Accept what waits: the next try of the new connection succeeds, a second later."""
        self._accepted.append(self.sock.accept()[0])

    def accept(self) -> socket.socket:
        """Wait for the new connection."""
        self.sock.settimeout(10)
        self._accepted.append(self.sock.accept()[0])
        return self._accepted[-1]

    def close(self) -> None:
        """Close everything."""
        for sock in (self.sock, *self._waiting, *self._accepted):
            sock.close()


@pytest.fixture
def full() -> Iterator[Full]:
    """A backend with a full queue."""
    made = Full()
    yield made
    made.close()


def call(port: int, host: str = "127.0.0.1", hello: bytes = HELLO) -> Call:
    """What to dial."""
    return Call(Address(host, port), hello, TIMEOUT)


@pytest.mark.parametrize(("family", "host"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_a_near_backend_answers_at_once(engine: Engine, family: str, host: str) -> None:
    """Connect and first send need no wait, and the backend hears the hello."""
    with socket.create_server((host, 0), family=socket.AddressFamily[family]) as server:
        dialler = Dialler()
        dial(engine, call(server.getsockname()[1], host), dialler)
        outcome = dialler.connected()
        assert (outcome.unsent, outcome.registered) == (b"", False)
        backend, _ = server.accept()
        with backend:
            assert backend.recv(100) == HELLO
        outcome.sock.close()


def test_a_hello_is_sent_as_far_as_it_goes(engine: Engine) -> None:
    """What the socket does not take is the dialler's to send later."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        dialler = Dialler()
        dial(engine, call(server.getsockname()[1], hello=bytes(16 << 20)), dialler)
        outcome = dialler.connected()
        assert 0 < len(outcome.unsent) < 16 << 20
        outcome.sock.close()


def test_a_refusal_is_told(engine: Engine) -> None:
    """A port on which nobody listens refuses, and leaves nothing open."""
    before = open_descriptors()
    dialler = Dialler()
    dial(engine, call(free_port()), dialler)
    settle(engine, lambda: bool(dialler.outcomes))
    assert dialler.failed().reason == "econnrefused"
    assert dialler.failed().explanation == "Connection refused"
    assert open_descriptors() == before


def test_an_address_without_a_way_is_told(engine: Engine) -> None:
    """A connect that fails at once, as to a broadcast address, is told with its errno."""
    before = open_descriptors()
    dialler = Dialler()
    dial(engine, call(443, "255.255.255.255"), dialler)
    assert dialler.failed().code in {errno.ENETUNREACH, errno.EACCES}
    assert open_descriptors() == before


def test_a_label_for_every_errno() -> None:
    """Even an errno that nobody knows has a label and a text."""
    assert DialFailed(123_456).reason == "unknown"
    assert DialFailed(123_456).explanation


def test_silence_is_told_at_the_deadline(clock: Clock, engine: Engine, full: Full) -> None:
    """A backend that does not answer has failed at the deadline and not before."""
    engine.turn(0)
    before = open_descriptors()
    dialler = Dialler()
    dial(engine, Call(full.address, HELLO, TIMEOUT), dialler)
    clock.now += TIMEOUT - 0.001
    quiet(engine)
    assert dialler.outcomes == []
    clock.now += 0.001
    engine.turn(0)
    assert dialler.failed() == DialFailed(errno.ETIMEDOUT)
    assert open_descriptors() == before
    clock.now += 2 * TIMEOUT
    engine.turn(0)
    assert len(dialler.outcomes) == 1


def test_a_far_backend_is_waited_for(engine: Engine, full: Full) -> None:
    """A connect that takes time sends the hello when it is done; the engine knows the socket."""
    dialler = Dialler()
    dial(engine, Call(full.address, HELLO, TIMEOUT), dialler)
    assert dialler.outcomes == []
    full.make_room()
    settle(engine, lambda: bool(dialler.outcomes))
    outcome = dialler.connected()
    assert (outcome.unsent, outcome.registered) == (b"", True)
    assert full.accept().recv(100) == HELLO
    engine.forget(outcome.sock.fileno())
    outcome.sock.close()


# --- where to leave from -------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "source"), [("127.0.0.1", "127.0.0.9"), ("::1", "::1")])
def test_a_dial_leaves_from_its_source(engine: Engine, host: str, source: str) -> None:
    """The backend sees the source; its port is chosen at connect, so ports last (ip(7))."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        dialler = Dialler()
        address = Address(host, server.getsockname()[1])
        dial(engine, Call(address, HELLO, TIMEOUT, source), dialler)
        backend, name = server.accept()
        assert name[0] == source
        sock = dialler.connected().sock
        assert any(sock.getsockopt(socket.IPPROTO_IP, 24, 4))  # IP_BIND_ADDRESS_NO_PORT
        backend.close()
        sock.close()


@pytest.mark.parametrize("source", ["198.51.100.1", "not an address"])
def test_a_source_that_is_not_ours_is_told(engine: Engine, source: str) -> None:
    """Nothing is dialled, nothing stays open, and the failure has its errno."""
    before = open_descriptors()
    dialler = Dialler()
    dial(engine, Call(Address("127.0.0.1", 443), HELLO, TIMEOUT, source), dialler)
    assert dialler.failed().reason in {"eaddrnotavail", "emfile", "unknown"}
    assert open_descriptors() == before


# --- unix sockets --------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a Unix backend is."""
    return str(tmp_path / "backend")


class Busy:
    """A Unix backend whose queue is full."""

    def __init__(self, path: str) -> None:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(0)
        self.address = Address(path, 0)
        self._first = socket.socket(socket.AF_UNIX)
        self._first.connect(path)

    def make_room(self) -> None:
        """Accept what waits."""
        self.server.accept()[0].close()

    def close(self) -> None:
        """Close both ends."""
        self.server.close()
        self._first.close()


@pytest.fixture
def busy(path: str) -> Iterator[Busy]:
    """A Unix backend with a full queue."""
    made = Busy(path)
    yield made
    made.close()


def test_a_unix_backend_answers_at_once(engine: Engine, path: str) -> None:
    """A source says nothing to a path, and the backend hears the words."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        dialler = Dialler()
        dial(engine, Call(Address(path, 0), HELLO, TIMEOUT, "127.0.0.1"), dialler)
        outcome = dialler.connected()
        assert (outcome.unsent, outcome.registered) == (b"", False)
        backend, _ = server.accept()
        assert backend.recv(100) == HELLO
        backend.close()
        outcome.sock.close()


def test_a_path_without_a_backend_is_told(engine: Engine, path: str) -> None:
    """Nobody has bound it: the failure says so."""
    dialler = Dialler()
    dial(engine, Call(Address(path, 0), HELLO, TIMEOUT), dialler)
    assert dialler.failed().reason == "enoent"


def test_a_full_unix_queue_is_asked_again(clock: Clock, engine: Engine, busy: Busy) -> None:
    """On the timer, until there is room; then the words are sent, by a socket that is watched."""
    engine.turn(0)
    dialler = Dialler()
    dial(engine, Call(busy.address, HELLO, TIMEOUT), dialler)
    for _ in range(3):
        clock.now += UNIX_RETRY_SECONDS
        quiet(engine)
        assert dialler.outcomes == []
    busy.make_room()
    quiet(engine)
    assert dialler.outcomes == []  # nothing tells us of room
    clock.now += UNIX_RETRY_SECONDS
    quiet(engine)
    outcome = dialler.connected()
    assert (outcome.unsent, outcome.registered) == (b"", True)
    backend, _ = busy.server.accept()
    assert backend.recv(100) == HELLO
    backend.close()
    engine.forget(outcome.sock.fileno())
    outcome.sock.close()
    clock.now += 2 * TIMEOUT
    quiet(engine)
    assert len(dialler.outcomes) == 1


def test_a_full_unix_queue_costs_the_timeout(clock: Clock, engine: Engine, busy: Busy) -> None:
    """At the deadline the dial has failed, however often it asked."""
    engine.turn(0)
    before = open_descriptors()
    dialler = Dialler()
    dial(engine, Call(busy.address, HELLO, TIMEOUT), dialler)
    clock.now += TIMEOUT - 0.001
    quiet(engine)
    assert dialler.outcomes == []
    clock.now += UNIX_RETRY_SECONDS
    quiet(engine)
    assert dialler.failed() == DialFailed(errno.ETIMEDOUT)
    assert open_descriptors() == before


def test_a_unix_backend_that_goes_away_is_told(clock: Clock, engine: Engine, busy: Busy) -> None:
    """Between two tries nobody listens any more."""
    engine.turn(0)
    dialler = Dialler()
    dial(engine, Call(busy.address, HELLO, TIMEOUT), dialler)
    busy.server.close()
    clock.now += UNIX_RETRY_SECONDS
    quiet(engine)
    assert dialler.failed().reason == "econnrefused"


# --- what no real socket does on demand ----------------------------------------------------------


class Scripted:
    """A socket whose connect never finishes by itself: each send does what the test says next."""

    def __init__(self, *sends: OSError | int) -> None:
        self.family = socket.AF_INET
        self._sends = list(sends)
        self._sock, self._far = socket.socketpair()

    def send(self, _data: bytes, _flags: int) -> int:
        """Do the next thing."""
        step = self._sends.pop(0)
        if isinstance(step, OSError):
            raise step
        return step

    def setsockopt(self, _level: int, _option: int, _value: int) -> None:
        """Take any option."""

    def connect_ex(self, _address: tuple[str, int]) -> int:
        """Begin to connect."""
        return errno.EINPROGRESS

    def fileno(self) -> int:
        """A descriptor that is ready for writing, as after a failed connect."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close."""
        self._sock.close()
        self._far.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "econnrefused"),
        (OSError(errno.EHOSTUNREACH, "no route"), "ehostunreach"),
        (OSError(), "eio"),
    ],
)
@pytest.mark.parametrize("waits", [0, 1, 2])
def test_a_failure_found_by_the_send_is_told(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    reason: str,
    waits: int,
) -> None:
    """Whether the first send finds it or a later one: one outcome, the socket closed."""
    sock = Scripted(*[BlockingIOError() for _ in range(waits)], error)
    monkeypatch.setattr("l4proxy.dataplane.dial.unconnected", lambda *_: sock)
    dialler = Dialler()
    dial(engine, call(443), dialler)
    for _ in range(waits):
        engine.modify(sock.fileno(), select.EPOLLOUT | select.EPOLLET)  # a new edge
        engine.turn(0)
    assert dialler.failed().reason == reason
    assert sock.fileno() == -1


def test_an_error_of_the_dialler_ends_the_dial(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unforeseen error behind a connect that waited goes to the dialler; nothing stays open."""
    sock = Scripted(BlockingIOError(), len(HELLO))
    monkeypatch.setattr("l4proxy.dataplane.dial.unconnected", lambda *_: sock)
    error = RuntimeError("a bug")
    dialler = Dialler(error)
    dial(engine, call(443), dialler)
    engine.turn(0)
    assert dialler.failures == [error]
    assert sock.fileno() == -1


OUT_OF_DESCRIPTORS = """
import resource
from l4proxy.dataplane.dial import Call, dial
from l4proxy.dataplane.engine import Engine
from l4proxy.limits import UNIX_RETRY_SECONDS
from routing import Address
from tests.ports import free_port

class Dialler:
    def dialled(self, outcome):
        print(outcome.reason)

engine = Engine()
resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
dial(engine, Call(Address("127.0.0.1", 443), b"hello", 1.0), Dialler())
"""


def test_no_descriptor_left_is_told() -> None:
    """A process that is out of descriptors says so instead of failing."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 4
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_DESCRIPTORS],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout == "emfile\n"


def test_a_dial_that_waits_is_cut(engine: Engine, full: Full) -> None:
    """At the end of the process its socket is closed and the dialler hears so, nothing else."""
    dialler, before = Dialler(), open_descriptors()
    dial(engine, Call(full.address, HELLO, TIMEOUT), dialler)
    engine.cut()
    assert (dialler.cuts, dialler.outcomes) == (1, [])
    assert open_descriptors() == before


def test_sources_are_those_of_the_family_and_few() -> None:
    """Any of the configured ones, each once, no more than are tried; a unix socket has none."""
    sources = tuple(f"127.0.0.{number}" for number in range(1, 21))
    dialling = Dialling(sources=(*sources, "::1"))
    found = leaving_from(dialling, Address("127.0.0.1", 1))
    assert len(set(found)) == len(found) == SOURCE_ATTEMPTS
    assert set(found) <= set(sources)
    assert leaving_from(dialling, Address("::1", 1)) == ["::1"]
    assert leaving_from(dialling, Address("/run/socket", 0)) == []
