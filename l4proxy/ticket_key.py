"""Ticket-key files: a name that is given, and secrets that are made where the file is made.

Servers read such a file as name, MAC key and cipher key, in an order and of lengths of their own.
The name comes first in all of them, and all behind it is random, so only the length matters.
"""

from base64 import b64encode
from collections.abc import Callable
from enum import StrEnum

KEY_NAME_BYTES = 16
"""Of the name before a key: the same for every server that reads one of these formats."""


class KeyFormat(StrEnum):
    """Who reads a ticket-key file."""

    NGINX48 = "nginx48"
    """nginx: name 16, AES-128 16, HMAC 16."""

    NGINX80 = "nginx80"
    """nginx: name 16, HMAC 32, AES-256 32."""

    HAPROXY48 = "haproxy48"
    """HAProxy: lines of base64, each of 48 bytes."""

    HAPROXY = "haproxy"
    """HAProxy: lines of base64, each of 80 bytes."""

    OPENSSL = "openssl"
    """`SSL_CTX_set_tlsext_ticket_keys` of OpenSSL: name 16, HMAC 32, AES-256 32."""

    BORINGSSL = "boringssl"
    """The same of BoringSSL: name 16, HMAC 16, AES-128 16."""

    NODE = "node"
    """`ticketKeys` of Node.js: name 16, HMAC 16, AES-128 16."""


_SHORT_BYTES, _LONG_BYTES = 48, 80
_SHORT = frozenset(
    {KeyFormat.NGINX48, KeyFormat.HAPROXY48, KeyFormat.BORINGSSL, KeyFormat.NODE},
)
_LINES = frozenset({KeyFormat.HAPROXY, KeyFormat.HAPROXY48})
# HAProxy keeps three keys and encrypts with the penultimate: three times the same one leaves no
# ticket that begins with any other name.
_HAPROXY_KEYS = 3


def ticket_key(name: bytes, key_format: KeyFormat, entropy: Callable[[int], bytes]) -> bytes:
    """Return what a ticket-key file holds: whoever has it can impersonate the server.

    Args:
        name: What tickets under this key shall begin with, 16 bytes.
        key_format: Who reads it.
        entropy: Returns so many bytes that nobody else knows, such as `os.urandom`.

    Raises:
        ValueError: The name has another length.

    """
    if len(name) != KEY_NAME_BYTES:
        raise ValueError(f"ticket name of {len(name)} bytes, expected {KEY_NAME_BYTES}")
    length = _SHORT_BYTES if key_format in _SHORT else _LONG_BYTES
    key = name + entropy(length - KEY_NAME_BYTES)
    return (b64encode(key) + b"\n") * _HAPROXY_KEYS if key_format in _LINES else key
