"""Nginx and HAProxy read what we write, and we read what HAProxy writes."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l4proxy.proxy_protocol import (
    HeaderReader,
    HeaderReceived,
    IpEndpoint,
    ProxyHeader,
    Tlv,
    TlvType,
    UnixEndpoint,
    encode_v1,
    encode_v2,
)
from tests.l4proxy.proxy_protocol import peers
from tests.l4proxy.proxy_protocol.headers import (
    BLOCK_4,
    CLIENT,
    EXTRAS,
    LOCAL,
    SERVER,
    ip_pairs,
    tlv,
    v2,
    wired,
)

FEW = settings(max_examples=40)  # each example is a connection to a real server

names = st.from_regex(r"[a-z0-9-]{1,60}(\.[a-z]{2,9}){1,3}", fullmatch=True).map(str.encode)
ids = st.binary(min_size=1, max_size=128)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="l4p") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def nginx(folder: Path) -> Iterator[Path]:
    """Nginx, which says what it has read."""
    with peers.nginx(folder) as path:
        yield path


@pytest.fixture(scope="module")
def writers() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two listening sockets: HAProxy writes version 1 for the first, version 2 for the second."""
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)
        )
        yield first, second


@pytest.fixture(scope="module")
def haproxy(folder: Path, writers: tuple[socket.socket, socket.socket]) -> Iterator[Path]:
    """HAProxy, which says what it has read."""
    with peers.haproxy(folder, *writers) as path:
        yield path


def _says(path: Path, wire: bytes) -> list[bytes] | None:
    """The fields of the answer to a request behind a header; None: the connection is refused."""
    head, _, body = peers.ask(path, wire + peers.REQUEST).partition(b"\r\n\r\n")
    return body.split(b"|") if b" 200 " in head.partition(b"\r\n")[0] else None


def _agrees(said: list[bytes] | None, header: ProxyHeader) -> bool:
    """Whether the addresses and ports of an answer are those of a header."""
    assert said is not None
    ends = [
        IpEndpoint(ip_address(address.decode()).packed, int(port or b"0"))  # both leave a 0 out
        for address, port in zip(said[:2], said[2:4], strict=True)
    ]
    return ends == [header.source, header.destination]


@FEW
@given(ip_pairs)
def test_nginx_reads_our_lines(nginx: Path, pair: tuple[IpEndpoint, IpEndpoint]) -> None:
    """Nginx finds the same addresses and ports in version 1."""
    header = ProxyHeader(*pair)
    assert _agrees(_says(nginx, encode_v1(header)), header)


@FEW
@given(ip_pairs, names, ids, st.booleans())
def test_nginx_reads_our_binary_headers(
    nginx: Path, pair: tuple[IpEndpoint, IpEndpoint], name: bytes, unique_id: bytes, checksum: bool
) -> None:
    """Nginx finds the same addresses and ports in version 2, and the extras if it looks."""
    extras = Tlv(TlvType.AUTHORITY, name), Tlv(TlvType.UNIQUE_ID, unique_id.hex()[:128].encode())
    header = ProxyHeader(*pair, extras)
    said = _says(nginx, encode_v2(header, checksum=checksum))
    assert _agrees(said, header)
    assert said is not None
    assert said[4:] == [value for _, value in extras] * peers.nginx_knows_extras()


@FEW
@given(ip_pairs)
def test_haproxy_reads_our_lines(haproxy: Path, pair: tuple[IpEndpoint, IpEndpoint]) -> None:
    """HAProxy finds the same addresses and ports in version 1."""
    header = ProxyHeader(*pair)
    assert _agrees(_says(haproxy, encode_v1(header)), header)


@FEW
@given(ip_pairs, names, ids, st.booleans())
def test_haproxy_reads_our_binary_headers(
    haproxy: Path,
    pair: tuple[IpEndpoint, IpEndpoint],
    name: bytes,
    unique_id: bytes,
    checksum: bool,
) -> None:
    """HAProxy finds the same in version 2, extras too, and holds our checksum for right."""
    extras = Tlv(TlvType.AUTHORITY, name), Tlv(TlvType.UNIQUE_ID, unique_id)
    header = ProxyHeader(*pair, extras)
    said = _says(haproxy, encode_v2(header, checksum=checksum))
    assert _agrees(said, header)
    assert said is not None
    assert said[4:] == [value.hex().upper().encode() for _, value in extras]


@pytest.mark.parametrize(
    "wire",
    [
        encode_v1(ProxyHeader()),
        encode_v2(ProxyHeader()),
        v2(BLOCK_4 + wired(EXTRAS), command=LOCAL),
    ],
)
def test_headers_without_endpoints_are_accepted(nginx: Path, haproxy: Path, wire: bytes) -> None:
    """UNKNOWN and LOCAL are no reason to refuse a connection."""
    assert _says(nginx, wire) is not None
    assert _says(haproxy, wire) is not None


def test_nginx_accepts_unix_sockets(nginx: Path) -> None:
    """Paths are addresses too, for those who take them: HAProxy 2.6 refuses all but TCP."""
    header = ProxyHeader(UnixEndpoint(b""), UnixEndpoint(b"/run/l4proxy"), EXTRAS)
    assert _says(nginx, encode_v2(header)) is not None


CHECKED = encode_v2(ProxyHeader(CLIENT, SERVER, EXTRAS), checksum=True)


@pytest.mark.parametrize(
    "wire",
    [
        CHECKED[:-1] + bytes([CHECKED[-1] ^ 1]),
        v2(BLOCK_4 + tlv(5, bytes(129))),
        v2(BLOCK_4 + tlv(2, b"name", 5)),
        v2(command=0x22),
        v2(command=0x31),
        v2(length=11),
        b"PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\n",
        b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    ],
)
def test_haproxy_refuses_what_we_refuse(haproxy: Path, wire: bytes) -> None:
    """A wrong checksum, extra, command or length, and a wrong line: refused by both."""
    reader = HeaderReader()
    reader.receive_data(wire + peers.REQUEST)
    assert not isinstance(reader.next_event(), HeaderReceived)
    assert _says(haproxy, wire) is None


@pytest.mark.parametrize("which", [0, 1])
def test_we_read_what_haproxy_writes(
    haproxy: Path, folder: Path, writers: tuple[socket.socket, socket.socket], which: int
) -> None:
    """A connection through HAProxy shows its client, and its bytes stay as they are."""
    reader = HeaderReader()
    backend_path = folder / "backend.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.settimeout(peers.PATIENCE)
        listening.bind(str(backend_path))
        listening.listen()
        with socket.create_connection(writers[which].getsockname(), peers.PATIENCE) as client:
            client.sendall(b"the client's bytes")
            client.shutdown(socket.SHUT_WR)
            ends = client.getsockname(), client.getpeername()
            backend, _ = listening.accept()
            with backend:
                backend.settimeout(peers.PATIENCE)
                reader.receive_data(peers.to_the_end(backend))
    backend_path.unlink()
    event = reader.next_event()
    assert isinstance(event, HeaderReceived)
    expected = [IpEndpoint(IPv4Address(host).packed, port) for host, port in ends]
    assert [event.header.source, event.header.destination] == expected
    assert event.header.version == which + 1
    assert (event.header.unique_id is not None) == (which == 1)
    assert event.rest == b"the client's bytes"
