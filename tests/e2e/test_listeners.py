"""Listeners: addresses of both families, one owner each."""

import socket
from pathlib import Path

import pytest

from tests.e2e.backends import Backend, naming
from tests.e2e.balancer import Balancer, Start
from tests.e2e.sockets import HELLO, NAME, Heard, say
from tests.ports import free_port


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 loopback")
ROUTES = {NAME.decode(): "app"}


@needs_ipv6
def test_clients_and_backends_may_speak_ipv6(start: Start) -> None:
    """A listener and a backend on [::1] serve each other, and each the other family."""
    with Backend(naming(b"six"), "::1") as six, Backend(naming(b"four")) as four:
        balancer = start(
            {
                "listeners": ["[::1]:0", "127.0.0.1:0"],
                "routes": {NAME.decode(): "six", "default": "four"},
                "pools": {"six": [six.address], "four": [four.address]},
            }
        )
        assert [host for host, _ in balancer.addresses] == ["::1", "127.0.0.1"]
        unknown = HELLO.replace(NAME, b"oth.example.com")
        for address in balancer.addresses:
            assert say(address, HELLO) == Heard(b"six")
            assert say(address, unknown) == Heard(b"four")


@needs_ipv6
def test_one_port_may_be_listened_on_in_both_families(start: Start) -> None:
    """0.0.0.0 and [::] with the same port are two listeners, neither in the other's way."""
    port = free_port("::")
    with Backend(naming(b"served")) as backend:
        listeners = [f"0.0.0.0:{port}", f"[::]:{port}"]
        start({"listeners": listeners, "routes": ROUTES, "pools": {"app": [backend.address]}})
        assert say(("127.0.0.1", port), HELLO) == Heard(b"served")
        assert say(("::1", port), HELLO) == Heard(b"served")


def test_an_address_has_one_daemon(start: Start, tmp_path: Path) -> None:
    """A second daemon on the same address says so and ends, and the first serves on."""
    port = free_port()
    with Backend(naming(b"first")) as backend:
        config = {
            "listeners": [f"127.0.0.1:{port}"],
            "routes": ROUTES,
            "pools": {"app": [backend.address]},
        }
        first = start(config)
        second = Balancer(tmp_path / "second", config)
        assert second.wait_ended() == 1
        assert f"cannot listen on 127.0.0.1:{port}" in second.log
        assert "Traceback" not in second.log
        for _ in range(20):
            assert say(first.address, HELLO) == Heard(b"first")


def test_an_address_is_free_again_at_once(start: Start) -> None:
    """A daemon may be started where one has just ended, connections of its still lingering."""
    port = free_port()
    with Backend(naming(b"served")) as backend:
        config = {
            "listeners": [f"127.0.0.1:{port}"],
            "routes": ROUTES,
            "pools": {"app": [backend.address]},
        }
        for _ in range(2):
            balancer = start(config)
            for _ in range(5):
                assert say(balancer.address, HELLO) == Heard(b"served")
            assert balancer.stop() == 0
