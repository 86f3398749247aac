"""Drains: a backend lets go of its sessions, and nobody who is there notices."""

import ssl
from collections.abc import Callable

from tests.e2e.backends import Backend, echo, naming
from tests.e2e.balancer import Balancer, Start
from tests.e2e.certificates import Authority
from tests.e2e.knowing import wait_interviewed
from tests.e2e.resumption import (
    NAME,
    both_versions,
    client_context,
    repeating,
    server_context,
    visit,
)
from tests.e2e.sockets import HELLO, Heard, alert, connect, exactly, say
from tests.e2e.sockets import NAME as PLAIN_NAME

INTERNAL_ERROR = 80
DRAIN = "/api/v1/backends/{}/drain"
UNDRAIN = "/api/v1/backends/{}/undrain"


def test_a_drained_backend_keeps_its_connections_and_gets_no_new_ones(start: Start) -> None:
    """Once answered, it holds in every worker; without another backend others are refused."""
    with Backend(echo) as old, Backend(naming(b"new")) as new:
        backends = [{"address": old.address, "name": "old"}]
        config = {"routes": {PLAIN_NAME.decode(): "app"}, "workers": 2}
        balancer = start({**config, "pools": {"app": {"backends": backends}}})
        with connect(balancer.address) as client:
            client.sendall(HELLO)
            assert exactly(client, len(HELLO)) == HELLO
            status, document = balancer.change("POST", DRAIN.format("old"), {"timeout": "off"})
            assert status == 200
            assert isinstance(document, dict)
            assert (document["draining"], document["deadline"]) == (True, None)
            assert say(balancer.address, HELLO, "127.1.0.1") == alert(INTERNAL_ERROR)
            backends.append({"address": new.address, "name": "new"})
            balancer.reload({**config, "pools": {"app": {"backends": backends}}})
            for number in range(10):
                assert say(balancer.address, HELLO, f"127.2.0.{number}") == Heard(b"new")
            client.sendall(b"still here")
            assert exactly(client, 10) == b"still here"
            (found,) = filter(None, [balancer.backend("old")])
            assert (found["connections_open"], found["reason"]) == (1, "draining")


@both_versions
def test_a_drained_backend_keeps_the_sessions_that_come_back(
    start: Start, authority: Authority, version: ssl.TLSVersion
) -> None:
    """Its tickets lead to it and are taken up; who has none goes elsewhere, until undrained."""
    contexts = [server_context(authority.issue(NAME)) for _ in range(2)]
    client = client_context(authority, version)
    with repeating(contexts[0]) as first, repeating(contexts[1]) as second:
        balancer = start(_two(first.address, second.address))
        wait_interviewed(balancer)
        begun = visit(balancer.address, client)
        drained = _of(balancer, {"a": first, "b": second}, lambda: visit(balancer.address, client))
        assert balancer.change("POST", DRAIN.format(drained))[0] == 200
        assert visit(balancer.address, client, begun.session).resumed
        for number in range(5):
            stranger = visit(balancer.address, client, source=f"127.2.0.{number}")
            assert stranger.certificate != begun.certificate
        assert visit(balancer.address, client, begun.session).resumed
        assert balancer.change("POST", UNDRAIN.format(drained))[0] == 200
        assert visit(balancer.address, client).certificate == begun.certificate


def _two(*addresses: str) -> dict[str, object]:
    backends = [
        {"address": address, "name": name} for name, address in zip("ab", addresses, strict=True)
    ]
    sticky = {"session_ids": False, "reservation": False}
    return {"routes": {NAME: "app"}, "pools": {"app": {"backends": backends, "sticky": sticky}}}


def _of(balancer: Balancer, backends: dict[str, Backend], visits: Callable[[], object]) -> str:
    """The name of the backend that a client without a session is sent to."""
    before = {name: backend.accepted for name, backend in backends.items()}
    visits()
    (found,) = [name for name, each in backends.items() if each.accepted > before[name]]
    assert balancer.backend(found) is not None
    return found
