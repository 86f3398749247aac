"""Addresses and networks as the configuration writes them: no names, but `localhost`."""

import ipaddress
import re
from typing import Final

from l4proxy.config.mistakes import expected, not_yet
from l4proxy.config.paths import parse_socket_path
from routing import VSOCK, Address

MAX_PORT: Final = 65_535

UNIX: Final = "unix:"
"""What stands before the path of a unix socket."""

DNS_PORT: Final = 53
"""Where a resolver is asked unless told otherwise (RFC 1035 §4.2)."""

# One less than what means any (vsock(7)), of context ids as of ports.
_MAX_VSOCK: Final = 2**32 - 2
_VSOCK: Final = re.compile(r"vsock:(0|[1-9][0-9]{0,9}):([1-9][0-9]{0,9})", re.ASCII)

_PORT: Final = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)

# `localhost` is no name to resolve here: it always means this one address.
_LOCALHOST: Final = "127.0.0.1"

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# A prefix length; `ipaddress` would also take netmasks, and read 0.255.255.255 as /8.
_NETWORK: Final = re.compile(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?", re.ASCII)
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def parse_listener_address(found: object) -> Address:
    """Return the address that a listener binds; port 0 lets the kernel choose one.

    Raises:
        BadValueError: no IP literal or `localhost` with a port, or a kind of a later version.
    """
    what = "host:port or [v6]:port, such as 0.0.0.0:8443"
    for kind in ("unix:", "systemd:", VSOCK):
        if isinstance(found, str) and found.startswith(kind):
            raise not_yet(f"a {kind} listener", f"expected {what}")
    host, port = _split(found, what)
    if host in {"", "*"}:
        hint = f"every IPv4 address is 0.0.0.0:{port}, every IPv6 address is [::]:{port}"
        raise expected(found, what, hint)
    ip = _ip(host)
    if ip is None or ip.is_multicast:
        raise expected(found, what, "the host is an IP address or localhost")
    return Address(str(ip), port)


def parse_admin_address(found: object) -> Address:
    """Return the address of the admin API, which is one of the loopback.

    Raises:
        BadValueError: another address: there is no token yet, so whoever reaches it may use it.
    """
    what = "a loopback address and a port, such as 127.0.0.1:9080"
    if isinstance(found, str) and found.startswith("unix:"):
        raise expected(found, what, "a unix socket has a key of its own: `socket: /path`")
    host, port = _split(found, what)
    ip = _ip(host)
    if ip is None or not ip.is_loopback:
        hint = "there is no token yet: whoever reaches the admin API may use it"
        raise expected(found, what, hint)
    return Address(str(ip), port)


def parse_backend_address(found: object) -> Address:
    """Return the address that a backend is dialled at; port 0 and a path for a unix socket.

    Raises:
        BadValueError: no unicast IP literal with a port from 1, no path of a unix socket, no vsock
            of one machine.
    """
    what = "ip:port, [v6]:port, unix:/path or vsock:CID:PORT, such as 10.0.0.11:8443"
    if isinstance(found, str) and found.startswith(UNIX):
        return Address(str(parse_socket_path(found, UNIX)), 0)
    if isinstance(found, str) and found.startswith(VSOCK):
        return _vsock(found)
    host, port = _split(found, what)
    ip = _ip(host)
    if ip is None:
        hint = "give an IP address, or {dns: {name, port}} for a name"
        raise expected(found, what, hint)
    return _one_host(found, ip, port, what)


def parse_resolver(found: object) -> Address:
    """Return the address of a DNS server, on port 53 unless another is given.

    Raises:
        BadValueError: neither an IP literal nor one with a port.
    """
    what = "an IP address, or one with a port, such as 10.0.0.2 or 10.0.0.2:53"
    ip = _ip(found) if isinstance(found, str) else None
    if ip is not None:
        return _one_host(found, ip, DNS_PORT, what)
    host, port = _split(found, what)
    ip = _ip(host)
    if ip is None:
        raise expected(found, what)
    return _one_host(found, ip, port, what)


def parse_source(found: object) -> IpAddress:
    """Return a local address that backends are dialled from; the kernel chooses its port.

    Raises:
        BadValueError: no IP literal of one host, or one with a port.
    """
    ip = _ip(found) if isinstance(found, str) else None
    if ip is None or ip.is_unspecified or ip.is_multicast:
        raise expected(found, "an IP address of this machine, without a port, such as 10.0.0.5")
    return ip


def parse_network(found: object) -> IpNetwork:
    """Return a network, or the one address of a bare IP literal; an IPv4-mapped one as IPv4.

    Raises:
        BadValueError: no such text, or one with bits beyond its prefix.
    """
    what = "an IP address or a network, such as 10.0.0.0/8"
    if not isinstance(found, str) or not _NETWORK.fullmatch(found):
        raise expected(found, what)
    try:
        network = ipaddress.ip_network(found, strict=False)
    except ValueError:
        raise expected(found, what) from None
    if network.network_address != ipaddress.ip_address(found.partition("/")[0]):
        raise expected(found, what, f"did you mean {network}?")
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        bits = int(network.network_address) - int(_MAPPED.network_address)
        return ipaddress.IPv4Network((bits, network.prefixlen - _MAPPED.prefixlen))
    return network


def _one_host(found: object, ip: IpAddress, port: int, what: str) -> Address:
    """Return the address of a host that can be dialled."""
    if ip.is_unspecified or ip.is_multicast or port == 0:
        raise expected(found, what, "one host and a port from 1 to 65535")
    return Address(str(ip), port)


def _vsock(found: str) -> Address:
    """Return the address of a vsock."""
    match = _VSOCK.fullmatch(found)
    if match is None or max(int(match[1]), int(match[2])) > _MAX_VSOCK:
        hint = f"a CID from 0 and a port from 1, both up to {_MAX_VSOCK}"
        raise expected(found, f"{VSOCK}CID:PORT, such as {VSOCK}16:8443", hint)
    return Address(f"{VSOCK}{match[1]}", int(match[2]))


def _split(found: object, what: str) -> tuple[str, int]:
    """Return the host (without brackets) and the port of a text."""
    if not isinstance(found, str):
        raise expected(found, what)
    host, colon, port = found.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > MAX_PORT:
        raise expected(found, what, f"the port is a number up to {MAX_PORT}")
    if host.startswith("[") and host.endswith("]") and ":" in host:
        return host[1:-1], int(port)
    if ":" in host or "[" in host:
        raise expected(found, what, "an IPv6 address stands in brackets")
    return host, int(port)


def _ip(host: str) -> IpAddress | None:
    """Return the address of an IP literal or `localhost`, an IPv4-mapped one as IPv4.

    None for all else, scoped addresses included: they mean something on one machine only.
    """
    try:
        ip = ipaddress.ip_address(_LOCALHOST if host.lower() == "localhost" else host)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        return None if ip.scope_id else ip.ipv4_mapped or ip
    return ip
