"""Changes while connections run: put and deleted over the unix socket, found by DNS."""

import asyncio
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.backends import Backend, echo, naming
from tests.e2e.balancer import Balancer, Start
from tests.e2e.sockets import HELLO, NAME, Heard, alert, connect, exactly, say
from tests.e2e.waiting import PATIENCE, until
from tests.l4proxy.control.discovery.dns_server import DnsServer, records, serve_dns
from tests.ports import free_port

PAGE = "/api/v1/pools/app/backends"
INTERNAL_ERROR = 80


def _balance(start: Start, *backends: object, **more: object) -> Balancer:
    pools = {"app": {"backends": list(backends), "balance": "least_sessions"}}
    return start({"routes": {NAME.decode(): "app"}, "pools": pools, **more})


def test_a_backend_is_put_and_deleted_while_connections_run(start: Start) -> None:
    """Once answered, a change holds in every worker, and no connection is cut by it."""
    with Backend(echo) as old, Backend(naming(b"new")) as new:
        balancer = _balance(start, {"address": old.address, "name": "old"}, workers=2)
        with connect(balancer.address) as client:
            client.sendall(HELLO)
            assert exactly(client, len(HELLO)) == HELLO
            put = {"address": new.address, "weight": 2}
            status, document = balancer.change("PUT", f"{PAGE}/new", put)
            assert (status, document) == (201, {**_expected(document, new.address), "weight": 2})
            status, _ = balancer.change("DELETE", f"{PAGE}/old")
            assert status == 200
            for _ in range(10):
                assert say(balancer.address, HELLO) == Heard(b"new")
            client.sendall(b"still here")
            assert exactly(client, 10) == b"still here"
        assert balancer.change("PUT", f"{PAGE}/new", put)[0] == 200
        assert balancer.change("DELETE", f"{PAGE}/new")[0] == 200
        assert balancer.change("DELETE", f"{PAGE}/new")[0] == 404
        assert say(balancer.address, HELLO) == alert(INTERNAL_ERROR)


def _expected(document: object, address: str) -> dict[str, object]:
    assert isinstance(document, dict)
    snapshot = document["snapshot"]
    known = {"pool": "app", "name": "new", "address": address, "snapshot": snapshot}
    return {**known, "in_force": True}


def test_what_was_put_outlives_a_reload_and_what_was_deleted_does_not(start: Start) -> None:
    """The configuration is read again; what came over the socket stays."""
    config = {"routes": {NAME.decode(): "app"}, "pools": {"app": ["127.0.0.1:1"]}}
    balancer = start(config)
    assert balancer.change("PUT", f"{PAGE}/new", {"address": "127.0.0.1:2"})[0] == 201
    assert balancer.change("DELETE", f"{PAGE}/127.0.0.1:1")[0] == 200
    balancer.reload(config)
    found = [balancer.backend(name) for name in ("new", "127.0.0.1:1")]
    assert [each and each["source"] for each in found] == ["api", "static"]


def test_the_socket_is_for_its_user_alone(start: Start) -> None:
    """Nobody else may write, and nothing is left of it when the daemon has ended."""
    balancer = _balance(start, "127.0.0.1:1")
    path = balancer.path.with_name("admin.sock")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    balancer.stop()
    assert not path.exists()


@contextmanager
def _directory() -> Iterator[DnsServer]:
    """A DNS server in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    serving = serve_dns()
    try:
        yield asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(PATIENCE)
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(PATIENCE)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


def test_backends_are_found_by_dns(start: Start) -> None:
    """Who is in the directory serves, who leaves it does not, and a fault changes nothing."""
    host = "127.0.0.2"
    port = free_port()
    with (
        _directory() as directory,
        Backend(naming(b"one"), port=port),
        Backend(naming(b"two"), host=host, port=port),
    ):
        directory.say(records({"A": ["127.0.0.1"]}, ttl=1))
        dns = {
            "name": "enclaves.internal",
            "port": port,
            "resolver": str(directory.address),
            "allow_loopback": True,
            "every": "1s",
        }
        balancer = _balance(start, {"dns": dns, "weight": 3})
        until("one is found", lambda: balancer.backend(f"127.0.0.1:{port}") is not None)
        until("one serves", lambda: say(balancer.address, HELLO) == Heard(b"one"))
        found = balancer.backend(f"127.0.0.1:{port}") or {}
        assert (found["weight"], found["source"]) == (3, "dns")
        directory.say(records({"A": [host]}, ttl=1))
        until("two is found", lambda: balancer.backend(f"127.0.0.1:{port}") is None)
        until("two serves", lambda: say(balancer.address, HELLO) == Heard(b"two"))
        directory.say(records({}))
        until("the fault is told", lambda: '"fault": "empty"' in balancer.page("/api/v1/pools"))
        assert say(balancer.address, HELLO) == Heard(b"two")
