"""Refusals: what a client hears that no backend will serve, and what the operator reads."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.backends import Backend, naming
from tests.e2e.balancer import Balancer, Start
from tests.e2e.sockets import HELLO, NAME, SILENT, Heard, alert, connect, hear, reset, say
from tests.ports import free_port
from tests.sni.hellos import alpn, hello, record, records, server_name

HELLO_TIMEOUT = 1
"""Seconds."""

UNKNOWN = hello(server_name(b"unknown.example.com")).wire()
NAMELESS = hello().wire()
TOO_LONG = record(b"\x01" + (70_000).to_bytes(3, "big") + bytes(100))
TWO_NAMES = hello(server_name(NAME, b"other.example.com")).wire()
NAMED_TWICE = hello(server_name(NAME), server_name(NAME)).wire()
EMPTY_RECORD = record(b"")
OTHER_PROTOCOL = hello(server_name(b"h2.example.com"), alpn(b"http/1.1")).wire()

# First bytes that are no hello: the reason that is counted, and the alert if one is due.
UNREADABLE: dict[str, tuple[bytes, str, Heard]] = {
    "HTTP": (b"GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n", "not_tls", SILENT),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", "not_tls", SILENT),
    "SSLv2": (bytes.fromhex("802e010002001500000010") + bytes(37), "not_tls", SILENT),
    "random": (bytes.fromhex("f7a1d2c3b4") * 40, "not_tls", SILENT),
    "an alert": (record(b"\x01\x00", 0x15), "not_tls", SILENT),
    "an empty record": (EMPTY_RECORD, "malformed", alert(50)),
    "a length beyond the record": (record(HELLO[5:] + b"\0"), "malformed", alert(50)),
    "another handshake message": (record(b"\x02" + HELLO[6:]), "malformed", alert(10)),
    "an alert inside the hello": (
        records(HELLO[5:], [20])[:25] + record(b"\x01\x00", 0x15), "malformed", alert(10),
    ),
    "too long": (TOO_LONG, "too_long", alert(50)),
    "two names": (TWO_NAMES, "ambiguous", alert(47)),
    "two name extensions": (NAMED_TWICE, "ambiguous", alert(47)),
    "a name that is none": (hello(server_name(b"a b")).wire(), "bad_server_name", alert(112)),
}  # fmt: skip

# Hellos that nobody serves.
UNSERVED: dict[str, tuple[bytes, str, Heard]] = {
    "an unknown name": (UNKNOWN, "unknown_server_name", alert(112)),
    "no name": (NAMELESS, "no_server_name", alert(112)),
    "no protocol in common": (OTHER_PROTOCOL, "no_alpn_match", alert(120)),
    "a pool that is down": (
        hello(server_name(b"down.example.com")).wire(), "no_backend_answered", alert(80),
    ),
}  # fmt: skip

CASES = UNREADABLE | UNSERVED


@dataclass(frozen=True, slots=True)
class Scene:
    """Balancers that differ in how they refuse, or in their default route."""

    alerting: Balancer
    closing: Balancer
    resetting: Balancer
    backend: Backend
    defaulting: Balancer
    default: Backend


@pytest.fixture(scope="module")
def scene(start_shared: Start) -> Iterator[Scene]:
    """All balancers of this module."""
    with Backend(naming(b"routed")) as backend, Backend(naming(b"default")) as default:
        pools = {
            "app": [backend.address],
            "down": [f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"],
            "other": [default.address],
        }
        routes = {
            NAME.decode(): "app",
            "h2.example.com": {"pool": "app", "alpn": ["h2"]},
            "down.example.com": "down",
            "spare.example.com": "other",
        }
        common = {"pools": pools, "routes": routes}
        limits = {"hello_timeout": f"{HELLO_TIMEOUT}s"}
        yield Scene(
            start_shared({**common, "limits": limits}),
            start_shared({**common, "refusal": "close"}),
            start_shared({**common, "refusal": "reset"}),
            backend,
            start_shared({**common, "routes": {**routes, "default": "other"}}),
            default,
        )


@pytest.mark.parametrize(("first", "_reason", "heard"), CASES.values(), ids=CASES)
def test_a_refused_client_hears_the_alert_that_its_mistake_has(
    scene: Scene, first: bytes, _reason: str, heard: Heard
) -> None:
    """The alert names the mistake and is never cut off; what is not TLS is closed without one."""
    assert say(scene.alerting.address, first) == heard


def test_every_refusal_is_counted_under_its_reason(start: Start) -> None:
    """The operator reads why clients were refused, and how many for each reason."""
    down = f"127.0.0.1:{free_port()}"
    routes = {NAME.decode(): "down", "down.example.com": "down"}
    routed = {**routes, "h2.example.com": {"pool": "down", "alpn": ["h2"]}}
    balancer = start({"routes": routed, "pools": {"down": [down]}})
    for first, _, _ in CASES.values():
        say(balancer.address, first)
    for reason, count in Counter(reason for _, reason, _ in CASES.values()).items():
        balancer.expect_counted("refused", reason, count)
        assert balancer.counted("refused", reason) == count


@pytest.mark.parametrize("first", [case[0] for case in CASES.values()], ids=CASES)
def test_a_refusal_may_be_a_plain_close(scene: Scene, first: bytes) -> None:
    """With `refusal: close` a refused client hears the end and nothing else."""
    assert say(scene.closing.address, first) == SILENT


@pytest.mark.parametrize("first", [case[0] for case in CASES.values()], ids=CASES)
def test_a_refusal_may_be_a_reset(scene: Scene, first: bytes) -> None:
    """With `refusal: reset` a refused client is reset."""
    assert say(scene.resetting.address, first) == Heard(b"", reset=True)


@pytest.mark.parametrize("first", [case[0] for case in UNREADABLE.values()], ids=UNREADABLE)
def test_what_cannot_be_read_never_falls_to_the_default_route(scene: Scene, first: bytes) -> None:
    """A first flight that is no hello, or an ambiguous one, reaches no backend at all."""
    before = scene.default.accepted, scene.backend.accepted
    heard = say(scene.defaulting.address, first)
    assert heard.data in {case[2].data for case in UNREADABLE.values()}
    assert (scene.default.accepted, scene.backend.accepted) == before


def test_a_hello_that_never_ends_does_not_fall_to_the_default_route(scene: Scene) -> None:
    """A client that closes in the middle of its hello reaches no backend."""
    before = scene.default.accepted
    with connect(scene.defaulting.address) as client:
        client.sendall(UNKNOWN[:-1])
        client.shutdown(socket.SHUT_WR)
        assert hear(client) == SILENT
    scene.defaulting.expect_counted("refused", "truncated")
    assert scene.default.accepted == before


@pytest.mark.parametrize("first", [UNKNOWN, NAMELESS], ids=["unknown", "nameless"])
def test_a_valid_hello_may_fall_to_the_default_route(scene: Scene, first: bytes) -> None:
    """With `default: POOL` a hello with an unknown name, or with none, is served by that pool."""
    assert say(scene.defaulting.address, first).data == b"default"


def test_a_protocol_that_a_name_does_not_serve_is_refused_despite_a_default(scene: Scene) -> None:
    """A name with routes for other protocols only never falls to the default route."""
    assert say(scene.defaulting.address, OTHER_PROTOCOL) == alert(120)


def test_a_protocol_that_a_name_serves_is_routed(scene: Scene) -> None:
    """A client that offers a protocol of its name's route reaches that route's pool."""
    first = hello(server_name(b"h2.example.com"), alpn(b"http/1.1", b"h2")).wire()
    assert say(scene.alerting.address, first).data == b"routed"


def test_a_full_pool_refuses(start: Start) -> None:
    """When no backend is eligible the client hears internal_error at once."""
    with Backend(naming(b"full")) as backend:
        capacity = {"count": "connections", "sessions_per_backend": 1}
        pool = {"backends": [backend.address], "capacity": capacity}
        balancer = start({"routes": {NAME.decode(): "app"}, "pools": {"app": pool}})
        with connect(balancer.address) as first:
            first.sendall(HELLO)
            assert hear(first).data == b"full"
            assert say(balancer.address, HELLO) == alert(80)
        balancer.expect_counted("refused", "no_eligible_backend")


def test_a_hello_that_ends_early_is_counted(scene: Scene) -> None:
    """A client that closes before its hello is whole is let go without a word, and counted."""
    before = scene.alerting.counted("refused", "truncated")
    with connect(scene.alerting.address) as client:
        client.sendall(HELLO[:40])
        client.shutdown(socket.SHUT_WR)
        assert hear(client) == SILENT
    scene.alerting.expect_counted("refused", "truncated", before + 1)


def test_a_client_that_resets_in_its_hello_is_counted(scene: Scene) -> None:
    """A reset in the middle of the hello ends the connection, and is counted as the client's."""
    before = scene.alerting.counted("refused", "client_reset")
    client = connect(scene.alerting.address)
    client.sendall(HELLO[:40])
    time.sleep(0.1)  # so that the balancer has accepted: a reset in its queue is none of its own
    reset(client)
    scene.alerting.expect_counted("refused", "client_reset", before + 1)


def test_progress_buys_a_slow_client_no_time(scene: Scene) -> None:
    """A client that says its hello a byte at a time is cut when `hello_timeout` has passed."""
    before = scene.alerting.counted("refused", "hello_timeout")
    begun = time.monotonic()
    with connect(scene.alerting.address) as client:
        client.settimeout(0.2)
        assert _trickle(client, HELLO) == b""
    took = time.monotonic() - begun
    assert HELLO_TIMEOUT * 0.9 < took < HELLO_TIMEOUT * 4  # 60 bytes at 5 a second would take 12
    scene.alerting.expect_counted("refused", "hello_timeout", before + 1)


def test_a_silent_client_is_cut(scene: Scene) -> None:
    """A client that says nothing at all is cut too, and without a word."""
    with connect(scene.alerting.address) as client:
        assert hear(client) == SILENT


def test_refusals_show_in_the_metrics(scene: Scene) -> None:
    """Each refusal is counted under its reason on the page that monitoring reads."""
    assert say(scene.alerting.address, UNKNOWN) == alert(112)
    scene.alerting.expect_counted("refused", "unknown_server_name")
    lines = scene.alerting.page("/metrics").splitlines()
    (line,) = [line for line in lines if "refused" in line and '"unknown_server_name"' in line]
    assert float(line.split()[-1]) >= 1


def _trickle(client: socket.socket, data: bytes) -> bytes:
    """Sends a byte whenever nothing came for the client's timeout; returns what came."""
    for byte in data:
        client.sendall(bytes([byte]))
        try:
            return client.recv(100)
        except TimeoutError:
            continue
    raise AssertionError("the whole hello was taken")
