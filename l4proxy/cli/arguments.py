"""How arguments are read: each reader returns what it says, or tells what it expected."""

import argparse
import re
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import NamedTuple

from sni import BadServerName, ServerName

_ADDRESS = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")

_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?", re.ASCII)
_AN_HOUR = 3600
_MAX_PORT = 65_535

_MAX_PROTOCOL_BYTES = 255  # RFC 7301 §3.1


class Place(NamedTuple):
    """Where a backend is: a host and a port, or the path of a unix socket and 0."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return f"unix:{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


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


def place(text: str) -> Place:
    """Read where a backend is: `host:port`, `[v6]:port` or `unix:/path`.

    Raises:
        argparse.ArgumentTypeError: It is none of these.

    """
    if text.startswith("unix:/"):
        return Place(text.removeprefix("unix:"), 0)
    host, _, port = text.rpartition(":")
    if not _ADDRESS.fullmatch(text) or not 0 < int(port) <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"found {text[:80]!r}, expected host:port or unix:/path")
    return Place(host.strip("[]"), int(port))


def ip(text: str) -> str:
    """Read an IP address.

    Raises:
        argparse.ArgumentTypeError: It is none.

    """
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected an IP address") from error


def moment(text: str) -> float:
    """Read a time: ISO 8601, in UTC unless it names a zone, or seconds since 1970; as the latter.

    Raises:
        argparse.ArgumentTypeError: It is neither.

    """
    try:
        if _SECONDS.fullmatch(text):
            return float(text)
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        expected = "a time such as 2026-03-14T15:09:26Z"
        raise argparse.ArgumentTypeError(f"found {text[:40]!r}, expected {expected}") from error


def hexadecimal(text: str) -> bytes:
    """Read bytes.

    Raises:
        argparse.ArgumentTypeError: There are none, or they are not written in hex.

    """
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if not found or len(text) != 2 * len(found):
        raise argparse.ArgumentTypeError(f"found {text[:40]!r}, expected pairs of hex digits")
    return found


def seconds(text: str) -> float:
    """Read how many seconds.

    Raises:
        argparse.ArgumentTypeError: It is no number, none at all, or over an hour.

    """
    if not _SECONDS.fullmatch(text) or not 0 < float(text) <= _AN_HOUR:
        raise argparse.ArgumentTypeError(f"found {text[:40]!r}, expected seconds, as 5")
    return float(text)
