"""The choice among backends, and what a reload changes of it."""

import signal
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.e2e.backends import Backend, echo, naming
from tests.e2e.balancer import Balancer, Start
from tests.e2e.sockets import HELLO, NAME, Heard, connect, exactly, say
from tests.e2e.waiting import until

NAMES = ("one", "two", "three")
SOURCES = [f"127.{1 + number // 250}.{1 + number % 250}.7" for number in range(0, 600, 5)]
"""Clients of as many networks."""


def _config(backends: dict[str, Backend], *names: str, **pool: object) -> dict[str, object]:
    chosen = [{"name": name, "address": backends[name].address} for name in names]
    return {
        "routes": {NAME.decode(): "app"},
        "pools": {"app": {"backends": chosen, **pool}},
    }


def _backends(stack: ExitStack) -> dict[str, Backend]:
    return {name: stack.enter_context(Backend(naming(name.encode()))) for name in NAMES}


def _served(balancer: Balancer, sources: list[str]) -> dict[str, str]:
    """Which backend serves a client of each source address, one client after the other."""
    return {source: say(balancer.address, HELLO, source).data.decode() for source in sources}


def test_a_client_comes_back_to_its_backend(start: Start) -> None:
    """With `affinity` one source address has one backend, and so has its whole network.

    Where clients are counted, each stays at home, but a network of more than its even share of them
    is spread: here connections count, and all have ended.
    """
    with ExitStack() as stack:
        capacity = {"count": "connections"}
        balancer = start(_config(_backends(stack), *NAMES, capacity=capacity))
        sources = ["127.0.7.1"] * 10 + [f"127.0.7.{host}" for host in range(2, 12)]
        assert len({say(balancer.address, HELLO, source).data for source in sources}) == 1


def test_clients_that_come_back_stay_at_home(start: Start) -> None:
    """Each alone, and all of a small network, with nothing but their addresses to be known by."""
    with ExitStack() as stack:
        balancer = start(_config(_backends(stack), *NAMES))
        sources = [f"127.0.7.{host}" for host in range(1, 12)]
        first = _served(balancer, sources)
        for _ in range(5):
            assert _served(balancer, sources) == first


def test_a_backend_that_goes_moves_only_its_own_clients(start: Start) -> None:
    """Clients spread over the backends; when a reload takes one away, the others keep theirs."""
    with ExitStack() as stack:
        backends = _backends(stack)
        balancer = start(_config(backends, *NAMES))
        before = _served(balancer, SOURCES)
        assert min(Counter(before.values())[name] for name in NAMES) > len(SOURCES) / 6
        balancer.reload(_config(backends, "one", "three"))
        after = _served(balancer, SOURCES)
        stayed = {source: name for source, name in before.items() if name != "two"}
        assert {source: after[source] for source in stayed} == stayed
        assert "two" not in after.values()


def test_a_reload_leaves_running_connections_alone(start: Start) -> None:
    """A connection goes on though its backend, and even its route, is no longer configured."""
    with Backend(echo) as gone, Backend(naming(b"new")) as new:
        balancer = start({"routes": {NAME.decode(): "app"}, "pools": {"app": [gone.address]}})
        with connect(balancer.address) as client:
            client.sendall(HELLO)
            assert exactly(client, len(HELLO)) == HELLO
            balancer.reload({"routes": {NAME.decode(): "new"}, "pools": {"new": [new.address]}})
            client.sendall(b"still there?")
            assert exactly(client, 12) == b"still there?"
            assert say(balancer.address, HELLO) == Heard(b"new")


def test_a_new_backend_does_not_inherit_the_load_of_a_removed_one(start: Start) -> None:
    """Connections that outlive their backend's configuration take no room on another backend."""
    with Backend(echo) as old, Backend(naming(b"new")) as new:
        capacity = {"count": "connections", "sessions_per_backend": 1}
        routes = {NAME.decode(): "app"}
        pool = {"backends": [old.address], "capacity": capacity}
        balancer = start({"routes": routes, "pools": {"app": pool}})
        with connect(balancer.address) as client:
            client.sendall(HELLO)
            exactly(client, len(HELLO))
            later = {**pool, "backends": [new.address]}
            balancer.reload({"routes": routes, "pools": {"app": later}})
            assert say(balancer.address, HELLO) == Heard(b"new")


def test_a_broken_configuration_changes_nothing(start: Start) -> None:
    """When the file has a mistake, or is gone, SIGHUP says so and all goes on as it was.

    So it does when listeners would change, which takes a restart: the routes stay as they were too.
    """
    with Backend(naming(b"old")) as backend:
        config = {"routes": {NAME.decode(): "app"}, "pools": {"app": [backend.address]}}
        balancer = start(config)
        for broken in ("routes: [", "pools: {}", "", "listeners: 7"):
            balancer.path.write_text(broken, encoding="utf-8")
            _expect_refused(balancer)
        balancer.path.unlink()
        _expect_refused(balancer)
        other = {"routes": {"other.example.com": "app"}, "listeners": ["127.0.0.2:0"]}
        balancer.write({**config, **other})
        _expect_refused(balancer)


def _expect_refused(balancer: Balancer) -> None:
    """A reload is refused, and a client is served as before."""
    before = balancer.log.count("nothing was changed")
    balancer.process.signal(signal.SIGHUP)
    what = "the refusal of the reload is logged"
    until(what, lambda: balancer.log.count("nothing was changed") > before)
    assert say(balancer.address, HELLO) == Heard(b"old")


@pytest.mark.parametrize("workers", [1, 2])
def test_least_sessions_fills_by_weight(start: Start, workers: int) -> None:
    """Open connections are spread by weight, over all workers together."""
    with Backend(echo) as heavy, Backend(echo) as light, ExitStack() as clients:
        pool = {
            "backends": [{"address": heavy.address, "weight": 3}, light.address],
            "balance": "least_sessions",
            "capacity": {"count": "connections"},
        }
        config = {"routes": {NAME.decode(): "app"}, "pools": {"app": pool}, "workers": workers}
        balancer = start(config)
        for _ in range(40):
            client = clients.enter_context(connect(balancer.address))
            client.sendall(HELLO)
            exactly(client, len(HELLO))
        assert (heavy.accepted, light.accepted) == (30, 10)
