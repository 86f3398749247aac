"""PyPI proxy-protocol reads what we write, and we read what it writes."""

import socket
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from proxyprotocol.result import ProxyResult, ProxyResultIPv4, ProxyResultIPv6
from proxyprotocol.tlv import ProxyProtocolTLV
from proxyprotocol.v1 import ProxyProtocolV1
from proxyprotocol.v2 import ProxyProtocolV2

from l4proxy.proxy_protocol import (
    HeaderReader,
    HeaderReceived,
    IpEndpoint,
    ProxyHeader,
    Tlv,
    encode_v1,
    encode_v2,
)
from tests.l4proxy.proxy_protocol.headers import ip_pairs

Pair = tuple[IpEndpoint, IpEndpoint]
Extras = dict[int, bytes]

extras = st.dictionaries(st.sampled_from([1, 2, 5, 0x20, 0xE0]), st.binary(max_size=128))


def _ends(result: ProxyResult) -> Pair:
    assert isinstance(result, ProxyResultIPv4 | ProxyResultIPv6)
    (source, source_port), (destination, destination_port) = result.source, result.dest
    return IpEndpoint(source.packed, source_port), IpEndpoint(destination.packed, destination_port)


def _result(source: IpEndpoint, destination: IpEndpoint, told: Extras) -> ProxyResult:
    tlv = ProxyProtocolTLV(init=told)
    if source.is_ipv4:
        return ProxyResultIPv4(
            (IPv4Address(source.address), source.port),
            (IPv4Address(destination.address), destination.port),
            protocol=socket.SOCK_STREAM,
            tlv=tlv,
        )
    return ProxyResultIPv6(
        (IPv6Address(source.address), source.port),
        (IPv6Address(destination.address), destination.port),
        protocol=socket.SOCK_STREAM,
        tlv=tlv,
    )


def _read(wire: bytes) -> ProxyHeader:
    reader = HeaderReader()
    reader.receive_data(wire + b"rest")
    event = reader.next_event()
    assert isinstance(event, HeaderReceived)
    assert event.rest == b"rest"
    return event.header


@given(ip_pairs)
def test_it_reads_our_lines(pair: Pair) -> None:
    """It finds the same addresses and ports in version 1."""
    assert _ends(ProxyProtocolV1().unpack(encode_v1(ProxyHeader(*pair)))) == pair


@given(ip_pairs, extras)
def test_it_reads_our_binary_headers(pair: Pair, told: Extras) -> None:
    """It finds the same addresses, ports and extras in version 2."""
    header = ProxyHeader(*pair, tuple(Tlv(kind, value) for kind, value in told.items()))
    found = ProxyProtocolV2().unpack(encode_v2(header))
    assert _ends(found) == pair
    assert dict(found.tlv) == told


@given(ip_pairs)
def test_we_read_its_lines(pair: Pair) -> None:
    """Its header of version 1 says to us what it was told."""
    line = ProxyProtocolV1().pack(_result(*pair, {}))
    assert _read(line) == ProxyHeader(*pair, version=1)


@given(ip_pairs, extras)
def test_we_read_its_binary_headers(pair: Pair, told: Extras) -> None:
    """Its header of version 2 says to us what it was told."""
    header = _read(ProxyProtocolV2().pack(_result(*pair, told)))
    assert (header.source, header.destination) == pair
    assert dict(header.tlvs) == told
