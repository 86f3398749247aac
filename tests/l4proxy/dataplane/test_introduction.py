"""The header for a backend: the client, where it connected to, and one id for both logs."""

import socket
from collections.abc import Callable

import pytest

from l4proxy.dataplane.introduction import Origin, introduce, origin_of
from l4proxy.dataplane.room import Peer
from l4proxy.proxy_protocol import (
    HeaderReader,
    HeaderReceived,
    IpEndpoint,
    ProxyHeader,
    UnixEndpoint,
)
from l4proxy.snapshot import ProxyVersion
from sni import ClientHello, HelloPeeker, HelloReceived
from tests.l4proxy.dataplane.room import ENTRANCE
from tests.l4proxy.proxy_protocol.headers import CLIENT, CLIENT_6, SERVER, SERVER_6
from tests.sni.hellos import python_hello

PEER = Peer(bytes([192, 0, 2, 7]), 50_000, ENTRANCE)
Pair = Callable[[], tuple[socket.socket, socket.socket]]


def hello(protocols: list[str], name: str | None = "app.example.com") -> ClientHello:
    """A hello that offers these protocols."""
    peeker = HelloPeeker()
    peeker.receive_data(python_hello(name, protocols))
    event = peeker.next_event()
    assert isinstance(event, HelloReceived)
    return event.hello


def test_without_a_header_the_sockets_say_who(pair: Pair) -> None:
    """The peer as it was accepted, and the address that it reached."""
    near, _ = pair()
    host, port = near.getsockname()
    origin = origin_of(near, PEER, None)
    assert origin.client == IpEndpoint(PEER.address, PEER.port)
    assert origin.destination == IpEndpoint(socket.inet_aton(host), port)


@pytest.mark.parametrize(("source", "goal"), [(CLIENT, SERVER), (CLIENT_6, SERVER_6)])
def test_a_header_before_us_says_who(pair: Pair, source: IpEndpoint, goal: IpEndpoint) -> None:
    """The original client and what it connected to, not the proxy and us."""
    near, _ = pair()
    origin = origin_of(near, PEER, ProxyHeader(source, goal))
    assert (origin.client, origin.destination) == (source, goal)


@pytest.mark.parametrize(
    "header", [ProxyHeader(), ProxyHeader(UnixEndpoint(b"/a"), UnixEndpoint(b"/b"))]
)
def test_a_header_without_an_ip_client_says_nothing(pair: Pair, header: ProxyHeader) -> None:
    """LOCAL, UNKNOWN and Unix sockets leave the peer's own address."""
    near, _ = pair()
    assert origin_of(near, PEER, header).client == IpEndpoint(PEER.address, PEER.port)


def test_ids_are_no_two_the_same(pair: Pair) -> None:
    """Each connection has an id of its own."""
    near, _ = pair()
    assert len({origin_of(near, PEER, None).unique_id for _ in range(100)}) == 100


def decoded(wire: bytes) -> ProxyHeader:
    """The header that these bytes are, and nothing else."""
    reader = HeaderReader()
    reader.receive_data(wire)
    event = reader.next_event()
    assert isinstance(event, HeaderReceived)
    assert event.rest == b""
    return event.header


@pytest.mark.parametrize(("source", "goal"), [(CLIENT, SERVER), (CLIENT_6, SERVER_6)])
@pytest.mark.parametrize("version", ProxyVersion)
def test_a_backend_reads_what_was_meant(
    version: ProxyVersion, source: IpEndpoint, goal: IpEndpoint
) -> None:
    """Both versions tell the two ends; version 2 name, protocol and id besides."""
    header = decoded(introduce(version, Origin(source, goal, "0123456789abcdef"), hello(["h2"])))
    assert (header.version, header.source, header.destination) == (version, source, goal)
    told = (header.authority, header.alpn, header.unique_id)
    if version is ProxyVersion.V2:
        assert told == (b"app.example.com", b"h2", b"0123456789abcdef")
    else:
        assert told == (None, None, None)


@pytest.mark.parametrize("protocols", [[], ["h2", "http/1.1"]])
def test_only_a_protocol_without_a_choice_is_told(protocols: list[str]) -> None:
    """None or several offered: which one will be used is not known."""
    origin = Origin(CLIENT, SERVER, "id")
    assert decoded(introduce(ProxyVersion.V2, origin, hello(protocols))).alpn is None


def test_without_a_server_name_none_is_told() -> None:
    """A client that names nobody."""
    origin = Origin(CLIENT, SERVER, "id")
    assert decoded(introduce(ProxyVersion.V2, origin, hello([], None))).authority is None
