"""The promises of l4proxy.proxy_protocol.header."""

from collections.abc import Callable

import pytest

from l4proxy.proxy_protocol.errors import BadProxyHeader
from l4proxy.proxy_protocol.header import (
    IpEndpoint,
    ProxyHeader,
    Tlv,
    TlvType,
    UnixEndpoint,
    unmapped,
)
from sni import ServerName
from tests.l4proxy.proxy_protocol.headers import CLIENT, CLIENT_6, EXTRAS, SERVER, SERVER_6

MAPPED = IpEndpoint(bytes(10) + b"\xff\xff" + CLIENT.address, CLIENT.port)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: IpEndpoint(b"", 1), "IP address of 0 bytes, 4 or 16 expected"),
        (lambda: IpEndpoint(bytes(5), 1), "IP address of 5 bytes"),
        (lambda: IpEndpoint(bytes(4), -1), "port -1, 0 to 65535 expected"),
        (lambda: IpEndpoint(bytes(16), 65_536), "port 65536"),
        (lambda: UnixEndpoint(bytes(109)), "path of 109 bytes, 108 allowed"),
        (lambda: ProxyHeader(CLIENT), "not of one kind"),
        (lambda: ProxyHeader(None, SERVER), "not of one kind"),
        (lambda: ProxyHeader(CLIENT, UnixEndpoint(b"")), "not of one kind"),
        (lambda: ProxyHeader(None, None, EXTRAS), "extras without endpoints"),
        (lambda: ProxyHeader(CLIENT, SERVER, (Tlv(256, b""),)), "TLV of type 256, 0 to 255"),
        (lambda: ProxyHeader(CLIENT, SERVER, (Tlv(-1, b""),)), "TLV of type -1"),
        (lambda: ProxyHeader(CLIENT, SERVER, (Tlv(3, bytes(4)),)), "the encoder's"),
        (lambda: ProxyHeader(CLIENT, SERVER, (Tlv(4, b""),)), "the encoder's"),
        (lambda: ProxyHeader(CLIENT, SERVER, (Tlv(5, bytes(129)),)), "129 bytes, 128 allowed"),
        (lambda: ProxyHeader(CLIENT, SERVER, EXTRAS + EXTRAS[1:2]), "type 2 more than once"),
    ],
)
def test_parts_that_make_no_header(make: Callable[[], object], found: str) -> None:
    """What could not be written, or not be read alike by everybody, cannot be made."""
    with pytest.raises(BadProxyHeader, match=found):
        make()


def test_limits_are_inclusive() -> None:
    """The longest path, the longest id, the first and last port and type are in order."""
    edges = (Tlv(0, b""), Tlv(255, b""), Tlv(5, bytes(128)))
    ends = UnixEndpoint(bytes([1]) * 108), UnixEndpoint(b"")
    assert ProxyHeader(*ends, edges).unique_id == bytes(128)
    assert IpEndpoint(bytes(4), 0).port == 0
    assert IpEndpoint(bytes(4), 65_535).port == 65_535


def test_unknown_types_may_repeat() -> None:
    """What we do not look into is kept in order, however often it comes."""
    own = (Tlv(0xE0, b"a"), Tlv(0xE0, b"b"), Tlv(TlvType.SSL, b"opaque"))
    assert ProxyHeader(CLIENT, SERVER, own).tlvs == own


def test_extras_have_names() -> None:
    """Each extra that we know can be asked for, and None is said when it is not there."""
    header = ProxyHeader(CLIENT, SERVER, (*EXTRAS, Tlv(0xE0, b"x")))
    found = header.alpn, header.authority, header.unique_id
    assert found == (b"h2", b"app.example.com", b"0123456789abcdef")
    bare = ProxyHeader()
    assert (bare.alpn, bare.authority, bare.unique_id) == (None, None, None)


def test_an_empty_extra_is_said() -> None:
    """An empty value is not the same as none."""
    assert ProxyHeader(CLIENT, SERVER, (Tlv(TlvType.AUTHORITY, b""),)).authority == b""


def test_a_relayed_connection() -> None:
    """A passthrough says the name it routed by, the only protocol offered, and its id."""
    header = ProxyHeader.relayed(
        CLIENT,
        SERVER,
        server_name=ServerName("App.example.com"),
        offered=(b"h2",),
        unique_id=b"0123456789abcdef",
    )
    assert header == ProxyHeader(CLIENT, SERVER, EXTRAS)


@pytest.mark.parametrize("offered", [(), (b"h2", b"http/1.1")])
def test_what_is_not_known_is_not_said(offered: tuple[bytes, ...]) -> None:
    """Which of several protocols comes into use, the enclave alone decides."""
    assert ProxyHeader.relayed(CLIENT, SERVER, offered=offered) == ProxyHeader(CLIENT, SERVER)


def test_mapped_addresses() -> None:
    """IPv4 can be mapped into IPv6 and back; other addresses stay as they are."""
    assert CLIENT.mapped == MAPPED
    assert MAPPED.mapped == MAPPED
    assert MAPPED.unmapped == CLIENT.unmapped == CLIENT
    assert CLIENT_6.unmapped == CLIENT_6.mapped == CLIENT_6


def test_both_ends_are_unmapped_or_neither() -> None:
    """One header has one family: IPv4 only if it fits both ends."""
    assert unmapped(MAPPED, SERVER.mapped) == (CLIENT, SERVER)
    assert unmapped(MAPPED, SERVER) == (CLIENT, SERVER)
    assert unmapped(MAPPED, SERVER_6) == (MAPPED, SERVER_6)
    assert unmapped(CLIENT_6, SERVER) == (CLIENT_6, SERVER)
