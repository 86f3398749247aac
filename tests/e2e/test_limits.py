"""Limits: at the brim accepting rests, it does not fail; and nothing is lost bit by bit."""

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.backends import Backend, echo
from tests.e2e.balancer import Balancer, Start, running
from tests.e2e.sockets import HELLO, NAME, TIMEOUT, connect, exactly, hear, reset, say
from tests.e2e.waiting import until
from tests.ports import free_port
from tests.sni.hellos import hello, server_name

ROUTES = {NAME.decode(): "app", "down.example.com": "down"}
ROUNDS = 250
"""Connections of each kind of ending."""


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that sends back what comes."""
    with Backend(echo) as serving:
        yield serving


def _config(backend: Backend) -> dict[str, object]:
    pools = {"app": [backend.address], "down": [f"127.0.0.1:{free_port()}"]}
    return {"routes": ROUTES, "pools": pools}


def _served(clients: list[socket.socket]) -> list[socket.socket]:
    """Those clients that have been answered."""
    found = []
    for client in clients:
        client.setblocking(False)
        try:
            if client.recv(1, socket.MSG_PEEK):
                found.append(client)
        except BlockingIOError:
            pass
        client.settimeout(TIMEOUT)
    return found


def _crowd(stack: ExitStack, balancer: Balancer, count: int) -> list[socket.socket]:
    clients = [stack.enter_context(connect(balancer.address)) for _ in range(count)]
    for client in clients:
        client.sendall(HELLO)
    return clients


def _expect_queue(balancer: Balancer, clients: list[socket.socket], room: int) -> None:
    """So many are served, the others wait; each that leaves lets another in; none is refused."""
    until("there is no more room", lambda: len(_served(clients)) == room)
    time.sleep(0.3)
    while clients:
        served = _served(clients)
        assert len(served) <= room
        for client in served:
            clients.remove(client)
            assert exactly(client, len(HELLO)) == HELLO
            client.close()
        until("the next are served", lambda: not clients or bool(_served(clients)))
    assert not any(balancer.status()["refused"].values())  # type: ignore[union-attr]  # a mapping


def test_over_the_limit_clients_wait(start: Start, backend: Backend) -> None:
    """At `connections` open ones accepting pauses; who waits is served when another leaves."""
    balancer = start({**_config(backend), "limits": {"connections": 4}})
    with ExitStack() as stack:
        clients = _crowd(stack, balancer, 10)
        _expect_queue(balancer, clients, room=4)
    balancer.expect_counted("accept_pauses", "connections")


def test_the_limit_holds_over_all_workers(start: Start, backend: Backend) -> None:
    """`connections` bounds the sum: two workers do not take twice as many."""
    balancer = start({**_config(backend), "limits": {"connections": 4}, "workers": 2})
    with ExitStack() as stack:
        clients = _crowd(stack, balancer, 20)
        until("there is no more room", lambda: len(_served(clients)) >= 4)
        time.sleep(0.3)
        # Both may find the last place free in the same moment.
        assert len(_served(clients)) <= 5


def test_a_small_descriptor_limit_is_planned_with(tmp_path: Path, backend: Backend) -> None:
    """Where the system gives few descriptors, clients wait for one; nobody is refused for it."""
    with running(tmp_path / "small", _config(backend), descriptors=96, sticks=False) as balancer:
        with ExitStack() as stack:
            clients = _crowd(stack, balancer, 40)
            _expect_queue(balancer, clients, room=16)
        assert not balancer.status()["internal_failures"]


def test_running_out_of_descriptors_is_no_spin_and_passes(start: Start, backend: Backend) -> None:
    """A worker that the system denies descriptors rests, and serves again when it has them."""
    balancer = start(_config(backend))
    worker = balancer.worker
    before = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (0, before[1]))
        clients = _crowd(stack, balancer, 20)
        balancer.expect_counted("accept_pauses", "emfile")
        spent = worker.cpu_seconds
        time.sleep(1)
        assert worker.cpu_seconds - spent < 0.3
        assert not _served(clients)
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, before)
        for client in clients:
            assert exactly(client, len(HELLO)) == HELLO


def test_no_ending_leaks_a_descriptor(start: Start, backend: Backend) -> None:
    """After hundreds of connections of every kind of ending the worker has as many as before."""
    balancer = start({**_config(backend), "limits": {"hello_timeout": "1s"}})
    worker = balancer.worker
    _round(balancer, 1)
    until("all have ended", lambda: balancer.open_connections() == 0)
    before, small = worker.descriptors, worker.resident
    _round(balancer, ROUNDS)
    until("all have ended", lambda: balancer.open_connections() == 0)
    assert worker.descriptors == before
    assert worker.resident - small < 8 * 1024 * 1024
    assert not balancer.status()["internal_failures"]


def _round(balancer: Balancer, count: int) -> None:
    for ending in _ENDINGS:
        for _ in range(count):
            ending(balancer)


def _complete(balancer: Balancer) -> None:
    with connect(balancer.address) as client:
        client.sendall(HELLO)
        client.shutdown(socket.SHUT_WR)
        assert hear(client).data == HELLO


def _client_resets(balancer: Balancer) -> None:
    client = connect(balancer.address)
    client.sendall(HELLO)
    assert exactly(client, len(HELLO)) == HELLO
    reset(client)


def _client_closes_unread(balancer: Balancer) -> None:
    with connect(balancer.address) as client:
        client.sendall(HELLO + bytes(100_000))
        client.recv(1)


def _resets_at_once(balancer: Balancer) -> None:
    client = connect(balancer.address)
    client.sendall(HELLO)
    reset(client)


def _resets_in_the_hello(balancer: Balancer) -> None:
    client = connect(balancer.address)
    client.sendall(HELLO[:30])
    reset(client)


def _ends_in_the_hello(balancer: Balancer) -> None:
    with connect(balancer.address) as client:
        client.sendall(HELLO[:30])


def _is_not_tls(balancer: Balancer) -> None:
    assert not say(balancer.address, b"GET / HTTP/1.0\r\n\r\n").data


def _is_unknown(balancer: Balancer) -> None:
    assert say(balancer.address, hello(server_name(b"unknown.example.com")).wire()).data


def _finds_nobody(balancer: Balancer) -> None:
    assert say(balancer.address, hello(server_name(b"down.example.com")).wire()).data


def _says_nothing(balancer: Balancer) -> None:
    connect(balancer.address).close()


_ENDINGS: tuple[Callable[[Balancer], None], ...] = (
    _complete,
    _client_resets,
    _client_closes_unread,
    _resets_at_once,
    _resets_in_the_hello,
    _ends_in_the_hello,
    _is_not_tls,
    _is_unknown,
    _finds_nobody,
    _says_nothing,
)
