"""Backends from a Service of Kubernetes: pods come, drain and go, and clients notice nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.e2e.backends import Backend, echo, naming
from tests.e2e.balancer import Balancer, Start
from tests.e2e.sockets import HELLO, NAME, Heard, alert, connect, exactly, say
from tests.e2e.waiting import until
from tests.kubernetes_api.access import write_kubeconfig
from tests.kubernetes_api.objects import Json
from tests.kubernetes_api.server import Fault
from tests.kubernetes_api.store import Key
from tests.kubernetes_api.threaded import ThreadedServer
from tests.l4proxy.control.discovery.test_endpoints import endpoint, slice_
from tests.l4proxy.control.discovery.test_kubernetes import labelled

INTERNAL_ERROR = 80


@pytest.fixture
def api() -> Iterator[ThreadedServer]:
    """A server without objects."""
    with ThreadedServer().running() as found:
        yield found


def pod(backend: Backend, name: str, **conditions: object) -> Json:
    """A slice with a backend as its one endpoint."""
    host, _, port = backend.address.rpartition(":")
    ports = [{"name": "https", "port": int(port)}]
    return labelled(slice_(endpoint(host, name, **conditions), ports=ports))


def is_there(balancer: Balancer, name: str, phase: str) -> None:
    """Wait until a backend is there, ready for so much, and all workers decide by it."""
    wanted = {"eligible": None, "waiting": "unhealthy", "draining": "draining"}[phase]

    def known() -> bool:
        found, status = balancer.backend(name) or {}, balancer.status()
        seats = cast("list[dict[str, int]]", status["workers"])
        everybody = all(seat["applied"] == status["snapshot"] for seat in seats)
        return everybody and (found.get("phase"), found.get("reason")) == (phase, wanted)

    until(f"{name} is {phase}", known)


def test_pods_come_drain_and_go(start: Start, api: ThreadedServer, tmp_path: Path) -> None:
    """A new one serves once ready, an old one keeps what it has, an outage changes nothing."""
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", api.server)
    asked = {"service": "default/enclaves", "port": "https", "allow_loopback": True}
    source = {"kubernetes": asked | {"kubeconfig": str(kubeconfig)}}
    pools = {"app": {"backends": [source]}}
    with Backend(echo) as old, Backend(naming(b"new"), host="127.0.0.2") as new:
        api.do(lambda server: server.add("endpointslices", "old", pod(old, "old")))
        balancer = start({"routes": {NAME.decode(): "app"}, "pools": pools})
        is_there(balancer, "old", "eligible")
        with connect(balancer.address) as client:
            client.sendall(HELLO)
            assert exactly(client, len(HELLO)) == HELLO
            booting = pod(new, "new", ready=False)
            api.do(lambda server: server.add("endpointslices", "new", booting))
            is_there(balancer, "new", "waiting")
            leaving = pod(old, "old", ready=False, serving=True, terminating=True)
            api.do(lambda server: server.change("endpointslices", "old", leaving))
            is_there(balancer, "old", "draining")
            assert say(balancer.address, HELLO, "127.1.0.1") == alert(INTERNAL_ERROR)
            ready = pod(new, "new", ready=True)
            api.do(lambda server: server.change("endpointslices", "new", ready))
            is_there(balancer, "new", "eligible")
            assert say(balancer.address, HELLO, "127.1.0.2") == Heard(b"new")
            api.do(lambda server: server.store.delete(Key("endpointslices", "default", "old")))
            until("old is gone", lambda: balancer.backend("old") is None)
            client.sendall(b"still here")
            assert exactly(client, 10) == b"still here"
        api.do(lambda server: server.faults.append(Fault(0, times=10_000)))
        api.do(lambda server: server.watches.say(None))
        until("the API is away", lambda: "kubernetes: " in balancer.log)
        assert say(balancer.address, HELLO, "127.1.0.3") == Heard(b"new")
