"""The ServerHello: which version was chosen, and whether a session goes on (RFC 9846 §4.2.3)."""

import struct
from typing import Final, NamedTuple

from sni.client_hello import PRE_SHARED_KEY, SUPPORTED_VERSIONS
from sni.errors import MalformedHello

SERVER_HELLO: Final = 0x02  # HandshakeType
TLS_1_3: Final = 0x0304

# SHA-256 of "HelloRetryRequest": the random by which that message is known (RFC 9846 §4.2.3).
_RETRY: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_RANDOM_AT: Final = 4 + 2  # behind the handshake header and legacy_version
_SESSION_ID_AT: Final = _RANDOM_AT + 32
_MAX_SESSION_ID: Final = 32
_SHORTEST: Final = _SESSION_ID_AT + 1 + 3  # an empty session id, cipher suite, compression method
_read_header: Final = struct.Struct(">HH").unpack_from  # type, length of the body
_SELECTED: Final = 2  # bytes of selected_version, and of selected_identity


class ServerHello(NamedTuple):
    """What a balancer reads of a ServerHello.

    Attributes:
        version: The negotiated one: from supported_versions, else legacy_version.
        session_id: In TLS 1.3 the client's own, sent back.
        psk: A key that the client offered was accepted. The extension is TLS 1.3's alone.
        retry: It is a HelloRetryRequest: the client says hello again, and another answer follows.

    """

    version: int
    session_id: bytes
    psk: bool
    retry: bool


def parse_server_hello(message: bytes) -> ServerHello:
    """Read one complete ServerHello message, its 4-byte handshake header included.

    Raises:
        MalformedHello: A length does not fit.

    """
    end = len(message)
    size = message[_SESSION_ID_AT] if end >= _SHORTEST else 0
    at = _SESSION_ID_AT + 1 + size
    if end < _SHORTEST or size > _MAX_SESSION_ID or at + 3 > end:
        raise MalformedHello(f"ServerHello of {end} bytes with a session id of {size}")
    extensions = _extensions(message, at + 3)
    selected = extensions.get(SUPPORTED_VERSIONS)
    return ServerHello(
        int.from_bytes(message[4:_RANDOM_AT] if selected is None else selected, "big"),
        message[_SESSION_ID_AT + 1 : at],
        PRE_SHARED_KEY in extensions,
        message[_RANDOM_AT:_SESSION_ID_AT] == _RETRY,
    )


def _extensions(message: bytes, at: int) -> dict[int, bytes]:
    """Return the bodies by type; the block may be missing before TLS 1.3 (RFC 5246 §7.4.1.3)."""
    found: dict[int, bytes] = {}
    end = len(message)
    if at == end:
        return found
    if at + 2 + int.from_bytes(message[at : at + 2], "big") != end:
        raise MalformedHello(f"ServerHello: {end - at} bytes left, the extensions' length differs")
    at += 2
    while at + 4 <= end:
        kind, size = _read_header(message, at)
        found[kind] = message[at + 4 : at + 4 + size]
        at += 4 + size
    if at != end:
        raise MalformedHello(f"ServerHello: the last extension ends {at - end} bytes off the end")
    for kind in (SUPPORTED_VERSIONS, PRE_SHARED_KEY):
        if len(found.get(kind, b"  ")) != _SELECTED:
            raise MalformedHello(f"ServerHello: extension {kind}: {_SELECTED} bytes expected")
    return found
