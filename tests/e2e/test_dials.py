"""Dials: a backend that does not answer costs its client a moment, not the connection."""

import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.e2e.backends import Backend, echo, naming
from tests.e2e.balancer import Balancer, Start
from tests.e2e.sockets import HELLO, NAME, TIMEOUT, Heard, alert, connect, exactly, hear, say
from tests.e2e.waiting import until
from tests.ports import free_port

FIRST = {"weight": 256}
"""With `least_sessions` the heaviest of the idle backends is chosen first, always."""


def _balance(start: Start, *backends: object, **pool: object) -> Balancer:
    chosen = {"backends": list(backends), "balance": "least_sessions", **pool}
    return start({"routes": {NAME.decode(): "app"}, "pools": {"app": chosen}})


def _mute(sock: socket.socket) -> None:
    exactly(sock, len(HELLO))


def _mute_when_asked(sock: socket.socket) -> None:
    exactly(sock, len(HELLO + b"question"))


@dataclass(frozen=True, slots=True)
class Deaf:
    """A listening socket whose queue is full: it lets a connect wait until somebody accepts.

    Attributes:
        address: As the configuration writes it.
    """

    address: str
    _listening: socket.socket
    _knocking: list[socket.socket]

    def accept(self) -> socket.socket:
        """Accepts the first that is not one of those who fill the queue."""
        ours = {sock.getsockname() for sock in self._knocking}
        while True:
            sock, name = self._listening.accept()
            if name not in ours:
                sock.settimeout(TIMEOUT)
                return sock
            sock.close()


@contextmanager
def _deaf() -> Iterator[Deaf]:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        listening.settimeout(TIMEOUT)
        host, port = listening.getsockname()
        knocking = [stack.enter_context(socket.socket()) for _ in range(2)]
        for sock in knocking:  # the kernel takes one more than the backlog
            sock.setblocking(False)
            sock.connect_ex((host, port))
        yield Deaf(f"{host}:{port}", listening, knocking)


def test_a_backend_that_refuses_is_passed_over(start: Start) -> None:
    """When the first choice refuses the dial, the next serves the client, who notices nothing."""
    closed = f"127.0.0.1:{free_port()}"
    with Backend(naming(b"second")) as backend:
        down = {"address": closed, "name": "down", **FIRST}
        balancer = _balance(start, down, backend.address)
        for _ in range(10):
            assert say(balancer.address, HELLO) == Heard(b"second")
        until("failed dials are counted", lambda: _failures(balancer, "econnrefused") == 10)


def test_a_backend_that_says_nothing_is_passed_over(start: Start) -> None:
    """A backend that takes the hello and goes without a byte costs its client nothing either."""
    with Backend(_mute) as mute, Backend(naming(b"second")) as backend:
        first = {"address": mute.address, **FIRST}
        balancer = _balance(start, first, backend.address)
        for _ in range(10):
            assert say(balancer.address, HELLO) == Heard(b"second")
        until("they are counted", lambda: _failures(balancer, "no_answer") == 10)
        assert mute.accepted == 10


def test_what_a_client_said_after_its_hello_is_said_to_one_backend_only(start: Start) -> None:
    """Once more than the hello has gone to a backend, no other is asked, whatever happens to it."""
    with Backend(_mute_when_asked) as mute, Backend(naming(b"second")) as backend:
        first = {"address": mute.address, **FIRST}
        balancer = _balance(start, first, backend.address)
        with connect(balancer.address) as client:
            client.sendall(HELLO)
            until("the backend has the hello", lambda: mute.accepted == 1)
            client.sendall(b"question")
            assert not hear(client).data
        assert backend.accepted == 0


def test_a_backend_that_does_not_answer_is_passed_over(start: Start) -> None:
    """A dial that takes longer than `connect` has failed, and the next backend is dialled."""
    with _deaf() as deaf, Backend(naming(b"second")) as backend:
        mute = {"address": deaf.address, **FIRST}
        balancer = _balance(start, mute, backend.address, timeouts={"connect": "100ms"})
        assert say(balancer.address, HELLO) == Heard(b"second")
        until("the failed dial is counted", lambda: _failures(balancer, "etimedout") == 1)


def test_a_pool_that_is_down_is_said_to_be(start: Start) -> None:
    """When every backend refuses the dial, the client hears internal_error."""
    balancer = _balance(start, *(f"127.0.0.1:{free_port()}" for _ in range(5)))
    assert say(balancer.address, HELLO) == alert(80)
    balancer.expect_counted("refused", "no_backend_answered")


def test_a_backend_that_comes_back_is_used_at_once(start: Start) -> None:
    """A failed dial is not held against a backend: the next client may find it there."""
    port = free_port()
    balancer = _balance(start, f"127.0.0.1:{port}")
    assert say(balancer.address, HELLO) == alert(80)
    with Backend(naming(b"back"), port=port):
        assert say(balancer.address, HELLO) == Heard(b"back")


def test_what_a_backend_says_before_the_hello_is_not_lost(start: Start) -> None:
    """A backend may have spoken, and ended, by the time that a slow dial is done."""
    with _deaf() as deaf:
        balancer = _balance(start, deaf.address)
        worker = balancer.worker
        with connect(balancer.address) as client:
            client.sendall(HELLO)
            until("the dial waits", lambda: balancer.open_connections() == 1)
            worker.signal(signal.SIGSTOP)
            try:
                sock = deaf.accept()
                sock.sendall(b"greetings")
                sock.shutdown(socket.SHUT_WR)
            finally:
                worker.signal(signal.SIGCONT)
            with sock:
                assert hear(client) == Heard(b"greetings")
                assert exactly(sock, len(HELLO)) == HELLO


def test_a_dial_in_progress_outlives_its_pool(start: Start) -> None:
    """A client whose pool a reload removes while its backend is dialled is still served."""
    with _deaf() as deaf, Backend(echo) as other:
        pools = {"app": [deaf.address], "other": [other.address]}
        routes = {NAME.decode(): "app", "other.example.com": "other"}
        balancer = start({"routes": routes, "pools": pools})
        with connect(balancer.address) as client:
            client.sendall(HELLO)
            until("the dial waits", lambda: balancer.open_connections() == 1)
            later = {"routes": {"other.example.com": "other"}, "pools": {"other": [other.address]}}
            balancer.reload(later)
            with deaf.accept() as sock:
                assert exactly(sock, len(HELLO)) == HELLO
                sock.sendall(b"served")
                sock.shutdown(socket.SHUT_WR)
                assert hear(client) == Heard(b"served")
        until("nothing is left open", lambda: balancer.open_connections() == 0)


def _failures(balancer: Balancer, reason: str) -> int:
    lines = balancer.page("/metrics").splitlines()
    found = [line for line in lines if "dial_failures_total{" in line and f'"{reason}"' in line]
    return int(sum(float(line.split()[-1]) for line in found))
