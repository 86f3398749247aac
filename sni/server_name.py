"""A server name: a DNS host name in one spelling. Parsing is the only way to get one."""

import re
import struct
from ipaddress import ip_address
from typing import Final, Self

from sni.errors import AmbiguousHello, BadServerName
from sni.wire import Cursor, quoted

# Octets of a whole name in text, without the root's dot (RFC 1035 §2.3.4: 255 on the wire).
MAX_NAME_LENGTH: Final = 253

# Letters, digits, hyphen (RFC 952), and the underscore that real names carry; no label is empty or
# longer than 63 octets (RFC 1035 §2.3.4); one dot may end the name. Possessive: no label is tried
# twice, so a refusal costs one pass.
_is_name: Final = re.compile(rb"[A-Za-z0-9_-]{1,63}+(?:\.[A-Za-z0-9_-]{1,63}+)*\.?").fullmatch

# The last character of an IPv4 address is a digit or a dot, which stand below all letters: what
# ends otherwise, as most names do, is no such address and needs no closer look.
_NINE: Final = ord("9")
_LONGEST_ADDRESS: Final = 46  # INET6_ADDRSTRLEN

# ServerNameList of one entry: length of the list, NameType, length of the name (RFC 6066 §3).
_read_head: Final = struct.Struct(">HBH").unpack_from
_HEAD: Final = 5  # bytes
_HOST_NAME: Final = 0


class ServerName(str):
    """A DNS host name in lower case, without the trailing dot.

    A str, so it is a key, a label and a line of text at no cost; however it is made, it has been
    through ``parse``. A-labels (``xn--``) stay as they are: nothing here decodes IDNA.
    """

    __slots__ = ()

    def __new__(cls, text: bytes | str) -> Self:
        """Parse: there is no other way to get one (copying and unpickling come through here)."""
        return cls.parse(text)

    @classmethod
    def parse(cls, text: bytes | str) -> Self:
        """Read a name as it stands in a hello or in a configuration.

        Raises:
            BadServerName: It cannot be a host name, or it is an IP address.

        """
        # "replace" writes a question mark, which no name may hold.
        raw = text.encode("ascii", "replace") if isinstance(text, str) else text
        if not _is_name(raw):
            raise BadServerName(f"{quoted(raw)} is not a host name: letters, digits, '-', '_', '.'")
        name = raw.lower().decode("ascii")
        if raw[-1] <= _NINE:
            name = name.removesuffix(".")
            if _is_address(raw):
                raise BadServerName(f"{quoted(raw)} is an IP address, not a host name")
        if len(name) > MAX_NAME_LENGTH:
            raise BadServerName(f"a host name of {len(name)} octets, {MAX_NAME_LENGTH} allowed")
        return str.__new__(cls, name)


def read_server_name(body: bytes) -> ServerName | None:
    """Read the body of a server_name extension in a ClientHello (RFC 6066 §3).

    Exactly one shape is routed by: a list of one entry of type host_name. TLS stacks disagree about
    every other (OpenSSL refuses a second entry, Go skips a foreign type), so none may choose a
    backend.

    Returns:
        None for an IP address: RFC 6066 forbids it, real clients send it, and it names no host.

    Raises:
        MalformedHello: A length does not fit.
        AmbiguousHello: The list holds several entries, or one of an unknown type.
        BadServerName: The name cannot be a DNS name.

    """
    raw = body[_HEAD:]
    if not raw:
        raise _fault(body)
    list_length, name_type, name_length = _read_head(body)
    size = len(raw)
    if name_type != _HOST_NAME or name_length != size or list_length != size + 3:
        raise _fault(body)
    if (raw[-1] <= _NINE or b":" in raw) and _is_address(raw):
        return None
    return ServerName.parse(raw)


def _fault(body: bytes) -> AmbiguousHello:
    """Find what is wrong with a list that is not one host name: its framing, or its entries."""
    extension = Cursor(body, "server_name")
    entries = Cursor(extension.vector(2, least=1), "server_name list")
    extension.finish()
    types = []
    while entries.left:
        types.append(entries.number(1))
        entries.vector(2, least=1)
    return AmbiguousHello(f"server_name: entries of types {types[:4]}, one host_name (0) expected")


def _is_address(raw: bytes) -> bool:
    # A scope ("fe80::1%eth0") is for the sender's own use; what carries one is no name either.
    if len(raw) > _LONGEST_ADDRESS or b"%" in raw or not raw.isascii():
        return False
    try:
        ip_address(raw.decode("ascii").removesuffix("."))
    except ValueError:
        return False
    return True
