"""Version 2 of the PROXY header: 16 bytes, the addresses, extras (specification §2.2)."""

from typing import Final

from l4proxy.proxy_protocol.crc32c import crc32c
from l4proxy.proxy_protocol.errors import (
    BadProxyHeader,
    MalformedProxyHeader,
    ProxyHeaderTooLong,
)
from l4proxy.proxy_protocol.header import (
    FRAMING,
    MAX_PATH_BYTES,
    Endpoint,
    IpEndpoint,
    ProxyHeader,
    Tlv,
    TlvType,
    UnixEndpoint,
    unmapped,
)
from sni import MalformedHello
from sni.wire import Cursor

# Bytes behind the first 16 that a header can announce: its length has 16 bits. More is an error and
# never a shorter length, which would spill the rest into the stream as if the client had said it.
MAX_BLOCK_BYTES: Final = 0xFFFF
# TLVs in one header, padding included. Cloud balancers and HAProxy send up to a dozen; the bytes
# that we take would hold 1,300 empty ones.
MAX_TLVS: Final = 64

V2_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"

_FIXED: Final = 16  # signature, version and command, family and protocol, length
_LOCAL: Final = 0x20  # version 2 in the high half of the byte, the command in the low
_PROXY: Final = 0x21
_UNSPEC: Final = 0x00
_TCP4: Final = 0x11  # address family in the high half of the byte, STREAM in the low
_TCP6: Final = 0x21
_UNIX: Final = 0x31
# Bytes of the address block for each family and protocol that a stream may come from. Where either
# is unspecified, addresses are to be ignored; their size is unknown, so what follows them is too.
_ADDRESS_BLOCK: Final = {
    _TCP4: 2 * 4 + 2 * 2,
    _TCP6: 2 * 16 + 2 * 2,
    _UNIX: 2 * MAX_PATH_BYTES,
    _UNSPEC: 0,
    0x01: 0,
    0x10: 0,
    0x20: 0,
    0x30: 0,
}
# Each family has a block of its own size, so the size tells the family.
_FAMILY: Final = {size: family for family, size in _ADDRESS_BLOCK.items() if size}
_TLV_HEADER: Final = 3  # type, length
_NO_CHECKSUM: Final = bytes(4)


def read_v2(wire: bytes | bytearray, max_bytes: int) -> tuple[ProxyHeader, int] | None:
    """Read the header at the beginning of ``wire``, which agrees with V2_SIGNATURE so far.

    Each of the first 16 bytes is judged as soon as it is there, so that what is wrong or too long
    is never waited for; the block behind them once it is whole.

    Args:
        wire: All bytes since the connection began.
        max_bytes: That the header may take.

    Returns:
        The header and the bytes it takes; None: read more.

    Raises:
        MalformedProxyHeader: It is not what the specification allows.
        ProxyHeaderTooLong: It announces more than ``max_bytes``, or has more than MAX_TLVS.

    """
    size = _judge(bytes(wire[:_FIXED]), max_bytes)
    if len(wire) < size:
        return None
    whole = bytes(wire[:size])
    try:
        return _read_block(whole), size
    except (MalformedHello, BadProxyHeader) as error:
        raise MalformedProxyHeader(str(error)) from None


def encode_v2(header: ProxyHeader, *, checksum: bool = False) -> bytes:
    """Write a header in binary; without endpoints it is LOCAL.

    Addresses mapped into IPv6 at both ends are written as IPv4; IPv4 beside IPv6 is mapped, since
    the wire has one family for both.

    Args:
        header: What to say.
        checksum: Whether a CRC32C goes with it.

    Raises:
        BadProxyHeader: The extras do not fit: 65,535 bytes is all that the length can say.

    """
    if header.source is None or header.destination is None:
        return _fixed(_LOCAL, _UNSPEC, 0)
    addresses = _addresses(header.source, header.destination)
    tlvs = [*header.tlvs, Tlv(TlvType.CRC32C, _NO_CHECKSUM)] if checksum else header.tlvs
    size = len(addresses) + sum(_TLV_HEADER + len(value) for _, value in tlvs)
    if size > MAX_BLOCK_BYTES:
        raise BadProxyHeader(f"PROXY header of {size} bytes, {MAX_BLOCK_BYTES} can be announced")
    block = b"".join(bytes((kind,)) + len(value).to_bytes(2, "big") + value for kind, value in tlvs)
    wire = _fixed(_PROXY, _FAMILY[len(addresses)], size) + addresses + block
    if not checksum:
        return wire
    return wire[: -len(_NO_CHECKSUM)] + crc32c(wire).to_bytes(len(_NO_CHECKSUM), "big")


def _judge(head: bytes, max_bytes: int) -> int:
    """Judge what is there of the first 16 bytes; return the bytes that the header takes at least.

    With all 16 it is what the header takes.
    """
    command = head[12:13]
    if command and command[0] not in {_LOCAL, _PROXY}:
        found = f"version and command 0x{command.hex()}"
        raise MalformedProxyHeader(f"{found}, 0x20 (LOCAL) or 0x21 (PROXY) expected")
    # Of LOCAL nothing counts but its length.
    family = b"" if command == bytes((_LOCAL,)) else head[13:14]
    if family and family[0] not in _ADDRESS_BLOCK:
        found = f"family and protocol 0x{family.hex()}"
        raise MalformedProxyHeader(f"{found}, a stream (0x11, 0x21, 0x31) or unspecified expected")
    length = int.from_bytes(head[14:].ljust(2, b"\0"), "big")
    if _FIXED + length > max_bytes:
        found = f"PROXY header of at least {_FIXED + length} bytes announced"
        raise ProxyHeaderTooLong(f"{found}, {max_bytes} allowed")
    if len(head) == _FIXED and family and length < _ADDRESS_BLOCK[family[0]]:
        found = f"block of {length} bytes announced"
        least = _ADDRESS_BLOCK[family[0]]
        raise MalformedProxyHeader(f"{found}, at least {least} expected for 0x{family.hex()}")
    return _FIXED + length


def _read_block(whole: bytes) -> ProxyHeader:
    command, family = whole[12:14]
    if command == _LOCAL or not _ADDRESS_BLOCK[family]:
        return ProxyHeader()
    cursor = Cursor(whole[_FIXED:], "block of a PROXY header")
    source: Endpoint
    destination: Endpoint
    if family == _UNIX:
        source = UnixEndpoint(cursor.take(MAX_PATH_BYTES).rstrip(b"\0"))
        destination = UnixEndpoint(cursor.take(MAX_PATH_BYTES).rstrip(b"\0"))
    else:
        size = 4 if family == _TCP4 else 16
        addresses = cursor.take(size), cursor.take(size)
        source = IpEndpoint(addresses[0], cursor.number(2))
        destination = IpEndpoint(addresses[1], cursor.number(2))
    return ProxyHeader(source, destination, _read_tlvs(whole, cursor))


def _read_tlvs(whole: bytes, cursor: Cursor) -> tuple[Tlv, ...]:
    """Read the rest of the block; checksum and padding are taken off."""
    tlvs: list[Tlv] = []
    verified = False
    count = 0
    while cursor.left:
        count += 1
        if count > MAX_TLVS:
            raise ProxyHeaderTooLong(f"more than {MAX_TLVS} TLVs in a PROXY header")
        tlv = Tlv(cursor.number(1), cursor.vector(2))
        if tlv.type not in FRAMING:
            tlvs.append(tlv)
        elif tlv.type == TlvType.CRC32C:
            if verified:
                raise MalformedProxyHeader("two checksums, one expected at the most")
            _verify(whole, len(whole) - cursor.left, tlv.value)
            verified = True
    return tuple(tlvs)


def _verify(whole: bytes, end: int, value: bytes) -> None:
    """Hold that a checksum, which stands before offset ``end``, is that of the header (§2.2.3)."""
    size = len(_NO_CHECKSUM)
    if len(value) != size:
        raise MalformedProxyHeader(f"checksum of {len(value)} bytes, {size} expected")
    found = crc32c(whole[: end - size] + _NO_CHECKSUM + whole[end:])
    if found != int.from_bytes(value, "big"):
        raise MalformedProxyHeader(f"checksum 0x{value.hex()}, 0x{found:08x} expected")


def _addresses(source: Endpoint, destination: Endpoint) -> bytes:
    if isinstance(source, IpEndpoint) and isinstance(destination, IpEndpoint):
        source, destination = unmapped(source, destination)
        if not (source.is_ipv4 and destination.is_ipv4):
            source, destination = source.mapped, destination.mapped
    return source.layer_3 + destination.layer_3 + source.layer_4 + destination.layer_4


def _fixed(command: int, family: int, size: int) -> bytes:
    return V2_SIGNATURE + bytes((command, family)) + size.to_bytes(2, "big")
