"""Dialling vsock: live where this kernel can, and by its peculiarities everywhere."""

import errno
import select
import socket
import sys
from collections.abc import Iterator
from itertools import repeat

import pytest

from l4proxy.dataplane.dial import Call, DialFailed, Dialled, dial, leaving_from
from l4proxy.dataplane.engine import Engine
from l4proxy.snapshot import Dialling
from routing import Address
from tests.l4proxy.dataplane.loopback import Clock, open_descriptors, quiet, settle
from tests.l4proxy.vsock import vsock_server

HELLO = b"hello"
TIMEOUT = 0.2
ENCLAVE = Address("vsock:16", 8443)
NOWHERE = Address("vsock:4294967294", 8443)


class Dialler:
    """Takes outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[Dialled | DialFailed] = []

    def dialled(self, outcome: Dialled | DialFailed) -> None:
        """Note the outcome."""
        self.outcomes.append(outcome)

    def cut(self) -> None:
        """Never called here."""

    def on_failure(self, error: Exception) -> None:
        """Fail the test."""
        raise error

    def told(self) -> bool:
        """Whether there is an outcome."""
        return bool(self.outcomes)

    def failed(self) -> DialFailed:
        """The one outcome, a failure."""
        (outcome,) = self.outcomes
        assert isinstance(outcome, DialFailed)
        return outcome


class Connecting:
    """A vsock as the kernel has it while it connects: no send before that is done."""

    def __init__(self) -> None:
        self.family = socket.AF_VSOCK
        self.place: object = None
        self.fault = 0
        self.sock, self.far = socket.socketpair()
        self.sock.setblocking(False)
        self.far.settimeout(5)
        # Nothing can be sent, so the engine hears nothing, until the other end reads.
        for _ in repeat(None):
            try:
                self.sock.send(bytes(1 << 16))
            except BlockingIOError:
                break

    def connect_ex(self, place: object) -> int:
        """Begin."""
        self.place = place
        return errno.EINPROGRESS

    def getsockopt(self, level: int, option: int, buflen: int) -> bytes:
        """Say why it could not be connected."""
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR)
        return self.fault.to_bytes(buflen, sys.byteorder)

    def send(self, data: bytes, _flags: int) -> int:
        """Take the words once it is connected."""
        assert select.select([], [self.sock], [], 0)[1], "a send while it connects"
        if self.fault:
            raise OSError(errno.ENOTCONN, "not connected")
        return self.sock.send(data)

    def end(self, fault: int = 0) -> None:
        """Be connected, or not, for a reason."""
        self.fault = fault
        while select.select([self.far], [], [], 0)[0]:
            self.far.recv(1 << 20)

    def fileno(self) -> int:
        """The descriptor."""
        return self.sock.fileno()

    def close(self) -> None:
        """Close."""
        self.sock.close()


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connecting]:
    """The socket of the next dial; it has no `setsockopt` and no `bind`: none may be asked for."""
    made = Connecting()
    asked: list[int] = []

    def sock(family: int, _kind: int, _protocol: int) -> Connecting:
        asked.append(family)
        return made

    monkeypatch.setattr("l4proxy.dataplane.dial.SocketType", sock)
    yield made
    assert asked == [socket.AF_VSOCK]
    made.sock.close()
    made.far.close()


def test_the_words_follow_the_connect(engine: Engine, connecting: Connecting) -> None:
    """By context id and port, without an option of TCP, from no source; not a send too early."""
    dialler = Dialler()
    dial(engine, Call(ENCLAVE, HELLO, TIMEOUT, "127.0.0.1"), dialler)
    assert (connecting.place, dialler.outcomes) == ((16, 8443), [])
    connecting.end()
    settle(engine, dialler.told)
    (outcome,) = dialler.outcomes
    assert isinstance(outcome, Dialled)
    assert (outcome.unsent, outcome.registered) == (b"", True)
    assert connecting.far.recv(100) == HELLO
    engine.forget(connecting.fileno())


@pytest.mark.parametrize(
    ("fault", "reason"), [(errno.ECONNRESET, "econnreset"), (errno.ETIMEDOUT, "etimedout")]
)
def test_why_it_failed_is_asked_for(
    engine: Engine, connecting: Connecting, fault: int, reason: str
) -> None:
    """The send says no more than that there is no connection."""
    dialler = Dialler()
    dial(engine, Call(ENCLAVE, HELLO, TIMEOUT), dialler)
    connecting.end(fault)
    settle(engine, dialler.told)
    assert dialler.failed().reason == reason
    assert connecting.fileno() == -1


def test_a_connect_that_takes_too_long_has_failed(
    clock: Clock, engine: Engine, connecting: Connecting
) -> None:
    """The pool's timeout bounds it."""
    engine.turn(0)
    dialler = Dialler()
    dial(engine, Call(ENCLAVE, HELLO, TIMEOUT), dialler)
    quiet(engine)
    assert dialler.outcomes == []
    clock.now += TIMEOUT
    quiet(engine)
    assert dialler.failed() == DialFailed(errno.ETIMEDOUT)
    assert connecting.fileno() == -1


def test_a_machine_that_is_not_there_is_told(engine: Engine) -> None:
    """By whatever this kernel says of it, within the timeout, and nothing stays open."""
    before = open_descriptors()
    dialler = Dialler()
    dial(engine, Call(NOWHERE, HELLO, TIMEOUT), dialler)
    settle(engine, dialler.told)
    assert dialler.failed().reason not in {"unknown", "enotconn"}
    assert open_descriptors() == before


def test_it_is_dialled_from_nowhere() -> None:
    """Source addresses are for IP."""
    assert leaving_from(Dialling(sources=("127.0.0.1", "::1")), ENCLAVE) == []


def test_a_backend_on_vsock_is_spoken_with(engine: Engine) -> None:
    """It hears the words, and is heard."""
    with vsock_server() as (server, address):
        dialler = Dialler()
        dial(engine, Call(address, HELLO, 5.0), dialler)
        settle(engine, dialler.told)
        (outcome,) = dialler.outcomes
        assert isinstance(outcome, Dialled)
        backend, _ = server.accept()
        with backend:
            backend.settimeout(5)
            assert backend.recv(100) == HELLO
            backend.sendall(b"answer")
            assert select.select([outcome.sock], [], [], 5)[0]
            heard = bytearray(100)
            assert heard[: outcome.sock.recv_into(heard)] == b"answer"
        engine.forget(outcome.sock.fileno())
        outcome.sock.close()
