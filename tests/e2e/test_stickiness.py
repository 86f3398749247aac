"""Clients come back to their backend: real servers, real clients, two workers, no help from either.

Clients come from another address each time, so that nothing but their tokens leads them back; or
all from one, where sessions and reservations are asked about.
"""

import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from random import Random
from socket import socket

import pytest

from l4proxy.dataplane.closing import CLOSING_SECONDS
from tests.e2e.backends import Backend, Serve, echo, naming
from tests.e2e.balancer import Balancer, Start
from tests.e2e.certificates import Authority
from tests.e2e.enclaves import NAME, enclaves, new_key
from tests.e2e.knowing import wait_interviewed
from tests.e2e.resumption import both_versions, server_context
from tests.e2e.returning import Visitor, context_for, sources
from tests.e2e.sockets import HELLO, connect, exactly, say
from tests.e2e.sockets import NAME as PLAIN_NAME
from tests.e2e.waiting import until
from tests.sni import hellos

CLIENTS = 20
RETURNS = 3
TOLD_SECONDS = 0.5
"""What one worker has observed the others know within so much."""

PLAIN = {"tickets": False, "session_ids": False}
"""Of backends that speak no TLS."""


def _config(backends: Sequence[tuple[str, str]], **pool: object) -> dict[str, object]:
    chosen = [{"name": name, "address": address} for name, address in backends]
    routes = {NAME: "app", PLAIN_NAME.decode(): "app"}
    return {"workers": 2, "routes": routes, "pools": {"app": {"backends": chosen, **pool}}}


def _metric(balancer: Balancer, name: str, *labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    lines = balancer.page("/metrics").splitlines()
    found = [line for line in lines if line.startswith(f"l4proxy_{name}{{")]
    return sum(
        float(line.rpartition(" ")[2]) for line in found if all(label in line for label in labels)
    )


def _visits(balancer: Balancer, visitors: Sequence[Visitor], pause: float = 0.0) -> None:
    """Each comes, and comes back, from other addresses each time."""
    places = sources(Random(5))
    for _ in range(1 + RETURNS):
        for visitor in visitors:
            visitor.visit(balancer.address, next(places))
        time.sleep(pause)


@both_versions
def test_resuming_clients_come_back_by_names_that_were_learned(
    start: Start, authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """To stock servers with keys of their own; each resumption is accepted, and counted as such."""
    own = authority.issue(NAME)
    with enclaves(tmp_path / "enclaves", own, [None, new_key(), new_key()]) as there:
        addresses = [(each.name, f"127.0.0.1:{each.port}") for each in there]
        balancer = start(_config(addresses, sticky={}, server_name=NAME))
        wait_interviewed(balancer)
        context = context_for(authority, version)
        visitors = [Visitor(context) for _ in range(CLIENTS)]
        _visits(balancer, visitors)
        assert len({visitor.seen[0].enclave for visitor in visitors}) > 1
        for visitor in visitors:
            assert {seen.enclave for seen in visitor.seen} == {visitor.seen[0].enclave}
            assert all(seen.resumed for seen in visitor.seen[1:])
        labels = ('why="learned"', 'outcome="accepted"')
        until(
            "all are counted",
            lambda: _metric(balancer, "resumptions_total", *labels) == CLIENTS * RETURNS,
        )
        assert _metric(balancer, "resumptions_total", 'outcome="refused"') == 0


def test_session_ids_lead_back_whichever_worker_saw_them(
    start: Start, authority: Authority
) -> None:
    """TLS 1.2 without tickets: what one worker has read in a full handshake, both know."""
    own = authority.issue(NAME)
    with ExitStack() as stack:
        backends = [
            (name, stack.enter_context(Backend(_without_tickets(name, server_context(own)))))
            for name in ("a", "b", "c")
        ]
        addresses = [(name, backend.address) for name, backend in backends]
        balancer = start(_config(addresses, sticky={"tickets": False}, server_name=NAME))
        context = context_for(authority, ssl.TLSVersion.TLSv1_2)
        visitors = [Visitor(context) for _ in range(CLIENTS)]
        _visits(balancer, visitors, TOLD_SECONDS)
        assert len({visitor.seen[0].enclave for visitor in visitors}) > 1
        for visitor in visitors:
            assert {seen.enclave for seen in visitor.seen} == {visitor.seen[0].enclave}
            assert all(seen.resumed for seen in visitor.seen[1:])
        labels = ('why="session_id"', 'outcome="accepted"')
        until(
            "all are counted",
            lambda: _metric(balancer, "resumptions_total", *labels) == CLIENTS * RETURNS,
        )


def _without_tickets(name: str, context: ssl.SSLContext) -> Serve:
    """A server of TLS 1.2 that keeps its sessions, and tells its name."""
    context.options |= ssl.OP_NO_TICKET
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def serve(sock: socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(1_000)
            tls.sendall(b"\n" + name.encode())
            tls.unwrap()

    return serve


def test_a_flood_of_unknown_names_is_served_and_asks_once(
    start: Start, authority: Authority, tmp_path: Path
) -> None:
    """Two hundred made-up tickets at once: one round, and nobody waits for his place to be held."""
    own = authority.issue(NAME)
    with (
        enclaves(tmp_path / "enclaves", own, [new_key(), new_key()]) as there,
        ExitStack() as stack,
    ):
        addresses = [(each.name, f"127.0.0.1:{each.port}") for each in there]
        balancer = start(_config(addresses, sticky={}, server_name=NAME))
        wait_interviewed(balancer)
        begun = time.monotonic()
        clients = [
            stack.enter_context(connect(balancer.address, f"127.1.{n}.1")) for n in range(200)
        ]
        for number, client in enumerate(clients):
            client.sendall(_offering(number.to_bytes(16, "big")))
        for client in clients:
            assert client.recv(1)
        over = time.monotonic() - begun
        rounds = _metric(balancer, "ticket_rounds_total", 'pool="app"')
        assert 1 <= rounds <= 1 + over / 5


def _offering(name: bytes) -> bytes:
    return hellos.hello(
        hellos.server_name(NAME.encode()),
        hellos.supported_versions(0x0304),
        (0x000A, hellos.vector(2, hellos.u16(0x001D))),
        (0x000D, hellos.vector(2, hellos.u16(0x0403, 0x0804))),
        (0x0033, hellos.vector(2, hellos.u16(0x001D) + hellos.vector(2, bytes([9] * 32)))),
        (0x002D, hellos.vector(1, b"\x01")),
        hellos.pre_shared_key((name + bytes(150), 1)),
    ).wire()


@contextmanager
def _echoing(*names: str) -> Iterator[list[tuple[str, str]]]:
    """Backends that send back what they hear."""
    with ExitStack() as stack:
        yield [(name, stack.enter_context(Backend(echo)).address) for name in names]


def _open(stack: ExitStack, balancer: Balancer, source: str) -> socket:
    client = stack.enter_context(connect(balancer.address, source))
    client.sendall(HELLO)
    assert exactly(client, len(HELLO)) == HELLO
    return client


def _connections(balancer: Balancer) -> list[int]:
    found = (balancer.backend(name) for name in ("one", "two"))
    return [int(str(each["connections_open"])) for each in found if each is not None]


def test_a_clients_connections_stay_together_over_all_workers(start: Start) -> None:
    """They would go where the fewest sessions are; the next client does."""
    with _echoing("one", "two") as backends, ExitStack() as stack:
        config = _config(backends, balance="least_sessions", sticky={**PLAIN, "reservation": "1m"})
        balancer = start(config)
        for source in ("127.0.5.1", "127.0.6.1"):
            _open(stack, balancer, source)
            for _ in range(24):
                _open(stack, balancer, source)
        assert _connections(balancer) == [25, 25]
        until("each is a session", lambda: _metric(balancer, "backend_sessions") == 2)


def test_a_client_is_counted_once_whichever_workers_serve_it(start: Start) -> None:
    """Without reservations too, while its connections are spread over both workers."""
    with _echoing("one") as backends, ExitStack() as stack:
        balancer = start(_config(backends, sticky={**PLAIN, "reservation": "off"}))
        for source in ("127.0.5.1", "127.0.6.1", "127.0.7.1"):
            for _ in range(12):
                _open(stack, balancer, source)
        until("each is a session", lambda: _metric(balancer, "backend_sessions") == 3)


def test_who_says_no_more_than_hello_has_no_session(start: Start) -> None:
    """Else a pool could be filled from many addresses, by clients that never shook hands."""
    with Backend(naming(b"a")) as backend:
        pool = {"backends": [backend.address], "capacity": {"sessions_per_backend": 5}}
        balancer = start({"routes": {PLAIN_NAME.decode(): "app"}, "pools": {"app": pool}})
        for number in range(20):
            assert say(balancer.address, HELLO, f"127.4.0.{number}").data == b"a"
        until("all are gone", lambda: not balancer.open_connections())
        found = balancer.backend(f"{backend.address}")
        assert found is not None
        assert found["sessions_open"] == 0


def test_parallel_first_connections_of_many_clients_even_out(start: Start) -> None:
    """Least sessions, with clients that all come at once: nobody sees counts that are old."""
    with _echoing("one", "two") as backends, ExitStack() as stack:
        balancer = start(_config(backends, balance="least_sessions", sticky=PLAIN))
        opened = [stack.enter_context(connect(balancer.address, f"127.2.{n}.1")) for n in range(60)]
        threads = [threading.Thread(target=client.sendall, args=[HELLO]) for client in opened]
        for thread in threads:
            thread.start()
        for thread, client in zip(threads, opened, strict=True):
            thread.join()
            exactly(client, len(HELLO))
        assert max(_connections(balancer)) <= 36


def test_each_backend_has_its_turn(start: Start) -> None:
    """Round robin, as exact as one worker counts, wherever it begins."""
    with ExitStack() as stack:
        backends = [
            (name, stack.enter_context(Backend(naming(name.encode()))).address)
            for name in ("one", "two", "three")
        ]
        config = _config(backends, balance="round_robin", sticky={**PLAIN, "reservation": "off"})
        balancer = start({**config, "workers": 1})
        places = islice(sources(Random(6)), 30)
        served = Counter(say(balancer.address, HELLO, place).data for place in places)
    assert sorted(served.values()) == [10, 10, 10]


@pytest.mark.parametrize("count", [1, 30])
def test_what_is_left_of_a_drain_is_closed(start: Start, count: int) -> None:
    """After its time, within ten seconds more; the connections to the other backend go on."""
    with _echoing("one", "two") as backends, ExitStack() as stack:
        config = _config(backends, balance="least_sessions", sticky={**PLAIN, "reservation": "off"})
        balancer = start(config)
        clients = [_open(stack, balancer, f"127.3.{number}.1") for number in range(2 * count)]
        before = _connections(balancer)
        status, _ = balancer.change("POST", "/api/v1/backends/one/drain", {"timeout": "1s"})
        assert status == 200
        until(
            "they are closed",
            lambda: balancer.counted("ended", "drained") == before[0],
            patience=CLOSING_SECONDS + 20,
        )
        assert _connections(balancer) == [0, before[1]]
        ended = 0
        for client in clients:
            client.setblocking(False)
            try:
                ended += not client.recv(1)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                ended += 1
        assert ended == before[0]
