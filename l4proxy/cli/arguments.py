"""How arguments are read: each reader returns what it says, or tells what it expected."""

import argparse
import re
from ipaddress import ip_address

from sni import BadServerName, ServerName

_ADDRESS = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")

_MAX_PROTOCOL_BYTES = 255  # RFC 7301 §3.1


def server_name(text: str) -> ServerName:
    """Read a server name.

    Raises:
        argparse.ArgumentTypeError: No client can ask for it.

    """
    try:
        return ServerName.parse(text)
    except BadServerName as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def protocol(text: str) -> bytes:
    """Read an ALPN protocol name.

    Raises:
        argparse.ArgumentTypeError: It is empty, too long, or not ASCII.

    """
    if not text.isascii() or not 0 < len(text) <= _MAX_PROTOCOL_BYTES:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a protocol such as h2")
    return text.encode("ascii")


def admin_address(text: str) -> str:
    """Read where an admin API is: `host:port` or `unix:/path`.

    Raises:
        argparse.ArgumentTypeError: It is neither.

    """
    if not _ADDRESS.fullmatch(text) and not text.startswith("unix:/"):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected host:port or unix:/path")
    return text


def ip(text: str) -> str:
    """Read an IP address.

    Raises:
        argparse.ArgumentTypeError: It is none.

    """
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected an IP address") from error
