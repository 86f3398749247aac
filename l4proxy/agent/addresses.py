"""Where the agent listens, and where the application is: TCP, a unix socket, vsock."""

import re
import socket
from ipaddress import ip_address
from typing import Final, NamedTuple

UNIX: Final = "unix:"
VSOCK: Final = "vsock:"
BACKLOG: Final = 512
"""Connections that the kernel keeps until they are accepted."""

_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})", re.ASCII)
_VSOCK = re.compile(r"vsock:([0-9]{1,10}|any):([0-9]{1,10})", re.ASCII)
_MAX_PORT = 65_535
_MAX_VSOCK = 2**32 - 1
# sockaddr_un keeps 108 bytes, the last of which is zero.
_MAX_PATH = 107


class Address(NamedTuple):
    """A place that stream sockets lead to.

    Attributes:
        family: Of sockets.
        place: What `bind` and `connect` take.

    """

    family: socket.AddressFamily
    place: tuple[str | int, int] | str

    def __str__(self) -> str:
        if isinstance(self.place, str):
            return UNIX + self.place
        host, port = self.place
        if isinstance(host, int):
            return f"{VSOCK}{host}:{port}"
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def open(self) -> socket.socket:
        """Return a new socket of this family, not blocking."""
        made = socket.socket(self.family, socket.SOCK_STREAM)
        made.setblocking(False)
        return made

    def bind(self) -> socket.socket:
        """Return a socket that has this address, and does not listen yet.

        Raises:
            OSError: It cannot be had; the address is in its text.

        """
        listener = self.open()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(self.place)
        except OSError as error:
            listener.close()
            raise OSError(error.errno, f"cannot listen on {self}: {error.strerror}") from error
        return listener


def parse_address(text: str) -> Address:
    """Return the place that a text names.

    Raises:
        ValueError: It is none of `ip:port`, `[v6]:port`, `unix:/path`, `vsock:CID:PORT`.

    """
    if text.startswith(UNIX + "/") and len(text.encode()) <= len(UNIX) + _MAX_PATH:
        return Address(socket.AF_UNIX, text.removeprefix(UNIX))
    vsock = _VSOCK.fullmatch(text)
    if vsock and int(vsock[2]) <= _MAX_VSOCK:
        cid = socket.VMADDR_CID_ANY if vsock[1] == "any" else int(vsock[1])
        if cid <= _MAX_VSOCK:
            return Address(socket.AF_VSOCK, (cid, int(vsock[2])))
    found = _HOST_PORT.fullmatch(text)
    if found and int(found[3]) <= _MAX_PORT:
        ip = ip_address(found[1] or found[2])
        family = socket.AF_INET6 if found[1] else socket.AF_INET
        if ip.version == (6 if found[1] else 4):
            return Address(family, (str(ip), int(found[3])))
    raise ValueError("expected ip:port, [v6]:port, unix:/path or vsock:CID:PORT")
