"""Resets: they travel as resets, but never over bytes that are still on their way."""

import socket
import threading
from collections.abc import Iterator
from random import Random

import pytest

from tests.e2e.backends import Backend
from tests.e2e.balancer import Balancer, Start
from tests.e2e.sockets import (
    HELLO,
    NAME,
    TIMEOUT,
    Heard,
    connect,
    exactly,
    hear,
    reset,
    to_the_end,
    wait_delivered,
)
from tests.e2e.waiting import until

BULK = Random(2).randbytes(8 * 1024 * 1024)
"""More than the kernel's buffers on the way can hold."""

AT_ONCE = 10.0
"""Seconds: far below the default of `half_closed`, which ends what nobody has ended."""


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    """Serves as each test says."""
    with Backend(reset) as backend:
        yield backend


@pytest.fixture(scope="module")
def balancer(start_shared: Start, backend: Backend) -> Balancer:
    """A balancer before that backend."""
    return start_shared({"routes": {NAME.decode(): "app"}, "pools": {"app": [backend.address]}})


def _said_hello(balancer: Balancer) -> socket.socket:
    client = connect(balancer.address)
    client.sendall(HELLO)
    return client


def test_a_reset_of_the_client_reaches_the_backend(balancer: Balancer, backend: Backend) -> None:
    """The backend hears that its client is gone, not that it has finished; its bytes come first."""
    heard: list[Heard] = []

    def serve(sock: socket.socket) -> None:
        exactly(sock, len(HELLO))
        sock.sendall(b"go")
        heard.append(hear(sock))

    with backend.serving(serve):
        client = _said_hello(balancer)
        exactly(client, 2)
        client.sendall(b"words")
        wait_delivered(client)
        reset(client)
        until("the backend hears of the reset", lambda: bool(heard))
        balancer.expect_counted("ended", "client_reset")
    assert heard == [Heard(b"words", reset=True)]


def test_a_client_that_ends_and_is_gone_is_noticed_though_nobody_speaks(
    balancer: Balancer, backend: Backend
) -> None:
    """Behind its end of file a reset ends the relay at once; the backend's next words are reset."""
    gone = threading.Event()
    told: list[bool] = []

    def serve(sock: socket.socket) -> None:
        exactly(sock, len(HELLO))
        assert to_the_end(sock) == b"words"
        gone.wait(TIMEOUT)
        until("a send fails", lambda: not _takes(sock), AT_ONCE)
        told.append(True)

    with backend.serving(serve):
        client = _said_hello(balancer)
        client.sendall(b"words")
        client.shutdown(socket.SHUT_WR)
        wait_delivered(client)
        before = balancer.counted("ended", "client_reset")
        reset(client)
        balancer.expect_counted("ended", "client_reset", before + 1)
        gone.set()
        until("the backend has heard", lambda: bool(told), AT_ONCE)


def _takes(sock: socket.socket) -> bool:
    try:
        sock.sendall(b"an answer")
    except OSError:
        return False
    return True


def test_a_reset_of_the_backend_reaches_the_client_behind_its_words(
    balancer: Balancer, backend: Backend
) -> None:
    """What a backend sent before its reset arrives first, also when the client reads late."""
    gone = threading.Event()

    def serve(sock: socket.socket) -> None:
        exactly(sock, len(HELLO))
        sock.sendall(BULK[:1_000_000])
        wait_delivered(sock)
        reset(sock)
        gone.set()

    with backend.serving(serve):
        with _said_hello(balancer) as client:
            received = exactly(client, 100_000)
            assert gone.wait(TIMEOUT)
            heard = hear(client)
        balancer.expect_counted("ended", "backend_reset")
    assert received + heard.data == BULK[:1_000_000]
    assert heard.reset


def test_a_reset_behind_the_end_of_an_answer_leaves_the_answer_whole(
    balancer: Balancer, backend: Backend
) -> None:
    """A backend that answers, ends and then resets has answered: the client hears a plain end."""
    gone = threading.Event()

    def serve(sock: socket.socket) -> None:
        exactly(sock, len(HELLO))
        sock.sendall(BULK[:1_000_000])
        sock.shutdown(socket.SHUT_WR)
        wait_delivered(sock)
        reset(sock)
        gone.set()

    with backend.serving(serve), _said_hello(balancer) as client:
        received = exactly(client, 100_000)
        assert gone.wait(TIMEOUT)
        assert received + to_the_end(client) == BULK[:1_000_000]


def test_a_reset_in_the_middle_of_a_bulk_ends_both_sides(
    balancer: Balancer, backend: Backend
) -> None:
    """A client that resets while the backend sends stops the backend too."""
    stopped = threading.Event()

    def serve(sock: socket.socket) -> None:
        try:
            while True:
                sock.sendall(BULK)
        except (BrokenPipeError, ConnectionResetError):
            stopped.set()

    with backend.serving(serve):
        client = _said_hello(balancer)
        exactly(client, 1_000_000)
        reset(client)
        assert stopped.wait(TIMEOUT)
        until("the balancer has let go", lambda: not balancer.open_connections(), AT_ONCE)


def test_two_that_are_gone_hold_nothing_open(balancer: Balancer, backend: Backend) -> None:
    """When both sides have reset, with bytes between them, the balancer holds neither open."""
    gone = threading.Event()

    def serve(sock: socket.socket) -> None:
        exactly(sock, len(HELLO))
        sock.sendall(BULK[:2_000_000])
        wait_delivered(sock)
        reset(sock)
        gone.set()

    with backend.serving(serve):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(balancer.address)
        client.sendall(HELLO)
        assert gone.wait(TIMEOUT)
        reset(client)
        until("the balancer has let go", lambda: not balancer.open_connections(), AT_ONCE)


def test_a_reset_that_waits_for_a_reader_costs_next_to_nothing(
    balancer: Balancer, backend: Backend
) -> None:
    """While clients that do not read stand between a reset and its end, the worker rests."""
    gone = threading.Semaphore(0)

    def serve(sock: socket.socket) -> None:
        exactly(sock, len(HELLO))
        sock.sendall(BULK[:300_000])
        wait_delivered(sock)
        reset(sock)
        gone.release()

    count = 200
    with backend.serving(serve):
        clients = [socket.socket() for _ in range(count)]
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.connect(balancer.address)
            client.sendall(HELLO)
        assert all(gone.acquire(timeout=TIMEOUT) for _ in clients)
        worker = balancer.worker
        before = worker.cpu_seconds
        threading.Event().wait(3.0)
        assert worker.cpu_seconds - before < 0.2
        for client in clients:
            reset(client)
        until("the balancer has let go", lambda: not balancer.open_connections(), AT_ONCE)
