"""Faulty backends: where another can serve a fault costs a moment, and nothing is said twice."""

import itertools
import re
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import cast

import pytest

from tests.e2e.backends import Backend, Recorder, Serve, naming
from tests.e2e.balancer import Balancer, Start
from tests.e2e.faults import black_hole
from tests.e2e.sockets import HELLO, NAME, Heard, connect, exactly, hear, reset, say, to_the_end
from tests.e2e.waiting import until
from tests.ports import free_port
from tests.sni.hellos import record, resuming

FIRST = {"weight": 256}
"""With `least_sessions` the heaviest of the idle backends is chosen first, always."""

EARLY = resuming(NAME).wire() + record(b"GET / HTTP/1.1", 0x17, 0x0303)
"""A hello with early data behind it."""

SERVER_HELLO = record(b"\x02\x00\x00\x28" + bytes(40), 0x16, 0x0303)
GOOD = Heard(b"good")
WATCH = {"type": "http", "tls": False, "every": "1s", "timeout": "300ms"}


def _balance(start: Start, *backends: object, **pool: object) -> Balancer:
    chosen = {"backends": list(backends), "balance": "least_sessions", **pool}
    return start({"routes": {NAME.decode(): "app"}, "pools": {"app": chosen}})


def _ends(sock: socket.socket) -> None:
    """Hears the hello and ends."""
    sock.recv(65_536)
    sock.shutdown(socket.SHUT_WR)
    to_the_end(sock)


def _resets(sock: socket.socket) -> None:
    """Hears the hello and resets."""
    sock.recv(65_536)
    reset(sock)


def _greets_and(ends: Serve) -> Serve:
    """Says its part of the handshake first."""

    def serve(sock: socket.socket) -> None:
        sock.sendall(SERVER_HELLO)
        ends(sock)

    return serve


def test_black_holes_are_passed_over(start: Start) -> None:
    """Where two backends never answer a connect the third serves, and hears the whole hello."""
    recorder = Recorder(b"third")
    with black_hole() as one, black_hole() as two, Backend(recorder) as third:
        holes = ({"address": address, **FIRST} for address in (one, two))
        balancer = _balance(start, *holes, third.address, timeouts={"connect": "100ms"})
        for _ in range(3):
            with connect(balancer.address) as client:
                client.sendall(HELLO + b"more")
                assert exactly(client, 5) == b"third"
            assert recorder.take() == HELLO + b"more"


def test_early_data_may_follow_a_connect_that_failed(start: Start) -> None:
    """A backend that was never connected to has seen no early data: another one may have it."""
    recorder = Recorder(b"other")
    with black_hole() as hole, Backend(recorder) as other:
        first = {"address": hole, **FIRST}
        balancer = _balance(start, first, other.address, timeouts={"connect": "100ms"})
        with connect(balancer.address) as client:
            client.sendall(EARLY)
            assert exactly(client, 5) == b"other"
        assert recorder.take() == EARLY


@pytest.mark.parametrize("fault", [_ends, _resets])
def test_who_ends_without_a_byte_is_passed_over(start: Start, fault: Serve) -> None:
    """A backend that ends or resets behind the hello without a word costs the client nothing."""
    recorder = Recorder(b"other")
    with Backend(fault) as faulty, Backend(recorder) as other:
        balancer = _balance(start, {"address": faulty.address, **FIRST}, other.address)
        with connect(balancer.address) as client:
            client.sendall(HELLO)
            assert exactly(client, 5) == b"other"
        assert recorder.take() == HELLO
        assert faulty.accepted == 1


@pytest.mark.parametrize(("fault", "was_reset"), [(_ends, False), (_resets, True)])
def test_who_has_answered_is_believed(start: Start, fault: Serve, was_reset: bool) -> None:
    """Behind a backend's first byte its end, or its reset, is passed on and nobody else asked."""
    with Backend(_greets_and(fault)) as faulty, Backend(naming(b"other")) as other:
        balancer = _balance(start, {"address": faulty.address, **FIRST}, other.address)
        assert say(balancer.address, HELLO) == Heard(SERVER_HELLO, was_reset)
        assert other.accepted == 0


@pytest.mark.parametrize("fault", [_ends, _resets])
def test_early_data_never_reaches_two_backends(start: Start, fault: Serve) -> None:
    """A client with early data hears its backend's end: the data could be acted on twice."""
    with Backend(fault) as faulty, Backend(naming(b"other")) as other:
        balancer = _balance(start, {"address": faulty.address, **FIRST}, other.address)
        for count in range(1, 6):
            heard = say(balancer.address, EARLY)
            assert heard.data == b""
            assert faulty.accepted == count
        assert other.accepted == 0


def test_who_accepts_and_is_silent_is_found_by_probes(start: Start) -> None:
    """A backend whose kernel alone still accepts gets no more clients once a probe has failed."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        good = stack.enter_context(Backend(_answers(itertools.repeat(200).__next__)))
        port = silent.getsockname()[1]
        # A first probe decides at once, and where no backend is healthy all are used: so the good
        # one gets all the time there is, and may miss nine probes afterwards.
        health = {**WATCH, "timeout": WATCH["every"], "rise": 1, "fall": 10}
        first = {"address": f"127.0.0.1:{port}", "name": "silent", **FIRST}
        good_one = {"address": good.address, "name": "good"}
        balancer = _balance(start, first, good_one, health=health)
        until("the other alone is chosen", lambda: _chosen(balancer) == {"good"})
        assert [say(balancer.address, HELLO) for _ in range(20)] == [GOOD] * 20


def test_a_backend_that_wavers_changes_nothing(start: Start) -> None:
    """Probes that fail by turns never reach `fall`: no snapshot is made of them, nobody notices."""
    one, two = (Backend(_answers(itertools.cycle([200, 503]).__next__)) for _ in range(2))
    with one, two:
        health = {**WATCH, "rise": 2, "fall": 2}
        balancer = _balance(start, one.address, two.address, health=health)
        until("both were probed", lambda: min(one.accepted, two.accepted) >= 2)
        before = balancer.status()["snapshot"]
        seen = one.accepted
        until("more probes were made", lambda: one.accepted >= seen + 4)
        assert balancer.status()["snapshot"] == before
        assert _eligible(balancer) == 2


def test_a_pool_that_flaps_as_a_whole_still_serves(start: Start) -> None:
    """When every probe of every backend fails the pool stays open; changes stay few."""
    statuses = itertools.chain([200, 200], itertools.repeat(503))
    with Backend(_answers(statuses.__next__)) as only:
        balancer = _balance(start, only.address, health={**WATCH, "rise": 1, "fall": 1})
        begun = cast("int", balancer.status()["snapshot"])
        until("it has failed", lambda: only.accepted >= 5)
        assert [say(balancer.address, HELLO) for _ in range(10)] == [GOOD] * 10
        assert cast("int", balancer.status()["snapshot"]) - begun <= 3


def test_dials_that_fail_now_and_then_disturb_nobody(start: Start) -> None:
    """A backend that comes and goes beside a good one: every client is served, by either."""
    port = free_port()
    with Backend(naming(b"good")) as good:
        flapping = {"address": f"127.0.0.1:{port}", **FIRST}
        balancer = _balance(start, flapping, good.address)
        heard = []
        for _ in range(6):
            heard += [say(balancer.address, HELLO) for _ in range(10)]
            with Backend(naming(b"good"), port=port):
                heard += [say(balancer.address, HELLO) for _ in range(10)]
                time.sleep(0.1)
        assert heard == [GOOD] * 120


def _answers(status: Callable[[], int]) -> Serve:
    """Answers probes with a status of HTTP, and clients with `good`."""

    def serve(sock: socket.socket) -> None:
        asked = sock.recv(65_536)
        if asked.startswith(b"GET"):
            sock.sendall(b"HTTP/1.1 %d -\r\nContent-Length: 0\r\n\r\n" % status())
        elif asked:
            sock.sendall(GOOD.data)
        sock.shutdown(socket.SHUT_WR)
        hear(sock)

    return serve


def _eligible(balancer: Balancer) -> int:
    return len(_chosen(balancer))


def _chosen(balancer: Balancer) -> set[str]:
    """The names of the backends that may have new sessions."""
    found = re.findall(
        r'l4proxy_backend_eligible\{.*backend="([^"]+)".* 1\.0', balancer.page("/metrics")
    )
    return set(found)
