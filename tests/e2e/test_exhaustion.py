"""Exhaustion: where descriptors, ports, memory or the log run out, what runs goes on."""

import itertools
import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.backends import Backend, echo
from tests.e2e.balancer import Balancer, Start
from tests.e2e.faults import own_network
from tests.e2e.processes import Process
from tests.e2e.sockets import HELLO, NAME, TIMEOUT, alert, connect, exactly, hear, say
from tests.e2e.waiting import until

GREETED = {NAME.decode(): "app"}
MIB = 1024 * 1024
PORTS = 16
"""Ephemeral ports of a network that has few."""
_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; the socket module has no name for it before 3.12


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that sends back what comes."""
    with Backend(echo) as serving:
        yield serving


def _talking(balancer: Balancer) -> socket.socket:
    with ExitStack() as undo:
        client = undo.enter_context(connect(balancer.address))
        client.sendall(HELLO)
        assert exactly(client, len(HELLO)) == HELLO
        undo.pop_all()
    return client


def _from(balancer: Balancer, source: str) -> socket.socket:
    """A client that has said hello, from an address, its port not taken from anybody else."""
    with ExitStack() as undo:
        client = undo.enter_context(socket.socket())
        client.settimeout(TIMEOUT)
        client.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        client.bind((source, 0))
        client.connect(balancer.address)
        client.sendall(HELLO)
        undo.pop_all()
    return client


def _talks(client: socket.socket) -> bool:
    client.sendall(b"?")
    return exactly(client, 1) == b"?"


def _leave_descriptors(worker: Process, count: int) -> None:
    """Lets a process have so many descriptors beside those that it has."""
    taken = {int(entry.name) for entry in Path(f"/proc/{worker.pid}/fd").iterdir()}
    free = (number for number in range(65_536) if number not in taken)
    limit = next(itertools.islice(free, count, None))
    hard = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (limit, hard))


def test_without_descriptors_what_runs_goes_on(start: Start, backend: Backend) -> None:
    """A worker that gets no descriptor serves whom it has, rests, and leaves nobody without word.

    Who waits in a shortage that lasts is reset, a few at a time; who is left is served afterwards.
    """
    balancer = start({"routes": GREETED, "pools": {"app": [backend.address]}})
    worker = balancer.worker
    usual = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        running = [stack.enter_context(_talking(balancer)) for _ in range(20)]
        _leave_descriptors(worker, 0)
        waiting = [stack.enter_context(connect(balancer.address)) for _ in range(50)]
        for client in waiting:
            client.sendall(HELLO)
        balancer.expect_counted("accept_pauses", "emfile")
        spent = worker.cpu_seconds
        for _ in range(10):
            assert all(_talks(client) for client in running)
            time.sleep(0.1)
        assert worker.cpu_seconds - spent < 0.4
        lines = balancer.log.count("\n")
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, usual)
        stack.enter_context(_talking(balancer))
        heard = [_served_or_reset(client) for client in waiting]
        assert balancer.log.count("\n") == lines
        balancer.expect_counted("refused", "no_descriptors", heard.count(False))
        assert False in heard
    assert not balancer.status()["internal_failures"]


def _served_or_reset(client: socket.socket) -> bool:
    try:
        return exactly(client, len(HELLO)) == HELLO
    except ConnectionResetError:
        return False


def test_without_a_descriptor_for_the_dial_the_client_hears_so(
    start: Start, backend: Backend
) -> None:
    """One descriptor is enough to be accepted and not to be served: the backend is not blamed."""
    balancer = start({"routes": GREETED, "pools": {"app": [backend.address]}})
    worker = balancer.worker
    usual = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    _leave_descriptors(worker, 1)
    for _ in range(10):
        assert say(balancer.address, HELLO) == alert(80)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, usual)
    time.sleep(2)  # workers report once a second, and the prober looks as often
    with _talking(balancer) as client:
        assert _talks(client)
    assert "unhealthy" not in balancer.log


def _few_ports() -> None:
    """Leaves few ports to choose from: after the listeners, which would take some of them."""
    path = Path("/proc/sys/net/ipv4/ip_local_port_range")
    path.write_text(f"40000 {40_000 + PORTS - 1}", encoding="ascii")


def test_without_ports_another_backend_serves(start: Start) -> None:
    """When all ports towards one backend are taken, another one serves; later the first again."""
    with own_network(), Backend(echo) as one, Backend(echo) as two:
        balancer = start({"routes": GREETED, "pools": {"app": [one.address, two.address]}})
        _few_ports()
        with ExitStack() as stack:
            for number in range(2 * PORTS):
                client = stack.enter_context(_from(balancer, f"127.0.1.{number + 1}"))
                assert exactly(client, len(HELLO)) == HELLO
            assert (one.accepted, two.accepted) == (PORTS, PORTS)
            assert hear(stack.enter_context(_from(balancer, "127.0.2.1"))) == alert(80)
        sources = (f"127.0.3.{number}" for number in range(1, 250))
        until("it serves again", lambda: _is_served(balancer, next(sources)))


def test_a_second_source_address_doubles_the_ports(start: Start) -> None:
    """With `source` each address gives its ports, and what fails for one is tried from the next."""
    with own_network(), Backend(echo) as backend:
        pool = {"backends": [backend.address], "source": ["127.0.3.1", "127.0.3.2"]}
        balancer = start({"routes": GREETED, "pools": {"app": pool}})
        _few_ports()
        with ExitStack() as stack:
            for number in range(2 * PORTS):
                client = stack.enter_context(_from(balancer, f"127.0.1.{number + 1}"))
                assert exactly(client, len(HELLO)) == HELLO
            assert hear(stack.enter_context(_from(balancer, "127.0.2.1"))) == alert(80)


def _is_served(balancer: Balancer, source: str) -> bool:
    time.sleep(0.1)
    with _from(balancer, source) as client:
        client.shutdown(socket.SHUT_WR)
        return hear(client).data == HELLO


def test_what_peers_make_it_keep_stays_within_the_formula(start: Start) -> None:
    """Readers that do not read and halves of hellos at once take `buffers` and a few KiB each."""

    def pours(sock: socket.socket) -> None:
        exactly(sock, len(HELLO))
        while True:
            sock.sendall(bytes(262_144))

    with Backend(pours) as backend:
        limits = {"per_client": "off", "buffers": "2MiB"}
        balancer = start({"routes": GREETED, "pools": {"app": [backend.address]}, "limits": limits})
        with ExitStack() as stack:
            stack.enter_context(connect(balancer.address)).sendall(HELLO)
            until("it pours", lambda: balancer.open_connections() == 1)
            before = balancer.worker.resident
            for _ in range(600):
                stack.enter_context(connect(balancer.address)).sendall(HELLO[:50])
            for _ in range(60):
                stack.enter_context(connect(balancer.address)).sendall(HELLO)
            until("all have come", lambda: balancer.open_connections() > 600)
            time.sleep(1)
            assert balancer.worker.resident - before < (2 + 2) * MIB + 660 * 8_192


def test_a_log_that_nobody_reads_delays_nobody(
    start: Start, backend: Backend, tmp_path: Path
) -> None:
    """While the reader of the access log stands still clients are served as ever."""
    pipe = tmp_path / "log.pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        pools = {"app": [backend.address]}
        balancer = start({"routes": GREETED, "pools": pools, "access_log": str(pipe)})
        with _talking(balancer) as kept:
            for _ in range(600):  # the pipe holds some 200 lines
                _talking(balancer).close()
            assert _talks(kept)
        until("all are gone", lambda: not balancer.open_connections())
        assert balancer.worker.alive
        assert balancer.stop() == 0
    finally:
        os.close(reader)


def test_a_full_disk_delays_nobody(start: Start, backend: Backend) -> None:
    """Lines of the access log that no disk takes are dropped, and clients are served as ever."""
    pools = {"app": [backend.address]}
    balancer = start({"routes": GREETED, "pools": pools, "access_log": "/dev/full"})
    for _ in range(50):
        _talking(balancer).close()
    until("all are gone", lambda: not balancer.open_connections())
    until("the loss is counted", lambda: _lost(balancer) >= 50)
    assert not balancer.status()["internal_failures"]
    assert "Traceback" not in balancer.log


def _lost(balancer: Balancer) -> float:
    lines = balancer.page("/metrics").splitlines()
    found = [line for line in lines if line.startswith("l4proxy_access_log_dropped_total{")]
    return sum(float(line.split()[-1]) for line in found)
