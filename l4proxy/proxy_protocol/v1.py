"""Version 1 of the PROXY header: one line of text (specification §2.1)."""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from l4proxy.proxy_protocol.errors import BadProxyHeader, MalformedProxyHeader
from l4proxy.proxy_protocol.header import IpEndpoint, ProxyHeader, unmapped
from sni.wire import quoted

# Bytes of the line, CRLF included: the longest that the specification knows.
MAX_LINE_BYTES: Final = 107

V1_SIGNATURE: Final = b"PROXY "

_CRLF: Final = b"\r\n"
_UNKNOWN: Final = b"PROXY UNKNOWN\r\n"
# What the line begins with, up to where its family is certain.
_BEGINNINGS: Final = (b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN")
# The longest beginning of a line that is in order so far. A dot in TCP6: an IPv4 address mapped
# into IPv6 is written with dots by inet_ntop, and so by HAProxy and nginx. What follows UNKNOWN is
# to be ignored, whatever it is.
_in_order: Final = re.compile(
    rb"PROXY (?:TCP4 [0-9. ]*+|TCP6 [0-9A-Fa-f:. ]*+|UNKNOWN(?: [^\r\n]*+)?+)"
).match
_FIELDS: Final = 6  # PROXY, family, two addresses, two ports
_is_number: Final = re.compile(rb"0|[1-9][0-9]{0,4}").fullmatch


def read_v1(wire: bytes | bytearray) -> tuple[ProxyHeader, int] | None:
    """Read the line at the beginning of ``wire``, which agrees with V1_SIGNATURE so far.

    A byte that has no place is refused as soon as it is there; the values of the fields are read
    once the line is whole, as the specification has it.

    Returns:
        The header and the bytes it takes; None: read more.

    Raises:
        MalformedProxyHeader: It is not what the specification allows, to the letter.

    """
    line = bytes(wire[:MAX_LINE_BYTES])
    found = _in_order(line)
    if found is None:
        if any(beginning.startswith(line) for beginning in _BEGINNINGS):
            return None
        raise MalformedProxyHeader(f"{quoted(line)}, TCP4, TCP6 or UNKNOWN expected after PROXY")
    end = found.end()
    size = end + len(_CRLF)
    if size > MAX_LINE_BYTES:
        raise MalformedProxyHeader(f"line of more than {MAX_LINE_BYTES} bytes: {quoted(line)}")
    tail = line[end:size]
    if tail != _CRLF:
        if _CRLF.startswith(tail):
            return None
        raise MalformedProxyHeader(f"{quoted(tail)} at offset {end} of {quoted(line)}")
    try:
        return _read_line(line[:end]), size
    except BadProxyHeader as error:
        raise MalformedProxyHeader(str(error)) from None


def encode_v1(header: ProxyHeader) -> bytes:
    """Write a header as one line, at most 107 bytes; version 1 has no room for extras.

    UNKNOWN stands for what the line cannot say: no endpoints, Unix sockets, IPv4 beside IPv6.
    Addresses mapped into IPv6 at both ends, as a dual-stack socket gives them, are written as IPv4.
    """
    source, destination = header.source, header.destination
    if not (isinstance(source, IpEndpoint) and isinstance(destination, IpEndpoint)):
        return _UNKNOWN
    source, destination = unmapped(source, destination)
    if source.is_ipv4 is not destination.is_ipv4:
        return _UNKNOWN
    family, address = ("TCP4", IPv4Address) if source.is_ipv4 else ("TCP6", IPv6Address)
    ends = f"{address(source.address)} {address(destination.address)}"
    return f"PROXY {family} {ends} {source.port} {destination.port}\r\n".encode("ascii")


def _read_line(line: bytes) -> ProxyHeader:
    if line.startswith(_UNKNOWN.rstrip()):
        return ProxyHeader(version=1)
    fields = line.split(b" ")
    if len(fields) != _FIELDS:
        found = f"{len(fields)} fields, {_FIELDS} expected"
        raise MalformedProxyHeader(f"{found}, one space between them: {quoted(line)}")
    _, family, *addresses, source_port, destination_port = fields
    source, destination = (_address(family, text) for text in addresses)
    return ProxyHeader(
        IpEndpoint(source, _port(source_port)),
        IpEndpoint(destination, _port(destination_port)),
        version=1,
    )


def _address(family: bytes, text: bytes) -> bytes:
    parse = IPv4Address if family == b"TCP4" else IPv6Address
    try:
        return parse(text.decode("ascii")).packed
    except ValueError:
        raise MalformedProxyHeader(f"{quoted(text)} is no address of {quoted(family)}") from None


def _port(text: bytes) -> int:
    if not _is_number(text):
        raise MalformedProxyHeader(f"port {quoted(text)}, a number without leading zeros expected")
    return int(text)
