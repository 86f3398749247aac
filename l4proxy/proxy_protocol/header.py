"""What a PROXY header says, whichever version carries it: who connected, to whom, and extras."""

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal, NamedTuple, Self, TypeAlias

from l4proxy.proxy_protocol.errors import BadProxyHeader
from sni import ServerName

# Bytes of a connection's unique id: the specification allows no more (§2.2.5).
MAX_UNIQUE_ID_BYTES: Final = 128
# Bytes of a Unix socket's path: what the address block of version 2 has room for (§2.2).
MAX_PATH_BYTES: Final = 108

_IPV4_BYTES: Final = 4
_IPV6_BYTES: Final = 16
_IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291 §2.5.5.2
_MAX_PORT: Final = 0xFFFF
_MAX_TYPE: Final = 0xFF


class TlvType(IntEnum):
    """The types of extras that the specification has registered (§2.2); others are kept too."""

    ALPN = 0x01
    AUTHORITY = 0x02
    CRC32C = 0x03
    NOOP = 0x04
    UNIQUE_ID = 0x05
    SSL = 0x20
    NETNS = 0x30


# Of these a second one would contradict the first; others, and all custom ones, may repeat.
_ONCE: Final = frozenset({TlvType.ALPN, TlvType.AUTHORITY, TlvType.UNIQUE_ID})
# These are about the bytes of one header, not about the connection: no ProxyHeader holds them.
FRAMING: Final = frozenset({TlvType.CRC32C, TlvType.NOOP})


class Tlv(NamedTuple):
    """One extra: type, length, value.

    Attributes:
        type: 0 to 255; a TlvType if registered.
        value: As it came: nothing here looks into it.

    """

    type: int
    value: bytes


@dataclass(frozen=True, slots=True)
class IpEndpoint:
    """One end of a TCP connection.

    Attributes:
        address: Packed, in network order: 4 bytes IPv4, 16 bytes IPv6.
        port: 0 to 65535.

    Raises:
        BadProxyHeader: There is no such address or port.

    """

    address: bytes
    port: int

    def __post_init__(self) -> None:
        if len(self.address) not in {_IPV4_BYTES, _IPV6_BYTES}:
            raise BadProxyHeader(f"IP address of {len(self.address)} bytes, 4 or 16 expected")
        if not 0 <= self.port <= _MAX_PORT:
            raise BadProxyHeader(f"port {self.port}, 0 to {_MAX_PORT} expected")

    @property
    def is_ipv4(self) -> bool:
        """Whether the address has 4 bytes."""
        return len(self.address) == _IPV4_BYTES

    @property
    def unmapped(self) -> "IpEndpoint":
        """The IPv4 endpoint that is mapped into this IPv6 one; itself if none is."""
        if self.is_ipv4 or not self.address.startswith(_IPV4_MAPPED):
            return self
        return IpEndpoint(self.address[len(_IPV4_MAPPED) :], self.port)

    @property
    def mapped(self) -> "IpEndpoint":
        """This endpoint as an IPv6 one."""
        return IpEndpoint(_IPV4_MAPPED + self.address, self.port) if self.is_ipv4 else self

    @property
    def layer_3(self) -> bytes:
        """The address in version 2."""
        return self.address

    @property
    def layer_4(self) -> bytes:
        """The port in version 2."""
        return self.port.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class UnixEndpoint:
    """One end of a connection through a Unix stream socket.

    Attributes:
        path: Empty for a client that has none; in the abstract namespace its first byte is NUL.
            NULs at the end are padding on the wire, and lost.

    Raises:
        BadProxyHeader: The path is longer than the wire has room for.

    """

    path: bytes

    def __post_init__(self) -> None:
        if len(self.path) > MAX_PATH_BYTES:
            raise BadProxyHeader(f"path of {len(self.path)} bytes, {MAX_PATH_BYTES} allowed")

    @property
    def layer_3(self) -> bytes:
        """The path in version 2."""
        return self.path.ljust(MAX_PATH_BYTES, b"\0")

    @property
    def layer_4(self) -> bytes:
        """Nothing: a path has no ports."""
        return b""


Endpoint: TypeAlias = IpEndpoint | UnixEndpoint


def unmapped(source: IpEndpoint, destination: IpEndpoint) -> tuple[IpEndpoint, IpEndpoint]:
    """Return both as IPv4 if both can be, and else both as they are.

    A dual-stack socket gives IPv4 clients and itself in mapped addresses.
    """
    plain = source.unmapped, destination.unmapped
    return plain if plain[0].is_ipv4 and plain[1].is_ipv4 else (source, destination)


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a proxy says of a connection before its first byte.

    Without endpoints it says "take the connection for what it is": LOCAL or an unspecified family
    in version 2, UNKNOWN in version 1; then it says nothing else either.

    Attributes:
        source: Who connected; None together with ``destination``.
        destination: To what it connected; of the same kind as ``source``.
        tlvs: Extras in the order of the wire, without checksum and padding, which are no more than
            the envelope of one header.
        version: That it was read in; what is written is chosen by the encoder.

    Raises:
        BadProxyHeader: The parts do not fit together.

    """

    source: Endpoint | None = None
    destination: Endpoint | None = None
    tlvs: tuple[Tlv, ...] = ()
    version: Literal[1, 2] = 2

    def __post_init__(self) -> None:
        if type(self.source) is not type(self.destination):
            raise BadProxyHeader("source and destination are not of one kind")
        if self.source is None and self.tlvs:
            raise BadProxyHeader("extras without endpoints: a receiver skips them unread")
        if self.tlvs:
            _check(self.tlvs)

    @classmethod
    def relayed(
        cls,
        source: Endpoint,
        destination: Endpoint,
        *,
        server_name: ServerName | None = None,
        offered: tuple[bytes, ...] = (),
        unique_id: bytes = b"",
    ) -> Self:
        """Make the header that a passthrough puts before a client's hello.

        AUTHORITY is the server name that the connection was routed by. ALPN is *the protocol in
        use* (§2.2.1), which receivers compare with names like ``h2``; a passthrough knows only what
        the client offers. So it is there if, and only if, one protocol is offered: no other can
        come into use. A list in its place would be read as a protocol of a strange name.

        Args:
            source: The client.
            destination: Where the client connected to.
            server_name: Of the hello; None: it has none.
            offered: The protocols of the hello's ALPN extension.
            unique_id: Up to 128 bytes that name the connection in every log; empty: none.

        Raises:
            BadProxyHeader: An end is a Unix socket and the other is not, or the id is too long.

        """
        tlvs = []
        if len(offered) == 1:
            tlvs.append(Tlv(TlvType.ALPN, offered[0]))
        if server_name is not None:
            tlvs.append(Tlv(TlvType.AUTHORITY, server_name.encode("ascii")))
        if unique_id:
            tlvs.append(Tlv(TlvType.UNIQUE_ID, unique_id))
        return cls(source, destination, tuple(tlvs))

    @property
    def alpn(self) -> bytes | None:
        """The protocol in use; None: not said."""
        return self._value(TlvType.ALPN)

    @property
    def authority(self) -> bytes | None:
        """The server name that the client passed, as the sender put it; None: not said."""
        return self._value(TlvType.AUTHORITY)

    @property
    def unique_id(self) -> bytes | None:
        """The sender's name for the connection, 128 bytes at most; None: not said."""
        return self._value(TlvType.UNIQUE_ID)

    def _value(self, wanted: TlvType) -> bytes | None:
        return next((value for kind, value in self.tlvs if kind == wanted), None)


def _check(tlvs: tuple[Tlv, ...]) -> None:
    for kind, value in tlvs:
        if not 0 <= kind <= _MAX_TYPE:
            raise BadProxyHeader(f"TLV of type {kind}, 0 to {_MAX_TYPE} expected")
        if kind in FRAMING:
            raise BadProxyHeader(f"TLV of type {kind}: checksum and padding are the encoder's")
        if kind == TlvType.UNIQUE_ID and len(value) > MAX_UNIQUE_ID_BYTES:
            raise BadProxyHeader(f"unique id of {len(value)} bytes, {MAX_UNIQUE_ID_BYTES} allowed")
    twice = [kind for kind, count in Counter(tlv.type for tlv in tlvs).items() if count > 1]
    for kind in _ONCE.intersection(twice):
        raise BadProxyHeader(f"TLV of type {kind} more than once: nobody may choose one")
