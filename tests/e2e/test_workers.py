"""Workers: one that dies is replaced, and costs its own connections only."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.backends import Backend, echo
from tests.e2e.balancer import ROOT, Balancer, Start
from tests.e2e.processes import Process
from tests.e2e.sockets import HELLO, NAME, connect, exactly
from tests.e2e.waiting import until

FOREIGN = ("pydantic", "aiohttp", "rich", "asyncio", "uvloop", "yaml", "ssl", "prometheus_client")
"""What a worker has no use for: it would cost start-up time, memory and attack surface."""


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that sends back what comes."""
    with Backend(echo) as serving:
        yield serving


def _balance(start: Start, backend: Backend, workers: int) -> Balancer:
    pools = {"app": [backend.address]}
    return start({"routes": {NAME.decode(): "app"}, "pools": pools, "workers": workers})


def _talks(client: socket.socket) -> bool:
    """Whether a connection that said hello still works."""
    try:
        client.sendall(b"?")
        return client.recv(1) == b"?"
    except ConnectionError:
        return False


def _talking(balancer: Balancer) -> socket.socket:
    client = connect(balancer.address)
    client.sendall(HELLO)
    assert exactly(client, len(HELLO)) == HELLO
    return client


def test_a_worker_that_dies_costs_its_own_connections_only(start: Start, backend: Backend) -> None:
    """A killed worker is replaced: the other's connections go on, and new ones are served."""
    balancer = _balance(start, backend, workers=2)
    victim, other = balancer.workers()
    with ExitStack() as stack:
        clients = [stack.enter_context(_talking(balancer)) for _ in range(30)]
        victim.signal(signal.SIGKILL)
        until("the worker is gone", lambda: not victim.alive)
        alive = [_talks(client) for client in clients]
        assert any(alive)
        assert not all(alive)
        until("it is replaced", lambda: len(balancer.workers()) == 2)
        assert other in balancer.workers()
        assert victim not in balancer.workers()
        for _ in range(20):
            with _talking(balancer) as client:
                assert _talks(client)
        assert [_talks(client) for client, was in zip(clients, alive, strict=True) if was]
        expected = sum(alive)
        until("lost connections are not counted", lambda: balancer.open_connections() == expected)


def test_clients_that_wait_in_a_queue_are_served_by_the_successor(
    start: Start, backend: Backend
) -> None:
    """Clients whom a dying worker has not accepted yet lose nothing but a moment."""
    balancer = _balance(start, backend, workers=1)
    victim = balancer.worker
    victim.signal(signal.SIGSTOP)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(balancer.address)) for _ in range(40)]
        for client in clients:
            client.sendall(HELLO)
        victim.signal(signal.SIGKILL)
        for client in clients:
            assert exactly(client, len(HELLO)) == HELLO


def test_what_a_worker_counted_outlives_it(start: Start, backend: Backend) -> None:
    """Totals never fall: what a dead worker had reported stays counted."""
    balancer = _balance(start, backend, workers=1)
    with _talking(balancer) as client:
        client.sendall(b"?")
        assert exactly(client, 1) == b"?"  # unread, it would make of the end a reset
    balancer.expect_counted("ended", "complete")
    victim = balancer.worker
    victim.signal(signal.SIGKILL)
    _wait_replaced(balancer, victim)
    assert balancer.counted("ended", "complete") == 1


def test_workers_die_again_and_again_and_are_replaced(start: Start, backend: Backend) -> None:
    """A worker that keeps dying is replaced each time, and its address is served in the end."""
    balancer = _balance(start, backend, workers=1)
    for _ in range(3):
        victim = balancer.worker
        victim.signal(signal.SIGKILL)
        _wait_replaced(balancer, victim)
    with _talking(balancer) as client:
        assert _talks(client)


def test_a_signal_for_the_whole_group_is_the_supervisors(start: Start, backend: Backend) -> None:
    """Ctrl-C reaches every process of a terminal: workers leave the answer to the supervisor."""
    balancer = _balance(start, backend, workers=1)
    with _talking(balancer) as client:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            balancer.worker.signal(number)
        assert _talks(client)


def test_a_worker_carries_nothing_that_a_connection_does_not_need() -> None:
    """The worker's imports hold no configuration, no event loop but its own, no TLS."""
    words = (
        f"import sys, l4proxy.dataplane.worker; print([m for m in {FOREIGN} if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def _wait_replaced(balancer: Balancer, victim: Process) -> None:
    """Waits until the only worker is another one."""
    until("the worker is replaced", lambda: balancer.workers() not in ([], [victim]))
