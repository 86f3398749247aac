"""The end of one direction: it travels on, and the other direction goes on."""

import socket
import threading
import time
from collections.abc import Iterator
from random import Random

import pytest

from tests.e2e.backends import Backend
from tests.e2e.balancer import Balancer, Start
from tests.e2e.sockets import (
    HELLO,
    NAME,
    SILENT,
    TIMEOUT,
    Heard,
    connect,
    exactly,
    hear,
    to_the_end,
    wait_delivered,
)
from tests.e2e.waiting import until

BULK = Random(1).randbytes(3 * 1024 * 1024)
"""More than all buffers on the way hold unasked, so that ends meet bytes that still travel."""


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    """Serves as each test says."""
    with Backend(socket.socket.close) as backend:
        yield backend


@pytest.fixture(scope="module")
def balancer(start_shared: Start, backend: Backend) -> Balancer:
    """A balancer before that backend."""
    return start_shared({"routes": {NAME.decode(): "app"}, "pools": {"app": [backend.address]}})


@pytest.fixture(scope="module")
def hurried(start_shared: Start, backend: Backend) -> Balancer:
    """Another one, with the shortest timeouts, and its client's names for them."""
    half_closed = {"backends": [backend.address], "timeouts": {"half_closed": "1s"}}
    idle = {"backends": [backend.address], "timeouts": {"idle": "1s"}}
    routes = {NAME.decode(): "half_closed", "idl.example.com": "idle"}
    return start_shared({"routes": routes, "pools": {"half_closed": half_closed, "idle": idle}})


def _said_hello(balancer: Balancer) -> socket.socket:
    client = connect(balancer.address)
    client.sendall(HELLO)
    return client


def _with_little_room(balancer: Balancer) -> socket.socket:
    """A client that has said hello, in whose receive buffer little waits."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.settimeout(TIMEOUT)
    client.connect(balancer.address)
    client.sendall(HELLO)
    return client


def test_a_client_that_has_ended_hears_the_whole_answer(
    balancer: Balancer, backend: Backend
) -> None:
    """Behind the client's end of file the backend may go on, and all of it arrives."""

    def serve(sock: socket.socket) -> None:
        assert to_the_end(sock) == HELLO + b"question"
        sock.sendall(BULK)

    with backend.serving(serve), _said_hello(balancer) as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert hear(client) == Heard(BULK)


def test_a_backend_that_has_ended_hears_the_whole_question(
    balancer: Balancer, backend: Backend
) -> None:
    """Behind the backend's end of file the client may go on, and all of it arrives."""
    heard: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        exactly(sock, len(HELLO))
        sock.sendall(b"all I have")
        sock.shutdown(socket.SHUT_WR)
        heard.append(to_the_end(sock))

    with backend.serving(serve):
        with _said_hello(balancer) as client:
            assert hear(client) == Heard(b"all I have")
            client.sendall(BULK)
        until("the backend has heard all", lambda: bool(heard))
    assert heard == [BULK]


def test_both_ends_at_once_lose_nothing(balancer: Balancer, backend: Backend) -> None:
    """Both sides send a bulk and their end of file at once; both bulks arrive whole."""
    heard: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        sender = threading.Thread(target=_send_and_end, args=[sock])
        sender.start()
        heard.append(to_the_end(sock))
        sender.join()

    with backend.serving(serve):
        with _said_hello(balancer) as client:
            sender = threading.Thread(target=_send_and_end, args=[client])
            sender.start()
            assert hear(client) == Heard(BULK)
            sender.join()
        until("the backend has heard all", lambda: bool(heard))
    assert heard == [HELLO + BULK]


@pytest.mark.parametrize("size", [len(HELLO), 1], ids=["whole", "in two"])
def test_a_hello_with_its_end_in_the_same_segment_is_served(
    balancer: Balancer, backend: Backend, size: int
) -> None:
    """A client may end in the very segment that ends its hello."""

    def serve(sock: socket.socket) -> None:
        assert to_the_end(sock) == HELLO
        sock.sendall(b"served")

    with backend.serving(serve), connect(balancer.address) as client:
        client.sendall(HELLO[: len(HELLO) - size])
        client.send(HELLO[len(HELLO) - size :], socket.MSG_MORE)
        client.shutdown(socket.SHUT_WR)
        assert hear(client) == Heard(b"served")


def test_a_finished_answer_outlives_its_backend(balancer: Balancer, backend: Backend) -> None:
    """Bytes for a backend that answered, ended and went do not destroy the answer on its way."""
    gone = threading.Event()

    def serve(sock: socket.socket) -> None:
        exactly(sock, len(HELLO))
        sock.sendall(BULK)
        sock.shutdown(socket.SHUT_WR)
        wait_delivered(sock)
        sock.close()
        gone.set()

    with backend.serving(serve), _with_little_room(balancer) as client:
        received = bytearray()
        while not gone.wait(0.005):  # slowly, so that much is on its way when the backend goes
            received += client.recv(16_384)
        for _ in range(20):  # for longer than a refused client is listened to
            client.sendall(b"more")
            received += client.recv(1_024)
            time.sleep(0.1)
        assert len(received) < len(BULK)
        assert bytes(received) + to_the_end(client) == BULK


def test_a_silent_half_is_cut(hurried: Balancer, backend: Backend) -> None:
    """When one direction has ended and the other is silent for `half_closed`, both are closed."""
    over = threading.Event()

    def serve(sock: socket.socket) -> None:
        assert to_the_end(sock) == HELLO
        over.wait(TIMEOUT)

    with backend.serving(serve):
        with _said_hello(hurried) as client:
            client.shutdown(socket.SHUT_WR)
            assert hear(client) == SILENT
        over.set()
        hurried.expect_counted("ended", "half_closed_timeout")


def test_a_silent_connection_is_cut(hurried: Balancer, backend: Backend) -> None:
    """When neither side has said anything for `idle`, both are closed."""
    hello = HELLO.replace(NAME, b"idl.example.com")
    heard: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        heard.append(to_the_end(sock))

    with backend.serving(serve):
        with connect(hurried.address) as client:
            client.sendall(hello)
            assert hear(client) == SILENT
        until("the backend hears of the end", lambda: bool(heard))
        hurried.expect_counted("ended", "idle_timeout")
    assert heard == [hello]


def _send_and_end(sock: socket.socket) -> None:
    sock.sendall(BULK)
    sock.shutdown(socket.SHUT_WR)
