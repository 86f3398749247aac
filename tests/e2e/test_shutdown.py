"""The end of the daemon: what runs finishes, for as long as the operator lets it."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.backends import Backend, echo
from tests.e2e.balancer import Balancer, Config, Start
from tests.e2e.processes import Process
from tests.e2e.sockets import HELLO, NAME, connect, exactly, hear
from tests.e2e.waiting import until

BULK = bytes(range(256)) * 16_384
LONG = 60
"""Seconds of shutdown that no test waits for."""


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that sends back what comes."""
    with Backend(echo) as serving:
        yield serving


def _config(backend: Backend, timeout: int = LONG, workers: int = 2) -> Config:
    return {
        "routes": {NAME.decode(): "app"},
        "pools": {"app": [backend.address]},
        "shutdown": {"timeout": f"{timeout}s"},
        "workers": workers,
    }


def _talking(balancer: Balancer) -> socket.socket:
    """A client in the middle of a conversation."""
    client = connect(balancer.address)
    client.sendall(HELLO)
    assert exactly(client, len(HELLO)) == HELLO
    return client


def _refuses(balancer: Balancer) -> bool:
    try:
        with connect(balancer.address) as client:
            client.sendall(HELLO)
            return not client.recv(1)
    except ConnectionError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_runs_finishes_and_nothing_new_begins(
    start: Start, backend: Backend, number: signal.Signals
) -> None:
    """SIGTERM, or Ctrl-C, lets connections finish while no new one is accepted; then exit 0."""
    balancer = start(_config(backend))
    with _talking(balancer) as client:
        balancer.process.signal(number)
        until("new clients are refused", lambda: _refuses(balancer))
        sender = threading.Thread(target=client.sendall, args=[BULK])
        sender.start()
        assert exactly(client, len(BULK)) == BULK
        sender.join()
        assert not balancer.ended
    assert balancer.wait_ended() == 0


def test_an_idle_daemon_ends_at_once(start: Start, backend: Backend) -> None:
    """Without connections there is nothing to wait for."""
    balancer = start(_config(backend))
    balancer.process.signal(signal.SIGTERM)
    assert balancer.wait_ended() == 0


def test_what_does_not_finish_in_time_is_cut(start: Start, backend: Backend) -> None:
    """After `shutdown.timeout` the connections that are left are ended, and the daemon too."""
    balancer = start(_config(backend, timeout=1))
    with _talking(balancer) as client:
        balancer.process.signal(signal.SIGTERM)
        assert balancer.wait_ended() == 0
        assert hear(client).data == b""


def test_a_second_signal_ends_it_at_once(start: Start, backend: Backend) -> None:
    """Whoever asks twice does not want to wait."""
    balancer = start(_config(backend))
    workers = balancer.workers()
    with _talking(balancer) as client:
        balancer.process.signal(signal.SIGTERM)
        until("new clients are refused", lambda: _refuses(balancer))
        balancer.process.signal(signal.SIGTERM)
        assert balancer.wait_ended() == 0
        assert hear(client).data == b""
    assert not any(worker.alive for worker in workers)


def test_it_may_be_ended_before_it_is_ready(tmp_path: Path, backend: Backend) -> None:
    """SIGTERM while the workers are being started ends the daemon too, and at once."""
    balancer = Balancer(tmp_path / "early", _config(backend))
    try:
        until("a worker is started", lambda: bool(balancer.process.children()))
        balancer.process.signal(signal.SIGTERM)
        assert balancer.wait_ended() == 0
    finally:
        balancer.stop()
    assert "Traceback" not in balancer.log


def test_clients_that_wait_at_the_end_are_served(start: Start, backend: Backend) -> None:
    """Those who were in the queue when the daemon was told to end are no new clients.

    Some among them that are refused at once do not end the daemon before the others.
    """
    balancer = start({**_config(backend, workers=1), "refusal": "reset"})
    worker = balancer.worker
    worker.signal(signal.SIGSTOP)
    with ExitStack() as stack:
        strangers, clients = (
            [stack.enter_context(connect(balancer.address)) for _ in range(10)] for _ in range(2)
        )
        for stranger in strangers:
            stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        for client in clients:
            client.sendall(HELLO)
        balancer.process.signal(signal.SIGTERM)
        until("the signal has come", lambda: "SIGTERM" in balancer.log)
        time.sleep(0.3)  # until the end is announced in the worker's channel, beside the clients
        worker.signal(signal.SIGCONT)
        for client in clients:
            assert exactly(client, len(HELLO)) == HELLO
    assert balancer.wait_ended() == 0


def test_workers_that_are_orphaned_finish_what_runs(start: Start, backend: Backend) -> None:
    """When the supervisor is killed its workers accept no more, and end with their connections."""
    balancer = start(_config(backend))
    workers = balancer.workers()
    with _talking(balancer) as client:
        balancer.process.signal(signal.SIGKILL)
        balancer.wait_ended()
        until("new clients are refused", lambda: _refuses(balancer))
        client.sendall(b"still there?")
        assert exactly(client, 12) == b"still there?"
        assert _alive(workers)
    until("the workers have ended", lambda: not _alive(workers))


def _alive(workers: list[Process]) -> list[Process]:
    return [worker for worker in workers if worker.alive]


def test_what_is_cut_at_the_end_has_a_line_each(
    start: Start, backend: Backend, tmp_path: Path
) -> None:
    """Connections that do not finish in time stand in the access log, with what they came to."""
    path = tmp_path / "access.log"
    balancer = start({**_config(backend, timeout=1), "access_log": str(path)})
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(_talking(balancer))
        stack.enter_context(connect(balancer.address)).sendall(HELLO[:9])
        until("all have come", lambda: balancer.open_connections() == 6)
        assert balancer.stop() == 0
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line.get("ended") for line in lines].count("shutdown") == 5
    assert [line.get("refused") for line in lines].count("shutdown") == 1
    assert {line["bytes_to_client"] for line in lines} == {0, len(HELLO)}
