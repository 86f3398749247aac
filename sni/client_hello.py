"""The ClientHello: framing checked to its last byte, the fields that routing asks for read.

RFC 9846 §4.2.2. The readers index bytes themselves instead of moving a cursor, each index behind
the comparison that bounds it: a hello of 517 bytes took 8.4 µs, peeker and records included, where
the same reader on a cursor took 14. What most clients of a site say alike is parsed once and then
remembered, which makes it 5.4 (CPython 3.11; ``benchmarks/hello_parse.py``).
"""

import struct
from typing import Final, TypeVar

from sni.errors import AmbiguousHello, MalformedHello, UnexpectedMessage
from sni.pre_shared_key import PskIdentity, read_pre_shared_key
from sni.server_name import ServerName, read_server_name
from sni.wire import numbers

HANDSHAKE_HEADER: Final = 4  # msg_type and a 24-bit length (RFC 9846 §4)
CLIENT_HELLO: Final = 0x01  # HandshakeType

# Extension types (https://www.iana.org/assignments/tls-extensiontype-values).
SERVER_NAME: Final = 0x0000
ALPN: Final = 0x0010
SESSION_TICKET: Final = 0x0023
PRE_SHARED_KEY: Final = 0x0029
EARLY_DATA: Final = 0x002A
SUPPORTED_VERSIONS: Final = 0x002B
ENCRYPTED_CLIENT_HELLO: Final = 0xFE0D

_SESSION_ID_AT: Final = HANDSHAKE_HEADER + 2 + 32  # behind legacy_version and random
_MAX_SESSION_ID: Final = 32
_SHORTEST_CIPHER_SUITES: Final = 2
_TLS_1_2: Final = 0x0303
# Version, random, empty session id, one cipher suite, one compression method, no extensions.
_SHORTEST: Final = _SESSION_ID_AT + 1 + 2 + _SHORTEST_CIPHER_SUITES + 2
# Types below this have a place in a list, which costs less than one in a dict: up to TLS 1.3's own,
# whose last is key_share, they are nearly all that clients send.
_LISTED: Final = 0x0033 + 1
_SHORTEST_ALPN: Final = 4  # length of the list, length of a name, one byte
# Names that are remembered, so that each is parsed once and not once a connection: 0.1 µs instead
# of 1.3. More than most sites have; a name takes some 700 bytes at most. A stranger who says others
# drives these out, and all that costs is to parse them again.
MAX_REMEMBERED_NAMES: Final = 1_024
# Lists of protocols and of versions that are remembered; there are a few for each kind of client.
MAX_REMEMBERED_PROTOCOLS: Final = 64
MAX_REMEMBERED_VERSIONS: Final = 64
# Bytes of a list of protocols. Real ones take some twenty; a longer one is read, not remembered.
_MAX_REMEMBERED_ALPN: Final = 64
# ECHClientHello (RFC 9849 §5): type, KDF and AEAD ids, config_id, length of enc.
_ECH_OUTER: Final = struct.Struct(">BHHBH")
_ECH_OUTER_TYPE: Final = 0
_ECH_INNER: Final = b"\x01"
_T = TypeVar("_T")

# What was read before, by the body of the extension. A dict that is full is emptied: to keep what
# was used last would cost each connection, and the next ones fill it again.
_names: Final[dict[bytes, ServerName | None]] = {}
_protocol_lists: Final[dict[bytes, tuple[bytes, ...]]] = {}
_version_lists: Final[dict[bytes, tuple[int, ...]]] = {}


class ClientHello:
    """What routing needs of a hello that was well formed from its first byte to its last.

    A plain class, since one is made for each connection; once it is read nobody changes it. Routing
    chooses by what the constructor takes, so a hello that is only imagined is made there.

    Attributes:
        server_name: None: the client named no host (or an IP address).
        alpn: Protocol names in the client's order, GREASE included.
        session_id: 0 to 32 bytes.
        ticket: The TLS 1.2 ticket; None: no such extension, ``b""``: the client asks for one.
        psk_identities: In the client's order.
        legacy_version: As sent: 0x0303 from a TLS 1.3 client.
        supported_versions: In the client's order, GREASE included; empty without the extension.
        early_data: 0-RTT data follows: they must not reach two backends.
        ech: Encrypted Client Hello or its GREASE, which look alike (RFC 9849 §6.2): the server name
            may be the outer one.
        message: The whole handshake message with its 4-byte header, for whoever reads other fields.

    """

    __slots__ = (
        "alpn",
        "early_data",
        "ech",
        "legacy_version",
        "message",
        "psk_identities",
        "server_name",
        "session_id",
        "supported_versions",
        "ticket",
    )

    def __init__(
        self,
        server_name: ServerName | None,
        alpn: tuple[bytes, ...] = (),
        session_id: bytes = b"",
        ticket: bytes | None = None,
        psk_identities: tuple[PskIdentity, ...] = (),
    ) -> None:
        self.server_name: Final = server_name
        self.alpn: Final = alpn
        self.session_id: Final = session_id
        self.ticket: Final = ticket
        self.psk_identities: Final = psk_identities
        self.legacy_version = _TLS_1_2
        self.supported_versions: tuple[int, ...] = ()
        self.early_data = False
        self.ech = False
        self.message = b""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientHello) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def _fields(self) -> tuple[object, ...]:
        return (
            self.legacy_version,
            self.supported_versions,
            self.session_id,
            self.server_name,
            self.alpn,
            self.ticket,
            self.psk_identities,
            self.early_data,
            self.ech,
            self.message,
        )


def parse_client_hello(message: bytes) -> ClientHello:
    """Read one complete ClientHello message, its 4-byte handshake header included.

    The whole framing is checked, not only the path to the name: proxy and backend must see the
    same server name.

    Raises:
        UnexpectedMessage: It is another handshake message.
        MalformedHello: A length does not fit or a field holds what its RFC forbids.
        AmbiguousHello: An extension occurs twice, or there is more than one server name.
        BadServerName: The server name cannot be a DNS name.

    """
    session_end, _, at = _frame(message)
    starts, further, last = _extensions(message, at)
    versions = starts[SUPPORTED_VERSIONS]
    name = starts[SERVER_NAME]
    alpn = starts[ALPN]
    ticket = starts[SESSION_TICKET]
    psk = starts[PRE_SHARED_KEY]
    early_data = starts[EARLY_DATA]
    if psk and last != PRE_SHARED_KEY:
        raise MalformedHello("pre_shared_key is not the last extension (RFC 9846 §4.3.11)")
    supported = _versions(extension_body(message, versions)) if versions else ()
    hello = ClientHello(
        _server_name(extension_body(message, name)) if name else None,
        _protocols(extension_body(message, alpn)) if alpn else (),
        message[_SESSION_ID_AT + 1 : session_end],
        extension_body(message, ticket) if ticket else None,
        read_pre_shared_key(extension_body(message, psk)) if psk else (),
    )
    hello.legacy_version = message[4] << 8 | message[5]
    hello.supported_versions = supported
    hello.message = message
    if early_data:
        hello.early_data = _early_data(extension_body(message, early_data))
    if ENCRYPTED_CLIENT_HELLO in further:
        hello.ech = _ech(extension_body(message, further[ENCRYPTED_CLIENT_HELLO]))
    return hello


def split_client_hello(message: bytes) -> tuple[bytes, dict[int, int]]:
    """Cut a ClientHello message into the parts that routing does not read.

    Returns:
        The cipher suites, and by extension type the offset at which the extension's body begins
        (``extension_body`` reads it).

    Raises:
        UnexpectedMessage: It is another handshake message.
        MalformedHello: A length does not fit.
        AmbiguousHello: An extension occurs twice.

    """
    session_end, suites_end, at = _frame(message)
    starts, further, _ = _extensions(message, at)
    listed = {kind: start for kind, start in enumerate(starts) if start}
    return message[session_end + 2 : suites_end], listed | further


def extension_body(message: bytes, start: int) -> bytes:
    """Return the body that begins at ``start``, an offset from ``split_client_hello``."""
    return message[start : start + (message[start - 2] << 8 | message[start - 1])]


def _frame(message: bytes) -> tuple[int, int, int]:
    """Return where the session id ends, the cipher suites, and the compression methods."""
    end = len(message)
    if end < _SHORTEST:
        raise MalformedHello(f"ClientHello of {end} bytes, at least {_SHORTEST} expected")
    if message[0] != CLIENT_HELLO:
        raise UnexpectedMessage(f"handshake message {message[0]}, ClientHello (1) expected")
    if (message[1] << 16 | message[2] << 8 | message[3]) != end - HANDSHAKE_HEADER:
        raise MalformedHello(f"ClientHello of {end} bytes, its header says otherwise")

    size = message[_SESSION_ID_AT]
    session_end = _SESSION_ID_AT + 1 + size
    if size > _MAX_SESSION_ID or session_end + 2 > end:
        raise MalformedHello(f"session id of {size} bytes, 0 to {_MAX_SESSION_ID} expected")
    size = message[session_end] << 8 | message[session_end + 1]
    start = session_end + 2
    suites_end = start + size
    if size < _SHORTEST_CIPHER_SUITES or size & 1 or suites_end + 1 > end:
        raise MalformedHello(f"cipher suites of {size} bytes, {end - start} left")
    size = message[suites_end]
    at = suites_end + 1 + size
    if not size or at > end:
        raise MalformedHello(f"compression methods of {size} bytes, at least 1 expected")
    return session_end, suites_end, at


def _extensions(message: bytes, block: int) -> tuple[list[int], dict[int, int], int]:
    """Return where bodies begin, by type (0: no such extension), and the last one's type."""
    starts = [0] * _LISTED
    further: dict[int, int] = {}
    end = len(message)
    if block == end:
        return starts, further, -1  # TLS 1.2 and older may leave it out (RFC 5246 §7.4.1.2)
    at = block + 2
    if at > end or at + (message[block] << 8 | message[block + 1]) != end:
        raise MalformedHello(f"extensions: {end - block} bytes left, their length says otherwise")
    kind = -1
    unlisted = 0
    twice = False
    last = end - 4  # where the last header may begin
    while at <= last:
        kind = message[at] << 8 | message[at + 1]
        start = at + 4
        at = start + (message[at + 2] << 8 | message[at + 3])
        if kind >= _LISTED:
            further[kind] = start
            unlisted += 1
        elif starts[kind]:
            twice = True
        else:
            starts[kind] = start
    # Each extension was as long as it said, so one that reached past the end shows here.
    if at != end:
        raise MalformedHello(f"extensions: the last one ends {at - end} bytes off the hello's end")
    if twice or len(further) != unlisted:
        raise _ambiguous(message, block + 2)
    return starts, further, kind


def _ambiguous(message: bytes, at: int) -> AmbiguousHello:
    kinds = []
    while at < len(message):
        kinds.append(message[at] << 8 | message[at + 1])
        at += 4 + (message[at + 2] << 8 | message[at + 3])
    return AmbiguousHello(f"{len(kinds)} extensions of {len(set(kinds))} types: one occurs twice")


def _server_name(body: bytes) -> ServerName | None:
    found = _names.get(body)
    if found is not None or body in _names:  # an address is remembered as None
        return found
    return _remember(_names, MAX_REMEMBERED_NAMES, body, read_server_name(body))


def _versions(body: bytes) -> tuple[int, ...]:
    found = _version_lists.get(body)
    if found is not None:
        return found
    return _remember(_version_lists, MAX_REMEMBERED_VERSIONS, body, _read_versions(body))


def _read_versions(body: bytes) -> tuple[int, ...]:
    """RFC 9846 §4.3.1: ``ProtocolVersion versions<2..254>``."""
    size = len(body) - 1
    if size <= 0 or size % 2 or body[0] != size:
        raise MalformedHello(f"supported_versions: a list of {size} bytes does not fit")
    return numbers(body[1:], "supported_versions")


def _protocols(body: bytes) -> tuple[bytes, ...]:
    found = _protocol_lists.get(body)
    if found is not None:
        return found
    read = _read_protocols(body)
    if len(body) > _MAX_REMEMBERED_ALPN:
        return read
    return _remember(_protocol_lists, MAX_REMEMBERED_PROTOCOLS, body, read)


def _read_protocols(body: bytes) -> tuple[bytes, ...]:
    """RFC 7301 §3.1: ``ProtocolName protocol_name_list<2..2^16-1>``, no name empty."""
    end = len(body)
    if end < _SHORTEST_ALPN or body[0] << 8 | body[1] != end - 2:
        raise MalformedHello(f"ALPN: a list of {end - 2} bytes does not fit")
    names = []
    at = 2
    while at < end:
        start = at + 1
        at = start + body[at]
        if at == start or at > end:
            raise MalformedHello(f"ALPN: a name of {at - start} bytes, {end - start} left")
        names.append(body[start:at])
    return tuple(names)


def _remember(table: dict[bytes, _T], most: int, body: bytes, found: _T) -> _T:
    if len(table) >= most:
        table.clear()
    table[body] = found
    return found


def _early_data(body: bytes) -> bool:
    """RFC 9846 §4.3.10: empty in a ClientHello."""
    if body:
        raise MalformedHello(f"early_data of {len(body)} bytes, 0 expected")
    return True


def _ech(body: bytes) -> bool:
    """RFC 9849 §5: enc may be empty, payload may not; behind a proxy the type may be inner."""
    if body == _ECH_INNER:
        return True
    if len(body) >= _ECH_OUTER.size:
        kind, _, _, _, enc_length = _ECH_OUTER.unpack_from(body)
        payload = body[_ECH_OUTER.size + enc_length :]
        declared = int.from_bytes(payload[:2], "big")
        if kind == _ECH_OUTER_TYPE and declared and declared == len(payload) - 2:
            return True
    raise MalformedHello(f"encrypted_client_hello of {len(body)} bytes is neither outer nor inner")
